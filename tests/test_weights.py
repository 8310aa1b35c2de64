"""The source network in the box: Gluon gives what PyTorch gave when it was trained."""

from pathlib import Path

import numpy as onp
from mxnet import np
from safetensors.numpy import load_file

import utils

FIXTURE = load_file(Path(__file__).parent / 'fixtures' / 'resnet18_v2.safetensors')


def test_outputs_are_those_of_pytorch():
    net = utils.pretrained('resnet18_v2')
    X = FIXTURE['X'].repeat(4, 1).repeat(4, 2)
    X = onp.stack([utils.normalize(x, net.mean, net.std) for x in X])
    assert onp.abs(net(np.array(X)).asnumpy() - FIXTURE['scores']).max() < 1e-4


def test_both_source_networks_know_the_hot_dog_by_name():
    for name in utils.NETWORKS:
        net = utils.pretrained(name)
        assert net.classes.index('hotdog') == 934
        assert net(np.zeros((1, 3, 64, 64))).shape == (1, 1000)


def test_weights_are_half_precision_and_small():
    path = utils.ROOT / 'data' / 'weights' / 'resnet18_v2.safetensors'
    assert path.stat().st_size < 24e6
    assert {array.dtype for array in utils.read_weights(path)[0].values()} == {onp.dtype('f2')}
