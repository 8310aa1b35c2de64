"""What do many pictures cost? Seconds and memory of each step, from 200 pictures to 200,000.

python -m benchmarks.scale [FOLDER] [--px 224] [--most 200000]

The pictures are those of FOLDER, again and again, each in a file that ends in a number, so that no two files are the
same. They look the same, though: this measures what many pictures cost, and not what can be learned from them.

Each step runs in a process of its own. Its seconds begin when packages are imported, and what the steps before it gave
is there; peak_mib is the most that the process held, before_mib what it held when the seconds began. The steps:

- checked: from the folder to its lists of pictures; again: when nothing has changed since.
- features: of all pictures, by Lite0 to the cache; again: from there.
- fitted: a head on these features. classifier: all that `make classifier` does and writes, with these features (if px
  is 224, as it takes them).
- predicted: the class of each picture, with 32 pixels: so files and lists count, and the network hardly does.

Nothing else should run meanwhile. Writes benchmarks/scale.csv and data/scale.svg; a run that is stopped goes on with
the number of pictures that it was at.
"""

import argparse
import random
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import mended_mxnet

from matplotlib import pyplot as plt

import classifier
import frozen
import utils
from benchmarks.facts import data_facts, processor
from benchmarks.rivals import make_classifier, measured
from benchmarks.runtimes import in_a_process
from benchmarks.table import Table
from commands import label
from figures import MARKERS
from files import BUILD, ROOT, whole
from folders import SPLITS, Pictures
from problem import Problem, check_number, check_px, say

OUT, FIGURE = Path(__file__).resolve().with_name('scale.csv'), ROOT / 'data' / 'scale.svg'
SIZES, MANY = (200, 2000, 20000), 200000  # so many for some of the steps
PREDICT_PX = 32


class Task(NamedTuple):
    """The pictures, and a folder for what the steps before have given."""

    data: Path
    px: int
    folder: Path


# ---- The pictures ---------------------------------------------------------------------------------------------------


def everything(dataset):
    """The pictures of all splits."""
    return Pictures([picture for split in SPLITS for picture in dataset[split]], dataset.classes)


def fill(folder, dataset, n):
    """Write n files, all different, with a folder for each class; each picture comes as often as the others."""
    pictures = random.Random(0).sample(everything(dataset), len(everything(dataset)))
    check_room(folder.parent, sum(path.stat().st_size for path, _ in pictures) / len(pictures) * n)
    for i in range(len(dataset.classes)):
        (folder / str(i)).mkdir(parents=True)
    for k in range(n):
        path, i = pictures[k % len(pictures)]
        (folder / str(i) / f'{k}{path.suffix}').write_bytes(path.read_bytes() + str(k).encode())


def check_room(folder, size):
    free = shutil.disk_usage(folder).free
    if free < 2 * size:  # features need some, too
        raise Problem(f'{folder} has {free / 1e9:.1f} GB free and needs {2 * size / 1e9:.1f}; give a smaller --most.')


# ---- The steps: each gives a function, {column: value} of what is timed ---------------------------------------------


def check(task):
    return lambda: {'found': len(everything(utils.find_data(task.data)))}


def features(task):
    below, pictures = cut(task)[0], everything(utils.find_data(task.data))
    return lambda: {'found': len(below.features(pictures, task.px))}


def fit(task):
    (below, above), pictures = cut(task), classifier.Task(utils.find_data(task.data))
    kept = classifier.Features(below, pictures, task.px)
    return lambda: {'found': len(frozen.fit(kept, above, pictures.for_fit(), task.px))}


def predict(task):
    net, pictures = network(task), everything(utils.find_data(task.data))
    net.px = PREDICT_PX
    return lambda: {'found': len(label.labels_of(net, pictures, task.data))}


def cut(task):
    return frozen.cut(network(task), 'output')


def network(task):
    """Lite0 with a new head for the classes of the pictures."""
    classes = sorted(path.name for path in task.data.iterdir())
    return frozen.with_head(utils.pretrained(classifier.SOURCE), classes)


STEPS = {  # in this order
    'checked': check,
    'checked again': check,
    'features': features,
    'features again': features,
    'fitted': fit,
    'classifier': make_classifier,
    'predicted': predict,
}
ALSO_MANY = 'checked', 'checked again', 'predicted'


# ---- The measurement ------------------------------------------------------------------------------------------------


def measure(table, dataset, n, px, same, steps):
    """Add the rows for n pictures to the table, unless all are there."""
    if all(len(table.rows(what=what, pictures=n, **same)) for what in steps):
        return
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        task = Task(Path(folder, 'pictures'), px, Path(folder))
        fill(task.data, dataset, n)
        for what in steps:
            values = in_a_process(measured, STEPS[what], task)
            table.add([{'what': what, 'pictures': n, **same, **values}])
            say(f'{what}, {n} pictures: {values["seconds"]:.1f} s, {values["peak_mib"]} MiB')


def draw(rows):
    """Seconds and memory by the number of pictures, a line for each step; dotted: in proportion."""
    fig, axes = plt.subplots(1, 2, figsize=(12, 5), layout='constrained')
    for ax, column, words in zip(axes, ['seconds', 'peak_mib'], ['seconds', 'most memory, MiB']):
        for marker, what in zip(MARKERS, STEPS):
            some = rows[rows.what == what].astype({'pictures': int}).sort_values('pictures')
            ax.plot(some.pictures, some[column], marker=marker, label=what)
        ax.set(xscale='log', xlabel='pictures', ylabel=words)
    left, right = axes
    left.set(yscale='log')
    right.set_yscale('log', base=2)
    right.set_ylim(2**8, max(2**11, rows.peak_mib.max()))
    right.yaxis.set_major_formatter('{x:g}')
    bottom, n = left.get_ylim()[0], rows.pictures.astype(int)
    left.plot([n.min(), n.max()], [bottom, bottom * n.max() / n.min()], ':', color='dimgrey', label='in proportion')
    fig.legend(*left.get_legend_handles_labels(), loc='outside right', frameon=False)
    return fig


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', metavar='FOLDER', nargs='?', default='kitchen')
    parser.add_argument('--px', type=int, default=224)
    parser.add_argument('--most', type=int, default=MANY)
    args = parser.parse_args()
    check_px(args.px)
    check_number('most', args.most, SIZES[0], whole=True)
    dataset = utils.find_data(args.data)
    same = {'px': args.px, **data_facts(args.data, dataset), 'processor': processor()}
    table = Table(OUT, ['what', 'pictures', *same])
    for n in SIZES + (MANY,):
        if n <= args.most:
            measure(table, dataset, n, args.px, same, ALSO_MANY if n == MANY else STEPS)
    if args == parser.parse_args([]):  # what README shows
        with whole(FIGURE) as partial:
            draw(table.rows(**same)).savefig(partial, format='svg')


if __name__ == '__main__':
    main()
