"""Gluon's `resnet18_v2` once more in PyTorch, which trains it three times faster on a CPU, and the way back.

Pre-activation ResNet: He et al., Identity Mappings in Deep Residual Networks, 2016.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Two 3 x 3 convolutions, each behind BatchNorm and ReLU, beside a shortcut."""

    def __init__(self, in_channels, channels, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        same = stride == 1 and in_channels == channels
        self.downsample = None if same else nn.Conv2d(in_channels, channels, 1, stride, bias=False)

    def forward(self, X):
        Y = F.relu(self.bn1(X))
        shortcut = X if self.downsample is None else self.downsample(Y)
        return shortcut + self.conv2(F.relu(self.bn2(self.conv1(Y))))


class ResNet18(nn.Module):
    """`features` [n, 3, h, w] -> [n, 512] and `output` -> [n, 1000], numbered as in Gluon."""

    def __init__(self, num_outputs=1000):
        super().__init__()
        layers = [
            nn.BatchNorm2d(3, affine=False),
            nn.Conv2d(3, 64, 7, 2, 3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        ]
        in_channels = 64
        for channels, stride in ((64, 1), (128, 2), (256, 2), (512, 2)):
            layers.append(nn.Sequential(Block(in_channels, channels, stride), Block(channels, channels, 1)))
            in_channels = channels
        layers += [nn.BatchNorm2d(512), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        self.features = nn.Sequential(*layers)
        self.output = nn.Linear(512, num_outputs)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out')

    def forward(self, X):
        return self.output(self.features(X))


BATCH_NORM = {'weight': 'gamma', 'bias': 'beta', 'running_mean': 'running_mean', 'running_var': 'running_var'}


def gluon_name(name, module):
    """The name that Gluon's `collect_params('')` structure has for PyTorch's `name` of a tensor of `module`."""
    path, leaf = name.rsplit('.', 1)
    return f'{path}.{BATCH_NORM[leaf] if isinstance(module, nn.BatchNorm2d) else leaf}'


def named_tensors(net):
    """Yield (Gluon's name, tensor) for all weights and BatchNorm statistics of `net`."""
    modules = dict(net.named_modules())
    for name, tensor in net.state_dict().items():
        if not name.endswith('num_batches_tracked'):
            yield gluon_name(name, modules[name.rsplit('.', 1)[0]]), tensor


def to_gluon(net):
    """`net` as {Gluon's name: float32 array}; Gluon's first BatchNorm has a fixed scale of one and shift of zero."""
    arrays = {name: tensor.detach().float().cpu().numpy() for name, tensor in named_tensors(net)}
    arrays['features.0.gamma'], arrays['features.0.beta'] = np.ones(3, 'f4'), np.zeros(3, 'f4')
    return arrays


def from_gluon(net, arrays):
    """Copy {Gluon's name: array} into `net`; a name that is missing is a KeyError, a wrong shape a RuntimeError."""
    with torch.no_grad():
        for name, tensor in named_tensors(net):
            tensor.copy_(torch.from_numpy(arrays[name].astype('f4')))
    return net
