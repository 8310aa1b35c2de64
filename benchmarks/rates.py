"""Which learning rate does each way of training like best? Chosen on valid; the test set stays closed.

python -m benchmarks.rates [DATA] [--px 128] [--seeds 0 1 2]

Fine-tuning tries 0.003 to 1 and training from scratch 0.01 to 0.3, with the same epochs, batches, augmentation and
seeds. Writes benchmarks/rates.csv, a row for each training. A search that is stopped goes on where it was.
"""

import argparse
from pathlib import Path

import utils
from benchmarks.facts import data_facts
from benchmarks.table import Table
from commands.lesson import parameters
from problem import check_number

OUT = Path(__file__).with_name('rates.csv')
RATES = {'fine-tuned': [0.003, 0.01, 0.03, 0.1, 0.3, 1], 'from scratch': [0.01, 0.03, 0.1, 0.3]}
SETTINGS = ['px', 'batch_size', 'num_epochs', 'wd']  # the lesson's


def fit(network, dataset, source, lr, seed, px, batch_size, num_epochs, wd):
    """(network, table of its training), as `fit` in the lesson does it."""
    utils.seed_everything(seed)
    new = network == 'from scratch'
    net = utils.from_scratch(dataset.classes) if new else utils.with_new_head(source, dataset.classes)
    train_iter = utils.batches(dataset.train, net, px, batch_size, train=True)
    valid_iter = utils.batches(dataset.valid, net, px, batch_size)
    return net, utils.train(net, train_iter, valid_iter, num_epochs, lr, wd, head=1 if new else 10)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', nargs='?', default='kitchen')
    parser.add_argument('--px', type=int)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    args, lesson = parser.parse_args(), parameters()
    for seed in args.seeds:
        check_number('seed', seed, whole=True)
    settings = {name: lesson[name] for name in SETTINGS}
    if args.px is not None:
        settings['px'] = args.px
    dataset, source = utils.find_data(args.data), utils.pretrained()
    same = settings | data_facts(args.data, dataset)
    table = Table(OUT, ['network', 'lr', 'seed', *same])
    for network, lr, seed in [(name, lr, seed) for name in RATES for lr in RATES[name] for seed in args.seeds]:

        def best(network=network, lr=lr, seed=seed):
            _, history = fit(network, dataset, source, lr, seed, **settings)
            return {'valid': history.valid.max()}

        table.measure({'network': network, 'lr': lr, 'seed': seed, **same}, best)
    by_seed = table.rows(**same).pivot(index=['network', 'lr'], columns='seed', values='valid')
    print(by_seed.assign(mean=by_seed.mean(axis=1)).round(3))


if __name__ == '__main__':
    main()
