"""Training: what a step computes, what its table says, how it ends: by itself, by Ctrl-C, with a wrong number."""

import fractions
import io
import re
import sys
import time

import mended_mxnet

import numpy as onp
import pytest
from helpers import CPUS, examples, fill, gradients, same, sentence, tiny, values
from mxnet import autograd, np, npx
from mxnet.gluon import nn

import frozen
import utils
from folders import Pictures

WRONG = [None, 'x', True, float('nan'), float('inf'), -0.1, [1], onp.array([1, 2]), 1j]


# ---- A step ---------------------------------------------------------------------------------------------------------


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


def test_two_devices_have_the_same_statistics_when_valid_is_asked(monkeypatch):
    monkeypatch.setattr(utils, 'devices', lambda: CPUS)
    net, seen = tiny(), []

    def accuracy(*_):
        seen.extend(param.list_data() for name, param in net.collect_params().items() if 'running' in name)
        return 0.5

    before = values(net)
    monkeypatch.setattr(utils, 'accuracy', accuracy)
    utils.train(net, examples(8, 4), examples(4), 1, lr=0.1)
    assert seen and all((a.asnumpy() == b.asnumpy()).all() for a, b in seen)
    assert any((values(net)[name] != before[name]).any() for name in before if 'running' in name)


def test_fewer_pictures_than_devices(monkeypatch):
    monkeypatch.setattr(utils, 'devices', lambda: CPUS)
    assert 'batch of 1 is too small for 2 devices' in sentence(utils.train, tiny(), examples(5), examples(4), 1, 0.1)


# ---- The table ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('n, batch_size', [(12, 4), (11, 4), (40, 32), (3, 32), (1, 4)])
def test_the_table_of_a_training(n, batch_size):
    """With lr = 0 nothing is learned, and all can be counted by hand: per picture seen, also in a short last batch."""
    net, train_iter, valid_iter = tiny(list('abc')), examples(n, batch_size, 3), examples(7, 3, 3)
    loss, correct = 0, 0
    for X, y in train_iter:
        with autograd.train_mode():
            p = npx.softmax(net(X)).asnumpy()
        loss -= onp.log(p[range(len(X)), y.asnumpy()]).sum() / n
        correct += (p.argmax(1) == y.asnumpy()).sum() / n
    history = utils.train(net, train_iter, valid_iter, 2, 0)
    right = sum(int((net(X).asnumpy().argmax(1) == y.asnumpy()).sum()) for X, y in valid_iter)
    assert history.epoch.tolist() == [1, 2]
    assert history.loss.tolist() == pytest.approx([loss, loss], abs=1e-5)
    assert history.train.tolist() == pytest.approx([correct, correct])
    assert history.valid.iloc[-1] == pytest.approx(right / 7)
    assert (history['pictures/s'] * history.seconds).tolist() == pytest.approx([n, n])


def test_a_network_that_is_always_right_is_right_in_every_picture():
    net = tiny()
    for param in net.collect_params().values():
        param.set_data(param.data() * 0)
    net.output.bias.set_data(np.array([5, -5]))
    always_a = [(X, y * 0) for X, y in examples(40, 32)]
    history = utils.train(net, always_a, always_a, 1, lr=0)
    assert history.train.tolist() == history.valid.tolist() == [1]


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


@pytest.mark.slow
def test_a_terminal_shows_a_bar_that_moves_and_ends(monkeypatch):
    class Slow(list):
        def __iter__(self):
            for batch in list.__iter__(self):
                time.sleep(0.15)  # a bar is drawn ten times a second
                yield batch

    monkeypatch.setattr(sys, 'stderr', terminal := io.StringIO())
    history = utils.train(tiny(), Slow(examples(12)), examples(4), 2, lr=0.1)
    shown = terminal.getvalue()
    done = [int(k) for k in re.findall(r'(\d+)/6', shown)]
    assert done == sorted(done) and {1, 2, 3, 4, 5} <= {*done}
    assert f'epoch=1, loss={history.loss[0]:.3f}, valid={history.valid[0]:.3f}' in shown
    assert shown.split('\r')[-2].strip() == ''  # gone at the end


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
        assert param.list_ctx() == devices and param._trainer is None
        assert all((a.asnumpy() == param.list_data()[0].asnumpy()).all() for a in param.list_data())


@pytest.fixture
def scripted(monkeypatch):
    """Valid accuracies that a test decides; the list that is returned has the weights after every epoch."""

    def script(net, accuracies):
        seen, accuracies = [], iter(accuracies)
        monkeypatch.setattr(utils, 'accuracy', lambda *_: seen.append(values(net)) or next(accuracies))
        return seen

    return script


@pytest.mark.parametrize(
    'patience, valid, done',
    [
        (1, [0.5, 0.5], 2),  # an equal one is no better one
        (1, [0.1, 0.2, 0.1], 3),
        (2, [0.3, 0.2, 0.4, 0.1, 0.4], 5),
        (3, [0.0, 0.0, 0.0, 0.0], 4),
        (5, [0.5, 0.4, 0.3, 0.2, 0.1], 5),  # the cap comes first
        (None, [0.5, 0.4, 0.3, 0.2, 0.1], 5),
    ],
)
def test_it_ends_after_so_many_epochs_without_a_better_one(scripted, patience, valid, done):
    net = tiny()
    seen = scripted(net, valid)
    history = utils.train(net, examples(8), examples(4), 5, lr=0.1, patience=patience)
    assert history.epoch.tolist() == [*range(1, done + 1)] and history.valid.tolist() == valid
    assert same(values(net), seen[valid.index(max(valid))])


def test_who_watches_sees_the_table_so_far(scripted):
    seen, net = [], tiny()
    scripted(net, [0.5, 0.9, 0.7])
    history = utils.train(net, examples(8), examples(4), 3, lr=0.1, watch=seen.append)
    assert [table.epoch.tolist() for table in seen] == [[1], [1, 2], [1, 2, 3]]
    assert all(table.equals(history[: len(table)]) for table in seen)
    again, counted = [], tiny()
    scripted(counted, [0.5, 0.5, 0.5])
    utils.train(counted, examples(8), examples(4), 9, lr=0.1, patience=1, watch=again.append)
    assert [len(table) for table in again] == [1, 2]


def test_two_do_not_draw_each_others_random_numbers():
    """As a widget and a cell would; afterwards, and after an error, there is nobody else."""
    said, other = [], tiny()

    def watch(_):
        said.append(sentence(utils.seed_everything, 0))
        said.append(sentence(utils.train, other, examples(4), examples(4), 1, 0.1))

    utils.train(tiny(), examples(4), examples(4), 1, 0.1, watch=watch)
    assert len(said) == 2 and all('Something else trains here' in words for words in said)
    assert 'num_epochs' in sentence(utils.train, tiny(), examples(4), examples(4), 0, 0.1)
    utils.seed_everything(0)


def test_who_watches_changes_nothing():
    def spoils(table):
        table[:] = 0

    watched, alone = (utils.train(tiny(), examples(8), examples(4), 3, 0.1, watch=w) for w in (spoils, None))
    columns = ['epoch', 'loss', 'train', 'valid']
    assert watched[columns].equals(alone[columns])


def test_seeds_repeat_a_training_exactly(tmp_path):
    fill(tmp_path, {'a': 6, 'b': 6}, size=(24, 24))
    pictures = [(tmp_path / name / f'{k}.png', i) for i, name in enumerate('ab') for k in range(6)]

    def run(seed):
        utils.seed_everything(seed)
        net = utils.from_scratch(['a', 'b'], 'tiny')
        train_iter = utils.batches(pictures, net, 16, 5, train=True)
        history = utils.train(net, train_iter, utils.batches(pictures, net, 16, 5), 2, lr=0.1)
        return values(net), history[['epoch', 'loss', 'train', 'valid']]

    (weights, table), (again, table_again), (other, other_table) = run(0), run(0), run(1)
    assert same(weights, again) and table.equals(table_again)
    assert not same(weights, other) and not table.equals(other_table)


# ---- What was given -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('value', WRONG)
def test_what_is_no_number(value):
    for name in 'lr', 'wd', 'head':
        options = {'lr': 0.1, name: value}
        assert sentence(utils.train, tiny(), examples(4), examples(4), 1, **options).startswith(f'{name} is {value!r}')


@pytest.mark.parametrize('value', [*WRONG, 0, 2.0, 1.5])
def test_what_is_no_number_of_epochs(value):
    assert sentence(utils.train, tiny(), examples(4), examples(4), value, 0.1).startswith(f'num_epochs is {value!r}')


@pytest.mark.parametrize('value', [*WRONG[1:], 0, 2.0, 1.5])
def test_what_is_no_patience(value):
    net = tiny()
    before = values(net)
    text = sentence(utils.train, net, examples(4), examples(4), 1, 0.1, patience=value)
    assert text.startswith(f'patience is {value!r}; give a whole number, 1 or more') and same(values(net), before)


def test_numbers_of_other_kinds():
    for lr in onp.float32(0.1), onp.int64(1), fractions.Fraction(1, 10), 1:
        assert len(utils.train(tiny(), examples(4), examples(4), onp.int32(2), lr, onp.float64(0), onp.int8(1))) == 2
    for options in {'lr': 1e300}, {'lr': 1e29, 'head': 1e9}, {'lr': 1, 'wd': 1e39}:
        assert 'take smaller' in sentence(utils.train, tiny(), examples(4), examples(4), 1, **options)


def test_class_numbers_of_other_kinds():
    """Whole numbers in any type; not a table of them, with which accuracy could be 2."""
    histories = [
        utils.train(tiny(), [(X, y.astype(kind)) for X, y in examples(8)], examples(4), 1, 0.1)[
            ['loss', 'train', 'valid']
        ]
        for kind in ('int64', 'int32', 'uint8', 'float32')
    ]
    assert all(history.equals(histories[0]) for history in histories)
    table = [(X, y.reshape(-1, 1)) for X, y in examples(4)]
    assert 'one number for each picture' in sentence(utils.train, tiny(), table, examples(4), 1, 0.1)
    assert 'one number for each picture' in sentence(utils.predictions, tiny(), table)


def test_a_network_that_is_frozen_altogether():
    net = tiny()
    net.collect_params().setattr('grad_req', 'null')
    assert 'let some of it train' in sentence(utils.train, net, examples(4), examples(4), 1, 0.1)


def test_batches_without_a_length():
    class Endless:
        def __iter__(self):
            return iter(examples(8))

    assert len(utils.train(tiny(), Endless(), Endless(), 2, lr=0.1)) == 2
    net = tiny()
    before = values(net)
    text = sentence(utils.train, net, iter(examples(8)), examples(4), 2, 0.1)  # nothing is left for the second
    assert 'no pictures to train on' in text and not same(values(net), before)  # the first epoch is kept
    for train_iter, valid_iter in ([], examples(4)), (examples(4), []), (examples(4), iter(())):
        assert 'no pictures to' in sentence(utils.train, tiny(), train_iter, valid_iter, 1, 0.1)


def test_pictures_that_the_network_can_not_take():
    for wrong in examples(4)[0][0][:, :2], np.zeros((4, 3)), np.zeros((4, 3, 1, 1)):
        batch = [(wrong, np.zeros(4, dtype='int64'))]
        for train_iter, valid_iter in (batch, examples(4)), (examples(4), batch):
            assert 'batches of the shape' in sentence(utils.train, tiny(), train_iter, valid_iter, 1, 0.1)
        assert 'batches of the shape' in sentence(utils.predictions, tiny(), batch)


# ---- Classes --------------------------------------------------------------------------------------------------------


def test_classes_are_compared_by_name(tmp_path):
    fill(tmp_path, {'burger': 6, 'hotdog': 6}, size=(20, 20))
    pictures = [(tmp_path / name / f'{k}.png', i) for i, name in enumerate(['burger', 'hotdog']) for k in range(6)]
    pictures = Pictures(pictures, ['burger', 'hotdog'])
    net, right = tiny(['hotdog', 'not-hotdog']), tiny(['burger', 'hotdog'])
    for part in pictures, pictures[::5]:
        of_all = utils.batches(part, net, 16, 2), frozen.cut(net, 0)[0].batches(part, 16, 2, train=True)
        for data_iter in of_all:
            for call in (
                lambda data_iter=data_iter: utils.predictions(net, data_iter),
                lambda data_iter=data_iter: utils.train(net, data_iter, data_iter, 1, 0.1),
                lambda data_iter=data_iter: utils.train(frozen.cut(net, 0)[1], examples(4), data_iter, 1, 0.1),
            ):
                text = sentence(call)
                assert 'knows hotdog, not-hotdog and the pictures are of burger, hotdog' in text
            assert len(utils.predictions(right, data_iter)[1]) in (12, 3, 2)
    turned = utils.batches(Pictures(pictures, ['hotdog', 'burger']), net, 16, 2)
    assert 'knows burger, hotdog and the pictures are of hotdog, burger' in sentence(utils.predictions, right, turned)
    with_tuple = utils.batches(Pictures(pictures, ('burger', 'hotdog')), net, 16, 2)
    assert len(utils.predictions(right, with_tuple)[1]) == 12


def test_a_class_without_an_output():
    """Lists made by hand don't say their classes; MXNet would take the last output for every larger number."""
    three = examples(6, classes=3)
    text = 'from 0 to 2, and the network has 2 outputs'
    assert text in sentence(
        utils.predictions, tiny(), [(np.concatenate([X for X, _ in three]), np.array([0, 1, 2] * 2, dtype='int64'))]
    )
    assert 'and the network has 2 outputs' in sentence(utils.train, tiny(), three, examples(4), 1, 0.1)
    assert 'from -1.0 to 0.0' in sentence(
        utils.predictions, tiny(), [(X, y.astype('float32') - 1) for X, y in examples(4)]
    )
    assert 'from -1 to 0' in sentence(utils.predictions, tiny(), [(X, y - 1) for X, y in examples(4)])
