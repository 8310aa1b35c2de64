"""Which learning rate does each arm of notebook 03 like best? Chosen on valid with three seeds; test stays closed.

python benchmarks/cut_rates.py

Writes benchmarks/cut_rates.csv, a row for each case, arm, rate and seed. A search that is stopped goes on where it was.
"""

import itertools
import os
from pathlib import Path

import matplotlib
import pandas as pd
from exercises import NOTEBOOKS, run

OUT = Path(__file__).resolve().with_name('cut_rates.csv')
COLUMNS = ['amount', 'likeness', 'cut', 'scratch', 'live', 'lr', 'seed', 'valid']
RATES = [0.003, 0.01, 0.03, 0.1, 0.3]  # the lowest for heads only, which learn ten times as fast


def main():
    matplotlib.use('agg')
    os.chdir(NOTEBOOKS)  # where the cells expect to be
    names = run('03', until='rates')
    arms = [(case, how) for case in names['guess'] for how in names['arms'].values()]
    arms += [(('large', 'similar'), {'cut': cut}) for cut in names['cuts']]
    rows = pd.read_csv(OUT, dtype={'cut': str}).values.tolist() if OUT.exists() else []
    for (case, how), lr, seed in itertools.product(arms, RATES, [0, 1, 2]):
        setting = [*case, str(how['cut']), how.get('scratch', False), how.get('live', False), lr, seed]
        if (lr > RATES[0] or how['cut'] == 'output') and setting not in [row[:-1] for row in rows]:
            result = names['experiment'](case, names['dataset_of'](case, seed), lr, seed, **how)
            rows.append([*setting, result['valid']])
            pd.DataFrame(rows, columns=COLUMNS).round(4).to_csv(OUT, index=False)
            print(*rows[-1], f'{result["seconds"]:.0f} s', flush=True)


if __name__ == '__main__':
    main()
