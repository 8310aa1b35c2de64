"""The knob: below the cut all is frozen, above it training is training with the rest frozen; views."""

import copy
import os
import random
import subprocess
import sys
from pathlib import Path

import mended_mxnet

import numpy as onp
import pytest
from helpers import all_batches, red_and_blue, sentence, source, tiny
from mxnet import autograd, np
from mxnet.gluon.model_zoo import vision

import frozen
import utils
from sources import lite
from sources.weights import weights_of

# name: (network, px, cuts); px is what the pooling at the network's end needs
FAMILIES = {
    'vgg16': (vision.vgg16, 32, [0, 'pool2', 'dense0', 'output']),
    'inception_v3': (vision.inception_v3, 299, ['D', 'output']),
    'mobilenet': (vision.mobilenet0_25, 32, [0, 'conv9', 'output']),
    'mobilenet_v2': (vision.mobilenet_v2_0_25, 32, [0, 10, 'output']),
    'squeezenet': (vision.squeezenet1_1, 64, [0, 'pool2', 'output']),
    'densenet': (vision.densenet121, 224, ['stage4', 'output']),
    'alexnet': (vision.alexnet, 64, [0, 'dense0', 'output']),
    'resnet50_v1': (vision.resnet50_v1, 32, ['stage3', 'output']),
    'lite0': (lite.EfficientNetLite, 32, [0, 'block12', 'output']),
}
CASES = [(name, cut) for name, (_, _, cuts) in FAMILIES.items() for cut in cuts]


QUICK = [('mobilenet', 'conv9'), ('lite0', 'block12'), ('squeezenet', 'output')]


@pytest.fixture(autouse=True)
def with_cache(cache):
    return cache


@pytest.fixture
def pictures(tmp_path):
    return red_and_blue(tmp_path)


@pytest.fixture(scope='module')
def resnet():
    return source()


# ---- The cut --------------------------------------------------------------------------------------------------------


def test_blocks_have_names(resnet):
    assert frozen.blocks(resnet) == [
        'batchnorm0',
        'conv0',
        'batchnorm1',
        'relu0',
        'pool0',
        'stage1',
        'stage2',
        'stage3',
        'stage4',
        'batchnorm2',
        'relu1',
        'pool1',
        'flatten0',
        'output',
    ]
    assert frozen.blocks(lite.EfficientNetLite())[4] == 'block4'
    for make, _, _ in FAMILIES.values():
        names = frozen.blocks(make())
        assert len(set(names)) == len(names)


@pytest.mark.parametrize('at', ['stage5', -1, 14, None, 1.5, True, 'Output', onp.array([1, 2]), float('nan')])
def test_no_such_place(resnet, at):
    assert 'from 0 to 13, or one of batchnorm0, ' in sentence(frozen.cut, resnet, at)


def test_places_by_number(resnet):
    assert frozen.position(resnet, onp.int64(3)) == 3 and frozen.position(resnet, 'output') == 13


def test_networks_that_can_not_be_cut():
    assert 'seen a picture' in sentence(frozen.cut, utils.from_scratch(['a', 'b'], 'tiny'), 3)
    net = tiny()
    net.features[1].running_mean.set_data(np.full((4,), float('nan')))
    assert '1.running_mean is not a number' in sentence(frozen.cut, net, 3)
    assert frozen.cut(net, 1)


def train_above(net, at, pictures, px, lr=0.1):
    below, above = frozen.cut(net, at)
    train_iter = below.batches(pictures, px, 4, train=True)
    valid_iter = below.batches(pictures[:2], px, 4)
    return below, above, utils.train(above, train_iter, valid_iter, 1, lr, head=1)


def check_frozen(net, at, pictures, px):
    """Train above the cut: what is below has not moved, what is above has, and `net` is the trained network."""
    first = frozen.position(net, at)
    before = weights_of(net.features)
    below, above, _ = train_above(net, at, pictures, px)
    after = weights_of(net.features)
    moved = {int(name.split('.')[0]) for name in before if not onp.array_equal(before[name], after[name])}
    assert all(block >= first for block in moved)
    trained = {
        i for i, block in enumerate(net.features) if any(p.grad_req != 'null' for p in block.collect_params().values())
    }  # a BatchNorm without weights at the bottom gets no gradient and stays
    assert moved == {block for block in trained if block >= first}
    X = np.array(onp.stack([*below.images(pictures, px, 0, range(2))]))
    Y = above(np.array(below.features(pictures, px)[:2])).asnumpy()
    assert onp.allclose(net(X).asnumpy(), Y, rtol=1e-3, atol=1e-3 * abs(Y).max())


EVERY_OTHER = [pytest.param(at, marks=pytest.mark.slow) for at in range(14) if at not in (0, 7, 13)]


@pytest.mark.parametrize('at', [0, 7, 13, *EVERY_OTHER])
def test_frozen_is_frozen_at_every_cut(resnet, pictures, at):
    check_frozen(frozen.with_head(resnet, ['a', 'b']), at, pictures, 32)


@pytest.mark.parametrize(
    'name, at', QUICK + [pytest.param(*case, marks=pytest.mark.slow) for case in CASES if case not in QUICK]
)
def test_every_family(pictures, name, at):
    make, px, _ = FAMILIES[name]
    check_frozen(frozen.with_head(source(make, px), ['a', 'b']), at, pictures[:4], px)


def test_all_that_is_below_is_frozen_in_every_mode(resnet, pictures):
    below, _ = frozen.cut(resnet, 'stage2')
    X = np.array(onp.stack([*below.images(pictures, 32, 0, range(4))]))
    before, Y = weights_of(below.block), below(X)
    with autograd.record():
        assert (below(X) == Y).all()
    assert all((before[name] == a).all() for name, a in weights_of(below.block).items())


def trained_twice(source, pictures, at, px):
    """The weights after ten steps above the cut, and after ten of the network that utils.freeze froze up to there."""
    nets = [frozen.with_head(source, ['a', 'b']) for _ in range(2)]
    utils.freeze(nets[1], frozen.position(nets[1], at))
    nets[1].output = copy.deepcopy(nets[0].output)
    nets[1].output.collect_params().reset_ctx(utils.where(source))
    for net, place in zip(nets, [at, 0]):
        utils.seed_everything(1)
        _, _, history = train_above(net, place, (pictures * 4)[:40], px, lr=0.01)
        assert history['train'].notna().all()
    return map(weights_of, nets)


@pytest.mark.slow
@pytest.mark.parametrize('at', ['relu0', 'stage3', 'output'])
def test_training_above_the_cut_is_training_with_the_rest_frozen(pictures, at):
    """With trained weights. With random ones a rounding error of 1e-7 grows to 1e-2 in ten steps; see the next test."""
    net = utils.pretrained()
    start = weights_of(net)
    unequal = [(path, int(i < 3)) for i, (path, _) in enumerate(pictures)]  # or the biases would stay near zero
    a, b = trained_twice(net, unequal, at, 64)
    for name in a:
        assert abs(a[name] - b[name]).max() <= 1e-4 * abs(a[name]).max(), name
    features = [name for name in a if name.startswith('features')]
    above = {name for name in features if int(name.split('.')[1]) >= frozen.position(net, at)}
    moved = {name for name in features if abs(a[name] - start[name]).max() > 1e-3 * abs(a[name]).max()}
    assert moved <= above and 2 * len(moved) >= len(above)  # most have moved by ten times what is allowed here


EXACT = """
import pathlib, sys
import fast, frozen, utils
fast.runtime = lambda: None  # MXNet runs both parts
sys.path.append('tests')
from helpers import source
from test_frozen import trained_twice
frozen.CACHE = pathlib.Path(sys.argv[1])
pictures = [(pathlib.Path(path), i % 2) for i, path in enumerate(sys.argv[2:])]
for at in ('relu0', 'stage3', 'output'):
    a, b = trained_twice(source(), pictures, at, 32)
    assert all((a[name] == b[name]).all() for name in a), at
"""


@pytest.mark.slow
def test_training_above_the_cut_is_exactly_that_where_sums_have_one_order(pictures, cache):
    """OpenVINO rounds in its own way, and oneDNN differently after another layer; without them sums have one order."""
    subprocess.run(
        [sys.executable, '-c', EXACT, cache, *(path for path, _ in pictures)],
        cwd=utils.ROOT,
        check=True,
        env={**os.environ, 'MXNET_MKLDNN_ENABLED': '0'},
    )


def test_a_trained_network_can_be_cut_again(resnet, pictures):
    net = frozen.with_head(resnet, ['a', 'b'])
    train_above(net, 'output', pictures, 32)
    check_frozen(net, 'stage4', pictures, 32)


def test_weights_are_read_whole_right_after_a_prediction():
    """Or a key of the cache, a saved network or the best weights would now and then be a mixture of two orders."""
    for _ in range(3):
        net = source()
        before = weights_of(net)
        for param in net.collect_params().values():
            param.set_data(param.data().copy())  # in the plain order again, that the next prediction changes
        net(np.zeros((1, 3, 32, 32)))
        assert all(onp.array_equal(a, before[name]) for name, a in weights_of(net).items() if 'output' not in name)


# ---- Heads ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('head', ['dense256', 'batchnorm1024'])
@pytest.mark.parametrize('name', ['resnet18_v2', pytest.param('squeezenet', marks=pytest.mark.slow)])
def test_every_head_trains(pictures, name, head):
    make, px, _ = {'resnet18_v2': (vision.resnet18_v2, 64, None), **FAMILIES}[name]
    check_frozen(frozen.with_head(source(make, px), ['a', 'b'], head), 'output', pictures, px)


@pytest.mark.parametrize(
    'head', ['batchnorm1024', *(pytest.param(h, marks=pytest.mark.slow) for h in ['softmax', 'dense256'])]
)
def test_every_head_that_was_trained_can_be_saved(resnet, pictures, head, tmp_path):
    net = frozen.with_head(resnet, ['a', 'b'], head)
    below, above = frozen.cut(net, 'output')
    history = utils.train(above, below.batches(pictures, 32, 4, train=True), below.batches(pictures, 32, 4), 2, 0.001)
    assert history.notna().all(axis=None)
    net.network = 'resnet18_v2'
    utils.save(net, tmp_path / 'net.safetensors', 32)
    again = utils.load(tmp_path / 'net.safetensors')
    expected = utils.predictions(net, utils.batches(pictures, net, 32, 4))[0]
    assert utils.predictions(again, utils.batches(pictures, net, 32, 4))[0] == pytest.approx(expected, abs=1e-5)


# ---- Batches and views ----------------------------------------------------------------------------------------------


def test_batches(resnet, pictures):
    below, _ = frozen.cut(resnet, 'output')
    X = below.features(pictures, 32)
    kept = all_batches(below.batches(pictures, 32, 5))
    assert [len(y) for _, y in kept] == [5, 5, 2]
    assert (onp.concatenate([x for x, _ in kept]) == X).all()
    assert onp.concatenate([y for _, y in kept]).tolist() == [label for _, label in pictures]
    utils.seed_everything(0)
    shuffled = below.batches(pictures, 32, 5, train=True)
    assert len(shuffled) == 2
    first, second = all_batches(shuffled), all_batches(shuffled)
    assert [len(y) for _, y in first] == [5, 5]
    rows = [
        [int(onp.flatnonzero((x == X).all(1))[0]) for x in onp.concatenate([a for a, _ in run])]
        for run in (first, second)
    ]
    assert len(set(rows[0])) == 10 and rows[0] != rows[1] and rows[0] != sorted(rows[0])
    assert [pictures[i][1] for i in rows[0]] == onp.concatenate([y for _, y in first]).tolist()


def test_views_are_always_the_same(resnet, pictures):
    below, _ = frozen.cut(resnet, 0)
    random.seed(3)
    expected = random.Random(3).random()

    def read(rows):
        return onp.stack([*below.images(pictures, 32, 2, rows)])

    assert random.random() == expected  # other random numbers don't change
    X = read(range(24))
    random.seed(4)
    state = random.getstate()
    assert (read(range(24)) == X).all() and random.getstate() == state
    assert all((X[i] != X[12 + i]).any() for i in range(12))
    data_iter = below.batches(pictures, 32, 24, views=2)
    ((Y, labels),) = data_iter
    assert (Y.asnumpy() == X).all() and labels.asnumpy().tolist() == [label for _, label in pictures] * 2
    assert (onp.stack([*below.images(pictures, 32, 0, range(12))]) != X[:12]).any()


@pytest.mark.parametrize('value', [None, 'x', 8.0, True, float('nan'), -1, [1]])
def test_what_is_no_number(resnet, pictures, value):
    below, _ = frozen.cut(resnet, 'stage4')
    for options in {'px': value}, {'batch_size': value}, {'views': value}:
        given = {'px': 32, 'batch_size': 4, **options}
        (name,) = options
        assert sentence(below.batches, pictures, **given).startswith(f'{name} is {value!r}; give a whole number')
    assert sentence(below.features, pictures, value).startswith(f'px is {value!r}')


def test_no_picture_and_one(resnet, pictures):
    below, _ = frozen.cut(resnet, 'output')
    for call in below.features, lambda none, px: below.batches(none, px, 4):
        assert 'no pictures' in sentence(call, [], 32)
    assert (
        below.features(pictures[:1], 32).shape == (1, 512) and below.features(pictures[:1], 32, views=3).shape[0] == 3
    )
    ((X, y),) = below.batches(pictures[:1], onp.int64(32), onp.int64(8), train=True, views=onp.int64(1))
    assert X.shape == (1, 512) and y.tolist() == [0]
    by_name = [(str(path), i) for path, i in pictures[:3]]
    assert (below.features(by_name, 32, views=2) == below.features(pictures[:3], 32, views=2)).all()


def test_pictures_that_can_not_be_used(resnet, pictures, tmp_path):
    below, _ = frozen.cut(resnet, 'output')
    (tmp_path / 'text.png').write_text('no picture')
    for wrong in tmp_path / 'gone.png', tmp_path / 'text.png', tmp_path:
        assert str(wrong) in sentence(below.features, [*pictures, (wrong, 0)], 32)
    for wrong in None, Path, 3:
        assert 'is no (path, class number)' in sentence(below.features, [*pictures, (wrong, 0)], 32)


def test_pictures_that_are_too_small_for_the_network(pictures, capsys):
    below, _ = frozen.cut(source(vision.alexnet, 64), 'dense0')
    assert 'take a larger px' in sentence(below.features, pictures, 8) and capsys.readouterr().out == ''
