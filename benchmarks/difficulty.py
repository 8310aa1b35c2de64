"""Is kitchen as hard as it should be? Both networks at the lesson's settings, with five seeds.

python benchmarks/difficulty.py [--test]

Prints the accuracy on valid, with which the mix of foods is tuned. --test, for the final set only, opens the test pictures
too and writes benchmarks/difficulty.csv, and benchmarks/kinds.csv: each kind's accuracy on valid and test together.
"""

import argparse
from pathlib import Path

import pandas as pd
from rates import fit, utils

from lesson import parameters

HERE = Path(__file__).parent


def kinds():
    """A table with the kind of each kitchen picture, and 1 if that kind is hard, by path."""
    folder = utils.ROOT / 'data' / 'kitchen'
    table = pd.read_csv(folder.with_suffix('.csv'))
    return table.set_index(folder / table.file)[['kind', 'hard']]


def answers(net, dataset, split, px):
    """A table with a row per picture: its path, and whether `net` called it right."""
    pictures = getattr(dataset, split)
    probabilities, labels = utils.predictions(net, utils.batches(pictures, net, px, 32))
    return pd.DataFrame(
        {'path': [path for path, _ in pictures], 'right': probabilities.argmax(1) == labels, 'split': split}
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seeds', type=int, nargs='+', default=range(5))
    parser.add_argument('--test', action='store_true')
    args, settings, table = parser.parse_args(), parameters(), []
    dataset, source, splits = utils.find_data(), utils.pretrained(), ['valid', 'test'][: 1 + args.test]
    for name in settings['lr']:
        for seed in args.seeds:
            net, _ = fit(name, dataset, source, settings['px'], settings['lr'][name], seed)
            rows = pd.concat([answers(net, dataset, split, settings['px']) for split in splits])
            table.append(rows.assign(network=name, seed=seed))
            print(name, seed, rows.groupby('split').right.mean().round(3).to_dict(), flush=True)
    table = pd.concat(table).join(kinds(), on='path')
    accuracy = table.groupby(['network', 'seed', 'split']).right.mean().unstack()
    by_kind = table.groupby(['hard', 'kind', 'network']).right.agg(['mean', 'size']).unstack()
    print(accuracy.groupby('network').agg(['mean', 'std']).round(3), by_kind.round(2).to_string(), sep='\n\n')
    if args.test:
        accuracy.to_csv(HERE / 'difficulty.csv')
        by_kind['mean'].assign(pictures=by_kind['size'].iloc[:, 0] // len(args.seeds)).to_csv(HERE / 'kinds.csv')


if __name__ == '__main__':
    main()
