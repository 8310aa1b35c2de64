"""What do right answers to the exercises give, with ten seeds, and is one of them ever refused?

python -m benchmarks.answers 01 | 02 | 03 [--seeds 10]

Runs exercises/NN_*.ipynb, with our solutions, once for each seed, and writes benchmarks/answers.csv: every accuracy
that a check compares with what others got, a row `refused` for each check (for what else it looks at), and rows `think`
with what our answers to the questions under *Think* and *To go on* say. A run that is stopped goes on where it
was. Another kind of processor rounds differently; this is MXNet as on one with AVX2 at most, with a cache of its own:

HOTDOG_BUILD=build/avx2 DNNL_MAX_CPU_ISA=AVX2 ONEDNN_MAX_CPU_ISA=AVX2 OPENBLAS_CORETYPE=Haswell \\
    python -m benchmarks.answers 01 --seeds 5
"""

import argparse
import os
from unittest import mock

import matplotlib
import nbformat
import numpy as np
import pandas as pd

from benchmarks.table import Table
from exercises import checks
from files import ROOT
from problem import Problem

INSTRUCTIONS = os.environ.get('DNNL_MAX_CPU_ISA', 'all')  # of the processor, which MXNet may use


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
    return rows + [(f'{name} think', what, value) for name, what, value in THINK[number](names)]


# ---- Think, and To go on --------------------------------------------------------------------------------------------


def fine_tuning(names):
    """1a, 1b, 1d and 1f: few epochs, where the rate is too fast, some blocks copied, the row; `names` are its last."""
    for name, history in names['histories'].items():
        yield '1a', f'{name}, 2 epochs', history.valid[:2].max()
    yield '1b', 'too fast', names['too_fast']
    yield '1f', 'gain by the row, on average', names['gain'].mean()
    yield '1f', 'seeds that are better with it', (names['gain'] > 0).sum()
    for num_copied, num_epochs in ((8, 2), (6, 6)):
        for lr in (0.1, 0.03):
            names['utils'].seed_everything(names['seed'])
            net = names['reuse'](names['source'], names['classes'], num_copied)
            valid = names['fit'](net, 'fine-tuned', num_epochs, lr).valid
            for n in sorted({2, num_epochs}):
                yield '1d', f'{num_copied} blocks copied, {n} epochs at {lr}', valid[:n].max()


def frozen_features(names):
    """2b to 2f: points between splits, dropout, batch norm, with a leak and without."""
    yield '2b', 'points', names['points']
    for p, accuracies in names['by_dropout'].items():
        for split, value in zip(('train', 'valid'), accuracies):
            yield '2c', f'dropout {p}, {split}', value
    for (rate, batch_norm), value in names['by_rate'].items():
        yield '2d', f'rate {rate}, {"with" if batch_norm else "without"} batch norm', value
    for n, values in names['by_number'].items():
        yield '2e', f'standard deviation with {n} a class', np.std(values, ddof=1)
    leaky, accuracy_of = names['leaky'], names['accuracy_of']
    twins = names['leaked'](names['X_train'], names['X_valid'])
    clean = [picture for i, picture in enumerate(leaky.valid) if i not in twins]
    yield '2f', 'with the leak', accuracy_of(leaky.train, leaky.valid)
    yield '2f', 'without', accuracy_of(leaky.train, clean)


def more_digits(names):
    """3b: by how much fine-tuning leads, with so many a class."""
    for n in (5, 10, 20, 40, 80):
        valid = {name: names['fit'](names['ARMS'][name], n)[1].valid.max() for name in ('head only', 'fine-tuned')}
        yield '3b', f'lead with {n} a class', valid['fine-tuned'] - valid['head only']


THINK = {'01': fine_tuning, '02': frozen_features, '03': more_digits}

# ---- All of it ------------------------------------------------------------------------------------------------------


def refused(table):
    """[(exercise, seed), ...] that a check refuses, or would refuse after what the other seeds gave."""
    out = table[(table.what == 'refused') & (table.value > 0)]
    numbers = table[(table.what != 'refused') & ~table.exercise.str.endswith('think')]
    found = {*zip(out.exercise, out.seed)}
    for (name, _), runs in numbers.groupby(['exercise', 'what']):
        for run in runs.itertuples():
            low, high = checks.around(runs.value[runs.seed != run.seed])
            if not low <= run.value <= high:
                found.add((name, run.seed))
    return sorted(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('notebook', choices=['01', '02', '03'])
    parser.add_argument('--seeds', type=int, default=10, help='how many')
    args = parser.parse_args()
    number, same = args.notebook, {'instructions': INSTRUCTIONS, 'parameters': parameters(args.notebook)}
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
