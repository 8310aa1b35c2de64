"""Heads: what stands on the features of a source network. They are made without weights."""

import itertools

import mended_mxnet

from mxnet import gluon
from mxnet.gluon import nn

from problem import Problem

TOP = (nn.GlobalAvgPool2D, nn.AvgPool2D, nn.Flatten, nn.Dense, nn.Dropout)  # they come after the last feature maps


class BatchNorm(nn.BatchNorm):
    """Batch norm of features [n, c] as maps of one pixel: without pixels MXNet's library oneDNN may crash."""

    def hybrid_forward(self, F, X, **weights):
        maps = F.npx.reshape(X, (-2, -2, 1, 1))
        return F.npx.batch_flatten(super().hybrid_forward(F, maps, **weights))


HEADS = {
    'softmax': list,
    'dense256': lambda: [nn.Flatten(), nn.Dense(256, activation='relu'), nn.Dropout(0.5)],
    'batchnorm1024': lambda: [BatchNorm(), nn.Dense(1024, activation='relu')],
}


class Net(gluon.HybridBlock):
    """`features`, then `output`: the blocks themselves, not copies."""

    def __init__(self, features, output):
        super().__init__()
        self.features, self.output = features, output

    def hybrid_forward(self, F, X):
        return self.output(self.features(X))


def top_of(features):
    """The blocks after the last feature maps."""
    return [*itertools.takewhile(lambda block: isinstance(block, TOP), reversed(features))]


def on(features, num_classes, head):
    """A network of the blocks of `features` and a new head with so many outputs. Raises Problem. The heads:

    'softmax': one dense layer (TensorFlow, retrain.py).
    'dense256': flatten, dense 256, ReLU, dropout 0.5, dense, right after the last feature maps (Chollet, "Building
    powerful image classification models using very little data", 2016).
    'batchnorm1024': batch norm, dense 1024, ReLU, dense.
    """
    if head not in HEADS:
        raise Problem(f'There is no head "{head}"; choose one of {", ".join(HEADS)}.')
    top = top_of(features)
    if head == 'dense256':
        features = features[: len(features) - len(top)]
    elif not any(isinstance(block, (nn.Flatten, nn.Dense)) for block in top):
        features.add(nn.GlobalAvgPool2D(), nn.Flatten())  # as most source networks end
    layers = [*HEADS[head](), nn.Dense(num_classes)]
    if len(layers) == 1:
        return Net(features, *layers)
    output = nn.HybridSequential()
    output.add(*layers)
    return Net(features, output)
