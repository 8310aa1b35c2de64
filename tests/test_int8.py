"""The frozen part in 8-bit integers: nearly the same, or float32 where that can't be."""

import mended_mxnet

import numpy as onp
import pytest
from helpers import red_and_blue, source
from mxnet.gluon.model_zoo import vision
from mxnet.util import is_np_array

import frozen


@pytest.fixture(autouse=True)
def with_cache(cache):
    return cache


@pytest.fixture
def pictures(tmp_path):
    return red_and_blue(tmp_path)


@pytest.fixture(scope='module')
def resnet():
    return source()


@pytest.mark.parametrize('make', [pytest.param(vision.resnet18_v2, marks=pytest.mark.slow), vision.squeezenet1_1])
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


calibrated = []  # numbers of pictures; not a part of the function that notes them, whose code belongs to the key


def noting(block, X):
    calibrated.append(len(X))
    return block


def test_it_is_not_calibrated_if_all_is_in_the_cache(resnet, pictures, monkeypatch):
    below, _ = frozen.cut(resnet, 'stage2')
    calibrated.clear()
    monkeypatch.setattr(frozen, 'quantize', noting)
    frozen.int8(below, pictures, 32).features(pictures, 32)
    assert calibrated == [12]
    frozen.int8(below, pictures, 32).features(pictures, 32)
    assert calibrated == [12]
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


@pytest.mark.parametrize('n', [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (3, 12))])
def test_int8_of_few_pictures_and_twice(resnet, pictures, capsys, n):
    below, _ = frozen.cut(resnet, 'output')
    small = frozen.int8(below, pictures[:n], 32)
    again = frozen.int8(small, pictures[:n], 32)
    assert again.key == small.key != below.key
    assert (again.features(pictures, 32) == small.features(pictures, 32)).all()
    assert (small.features(pictures, 32) != below.features(pictures, 32)).any()
    assert 'float32' not in capsys.readouterr().out
