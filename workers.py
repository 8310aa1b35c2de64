"""Several machines: what a worker that `commands.cluster` started has in common with the others.

MXNet's parameter server adds up what the workers push; each then takes the same step of SGD on the sum.
"""

import itertools
import os

import mended_mxnet

from mxnet import gluon, kv, np, npx

from problem import Problem

RANK = int(os.environ.get('DMLC_TASK_ID', 0))
NUM_WORKERS = int(os.environ.get('DMLC_NUM_WORKER', 1))
trainings = itertools.count()
keys = itertools.count(10**6)  # those of gluon.Trainer are 0, 1, ...


def share(pictures):
    """This worker's part of the pictures: as many as each has, so that nobody waits for a batch that never comes."""
    return pictures[RANK : len(pictures) // NUM_WORKERS * NUM_WORKERS : NUM_WORKERS]


def connect(kvstore):
    """What connects the workers, for 'dist_sync'; for None there is nothing to connect. Raises Problem."""
    if kvstore is None:
        return None
    if kvstore != 'dist_sync' or 'DMLC_ROLE' not in os.environ:
        raise Problem(
            f'kvstore is {kvstore!r}; leave it out or, in a file that "python -m commands.cluster FILE" starts, give '
            '"dist_sync".'
        )
    if next(trainings):
        raise Problem('The servers are for one training; write another file for the next, and start that.')
    return kv.create(kvstore)


def begin(store, trainer, train_iter):
    """Let all workers begin with the weights of one. Raises Problem if some would wait for others at the end."""
    num_batches = len(train_iter) if hasattr(train_iter, '__len__') else 0
    if abs(float(mean(store, num_batches)) - num_batches) * NUM_WORKERS > 0.5:  # a mean of float32 is off by little
        raise Problem('The workers have different numbers of batches; give each as many pictures: workers.share.')
    trainer._init_kvstore()
    trainer._init_params()  # sends the weights of one to all
    npx.waitall()  # else a gradient may overtake the last weight, and be taken for it


def mean(store, values):
    """The mean over all workers, the same to the bit for each; without a store `values` themselves."""
    if store is None:
        return values
    key, values = next(keys), np.array(values, dtype='float32') / store.num_workers
    store.init(key, values)
    store.push(key, values)
    store.pull(key, values)
    return values


def average_statistics(store, net):
    """Give all devices and workers the same BatchNorm statistics: each has moved them by its own pictures."""
    for param in statistics(net):
        param.set_data(mean(store, param._reduce()))


def statistics(net):
    """The running means and variances of all BatchNorms that move them in training."""
    found = []

    def look(block):
        if isinstance(block, gluon.nn.BatchNorm) and not block._kwargs['use_global_stats']:
            found.extend([block.running_mean, block.running_var])

    net.apply(look)
    return found
