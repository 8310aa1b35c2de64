"""The arms of notebooks 01 and 03, each to its own end, at its own rate: the long table behind what they say.

python -m benchmarks.arms [cases | knob | classes | layers | seconds] [similar | different] [--seeds 0 1 2 3 4]

cases    each arm, with 20 pictures per class and with all; its rate climbs on valid, with the first two seeds (and
         descends again while one of all seeds learns nothing at it)
knob     other blocks frozen, with the first three seeds
classes  accuracy against pictures per class, with the first three seeds, at the rate that is best with 20
layers   the first blocks copied, the rest random (Yosinski et al., 2014), with the first three seeds
seconds  of an epoch of each arm, when nothing else runs: benchmarks/arms_seconds.csv

Similar pictures are kitchen at 128 px, different ones are digits. Writes benchmarks/arms.csv, a row for each training:
valid by epoch, and at the best of them which test pictures were called right, as the digits of a hexadecimal number. Of
these, only those of the chosen rates and of the knob are ever looked at. A run that is stopped goes on; two halves may
run at once.
"""

import argparse
import functools
import itertools
import tempfile
import time
from pathlib import Path
from unittest import mock

import numpy as onp

import arms
import frozen
import utils
from arms import ARMS, START, Arm
from benchmarks.facts import data_facts
from benchmarks.table import Table
from problem import check_number, say
from sources.weights import TooFast

OUT = Path(__file__).resolve().with_name('arms.csv')
SECONDS = OUT.with_name('arms_seconds.csv')
RATES = [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]
PER_CLASS = [1, 2, 5, 10, 20, 50, 100]  # and all there are, which `cases` has
PLACES = ['stage1', 'stage2', 'stage3', 'stage4', 'batchnorm2']  # the last one begins anew, and the output
SMALL = 20  # pictures per class; large are all there are


def hex_of(right):
    """An array of True and False as a hexadecimal number."""
    return onp.packbits(right).tobytes().hex()


class Bench:
    """The trainings on similar or on different pictures, and their table."""

    def __init__(self, likeness):
        self.likeness, self.source = likeness, utils.pretrained()
        self.dataset = utils.find_data() if likeness == 'similar' else arms.digits()
        self.same = {
            'likeness': likeness,
            'px': arms.PX[likeness],
            'crops': arms.CROPS[likeness],
            'batch_size': arms.BATCH_SIZE,
            'epoch': arms.EPOCH,
            'cap': arms.CAP,
            'patience': arms.PATIENCE,
            **data_facts('kitchen' if likeness == 'similar' else 'digits', self.dataset),
        }
        self.table = Table(OUT, ['arm', 'per_class', 'lr', 'seed', *self.same])

    def measure(self, name, per_class, lr, seed, arm=None):
        """The best accuracy on valid of an arm in ARMS, or of another one with that name."""
        setting = {'arm': name, 'per_class': per_class, 'lr': lr, 'seed': seed, **self.same}
        recipe = functools.partial(self.row, arm or ARMS[name], per_class, lr, seed)
        return float(self.table.measure(setting, recipe).valid)

    def pictures(self, per_class, seed):
        """The Dataset with so many training pictures of each class."""
        return self.dataset if per_class == 'all' else arms.some_of(self.dataset, per_class, seed)

    def row(self, arm, per_class, lr, seed):
        dataset = self.pictures(per_class, seed)
        try:
            net, table = arms.experiment(arm, self.source, dataset, self.likeness, lr, seed)
        except TooFast:  # it learns nothing at this rate
            return {'valid': 0, 'valid_by_epoch': '0', 'right': hex_of(onp.zeros(len(dataset.test), bool))}
        return {
            'valid': table.valid.max(),
            'valid_by_epoch': ' '.join(f'{value:.4f}' for value in table.valid),
            'right': hex_of(arms.right(net, dataset, self.likeness)),
        }

    def climb(self, arm, per_class, seeds):
        """The rate that is better on valid than its two neighbours in RATES with the first two seeds, from START on.

        Where one of all seeds learns nothing, the next lower one at which each learns something.
        """
        best, around = START[arm], []
        while best not in around[:1]:
            i = RATES.index(best)
            around = [best, *RATES[max(i - 1, 0) : i], *RATES[i + 1 : i + 2]]
            mean = {lr: onp.mean([self.measure(arm, per_class, lr, seed) for seed in seeds[:2]]) for lr in around}
            best = max(mean, key=mean.get)
        while best > RATES[0] and not all(self.measure(arm, per_class, best, seed) for seed in seeds):
            best = RATES[RATES.index(best) - 1]
        if best in (RATES[0], RATES[-1]):
            say(f'The best rate of "{arm}", {best}, is at an end of the grid; add a rate beyond it to RATES.')
        return best

    def cases(self, seeds):
        """Each arm in each case, at its best rate."""
        for per_class, arm, seed in itertools.product(['all', SMALL], ARMS, seeds):
            self.measure(arm, per_class, START.get(arm), seed)
        for per_class, arm in itertools.product(['all', SMALL], START):
            self.climb(arm, per_class, seeds)

    def knob(self, seeds):
        """Frozen below other blocks, at the rate of the arm that is frozen by half."""
        for seed, place in itertools.product(seeds[:3], ['stage1', 'stage2', 'stage4']):
            self.measure(f'frozen below {place}', 'all', START['first half frozen'], seed, Arm(cut=place))

    def classes(self, seeds):
        """Accuracy against pictures per class, at the rate that is best with 20 of each: no search for every number."""
        trained = ['fine-tuned', 'from scratch']
        for arm in trained:
            self.climb(arm, SMALL, seeds)
        best = arms.at_best_rates(self.table.rows(per_class=SMALL, **self.same)).groupby('arm').lr.first()
        lr = {arm: float(best[arm]) for arm in trained}
        for seed, per_class, arm in itertools.product(seeds[:3], PER_CLASS, ['head only', *trained]):
            if per_class * len(self.dataset.classes) < len(self.dataset.train):
                self.measure(arm, per_class, lr.get(arm), seed)

    def layers(self, seeds):
        """The first blocks copied, the rest random and trained; the copied ones trained, too, or frozen."""
        for seed, place, is_frozen in itertools.product(seeds[:3], PLACES, [False, True]):
            arm = Arm(cut=place if is_frozen else 0, copied=place)
            self.measure(f'copied below {place}' + ', frozen' * is_frozen, 'all', START['from scratch'], seed, arm)

    def seconds(self, seeds):
        """What an epoch takes, and what comes before the first; nothing else should run meanwhile."""
        table = Table(SECONDS, ['arm', 'per_class', *self.same])
        for arm in ARMS:
            setting = {'arm': arm, 'per_class': 'all', **self.same}
            table.measure(setting, functools.partial(self.clock, arm, seeds[0]))

    def clock(self, arm, seed):
        """Seconds of an epoch, with its look at valid, and of all before the first, with nothing in the cache."""
        ends = [time.time()]
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(frozen, 'CACHE', Path(folder)):
            recipe = ARMS[arm], self.source, self.dataset, self.likeness, START.get(arm), seed
            arms.experiment(*recipe, num_epochs=3, watch=lambda history: ends.append(time.time()))
        ends.append(time.time())
        epoch = (ends[3] - ends[1]) / 2 if len(ends) > 3 else 0
        return {'once': ends[1] - ends[0] - epoch, 'epoch_seconds': epoch}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('part', choices=['cases', 'knob', 'classes', 'layers', 'seconds'])
    parser.add_argument('likeness', choices=['similar', 'different'])
    parser.add_argument('--seeds', type=int, nargs='+', default=range(5))
    args = parser.parse_args()
    for seed in args.seeds:
        check_number('seed', seed, whole=True)
    getattr(Bench(args.likeness), args.part)(args.seeds)


if __name__ == '__main__':
    main()
