"""Whatever ends a training, Ctrl-C, an error, a wrong number: the network is usable and has its best weights."""

import copy
import signal

import mended_mxnet

import numpy as onp
import pytest
from helpers import contents, examples, fill, red_and_blue, same, sentence, tiny, values
from mxnet import np

import frozen
import utils

SIZE = 16


def press(*_):
    signal.raise_signal(signal.SIGINT)


@pytest.fixture(autouse=True)
def a_terminal():
    """Where Ctrl-C is a KeyboardInterrupt; a shell's background job ignores it."""
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, old)


class Before(list):
    """Batches; before number `at` of the whole training something happens."""

    def __init__(self, batches, at, happens=press):
        super().__init__(batches)
        self.left, self.happens = at, happens

    def __iter__(self):
        for batch in list.__iter__(self):
            self.left -= 1
            if self.left == 0:
                self.happens()
            yield batch


def fails():
    raise OSError('a picture is gone')


def broken_picture():
    raise utils.Problem('x.jpg cannot be read.')


def check_usable(net, tmp_path):
    """It can be copied, saved, loaded, trained, and is not compiled."""
    assert not net._active and not net.features._active
    assert same(values(copy.deepcopy(net)), values(net))
    utils.save(net, tmp_path / 'net.safetensors', SIZE)
    assert same(values(utils.load(tmp_path / 'net.safetensors')), values(net))
    assert len(utils.train(utils.with_new_head(net, ['x', 'y']), examples(8), examples(4), 1, lr=0.1)) == 1
    assert len(utils.train(net, examples(8), examples(4), 1, lr=0.1)) == 1


@pytest.fixture
def epochs(monkeypatch):
    """The weights after every epoch, and a decreasing valid accuracy: the first are the best."""
    seen = []
    monkeypatch.setattr(utils, 'accuracy', lambda *_: seen.append(values(net_of[0])) or 1 - len(seen) / 10)
    net_of = []
    return seen, net_of


# ---- Ctrl-C and errors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize('happens, raised', [(press, utils.Stopped), (fails, OSError)])
@pytest.mark.parametrize('train_at, valid_at, done', [(1, 0, 0), (3, 0, 0), (0, 1, 0), (4, 0, 1), (0, 2, 1), (8, 0, 2)])
def test_something_happens_while_batches_are_read(epochs, tmp_path, happens, raised, train_at, valid_at, done):
    net = tiny()
    seen, net_of = epochs
    net_of.append(net)
    start = values(net)
    train_iter, valid_iter = Before(examples(12), train_at, happens), Before(examples(4), valid_at, happens)
    with pytest.raises(raised) as info:
        utils.train(net, train_iter, valid_iter, 5, lr=0.1)
    assert len(seen) == done and same(values(net), seen[0] if done else start)
    if raised is utils.Stopped:
        assert info.value.history.epoch.tolist() == [1, 2][:done] and 'loss' in info.value.history
        assert str(info.value) == f'Stopped after {done} of 5 epochs.'
        assert info.value._render_traceback_() == [str(info.value)]  # what Jupyter calls
        assert info.value.__suppress_context__ or info.value.__context__ is None
    check_usable(net, tmp_path)


@pytest.mark.parametrize('happens, raised', [(press, utils.Stopped), (fails, OSError), (broken_picture, utils.Problem)])
def test_something_happens_in_who_watches(epochs, tmp_path, happens, raised):
    """The epoch that is watched counts as done."""
    net = tiny()
    seen, net_of = epochs
    net_of.append(net)
    with pytest.raises(raised) as info:
        utils.train(net, examples(12), examples(4), 5, lr=0.1, watch=lambda table: len(table) == 2 and happens())
    assert len(seen) == 2 and same(values(net), seen[0])
    if raised is utils.Stopped:
        assert info.value.history.epoch.tolist() == [1, 2]
    check_usable(net, tmp_path)


@pytest.mark.parametrize('name', ['trainer_of', 'train_epoch', 'train_step', 'predictions', 'weights_of', 'give_back'])
def test_ctrl_c_at_the_end_of_any_step(monkeypatch, tmp_path, name):
    """Pressed when `name` has done its work, for the second time where there is one."""
    net, calls = tiny(), []
    original = getattr(utils, name)

    def pressed(*args):
        result = original(*args)
        calls.append(name)
        if len(calls) == (1 if name in ('trainer_of', 'give_back') else 2):
            press()
        return result

    monkeypatch.setattr(utils, name, pressed)
    with pytest.raises(KeyboardInterrupt):
        utils.train(net, examples(12), examples(4), 3, lr=0.1)
    monkeypatch.undo()
    net.hybridize(active=False)
    check_usable(net, tmp_path)


@pytest.mark.parametrize('times', [1, 2, 5])
@pytest.mark.parametrize('stopped_before', [False, True])
def test_ctrl_c_again_while_the_best_weights_are_put_back(monkeypatch, tmp_path, times, stopped_before):
    net, original, left = tiny(), utils.set_weights, [times]
    start = values(net)

    def set_weights(net, weights):
        for param in list(net.collect_params().values())[:3]:
            param.set_data(param.data() * 0)  # it has begun
        if left[0]:
            left[0] -= 1
            press()
        return original(net, weights)

    monkeypatch.setattr(utils, 'set_weights', set_weights)
    train_iter = Before(examples(12), 1 if stopped_before else 0)
    with pytest.raises(utils.Stopped) as info:
        utils.train(net, train_iter, examples(4), 2, lr=0.1)
    monkeypatch.undo()
    assert left == [0] and len(info.value.history) == (0 if stopped_before else 2)
    assert same(values(net), start) == stopped_before
    check_usable(net, tmp_path)


def test_a_loop_over_seeds_stops():
    ran = []
    with pytest.raises(KeyboardInterrupt):  # which Stopped is
        for seed in range(3):
            ran.append(seed)
            utils.train(tiny(seed=seed), Before(examples(12), 1), examples(4), 2, lr=0.1)
    assert ran == [0]


@pytest.mark.parametrize('at', [2, *(pytest.param(at, marks=pytest.mark.slow) for at in (1, 3))])
def test_ctrl_c_in_the_estimate(tmp_path, monkeypatch, at):
    dataset = utils.find_data(fill(tmp_path, {'a': 30, 'b': 30}, size=(20, 20)))
    original = utils.batches
    monkeypatch.setattr(utils, 'batches', lambda *args, **options: Before(list(original(*args, **options)), at))
    with pytest.raises(KeyboardInterrupt):
        utils.estimate(dataset, 32, 4)


def test_ctrl_c_before_the_shapes_are_known(tmp_path):
    net = utils.from_scratch(['a', 'b'], 'tiny')
    with pytest.raises(utils.Stopped):
        utils.train(net, Before(examples(12), 1), examples(4), 2, lr=0.1)
    net(np.zeros((1, 3, 16, 16)))
    check_usable(net, tmp_path)


@pytest.mark.parametrize('happens, raised', [(press, KeyboardInterrupt), (broken_picture, utils.Problem)])
def test_the_frozen_part_is_stopped(tmp_path, monkeypatch, cache, happens, raised):
    net, pictures = tiny(), red_and_blue(tmp_path, 4)
    below, above = frozen.cut(net, 2)
    expected = onp.array(below.features(pictures, SIZE))
    for file in cache.iterdir():
        file.unlink()
    original = frozen.reading.view
    monkeypatch.setattr(frozen.reading, 'view', lambda *args: happens())
    with pytest.raises(raised):
        below.batches(pictures, SIZE, 2)
    assert not contents(cache)
    monkeypatch.setattr(frozen.reading, 'view', original)
    assert (below.features(pictures, SIZE) == expected).all()
    data_iter = below.batches(pictures, SIZE, 2)
    assert len(utils.train(above, data_iter, data_iter, 1, lr=0.1)) == 1
    check_usable(net, tmp_path)


# ---- What is not a number -------------------------------------------------------------------------------------------


def test_too_large_steps(tmp_path):
    """It ends in the first epoch whose numbers are none, and says so; such weights are never kept."""
    for lr in 1e6, 1e20, 1e29:
        net = tiny()
        before = values(net)
        assert 'take a smaller lr' in sentence(utils.train, net, examples(40), examples(8), 3, lr)
        assert same(values(net), before)
    check_usable(net, tmp_path)


def test_only_the_last_step_was_too_large():
    """The loss of every step is a number, and the weights after the last one are not."""
    net, batches = tiny(), examples(8)
    batches[-1] = batches[-1][0] * 1e30, batches[-1][1]
    before = values(net)
    text = sentence(utils.train, net, batches, examples(4), 1, 1)
    assert 'not a number' in text
    assert same(values(net), before)


def test_weights_that_valid_does_not_show(monkeypatch):
    net = tiny()
    before, original = values(net), utils.predictions

    def predictions(net, data_iter):
        found = original(net, data_iter)
        net.features[1].running_var.set_data(np.full((4,), float('nan')))
        return found

    monkeypatch.setattr(utils, 'predictions', predictions)
    text = sentence(utils.train, net, examples(8), examples(4), 1, 0.1)
    assert 'features.1.running_var is not a number' in text and same(values(net), before)


@pytest.mark.parametrize('at', [0, 2])
@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_pictures_that_are_no_numbers(at, value):
    """The pictures are named as the reason, and not lr."""
    net, broken = tiny(), examples(12)
    before = values(net)
    broken[at] = broken[at][0].copy(), broken[at][1]
    broken[at][0][1, 2, 3, 4] = value
    for call in (
        lambda: utils.train(net, broken, examples(4), 2, 0.01),
        lambda: utils.train(net, examples(4), broken, 2, 0),
        lambda: utils.predictions(net, broken),
    ):
        text = sentence(call)
        assert 'see where these batches come from' in text and 'lr' not in text
    after = values(net)
    assert all((after[name] == before[name]).all() for name in before if 'running' not in name)


def test_weights_that_are_no_numbers(tmp_path):
    net, broken = tiny(), tiny()
    broken.output.bias.set_data(np.array([0, float('nan')]))
    assert 'output.bias is not a number' in sentence(utils.train, broken, examples(8), examples(4), 1, 0.1)
    assert 'is not a number' in sentence(utils.predictions, broken, examples(4))
    (path, _), *_ = red_and_blue(tmp_path, 1)
    assert 'is not a number' in sentence(utils.predict, broken, path, SIZE)
    assert utils.predict(net, path, SIZE)
