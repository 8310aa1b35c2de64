"""Pictures per second: training, inference and the loader, here and in PyTorch with the same network, in one run.

python -m benchmarks.speed [DATA] [--rounds 3]

    .venv/bin/pip install --target build/torch torch==2.13.0        adds the PyTorch rows

Each row is the median of the rounds; the rounds of all rows take turns, so that a slow minute hits them all alike: a
run that is stopped begins anew. Nothing else should run meanwhile. Writes benchmarks/speed.csv.
"""

import argparse
import itertools
import resource
import subprocess
import sys
import time
from pathlib import Path

import mended_mxnet

import numpy as onp
from mxnet import autograd, gluon, np, npx
from tqdm import tqdm

import utils
from benchmarks.facts import data_facts, processor
from benchmarks.table import Table
from files import ROOT
from problem import Problem, check_number
from sources import build

try:
    from benchmarks import pytorch
except Problem:  # it is not installed
    pytorch = None

OUT = Path(__file__).resolve().with_name('speed.csv')
BATCH, BATCHES = 32, 6
CLASSES = ['hotdog', 'not-hotdog']


def clock(step):
    """Pictures per second over BATCHES steps; `step` must wait for its result."""
    started = time.time()
    for _ in range(BATCHES):
        step()
    return BATCH * BATCHES / (time.time() - started)


def gluon_steps(px):
    """(a step of training, a step of inference) on one batch of random numbers."""
    net = utils.from_scratch(CLASSES)
    net.hybridize(static_alloc=True, static_shape=True)
    trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.01, 'wd': 0.001})
    loss_fn = gluon.loss.SoftmaxCrossEntropyLoss()
    X, y = np.random.normal(size=(BATCH, 3, px, px)), np.zeros(BATCH)

    def training():
        with autograd.record():
            loss = loss_fn(net(X), y)
        loss.backward()
        trainer.step(BATCH)
        npx.waitall()

    return training, lambda: net(X).wait_to_read()


def loader_step(pictures, px):
    """A step that reads a batch: of the first pictures, again and again."""
    net = build('resnet18_v2', CLASSES)
    loader = utils.batches(pictures[:BATCH] * BATCHES, net, px, BATCH, train=True)
    endless = itertools.chain.from_iterable(itertools.repeat(loader))
    return lambda: next(endless)[0].wait_to_read()


def import_seconds():
    started = time.time()
    subprocess.run([sys.executable, '-c', 'import utils'], cwd=ROOT, check=True)
    return time.time() - started


def all_steps(pictures):
    """{(what, px): step}"""
    steps = {}
    for px in (128, 224):
        steps['Gluon: training', px], steps['Gluon: inference', px] = gluon_steps(px)
        if pytorch:
            steps['PyTorch: training', px], steps['PyTorch: inference', px] = pytorch.steps(px)
        steps['loader', px] = loader_step(pictures, px)
    return steps


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', nargs='?', default='kitchen')
    parser.add_argument('--rounds', type=int, default=3)
    args = parser.parse_args()
    check_number('rounds', args.rounds, 1, whole=True)
    dataset = utils.find_data(args.data)
    steps = all_steps(dataset.train)
    for step in steps.values():
        step()  # the first step compiles
    rounds = [[clock(step) for step in steps.values()] for _ in tqdm(range(args.rounds))]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = [
        {'what': f'{what}, pictures per second', 'px': px, 'median': median}
        for (what, px), median in zip(steps, onp.median(rounds, 0))
    ]
    seconds = onp.median([import_seconds() for _ in range(args.rounds)])
    rows.append({'what': 'import utils, seconds', 'px': '', 'median': seconds})
    rows.append({'what': 'peak memory of this run, MB', 'px': '', 'median': memory})
    same = {'rounds': args.rounds, **data_facts(args.data, dataset), 'processor': processor()}
    table = Table(OUT, ['what', 'px', *same])
    table.add([row | same for row in rows])
    print(table.rows(**same)[['what', 'px', 'median']].round(1).to_string(index=False))


if __name__ == '__main__':
    main()
