"""Which learning rate does each arm of notebook 03 like best? Chosen on valid with the first seed; test stays closed.

python benchmarks/cut_rates.py

Writes benchmarks/cut_rates.csv, a row for each case, arm and rate; a search that is stopped goes on where it was.
"""
import os
from pathlib import Path

import matplotlib
import nbformat
import pandas as pd

OUT = Path(__file__).resolve().with_name('cut_rates.csv')
NOTEBOOKS = OUT.parents[1] / 'notebooks'
COLUMNS = ['amount', 'likeness', 'cut', 'scratch', 'live', 'lr', 'valid']
RATES = [0.01, 0.03, 0.1, 0.3]


def definitions(until='rates'):
    """{name: object}: what the cells of notebook 03 define before the one with the tag `until`."""
    names = {}
    for cell in nbformat.read(next(NOTEBOOKS.rglob('03_*.ipynb')), 4).cells:
        if until in cell.metadata.get('tags', []):
            return names
        if cell.cell_type == 'code':
            exec(cell.source, names)


def main():
    matplotlib.use('agg')
    os.chdir(NOTEBOOKS)  # where the cells expect to be
    names = definitions()
    arms = [(case, how) for case in names['guess'] for how in names['arms'].values()]
    arms += [(('large', 'similar'), {'cut': cut}) for cut in names['cuts']]
    rows = pd.read_csv(OUT, dtype={'cut': str}).values.tolist() if OUT.exists() else []
    for case, how in arms:
        for lr in RATES:
            setting = [*case, str(how['cut']), how.get('scratch', False), how.get('live', False), lr]
            if setting not in [row[:-1] for row in rows]:
                run = names['experiment'](case, names['dataset_of'](case, 0), lr, 0, **how)
                rows.append([*setting, run['valid']])
                pd.DataFrame(rows, columns=COLUMNS).round(4).to_csv(OUT, index=False)
                print(*rows[-1], f'{run["seconds"]:.0f} s', flush=True)


if __name__ == '__main__':
    main()
