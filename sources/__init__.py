"""Which source network: a row for each says how it is built, where its weights are and what colours it expects."""

import collections

import mended_mxnet

from mxnet.gluon.model_zoo import vision

from files import ROOT
from problem import Problem
from sources import lite0
from sources.weights import read_weights

Source = collections.namedtuple('Source', 'builder weights mean std')  # weights() gives {name: array}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the colours of its pictures


def in_the_box(file, sha256):
    """A function that reads the weights in data/weights/`file`, which must have that SHA-256."""
    path = ROOT / 'data' / 'weights' / file
    return lambda: read_weights(path, sha256, 'get it back with: git checkout -- data/weights')[0]


NETWORKS = {
    'resnet18_v2': Source(
        vision.resnet18_v2,
        in_the_box('resnet18_v2.safetensors', 'acf576a5219336ff8879895ba16a64adfa713cde91b855fd70c501a6be20076b'),
        MEAN,
        STD,
    ),
    'efficientnet_lite0': Source(lite0.EfficientNetLite0, lite0.weights, lite0.MEAN, lite0.STD),
}


def build(name, classes):
    """The network `name` without weights, one output per class; it carries its name, classes, mean and std."""
    if name not in NETWORKS:
        raise Problem(f'There is no network "{name}"; choose one of {", ".join(NETWORKS)}.')
    source = NETWORKS[name]
    net = source.builder(classes=len(classes))
    net.network, net.head, net.classes = name, 'softmax', list(classes)
    net.mean, net.std = source.mean, source.std
    return net


def inherit(net, source, names=('network', 'head', 'classes', 'px', 'mean', 'std')):
    """`net` with what `source` was trained for: a network says so wherever it goes."""
    for name in names:
        if hasattr(source, name):
            setattr(net, name, getattr(source, name))
    return net
