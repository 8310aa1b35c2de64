"""Whatever lies in a folder, every file of it is used or named; whatever is in a file, it is a picture or a Problem.

HYPOTHESIS_EXAMPLES=2000 tries more of them than the usual 100.
"""

import collections
import hashlib
import io
import os
import signal
import tempfile
import unicodedata
from pathlib import Path
from unittest import mock

import mended_mxnet

import pytest
from helpers import noise
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import folders
from pictures import open_picture, readable
from problem import Problem

usual = settings(
    max_examples=int(os.environ.get('HYPOTHESIS_EXAMPLES', 100)),
    derandomize=True,  # the same ones each time
    deadline=None,
    suppress_health_check=[*HealthCheck],
)


@pytest.fixture(autouse=True)
def alarm():
    """No example takes ten seconds, whatever size a file says that it has."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield
    signal.alarm(0)


# ---- Files ----------------------------------------------------------------------------------------------------------


FORMS = ['PNG', 'JPEG', 'GIF', 'TIFF', 'WEBP', 'BMP', 'PPM', 'TGA', 'ICO', 'JPEG2000', 'AVIF', 'PCX', 'QOI', 'SGI']


def good_files():
    """{form: bytes} of noise in all forms that Pillow both reads and writes here, turned by EXIF where they can be."""
    ways = {form: (form, 'RGB', {}) for form in [*FORMS, 'MPO', 'DDS', 'IM', 'ICNS']}
    ways |= {way: ('TIFF', 'RGB', {'compression': way}) for way in ('tiff_lzw', 'tiff_deflate', 'jpeg', 'packbits')}
    ways |= {mode: ('TIFF', mode, {}) for mode in ('I;16', 'F', 'P', 'CMYK')}
    ways |= {
        'grey and alpha': ('PNG', 'LA', {}),
        'palette': ('PNG', 'P', {'transparency': 3}),
        'bits': ('XBM', '1', {}),
    }
    found = {}
    for name, (form, mode, options) in ways.items():
        file, exif = io.BytesIO(), Image.Exif()  # saving changes it
        exif[0x0112], exif[0x010F] = 6, 'a maker'
        exif.get_ifd(0x8825)[6] = 5.5  # the altitude
        noise(40, 40).convert('L' if mode[0] in 'IF' else 'RGB').convert(mode).save(file, form, exif=exif, **options)
        found[name] = file.getvalue()
    return found


GOOD = good_files()
KINDS_OF_EDITS = st.sampled_from(['change', 'change', 'change', 'cut', 'insert', 'remove'])
EDITS = st.tuples(KINDS_OF_EDITS, st.floats(0, 1), st.sampled_from([1, 1, 2]), st.binary(min_size=1, max_size=4))


def edited(data, edits):
    for kind, place, power, more in edits:
        place = int(place**power * len(data))  # many of them near the beginning, where the head is
        if kind == 'cut':
            data = data[: len(data) - place]
        else:
            data = data[:place] + more * (kind != 'remove') + data[place + len(more) * (kind != 'insert') :]
    return data


@pytest.mark.parametrize('form', GOOD)
def test_files_as_they_should_be(tmp_path, form):
    (tmp_path / 'x').write_bytes(GOOD[form])
    assert readable(tmp_path / 'x')


@usual
@given(st.sampled_from(sorted(GOOD)), st.lists(EDITS, min_size=1, max_size=4))
def test_a_file_is_a_picture_or_a_problem(form, edits):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'x'
        path.write_bytes(edited(GOOD[form], edits))
        signal.alarm(10)
        try:
            image = open_picture(path, 32)
            assert image.mode == 'RGB' and all(image.size) and len(image.tobytes()) == 3 * image.width * image.height
        except Problem as problem:
            assert str(path) in str(problem) and len(str(problem)) < 500 and problem.__suppress_context__
        signal.alarm(0)


# ---- Folders --------------------------------------------------------------------------------------------------------

CLASSES = ['bun', 'hotdog', 'Hotdog', 'caf\u00e9', 'cafe\u0301', 'bun ', '热狗', 'valid', 'two\nlines', '\udcff']
PARTS = ['train', 'Train', 'training', 'valid', 'val', 'test', 'TEST']
SPLIT_OF = {'train': 'train', 'training': 'train', 'valid': 'valid', 'val': 'valid', 'test': 'test'}
RUBBISH = ['__MACOSX', '.DS_Store', 'Thumbs.db', '@eaDir', '$RECYCLE.BIN', 'lost+found', '._x']
FOLDERS = st.sampled_from([*CLASSES, *PARTS, *RUBBISH, '.hidden', '2019'])
FILES = st.sampled_from([f'{k}.png' for k in range(40)] + ['é.jpg', '.hidden.png', 'Thumbs.db', 'a\nb.png', '\udcfe'])
KINDS = st.sampled_from(
    [*range(12), 'text', 'empty', 'pipe', 'folder', 'dangling', 'loop', '..', '../..', '../bun', '0.png', '/dev/zero']
)
EXTRAS = st.tuples(st.lists(FOLDERS, max_size=2), FILES, KINDS)


@st.composite
def trees(draw):
    """[(folders, name, what to put there), ...]: class folders, perhaps in splits, with pictures, and anything else.

    One of three is wild: there may be anything anywhere. In the others it is in the class folders.
    """
    wild = draw(st.sampled_from([False, False, True]))
    parts = draw(st.sampled_from([[''], ['train'], ['train', 'test'], ['train', 'val', 'test'], ['Training', 'valid']]))
    classes = draw(st.lists(st.sampled_from(CLASSES), min_size=1 if wild else 3, max_size=5, unique=True))
    count = draw(st.integers(0 if wild else 3, 5))
    tree = [([part, name], f'{k} {len(name)}.png', None) for part in parts for name in classes for k in range(count)]
    for where, name, kind in draw(st.lists(EXTRAS, max_size=10)):
        place = [draw(st.sampled_from(parts)), draw(st.sampled_from(classes))]
        tree.append(([*place[: draw(st.integers(0, 2)) if wild else 2], *where], name, kind))
    return tree


def grow(root, tree):
    """Make the files; None is a picture that no other file equals, a number one that those of that number equal."""
    for number, (where, name, kind) in enumerate(tree):
        path = Path(root, *where, name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind is None or isinstance(kind, int):
                shade = number + 20 if kind is None else kind
                path.write_bytes(b'P5 1 2 255\n' + bytes([shade % 256, shade // 256]))
            elif kind in ('text', 'empty'):
                path.write_text('no picture' * (kind == 'text'))
            elif kind == 'pipe':
                os.mkfifo(path)
            elif kind == 'folder':
                path.mkdir()
            else:
                os.symlink(kind, path)
        except OSError:  # something else is there
            pass


def read(root):
    """(Dataset or Problem, [(sentence, [path, ...]), ...]): what read_folder gives and says, with all names in full."""
    told, named = [], []

    def names(paths, most=5):
        named.append([*map(str, paths)])
        return '...' * bool(named[-1])

    with (
        mock.patch.object(folders, 'first_names', names),
        mock.patch.object(folders, 'tqdm', lambda files, **_: files),
        mock.patch.object(folders, 'say', lambda text: told.append((text, named[-1]))),
    ):
        try:
            return folders.read_folder(root), told
        except Problem as problem:
            return problem, told


def leaves(root):
    """What is not a folder, or an empty one, or a link; without what is rubbish or lies in rubbish."""
    for here, inside, files in os.walk(root):
        inside[:] = [name for name in inside if name not in RUBBISH]
        links = [name for name in inside if os.path.islink(os.path.join(here, name))]
        yield from (os.path.join(here, name) for name in files + links if name not in RUBBISH)


@usual
@given(trees())
def test_every_file_is_used_or_named(tree):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        grow(root, tree)
        signal.alarm(10)
        found, told = read(root)
        signal.alarm(0)
        if isinstance(found, Problem):
            assert '\n' not in str(found) and len(str(found)) < 500
            return
        used = [str(path) for split in folders.SPLITS for path, _ in found[split]]
        assert len(used) == len({*used})
        named = set()
        for text, paths in told:
            count, inside = int(text.split()[0]), text.split(' in ', 1)[1] if ' in ' in text else ''
            if 'not used' in text or 'are skipped' in text:
                base = inside.split(', since' if 'not used' in text else ' are skipped')[0]
                assert count == len(paths) == len({*paths})
                named |= {os.path.join(base, path) for path in paths}
        assert not named & {*used}
        for leaf in leaves(root):
            above = {str(path) for path in Path(leaf).parents}
            assert (leaf in used) + (leaf in named or bool(above & named)) == 1 or os.path.islink(leaf), leaf
        check_dataset(root, found)


def check_dataset(root, dataset):
    """Each class is in each split, each file in its folder's class and split; where those are carved, equals agree."""
    rows = [(split, path, dataset.classes[i]) for split in folders.SPLITS for path, i in dataset[split]]
    assert {(split, name) for split, _, name in rows} == {(s, name) for s in folders.SPLITS for name in dataset.classes}
    parts = [path.relative_to(root).parts for _, path, _ in rows]
    has_splits = all(part[0].lower() in SPLIT_OF and len(part) > 2 for part in parts)
    sides = collections.defaultdict(set)
    for (split, path, name), part in zip(rows, parts):
        assert name == unicodedata.normalize('NFC', part[has_splits]).strip()
        of = SPLIT_OF[part[0].lower()] if has_splits else 'train'
        if of == 'train':
            sides[path.read_bytes()].add(split)
        else:
            assert split == of
    assert all(len(found) == 1 for found in sides.values())


NAMES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 10**6)), min_size=4, max_size=60, unique_by=lambda x: x[1])


@usual
@given(NAMES, st.integers(1, 60), st.sampled_from([['valid', 'test'], ['valid'], ['test']]))
def test_more_pictures_move_only_what_is_named(rows, count, missing):
    everything = [(Path(f'{i}/{k}.png'), i) for i, k in rows]
    content = {path: hashlib.sha1(str(path).encode()).hexdigest() for path, _ in everything}
    sides, named = [], set()

    def names(paths, most=5):
        named.update(paths)
        return ''

    with mock.patch.object(folders, 'first_names', names), mock.patch.object(folders, 'say'):
        for pictures in everything[:count], everything:
            found = folders.split_by_hash(pictures, missing, content)
            assert sorted(path for part in found.values() for path, _ in part) == sorted(path for path, _ in pictures)
            sides.append({path: split for split, part in found.items() for path, _ in part})
    moved = [path for path, split in sides[0].items() if sides[1][path] != split]
    assert {path.name for path in moved} <= named
