"""What do right answers to the exercises give, with ten seeds, and is one of them ever refused?

python -m benchmarks.answers 01 | 02 | 03 [--seeds 10]

Runs exercises/NN_*.ipynb, with our solutions, once for each seed, and writes benchmarks/answers.csv: every accuracy
that a check compares with what others got (it takes those of seeds 0 to 4), and a row `refused` for each check. A run
that is stopped goes on where it was.
"""

import argparse
import os
from unittest import mock

import matplotlib
import nbformat
import pandas as pd

from benchmarks.table import Table
from exercises import checks
from files import ROOT
from problem import Problem


def cells(number):
    """The code cells of the exercises to notebook `number`."""
    (path,) = (ROOT / 'exercises').glob(f'{number}_*.ipynb')
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == 'code']


def parameters(number):
    """Its cell of parameters as one line, without the seed."""
    (cell,) = [cell for cell in cells(number) if 'parameters' in cell.metadata.get('tags', [])]
    names = {}
    exec(cell.source, {}, names)
    return ', '.join(f'{name} = {value!r}' for name, value in names.items() if name != 'seed')


def run(number, seed):
    """[(exercise, what, value), ...]: the accuracies that are compared with those of others, and what was refused."""
    matplotlib.use('agg')
    os.chdir(ROOT / 'exercises')
    names, rows = {}, []

    def fits(name, what, value):
        rows.append((name, what, value))
        return True

    def check(name, *answers):
        try:
            real(name, *answers)
            rows.append((name, 'refused', 0))
        except Problem as problem:
            print(problem, flush=True)
            rows.append((name, 'refused', 1))

    real = checks.check
    with mock.patch.multiple(checks, fits=fits, check=check):
        for cell in cells(number):
            exec(cell.source, names)
            if 'parameters' in cell.metadata.get('tags', []):
                names['seed'] = seed
    return rows


def refused(table):
    """The rows of a table of answers that a check refuses."""
    numbers = table[table.what != 'refused']
    out = [not checks.fits(row.exercise, row.what, row.value) for row in numbers.itertuples()]
    return [*table[(table.what == 'refused') & (table.value > 0)].exercise, *numbers[out].exercise]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('notebook', choices=['01', '02', '03'])
    parser.add_argument('--seeds', type=int, default=10, help='how many')
    args = parser.parse_args()
    number, same = args.notebook, {'parameters': parameters(args.notebook)}
    table = Table(checks.MEASURED, checks.SETTINGS)
    for seed in range(args.seeds):
        if table.rows(exercise=f'{int(number)}a', what='refused', seed=seed, **same).empty:
            rows = pd.DataFrame(run(number, seed), columns=['exercise', 'what', 'value'])
            table.add(rows.assign(seed=seed, **same).to_dict('records'))
            print(f'seed {seed} is done', flush=True)
    answers = table.rows(**same)
    print(f'{len(answers[answers.what == "refused"])} answers, refused: {refused(answers) or "none"}')


if __name__ == '__main__':
    main()
