"""The headlines of the lessons that this collection repeats, on their own pictures.

python -m benchmarks.headlines flowers | catsdogs | mnist | photographs FOLDER [--network efficientnet_lite2] [--px 260]

flowers      3,670 in five classes, split by the hash of their names: a fitted head, and notebook 02's cells with
             retrain.py's own settings, and with batch norm and dense 1024 (five seeds each)
catsdogs     2,048 to train on and 832 of valid, as in Keras' example; test is taken out of train by hash: a fitted head
mnist        60,000 and 10,000; valid is taken out of train by hash: a fitted head, and the first half frozen
photographs  2,000 and 800: a head, C and its accuracy out of fold (five folds)

Writes benchmarks/headlines.csv: valid or out of fold, which test pictures were called right, and the seconds from files
to the trained head, with nothing in the cache. A run that is stopped goes on.
"""

import argparse
import functools
import tempfile
import time
from pathlib import Path
from unittest import mock

import arms
import frozen
import utils
from benchmarks.arms import hex_of
from benchmarks.facts import data_facts
from benchmarks.notebooks import run
from benchmarks.table import Table
from folders import Pictures

OUT = Path(__file__).resolve().with_name('headlines.csv')
SEEDS = range(5)
ORIGINAL = 'steps, lr = 4000, 0.01'  # of retrain.py
HALF_FROZEN_LR = 0.03  # chosen on valid, beside 0.1


class Bench:
    """The pictures of a headline, the source and its pixels, and the table."""

    def __init__(self, headline, folder, network, px):
        self.folder, self.network, self.px = folder, network, px
        self.dataset = utils.find_data(folder)
        if headline == 'photographs':  # out of fold: no valid
            train = Pictures(self.dataset.train + self.dataset.valid, self.dataset.classes)
            self.dataset = self.dataset._replace(train=train, valid=Pictures([], self.dataset.classes))
        counts = {f'num_{split}': len(self.dataset[split]) for split in utils.SPLITS}
        self.same = {'headline': headline, 'network': network, 'px': px, **counts, **data_facts(folder, self.dataset)}
        self.table = Table(OUT, ['head', 'seed', *self.same])

    def measure(self, head, seed, recipe):
        self.table.measure({'head': head, 'seed': seed, **self.same}, recipe)

    def fitted(self):
        """A head fitted to its end; it depends on no seed."""
        started = time.time()
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(frozen, 'CACHE', Path(folder)):
            net = utils.with_new_head(utils.pretrained(self.network), self.dataset.classes)
            below, above = frozen.cut(net, 'output')
            valid = frozen.fit(below, above, self.dataset, self.px).valid.max()
            seconds = time.time() - started
            return {'valid': valid, 'right': self.right(above, below), 'seconds': seconds}

    def right(self, above, below):
        """Which test pictures are called right."""
        test = self.dataset.test
        probabilities, labels = utils.predictions(above, below.batches(test, self.px, 100))
        return hex_of(probabilities.argmax(1) == labels)

    def of_notebook(self, names, recipe, seed):
        """What a recipe of notebook 02 gives with a seed; its features are there already."""
        started = time.time()
        head, _ = names['recipes'][recipe](seed)
        seconds = time.time() - started
        scores = head(utils.np.array(names['X']['test'])).asnumpy()
        right = scores.argmax(1) == names['y']['test']
        valid = names['judge'](recipe, head, 'valid')
        return {'valid': valid, 'right': hex_of(right), 'seconds': seconds}

    def half_frozen(self, seed):
        """As in notebook 03, at its pixels."""
        started = time.time()
        arm, source = arms.ARMS['first half frozen'], utils.pretrained()
        net, history = arms.experiment(arm, source, self.dataset, 'different', HALF_FROZEN_LR, seed)
        seconds = time.time() - started
        right = arms.right(net, self.dataset, 'different')
        return {'valid': history.valid.max(), 'right': hex_of(right), 'seconds': seconds}


def flowers(bench):
    change = f'data, network, px = {str(bench.folder)!r}, {bench.network!r}, {bench.px}\n{ORIGINAL}'
    names = run('02', change, until='table')
    for seed in SEEDS:
        for recipe in 'softmax', 'batch norm, dense 1024':
            bench.measure(recipe, seed, functools.partial(bench.of_notebook, names, recipe, seed))


def mnist(bench):
    head = f'first half of resnet18_v2 frozen, {arms.PX["different"]} px, rate {HALF_FROZEN_LR}'
    for seed in SEEDS[:2]:
        bench.measure(head, seed, functools.partial(bench.half_frozen, seed))


MORE = {'flowers': flowers, 'mnist': mnist}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('headline', choices=['flowers', 'catsdogs', 'mnist', 'photographs'])
    parser.add_argument('folder')
    parser.add_argument('--network', default='efficientnet_lite0')
    parser.add_argument('--px', type=int, default=224)
    parser.add_argument('--fitted', action='store_true', help='only the fitted head')
    args = parser.parse_args()
    bench = Bench(args.headline, Path(args.folder).resolve(), args.network, args.px)
    bench.measure('fitted', 'any', bench.fitted)
    if not args.fitted and args.headline in MORE:
        MORE[args.headline](bench)


if __name__ == '__main__':
    main()
