"""Pictures per second: training, inference and the loader, here and in PyTorch with the same network, in one run.

python benchmarks/speed.py [DATA] [--rounds 3]

    .venv/bin/pip install --target build/torch torch==2.13.0        adds the PyTorch rows

Each row is the median of the rounds; the rounds of all rows take turns, so that a slow minute hits them all alike.
Nothing else should run meanwhile. Writes benchmarks/speed.csv.
"""

import argparse
import resource
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / 'data' / 'make' / 'pretrain')]
import numpy as onp
import pandas as pd
from mxnet import autograd, gluon, np, npx
from tqdm import tqdm

import utils  # first: it says how many cores MXNet may use

sys.path.append(str(utils.BUILD / 'torch'))  # only now, for gluoncv can't be imported where there is a new PyTorch
try:
    import torch
    from resnet import ResNet18
except ImportError:
    torch = None

BATCH, BATCHES = 32, 6


def clock(step):
    """Pictures per second over BATCHES steps; `step` must wait for its result."""
    started = time.time()
    for _ in range(BATCHES):
        step()
    return BATCH * BATCHES / (time.time() - started)


def gluon_steps(px):
    net = utils.from_scratch(['hotdog', 'not-hotdog'])
    net.hybridize(static_alloc=True, static_shape=True)
    trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': 0.01, 'wd': 0.001})
    loss_fn, X, y = gluon.loss.SoftmaxCrossEntropyLoss(), np.random.normal(size=(BATCH, 3, px, px)), np.zeros(BATCH)

    def training():
        with autograd.record():
            loss = loss_fn(net(X), y)
        loss.backward()
        trainer.step(BATCH)
        npx.waitall()

    return training, lambda: net(X).wait_to_read()


def torch_steps(px):
    net = ResNet18(2)
    trainer = torch.optim.SGD(net.parameters(), lr=0.01, weight_decay=0.001)
    X, y = torch.randn(BATCH, 3, px, px), torch.zeros(BATCH, dtype=torch.long)

    def training():
        trainer.zero_grad()
        torch.nn.functional.cross_entropy(net.train()(X), y).backward()
        trainer.step()

    def inference():
        with torch.inference_mode():
            net.eval()(X)

    return training, inference


def loader_step(pictures, px):
    net = utils.build('resnet18_v2', ['hotdog', 'not-hotdog'])
    batches = iter(utils.batches(pictures[:BATCH] * (BATCHES * 20), net, px, BATCH, augment=True))
    return lambda: next(batches)[0].wait_to_read()


def import_seconds():
    started = time.time()
    subprocess.run([sys.executable, '-c', 'import utils'], cwd=HERE.parent, check=True)
    return time.time() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', nargs='?', default='kitchen')
    parser.add_argument('--rounds', type=int, default=3)
    args = parser.parse_args()
    train, steps = utils.find_data(args.data).train, {}
    for px in (128, 224):
        steps['Gluon: training', px], steps['Gluon: inference', px] = gluon_steps(px)
        if torch:
            steps['PyTorch: training', px], steps['PyTorch: inference', px] = torch_steps(px)
        steps['loader', px] = loader_step(train, px)
    for step in steps.values():
        step()  # the first step compiles
    rounds = [[clock(step) for step in steps.values()] for _ in tqdm(range(args.rounds))]
    table = pd.Series(onp.median(rounds, 0), pd.MultiIndex.from_tuples(steps)).unstack().rename(columns='{} px'.format)
    table.loc['import utils, seconds'] = onp.median([import_seconds() for _ in range(args.rounds)])
    table.loc['peak memory of this run, MB'] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    table.to_csv(HERE / 'speed.csv')
    print(table.round(1))


if __name__ == '__main__':
    main()
