"""The cache of the frozen part: what is asked again is there, anything else is computed; it never stops the work."""

import copy
import fcntl
import io
import itertools
import os
import shutil
import subprocess
import sys
import time
from types import SimpleNamespace

import mended_mxnet

import numpy as onp
import pytest
from helpers import contents, sentence, tiny
from mxnet import np
from PIL import Image

import frozen
import pictures as reading
import utils
from cache import keep, write_array
from sources import lite

PX = 16


@pytest.fixture
def ran(monkeypatch):
    """The pictures that the frozen part ran on, of each its shape."""
    shapes, original = [], frozen.Below.through

    def through(self, images, shape):
        for row in original(self, images, shape):
            shapes.append(shape)
            yield row

    monkeypatch.setattr(frozen.Below, 'through', through)
    return shapes


@pytest.fixture
def expected(below, pictures):
    """What the frozen part gives, from its block alone."""
    X = onp.stack([reading.normalize(reading.view(path, PX), utils.MEAN, utils.STD) for path, _ in pictures])
    return below.block(np.array(X)).asnumpy()


# ---- What is asked again --------------------------------------------------------------------------------------------


def test_it_runs_once_per_picture(below, pictures, cache, ran, expected):
    assert onp.allclose(below.features(pictures, PX), expected, atol=1e-5) and len(ran) == 12
    again = frozen.cut(tiny(), 5)[0].features(pictures, onp.int64(PX))
    assert onp.allclose(again, expected, atol=1e-5) and len(ran) == 12 and len(contents(cache)) == 1


def test_another_question_is_another_file(pictures, cache, ran):
    net = tiny()
    moved, brighter, shifted = copy.deepcopy(net), copy.deepcopy(net), copy.deepcopy(net)
    moved.features[1].running_mean.set_data(moved.features[1].running_mean.data() + 1)
    brighter.mean = (0, 0, 0)
    shifted.features[1]._kwargs['eps'] = 0.1
    questions = [
        (net, 5, PX, 0, pictures),
        (net, 5, 2 * PX, 0, pictures),
        (net, 6, PX, 0, pictures),
        (net, 5, PX, 1, pictures),
        (net, 5, PX, 2, pictures),
        (moved, 5, PX, 0, pictures),
        (net, 5, PX, 0, pictures[:6]),
        (net, 5, PX, 0, pictures[::-1]),
        (brighter, 5, PX, 0, pictures),
        (shifted, 5, PX, 0, pictures),
    ]
    for number, (network, at, px, views, some) in enumerate(questions, start=1):
        frozen.cut(network, at)[0].features(some, px, views)
        assert len(contents(cache)) == number
    ran.clear()
    for network, at, px, views, some in questions:
        frozen.cut(network, at)[0].features(some, px, views)
    assert not ran


def test_a_changed_picture_is_seen(below, pictures, ran):
    before, path = onp.array(below.features(pictures, PX)), pictures[5][0]
    stat = path.stat()
    Image.fromarray(255 - onp.asarray(Image.open(path))).save(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    ran.clear()
    after = below.features(pictures, PX)
    assert ran and [i for i in range(12) if (before[i] != after[i]).any()] == [5]


def test_a_picture_that_changes_meanwhile_leaves_nothing(below, pictures, cache, ran, monkeypatch):
    through = frozen.Below.through

    def late(self, images, shape):
        yield from through(self, images, shape)
        pictures[5][0].write_bytes(pictures[6][0].read_bytes())

    monkeypatch.setattr(frozen.Below, 'through', late)
    assert 'was changed while' in sentence(below.features, pictures, PX)
    assert not contents(cache)


@pytest.mark.parametrize('views', [0, 2])
def test_names_decide_where_they_crop(below, pictures, ran, views, tmp_path):
    """A view is a crop that the picture's name chooses; the folder doesn't, and without views the name doesn't."""
    before = onp.array(below.features(pictures, PX, views))
    ran.clear()
    renamed = [(path.rename(path.with_name(f'new {path.name}')), i) for path, i in pictures]
    after = onp.array(below.features(renamed, PX, views))
    assert bool(ran) == (views > 0) and (after != before).any() == (views > 0)
    ran.clear()
    (tmp_path / 'elsewhere').mkdir()
    moved = [(path.rename(tmp_path / 'elsewhere' / path.name), i) for path, i in renamed]
    assert (below.features(moved, PX, views) == after).all() and not ran


def another_crop(image, px, margin=8 / 7):
    return image.resize((px, px))


def another_normalize(image, mean, std):
    return onp.asarray(image, 'f4').transpose(2, 0, 1) / 255


@pytest.mark.parametrize(
    'module, name, other',
    [
        (reading, 'centre_crop', another_crop),
        (reading, 'normalize', another_normalize),
        (reading.exif, 'UPRIGHT', {}),
        (reading.centre_crop, '__defaults__', (1,)),
        (frozen.Below, 'images', lambda self, pictures, px, views, rows: onp.zeros((len(rows), 3, px, px), 'f4')),
    ],
)
def test_the_key_is_of_the_code_that_runs(below, pictures, ran, monkeypatch, module, name, other):
    below.features(pictures, PX)
    ran.clear()
    monkeypatch.setattr(module, name, other)
    frozen.cut(tiny(), 5)[0].features(pictures, PX)
    assert ran
    monkeypatch.undo()


def test_the_key_is_of_the_code_of_a_network(monkeypatch):
    """Its own blocks and functions, as they are traced."""

    def key():
        utils.seed_everything(0)
        net = utils.initialize(lite.EfficientNetLite(2))
        net.mean, net.std = lite.MEAN, lite.STD
        net(np.zeros((1, 3, 32, 32)))
        return frozen.cut(net, 5)[0].key

    before = key()
    assert key() == before
    monkeypatch.setattr(lite, 'relu6', lambda F, X: X.clip(0, 5))
    changed = key()
    monkeypatch.undo()
    forward = lite.MBConv.hybrid_forward
    monkeypatch.setattr(lite.MBConv, 'hybrid_forward', lambda self, F, X: forward(self, F, X) * 2)
    assert len({before, changed, key()}) == 3


EDITED = """
import sys
from pathlib import Path
import helpers, frozen, pictures
file = Path(pictures.__file__)
source = file.read_text()
if sys.argv[3] == 'edit':
    file.write_text(source.replace('margin=8 / 7', 'margin=1'))
frozen.CACHE = Path(sys.argv[2])
below, _ = frozen.cut(helpers.tiny(), 5)
found = below.features([(path, 0) for path in sorted(Path(sys.argv[1]).iterdir())], 16)
print(len(list(frozen.CACHE.iterdir())))
"""


@pytest.mark.slow
def test_a_file_that_is_edited_without_a_restart(pictures, cache, tmp_path):
    """The old code runs and is kept under its own key; after a restart the new code finds nothing."""
    copied = tmp_path / 'project'
    for path in [*utils.ROOT.glob('*.py'), *utils.ROOT.glob('sources/*.py'), utils.ROOT / 'tests' / 'helpers.py']:
        target = copied / path.relative_to(utils.ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    env = {**os.environ, 'PYTHONPATH': f'{copied}:{copied / "tests"}'}

    def run(what):
        command = [sys.executable, '-c', EDITED, pictures[0][0].parent, cache, what]
        return int(subprocess.check_output(command, cwd=copied, env=env, text=True))

    assert 'margin=8 / 7' in (copied / 'pictures.py').read_text()
    assert run('edit') == 1  # the code that ran was not the edited one
    assert run('restarted') == 2
    assert run('restarted') == 2


# ---- What ends before its time --------------------------------------------------------------------------------------


@pytest.mark.parametrize('error', [KeyboardInterrupt, MemoryError])
def test_an_interrupted_run_goes_on_where_it_was(below, pictures, cache, ran, expected, monkeypatch, error):
    original = frozen.Below.through

    def stops(self, images, shape):
        yield from itertools.islice(original(self, images, shape), 5)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(frozen.Below, 'through', stops)
        with pytest.raises(error):
            below.features(pictures, PX)
    (rest,) = cache.iterdir()
    assert rest.name.endswith('.partial') and len(ran) == 5
    assert onp.allclose(below.features(pictures, PX), expected, atol=1e-5)
    assert len(ran) == 12 and [path.suffix for path in cache.iterdir()] == ['.npy']


ROWS = onp.arange(12, dtype='f4').reshape(4, 3)
NAME = 'a' * 40 + '.npy'


@pytest.mark.parametrize('rest, first', [(0, 0), (50, 0), (128, 0), (139, 0), (140, 1), (175, 3), (176, 4)])
def test_whole_rows_of_a_killed_run_are_kept(cache, rest, first):
    """There are 128 bytes before the rows, and 12 in each."""
    cache.mkdir()
    (cache / f'{NAME}.begun.partial').write_bytes(npy(ROWS)[:rest])
    asked = []
    write_array(cache / NAME, ROWS.shape, lambda i: asked.append(i) or ROWS[i:])
    assert asked == [first] and contents(cache).keys() == {cache / NAME}
    assert (cache / NAME).read_bytes() == npy(ROWS)


def test_what_is_there_of_it_needs_no_room(cache, monkeypatch):
    cache.mkdir()
    (cache / f'{NAME}.begun.partial').write_bytes(npy(ROWS)[:-12])
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: SimpleNamespace(free=12))
    assert (keep(cache / NAME, ROWS.shape, lambda i: ROWS[i:]) == ROWS).all()


def test_what_is_no_begun_array_is_begun_anew(cache):
    cache.mkdir()
    (cache / f'{NAME}.begun.partial').write_bytes(npy(ROWS[:3]))
    write_array(cache / NAME, ROWS.shape, lambda i: ROWS[i:])
    assert (cache / NAME).read_bytes() == npy(ROWS)


@pytest.mark.parametrize('done', [False, True])
def test_another_process_writes_the_same(cache, monkeypatch, done):
    """It is still writing, or gives the file its name after we have opened it."""
    cache.mkdir()
    partial = cache / f'{NAME}.begun.partial'
    partial.write_bytes(npy(ROWS) if done else npy(ROWS)[:150])
    lock, other = fcntl.flock, partial.open('rb')
    lock(other, fcntl.LOCK_EX)

    def late(file, how):
        if done and partial.exists():
            other.close()
            partial.rename(cache / NAME)
        return lock(file, how)

    monkeypatch.setattr(fcntl, 'flock', late)
    write_array(cache / NAME, ROWS.shape, lambda i: ROWS[i:])
    assert (cache / NAME).read_bytes() == npy(ROWS)
    assert done or partial.read_bytes() == npy(ROWS)[:150]
    assert len(contents(cache)) == 2 - done
    other.close()


def test_the_rest_of_a_killed_run_goes_in_time(below, pictures, cache):
    cache.mkdir()
    rest = cache / f'{NAME}.begun.partial'
    rest.touch()
    below.features(pictures, PX)
    assert rest.exists()  # somebody may be writing it
    os.utime(rest, (time.time() - 25 * 3600,) * 2)
    below.features(pictures[:3], PX)
    assert not rest.exists() and len(contents(cache)) == 2


def npy(array, **options):
    file = io.BytesIO()
    onp.save(file, array, **options)
    return file.getvalue()


DAMAGED = {
    'empty': b'',
    'text': b'<html>',
    'zeros': bytes(500),
    'header alone': npy(onp.zeros((12, 8, 3, 3), 'f4'))[:128],
    'another dtype': npy(onp.zeros((12, 8, 3, 3), 'f8')),
    'another shape': npy(onp.zeros((12, 8, 3, 4), 'f4')),
    'fewer rows': npy(onp.zeros((11, 8, 3, 3), 'f4')),
    'one number': npy(onp.float32(3)),
    'another order': npy(onp.asfortranarray(onp.zeros((12, 8, 3, 3), 'f4'))),
    'a pickle': npy(onp.array([{}], dtype=object), allow_pickle=True),
    'no dictionary': b"\x93NUMPY\x01\x00\x16\x00{'descr': '<f4', (((((\n" + bytes(99),
    'deep': b'\x93NUMPY\x01\x00\xff\xff' + b'(' * 65535,
    'a folder': None,
}


@pytest.mark.parametrize('how', [*DAMAGED, *(-1, 100, 130, 1000)])
def test_a_damaged_file_is_computed_again(below, pictures, cache, ran, expected, capsys, how):
    below.features(pictures, PX)
    (file,) = cache.iterdir()
    good = file.read_bytes()
    file.unlink()
    if how == 'a folder':
        (file / 'x').mkdir(parents=True)
    else:
        file.write_bytes(DAMAGED[how] if how in DAMAGED else good[:how])
    ran.clear()
    assert onp.allclose(below.features(pictures, PX), expected, atol=1e-5) and ran
    if how == 'a folder':
        assert 'computed anew' in capsys.readouterr().out and (file / 'x').is_dir()
    else:
        assert file.read_bytes() == good and capsys.readouterr().out == ''
