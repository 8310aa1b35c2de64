"""Where several machines would pay: the seconds and bytes of a step, measured here, and what follows for 2 to 16.

python -m benchmarks.machines [--px 224] [--batch-size 32]

The seconds are those of one machine alone. The bytes are what two workers and two servers send through this machine's
loopback (Linux), which nothing else should use meanwhile. A step on n machines is taken to last as long as alone and
then as long as it takes to send, as if MXNet did not send while it computes: it will be a little faster.
"""

import argparse
import subprocess
import sys

import mended_mxnet

import pandas as pd
import psutil
from mxnet import np

import utils
from benchmarks.facts import processor
from files import ROOT
from problem import Problem, check_number
from workers import NUM_WORKERS, RANK

STEPS = 10
MACHINES = 2, 4, 8, 16
GBITS = 1, 10, 25  # a second


def measure(px, batch_size, kvstore=None):
    """(seconds, bytes through the loopback) of a step, of an epoch after a first one that sets everything up."""
    net, sent = utils.from_scratch(['hotdog', 'not-hotdog']), []
    batch = np.random.normal(size=(batch_size, 3, px, px)), np.arange(batch_size) % 2

    def watch(_):
        sent.append(psutil.net_io_counters(pernic=True)['lo'].bytes_sent)

    table = utils.train(net, [batch] * STEPS, [batch], 2, lr=0.001, watch=watch, kvstore=kvstore)
    return table.seconds.iloc[-1] / STEPS, (sent[1] - sent[0]) / STEPS


def bytes_of_a_worker():
    """What one of two workers pushes and pulls in a step, which the size of the pictures does not change."""
    command = [sys.executable, '-m', 'commands.cluster', __file__, '127.0.0.1', '127.0.0.1']
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Problem('The two workers ended too early; mend what they say above, and start again.')
    return float(done.stdout)


def times_as_fast(seconds, num_bytes, n, gbits):
    """How many times as many pictures n machines train; the n-th part of the bytes is for a machine's own server."""
    sending = num_bytes * (n - 1) / n * 8 / (gbits * 1e9)
    return n * seconds / (seconds + sending)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--px', type=int, default=224)
    parser.add_argument('--batch-size', type=int, default=32)
    args = parser.parse_args()
    check_number('batch_size', args.batch_size, 1, whole=True)
    check_number('px', args.px, 32, whole=True)
    num_bytes = bytes_of_a_worker()
    seconds, _ = measure(args.px, args.batch_size)
    print(f'{processor()}: {seconds:.2f} seconds a step, in which a worker pushes and pulls {num_bytes / 1e6:.0f} MB.')
    rows = [[times_as_fast(seconds, num_bytes, n, gbits) for gbits in GBITS] for n in MACHINES]
    print('Times as fast as one machine, by the number of machines and the Gbit/s of the network:')
    print(pd.DataFrame(rows, MACHINES, GBITS).round(1))


if __name__ == '__main__' and NUM_WORKERS > 1:
    _, num_bytes = measure(32, 4, 'dist_sync')
    if RANK == 0:
        print(num_bytes / NUM_WORKERS)
elif __name__ == '__main__':
    main()
