"""Label pictures with a classifier: a table of file, class and confidence, the unsure first.

python -m commands.label      (or: make label CLASSIFIER=folder DATA=folder [OUT=labels.csv] [COPY=folder])

With COPY the pictures are copied into a folder per class, too; nothing is ever moved or overwritten.
"""

import contextlib
import filecmp
import itertools
import os
import shutil

import pandas as pd
from tqdm import tqdm

import frozen
import utils
from commands import REST, stoppable
from commands.asked import asked_path
from files import BUILD, label_of, whole
from folders import Pictures, check_files, entries, files_below, say_left_out
from problem import Problem, say
from sources.weights import keep_older

EXAMPLE = 'make label CLASSIFIER=build/classifier-NAME'


def network_in(folder):
    """The network in the folder of a classifier. Raises Problem."""
    path = folder / 'classifier.safetensors'
    if not os.path.isfile(path):
        raise Problem(f'{path} is not there; give a folder that make classifier has written: {EXAMPLE}.')
    return utils.load(path)


def asked_places(folder, classes):
    """(the path of the table, the folder of the copies or None). Raises Problem where they would spoil the pictures."""
    out, to = (asked_path(name, EXAMPLE) if os.environ.get(name) else None for name in ('OUT', 'COPY'))
    if out and out.suffix != '.csv':
        raise Problem(f'{out} is not the name of a table; give one that ends in .csv: OUT=labels.csv.')
    if to and any((to / name).resolve().is_relative_to(folder.resolve()) for name in classes):
        raise Problem(
            f'The copies in {to} would be in the folder of the pictures, and labelled next time; give another: '
            'COPY=folder.'
        )
    if to and any('/' in name or name in ('', '.', '..') for name in classes):
        raise Problem('A class of this classifier has a name that no folder can have; leave COPY out.')
    return out or BUILD / f'labels-{label_of(folder)}.csv', to


def unsorted_pictures(folder):
    """All pictures in a folder and below, as [(path, 0), ...]; what can't be read is named. Raises Problem."""
    if not os.path.isdir(folder):
        raise Problem(f'There is no folder {folder}; give one with pictures: DATA=folder.')
    entries(folder)  # or it would only be empty, if it may not be read
    left_out = []
    paths = sorted(files_below(folder, left_out, set()))
    say_left_out(folder, left_out, 'hidden, empty, unreadable or used already')
    pictures = check_files(folder, [(path, 0) for path in paths], {})
    if not pictures:
        raise Problem(f'There are no pictures in {folder}; give a folder that has some: DATA=folder.')
    return Pictures(pictures, None)


def labels_of(net, pictures, folder):
    """A table with a row for each picture: its file, class and confidence, the unsure first."""
    below, above = frozen.cut(net, 'output')
    p, _ = utils.predictions(above, below.batches(pictures, net.px, frozen.BATCH))
    files = [str(path.relative_to(folder)) for path, _ in pictures]
    classes = [net.classes[i] for i in p.argmax(1)]
    table = pd.DataFrame({'file': files, 'class': classes, 'confidence': p.max(1).round(4)})
    return table.sort_values('confidence', kind='stable')


def write(table, path):
    """Raises Problem."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as partial:
            table.to_csv(partial, index=False, errors='surrogateescape')
            keep_older(path)
    except OSError as error:
        raise Problem(f'{path} cannot be written ({error}); free some space or give another: OUT=file.') from None


def copy_all(table, folder, to):
    """Copy each picture to a folder of its class. Raises Problem."""
    try:
        for file, name in tqdm([*zip(table['file'], table['class'])], 'copying', leave=False):
            (to / name).mkdir(parents=True, exist_ok=True)
            copy(folder / file, to / name)
    except OSError as error:
        raise Problem(f'{to} cannot be filled ({error}); free some space or give another: COPY=folder.') from None


def copy(path, folder):
    """Copy a file to `folder`, under its name or, where another file has it, 'name 2', and so on."""
    names = itertools.chain([path.name], (f'{path.stem} {k}{path.suffix}' for k in itertools.count(2)))
    for place in map(folder.joinpath, names):
        if not os.path.lexists(place):
            with whole(place) as partial:
                shutil.copyfile(path, partial)
            return
        with contextlib.suppress(OSError):  # what is there is a folder, or may not be read
            if filecmp.cmp(path, place, shallow=False):  # copied before
                return


def main():
    """All of it. Raises Problem."""
    folder = asked_path('DATA', f'{EXAMPLE} DATA=folder')
    net = network_in(asked_path('CLASSIFIER', f'{EXAMPLE} DATA={folder}'))
    path, to = asked_places(folder, net.classes)
    pictures = unsorted_pictures(folder)
    table = labels_of(net, pictures, folder)
    with stoppable(REST):
        write(table, path)
        say(f'{len(table)} pictures are labelled in {path}, the unsure first:')
        say(', '.join(f'{n} {name}' for name, n in table['class'].value_counts().items()))
        if to:
            copy_all(table, folder, to)
            say(f'They are copied to {to}, into a folder for each class.')


if __name__ == '__main__':
    main()
