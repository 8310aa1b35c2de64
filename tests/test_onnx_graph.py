"""Gluon's blocks as ONNX: MXNet, ONNX Runtime and OpenVINO give the same for every source, every cut and every head."""

import mended_mxnet

import numpy as onp
import onnx
import onnxruntime
import pytest
from helpers import sentence, source
from mxnet import np
from mxnet.gluon import nn
from test_frozen import CASES, FAMILIES, QUICK

import fast
import frozen
import heads
import onnx_graph
import utils

ANY = 'n', 3, 'height', 'width'  # a shape whose sides are free
SIZES = (2, 64, 64), (3, 33, 50)  # of one model


def with_onnxruntime(model, X):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=['CPUExecutionProvider'])
    return session.run(None, {'data': X})[0]


def with_openvino(model, X):
    core = fast.core()
    exact = {'INFERENCE_PRECISION_HINT': 'f32'}
    return core.compile_model(core.read_model(model.SerializeToString()), 'CPU', exact)({'data': X})['output']


def check_same(block, model, X):
    Y = block(np.array(X)).asnumpy()
    for run in [with_onnxruntime, with_openvino] if fast.runtime() else [with_onnxruntime]:
        found = run(model, X)
        assert found.shape == Y.shape and abs(found - Y).max() <= 1e-4 * abs(Y).max(), run


def random_pictures(n, height, width):
    return onp.random.default_rng(0).normal(size=(n, 3, height, width)).astype('f4')


def shaken(net):
    """`net` with statistics and factors as a training leaves them; a new network's change nothing."""
    rng = onp.random.default_rng(0)
    for name, param in net.collect_params('.*(gamma|beta|mean|var)').items():
        values = rng.uniform(0.5, 2, param.shape) if name.endswith(('gamma', 'var')) else rng.normal(size=param.shape)
        param.set_data(np.array(values, dtype='float32'))
    return net


# ---- What has an equal in ONNX --------------------------------------------------------------------------------------


QUICK_PLACES = ('resnet18_v2', None), ('resnet18_v2', 0), ('efficientnet_lite0', 'block2')
PLACES = {
    'resnet18_v2': [None, 0, 1, 'relu0', 'stage3', 'output'],
    'efficientnet_lite0': [None, 0, 1, 'block2', 'block12', 'output'],
    'efficientnet_lite1': ['output'],
    'efficientnet_lite2': [None],
}


@pytest.mark.parametrize(
    'name, at',
    [
        (name, at) if (name, at) in QUICK_PLACES else pytest.param(name, at, marks=pytest.mark.slow)
        for name in PLACES
        for at in PLACES[name]
    ],
)
def test_sources_at_every_size(name, at):
    """None: the whole network."""
    net = utils.pretrained(name)
    net(np.zeros((1, 3, 32, 32)))
    block = net if at is None else net.features[: frozen.position(net, at)]
    model = onnx_graph.model_of(block, ANY)
    onnx.checker.check_model(model, full_check=True)
    for size in SIZES:
        check_same(block, model, random_pictures(*size))


@pytest.mark.parametrize(
    'name, at', QUICK + [pytest.param(*case, marks=pytest.mark.slow) for case in CASES if case not in QUICK]
)
def test_every_family_at_every_cut(name, at):
    make, px, _ = FAMILIES[name]
    net = shaken(source(make, px))
    block = net.features[: frozen.position(net, at)]
    check_same(block, onnx_graph.model_of(block, (2, 3, px, px)), random_pictures(2, px, px))


@pytest.mark.parametrize('head', heads.HEADS)
def test_every_head(head):
    net = frozen.with_head(source(), ['a', 'b', 'c'], head)
    net(np.zeros((1, 3, 32, 32)))
    shaken(net)
    check_same(net, onnx_graph.model_of(net, ANY), random_pictures(2, 32, 32))


def test_a_factor_that_is_fixed_counts_as_1():
    net = nn.HybridSequential()
    net.add(nn.BatchNorm(scale=False, in_channels=3), nn.BatchNorm(in_channels=3))
    utils.initialize(net)
    for layer in net:
        layer.gamma.set_data(np.full((3,), 5.0))
    X = random_pictures(1, 2, 2)
    assert with_onnxruntime(onnx_graph.model_of(net, ANY), X) == pytest.approx(5 * X, rel=1e-4)


# ---- What has none --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'layer',
    [
        nn.GELU(),
        nn.Activation('softsign'),
        nn.Dense(2, flatten=False, in_units=8),
        nn.BatchNorm(axis=3, in_channels=8),
        nn.HybridLambda(lambda F, X: F.npx.reshape(X, (-2, -4))),
    ],
)
def test_one_sentence(layer):
    net = nn.HybridSequential()
    net.add(layer)
    utils.initialize(net)
    assert 'cannot be written as ONNX' in sentence(onnx_graph.model_of, net, ANY)


def test_that_names_are_known():
    (last,) = onnx_graph.model_of(small_net(), ANY).graph.output
    sides = [side.dim_value or side.dim_param for side in last.type.tensor_type.shape.dim]
    assert last.name == 'output' and sides == ['n', 8, 1, 1]


def small_net():
    net = nn.HybridSequential()
    net.add(nn.Conv2D(8, 3, in_channels=3), nn.GlobalAvgPool2D())
    return utils.initialize(net)
