"""Is kitchen as hard as it should be? Both networks at the lesson's settings, with five seeds.

python -m benchmarks.difficulty [--seeds 0 1 2 3 4] [--test]

Prints the accuracy on valid, with which the mix of foods is tuned. --test, for the final set only, opens the test
pictures too and writes benchmarks/difficulty.csv, and benchmarks/kinds.csv: each kind's accuracy on valid and test
together. What each network called right is kept in build/difficulty.csv, so that a run that is stopped goes on.
"""

import argparse
from pathlib import Path

import pandas as pd

import utils
from benchmarks.facts import data_facts
from benchmarks.rates import SETTINGS, fit
from benchmarks.table import Table
from commands.lesson import parameters
from files import BUILD, ROOT
from problem import check_number

HERE = Path(__file__).resolve().parent


def kinds():
    """A table with the kind of each kitchen picture, and 1 if that kind is hard, by path."""
    folder = ROOT / 'data' / 'kitchen'
    table = pd.read_csv(folder.with_suffix('.csv'))
    return table.set_index(folder / table.file)[['kind', 'hard']]


def answers(net, dataset, split, px):
    """[{split, hard, kind, right, pictures}, ...]: how many pictures of each kind `net` called right."""
    pictures = dataset[split]
    probabilities, labels = utils.predictions(net, utils.batches(pictures, net, px, 32))
    right = pd.DataFrame({'right': probabilities.argmax(1) == labels}, [path for path, _ in pictures])
    by_kind = right.join(kinds()).groupby(['hard', 'kind']).right.agg(right='sum', pictures='size')
    return by_kind.reset_index().assign(split=split).to_dict('records')


def share(table, by):
    """The share of the pictures that were called right, in groups: `by` some columns of the table."""
    sums = table.groupby(by)[['right', 'pictures']].sum()
    return sums.right / sums.pictures


def measure(seeds, splits, same, rates):
    """A table of `answers` for each network, seed and split, from build/ or a training."""
    runs = Table(BUILD / 'difficulty.csv', ['network', 'seed', 'split', 'hard', 'kind', 'lr', *same])
    dataset, source, found = utils.find_data(), utils.pretrained(), []
    for network, seed in [(network, seed) for network in rates for seed in seeds]:
        setting = {'network': network, 'seed': seed, 'lr': rates[network], **same}
        if not {*splits} <= {*runs.rows(**setting).split}:
            settings = {name: same[name] for name in SETTINGS}
            net, _ = fit(network, dataset, source, rates[network], seed, **settings)
            rows = [row for split in splits for row in answers(net, dataset, split, same['px'])]
            runs.add([setting | row for row in rows])
        rows = runs.rows(**setting)
        print(network, seed, share(rows, 'split').round(3).to_dict(), flush=True)
        found.append(rows[rows.split.isin(splits)])
    return pd.concat(found)


def write(accuracy, by_kind, seeds, same, rates):
    """Add what was measured with --test to the two tables in benchmarks/."""
    of_seed = Table(HERE / 'difficulty.csv', ['network', 'seed', 'lr', *same])
    rows = accuracy.reset_index().to_dict('records')
    of_seed.add([row | {'lr': rates[row['network']], **same} for row in rows])
    text = ' '.join(map(str, seeds))
    of_kind = Table(HERE / 'kinds.csv', ['hard', 'kind', 'seeds', 'lr', *same])
    rows = by_kind.reset_index().to_dict('records')
    of_kind.add([row | {'seeds': text, 'lr': rates, **same} for row in rows])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seeds', type=int, nargs='+', default=range(5))
    parser.add_argument('--test', action='store_true')
    args, lesson = parser.parse_args(), parameters()
    for seed in args.seeds:
        check_number('seed', seed, whole=True)
    splits = ['valid', 'test'] if args.test else ['valid']
    same = {name: lesson[name] for name in SETTINGS} | data_facts('kitchen', utils.find_data())
    found = measure(args.seeds, splits, same, lesson['lr'])
    accuracy = share(found, ['network', 'seed', 'split']).unstack()
    by_kind = share(found, ['hard', 'kind', 'network']).unstack()
    by_kind['pictures'] = (
        found.groupby(['hard', 'kind', 'network', 'seed']).pictures.sum().groupby(['hard', 'kind']).max()
    )
    print(accuracy.groupby('network').agg(['mean', 'std']).round(3), by_kind.round(2).to_string(), sep='\n\n')
    if args.test:
        write(accuracy, by_kind, args.seeds, same, lesson['lr'])


if __name__ == '__main__':
    main()
