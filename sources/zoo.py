"""Gluon's own networks with the ImageNet weights of others: downloaded, read and not run, and named as Gluon does.

What is kept is the file as it was published, which is verified by its published hash each time it is read.
"""

import mended_mxnet

import onnx
from mxnet.gluon import nn
from mxnet.gluon.model_zoo import vision
from safetensors.numpy import load_file

from problem import Problem
from sources.download import File, fetch
from sources.torch_file import read_tensors, to_gluon


def published(name, sha256, *addresses):
    return File(name, f'sha256:{sha256}', addresses)


def hugging_face(path):
    """The address there, and that of a mirror where it can't be reached."""
    return f'https://huggingface.co/{path}', f'https://hf-mirror.com/{path}'


RESNET18_V2 = published(
    'resnet18-v2-7.onnx',
    '3b4d048057854022232aa20bf68262e31718ab7119a17f920b8a2dc1433f824b',
    'https://huggingface.co/onnxmodelzoo/resnet18-v2-7/resolve/main/resnet18-v2-7.onnx',
    'https://huggingface.co/onnxmodelzoo/legacy_models/resolve/main/validated/vision/classification/resnet/model/'
    'resnet18-v2-7.onnx',
)
RESNET18_V1 = published(
    'resnet18.tv_in1k.safetensors',
    '694f673df6520a3158624e8a89af086f59923ee4cd7436fe5bc3bc71d295ad81',
    *hugging_face('timm/resnet18.tv_in1k/resolve/bbd144b3e5565108aad885f145491d11bc6ce807/model.safetensors'),
)
VGG16 = published(
    'vgg16.tv_in1k.safetensors',
    '57b026918159a6bf9faf8405c3a551903768e7138989d9c6224a14227203fad8',
    *hugging_face('timm/vgg16.tv_in1k/resolve/b8d8aa2dd860af9233c8c67385a8097fd6c35d3f/model.safetensors'),
)
INCEPTION_V3 = published(
    'inception_v3_google-0cc3c7bd.pth',
    '0cc3c7bd75056d25e46cba549dc184522069b81e9787eff6df84f397bd52a5ef',
    'https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth',
)


def weights(file, convert):
    """{Gluon's name: array} of a file, which is downloaded if need be. Raises Problem."""
    path = fetch(file)
    try:
        return convert(read(path))
    except (KeyError, ValueError) as error:
        raise Problem(f'{path} does not hold what was expected ({error}); take another network.') from None


def read(path):
    """{name: array} in a file of safetensors, ONNX or PyTorch; nothing in it is run."""
    if path.endswith('.safetensors'):
        return load_file(path)
    if path.endswith('.onnx'):
        return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
    return read_tensors(path)


# ---- From their names to Gluon's ------------------------------------------------------------------------------------


def resnet18_v2(tensors):
    """MXNet wrote this file: it has the names of Gluon's parameters."""
    net = vision.resnet18_v2()
    names = {name: param.name for name, param in net._collect_params_with_prefix().items()}
    return {name: tensors[f'resnetv22_{other.removeprefix(net.prefix)}'] for name, other in names.items()}


def resnet18_v1(tensors):
    top = {'conv1': 'features.0', 'bn1': 'features.1', 'fc': 'output'}
    inside = {'conv1': 'body.0', 'bn1': 'body.1', 'conv2': 'body.3', 'bn2': 'body.4'}

    def layer(place):  # 'layer2.0.conv1' -> 'features.5.0.body.0'
        if place in top:
            return top[place]
        stage, block, name = place.split('.', 2)
        return f'features.{int(stage[-1]) + 3}.{block}.{inside.get(name, name)}'

    return to_gluon(tensors, layer)


def vgg16(tensors):
    """Its first two dense layers are kept as convolutions of 7 x 7 and 1 x 1."""
    top = {'pre_logits.fc1': 'features.31', 'pre_logits.fc2': 'features.33', 'head.fc': 'output'}
    found = to_gluon(tensors, lambda place: top.get(place, place))
    for name in 'features.31.weight', 'features.33.weight':
        found[name] = found[name].reshape(len(found[name]), -1)
    return found


# The convolutions of Inception's blocks, branch by branch, in Gluon's order
DOUBLE = 'branch3x3dbl_1 branch3x3dbl_2 branch3x3dbl_3'
A = f'branch1x1 branch5x5_1 branch5x5_2 {DOUBLE} branch_pool'
C = (
    'branch1x1 branch7x7_1 branch7x7_2 branch7x7_3 '
    + ' '.join(f'branch7x7dbl_{i}' for i in range(1, 6))
    + ' branch_pool'
)
D = 'branch3x3_1 branch3x3_2 branch7x7x3_1 branch7x7x3_2 branch7x7x3_3 branch7x7x3_4'
E = f'branch1x1 branch3x3_1 branch3x3_2a branch3x3_2b {DOUBLE}a branch3x3dbl_3b branch_pool'
BLOCKS = {
    '5b': A,
    '5c': A,
    '5d': A,
    '6a': f'branch3x3 {DOUBLE}',
    '6b': C,
    '6c': C,
    '6d': C,
    '6e': C,
    '7a': D,
    '7b': E,
    '7c': E,
}
STEM = 'Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 Conv2d_3b_1x1 Conv2d_4a_3x3'


def inception_v3(tensors):
    """Both have the same convolutions in the same order; the auxiliary output, for training only, is left out."""
    theirs = [*STEM.split(), *(f'Mixed_{block}.{name}' for block, names in BLOCKS.items() for name in names.split())]
    params = vision.inception_v3()._collect_params_with_prefix()
    ours = [name.removesuffix('.0.weight') for name in params if name.endswith('.0.weight')]
    layers = {'fc': 'output'}
    for place, name in zip(theirs, ours, strict=True):
        layers |= {f'{place}.conv': f'{name}.0', f'{place}.bn': f'{name}.1'}
    return to_gluon(tensors, layers.get)


def any_size(classes):
    """Gluon's Inception v3, with a mean over the last maps instead of one over 8 x 8: at 299 px the same."""
    net = vision.inception_v3(classes=classes)
    net.features = net.features[:-2]
    with net.name_scope():
        net.features.add(nn.GlobalAvgPool2D(), nn.Dropout(0.5))
    return net
