"""What do the exercises of notebook 01 give? Best accuracy on valid and seconds an epoch; the test set stays closed.

python benchmarks/exercises.py [--seeds 0 1 2]

The learning rates are the notebook's own. Writes benchmarks/exercises.csv, a row for each setting; a run that is stopped
goes on where it was.
"""
import argparse
from pathlib import Path

import nbformat
import pandas as pd

from rates import history, utils

OUT = Path(__file__).with_name('exercises.csv')
COLUMNS = ['exercise', 'network', 'setting', 'seed', 'valid', 'seconds an epoch']


def parameters():
    """The settings of the notebook's cell of parameters."""
    notebook, settings = nbformat.read(utils.ROOT / 'notebooks' / '01_fine_tuning.ipynb', 4), {}
    exec(next(cell.source for cell in notebook.cells if 'parameters' in cell.metadata.get('tags', [])), settings)
    return settings


def grid(lr):
    """Yield (exercise, network, setting, what `history` takes)."""
    for rate in 0.003, 0.03, 0.3:
        yield 'rate', 'fine-tuned', rate, {'lr': rate}
    for blocks in 0, 5, 8, 13:
        yield 'frozen', 'fine-tuned', blocks, {'lr': lr['fine-tuned'], 'frozen': blocks}
    for num_epochs in 5, 10, 20:
        for name in lr:
            yield 'epochs', name, num_epochs, {'lr': lr[name], 'num_epochs': num_epochs}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    seeds, settings = parser.parse_args().seeds, parameters()
    dataset, source = utils.find_data(), utils.pretrained()
    rows = pd.read_csv(OUT).values.tolist() if OUT.exists() else []
    for seed in seeds:
        for exercise, name, setting, how in grid(settings['lr']):
            if [exercise, name, setting, seed] not in [row[:4] for row in rows]:
                table = history(name, dataset, source, settings['px'], seed=seed, **how)
                rows.append([exercise, name, setting, seed, table.valid.max(), table.seconds.mean()])
                pd.DataFrame(rows, columns=COLUMNS).to_csv(OUT, index=False)
                print(*rows[-1], flush=True)
    table = pd.DataFrame(rows, columns=COLUMNS).groupby(COLUMNS[:3])
    print(table[COLUMNS[4:]].agg(['mean', 'std']).round(3))


if __name__ == '__main__':
    main()
