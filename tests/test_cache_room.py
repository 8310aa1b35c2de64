"""Room in the cache: what goes and what stays, other people's files, and work that goes on where it can't be used."""

import os
import pathlib
import subprocess
import sys
import time

import mended_mxnet

import numpy as onp
import pytest
from helpers import all_batches, contents, sentence

import cache as cache_module
import files
import frozen
import pictures as pictures_module
import utils

PX = 16


def check_done_without(below, pictures, capsys):
    """It is computed as if there were no cache, and one sentence says so."""
    ((X, y),) = all_batches(below.batches(pictures, PX, 12))
    out = capsys.readouterr().out
    assert 'is not kept, but computed anew each time' in out and out.count('\n') == 1
    expected = below(onp.stack([*below.images(pictures, PX, 0, range(12))])).asnumpy()
    assert onp.allclose(X, expected, atol=1e-5) and y.tolist() == [0, 1] * 6
    features = below.features(pictures, PX)
    assert onp.allclose(features, expected, atol=1e-5) and features[0, :80].size  # as notebook 02 takes them
    assert not [path for path in contents(frozen.CACHE) if path.suffix == '.partial']


# ---- What goes ------------------------------------------------------------------------------------------------------


def test_what_was_not_used_for_longest_is_removed(below, pictures, cache, monkeypatch):
    one, two, three, four = ([*pictures[i:], *pictures[:i]] for i in range(4))
    still_open = below.batches(two, PX, 4)
    expected = all_batches(still_open)
    kept = {}
    for hours, some in ((1, one), (3, two), (2, three)):
        kept[hours] = pathlib.Path(below.features(some, PX).filename)
        os.utime(kept[hours], (time.time() - 3600 * hours,) * 2)
    monkeypatch.setattr(cache_module, 'CAP', 3 * kept[1].stat().st_size)
    below.features(three, PX)  # used again: now the newest, and `two` the oldest
    below.features(four, PX)
    assert kept[1].exists() and kept[2].exists() and not kept[3].exists() and len(contents(cache)) == 3
    assert all((a == b).all() for a, b in zip(expected[0], all_batches(still_open)[0]))  # removed, and still readable


def test_what_is_not_ours_stays(below, pictures, cache, monkeypatch, tmp_path):
    cache.mkdir()
    (tmp_path / 'mine').write_bytes(bytes(5000))
    (cache / 'mine.npy').write_bytes(bytes(5000))
    (cache / 'notes.partial').write_bytes(bytes(5000))
    (cache / 'folder.npy' / 'deeper').mkdir(parents=True)
    (cache / f'{"b" * 40}.npy').mkdir()
    (cache / f'{"c" * 40}.npy').symlink_to(tmp_path / 'mine')
    (cache / f'{"d" * 40}.npy').symlink_to(tmp_path / 'nowhere')
    os.mkfifo(cache / 'pipe.npy')
    before = {path.name for path in cache.iterdir()}
    for path in cache.glob('*.*'):
        if path.exists() and not path.is_symlink():
            os.utime(path, (0, 0))
    size = cache_module.size_of(below.shape(12, PX)) + 128
    monkeypatch.setattr(cache_module, 'CAP', size)
    for some in pictures, pictures[::-1]:
        assert isinstance(below.features(some, PX), onp.memmap)
    assert before < {path.name for path in cache.iterdir()} and (tmp_path / 'mine').stat().st_size == 5000
    assert len({path.name for path in cache.iterdir()} - before) == 1


@pytest.mark.parametrize('step', ['lstat', 'unlink', 'is_file', 'iterdir'])
def test_a_file_vanishes_at_any_step(below, pictures, cache, monkeypatch, step, capsys):
    """Another process makes room at the same time."""
    for i in range(3):
        below.features(pictures[i:] + pictures[:i], PX)
    monkeypatch.setattr(cache_module, 'CAP', 3 * cache_module.size_of(below.shape(12, PX)) + 1000)
    original = getattr(pathlib.Path, step)

    def vanishing(self, *args, **options):
        found = list(original(self)) if step == 'iterdir' else None
        if self.parent == cache or self == cache:
            for path in list(cache.glob('*.npy')):
                os.unlink(path)
        return found if step == 'iterdir' else original(self, *args, **options)

    expected = below(onp.stack([*below.images(pictures[::-1], PX, 0, range(12))])).asnumpy()
    monkeypatch.setattr(pathlib.Path, step, vanishing)
    assert onp.allclose(below.features(pictures[::-1], PX), expected, atol=1e-5)
    monkeypatch.undo()
    assert 'computed anew' not in capsys.readouterr().out


def test_files_of_another_user(below, pictures, cache, monkeypatch, capsys):
    """They can be read; that they were used can't be noted, and they can't be removed."""
    below.features(pictures, PX)

    def refused(*args, **options):
        raise PermissionError(1, 'Operation not permitted')

    monkeypatch.setattr(cache_module.os, 'utime', refused)
    assert isinstance(below.features(pictures, PX), onp.memmap)
    monkeypatch.setattr(cache_module, 'CAP', cache_module.size_of(below.shape(12, PX)) + 1000)
    original = pathlib.Path.unlink
    monkeypatch.setattr(
        pathlib.Path, 'unlink', lambda self, **o: refused() if self.suffix == '.npy' else original(self, **o)
    )
    below.features(pictures[::-1], PX)
    assert 'computed anew' in capsys.readouterr().out and len(contents(cache)) == 1


# ---- Where it can't be used -----------------------------------------------------------------------------------------


@pytest.mark.parametrize('what', ['a file', 'below a file', 'a dangling link', 'a link to itself'])
def test_a_cache_that_can_not_be_made(below, pictures, cache, monkeypatch, capsys, tmp_path, what):
    if what == 'a file':
        cache.write_text('mine')
    elif what == 'below a file':
        (tmp_path / 'file').write_text('mine')
        monkeypatch.setattr(frozen, 'CACHE', tmp_path / 'file' / 'cache')
    else:
        cache.symlink_to(cache if what == 'a link to itself' else tmp_path / 'nowhere')
    check_done_without(below, pictures, capsys)


@pytest.mark.parametrize('step', ['open', 'write', 'close', 'replace', 'disk_usage'])
def test_a_cache_that_can_not_be_written(below, pictures, cache, monkeypatch, capsys, step):
    """Read-only, or full while it is written; root may write everywhere, so the refusal is a stand-in."""

    def refused(*args, **options):
        raise OSError(28, 'No space left on device')

    class Full:
        def __init__(self, *args):
            self.file = open(*args)  # noqa: SIM115

        def write(self, data):
            return refused() if step == 'write' and len(data) > 200 else self.file.write(data)

        def __getattr__(self, name):
            return getattr(self.file, name)

        def __enter__(self):
            return self

        def __exit__(self, *args):
            self.file.close()
            if step == 'close':
                refused()

    if step == 'replace':
        monkeypatch.setattr(pathlib.Path, 'replace', refused)
    elif step == 'disk_usage':
        monkeypatch.setattr(cache_module.shutil, 'disk_usage', refused)
    else:
        monkeypatch.setattr(cache_module, 'open', refused if step == 'open' else Full, raising=False)
    check_done_without(below, pictures, capsys)


@pytest.mark.parametrize('full', ['cap', 'disk'])
def test_larger_than_the_room(below, pictures, cache, monkeypatch, capsys, full):
    below.features(pictures[:2], PX)
    before = contents(cache)
    if full == 'cap':
        monkeypatch.setattr(cache_module, 'CAP', 1000)
    else:
        monkeypatch.setattr(cache_module.shutil, 'disk_usage', lambda path: type('Usage', (), {'free': 100}))
    check_done_without(below, pictures, capsys)
    assert contents(cache) == before  # nothing is removed in vain


def test_larger_than_the_memory(below, pictures, cache, monkeypatch, capsys):
    monkeypatch.setattr(cache_module, 'CAP', 1000)
    monkeypatch.setattr(frozen.psutil, 'virtual_memory', lambda: type('Memory', (), {'available': 1000}))
    assert 'memory cannot hold' in sentence(below.features, pictures, PX)
    assert len(below.batches(pictures, PX, 5)) == 3  # batch by batch it can


# ---- Several processes ----------------------------------------------------------------------------------------------

PROCESS = """
import sys, time
from pathlib import Path
import cache, helpers, frozen, numpy, utils
folder, frozen.CACHE, first = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
below, _ = frozen.cut(helpers.tiny(), 5)
pictures = [(path, 0) for path in sorted(folder.iterdir())]
cache.CAP = 3 * cache.size_of(below.shape(12, 16)) + 1000
write = cache.write_array
slowly = lambda rows: (time.sleep(0.002) or row for row in rows)
cache.write_array = lambda path, shape, rows_from: write(path, shape, lambda first: slowly(rows_from(first)))
for k in range(30):
    some = pictures[(first + k) % 12:] + pictures[:(first + k) % 12]
    X = below.features(some, 16)
    expected = below(numpy.stack([*below.images(some, 16, 0, range(12))])).asnumpy()
    assert numpy.allclose(X, expected, atol=1e-5)
"""


@pytest.mark.slow
@pytest.mark.parametrize('firsts', [(0, 0), (0, 5)])
def test_two_processes_at_once(pictures, cache, firsts):
    """For the same pictures, and one makes room while the other writes: both get what they want, without a word."""
    env = {**os.environ, 'PYTHONPATH': f'{files.ROOT}:{files.ROOT / "tests"}', 'TQDM_DISABLE': '1'}
    running = [
        subprocess.Popen(
            [sys.executable, '-c', PROCESS, pictures[0][0].parent, cache, str(first)],
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for first in firsts
    ]
    for process in running:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0 and out == '', err[-2000:]
    assert not list(cache.glob('*.partial')) and len(contents(cache)) <= 3


MEMORY = """
import resource, sys
from pathlib import Path
from helpers import source
import frozen
import pictures as pictures_module
frozen.CACHE = Path(sys.argv[2])
below, _ = frozen.cut(source(px=64), 2)  # 262 KB a picture
peaks = []
for n in (100, 1000):
    for X, y in below.batches([(Path(sys.argv[1]), 0)] * n, 64, 32, train=True):
        X.wait_to_read()
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
print(peaks[1] - peaks[0])
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_pictures(pictures, cache):
    """1,000 pictures give 262 MB; without care all of it would be in memory at the end."""
    env = {**os.environ, 'PYTHONPATH': f'{utils.ROOT}:{utils.ROOT / "tests"}'}
    out = subprocess.check_output([sys.executable, '-c', MEMORY, pictures[0][0], cache], env=env, text=True)
    assert float(out) < 60


def test_the_folders_above_the_cache_are_made_too(tmp_path, monkeypatch):
    monkeypatch.setattr(frozen, 'CACHE', tmp_path / 'not' / 'there' / 'yet')
    cache_module.make_room(frozen.CACHE, 1)
    assert frozen.CACHE.is_dir()


def test_code_within_code_is_known_by_what_it_does():
    """The code of a comprehension, made twice from one text, is the same; that of another text is not."""

    def made(text):
        names = {}
        exec(f'def double(numbers):\n    return list(map(lambda number: {text}, numbers))', names)
        return pictures_module.code_of(names['double'])

    assert made('2 * number') == made('2 * number') != made('3 * number')
