"""Which learning rate does each arm of notebook 03 like best? Chosen on valid with three seeds; test stays closed.

python -m benchmarks.cut_rates

Writes benchmarks/cut_rates.csv, a row for each case, arm, rate and seed. A search that is stopped goes on where it was.
"""

import argparse
import itertools
from pathlib import Path

from benchmarks.facts import data_facts
from benchmarks.notebooks import parameters, run
from benchmarks.table import Table

OUT = Path(__file__).resolve().with_name('cut_rates.csv')
RATES = [0.003, 0.01, 0.03, 0.1, 0.3]  # the lowest for heads only, which learn ten times as fast
SEEDS = [0, 1, 2]


def all_arms(names):
    """[(case, how), ...]: the arms of the four cases, and what the knob adds to one of them."""
    arms = [(case, how) for case in names['guess'] for how in names['arms'].values()]
    return arms + [(('large', 'similar'), {'cut': cut}) for cut in names['cuts']]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.parse_args()
    names = run('03', until='rates')
    same = data_facts(names['data'], names['large']['similar']) | {'parameters': parameters('03')}
    table = Table(OUT, ['amount', 'likeness', 'cut', 'scratch', 'live', 'lr', 'seed', *same])
    for (case, how), lr, seed in itertools.product(all_arms(names), RATES, SEEDS):
        if lr == RATES[0] and how['cut'] != 'output':
            continue
        setting = dict(zip(['amount', 'likeness'], case)) | {'scratch': False, 'live': False} | how

        def best(case=case, how=how, lr=lr, seed=seed):
            result = names['experiment'](case, names['dataset_of'](case, seed), lr, seed, **how)
            return {'valid': result['valid']}

        table.measure({**setting, 'lr': lr, 'seed': seed, **same}, best)


if __name__ == '__main__':
    main()
