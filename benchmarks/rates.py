"""Which learning rate does each way of training like best? Chosen on valid; the test set stays closed.

python benchmarks/rates.py [DATA] [--px 128] [--out benchmarks/rates.csv]

Fine-tuning tries 0.003 to 0.1 and training from scratch 0.01 to 0.3, with the same epochs, batches, augmentation and seeds.
A search that is stopped goes on where it was.
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import utils

RATES = {'fine-tuned': [0.003, 0.01, 0.03, 0.1], 'from scratch': [0.01, 0.03, 0.1, 0.3]}


def fit(name, dataset, source, px, lr, seed, num_epochs=5, frozen=0, batch_size=32):
    """(network, table of its training), as `fit` in the lesson does it."""
    utils.seed_everything(seed)
    new = name == 'from scratch'
    net = utils.from_scratch(dataset.classes) if new else utils.with_new_head(source, dataset.classes)
    utils.freeze(net, frozen)
    train_iter = utils.batches(dataset.train, net, px, batch_size, augment=True)
    valid_iter = utils.batches(dataset.valid, net, px, batch_size)
    return net, utils.train(net, train_iter, valid_iter, num_epochs, lr, head=1 if new else 10)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', nargs='?', default='kitchen')
    parser.add_argument('--px', type=int, default=128)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--out', type=Path, default=Path(__file__).with_name('rates.csv'))
    args = parser.parse_args()
    dataset, source = utils.find_data(args.data), utils.pretrained()
    columns = [f'seed {seed}' for seed in args.seeds]
    index = pd.MultiIndex.from_tuples([(n, lr) for n in RATES for lr in RATES[n]], names=['network', 'lr'])
    table = pd.read_csv(args.out, index_col=[0, 1]) if args.out.exists() else pd.DataFrame(index=index)
    table = table.reindex(columns=columns)
    for (name, lr), row in table.iterrows():
        for seed, column in zip(args.seeds, columns):
            if pd.isna(row[column]):
                _, history = fit(name, dataset, source, args.px, lr, seed)
                table.loc[(name, lr), column] = history.valid.max()
                table.to_csv(args.out)
                print(name, lr, column, round(table.loc[(name, lr), column], 3), flush=True)
    table['mean'] = table[columns].astype(float).mean(axis=1)
    table.to_csv(args.out)
    print(table.round(3))


if __name__ == '__main__':
    main()
