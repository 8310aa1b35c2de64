"""How much faster is it to leave a part frozen? Beside the book's recipe in PyTorch, from the same source weights.

python -m benchmarks.knob [DATA] [--px 224]

    .venv/bin/pip install --target build/torch torch==2.13.0        what it is compared with

Each row goes from picture files to test accuracy: reading, five epochs (twenty for a head), valid after each, test;
`turn` are its seconds without the test, as one turns the knob in class. The rate of the head is chosen on valid, the
others have the lesson's. Nothing else should run meanwhile. Writes benchmarks/knob.csv; a run that is stopped goes on
where it was.
"""

import argparse
import shutil
import time
from pathlib import Path

import frozen
import utils
from benchmarks.facts import data_facts, processor
from benchmarks.table import Table
from commands.lesson import parameters
from files import BUILD

OUT = Path(__file__).resolve().with_name('knob.csv')
BATCH, RATES = 32, [0.01, 0.03, 0.1]


def whole_network(dataset, px, lr, num_epochs):
    """(best valid accuracy, function that gives the test accuracy) of fine-tuning without a frozen part."""
    utils.seed_everything(0)
    net = utils.with_new_head(utils.pretrained(), dataset.classes)
    train_iter = utils.batches(dataset.train, net, px, BATCH, train=True)
    valid_iter = utils.batches(dataset.valid, net, px, BATCH)
    history = utils.train(net, train_iter, valid_iter, num_epochs, lr)
    return history.valid.max(), lambda: test_accuracy(net, utils.batches(dataset.test, net, px, BATCH))


def above_cut(dataset, px, lr, num_epochs, at, empty=False):
    """The same, where only what lies above the cut trains; with `empty`, nothing is in the cache before."""
    if empty:
        shutil.rmtree(frozen.CACHE, ignore_errors=True)
    utils.seed_everything(0)
    net = utils.with_new_head(utils.pretrained(), dataset.classes)
    below, above = frozen.cut(net, at)
    train_iter = below.batches(dataset.train, px, BATCH, train=True)
    valid_iter = below.batches(dataset.valid, px, BATCH)
    history = utils.train(above, train_iter, valid_iter, num_epochs, lr)
    return history.valid.max(), lambda: test_accuracy(above, below.batches(dataset.test, px, BATCH))


def test_accuracy(net, test_iter):
    return utils.accuracy(*utils.predictions(net, test_iter))


def timed(recipe, *args, **how):
    """{valid, turn, test, seconds} of a recipe."""
    started = time.time()
    valid, test = recipe(*args, **how)
    turn = time.time() - started
    return {'valid': valid, 'turn': turn, 'test': test(), 'seconds': time.time() - started}


def rows(head_lr, lr, pytorch):
    """[(what, its rate, its epochs, the recipe, how), ...] in the order in which they are measured."""
    head, last = {'at': 'output'}, {'at': 'stage4'}
    return [
        ('head only, first time', head_lr, 20, above_cut, {**head, 'empty': True}),
        ('head only, second time', head_lr, 20, above_cut, head),
        ('last stage, first time', lr, 5, above_cut, {**last, 'empty': True}),
        ('last stage, second time', lr, 5, above_cut, last),
        ('PyTorch, as the book', lr, 5, pytorch.recipe, {}),
        ('whole network', lr, 5, whole_network, {}),
        ('PyTorch, head only', head_lr, 20, pytorch.recipe, {'head_only': True}),
        ('PyTorch, bfloat16, channels last', lr, 5, pytorch.recipe, {'best': True}),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', nargs='?', default='kitchen')
    parser.add_argument('--px', type=int, default=128)
    args = parser.parse_args()
    from benchmarks import pytorch  # now, for --help does not need PyTorch

    dataset = utils.find_data(args.data)
    frozen.CACHE = BUILD / 'cache-of-knob'
    same = {'px': args.px, **data_facts(args.data, dataset), 'processor': processor()}
    table = Table(OUT, ['what', 'lr', 'num_epochs', *same])

    def best_on_valid(lr):
        setting = {'what': 'head only, to choose its rate', 'lr': lr, 'num_epochs': 20, **same}
        return table.measure(setting, lambda: {'valid': above_cut(dataset, args.px, lr, 20, 'output')[0]}).valid

    head_lr = max(RATES, key=best_on_valid)
    for what, lr, num_epochs, recipe, how in rows(head_lr, parameters()['lr']['fine-tuned'], pytorch):

        def measured(lr=lr, num_epochs=num_epochs, recipe=recipe, how=how):
            return timed(recipe, dataset, args.px, lr, num_epochs, **how)

        table.measure({'what': what, 'lr': lr, 'num_epochs': num_epochs, **same}, measured)
    shutil.rmtree(frozen.CACHE, ignore_errors=True)
    found = table.rows(**same).dropna().set_index('what')[['lr', 'valid', 'turn', 'test', 'seconds']]
    print(found.assign(share=found.seconds / found.seconds['PyTorch, as the book']).round(3))


if __name__ == '__main__':
    main()
