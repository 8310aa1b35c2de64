"""What do the exercises give? A notebook is run once for each change of its parameters, with seed 0.

python -m benchmarks.exercises 01 | 02 | 03

Writes benchmarks/exercises_NN.csv: what the notebook's table `measured` says after each change, best accuracy on valid
and seconds; of 03 only for the arms that are asked for. A run that is stopped goes on where it was.
"""

import argparse
import functools
from pathlib import Path

import pandas as pd

import utils
from benchmarks.facts import data_facts
from benchmarks.notebooks import parameters, run
from benchmarks.table import Table
from files import ROOT

HERE = Path(__file__).resolve().parent
CHANGES = {
    '01': [
        'num_frozen = 0',
        "lr['fine-tuned'] = 0.01",
        "lr['fine-tuned'] = 1",
        'num_frozen = 5',
        'num_frozen = 8',
        'num_frozen = 13',
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
MEASURED = {  # the rows of a notebook's table `measured`, and what they are called
    '01': ('network', ['fine-tuned', 'from scratch']),
    '02': ('head', ['softmax', 'dense 256', 'batch norm, dense 1024', 'small, from scratch']),
}
ARMS = [  # what notebook 03 asks for
    ('per_class', [5, 20, 60], ('small', 'similar'), ['head only', 'nothing frozen', 'augment and train all']),
    ('num_epochs', [1, 2, 4, 8], ('large', 'similar'), ['head only', 'from scratch']),
    ("views['small'], num_epochs", [(1, 6), (3, 2), (6, 1)], ('small', 'different'), ['first half frozen']),
]


def run_all(number, change):
    """The table `measured` of a notebook, with a path for its data: its claims hold for the settings as they were."""
    kitchen = str(ROOT / 'data' / 'kitchen')
    return run(number, f'seeds, data = [0], {kitchen!r}\n{change}')['measured']


def run_arms(change, case, arms):
    """A table like it of some arms of notebook 03."""
    names, found = run('03', change, until='knob'), {}
    dataset = names['dataset_of'](case, 0)
    for arm in arms:
        how = names['arms'][arm]
        lr = names['rate_of'](case, **how)
        result = names['experiment'](case, dataset, lr, 0, **how)
        found[arm] = {name: result[name] for name in ('valid', 'seconds')}
    return pd.DataFrame(found).T


def recipes(number):
    """Yield (change, function that gives its table, the rows that this must have)."""
    if number == '03':
        for name, values, case, arms in ARMS:
            for change in [f'{name} = {value}' for value in values]:
                yield change, functools.partial(run_arms, change, case, arms), arms
    else:
        for change in CHANGES[number]:
            yield change, functools.partial(run_all, number, change), MEASURED[number][1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('notebook', choices=['01', '02', '03'])
    number = parser.parse_args().notebook
    column = 'arm' if number == '03' else MEASURED[number][0]
    same = data_facts('kitchen', utils.find_data()) | {'parameters': parameters(number)}
    table = Table(HERE / f'exercises_{number}.csv', ['change', column, *same])
    for change, recipe, names in recipes(number):
        if not {*names} <= {*table.rows(change=change, **same)[column]}:
            found = recipe()
            table.add([{'change': change, column: name, **same, **found.loc[name]} for name in names])
            print(change, found.round(3), sep='\n', flush=True)


if __name__ == '__main__':
    main()
