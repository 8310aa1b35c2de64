"""Which source? A head fitted to its end on each source's features, and what the features cost: for notebook 04.

python -m benchmarks.sources heads [kitchen | digits | FOLDER]
python -m benchmarks.sources seconds
python -m benchmarks.sources tiny VAL SAMPLES

heads    accuracy on valid, and which test pictures were called right (of chosen sources only, these are ever looked
         at), with five subsets of the training pictures; at several px: benchmarks/sources.csv
seconds  from picture files to features, when nothing else runs: benchmarks/sources_seconds.csv
tiny     top-1 among the classes of Tiny ImageNet's validation pictures (the copy in data/make/pretrain/SOURCES.md has
         10,100 in 202 classes), at each source's usual px; SAMPLES has a picture of each of ImageNet's classes, see
         data/make/pretrain/pack.py: benchmarks/sources_tiny.csv

The sources are those in the box and in packages, those downloaded that are there, and networks of random weights; of
digits also the dots of the files as they are. A run that is stopped goes on.
"""

import argparse
import functools
import time
from pathlib import Path
from statistics import median

import mended_mxnet

import numpy as onp
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

import arms
import frozen
import utils
from benchmarks.arms import hex_of
from benchmarks.facts import data_facts
from benchmarks.table import Table
from classifier import Features, Task
from folders import SPLITS
from problem import Problem
from sources import NETWORKS, is_here

HERE = Path(__file__).resolve().parent
SEEDS = range(5)
PER_CLASS = {'kitchen': 100, 'digits': 50}  # the seed decides which; of a folder, half
PX = {'kitchen': [128, 224], 'digits': [64, 128, 224]}
RANDOM = ['resnet18_v2', 'efficientnet_lite0']  # also with random weights


def pretrained():
    """{name: network} of all sources that are here."""
    return {name: utils.pretrained(name) for name in NETWORKS if is_here(name)}


def random_weights():
    """{name: network} of some that have learned nothing."""
    found = {}
    for name in RANDOM:
        utils.seed_everything(0)
        net = utils.from_scratch(['all'], name)
        net(utils.np.zeros((1, 3, 64, 64)))  # makes the shapes of its weights known
        found[f'{name}, random weights'] = net
    return found


# ---- Heads ----------------------------------------------------------------------------------------------------------


def heads(data):
    """A head on each source's features, fitted to some of the pictures."""
    dataset = arms.digits() if data == 'digits' else utils.find_data(data)
    name = data if data in PER_CLASS else 'folder'
    per_class = PER_CLASS.get(data, len(dataset.train) // len(dataset.classes) // 2)
    same = {'per_class': per_class, **data_facts(data, dataset)}
    table = Table(HERE / 'sources.csv', ['network', 'px', 'seed', *same])
    for network, net in (random_weights() | pretrained()).items():
        for px in PX.get(name, [224]):
            if all(len(table.rows(network=network, px=px, seed=seed, **same)) for seed in SEEDS):
                continue
            below, _ = frozen.cut(net, 'output')
            known = Features(below, Task(dataset), px)
            for seed in SEEDS:
                some = arms.some_of(dataset, per_class, seed)
                recipe = functools.partial(fitted, net, known, some, px)
                table.measure({'network': network, 'px': px, 'seed': seed, **same}, recipe)
    if data == 'digits':
        for seed in SEEDS:
            recipe = functools.partial(without_network, arms.some_of(dataset, per_class, seed))
            table.measure({'network': 'no network, the dots', 'px': 8, 'seed': seed, **same}, recipe)


def fitted(net, known, dataset, px):
    """{column: value} of a head on features that are known."""
    _, above = frozen.cut(utils.with_new_head(net, dataset.classes), 'output')
    valid = frozen.fit(known, above, dataset, px).valid.max()
    scores = above(utils.np.array(known.features(dataset.test, px))).asnumpy()
    return {'valid': valid, 'right': hex_of(scores.argmax(1) == frozen.labels_of(dataset.test))}


def without_network(dataset):
    """{column: value} of a head on the grey dots of the files, C chosen as frozen.fit does it."""
    X = {split: onp.array([onp.asarray(Image.open(path)).ravel() for path, _ in dataset[split]]) for split in SPLITS}
    y = {split: frozen.labels_of(dataset[split]) for split in SPLITS}
    heads = [make_pipeline(frozen.OneScale(), LogisticRegression(C=C, max_iter=10000)) for C in frozen.STRENGTHS]
    best = max(heads, key=lambda head: head.fit(X['train'], y['train']).score(X['valid'], y['valid']))
    return {'valid': best.score(X['valid'], y['valid']), 'right': hex_of(best.predict(X['test']) == y['test'])}


# ---- What they cost -------------------------------------------------------------------------------------------------


def seconds(pictures=600, runs=3):
    """From files to features, median of some runs, scaled to 1,000 pictures; and the size of the network."""
    some = utils.find_data().train[:pictures]
    table = Table(HERE / 'sources_seconds.csv', ['network', 'px'])
    for network, net in pretrained().items():
        for px in PX['kitchen']:
            table.measure({'network': network, 'px': px}, functools.partial(clock, net, some, px, runs))


def clock(net, pictures, px, runs):
    below, _ = frozen.cut(net, 'output')
    took = []
    for _ in range(runs + 1):
        started = time.time()
        for _ in below.outputs(pictures, px, 0, range(len(pictures))):
            pass
        took.append(time.time() - started)
    numbers = sum(param.data().size for param in net.collect_params().values())
    return {'seconds_for_1000': median(took[1:]) * 1000 / len(pictures), 'million_numbers': numbers / 10**6}


# ---- A measure of the sources themselves ----------------------------------------------------------------------------


def tiny(val, samples):
    """Top-1 among the classes of Tiny ImageNet."""
    number = {name: i for i, name in enumerate(sorted({path.name.split('_')[0] for path in samples.glob('n*')}))}
    if len(number) != 1000:
        raise Problem(f"{samples} has pictures of {len(number)} classes; it takes one of each of ImageNet's 1000.")
    lines = [line.split('\t')[:2] for line in (val / 'val_annotations.txt').read_text().splitlines()]
    pictures = [(val / 'images' / file, number[name]) for file, name in lines]
    table = Table(HERE / 'sources_tiny.csv', ['network', 'px', 'pictures'])
    for network, net in pretrained().items():
        px = net.usual_px
        setting = {'network': network, 'px': px, 'pictures': len(pictures)}
        table.measure(setting, functools.partial(top1, net, pictures, px))


def top1(net, pictures, px):
    below, above = frozen.cut(net, 'output')
    labels = frozen.labels_of(pictures)
    classes = onp.unique(labels)
    scores = above(utils.np.array(below.features(pictures, px))).asnumpy()
    return {'top1': (classes[scores[:, classes].argmax(1)] == labels).mean()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest='part', required=True)
    parts.add_parser('heads').add_argument('data', nargs='?', default='kitchen')
    parts.add_parser('seconds')
    of_tiny = parts.add_parser('tiny')
    of_tiny.add_argument('val', type=Path)
    of_tiny.add_argument('samples', type=Path)
    arguments = vars(parser.parse_args())
    part = {'heads': heads, 'seconds': seconds, 'tiny': tiny}[arguments.pop('part')]
    part(**arguments)


if __name__ == '__main__':
    main()
