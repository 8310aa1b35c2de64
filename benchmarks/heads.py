"""What do the heads of notebook 02 give with other seeds? Five of each recipe, and twenty orders of its first trap.

python -m benchmarks.heads

The notebook's cells are run once, up to its tag `table`; then its own recipes are, with each seed. Writes
benchmarks/heads.csv, a row for each training: train at its end, valid and test of the head that is kept, the best of
valid and where that was, and where train is ten points ahead. With the originals' own settings there is one seed, for
they take long. A run that is stopped goes on.
"""

import argparse
import time
from pathlib import Path

import utils
from benchmarks.facts import data_facts
from benchmarks.notebooks import parameters, run
from benchmarks.table import Table
from files import ROOT

OUT = Path(__file__).resolve().with_name('heads.csv')
SEEDS, ORDERS = range(5), range(20)
ORIGINALS = {  # what the originals had where the notebook has something else
    'softmax, original': ('softmax', {'steps': 4000, 'lr': 0.01}),
    'dense 256, original': ('dense 256', {'keras_epochs': 50, 'keras_lr': 0.001}),
}


class Bench:
    """The notebook's names, and the table of what its recipes give."""

    def __init__(self):
        self.same = data_facts('kitchen', utils.find_data()) | {'parameters': parameters('02')}
        self.table = Table(OUT, ['head', 'seed', *self.same])
        if not OUT.exists():
            OUT.write_text(','.join(self.table.settings) + '\n')  # for the notebook, which reads it
        kitchen = str(ROOT / 'data' / 'kitchen')  # as a path: its claims are not checked, for they come from here
        self.names = run('02', f'data = {kitchen!r}', until='table')

    def measure(self, head, seed, recipe, *arguments):
        self.table.measure({'head': head, 'seed': seed, **self.same}, lambda: recipe(*arguments, seed))

    def row(self, name, seed):
        """What a recipe gives with a seed."""
        started = time.time()
        head, log = self.names['recipes'][name](seed)
        seconds = time.time() - started
        judged = {split: self.names['judge'](name, head, split) for split in ('valid', 'test')}
        return facts(log) | judged | {'seconds': seconds}

    def original(self, name, changes, seed):
        """The same with other settings."""
        before = {key: self.names[key] for key in changes}
        self.names.update(changes)
        try:
            return self.row(name, seed)
        finally:
            self.names.update(before)

    def five(self, seed):
        """Batch norm and dense 1024 on five kinds of food."""
        foods, px = self.names['foods'], self.names['px']
        head, log = self.names['inception'](seed, foods)
        test = utils.predictions(head, self.names['below'].batches(foods.test, px, 100))
        return facts(log) | {'test': utils.accuracy(*test)}

    def shuffled(self, seed):
        """The first trap, where the seed decides the order of the pictures."""
        agreement, log = self.names['shuffled'](seed)
        return facts(log) | {'agreement': agreement}


def facts(log):
    """What a training says at its end, its best on valid and where that was, and where train is ten points ahead."""
    ahead = log[log.train - log.valid > 0.1]
    return {
        'train': log.train.iloc[-1],
        'valid': log.valid.iloc[-1],
        'best': log.valid.max(),
        'best_at': log.iloc[log.valid.argmax(), 0],
        'parts': ahead.iloc[0, 0] if len(ahead) else None,
    }


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    bench = Bench()
    for seed in SEEDS:
        for name in bench.names['recipes']:
            bench.measure(name, seed, bench.row, name)
        bench.measure('batch norm, dense 1024, five foods', seed, bench.five)
    for name, (recipe, changes) in ORIGINALS.items():
        bench.measure(name, SEEDS[0], bench.original, recipe, changes)
    for seed in ORDERS:
        bench.measure('dense 256, shuffled', seed, bench.shuffled)


if __name__ == '__main__':
    main()
