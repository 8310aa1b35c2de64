"""frozen.py with small pictures of noise and networks with random weights."""

import copy
import functools
import os
import random
import signal
import subprocess
import sys

import mended_mxnet
import pictures as pictures_module

import numpy as onp
import pytest
from mxnet import autograd, np, npx
from mxnet.gluon.model_zoo import vision
from mxnet.util import is_np_array
from PIL import Image

import frozen
import utils
from sources import lite0

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
    'lite0': (lite0.EfficientNetLite0, 32, [0, 'block12', 'output']),
}
CASES = [(name, cut) for name, (_, _, cuts) in FAMILIES.items() for cut in cuts]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(frozen, 'CACHE', tmp_path / 'cache')
    return tmp_path / 'cache'


@pytest.fixture
def pictures(tmp_path):
    """Twelve pictures of noise: reddish ones of class 0, bluish ones of class 1."""
    rng = onp.random.default_rng(0)
    found = []
    for i in range(12):
        pixels = rng.integers(0, 128, (40, 48, 3), 'uint8')
        pixels[..., 2 * (i % 2)] += 100
        Image.fromarray(pixels).save(tmp_path / f'{i}.png')
        found.append((tmp_path / f'{i}.png', i % 2))
    return found


def source(make=vision.resnet18_v2, px=32):
    """A network with random weights, and with the colours that it expects."""
    utils.seed_everything(0)
    net = make(classes=10)
    net.mean, net.std = utils.MEAN, utils.STD
    utils.initialize(net).features(np.zeros((1, 3, px, px)))
    return net


@pytest.fixture(scope='module')
def resnet():
    return source()


def counting(below):
    """(`below`, a list that grows by the batch size whenever it runs)"""
    calls = []
    block = below.block
    below.block = lambda X: calls.append(len(X)) or block(X)
    return below, calls


def all_batches(data_iter):
    return [(X.asnumpy(), y.asnumpy()) for X, y in data_iter]


# ---- the cut


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
    assert frozen.blocks(lite0.EfficientNetLite0())[4] == 'block4'
    for make, _, _ in FAMILIES.values():
        names = frozen.blocks(make())
        assert len(set(names)) == len(names)


@pytest.mark.parametrize('at', ['stage5', -1, 14, None, 1.5])
def test_no_such_place(resnet, at):
    with pytest.raises(utils.Problem, match='from 0 to 13, or one of batchnorm0, .*, output'):
        frozen.cut(resnet, at)


def train_above(net, at, pictures, px, lr=0.1):
    below, above = frozen.cut(net, at)
    train_iter = below.batches(pictures, px, 4, train=True)
    valid_iter = below.batches(pictures[:2], px, 4)
    return below, above, utils.train(above, train_iter, valid_iter, 1, lr, head=1)


def check_frozen(net, at, pictures, px):
    """Train above the cut: what is below has not moved, what is above has, and `net` is the trained network."""
    first = frozen.position(net, at)
    before = utils.weights_of(net.features)
    below, above, _ = train_above(net, at, pictures, px)
    after = utils.weights_of(net.features)
    moved = {int(name.split('.')[0]) for name in before if not onp.array_equal(before[name], after[name])}
    assert all(block >= first for block in moved)
    trained = {
        i for i, block in enumerate(net.features) if any(p.grad_req != 'null' for p in block.collect_params().values())
    }  # a BatchNorm without weights at the bottom gets no gradient and stays
    assert moved == {block for block in trained if block >= first}
    X = np.array(below.pixels(pictures, px, 0, range(2)))
    Y = above(np.array(below.features(pictures, px)[:2])).asnumpy()
    assert onp.allclose(net(X).asnumpy(), Y, rtol=1e-3, atol=1e-3 * abs(Y).max())


@pytest.mark.parametrize('at', range(14))
def test_frozen_is_frozen_at_every_cut(resnet, pictures, at):
    check_frozen(frozen.with_head(resnet, ['a', 'b']), at, pictures, 32)


@pytest.mark.parametrize('name, at', CASES)
def test_every_family(pictures, name, at):
    make, px, _ = FAMILIES[name]
    check_frozen(frozen.with_head(source(make, px), ['a', 'b']), at, pictures[:4], px)


def test_all_that_is_below_is_frozen_in_every_mode(resnet, pictures):
    below, _ = frozen.cut(resnet, 'stage2')
    X = np.array(below.pixels(pictures, 32, 0, range(4)))
    before, Y = utils.weights_of(below.block), below(X)
    with autograd.record():
        assert (below(X) == Y).all()
    assert all((before[name] == a).all() for name, a in utils.weights_of(below.block).items())


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
    return map(utils.weights_of, nets)


@pytest.mark.parametrize('at', ['relu0', 'stage3', 'output'])
def test_training_above_the_cut_is_training_with_the_rest_frozen(pictures, at):
    """With trained weights. With random ones a rounding error of 1e-7 grows to 1e-2 in ten steps; see the next test."""
    net = utils.pretrained()
    start = utils.weights_of(net)
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
import frozen, utils
sys.path.append('tests')
from test_frozen import source, trained_twice
frozen.CACHE = pathlib.Path(sys.argv[1])
pictures = [(pathlib.Path(path), i % 2) for i, path in enumerate(sys.argv[2:])]
for at in ('relu0', 'stage3', 'output'):
    a, b = trained_twice(source(), pictures, at, 32)
    assert all((a[name] == b[name]).all() for name in a), at
"""


def test_training_above_the_cut_is_exactly_that_where_sums_have_one_order(pictures, cache):
    """oneDNN rounds differently after another layer; without it each picture's sums have the same order both times."""
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
    for _ in range(5):
        net = source()
        before = utils.weights_of(net)
        for param in net.collect_params().values():
            param.set_data(param.data().copy())  # in the plain order again, that the next prediction changes
        net(np.zeros((1, 3, 32, 32)))
        assert all(
            onp.array_equal(a, before[name]) for name, a in utils.weights_of(net).items() if 'output' not in name
        )


# ---- heads

HEADS = {
    'softmax': ['Dense'],
    'dense256': ['Flatten', 'Dense', 'Dropout', 'Dense'],
    'batchnorm1024': ['BatchNorm', 'Dense', 'Dense'],
}


@pytest.mark.parametrize('head', HEADS)
@pytest.mark.parametrize('make', [vision.resnet18_v2, vision.vgg16, vision.squeezenet1_1])
def test_heads(make, head):
    net = source(make, 64)
    before = utils.weights_of(net.features)
    X, new = np.ones((2, 3, 64, 64)), frozen.with_head(net, ['a', 'b', 'c'], head)
    assert new(X).shape == (2, 3) and new.classes == ['a', 'b', 'c']
    maps = new.features(X)
    assert maps.ndim == 4 if head == 'dense256' or make is vision.squeezenet1_1 else maps.ndim == 2
    layers = [type(layer).__name__ for layer in (new.output if hasattr(new.output, 'add') else [new.output])]
    assert layers[-len(HEADS[head]) :] == HEADS[head]
    npx.waitall()  # see utils.weights_of
    for param in new.features.collect_params().values():  # copied, not shared
        param.set_data(param.data() + 1)
    assert all((before[name] == a).all() for name, a in utils.weights_of(net.features).items())


@pytest.mark.parametrize('head', HEADS)
@pytest.mark.parametrize('name', ['resnet18_v2', 'squeezenet'])
def test_every_head_trains(pictures, name, head):
    make, px, _ = {'resnet18_v2': (vision.resnet18_v2, 64, None), **FAMILIES}[name]
    check_frozen(frozen.with_head(source(make, px), ['a', 'b'], head), 'output', pictures, px)


def test_no_such_head(resnet):
    with pytest.raises(utils.Problem, match='no head "svm"; choose one of softmax, dense256, batchnorm1024'):
        frozen.with_head(resnet, ['a', 'b'], 'svm')


# ---- the cache


def test_it_runs_once_per_picture(resnet, pictures, cache):
    below, calls = counting(frozen.cut(resnet, 'stage3')[0])
    first = onp.array(below.features(pictures, 32))
    assert sum(calls) == 1 + 12  # one, to learn the shape
    below, calls = counting(frozen.cut(resnet, 'stage3')[0])
    assert (below.features(pictures, 32) == first).all() and not calls
    assert len(list(cache.iterdir())) == 1
    assert onp.allclose(
        first[3:5], resnet.features[:7](np.array(below.pixels(pictures, 32, 0, [3, 4]))).asnumpy(), atol=1e-5
    )


def test_another_question_is_another_file(resnet, pictures, cache):
    other = copy.deepcopy(resnet)
    other.features[2].running_mean.set_data(other.features[2].running_mean.data() + 1)
    brighter = copy.deepcopy(resnet)
    brighter.mean = (0, 0, 0)
    for number, (net, at, px, views, some) in enumerate(
        [
            (resnet, 'stage3', 32, 0, pictures),
            (resnet, 'stage3', 48, 0, pictures),
            (resnet, 'stage4', 32, 0, pictures),
            (resnet, 'stage3', 32, 1, pictures),
            (resnet, 'stage3', 32, 2, pictures),
            (other, 'stage3', 32, 0, pictures),
            (resnet, 'stage3', 32, 0, pictures[:6]),
            (resnet, 'stage3', 32, 0, pictures[::-1]),
            (brighter, 'stage3', 32, 0, pictures),
        ],
        start=1,
    ):
        frozen.cut(net, at)[0].features(some, px, views)
        assert len(list(cache.iterdir())) == number


def test_a_changed_picture_is_seen(resnet, pictures):
    below, calls = counting(frozen.cut(resnet, 'stage3')[0])
    before, path = onp.array(below.features(pictures, 32)), pictures[5][0]
    stat = path.stat()
    Image.fromarray(255 - onp.asarray(Image.open(path))).save(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    calls.clear()
    after = below.features(pictures, 32)
    assert calls and [i for i in range(12) if (before[i] != after[i]).any()] == [5]


def test_a_changed_crop_is_seen(resnet, pictures, monkeypatch):
    below, calls = counting(frozen.cut(resnet, 'stage3')[0])
    below.features(pictures, 32)
    calls.clear()

    def centre_crop(image, px):
        return image.resize((px, px))

    monkeypatch.setattr(pictures_module, 'centre_crop', centre_crop)
    below.features(pictures, 32)
    assert calls


@pytest.mark.parametrize('error', [KeyboardInterrupt, MemoryError])
def test_an_interrupted_run_leaves_nothing(resnet, pictures, cache, error):
    below, _ = frozen.cut(resnet, 'stage3')

    block = below.block

    def fails(X):
        if X.shape[0] > 1:  # not the one that tells the shape
            raise error
        return block(X)

    below.block = fails
    with pytest.raises(error):
        below.features(pictures, 32)
    assert not list(cache.iterdir())


def test_a_killed_run_leaves_no_half_file(cache):
    cache.mkdir()

    def parts():
        yield onp.ones((1, 5), 'f4')
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        frozen.write_array(cache / 'x.npy', (2, 5), parts())
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert not (cache / 'x.npy').exists()
    frozen.write_array(cache / 'x.npy', (2, 5), iter([onp.ones((1, 5), 'f4')] * 2))
    assert (onp.load(cache / 'x.npy') == onp.ones((2, 5))).all()


def test_a_damaged_file_is_computed_again(resnet, pictures, cache):
    below, calls = counting(frozen.cut(resnet, 'stage3')[0])
    good = onp.array(below.features(pictures, 32))
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:-10])
    calls.clear()
    assert (below.features(pictures, 32) == good).all() and calls


def test_what_was_not_used_for_longest_is_removed(resnet, pictures, cache, monkeypatch):
    below, calls = counting(frozen.cut(resnet, 'stage4')[0])
    one, two, three, four = ([*pictures[i:], *pictures[:i]] for i in range(4))
    still_open = below.batches(two, 32, 4)
    expected = all_batches(still_open)
    for hours, some in ((1, one), (3, two), (2, three)):
        file = below.features(some, 32).filename
        os.utime(file, (file.stat().st_mtime - 3600 * hours,) * 2)
    monkeypatch.setattr(frozen, 'CAP', 3 * file.stat().st_size)
    below.features(three, 32)  # used again: now the newest, and `two` the oldest
    below.features(four, 32)
    assert len(list(cache.iterdir())) == 3
    calls.clear()
    for some in (one, three, four):
        below.features(some, 32)
    assert not calls
    assert all((a == b).all() for a, b in zip(expected[0], all_batches(still_open)[0]))  # removed, and still readable
    below.features(two, 32)
    assert calls


def test_larger_than_the_cache(resnet, pictures, cache, monkeypatch, capsys):
    below, calls = counting(frozen.cut(resnet, 'stage4')[0])
    kept = all_batches(below.batches(pictures, 32, 5))
    for file in cache.iterdir():
        file.unlink()
    monkeypatch.setattr(frozen, 'CAP', 1000)
    assert below.features(pictures, 32) is None
    computed = below.batches(pictures, 32, 5)
    assert 'computed anew in every epoch' in capsys.readouterr().out and not list(cache.iterdir())
    for _ in range(2):
        calls.clear()
        for (X, y), (X0, y0) in zip(all_batches(computed), kept, strict=True):
            assert onp.allclose(X, X0, atol=1e-5) and (y == y0).all()
        assert calls == [5, 5, 2]


def test_full_disk(resnet, pictures, cache, monkeypatch, capsys):
    below, _ = frozen.cut(resnet, 'stage4')
    monkeypatch.setattr(frozen.shutil, 'disk_usage', lambda path: type('Usage', (), {'free': 100}))
    assert below.features(pictures, 32) is None
    assert 'computed anew in every epoch' in capsys.readouterr().out
    monkeypatch.undo()
    monkeypatch.setattr(frozen, 'CACHE', cache)

    def replace(a, b):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(frozen.os, 'replace', replace)
    with pytest.raises(utils.Problem, match='could not be kept .*No space left.*free some space'):
        below.features(pictures, 32)
    assert not list(cache.iterdir())


MEMORY = """
import resource, sys
import frozen, utils
from pathlib import Path
from mxnet import np
from mxnet.gluon.model_zoo import vision
frozen.CACHE = Path(sys.argv[2])
net = utils.initialize(vision.resnet18_v2(classes=2))
net.mean, net.std = utils.MEAN, utils.STD
net(np.zeros((1, 3, 64, 64)))
below, _ = frozen.cut(net, 2)  # 262 KB a picture
peaks = []
for n in (100, 1000):
    for X, y in below.batches([(Path(sys.argv[1]), 0)] * n, 64, 32, train=True):
        X.wait_to_read()
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
print(peaks[1] - peaks[0])
"""


def test_memory_does_not_grow_with_the_pictures(pictures, cache):
    """1,000 pictures give 262 MB; without care all of it would be in memory at the end."""
    done = subprocess.run(
        [sys.executable, '-c', MEMORY, pictures[0][0], cache],
        capture_output=True,
        text=True,
        cwd=utils.ROOT,
        check=True,
    )
    assert float(done.stdout) < 60


# ---- batches and views


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
        [int(onp.flatnonzero((X == x).all(1))[0]) for x in onp.concatenate([a for a, _ in run])]
        for run in (first, second)
    ]
    assert len(set(rows[0])) == 10 and rows[0] != rows[1] and rows[0] != sorted(rows[0])
    assert [pictures[i][1] for i in rows[0]] == onp.concatenate([y for _, y in first]).tolist()


def test_views_are_always_the_same(resnet, pictures):
    below, _ = frozen.cut(resnet, 0)
    random.seed(3)
    expected = random.Random(3).random()
    read = functools.partial(below.pixels, pictures, 32, 2)
    assert random.random() == expected  # other random numbers don't change
    X = read(range(24))
    random.seed(4)
    state = random.getstate()
    assert (read(range(24)) == X).all() and random.getstate() == state
    assert all((X[i] != X[12 + i]).any() for i in range(12))
    data_iter = below.batches(pictures, 32, 24, views=2)
    ((Y, labels),) = data_iter
    assert (Y.asnumpy() == X).all() and labels.asnumpy().tolist() == [label for _, label in pictures] * 2
    assert (below.pixels(pictures, 32, 0, range(12)) != X[:12]).any()


# ---- 8-bit integers


@pytest.mark.parametrize('make', [vision.resnet18_v2, vision.squeezenet1_1])
def test_int8_is_nearly_the_same(pictures, make, capsys):
    net = source(make, 64)
    below, _ = frozen.cut(net, 'output')
    small = frozen.int8(below, pictures, 64)
    assert small.key != below.key and is_np_array()
    exact = onp.array(below.features(pictures, 64)).reshape(12, -1)
    rounded = onp.array(small.features(pictures, 64)).reshape(12, -1)
    assert is_np_array() and 'float32' not in capsys.readouterr().out
    cosine = (exact * rounded).sum(1) / onp.linalg.norm(exact, axis=1) / onp.linalg.norm(rounded, axis=1)
    assert cosine.mean() > 0.99 and (exact != rounded).any()


def test_int8_is_not_calibrated_if_all_is_in_the_cache(resnet, pictures, monkeypatch):
    below, _ = frozen.cut(resnet, 'stage2')
    monkeypatch.setattr(frozen, 'quantize', lambda block, X: block)
    frozen.int8(below, pictures, 32).features(pictures, 32)
    monkeypatch.setattr(frozen, 'quantize', None)
    frozen.int8(below, pictures, 32).features(pictures, 32)
    assert frozen.int8(below, pictures[:6], 32).key != frozen.int8(below, pictures, 32).key


@pytest.mark.parametrize('at', [0, 'stage2'])
def test_float32_where_int8_cannot_run(resnet, pictures, monkeypatch, capsys, at):
    def fails(*args, **kwargs):
        assert not is_np_array()
        raise RuntimeError('no')

    monkeypatch.setattr(frozen, 'quantize_net_v2', fails)
    below, _ = frozen.cut(resnet, at)
    exact = onp.array(below.features(pictures, 32))
    assert (frozen.int8(below, pictures, 32).features(pictures, 32) == exact).all()
    assert 'runs in float32' in capsys.readouterr().out and is_np_array()


def test_float32_where_int8_changes_too_much(resnet, pictures, capsys):
    below, _ = frozen.cut(resnet, 'stage2')
    X = below.pixels(pictures, 32, 0, range(4))
    assert frozen.quantize(below.block, X, least=1.01) is below.block
    assert 'change too much' in capsys.readouterr().out


def test_numpy_is_on_again_after_an_exception():
    def fails():
        assert not is_np_array()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        mended_mxnet.without_numpy(fails)
    assert is_np_array() and np.ones(()).shape == ()
