"""What do the exercises give? Runs a notebook once for each change of its parameters, with seed 0; of 03 only the arms asked for.

python benchmarks/exercises.py 01 | 02 | 03

Writes benchmarks/exercises_NN.csv, what the notebook's table `measured` says after each change: best accuracy on valid and
seconds. A run that is stopped goes on where it was.
"""

import argparse
import functools
import os
from pathlib import Path

import matplotlib
import nbformat
import pandas as pd

HERE = Path(__file__).resolve().parent
NOTEBOOKS = HERE.parent / 'notebooks'
CHANGES = {
    '01': [
        'frozen = 0',
        "lr['fine-tuned'] = 0.01",
        "lr['fine-tuned'] = 1",
        'frozen = 5',
        'frozen = 8',
        'frozen = 13',
        'num_epochs = 10',
    ],
    '02': [
        'lr = 0.1',
        'lr = 0.001',
        'lr = 0.01',
        'lr = 1',
        'px = 64',
        'px = 96',
        'px = 192',
        "network = 'efficientnet_lite0'",
        'scratch_lr = 0.01',
        'scratch_lr = 0.1',
    ],
}
ARMS = [  # what notebook 03 asks for
    ('per_class', [5, 20, 60], ('small', 'similar'), ['head only', 'nothing frozen', 'augment and train all']),
    ('num_epochs', [1, 2, 4, 8], ('large', 'similar'), ['head only', 'from scratch']),
    ("views['small'], num_epochs", [(1, 6), (3, 2), (6, 1)], ('small', 'different'), ['first half frozen']),
]


def run(number, change='', until=None):
    """{name: object}: what a notebook's code cells leave behind, up to the tag `until`, with `change` made to its parameters."""
    names = {}
    for cell in nbformat.read(next(NOTEBOOKS.glob(f'{number}_*.ipynb')), 4).cells:
        tags = cell.metadata.get('tags', [])
        if until in tags:
            break
        if cell.cell_type == 'code':
            exec(cell.source, names)
        if 'parameters' in tags:
            exec(change, names)
    return names


def run_all(number, change):
    """The table `measured` of a notebook; the data have another name, for its claims hold for the settings as they were."""
    return run(number, f'seeds, data = [0], {str(HERE.parent / "data" / "kitchen")!r}\n{change}')['measured']


def run_arms(change, case, arms):
    """The table `measured` of some arms of notebook 03."""
    names = run('03', change, until='knob')
    dataset, rows = names['dataset_of'](case, 0), []
    for arm in arms:
        how = names['arms'][arm]
        rows.append({'arm': arm, **names['experiment'](case, dataset, names['rate_of'](case, **how), 0, **how)})
    return pd.DataFrame(rows).set_index('arm')[['valid', 'seconds']]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('notebook', choices=['01', '02', '03'])
    number = parser.parse_args().notebook
    out = HERE / f'exercises_{number}.csv'
    matplotlib.use('agg')
    os.chdir(NOTEBOOKS)  # where the cells expect to be
    table = pd.read_csv(out, index_col=[0, 1]) if out.exists() else None
    if number == '03':
        recipes = {
            f'{name} = {value}': functools.partial(run_arms, case=case, arms=arms)
            for name, values, case, arms in ARMS
            for value in values
        }
    else:
        recipes = dict.fromkeys(CHANGES[number], functools.partial(run_all, number))
    for change, recipe in recipes.items():
        if table is None or change not in table.index:
            rows = pd.concat({change: recipe(change)}, names=['change'])
            table = pd.concat([table, rows])
            table.round(4).to_csv(out)
            print(rows.round(3), flush=True)


if __name__ == '__main__':
    main()
