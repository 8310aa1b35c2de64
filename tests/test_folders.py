"""Which folder is what: splits, classes, rubbish, links; every file is used or named."""

import errno
import io
import itertools
import os
import signal
import subprocess
import sys
import unicodedata
from pathlib import Path

import mended_mxnet

import pytest
from helpers import contents, fill, sentence
from PIL import Image

import files
import known
from folders import SPLITS, Dataset, Pictures
from problem import Problem
from utils import find_data


def picture(path, colour=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (4, 4), (colour // 256, colour % 256, 7)).save(path, 'PNG')


def splits(folder, counts, names=('train', 'valid', 'test')):
    for k, name in enumerate(names):
        fill(folder / name, counts, first=50 * k)
    return folder


def names(dataset):
    """{split: set of (class, file name)}."""
    return {split: {(dataset.classes[i], path.name) for path, i in dataset[split]} for split in SPLITS}


def total(dataset):
    return sum(len(dataset[split]) for split in SPLITS)


# ---- The right folder -----------------------------------------------------------------------------------------------


def test_train_valid_and_test_are_taken_as_they_are(tmp_path, capsys):
    for split, n in ('train', 3), ('valid', 2), ('test', 1):
        fill(tmp_path / split, {'hotdog': n, 'bun': n}, first=10 * n)
    data = find_data(tmp_path)
    assert data.classes == ['bun', 'hotdog']
    for split, n in ('train', 3), ('valid', 2), ('test', 1):
        assert data[split] == [
            (tmp_path / split / name / f'{10 * n + k}.png', i) for i, name in enumerate(data.classes) for k in range(n)
        ]
    assert capsys.readouterr().out == ''


def test_a_dataset_can_be_asked_by_name_and_knows_its_classes(tmp_path):
    data = find_data(splits(tmp_path, {'a': 2, 'b': 2}))
    assert isinstance(data, Dataset) and isinstance(data.train, Pictures)
    classes, train, valid, test = data
    assert classes == ['a', 'b'] and data['train'] is data.train is train and data[2] is valid and data['test'] is test
    assert train.classes == train[:2].classes == ['a', 'b'] and train[:2] == list(train)[:2] and train[0][1] == 0
    with pytest.raises(KeyError):
        data['count']


@pytest.mark.parametrize(
    'given', [('Training', 'VAL', 'testing'), ('TRAIN', 'validation', 'Test'), ('train ', 'valid', 'test')]
)
def test_other_names_of_the_splits(tmp_path, given):
    for k, (name, n) in enumerate(zip(given, (3, 2, 1))):
        fill(tmp_path / name, {'a': n, 'b': n}, first=10 * k)
    assert [len(pictures) for pictures in find_data(str(tmp_path))[1:]] == [6, 4, 2]


def test_kitchen_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setitem(files.WITH_A_NAME, 'kitchen', tmp_path / 'data' / 'kitchen')
    fill(tmp_path / 'data' / 'kitchen', {'a': 30, 'b': 30})
    assert find_data() == find_data('kitchen') == find_data(tmp_path / 'data' / 'kitchen')


def test_the_same_folder_by_other_ways(tmp_path, monkeypatch):
    folder = fill(tmp_path / 'home' / 'photos', {'a': 30, 'b': 30})
    monkeypatch.setenv('HOME', str(tmp_path / 'home'))
    monkeypatch.chdir(folder)
    os.symlink(folder, tmp_path / 'link')
    assert find_data('~/photos') == find_data(folder) == find_data(str(folder) + '/')
    right = names(find_data(folder))
    for way in '.', '../photos', tmp_path / 'link', tmp_path / 'link' / '..' / 'photos':
        assert names(find_data(way)) == right


@pytest.mark.parametrize('data', [None, 3, 3.5, '', b'x', ['a'], 'nowhere', '~nobody', 'a\0b', 'x' * 300, 'x/' * 3000])
def test_what_is_no_folder(tmp_path, monkeypatch, data):
    splits(tmp_path, {'a': 2, 'b': 2})
    monkeypatch.chdir(tmp_path)
    sentence(find_data, data)


def test_no_such_folder(tmp_path):
    text = sentence(find_data, tmp_path / 'nowhere')
    assert str(tmp_path / 'nowhere') in text and 'no folder' in text and 'kitchen' in text
    (tmp_path / 'file').touch()
    assert 'no folder' in sentence(find_data, tmp_path / 'file')


# ---- Rubbish, hidden things, names ----------------------------------------------------------------------------------

RUBBISH = ['.DS_Store', '__MACOSX', 'Thumbs.db', 'desktop.ini', '$RECYCLE.BIN', 'System Volume Information']
RUBBISH += ['.Spotlight-V100', '.fseventsd', '.Trashes', '._0.png', 'Icon\r', '.AppleDouble', 'ehthumbs.db']
RUBBISH += ['.directory', 'lost+found', 'LOST.DIR', 'FOUND.000', '@eaDir', '#recycle', '#snapshot', '@Recycle']
RUBBISH += ['.ipynb_checkpoints', '__pycache__', '.git', '.gitkeep', '.picasa.ini', '.dropbox', 'Network Trash Folder']
RUBBISH += ['0.png:Zone.Identifier', '.nomedia', '.thumbnails', '.@__thumb', '.Trash-1000', '.localized']


def test_a_class_may_be_called_recycled(tmp_path):
    fill(tmp_path, {'Recycled': 30, 'compost': 30, 'recycler': 30})
    assert find_data(tmp_path).classes == ['Recycled', 'compost', 'recycler']


@pytest.mark.parametrize('given', [['.'], SPLITS])
def test_what_systems_leave_behind_is_not_there(tmp_path, capsys, given):
    """As a file and as a folder with pictures in it, beside the splits, beside the classes and in them."""
    for k, part in enumerate(given):
        fill(tmp_path / part, {'bun': 30, 'hotdog': 30}, first=30 * k)
    right = find_data(tmp_path)
    assert capsys.readouterr().out == ''
    places = {tmp_path, *(tmp_path / part / name for part in given for name in ('', 'bun', 'hotdog'))}
    for place, (k, name) in itertools.product(places, enumerate(RUBBISH)):
        path = place / name
        if k % 2:
            picture(path / 'hotdog' / '0.png', k)
        else:
            path.write_bytes(b'no picture')
    assert find_data(tmp_path) == right
    assert capsys.readouterr().out == ''


def test_hidden_things_are_named(tmp_path, capsys):
    fill(tmp_path, {'bun': 30, 'hotdog': 30})
    right = find_data(tmp_path)
    picture(tmp_path / '.hidden class' / '0.png')
    picture(tmp_path / 'bun' / '.hidden.png')
    picture(tmp_path / 'bun' / '.hidden' / '0.png')
    picture(tmp_path / 'astray.png')
    (tmp_path / 'hotdog' / 'empty').mkdir()
    assert find_data(tmp_path) == right
    text = capsys.readouterr().out
    assert text.startswith('5 not used') and text.count('\n') == 1
    for name in '.hidden class', 'bun/.hidden.png', 'bun/.hidden,', 'astray.png', 'hotdog/empty':
        assert name in text


def test_odd_names(tmp_path, capsys):
    """Spaces, Chinese, upper case, bytes that are no text, line breaks, 255 bytes."""
    good = ['IMG 0001.JPG', '热狗.png', 'x.JpEg', 'é ü.gif', "it's 100%.webp", 'two\nlines.png', 'é' * 125 + '.png']
    if sys.platform == 'linux':
        good.append(os.fsdecode(b'\xff\xfe.png'))
    for split, name in itertools.product(SPLITS, ['热 狗', 'Other\nFood']):
        for k, file in enumerate(good):
            picture(tmp_path / split / name / file, 1000 * ([*SPLITS].index(split) + 1) + 50 * len(name) + k)
    data = find_data(tmp_path)
    assert data.classes == ['Other\nFood', '热 狗']
    assert {path.name for path, i in data.train if i == 1} == {*good} and len(data.test) == 2 * len(good)
    assert capsys.readouterr().out == ''


def test_what_is_printed_can_be_printed(tmp_path, monkeypatch):
    """On a terminal that knows ASCII only; a line break in a name is no new line."""
    fill(tmp_path, {'bun': 30, 'hotdog': 30})
    for name in '热狗.jpg', 'two\nlines.jpg', os.fsdecode(b'\xff.jpg'):
        (tmp_path / 'bun' / name).write_bytes(b'no picture')
    escaped = rb'\u70ed\u72d7.jpg'
    for encoding, right in ('ascii', escaped), ('latin-1', escaped), ('utf8', '热狗.jpg'.encode()):
        screen = io.BytesIO()
        monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(screen, encoding, write_through=True))
        find_data(tmp_path)
        said = screen.getvalue()
        assert said.count(b'\n') == 1 and b'3 of 63' in said and right in said and rb'two\nlines.jpg' in said


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, 'café') for form in ('NFC', 'NFD'))


def test_names_that_look_the_same_are_the_same(tmp_path, capsys):
    splits(tmp_path, {'bun': 2})
    fill(tmp_path / 'train', {COMPOSED: 2})
    fill(tmp_path / 'train', {DECOMPOSED: 3}, first=10)
    fill(tmp_path / 'valid', {DECOMPOSED: 2}, first=20)
    fill(tmp_path / 'test', {f'{COMPOSED} ': 2}, first=30)
    data = find_data(tmp_path)
    assert data.classes == ['bun', COMPOSED]
    assert [sum(i for _, i in data[split]) for split in SPLITS] == [5, 2, 2]


def test_upper_case_is_another_class(tmp_path):
    fill(tmp_path / 'train', {'bun': 2, 'hotdog': 2})
    fill(tmp_path / 'test', {'bun': 2, 'Hotdog': 2})
    text = sentence(find_data, tmp_path)
    assert 'hotdog' in text and 'Hotdog' in text


# ---- Subfolders and links -------------------------------------------------------------------------------------------


def test_folders_in_a_class_belong_to_it(tmp_path, capsys):
    fill(tmp_path / 'bun', {'.': 30})
    fill(tmp_path / 'hotdog', {'.': 30, '2019': 30, '2020/may': 30})
    data = find_data(tmp_path)
    assert data.classes == ['bun', 'hotdog'] and total(data) == 120 and capsys.readouterr().out.count('\n') <= 1


@pytest.mark.slow
def test_a_deep_folder(tmp_path):
    fill(tmp_path, {'bun': 5, 'hotdog': 5})
    here = os.open(tmp_path / 'hotdog', os.O_RDONLY)
    for _ in range(1500):  # its path is longer than any path may be, and Python's stack than it may be high
        os.mkdir('dd', dir_fd=here)
        here, above = os.open('dd', os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)
    assert total(find_data(tmp_path)) == 10
    subprocess.run(['rm', '-rf', tmp_path / 'hotdog'], check=True)  # pytest's own way would not do it


def test_links_to_folders_and_files(tmp_path, capsys):
    fill(tmp_path / 'elsewhere', {'x': 10, 'y': 10})
    folder = fill(tmp_path / 'data', {'bun': 20, 'hotdog': 5}, first=50)
    os.symlink(tmp_path / 'elsewhere' / 'x', folder / 'hotdog' / 'linked')
    os.symlink(tmp_path / 'elsewhere' / 'y', folder / 'third class')
    picture(tmp_path / 'one.png', 9999)
    os.symlink(tmp_path / 'one.png', folder / 'bun' / 'linked.png')
    data = find_data(folder)
    assert data.classes == ['bun', 'hotdog', 'third class'] and total(data) == 21 + 15 + 10


def test_links_that_lead_back(tmp_path, capsys):
    folder = fill(tmp_path / 'data', {'bun': 20, 'hotdog': 20})
    right = find_data(folder)
    capsys.readouterr()
    for name, target in {'up': '..', 'self': '.', 'root': '/', 'loop': 'loop', 'above': '../..'}.items():
        os.symlink(target, folder / 'hotdog' / name)
    (folder / 'bun' / 'a').mkdir()
    picture(folder / 'bun' / 'a' / 'one more.png', 9999)
    os.symlink('a', folder / 'bun' / 'the same')
    data = find_data(folder)
    out = capsys.readouterr().out
    assert total(data) == total(right) + 1  # not twice
    assert '5 not used' in out and '1 of ' in out and 'hotdog/loop' in out


@pytest.mark.parametrize('kind', ['dangling', 'pipe', 'text', 'empty', 'vanishes'])
def test_what_can_not_be_read_is_counted_and_named(tmp_path, capsys, monkeypatch, kind):
    fill(tmp_path, {'bun': 30, 'hotdog': 30})
    right = find_data(tmp_path)
    make = {
        'dangling': lambda path: os.symlink('nowhere', path),
        'pipe': os.mkfifo,
        'text': lambda path: path.write_text('no picture'),
        'empty': Path.touch,
        'vanishes': picture,
    }[kind]
    for k in range(30):
        make(tmp_path / 'hotdog' / f'bad {k:02}.jpg')
    if kind == 'vanishes':
        monkeypatch.setattr(known.pictures, 'readable', lambda path: 'bad' not in path.name or path.unlink() is None)
    capsys.readouterr()
    signal.alarm(20)  # whoever opens a pipe waits for ever
    assert find_data(tmp_path) == right
    signal.alarm(0)
    out = capsys.readouterr().out
    assert '30 of 90 files' in out and 'hotdog/bad 04.jpg ...\n' in out and 'bad 05' not in out


def test_nothing_of_the_user_is_changed(tmp_path):
    splits(tmp_path, {'a': 2, 'b': 2})
    (tmp_path / 'train' / 'a' / 'broken.jpg').write_bytes(b'\xff\xd8')
    before = contents(tmp_path)
    find_data(tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize('which', ['data', 'data/hotdog', 'data/hotdog/2019'])
def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch, capsys, which):
    """Tests may run as root, who may read all: so the system's answer is put in its place."""
    folder = fill(tmp_path / 'data', {'bun': 30, 'hotdog': 30, 'hotdog/2019': 1})
    read = Path.iterdir

    def iterdir(path):
        if path == tmp_path / which:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return read(path)

    monkeypatch.setattr(Path, 'iterdir', iterdir)
    if which == 'data/hotdog/2019':
        assert total(find_data(folder)) == 60 and f'1 not used in {folder}' in capsys.readouterr().out
    else:
        assert which.split('/')[-1] in sentence(find_data, folder)


def test_rights_that_forbid_to_ask_what_something_is(tmp_path, monkeypatch):
    """A folder that may be listed and not entered."""
    fill(tmp_path, {'bun': 3, 'hotdog': 3})
    ask = os.stat

    def stat(path, *args, **options):
        if 'hotdog' in os.fspath(path) if isinstance(path, (str, os.PathLike)) else False:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return ask(path, *args, **options)

    monkeypatch.setattr(os, 'stat', stat)
    with pytest.raises(Problem):
        find_data(tmp_path)
