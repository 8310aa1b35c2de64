"""Save, load and predict: what is saved is loaded as the same network, or one sentence says what is wrong."""

import contextlib
import hashlib
import json
import os
import random
import resource
import subprocess
import sys

import mended_mxnet

import numpy as onp
import pytest
from helpers import Tiny, contents, encoded, examples, noise, same, sentence, tiny, values
from mxnet import np
from safetensors.numpy import save_file

import frozen
import sources
import utils
from sources.weights import read_weights, set_weights, weights_of

WRONG_WHOLE = [None, 'x', 8.0, 16.5, True, float('nan'), float('inf'), -1, 0]


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'net.safetensors'


@pytest.fixture
def picture(tmp_path):
    noise(60, 50).save(tmp_path / 'x.png')
    return tmp_path / 'x.png'


# ---- Weights --------------------------------------------------------------------------------------------------------


def test_weights_of_are_all_weights_and_statistics():
    net = tiny()
    assert same(weights_of(net), values(net))
    assert {'features.1.running_mean', 'features.3.1.running_var', 'output.bias'} <= values(net).keys()


def test_set_weights_fills_a_network():
    weights = {name: onp.full_like(a, i) for i, (name, a) in enumerate(values(tiny()).items())}
    net = set_weights(sources.build('tiny', ['a', 'b']), weights)
    assert same(values(net), weights)


def test_weights_that_do_not_fit():
    weights = values(tiny())
    wrong = {**weights, 'features.0.weight': onp.zeros((4, 3, 5, 5), 'f4')}
    text = sentence(set_weights, sources.build('tiny', ['a', 'b']), wrong)
    assert 'features.0.weight takes (4, any, 3, 3), and they have (4, 3, 5, 5)' in text
    text = sentence(set_weights, sources.build('tiny', ['a', 'b', 'c']), weights)
    assert 'output.bias takes (3,), and they have (2,)' in text
    del weights['features.1.running_mean']
    text = sentence(set_weights, sources.build('tiny', ['a', 'b']), weights)
    assert 'features.1.running_mean takes (any,), and they have nothing' in text


# ---- Save and load --------------------------------------------------------------------------------------------------


def test_save_and_load(tmp_path):
    net, path = tiny(['热狗', 'not "hotdog"']), tmp_path / 'new folder' / 'net.safetensors'
    utils.save(net, path, onp.int64(24))
    loaded = utils.load(str(path))
    assert same(values(loaded), values(net)) and isinstance(loaded, Tiny)
    assert (loaded.classes, loaded.network, loaded.px) == (net.classes, 'tiny', 24)
    assert list(path.parent.iterdir()) == [path]


def test_the_mode_is_that_of_any_new_file(path):
    old = os.umask(0o027)
    try:
        utils.save(tiny(), path, 16)
        assert path.stat().st_mode & 0o777 == 0o640 and os.umask(0o027) == 0o027
    finally:
        os.umask(old)


def test_home(tmp_path, monkeypatch, picture):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    utils.save(tiny(), '~/deeper/n.safetensors', 16)
    assert (tmp_path / 'deeper' / 'n.safetensors').is_file() and not (tmp_path / '~').exists()
    assert sum(utils.predict(utils.load('~/deeper/n.safetensors'), '~/x.png').values()) == pytest.approx(1)
    assert 'no file ~nobody-has-this-name/n' in sentence(utils.load, '~nobody-has-this-name/n')


def test_what_was_there_is_kept(path, capsys):
    utils.save(tiny(seed=1), path, 16)
    utils.save(tiny(seed=2), path, 16)
    assert 'net.previous.safetensors' in capsys.readouterr().out
    assert same(values(utils.load(path)), values(tiny(seed=2)))
    assert same(values(utils.load(path.with_name('net.previous.safetensors'))), values(tiny(seed=1)))


def test_a_long_name(tmp_path):
    path = tmp_path / ('热' * 80 + '.safetensors')  # 252 bytes; a file system allows 255
    utils.save(tiny(), path, 16)
    assert utils.load(path).px == 16


@pytest.mark.parametrize('px', WRONG_WHOLE)
def test_what_is_no_px(path, picture, px):
    assert sentence(utils.save, tiny(), path, px).startswith(f'px is {px!r}; give a whole number')
    if px is not None:
        assert sentence(utils.predict, tiny(), picture, px).startswith(f'px is {px!r}; give a whole number')
    assert not path.exists()


def test_what_could_not_be_loaded_again_is_not_saved(path):
    net, whole = tiny(), tiny()
    net.classes = ['a', 'b', 'c']
    assert 'output.bias takes (3,), and they have (2,)' in sentence(utils.save, net, path, 16)
    net.classes = 'ab'
    assert 'classes are no list' in sentence(utils.save, net, path, 16)
    _, above = frozen.cut(whole, 2)
    assert 'save the whole network' in sentence(utils.save, above, path, 16)
    assert 'seen a picture' in sentence(utils.save, utils.from_scratch(['a', 'b'], 'tiny'), path, 16)
    for name, wrong in ('mean', None), ('mean', 'abc'), ('std', (1, 2)), ('std', [0, 1, 1]), ('mean', [1, 2, 'x']):
        other = tiny()
        setattr(other, name, wrong)
        assert name in sentence(utils.save, other, path, 16)
    assert 'could not be written' in sentence(utils.save, tiny(), 'a\0b', 16)
    assert 'no weights yet' in sentence(utils.save, sources.build('tiny', ['a', 'b']), path, 16)
    whole.features[1].running_var.set_data(np.full((4,), float('inf')))
    assert 'features.1.running_var is not a number' in sentence(utils.save, whole, path, 16)
    assert 'is no path' in sentence(utils.save, tiny(), None, 16) and not path.exists()


def older(path, **facts):
    """A file as the first version wrote it; with other facts, if any."""
    metadata = {'network': 'tiny', 'classes': '["a", "b"]', 'px': '24', **facts}
    save_file(values(tiny()), path, {name: fact for name, fact in metadata.items() if fact is not None})
    return path


def test_what_an_older_version_saved(path):
    net = utils.load(older(path))
    assert same(values(net), values(tiny()))
    assert (net.network, net.classes, net.px, net.head) == ('tiny', ['a', 'b'], 24, 'softmax')
    assert net.mean == (0.485, 0.456, 0.406) and net.std == (0.229, 0.224, 0.225)  # ImageNet's colours
    utils.save(net, path, net.px)
    assert utils.load(path).px == 24


@pytest.mark.parametrize(
    'name, facts, word',
    [
        ('network', [None, 'lenet', '"resnet18_v2"', '["tiny"]', '1'], None),
        ('classes', [None, '["a", "b"', '["a", "b", "c"]', '"ab"', '{"a": 1, "b": 2}', '[1, 2]', '[]', '3'], None),
        ('px', [None, '0', '-5', '"x"', 'x', '"24"', '24.5', 'NaN', 'true', '[24]', 'null', ''], 'px'),
        ('head', ['"svm"', '"dense256"', 'null', '["softmax"]', 'softmax'], 'head'),
        ('mean', ['[0.5, 0.5]', '0.5', '[0.5, 0.5, NaN]', '["a", 1, 2]', 'null', '[true, 1, 1]'], 'mean'),
        ('std', ['[0.5, 0.5, 0.5, 0.5]', '[0, 1, 1]', '[1, 1, -1]', '{}', '[' * 100_000], 'std'),
    ],
)
def test_wrong_facts(path, name, facts, word):
    for fact in facts:
        text = sentence(utils.load, older(path, **{name: fact}))
        assert str(path) in text or "weights don't fit" in text
        assert word is None or word in text or "weights don't fit" in text


def test_what_can_not_be_loaded(tmp_path, path):
    text = sentence(utils.load, tmp_path / 'nothing.safetensors')
    assert f'no file {tmp_path / "nothing.safetensors"}' in text and 'git' not in text
    (tmp_path / 'x.jpg').write_bytes(encoded('JPEG'))
    assert 'not a file of weights' in sentence(utils.load, tmp_path / 'x.jpg')
    save_file(values(tiny()), path)
    assert 'not written by utils.save' in sentence(utils.load, path)
    for thing in None, 3, tiny():
        assert 'is no path' in sentence(utils.load, thing)
    assert 'no file' in sentence(utils.load, tmp_path)


def test_a_file_with_numbers_that_are_none(path):
    weights = values(tiny())
    weights['output.bias'][1] = float('nan')
    save_file(weights, path, {'network': 'tiny', 'classes': '["a", "b"]', 'px': '24'})
    assert 'output.bias is not a number' in sentence(utils.load, path)


def test_damaged_files_never_end_in_an_error_of_a_library(path):
    utils.save(tiny(), path, 16)
    good, rng = path.read_bytes(), random.Random(0)
    header = 8 + int.from_bytes(good[:8], 'little')
    loaded = 0
    for k in range(300):
        data = bytearray(good if k % 3 else good[: rng.randrange(1, len(good))])
        for _ in range(rng.randrange(1, 4)):
            data[rng.randrange(min(len(data), header))] = rng.randrange(256)
        path.write_bytes(data)
        try:
            loaded += utils.load(path) is not None
        except utils.Problem as problem:
            assert '\n' not in str(problem)
    assert loaded < 250


@contextlib.contextmanager
def full_disk(free):
    """No file may grow beyond `free` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_old_file_whole(tmp_path, path):
    utils.save(tiny(), path, 16)
    before = contents(tmp_path)
    with full_disk(1000):
        text = sentence(utils.save, tiny(seed=1), path, 16)
    assert f'{path} could not be written' in text and 'space' in text
    assert contents(tmp_path) == before
    with full_disk(1000):
        assert 'could not be written' in sentence(utils.save, tiny(), tmp_path / 'new.safetensors', 16)
    assert contents(tmp_path) == before  # no half of a file
    assert same(values(utils.load(path)), values(tiny()))


def test_a_folder_that_can_not_be_written(tmp_path):
    (tmp_path / 'file').touch()
    assert 'could not be written' in sentence(utils.save, tiny(), tmp_path / 'file' / 'net.safetensors', 16)
    (tmp_path / 'folder').mkdir()
    assert 'could not be written' in sentence(utils.save, tiny(), tmp_path / 'folder', 16)
    assert [path.name for path in tmp_path.iterdir()] == ['file', 'folder']


@pytest.mark.slow
@pytest.mark.parametrize('head', ['softmax', 'dense256', 'batchnorm1024'])
def test_a_saved_network_predicts_the_same_in_a_fresh_process(tmp_path, path, picture, head):
    net = frozen.with_head(utils.pretrained(), ['热狗', 'b', 'c'], head)
    utils.train(net, examples(4, px=32, classes=3), examples(4, px=32, classes=3), 1, lr=0.0001)
    utils.save(net, path, 32)
    code = 'import json, sys, utils; print(json.dumps(utils.predict(utils.load(sys.argv[1]), sys.argv[2])))'
    env = {**os.environ, 'PYTHONPATH': str(utils.ROOT)}
    out = subprocess.check_output([sys.executable, '-c', code, path, picture], cwd=tmp_path, env=env, text=True)
    here, there = utils.predict(net, picture, 32), json.loads(out)
    assert list(there) == list(here) and there == pytest.approx(here, abs=1e-6)


# ---- The box --------------------------------------------------------------------------------------------------------


def put_into_the_box(path, monkeypatch):
    weights = sources.in_the_box(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setitem(sources.NETWORKS, 'tiny', sources.NETWORKS['tiny']._replace(weights=weights))


@pytest.fixture
def box(tmp_path, monkeypatch):
    """The path of the weights in the box of a project whose source network is the tiny one."""
    net = tiny([str(i) for i in range(1000)])
    path = tmp_path / 'data' / 'weights' / 'tiny.safetensors'
    utils.save(net, path, 16)
    monkeypatch.setattr(sources, 'ROOT', tmp_path)
    put_into_the_box(path, monkeypatch)
    assert same(values(utils.pretrained('tiny')), values(net))
    return path


def test_weights_of_the_box_that_are_missing(box):
    box.unlink()
    text = sentence(utils.pretrained, 'tiny')
    assert f'no file {box}' in text and 'git checkout -- data/weights' in text


def test_weights_of_the_box_with_another_hash(box):
    data = bytearray(box.read_bytes())
    data[-1] ^= 1  # still a file of weights that fit
    for wrong in data, data[:1000], b'':
        box.write_bytes(wrong)
        text = sentence(utils.pretrained, 'tiny')
        assert str(box) in text and 'damaged' in text and 'git checkout -- data/weights' in text


def test_weights_of_the_box_with_wrong_shapes(box, monkeypatch):
    save_file({**values(tiny()), 'features.0.weight': onp.zeros((1, 2), 'f4')}, box)
    put_into_the_box(box, monkeypatch)
    assert 'features.0.weight takes (4, any, 3, 3), and they have (1, 2)' in sentence(utils.pretrained, 'tiny')


def test_a_file_of_the_user_in_the_folder_of_the_box(box):
    path = box.with_name('mine.safetensors')
    utils.save(tiny(), path, 16)
    assert same(values(utils.load(path)), values(tiny()))
    assert {array.dtype for array in read_weights(path)[0].values()} == {onp.dtype('f4')}
