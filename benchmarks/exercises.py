"""What do the exercises of notebook 01 give? Best accuracy on valid and seconds an epoch; the test set stays closed.

python benchmarks/exercises.py [--seeds 0 1 2]

Writes benchmarks/exercises.csv, a row for each setting and seed; a run that is stopped goes on where it was.
"""
import argparse
from pathlib import Path

import pandas as pd

from rates import fit, utils
from lesson import parameters

OUT = Path(__file__).with_name('exercises.csv')
SETTING = ['network', 'lr', 'frozen', 'num_epochs', 'seed']


def grid(lr):
    """Yield (network, lr, frozen, num_epochs): the three exercises, one after the other."""
    for rate in 0.01, 0.1, 1.0:
        yield 'fine-tuned', rate, 0, 5
    for blocks in 0, 5, 8, 13:
        yield 'fine-tuned', lr['fine-tuned'], blocks, 5
    for num_epochs in 5, 10:
        for name in lr:
            yield name, lr[name], 0, num_epochs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    seeds, settings = parser.parse_args().seeds, parameters()
    dataset, source = utils.find_data(), utils.pretrained()
    rows = pd.read_csv(OUT).values.tolist() if OUT.exists() else []
    for setting in [[*setting, seed] for seed in seeds for setting in grid(settings['lr'])]:
        if setting not in [row[:5] for row in rows]:
            name, lr, frozen, num_epochs, seed = setting
            _, table = fit(name, dataset, source, settings['px'], lr, seed, num_epochs, frozen)
            rows.append([*setting, table.valid.max(), table.seconds.mean()])
            pd.DataFrame(rows, columns=[*SETTING, 'valid', 'seconds an epoch']).to_csv(OUT, index=False)
            print(*rows[-1], flush=True)
    table = pd.read_csv(OUT).groupby(SETTING[:4])
    print(table[['valid', 'seconds an epoch']].mean().round(3))


if __name__ == '__main__':
    main()
