"""Networks: how they are built, copied, given heads, frozen; what they were trained for goes along."""

import copy
import math
import os
import random
import subprocess
import sys
import tracemalloc

import mended_mxnet

import numpy as onp
import pytest
from helpers import CPUS, Tiny, examples, gradients, same, sentence, source, tiny, values
from mxnet import autograd, np, npx
from mxnet.gluon import nn
from mxnet.gluon.model_zoo import vision

import frozen
import heads
import utils
from files import ROOT
from problem import Problem

WRONG_WHOLE = [None, 'x', 8.0, 16.5, True, float('nan'), float('inf'), -1, [1], onp.float32(2), onp.array([1, 2])]
HEADS = {
    'softmax': ['Dense'],
    'dense256': ['Flatten', 'Dense', 'Dropout', 'Dense'],
    'batchnorm1024': ['BatchNorm', 'Dense', 'Dense'],
}


def test_a_problem_is_shown_as_its_sentence():
    assert Problem('No such folder.')._render_traceback_() == ['No such folder.']  # what Jupyter calls


@pytest.mark.parametrize(
    'raised, shown', [("Problem('No é.')", ['No \\xe9.']), ('ValueError(1)', ['Traceback', 'ValueError: 1'])]
)
def test_a_problem_ends_a_program_with_its_sentence(raised, shown):
    env = {**os.environ, 'PYTHONPATH': str(ROOT), 'PYTHONIOENCODING': 'ascii'}
    command = [sys.executable, '-c', f'from problem import Problem\nraise {raised}']
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    lines = done.stderr.splitlines()
    assert done.returncode == 1 and done.stdout == '' and lines[0].startswith(shown[0]) and lines[-1] == shown[-1]


# ---- Seeds and devices ----------------------------------------------------------------------------------------------


def test_seeds_repeat_all_three_generators():
    def draw(seed):
        utils.seed_everything(seed)
        return random.random(), float(onp.random.rand()), float(np.random.uniform())

    assert draw(1) == draw(1) == draw(onp.int64(1))
    assert all(a != b for a, b in zip(draw(1), draw(2)))
    assert draw(2**32 - 1)  # the largest


@pytest.mark.parametrize('seed', [*WRONG_WHOLE, 2**32, 2**70])
def test_what_is_no_seed(seed):
    assert sentence(utils.seed_everything, seed).startswith(f'seed is {seed!r}; give a whole number')


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


# ---- Networks -------------------------------------------------------------------------------------------------------


def test_from_scratch_is_xavier():
    net = tiny(['a', 'b', 'c'])
    assert (net.network, net.classes) == ('tiny', ['a', 'b', 'c'])
    weights = values(net)
    for name, fan in ('features.0.weight', 3 * 9 + 4 * 9), ('output.weight', 8 + 3):
        bound = math.sqrt(3 / (fan / 2))  # Glorot and Bengio, 2010
        assert 0.8 * bound < abs(weights[name]).max() <= bound and len(onp.unique(weights[name])) > 20
    assert not weights['output.bias'].any() and (weights['features.1.gamma'] == 1).all()
    assert same(values(tiny()), values(tiny())) and not same(values(tiny()), values(tiny(seed=1)))


@pytest.mark.parametrize('make', [utils.with_new_head, frozen.with_head])
def test_a_copy_of_what_is_frozen_is_not_frozen(make):
    net = tiny()
    utils.freeze(net, len(net.features))
    frozen_weights = [param for param in make(net, ['x', 'y']).collect_params().values() if param.grad_req == 'null']
    fresh = [param for param in make(tiny(), ['x', 'y']).collect_params().values() if param.grad_req == 'null']
    assert len(frozen_weights) == len(fresh)


def test_from_scratch_knows_resnet():
    net = utils.from_scratch(['a', 'b'])
    assert net.network == 'resnet18_v2' and net(np.zeros((1, 3, 32, 32))).shape == (1, 2)


@pytest.mark.parametrize('classes', ['hotdog', '', [], ['a', 'a'], ['a', 1], ['a', None]])
def test_what_are_no_classes(classes):
    for call in (
        lambda: utils.from_scratch(classes, 'tiny'),
        lambda: utils.with_new_head(tiny(), classes),
        lambda: frozen.with_head(tiny(), classes, 'dense256'),
    ):
        assert 'list of different names' in sentence(call)


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


@pytest.mark.parametrize('make', [utils.with_new_head, frozen.with_head])
def test_a_copy_is_a_copy(make):
    """Whatever is done to the copy, every array of the source stays as it was, and so the other way round."""
    source = tiny(['a', 'b'])
    source.hybridize()
    source(examples(4)[0][0])  # compiled by the user
    before = values(source)
    net = make(source, ['a', 'b'])
    utils.train(net, examples(8), examples(4), 2, lr=0.1)
    assert same(values(source), before)
    after = values(net)
    assert all((value != before[name]).any() for name, value in after.items())
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


def test_a_copy_takes_no_memory_but_its_own():
    """MXNet's arrays are not Python's; their bytes would be, and those of them all at once."""
    source = utils.from_scratch(['a', 'b'])
    source(np.zeros((1, 3, 32, 32)))
    size = sum(value.nbytes for value in values(source).values())
    tracemalloc.start()
    utils.copied(source)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < size / 10


# ---- Heads ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('head', HEADS)
@pytest.mark.parametrize(
    'make', [pytest.param(vision.alexnet, marks=pytest.mark.slow), vision.resnet18_v2, vision.squeezenet1_1]
)
def test_heads(make, head):
    net = source(make, 64)
    before = utils.weights_of(net.features)
    X, new = np.ones((2, 3, 64, 64)), frozen.with_head(net, ['a', 'b', 'c'], head)
    assert new(X).shape == (2, 3) and new.classes == ['a', 'b', 'c'] and new.head == head
    assert new.features(X).ndim == (4 if head == 'dense256' else 2)
    layers = [type(layer).__name__ for layer in (new.output if hasattr(new.output, 'add') else [new.output])]
    assert layers == HEADS[head]
    npx.waitall()
    for param in new.features.collect_params().values():  # copied, not shared
        param.set_data(param.data() + 1)
    assert all((before[name] == a).all() for name, a in utils.weights_of(net.features).items())


@pytest.mark.parametrize('devices', [CPUS[:1], CPUS])
@pytest.mark.parametrize('head', HEADS)
def test_every_head_runs_on_vectors_and_on_maps(monkeypatch, head, devices):
    """[n, c] and [n, c, h, w]; hybridized and not, to train and to predict: the same numbers, and it learns."""
    monkeypatch.setattr(utils, 'devices', lambda: devices)
    for shape in (24,), (6, 2, 2):
        utils.seed_everything(0)
        net = utils.initialize(heads.on(nn.HybridSequential(), 2, head))
        X = onp.random.RandomState(0).normal(0, 1, (8, *shape)).astype('f4')
        X[::2, 0] += 3
        data = [(np.array(X), np.array([0, 1] * 4, dtype='int64'))]
        if len(shape) == 1 and head != 'dense256':  # what flattened them stands below a cut
            net = heads.Net(nn.HybridSequential(), net.output)
        history = utils.train(net, data, data, 8, lr=0.02)
        assert history.loss.iloc[-1] < history.loss.iloc[0] and onp.isfinite(history.loss).all()
        plain = utils.predictions(net, data)[0]
        net.hybridize()
        assert utils.predictions(net, data)[0] == pytest.approx(plain, abs=1e-5)


@pytest.mark.parametrize('first', HEADS)
@pytest.mark.parametrize('second', HEADS)
def test_another_head_on_a_network_that_has_one(first, second, tmp_path):
    """It is the head that it would have had on the source network, and can be saved and loaded."""
    net = frozen.with_head(frozen.with_head(tiny(), ['a', 'b'], first), ['x', 'y', 'z'], second)
    straight = frozen.with_head(tiny(), ['x', 'y', 'z'], second)
    X, _ = examples(4)[0]
    assert net(X).shape == straight(X).shape == (4, 3) and net.head == second
    shapes = {name: array.shape for name, array in values(net).items()}
    assert shapes == {name: array.shape for name, array in values(straight).items()}
    utils.save(net, tmp_path / 'net.safetensors', 16)
    loaded = utils.load(tmp_path / 'net.safetensors')
    assert (loaded(X) == net(X)).all() and loaded.head == second and loaded.classes == ['x', 'y', 'z']


def test_no_such_head():
    for head in 'svm', None, 3:
        text = sentence(frozen.with_head, tiny(), ['a', 'b'], head)
        assert f'no head "{head}"; choose one of softmax, dense256, batchnorm1024' in text
    assert 'frozen.with_head' in sentence(utils.with_new_head, frozen.with_head(tiny(), ['a', 'b'], 'dense256'), ['x'])


# ---- What it was trained for ----------------------------------------------------------------------------------------


def facts(net):
    return {name: getattr(net, name, None) for name in ('network', 'head', 'classes', 'px', 'mean', 'std')}


@pytest.mark.parametrize('head', HEADS)
def test_what_it_was_trained_for_goes_along(tmp_path, head):
    net = frozen.with_head(tiny(), ['a', 'b'], head)
    net.px, net.mean, net.std = 24, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    net(np.zeros((1, 3, 24, 24)))
    known = facts(net)
    assert known == {
        'network': 'tiny',
        'head': head,
        'classes': ['a', 'b'],
        'px': 24,
        'mean': (0.1, 0.2, 0.3),
        'std': (0.4, 0.5, 0.6),
    }
    assert facts(copy.deepcopy(net)) == known
    assert facts(frozen.with_head(net, ['x'], 'batchnorm1024')) == {**known, 'classes': ['x'], 'head': 'batchnorm1024'}
    utils.save(net, tmp_path / 'net.safetensors', 32)
    assert facts(utils.load(tmp_path / 'net.safetensors')) == {**known, 'px': 32}
    for part in frozen.cut(net, 2):
        assert facts(part) == {**known, 'network': None, 'head': None}


def test_a_new_head_keeps_the_colours_and_the_size():
    net = tiny()
    net.px, net.mean = 24, (0.1, 0.2, 0.3)
    new = utils.with_new_head(net, ['x', 'y'])
    assert facts(new) == {**facts(net), 'classes': ['x', 'y']}


# ---- Freezing -------------------------------------------------------------------------------------------------------


def moved_by_training(net, lr=0.1):
    """The names of what a training moves."""
    before = values(net)
    utils.train(net, examples(8), examples(4), 1, lr)
    return {name for name, value in values(net).items() if (value != before[name]).any()}


@pytest.mark.parametrize('devices', [CPUS[:1], CPUS])
@pytest.mark.parametrize(
    'blocks, frozen', [(0, ('-',)), (1, ('features.0.',)), (2, ('features.0.', 'features.1.')), (7, ('features.',))]
)
def test_what_is_frozen_stays_and_the_rest_moves(monkeypatch, blocks, frozen, devices):
    """Weights and BatchNorm statistics, those of a nested block too."""
    monkeypatch.setattr(utils, 'devices', lambda: devices)
    net = tiny()
    utils.freeze(net, onp.int64(blocks))
    assert moved_by_training(net) == {name for name in values(net) if not name.startswith(frozen)}


@pytest.mark.parametrize('by_hand', [False, True])
def test_frozen_and_free_again(by_hand):
    """Back and forth, before and after a training; by hand: as Gluon's book says, with grad_req."""

    def freeze(num_frozen):
        if not by_hand:
            return utils.freeze(net, num_frozen)
        for i, block in enumerate(net.features):
            block.collect_params().setattr('grad_req', 'null' if i < num_frozen else 'write')

    net = tiny()
    everything = values(net).keys()
    assert moved_by_training(net) == everything
    for num_frozen in 7, 0, 2, 4, 0:
        freeze(num_frozen)
        stays = tuple(f'features.{i}.' for i in range(num_frozen)) or ('-',)
        assert moved_by_training(net) == {name for name in everything if not name.startswith(stays)}


def test_a_block_in_the_middle_that_is_frozen_by_hand():
    """Gradients pass through it, by which MXNet would move its statistics."""
    net = tiny()
    net.features[3].collect_params().setattr('grad_req', 'null')
    assert moved_by_training(net) == {name for name in values(net) if not name.startswith('features.3.')}


def test_statistics_that_the_user_fixed_stay_fixed():
    class Fixed(Tiny):
        def __init__(self, classes):
            super().__init__(classes)
            self.features._children['1'] = nn.BatchNorm(use_global_stats=True)

    net = utils.initialize(Fixed(2))
    net(examples(4)[0][0])
    for num_frozen in 0, 7, 0:
        utils.freeze(net, num_frozen)
        moved = moved_by_training(net)
        assert not {'features.1.running_mean', 'features.1.running_var'} & moved
        assert ('features.1.gamma' in moved and 'features.3.1.running_mean' in moved) == (num_frozen == 0)


def test_frozen_and_cut():
    """Below the cut all is frozen, above it what was."""
    net = tiny()
    utils.freeze(net, 2)
    _, above = frozen.cut(net, 1)
    before = values(net)
    X = [(net.features[:1](X), y) for X, y in examples(8)]
    utils.train(above, X, X, 1, lr=0.1)
    moved = {name for name, value in values(net).items() if (value != before[name]).any()}
    assert moved == {name for name in before if not name.startswith(('features.0', 'features.1'))}


def test_a_frozen_network_gives_the_same_in_training_and_in_testing():
    net = tiny()
    utils.train(net, examples(8), examples(4), 1, lr=0.1)
    X, _ = examples(4)[0]
    with autograd.train_mode():
        free = net.features(X).asnumpy()
    utils.freeze(net, 7)
    with autograd.train_mode():
        fixed = net.features(X).asnumpy()
    assert (fixed == net.features(X).asnumpy()).all() and (fixed != free).any()


@pytest.mark.parametrize('num_frozen', [*WRONG_WHOLE, 8])
def test_so_many_blocks_can_not_be_frozen(num_frozen):
    assert sentence(utils.freeze, tiny(), num_frozen).startswith(f'num_frozen is {num_frozen!r}')
