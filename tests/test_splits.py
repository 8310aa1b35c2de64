"""Which picture goes to which split, what is there twice, and the sentence for folders that can't be split."""

import hashlib
import itertools
import os
import shutil
from pathlib import Path

import mended_mxnet

import numpy as onp
import pytest
from helpers import fill, sentence
from PIL import Image

import folders
from folders import SPLITS, share_of, split_by_hash
from utils import find_data


def picture(path, colour=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', (4, 4), (colour // 256, colour % 256, 7)).save(path, 'PNG')


def share(name):
    return int(hashlib.sha1(name.encode()).hexdigest()[:8], 16) / 2**32


def side(name):
    return 'valid' if share(name) < 0.2 else 'test' if share(name) < 0.4 else 'train'


def sides(dataset):
    """{(class, name): split}."""
    return {(dataset.classes[i], path.name): split for split in SPLITS for path, i in dataset[split]}


# ---- By the hash of the name ----------------------------------------------------------------------------------------


def test_share_is_a_hash_of_the_name_alone():
    assert share_of(Path('hot dog.jpg')) == 0x7402E4D2 / 2**32  # printf 'hot dog.jpg' | sha1sum
    assert share_of(Path('hot dog.jpg')) == share_of(Path('a/b/hot dog.jpg')) == share('hot dog.jpg')
    assert share_of(Path('cafe\u0301.jpg')) == share_of(Path('caf\u00e9.jpg')) == share('caf\u00e9.jpg')
    assert 0 <= share_of(Path(os.fsdecode(b'\xff.jpg'))) < 1
    counts, _ = onp.histogram([share_of(Path(f'{k}.jpg')) for k in range(2000)], 10, (0, 1))
    assert counts.sum() == 2000 and counts.min() > 150 and counts.max() < 250


@pytest.mark.parametrize('classes', [2, 3, 10])
def test_class_folders_alone_are_split_in_three(tmp_path, classes):
    names = [f'class {i}' for i in range(classes)]
    for i, k in itertools.product(range(classes), range(30)):
        picture(tmp_path / names[i] / f'{i} {k}.png', 30 * i + k)
    data = find_data(tmp_path)
    assert data.classes == names
    files = [(names[i], f'{i} {k}.png') for i in range(classes) for k in range(30)]
    assert sides(data) == {(name, file): side(file) for name, file in files}


def test_the_bounds_of_the_splits(monkeypatch):
    monkeypatch.setattr(folders, 'share_of', lambda path: float(path.name))
    names = ['0.0', '0.19', '0.2', '0.39', '0.4', '0.99']
    content = {Path(name): name for name in names}
    found = split_by_hash([(path, 0) for path in content], ['valid', 'test'], content)
    assert {split: [path.name for path, _ in part] for split, part in found.items()} == {
        'valid': ['0.0', '0.19'],
        'test': ['0.2', '0.39'],
        'train': ['0.4', '0.99'],
    }


@pytest.mark.parametrize('given, taken', [('test', 'valid'), ('valid', 'test')])
def test_a_split_that_is_missing_comes_out_of_train(tmp_path, given, taken):
    fill(tmp_path / 'train', {'a': 30, 'b': 30})
    fill(tmp_path / given, {'a': 5, 'b': 5}, first=50)
    data = find_data(tmp_path)
    assert len(data[given]) == 10  # all of them, whatever their hash
    assert all(share(path.name) < 0.2 for path, _ in data[taken])
    assert all(share(path.name) >= 0.2 for path, _ in data.train)
    assert len(data.train) + len(data[taken]) == 60


def test_a_picture_never_changes_sides(tmp_path):
    before = sides(find_data(fill(tmp_path / 'here', {'a': 40, 'b': 40})))
    more = sides(find_data(fill(tmp_path / 'here', {'a': 40, 'b': 40}, first=40)))
    moved = sides(find_data(fill(tmp_path / 'there' / 'deeper', {'c': 40, 'd': 40})))
    assert {*before.values()} == {'train', 'valid', 'test'}
    assert before.items() <= more.items() and len(more) == 160
    assert {(name, split) for (_, name), split in moved.items()} == {
        (name, split) for (_, name), split in before.items()
    }


# ---- Few pictures ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('seed', range(20))
@pytest.mark.parametrize('count', [3, 4, 12])
def test_every_class_has_a_picture_in_every_split(tmp_path, capsys, seed, count):
    """Only as many go to another split than their hash says as it takes, and these are named."""
    for i, k in itertools.product(range(5), range(count)):
        picture(tmp_path / f'class {i}' / f'{seed} {i} {k}.png', 100 * i + k)
    found = sides(find_data(tmp_path))
    assert len(found) == 5 * count
    astray = [name for (_, name), split in found.items() if split != side(name)]
    empty = 0
    for i in range(5):
        inside = {name: split for (which, name), split in found.items() if which == f'class {i}'}
        assert {*inside.values()} == {*SPLITS}
        empty += 3 - len({side(name) for name in inside})
    out = capsys.readouterr().out
    assert len(astray) == empty
    assert (f'{empty} pictures went' in out) if empty else not out
    assert all(name in out for name in sorted(astray)[:5])


def test_the_one_whose_hash_is_nearest_goes(tmp_path, capsys):
    names = [f'{k}.png' for k in range(100) if side(f'{k}.png') == 'train'][:12]
    for k, name in enumerate(names):
        picture(tmp_path / 'a' / name, k)
    fill(tmp_path, {'b': 60}, first=100)
    found = sides(find_data(tmp_path))
    nearest = sorted(names, key=share)[:2]
    assert found['a', nearest[0]] == 'valid' and found['a', nearest[1]] == 'test'
    assert all(found['a', name] == 'train' for name in names if name not in nearest)


def test_the_nearest_to_a_range_above(tmp_path):
    names = [f'{k}.png' for k in range(200) if side(f'{k}.png') == 'valid'][:12]
    for k, name in enumerate(names):
        picture(tmp_path / 'a' / name, k)
    fill(tmp_path, {'b': 60}, first=100)
    found = sides(find_data(tmp_path))
    *others, test, train = sorted(names, key=share)  # one after the other: each takes the highest that is left
    assert {found['a', test], found['a', train]} == {'test', 'train'}
    assert all(found['a', name] == 'valid' for name in others)


def test_more_pictures_move_only_those_that_were_named(tmp_path, capsys):
    for i, k in itertools.product(range(5), range(5)):
        picture(tmp_path / f'class {i}' / f'{i} {k}.png', 100 * i + k)
    before, out = sides(find_data(tmp_path)), capsys.readouterr().out
    for i, k in itertools.product(range(5), range(5, 80)):
        picture(tmp_path / f'class {i}' / f'{i} {k}.png', 100 * i + k)
    after = sides(find_data(tmp_path))
    assert capsys.readouterr().out == ''
    moved = {key for key, split in before.items() if after[key] != split}
    assert all(split == side(name) for (_, name), split in after.items())
    assert moved and f'{len(moved)} pictures went' in out


@pytest.mark.parametrize('count', [0, 1, 2])
def test_too_few_pictures(tmp_path, count):
    text = sentence(find_data, fill(tmp_path, {'bun': 30, 'hotdog': count}))
    assert f'1 of 2 classes in {tmp_path} lack pictures' in text and 'add some' in text
    counts = [int(part.split()[1].strip(');')) for part in text.split('hotdog: ')[1].split('; add')[0].split(', ')]
    assert sum(counts) == count


def test_many_empty_classes_are_one_sentence(tmp_path):
    text = sentence(find_data, fill(tmp_path, {'full': 30, **{f'class {i}\n': 0 for i in range(1000)}}))
    assert '1000 of 1001 classes' in text and 'class 1' in text


def test_an_empty_class_of_a_split(tmp_path):
    fill(tmp_path / 'train', {'bun': 30, 'hotdog': 30})
    fill(tmp_path / 'test', {'bun': 2, 'hotdog': 0}, first=50)
    train = sum(side(f'{k}.png') != 'valid' for k in range(30))  # test is there
    assert f'(hotdog: train {train}, valid {30 - train}, test 0)' in sentence(find_data, tmp_path)


def test_a_class_whose_files_are_all_broken(tmp_path, capsys):
    fill(tmp_path, {'bun': 30, 'hotdog': 0})
    for k in range(9):
        (tmp_path / 'hotdog' / f'{k}.jpg').write_bytes(b'\xff\xd8')
    assert '(hotdog: train 0, valid 0, test 0)' in sentence(find_data, tmp_path)
    assert '9 of 39 files' in capsys.readouterr().out


@pytest.mark.slow
def test_a_thousand_classes(tmp_path):
    for i, k in itertools.product(range(1000), range(3)):
        (tmp_path / f'{i:03}').mkdir(exist_ok=True)
        (tmp_path / f'{i:03}' / f'{i} {k}.pgm').write_bytes(b'P5 1 2 255\n' + bytes([i % 256, i // 256 * 3 + k]))
    data = find_data(tmp_path)
    assert len(data.classes) == 1000 and [len(data[split]) for split in SPLITS] == [1000, 1000, 1000]


# ---- The same bytes twice -------------------------------------------------------------------------------------------


def copies(folder, name, count=40):
    """Each picture of the class also as `k (1).png` and `k copy.png`."""
    for k in range(count):
        for more in f'{k} (1).png', f'{k} copy.png':
            shutil.copy(folder / name / f'{k}.png', folder / name / more)


def test_copies_go_together_by_the_smallest_name(tmp_path, capsys):
    fill(tmp_path, {'bun': 40, 'hotdog': 40})
    copies(tmp_path, 'bun')
    copies(tmp_path, 'hotdog')
    found = sides(find_data(tmp_path))
    assert capsys.readouterr().out == ''
    for name, k in itertools.product(('bun', 'hotdog'), range(40)):
        together = [f'{k} (1).png', f'{k} copy.png', f'{k}.png']
        assert {found[name, file] for file in together} == {side(min(together))}


def test_copies_in_two_classes_go_together_and_are_named(tmp_path, capsys):
    fill(tmp_path, {'bun': 40, 'hotdog': 40})
    for k in range(9):
        shutil.copy(tmp_path / 'bun' / f'{k}.png', tmp_path / 'hotdog' / f'x{k}.png')
    found = sides(find_data(tmp_path))
    assert all(found['bun', f'{k}.png'] == found['hotdog', f'x{k}.png'] for k in range(9))
    out = capsys.readouterr().out
    assert '9 of 80 different pictures' in out and 'bun/0.png = hotdog/x0.png' in out and out.endswith(' ...\n')


def test_copies_in_two_given_splits_are_named(tmp_path, capsys):
    for k, split in enumerate(SPLITS):
        fill(tmp_path / split, {'bun': 4, 'hotdog': 4}, first=10 * k)
    find_data(tmp_path)
    assert capsys.readouterr().out == ''
    shutil.copy(tmp_path / 'train' / 'bun' / '0.png', tmp_path / 'test' / 'bun' / 'other.png')
    find_data(tmp_path)
    out = capsys.readouterr().out
    assert '1 of 24 different pictures' in out and 'train/bun/0.png = test/bun/other.png' in out
    shutil.copy(tmp_path / 'train' / 'bun' / '0.png', tmp_path / 'train' / 'bun' / 'again.png')  # harmless
    find_data(tmp_path)
    assert '1 of 24 different pictures' in capsys.readouterr().out


def test_a_thousand_copies_are_one_line(tmp_path, capsys):
    fill(tmp_path / 'train', {'bun': 4, 'hotdog': 4})
    fill(tmp_path / 'test', {'bun': 4, 'hotdog': 4}, first=50)
    for k in range(300):
        shutil.copy(tmp_path / 'train' / 'bun' / '0.png', tmp_path / 'test' / 'bun' / f'{"é" * 100}{k}\n.png')
    find_data(tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) < 500 for line in lines) and '1 of 16 different pictures' in lines[-1]


# ---- Folders that are no data set -----------------------------------------------------------------------------------


def test_unsplit_classes_that_are_called_like_splits(tmp_path):
    for names in ('valid', 'invalid'), ('test', 'control'), ('train', 'bus'), ('val', 'other', 'train'):
        folder = tmp_path / names[0]
        data = find_data(fill(folder, dict.fromkeys(names, 30)))
        assert data.classes == sorted(names) and sum(map(len, data[1:])) == 30 * len(names)
    for year in '2019', '2020':
        fill(tmp_path / 'valid' / 'valid', {year: 5}, first=60)
    data = find_data(tmp_path / 'valid')
    assert data.classes == ['invalid', 'valid'] and sum(map(len, data[1:])) == 70


def test_pictures_that_lie_astray_in_a_split(tmp_path, capsys):
    for k, split in enumerate(SPLITS):
        fill(tmp_path / split, {'a': 2, 'b': 2, '.': 2}, first=10 * k)
    (tmp_path / 'README.md').write_text('no picture')
    (tmp_path / 'docs').mkdir()
    data = find_data(tmp_path)
    assert data.classes == ['a', 'b'] and [len(part) for part in data[1:]] == [4, 4, 4]
    out = capsys.readouterr().out
    assert '8 not used' in out and 'README.md' in out and 'docs' in out


@pytest.mark.parametrize(
    'names, said',
    [
        (['train', 'val', 'validation'], 'val, validation'),
        (['train', 'Train', 'test'], 'Train, train'),
        (['TRAIN', 'training'], 'TRAIN, training'),
        (['test'], 'add it'),
        (['valid', 'test'], 'add it'),
        (['test', 'other'], 'add it'),
    ],
)
def test_splits_that_are_not_clear(tmp_path, names, said):
    for k, name in enumerate(names):
        fill(tmp_path / name, {'a': 3, 'b': 3}, first=10 * k)
    assert said in sentence(find_data, tmp_path)


def test_splits_without_class_folders(tmp_path):
    fill(tmp_path / 'none', {'train': 9, 'test': 9})
    assert 'are no classes' in sentence(find_data, tmp_path / 'none')
    fill(tmp_path / 'half' / 'train', {'a': 9, 'b': 9})
    fill(tmp_path / 'half', {'test': 9})
    text = sentence(find_data, tmp_path / 'half')
    assert str(tmp_path / 'half' / 'test') in text and 'a, b' in text


def test_splits_in_class_folders(tmp_path):
    for k, name in enumerate(('bun', 'hotdog')):
        fill(tmp_path / name, {'train': 9, 'test': 3}, first=20 * k)
    assert 'train/' in sentence(find_data, tmp_path)


def test_splits_with_different_classes(tmp_path):
    fill(tmp_path / 'train', {'bun': 3, 'hotdog': 3, **{f'class {i}': 0 for i in range(1000)}})
    fill(tmp_path / 'test', {'bun': 3, 'burger': 3, **{f'class {i}': 0 for i in range(1000)}})
    text = sentence(find_data, tmp_path)
    assert str(tmp_path / 'test') in text and 'lacks hotdog' in text and 'burger' in text and 'class' not in text[:-60]


@pytest.mark.parametrize('inside', ['data', 'my data/photos', 'a/b/c'])
@pytest.mark.parametrize('split', ['', 'train'])
def test_one_level_too_deep(tmp_path, inside, split):
    folder = tmp_path / 'given' / inside
    fill(folder / split, {'a': 9, 'b': 9})
    if split:
        fill(folder / 'test', {'a': 9, 'b': 9}, first=20)
    (tmp_path / 'given' / 'README.md').write_text('no picture')
    assert f'give {folder}.' in sentence(find_data, tmp_path / 'given')


def test_no_class_folders(tmp_path):
    picture(tmp_path / 'picture.png')
    text = sentence(find_data, tmp_path)
    assert f'{tmp_path} has 0 class folders (none)' in text and 'folder of its own' in text
    (tmp_path / 'empty').mkdir()
    assert 'class folders' in sentence(find_data, tmp_path / 'empty')


def test_one_class(tmp_path):
    text = sentence(find_data, fill(tmp_path, {'hotdog': 3}))
    assert f'{tmp_path} has 1 class folders (hotdog)' in text
    fill(tmp_path / 'train', {'bun': 3})
    assert str(tmp_path / 'train') in sentence(find_data, tmp_path)
