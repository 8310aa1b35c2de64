"""The drawing of a network: what it says is what the network is, and it can be read."""

import base64
import html
import re
from xml.etree import ElementTree

import mended_mxnet

import pytest
from helpers import sentence, source, tiny
from mxnet import np
from mxnet.gluon.model_zoo import vision

import drawing
import frozen
import utils
from sources import lite

# name: (network, px)
NETWORKS = {
    'resnet18_v2': (vision.resnet18_v2, 32),
    'lite0': (lite.EfficientNetLite, 32),
    'vgg11': (vision.vgg11, 32),
    'mobilenet': (vision.mobilenet0_25, 32),
    'squeezenet': (vision.squeezenet1_1, 224),
    'densenet': (vision.densenet121, 224),
    'inception_v3': (vision.inception_v3, 299),
}


def elements(text, kind):
    """The elements of that kind in an SVG, which must be well-formed."""
    return [*ElementTree.fromstring(text).iter(f'{{http://www.w3.org/2000/svg}}{kind}')]


def lines(text):
    return [span.text for span in elements(text, 'tspan')]


def fills(text):
    """How the bar of each block is filled; before them come the page's white, the hatch and the picture's bar."""
    bars = [bar for bar in elements(text, 'rect') if bar.get('stroke') == '#222']
    return [bar.get('fill') for bar in bars[1:]]


def test_resnet18_at_224_px_is_what_is_printed_about_it():
    """11.69 M weights (He et al., 2016), maps of 56, 28, 14 and 7 pixels."""
    blocks = drawing.blocks_of(source(px=224), 224)
    assert [block.size for block in blocks[5:9]] == [(64, 56, 56), (128, 28, 28), (256, 14, 14), (512, 7, 7)]
    assert [*drawing.parts_of(blocks)] == ['stem', 'stage1', 'stage2', 'stage3', 'stage4', 'pool', 'head']
    assert sum(block.weights for block in blocks) + 990 * 513 == pytest.approx(11.69e6, rel=0.001)  # for 1000 classes


@pytest.mark.parametrize(
    'name', [name if name == 'lite0' else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]
)
def test_names_sizes_and_weights_are_those_of_the_network(name):
    make, px = NETWORKS[name]
    net = source(make, px)
    X = np.zeros((1, 3, px, px))
    for block, layer, place in zip(drawing.blocks_of(net, px), [*net.features, net.output], frozen.blocks(net)):
        X = layer(X)
        params = layer.collect_params().items()
        assert block.name == place and frozen.position(net, place) == block.number
        assert block.size == X.shape[1:]
        assert block.weights == sum(p.data().size for name, p in params if 'running' not in name)


@pytest.mark.parametrize('name', ['lite0', 'mobilenet'])
def test_it_can_be_read_from_the_back_row(name):
    make, px = NETWORKS[name]
    text = drawing.svg(source(make, px), px, 3)
    width = int(elements(text, 'svg')[0].get('width'))
    assert 870 <= width <= 1000 and min(map(int, re.findall('font-size="(.*?)"', text))) >= 14
    for bar in elements(text, 'rect')[1:]:
        assert bar.get('width') == '100%' or 0 < float(bar.get('width')) < width / 7


def test_what_is_below_the_cut_is_frozen_and_the_scissors_are_between():
    net = tiny()
    for num_frozen, name in enumerate(frozen.blocks(net)):
        text = drawing.svg(net, 16, name)
        assert text == drawing.svg(net, 16, num_frozen)
        frozen_fill, trains_fill = drawing.FILL['frozen'], drawing.FILL['trains']
        assert fills(text)[:8] == [frozen_fill] * num_frozen + [trains_fill] * (8 - num_frozen)
        bar = [bar for bar in elements(text, 'rect') if bar.get('stroke') == '#222'][1 + num_frozen]
        x = float(re.search(r'translate\((\S+) ', text)[1])
        assert 0 < float(bar.get('x')) - x < 2
        assert f"cut = '{name}'" in [words.text for words in elements(text, 'text')]


def test_without_a_cut_nothing_is_frozen_and_there_are_no_scissors():
    text = drawing.svg(tiny(), 16)
    assert {*fills(text)} == {drawing.FILL[None]} and 'translate' not in text
    assert '4 block4' in lines(text)


def test_of_many_blocks_the_first_and_the_last_are_named():
    text = drawing.svg(source(vision.mobilenet0_25), 32)
    assert '0 conv0' in lines(text) and '8 relu2' in lines(text) and '7 batchnorm2' not in lines(text)
    assert lines(text).count('…') == 5


def test_a_network_that_is_new_or_compiled_is_drawn_and_stays_as_it_was():
    new = utils.from_scratch(['a', 'b'], 'tiny')
    net = tiny()
    assert drawing.svg(new, 16, 3) == drawing.svg(net, 16, 3)
    X = np.ones((1, 3, 16, 16))
    before = net(X).asnumpy()
    net.hybridize(static_alloc=True, static_shape=True)
    net(X)
    assert drawing.svg(net, 16, 3) == drawing.svg(new, 16, 3)
    assert net(X).asnumpy() == pytest.approx(before, abs=1e-6)


def test_it_is_shown_as_an_image_with_a_text_that_says_the_same(monkeypatch):
    shown = []
    monkeypatch.setattr(drawing, 'display', shown.append)
    net = tiny()
    drawing.show(net, 16, 3)
    data = shown[0]._repr_mimebundle_()
    alt, encoded = re.fullmatch('<img alt="(.*?)" src="data:image/svg\\+xml;base64,(.*?)">', data['text/html']).groups()
    assert base64.b64decode(encoded).decode() == drawing.svg(net, 16, 3)
    assert html.unescape(alt) == data['text/plain'] == drawing.in_words(net, 16, 3)
    assert 'The cut is before 3 ' in alt and 'Frozen: 120 weights; trains: 330 weights.' in alt


def test_what_can_not_be_drawn_is_one_sentence():
    net = tiny()
    assert 'no place' in sentence(drawing.svg, net, 16, 'stage5')
    assert 'larger px' in sentence(drawing.svg, source(vision.densenet121, 224), 32)
    assert 'px is 0' in sentence(drawing.show, net, 0)
    assert 'no network' in sentence(drawing.show, 'resnet18_v2', 16)
    assert 'whole network' in sentence(drawing.svg, frozen.cut(net, 3)[1], 16)
