"""Testing: predictions, accuracy and its interval, one picture, the estimate of a training."""

import mended_mxnet

import numpy as onp
import pytest
from helpers import CPUS, examples, fill, noise, same, sentence, tiny, values
from mxnet import np
from PIL import Image
from scipy.stats import binomtest

import utils


@pytest.mark.parametrize('devices', [CPUS[:1], CPUS])
@pytest.mark.parametrize('n, batch_size', [(11, 4), (9, 4), (4, 4), (3, 1)])
def test_predictions_by_hand(n, batch_size, devices):
    """The last batch incomplete, even one picture for two devices."""
    net, batches = tiny(list('abc')), examples(n, batch_size, 3)
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


@pytest.mark.parametrize('n, quantile', [(2, 12.706), (3, 4.303), (5, 2.776), (10, 2.262), (30, 2.045)])
def test_one_more_run_by_hand(n, quantile):
    """Half of the results are 0.8 and half 0.9, or one is between them; 97.5 % quantiles of a printed table of t."""
    results = [0.8, 0.9] * (n // 2) + [0.85] * (n % 2)
    deviation = (sum((x - 0.85) ** 2 for x in results) / (n - 1)) ** 0.5
    half = quantile * deviation * (1 + 1 / n) ** 0.5
    assert utils.prediction_interval(results) == pytest.approx((0.85 - half, 0.85 + half), rel=1e-3)
    assert utils.prediction_interval(onp.array(results)) == pytest.approx(utils.prediction_interval(results))


@pytest.mark.parametrize('n', [2, 3, 5])
def test_one_more_run_lies_in_its_interval_19_times_of_20(n):
    draws = onp.random.default_rng(0).normal(0.8, 0.02, (4000, n + 1))
    ends = onp.array([utils.prediction_interval(row[:n]) for row in draws])
    inside = (ends[:, 0] <= draws[:, n]) & (draws[:, n] <= ends[:, 1])
    assert inside.mean() == pytest.approx(0.95, abs=0.011)  # three standard errors


@pytest.mark.parametrize('results', [[], [0.8]])
def test_one_run_says_nothing_of_the_next(results):
    assert f'{len(results)} results say nothing' in sentence(utils.prediction_interval, results)


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
        assert (expected.asnumpy() == X).all()


def test_predict_without_a_size(tmp_path):
    Image.new('RGB', (8, 8)).save(tmp_path / 'x.png')
    assert 'px' in sentence(utils.predict, tiny(), tmp_path / 'x.png')


def test_predict_of_no_file(tmp_path):
    assert str(tmp_path / 'none.jpg') in sentence(utils.predict, tiny(), tmp_path / 'none.jpg', 16)


@pytest.mark.parametrize('thing', [None, 3, b'x', 'no file.jpg', onp.zeros((2, 2, 2, 2)), onp.full((4, 4), onp.nan)])
def test_predict_of_what_is_no_picture(thing):
    assert "can't be read as a picture" in sentence(utils.predict, tiny(), thing, 16)


def test_predict_of_an_image_and_of_an_array(tmp_path):
    net, image = tiny(), noise(60, 50)
    image.save(tmp_path / 'x.png')
    expected = utils.predict(net, tmp_path / 'x.png', 16)
    assert utils.predict(net, image, 16) == utils.predict(net, onp.asarray(image), onp.int64(16)) == expected


@pytest.mark.parametrize('top', [None, 'x', 2.0, True, 0, -1, float('nan')])
def test_what_is_no_top(top):
    assert sentence(utils.predict, tiny(), noise(8, 8), 16, top).startswith(f'top is {top!r}; give a whole number')


# ---- The estimate ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_estimate_is_near_what_an_epoch_takes(tmp_path):
    """Within a factor of four, which allows for another job on this machine."""
    data = utils.find_data(fill(tmp_path, dict.fromkeys(('a', 'b', 'c'), 60)))
    foretold = min(utils.estimate(data, 32, 16) for _ in range(3))
    net = utils.from_scratch(data.classes)
    train_iter, valid_iter = (utils.batches(data[split], net, 32, 16, split == 'train') for split in ('train', 'valid'))
    utils.train(net, train_iter, valid_iter, 1, lr=0.01)  # the first epoch sets everything up
    taken = utils.train(net, train_iter, valid_iter, 3, lr=0.01).seconds.min()
    assert taken / 4 < foretold < 4 * taken


@pytest.mark.parametrize('value', [None, 'x', 8.0, True, 0, -1, float('nan')])
def test_what_can_not_be_estimated(tmp_path, value):
    data = utils.find_data(fill(tmp_path, {'a': 30, 'b': 30}))
    assert sentence(utils.estimate, data, value, 4).startswith(f'px is {value!r}')
    assert sentence(utils.estimate, data, 16, value).startswith(f'batch_size is {value!r}')
