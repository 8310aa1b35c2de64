"""From a folder to lists of pictures: every file below it is used, is rubbish of a system, or is counted and named."""

import collections
import contextlib
import hashlib
import os
import re
import unicodedata
from pathlib import Path

from tqdm.auto import tqdm

from known import Known
from pictures import readable
from problem import Problem, first_names, say

SPLITS = {'train': ['train', 'training'], 'valid': ['valid', 'val', 'validation'], 'test': ['test', 'testing']}
SPLIT_WORD = re.compile(r'(^|[^a-z])(train|training|dev|val|valid|validation|test|testing|fold|split)([^a-z]|$)')
RUBBISH = {  # what systems and programs leave behind, in lower case
    *('.ds_store', '__macosx', '.appledouble', '.localized', '.apdisk', '.temporaryitems', 'icon\r'),  # macOS
    *('.spotlight-v100', '.fseventsd', '.trashes', '.documentrevisions-v100', '.volumeicon.icns'),
    *('temporary items', 'network trash folder', 'thevolumesettingsfolder'),
    *('thumbs.db', 'ehthumbs.db', 'ehthumbs_vista.db', 'desktop.ini', '$recycle.bin'),  # Windows
    *('system volume information', 'found.000', 'msdownld.tmp', '$windows.~bt', 'config.msi'),
    *('.directory', '.trash', '.trash-1000', 'lost+found', '.thumbnails', '.nomedia', 'lost.dir'),  # Linux, Android
    *('@eadir', '@tmp', '#recycle', '#snapshot', '.@__thumb', '@recycle', '@recently-snapshot', '~snapshot'),  # NAS
    *('.git', '.gitignore', '.gitkeep', '.gitattributes', '.svn', '.hg', '.ipynb_checkpoints', '__pycache__'),
    *('.picasa.ini', 'picasa.ini', '.dropbox', '.dropbox.cache', '.dropbox.attr', '.stfolder', '.cache'),
}


class Pictures(list):
    """[(path, class number), ...]; `classes` are the names that the numbers stand for, also for a part of the list."""

    def __init__(self, pictures, classes):
        super().__init__(pictures)
        self.classes = classes

    def __getitem__(self, rows):
        found = super().__getitem__(rows)
        return Pictures(found, self.classes) if isinstance(rows, slice) else found


class Dataset(collections.namedtuple('Dataset', 'classes train valid test')):
    """The names of the classes, and three lists of (path, class number): dataset.train or dataset['train']."""

    def __getitem__(self, key):
        return self._asdict()[key] if isinstance(key, str) else super().__getitem__(key)


def read_folder(folder):
    """The Dataset in a folder of class folders, or of train/, valid/ and test/ with class folders. Raises Problem.

    A split that is not there is taken out of the training pictures by `share_of`. What is left out is said and why.
    """
    if not os.path.isdir(folder):
        raise Problem(
            f'There is no folder {folder}; give "kitchen", "hotdog" or a folder that has one folder per class.'
        )
    parts = split_folders(folder)
    left_out = [path for path in entries(folder) if {'train': folder} != parts and path not in parts.values()]
    files = {split: files_by_class(folder, part, left_out) for split, part in parts.items()}
    classes = sorted(files['train'])
    check_class_folders(parts, files, classes)
    say_left_out(folder, left_out, 'in no class folder, hidden, empty, unreadable or used already')
    content, splits = {}, {}
    for split, part in parts.items():
        everything = [(path, i) for i, name in enumerate(classes) for path in files[split][name]]
        splits[split] = check_files(part, everything, content)
    missing = [split for split in SPLITS if split not in splits]
    splits |= split_by_hash(splits['train'], missing, content)
    check_counts(folder, classes, splits)
    say_what_is_there_twice(folder, splits, content)
    return Dataset(classes, **{split: Pictures(splits[split], classes) for split in SPLITS})


# ---- Which folders are what -----------------------------------------------------------------------------------------


def entries(folder):
    """What is in a folder, sorted, without rubbish. Raises Problem if it may not be read."""
    try:
        found = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise Problem(f"{folder} can't be read ({error.strerror}); change its rights or give another.") from None
    return [path for path in found if not is_rubbish(path.name.lower())]


def is_rubbish(name):
    """Also what macOS puts beside a file on other systems' disks, and Windows beside a download in a Linux folder."""
    return name in RUBBISH or name.startswith('._') or name.endswith(':zone.identifier')


def subfolders(folder):
    return [path for path in entries(folder) if os.path.isdir(path) and not path.name.startswith('.')]


def class_name(folder):
    """Its name without what can't be seen: spaces around it, and which of the two ways Unicode has to write é."""
    return unicodedata.normalize('NFC', folder.name).strip() or folder.name


def split_folders(folder):
    """{split: its folder}, or {'train': folder} where it has class folders only. Raises Problem if that is unclear."""
    inside = subfolders(folder)
    named = {split: [p for p in inside if class_name(p).lower() in names] for split, names in SPLITS.items()}
    some = [p for paths in named.values() for p in paths]
    others = [p for p in inside if p not in some]
    if any(is_split(p, others) for p in named['train']):
        for split, paths in named.items():
            if len(paths) > 1:
                raise Problem(f'{folder} has {first_names(p.name for p in paths)}, and each may be {split}; keep one.')
        return {split: paths[0] for split, paths in named.items() if paths}
    for path in some:
        if is_split(path, others):
            raise Problem(
                f'{path} holds folders, as a split does, but {folder} has no train/ with class folders; add it.'
            )
    if inside and all(SPLIT_WORD.search(path.name.lower()) for path in inside):
        names = first_names(path.name for path in inside)
        raise Problem(
            f'{folder} has {names}, which are no classes; call splits train, valid and test, with class folders.'
        )
    if len(others) > 1 and all(os.path.isdir(path / 'train') for path in others):
        raise Problem(f'{folder} has train/ in its class folders; make one train/, with the class folders in it.')
    return {'train': folder}


def is_split(folder, others):
    """Whether it holds class folders; one with pictures is a class, unless the `others` have none: they lie astray."""
    inside = subfolders(folder)
    if inside and has_pictures(folder):
        return len(inside) > 1 and not any(map(has_pictures, others))
    return bool(inside)


def has_pictures(folder):
    return any(map(readable, entries(folder)))


def files_by_class(folder, part, left_out):
    """{class: all files in its folder and below}; what belongs to no class, or is hidden, is added to `left_out`."""
    above = {identity(path) for path in (part, *Path(os.path.realpath(folder), '_').parents)}
    found, visited = {}, collections.defaultdict(lambda: {*above})
    for path in entries(part):
        if os.path.isdir(path) and not path.name.startswith('.'):
            name = class_name(path)
            found.setdefault(name, []).extend(files_below(path, left_out, visited[name]))
        else:
            left_out.append(path)
    return {name: sorted(paths) for name, paths in found.items()}


def files_below(folder, left_out, visited):
    """All files in a folder and below; hidden ones, empty folders and links into `visited` are added to `left_out`."""
    found, todo = [], [folder]
    while todo:
        here = todo.pop()
        inside = []
        with contextlib.suppress(Problem, OSError):  # it may not be read
            inside = entries(here) if identity(here) not in visited else []
            visited.add(identity(here))
        if not inside:
            left_out.append(here)
        for path in inside:
            kind = left_out if path.name.startswith('.') else todo if os.path.isdir(path) else found
            kind.append(path)
    return found


def say_left_out(folder, left_out, why):
    if left_out:
        names = first_names(path.relative_to(folder) for path in left_out)
        say(f'{len(left_out)} not used in {folder}, since {why}: {names}')


def identity(path):
    """What is the same for a folder and all links to it."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


def check_class_folders(parts, files, classes):
    for split, part in parts.items():
        lacks, more = first_names({*classes} - {*files[split]}), first_names({*files[split]} - {*classes})
        if lacks or more:
            what = ' and '.join([f'lacks {lacks}'] * bool(lacks) + [f'has {more} more'] * bool(more))
            raise Problem(
                f'{part} {what}, unlike {parts["train"]}; give both the same class folders or take it elsewhere.'
            )
    if len(classes) < 2:
        part = parts['train']
        deeper = next((path for path in only_folders(part) if len(subfolders(path)) > 1), None)
        advice = f'give {deeper}' if deeper else 'put the pictures of each class into a folder of its own, two at least'
        raise Problem(f'{part} has {len(classes)} class folders ({first_names(classes) or "none"}); {advice}.')


def only_folders(folder):
    """The folder in a folder that has only one, and the one in that, and so on."""
    while len(inside := subfolders(folder)) == 1:
        (folder,) = inside
        yield folder


# ---- The files ------------------------------------------------------------------------------------------------------


def check_files(part, files, content):
    """The (path, class number) of `files` that can be read; the others are named. `content` gets the hash of each."""
    with Known() as known:
        for path, _ in tqdm(files, desc='checking pictures', leave=False):
            with contextlib.suppress(OSError):  # it may vanish meanwhile
                content[path] = known.hash_of_picture(path)
    bad = [path.relative_to(part) for path, _ in files if not content.get(path)]
    if bad:
        why = "since they can't be read as pictures"
        say(f'{len(bad)} of {len(files)} files in {part} are skipped, {why}: {first_names(bad)}')
    return [(path, i) for path, i in files if content.get(path)]


def check_counts(folder, classes, splits):
    """Raises Problem unless each class has a picture in each split."""
    counts = {split: collections.Counter(i for _, i in splits[split]) for split in SPLITS}
    empty = [i for i in range(len(classes)) if any(counts[split][i] == 0 for split in SPLITS)]
    if empty:
        table = '; '.join(
            f'{classes[i]}: ' + ', '.join(f'{split} {counts[split][i]}' for split in SPLITS) for i in empty[:3]
        )
        raise Problem(
            f'{len(empty)} of {len(classes)} classes in {folder} lack pictures ({table}); '
            'add some different ones, or move their folders away.'
        )


def say_what_is_there_twice(folder, splits, content):
    """One sentence on the pictures that are in two splits or two classes, byte for byte."""
    places, paths = collections.defaultdict(set), collections.defaultdict(list)
    for split, pictures in splits.items():
        for path, i in pictures:
            places[content[path]].add((split, i))
            paths[content[path]].append(path)
    twice = [paths[key] for key in places if len(places[key]) > 1]
    if twice:
        names = first_names(' = '.join(str(path.relative_to(folder)) for path in same[:3]) for same in twice)
        what = 'so that what is measured is too good or contradicts itself'
        share = f'{len(twice)} of {len(places)} different pictures in {folder}'
        say(f'{share} are in two splits or two classes, byte for byte, {what}: {names}')


# ---- The splits -----------------------------------------------------------------------------------------------------


def name_of(path):
    return unicodedata.normalize('NFC', path.name)


def share_of(path):
    """A number in [0, 1) that depends on the file's name only, so that a picture never changes sides."""
    return int(hashlib.sha1(name_of(path).encode('utf8', 'surrogateescape')).hexdigest()[:8], 16) / 16**8


def split_by_hash(pictures, missing, content):
    """{split: pictures}: each `missing` split gets a fifth of `pictures`, chosen by hash, and train keeps the rest.

    Files of one `content` go together, by the smallest of their names.
    """
    bounds = {split: (0.2 * k, 0.2 * (k + 1)) for k, split in enumerate(missing)}
    bounds['train'] = (0.2 * len(missing), 1)
    share = {}
    for path, _ in sorted(pictures, key=lambda picture: name_of(picture[0]), reverse=True):
        share[content[path]] = share_of(path)  # the last one has the smallest name
    side = {key: split for key in share for split, (low, high) in bounds.items() if low <= share[key] < high}
    moved = {*fill_empty(pictures, content, bounds, share, side)}
    names = [path.name for path, _ in pictures if content[path] in moved]
    if names:
        what = 'went to a split that had none of their class, and may go to another when pictures are added'
        say(f'{len(names)} pictures {what}: {first_names(names)}')
    return {split: [(path, i) for path, i in pictures if side[content[path]] == split] for split in bounds}


def fill_empty(pictures, content, bounds, share, side):
    """Where a class has no picture in a split, give it the one whose hash is nearest; yields the content of each.

    A split that has only one picture of the class keeps it.
    """
    by_class = collections.defaultdict(set)
    for path, i in pictures:
        by_class[i].add(content[path])
    for keys in by_class.values():
        for split, (low, high) in bounds.items():
            counts = collections.Counter(side[key] for key in keys)
            distance = {key: max(low - share[key], share[key] - high) for key in keys if counts[side[key]] > 1}
            if not counts[split] and distance:
                nearest = min(sorted(distance), key=distance.get)
                side[nearest] = split
                yield nearest
