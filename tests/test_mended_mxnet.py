"""What mended_mxnet sets up: in fresh processes, as it can be done only once in each."""

import os
import subprocess
import sys
import threading
import time

import mended_mxnet

import psutil
import pytest

from files import ROOT


def python(code, **variables):
    """What a new Python process prints, as (standard output, standard error)."""
    env = {name: value for name, value in os.environ.items() if name != 'OMP_NUM_THREADS'}
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, env={**env, **variables}
    )
    return done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize('given', [{}, {'OMP_NUM_THREADS': '1'}])
def test_every_core_is_used_if_the_user_says_nothing_else(given):
    cores = str(psutil.cpu_count(logical=False) or 1)
    out, _ = python('import mended_mxnet, os; print(os.environ["OMP_NUM_THREADS"])', **given)
    assert out.split() == ['1' if given else cores]


@pytest.mark.slow
@pytest.mark.parametrize('first', ['import mxnet', 'from d2l import mxnet', 'import gluoncv'])
def test_it_speaks_up_where_it_comes_too_late(first):
    out, _ = python(
        f'{first}\ntry:\n    import utils\nexcept Exception as error:\n    print(type(error).__name__, error)'
    )
    assert 'Problem MXNet was imported before' in out and 'put "import utils" above "import mxnet"' in out


@pytest.mark.slow
def test_it_can_be_loaded_again():
    out, err = python('import importlib, utils, mended_mxnet; importlib.reload(mended_mxnet); print("loaded")')
    assert out.strip().endswith('loaded'), err


@pytest.mark.slow
def test_a_network_that_nobody_holds_gives_back_its_memory():
    out, _ = python(
        'import utils, mended_mxnet, psutil\n'
        'held = lambda: psutil.Process().memory_info().rss / 2**20\n'
        'source = utils.pretrained()\n'
        'three = lambda: [utils.with_new_head(source, ["a", "b"]) for _ in range(3)]\n'
        'three()\n'  # what MXNet keeps of its first copies (0 or 56 MiB) is not a network's
        'mended_mxnet.give_back_memory()\n'
        'before = held()\n'
        'nets = three()\n'
        'meanwhile = held()\n'
        'del nets\n'
        'mended_mxnet.give_back_memory()\n'
        'print(meanwhile - before, held() - before)'
    )
    meanwhile, after = map(float, out.split())
    assert meanwhile > 200 and after < 50


def test_silence_ends_whoever_leaves_it_last():
    """Two threads in it at once, of which the first to enter was to leave first."""
    before, entered, order = sys.stdout, threading.Event(), []

    def other():
        entered.wait()
        with mended_mxnet.silent():
            order.append('other')

    thread = threading.Thread(target=other)
    thread.start()
    with mended_mxnet.silent():
        entered.set()
        time.sleep(0.1)
        order.append('first')
    thread.join()
    assert order == ['first', 'other'] and sys.stdout is before
