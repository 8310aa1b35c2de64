"""Is kitchen as hard as it should be? Both networks at the lesson's settings, with five seeds.

python benchmarks/difficulty.py [--test]

Prints the accuracy on valid, with which the mix of foods is tuned. --test, for the final set only, opens the test pictures
too and writes benchmarks/difficulty.csv, and benchmarks/kinds.csv: each kind's accuracy on valid and test together.
"""
import argparse
import csv
from pathlib import Path

import pandas as pd

from rates import fit, utils
from lesson import parameters

HERE = Path(__file__).parent


def kinds():
    """{path: (kind, 1 if it is hard)} of all kitchen pictures."""
    folder = utils.ROOT / 'data' / 'kitchen'
    with (folder / 'kitchen.csv').open() as file:
        return {folder / row['file']: (row['kind'], int(row['hard'])) for row in csv.DictReader(file)}


def answers(net, pictures, px):
    """A table with a row per picture: its path, and whether `net` called it right."""
    probabilities, labels = utils.predictions(net, utils.batches(pictures, net, px, 32))
    return pd.DataFrame({'path': [path for path, _ in pictures], 'right': probabilities.argmax(1) == labels})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seeds', type=int, nargs='+', default=range(5))
    parser.add_argument('--test', action='store_true')
    args, settings, table = parser.parse_args(), parameters(), []
    dataset, source, kind_of = utils.find_data(), utils.pretrained(), kinds()
    for name in settings['lr']:
        for seed in args.seeds:
            net, _ = fit(name, dataset, source, settings['px'], settings['lr'][name], seed)
            for split in ('valid', 'test') if args.test else ('valid',):
                rows = answers(net, getattr(dataset, split), settings['px'])
                table.append(rows.assign(network=name, seed=seed, split=split))
            print(name, seed, pd.concat(table[-1 - args.test:]).groupby('split').right.mean().round(3).to_dict(), flush=True)
    table = pd.concat(table)
    table[['kind', 'hard']] = [kind_of[path] for path in table.path]
    accuracy = table.groupby(['network', 'seed', 'split']).right.mean().unstack()
    by_kind = table.groupby(['hard', 'kind', 'network']).right.agg(['mean', 'size']).unstack()
    print(accuracy.groupby('network').agg(['mean', 'std']).round(3), by_kind.round(2).to_string(), sep='\n\n')
    if args.test:
        accuracy.to_csv(HERE / 'difficulty.csv')
        by_kind['mean'].assign(pictures=by_kind['size'].iloc[:, 0] // len(args.seeds)).to_csv(HERE / 'kinds.csv')


if __name__ == '__main__':
    main()
