"""What is known of a file holds as long as the file is the same, and never stops the work."""

import os
import sqlite3
import time

import pytest
from helpers import fill

import known
from folders import check_files


@pytest.fixture(autouse=True)
def file(tmp_path, monkeypatch):
    """A database of its own; what was written just now is settled."""
    monkeypatch.setattr(known, 'FILE', tmp_path / 'build' / 'known.sqlite')
    monkeypatch.setattr(known, 'SETTLED', 0)
    return known.FILE


@pytest.fixture
def folder(tmp_path):
    return fill(tmp_path / 'data', {'a': 3, 'b': 3})


@pytest.fixture
def read(monkeypatch):
    """The names of the files that were read to their end; `pictures` stays, for its code is a part of what is known."""
    names, original = [], known.hash_of

    def hash_of(path):
        names.append(path.name)
        return original(path)

    monkeypatch.setattr(known, 'hash_of', hash_of)
    return names


def checked(folder):
    """{name: hash} of the pictures in a folder."""
    time.sleep(0.02)  # the clock of files goes in steps
    content = {}
    found = check_files(folder, [(path, 0) for path in sorted(folder.rglob('*.*'))], content)
    return {path.relative_to(folder): content[path] for path, _ in found}


def test_what_is_unchanged_is_not_read_again(folder, read):
    expected = checked(folder)
    assert len(read) == 6 and len(expected) == 6
    read.clear()
    assert checked(folder) == expected and not read
    with known.Known() as memory:
        assert [memory.hash_of(folder / name) for name in expected] == [*expected.values()] and not read


def test_from_another_folder_it_is_the_same_file(folder, read, monkeypatch):
    checked(folder)
    read.clear()
    monkeypatch.chdir(folder)
    assert len(checked(type(folder)('.'))) == 6 and not read


@pytest.mark.parametrize('how', ['longer', 'same size', 'another file', 'no picture'])
def test_what_changed_is_read_again(folder, read, how):
    """Its time is put back, as unpacking does."""
    before, path = checked(folder), folder / 'a' / '1.png'
    stat = path.stat()
    data = {
        'longer': path.read_bytes() + b'x',
        'same size': path.read_bytes()[:-1] + b'x',
        'another file': path.read_bytes()[:-1] + b'y',
        'no picture': bytes(stat.st_size),
    }[how]
    if how == 'another file':
        path.rename(folder.parent / 'elsewhere')
    path.write_bytes(data)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    read.clear()
    after = checked(folder)
    assert read == ['1.png'] * (how != 'no picture')
    assert {name for name in before if before[name] != after.get(name)} == {path.relative_to(folder)}
    assert len(after) == 6 - (how == 'no picture')


def test_a_file_of_just_now_is_not_remembered(folder, read, monkeypatch):
    """It may change once more within one step of the clock."""
    monkeypatch.setattr(known, 'SETTLED', 10**15)
    checked(folder)
    read.clear()
    checked(folder)
    assert len(read) == 6


def test_another_way_to_read_pictures_checks_all_again(folder, read, monkeypatch):
    checked(folder)
    read.clear()
    monkeypatch.setattr(known.pictures.exif, 'UPRIGHT', {})
    checked(folder)
    assert len(read) == 6


def test_a_check_that_is_stopped_goes_on(folder, read, monkeypatch):
    monkeypatch.setattr(known, 'EVERY', 2)
    original = known.hash_of

    def stops(path):
        return os._exit(1) if path.parent.name == 'b' else original(path)  # as the commands do at Ctrl-C

    if os.fork() == 0:
        monkeypatch.setattr(known, 'hash_of', stops)
        checked(folder)
    os.wait()
    checked(folder)
    assert read == ['2.png', '0.png', '1.png', '2.png']  # all but two of a


def test_the_first_ones_are_forgotten(folder, read, monkeypatch):
    monkeypatch.setattr(known, 'MOST', 4)
    checked(folder)
    with sqlite3.connect(known.FILE) as database:
        names = [os.path.basename(name) for (name,) in database.execute('select path from files order by path')]
    assert names == [b'2.png', b'0.png', b'1.png', b'2.png']


@pytest.mark.parametrize('what', ['text', 'half', 'a folder', 'another table', 'locked'])
def test_a_database_that_can_not_be_used(folder, file, read, monkeypatch, capsys, what):
    expected = checked(folder)
    good = file.read_bytes()
    file.unlink()
    if what == 'a folder':
        file.mkdir()
    elif what == 'another table':
        sqlite3.connect(file).execute('create table files (x)').connection.close()
    else:
        file.write_bytes({'text': b'no database' * 99, 'half': good[: len(good) // 2], 'locked': good}[what])
    other = sqlite3.connect(file) if what == 'locked' else None
    if other:
        connect = sqlite3.connect
        monkeypatch.setattr(known.sqlite3, 'connect', lambda path: connect(path, timeout=0.01))
        other.execute('begin exclusive')
    read.clear()
    assert checked(folder) == expected and len(read) == 6
    if what in ('text', 'half'):
        checked(folder)
        read.clear()
        assert checked(folder) == expected and not read
    assert capsys.readouterr().out == ''
