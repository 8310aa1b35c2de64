"""Several machines: what two workers learn together, and how all ends.

Here two addresses of this machine are the machines, and an ssh that stays on it.
"""

import os
import signal
import subprocess
import sys
import time
import uuid

import numpy as onp
import psutil
import pytest
from helpers import examples, sentence, tiny, values
from mxnet.gluon import nn

import utils
import workers
from benchmarks import machines
from commands import cluster
from files import ROOT

ADDRESSES = '127.0.0.1', '127.0.0.2'
HEAD = """
import os, signal, subprocess, sys, time
from pathlib import Path
sys.path.insert(0, 'tests')
import numpy as onp
from helpers import examples, tiny, values
from mxnet.gluon import nn
import utils
from workers import RANK
HERE = Path(__file__).parent
"""
SSH = '#!/bin/sh\necho "$@" > "$0.said"\nfor last; do :; done\nexec sh -c "$last"\n'


@pytest.fixture
def launched(tmp_path):
    """Starts the launcher on a file of these lines; whatever a test leaves behind is ended."""
    mark = uuid.uuid4().hex
    ssh = tmp_path / 'ssh'
    ssh.write_text(SSH)
    ssh.chmod(0o755)
    env = os.environ | {'PATH': f'{tmp_path}:{os.environ["PATH"]}', 'HOTDOG_TEST_MARK': mark}

    def launch(lines, *addresses):
        file = tmp_path / "a worker's.py"
        file.write_text(HEAD + lines)
        command = [sys.executable, '-m', 'commands.cluster', file, *addresses]
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        process.left = lambda: marked(mark)
        return process

    yield launch
    for process in marked(mark):
        process.kill()


def marked(mark):
    """The processes that have this mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get('HOTDOG_TEST_MARK') == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:  # it has ended, or is not ours
            continue
    return found


def appears(path, process):
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    return path.read_text()


def use_statistics(net):
    """Freeze BatchNorm: it normalises with its own statistics, else each worker would with its half of the batch."""
    net.apply(lambda b: b._kwargs.update(use_global_stats=True) if isinstance(b, nn.BatchNorm) else None)
    return net


# ---- What is learned ------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_workers_with_halves_give_the_weights_of_one_process(launched, tmp_path):
    """Ten steps, and the head learns ten times faster there, too; rank 0 saves; a second training is refused."""
    lines = """
net = tiny()
net.apply(lambda b: b._kwargs.update(use_global_stats=True) if isinstance(b, nn.BatchNorm) else None)
halves = [(X[RANK::2], y[RANK::2]) for X, y in examples(40, 8)]
table = utils.train(net, halves, examples(9, 4), 2, lr=0.1, kvstore='dist_sync')
onp.savez(HERE / f'{RANK}.npz', valid=table.valid, **values(net))
if RANK == 0:
    utils.save(net, HERE / 'net.safetensors', 16)
try:
    utils.train(net, halves, examples(9, 4), 1, lr=0.1, kvstore='dist_sync')
except utils.Problem as problem:
    print(problem)
"""
    process = launched(lines, *ADDRESSES)
    said, wrong = process.communicate()
    assert process.returncode == 0 and not process.left(), wrong
    assert said.count('The servers are for one training') == 2
    assert '127.0.0.2' in (tmp_path / 'ssh.said').read_text()
    net = use_statistics(tiny())
    start = values(net)
    table = utils.train(net, examples(40, 8), examples(9, 4), 2, lr=0.1)
    one, saved = values(net), values(utils.load(tmp_path / 'net.safetensors'))
    for rank in range(2):
        both = onp.load(tmp_path / f'{rank}.npz')
        assert both['valid'] == pytest.approx(table.valid.to_numpy())
        assert all(both[name] == pytest.approx(one[name], abs=1e-4) for name in one)
        assert all((both[name] == saved[name]).all() for name in one)
    assert abs(one['output.weight'] - start['output.weight']).max() > 0.01


@pytest.mark.slow
def test_all_begin_with_the_weights_of_one_and_end_with_the_mean_of_the_statistics(launched, tmp_path):
    """With lr = 0 nothing but the statistics moves: those of both halves, each trained on alone, give the mean."""
    lines = """
utils.seed_everything(RANK)
net = utils.from_scratch(['a', 'b'], 'tiny')
utils.train(net, examples(32, 8)[RANK::2], examples(9, 4), 1, lr=0, kvstore='dist_sync')
onp.savez(HERE / f'{RANK}.npz', **values(net))
"""
    process = launched(lines, '127.0.0.1', '127.0.0.1')
    _, said = process.communicate()
    assert process.returncode == 0 and not process.left(), said
    first, second = (dict(onp.load(tmp_path / f'{rank}.npz')) for rank in range(2))
    assert all((first[name] == second[name]).all() for name in first)
    (seed,) = (k for k in range(2) if (values(tiny(seed=k))['output.weight'] == first['output.weight']).all())
    alone = [tiny(seed=seed), tiny(seed=seed)]
    for k, net in enumerate(alone):
        utils.train(net, examples(32, 8)[k::2], examples(9, 4), 1, lr=0)
    a, b = map(values, alone)
    assert abs(a['features.1.running_mean'] - b['features.1.running_mean']).max() > 1e-3
    assert all(first[name] == pytest.approx((a[name] + b[name]) / 2, abs=1e-5) for name in first)


def test_a_share_is_as_large_for_each_and_of_other_pictures(monkeypatch):
    monkeypatch.setattr(workers, 'NUM_WORKERS', 3)
    shares = []
    for rank in range(3):
        monkeypatch.setattr(workers, 'RANK', rank)
        shares.append(workers.share(list(range(11))))
    assert shares == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


def test_one_machine_has_all_pictures():
    assert workers.share(list(range(11))) == list(range(11))


# ---- How it ends ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_worker_that_dies_ends_all_with_one_sentence(launched, tmp_path):
    lines = """
def dying():
    yield from examples(8)
    (HERE / 'died').write_text(str(time.time()))
    os.kill(os.getpid(), signal.SIGKILL)

class Dying:
    def __len__(self):
        return 10

    def __iter__(self):
        return dying()

utils.train(tiny(), Dying() if RANK else examples(40), examples(4), 2, lr=0.1, kvstore='dist_sync')
"""
    process = launched(lines, *ADDRESSES)
    _, said = process.communicate()
    assert time.time() - float((tmp_path / 'died').read_text()) < 60
    assert process.returncode == 1 and not process.left()
    assert said.splitlines()[-1].startswith('Worker 1 on 127.0.0.2 died, so all others were ended;')
    assert 'Traceback' not in said


@pytest.mark.slow
def test_workers_with_different_numbers_of_batches_are_told(launched):
    lines = "utils.train(tiny(), examples(8 + 4 * RANK), examples(4), 2, lr=0.1, kvstore='dist_sync')"
    process = launched(lines, '127.0.0.1', '127.0.0.1')
    _, said = process.communicate()
    assert process.returncode == 1 and 'different numbers of batches' in said and 'Traceback' not in said


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_no_process_behind(launched, tmp_path, number):
    """Neither a worker that does not listen, nor what it has started, nor at a second Ctrl-C."""
    lines = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen(['sleep', '600'])
(HERE / f'begun {RANK}').write_text('')
time.sleep(600)
"""
    process = launched(lines, *ADDRESSES)
    for rank in range(2):
        appears(tmp_path / f'begun {rank}', process)
    assert len(process.left()) >= 8  # the launcher, the scheduler, two servers, two workers with what they started
    process.send_signal(number)
    time.sleep(1)
    process.send_signal(number)
    _, said = process.communicate()
    assert process.returncode == 1 and said.splitlines()[-1] == 'Stopped, on all machines.' and not process.left()


@pytest.mark.parametrize(
    'arguments, text',
    [
        ([], 'are missing'),
        (['README.md'], 'are missing'),
        (['no.py', '127.0.0.1'], 'no.py'),
        (['README.md', '127.0.0.1', 'no such host'], 'no such host'),
        (['README.md', '192.0.2.1', '127.0.0.1'], '192.0.2.1 is not this machine'),
    ],
)
def test_what_is_asked_for_is_wrong(monkeypatch, arguments, text):
    monkeypatch.setattr(cluster.signal, 'signal', lambda *_: None)
    assert text in sentence(cluster.main, *arguments)


def test_no_ssh_is_one_sentence(monkeypatch):
    monkeypatch.setattr(cluster, 'SSH', ['no-such-ssh'])
    shared = {'DMLC_PS_ROOT_URI': '127.0.0.1'}
    assert 'no-such-ssh could not be started' in sentence(cluster.start, 'worker', 1, '192.0.2.1', shared, 'x.py')


@pytest.mark.parametrize('kvstore', ['dist_sync', 'dist_async', 'x', 1])
def test_a_training_that_the_launcher_did_not_start(kvstore):
    assert 'commands.cluster' in sentence(utils.train, tiny(), examples(4), examples(4), 1, 0.1, kvstore=kvstore)


# ---- Where it would pay ---------------------------------------------------------------------------------------------


def test_times_as_fast_by_hand():
    """A second alone, 125 MB at 1 Gbit/s: half of them are for the other machine of two, three quarters for three."""
    assert machines.times_as_fast(1, 125e6, 2, 1) == pytest.approx(2 / 1.5)
    assert machines.times_as_fast(1, 125e6, 4, 10) == pytest.approx(4 / 1.075)
