"""OpenVINO runs what is frozen: the same as MXNet gives, in any company, and MXNet where it can't."""

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import mended_mxnet

import numpy as onp
import psutil
import pytest
from helpers import contents, source, tiny
from mxnet import np
from mxnet.gluon import nn

import fast
import frozen
import utils
from files import ROOT
from folders import Pictures

PX = 16
openvino = pytest.mark.skipif(fast.runtime() is None, reason='OpenVINO has no package for this machine')


@pytest.fixture(autouse=True)
def with_cache(cache):
    return cache


@pytest.fixture
def X():
    return onp.random.default_rng(0).normal(size=(7, 3, PX, PX)).astype('f4')


def by_mxnet(below):
    """The same frozen part, which MXNet runs."""
    below.runtime = None
    return below


def python(code, **variables):
    """What a new Python process prints."""
    env = {**os.environ, 'PYTHONPATH': f'{ROOT}:{ROOT / "tests"}', 'TQDM_DISABLE': '1', **variables}
    return subprocess.check_output([sys.executable, '-c', code], env=env, text=True, timeout=100)


# ---- The same -------------------------------------------------------------------------------------------------------


@openvino
@pytest.mark.parametrize('at', ['stage3', 'output'])
def test_it_gives_what_mxnet_gives(at):
    """With trained weights, and pictures as they are; a head that is fitted to either calls all pictures the same."""
    net, kitchen = utils.with_new_head(utils.pretrained(), ['hotdog', 'not-hotdog']), utils.find_data()
    some = kitchen._replace(
        **{split: Pictures(kitchen[split][::n], kitchen.classes) for split, n in {'train': 10, 'valid': 5}.items()}
    )
    found = {}
    for runtime in 'openvino', 'mxnet':
        below, above = frozen.cut(net, at)
        below = below if runtime == 'openvino' else by_mxnet(below)
        X = below.features(some.valid, 64)
        if at == 'output':
            frozen.fit(below, above, some, 64)
        found[runtime] = onp.array(X), above(np.array(X)).asnumpy().argmax(1)
    (A, calls), (B, same_calls) = found.values()
    assert 0 < abs(A - B).max() <= 1e-4 * abs(B).max()
    assert (calls == same_calls).all() and (at != 'output' or len({*calls}) == 2)


@openvino
def test_no_bit_depends_on_other_pictures_or_on_the_cores(below, X, monkeypatch):
    Y = below(X).asnumpy()
    assert all((below(X[i : i + 1]).asnumpy() == Y[i]).all() for i in range(7))
    assert (below(X[::-1]).asnumpy() == Y[::-1]).all() and (below(np.array(X)).asnumpy() == Y).all()
    for cores in 1, 3:
        monkeypatch.setenv('OMP_NUM_THREADS', str(cores))
        assert (frozen.cut(tiny(), 5)[0](X).asnumpy() == Y).all()


def test_pictures_of_two_sizes_and_kinds(below, X):
    exact = below.block(np.array(X)).asnumpy()
    wide = onp.random.default_rng(1).normal(size=(2, 3, 20, 30))
    assert below(X).asnumpy() == pytest.approx(exact, abs=1e-5)
    assert below(wide).asnumpy() == pytest.approx(below.block(np.array(wide, dtype='float32')).asnumpy(), abs=1e-5)
    assert below(X).asnumpy() == pytest.approx(exact, abs=1e-5) and below(X).dtype == onp.float32


# ---- As fast as it goes ---------------------------------------------------------------------------------------------


@openvino
@pytest.mark.parametrize('given, cores', [('1', 1), ('2', 2), ('2,1', 2)])
def test_it_takes_as_many_cores_as_mxnet(below, monkeypatch, given, cores):
    monkeypatch.setenv('OMP_NUM_THREADS', given)
    (request, *others) = below.compiled_for((3, PX, PX)).requests
    model = request.get_compiled_model()
    assert len(others) == 2 * cores - 1 and model.get_property('INFERENCE_NUM_THREADS') == min(
        cores, psutil.cpu_count()
    )
    assert model.get_property('NUM_STREAMS') == cores and not model.get_property('ENABLE_CPU_PINNING')
    assert model.get_property('INFERENCE_PRECISION_HINT').to_string() == 'f32'


@openvino
def test_it_reads_on_while_it_computes(below, X, monkeypatch):
    monkeypatch.setenv('OMP_NUM_THREADS', '2')
    read = []
    rows = below.through((read.append(len(read)) or image for image in X), X.shape[1:])
    first = next(rows)
    assert len(read) == 5 and (first == below(X[:1]).asnumpy()).all()


@openvino
@pytest.mark.parametrize('error', [KeyboardInterrupt, OSError, None])
def test_it_can_be_left_at_any_time(below, X, error):
    def images():
        yield from X[:6]
        if error:
            raise error
        yield X[6]

    expected, rows = below(X).asnumpy(), below.through(images(), X.shape[1:])
    if error:
        with pytest.raises(error):
            list(rows)
    else:
        next(rows)
        rows.close()
    assert (below(X).asnumpy() == expected).all()


LATE = """
import sys
import frozen, helpers, numpy
below, _ = frozen.cut(helpers.tiny(), 5)
assert 'openvino' not in sys.modules
below(numpy.zeros((1, 3, 16, 16)))
assert 'openvino' in sys.modules
print([name for name in sys.modules if 'telemetry' in name and 'stub' not in name and sys.modules[name]])
"""


@openvino
@pytest.mark.slow
def test_it_is_imported_when_it_first_runs_and_tells_nobody(tmp_path):
    """Left alone, its import starts a process that sends a message, and writes into the user's folder."""
    out = python(LATE, HOME=str(tmp_path))
    assert out.strip() == "['openvino.tools.ovc.telemetry_params', 'openvino.tools.ovc.telemetry_utils']"
    assert not (tmp_path / 'intel').exists()


# ---- Where MXNet runs it --------------------------------------------------------------------------------------------


def fails(*args):
    raise RuntimeError('no\nsuch instruction')


@openvino
def test_where_openvino_fails(below, pictures, cache, monkeypatch, capsys):
    exact, key = onp.array(below.features(pictures, PX)), below.key
    monkeypatch.setattr(fast, 'core', fails)
    again = frozen.cut(tiny(), 5)[0]
    assert (again.features(pictures, PX) == exact).all()  # it is there
    assert again.features(pictures[:5], PX) == pytest.approx(exact[:5], abs=1e-5)
    out = capsys.readouterr().out
    assert 'not run this frozen part, but MXNet' in out and r'no\nsuch instruction' in out and out.count('\n') == 1
    assert again.key != key == below.key and len(contents(cache)) == 2
    again.features(pictures, PX)
    again.features(pictures[:5], PX)
    assert len(contents(cache)) == 3 and capsys.readouterr().out == ''


@openvino
def test_a_layer_that_openvino_is_not_given(pictures, capsys):
    net = tiny()
    net.features.add(nn.LeakyReLU(0.3))
    below, _ = frozen.cut(net, 'output')
    assert below.features(pictures, PX) == pytest.approx(
        below.block(np.array(onp.stack([*below.images(pictures, PX, 0, range(12))]))).asnumpy(), abs=1e-5
    )
    assert 'cannot be written as ONNX' in capsys.readouterr().out


def test_where_it_is_not_installed(pictures, monkeypatch, capsys):
    def missing(name):
        raise PackageNotFoundError(name)

    fast.runtime.cache_clear()
    monkeypatch.setattr(fast, 'version', missing)
    belows = [frozen.cut(tiny(), at)[0] for at in (5, 5, 3)]
    fast.runtime.cache_clear()  # for the next test
    out = capsys.readouterr().out
    assert 'OpenVINO is not installed' in out and out.count('\n') == 1
    assert belows[0].features(pictures, PX).shape == (12, 8, 3, 3) and not belows[0].compiled
    assert belows[0].key == belows[1].key


def test_another_runtime_is_another_key(below, monkeypatch):
    keys = [below.key, by_mxnet(below).key]
    for number in '2026.4.1', '2027.0.0':
        fast.runtime.cache_clear()
        monkeypatch.setattr(fast, 'version', lambda name, number=number: number)
        keys.append(frozen.cut(tiny(), 5)[0].key)
    fast.runtime.cache_clear()
    assert len({*keys[1:]}) == 3


FORKED = """
import multiprocessing, sys
import frozen, helpers, numpy

def run():
    for part in below, frozen.cut(helpers.tiny(), 5)[0]:
        assert numpy.allclose(part(X).asnumpy(), expected, atol=1e-5) and part.runtime is None
        sys.stdout.flush()

X = numpy.random.default_rng(0).normal(size=(3, 3, 16, 16))
below, _ = frozen.cut(helpers.tiny(), 5)
expected = below(X).asnumpy()
child = multiprocessing.get_context('fork').Process(target=run)
child.start()
child.join()
sys.exit(child.exitcode)
"""


@openvino
@pytest.mark.slow
def test_a_process_that_was_forked_does_not_wait_for_ever():
    assert python(FORKED).count('before this process was forked') == 2


@pytest.mark.slow
def test_a_loader_with_workers_goes_on_beside_it(below, pictures):
    """They are forked, and only read."""
    from mxnet.gluon.data import DataLoader, SimpleDataset

    first = below.features(pictures, PX)
    data = SimpleDataset(pictures).transform(lambda path, label: (onp.asarray(utils.open_picture(path, PX)), label))
    loader = DataLoader(data, 4, num_workers=2)
    assert sum(len(y) for _, y in loader) == 12
    assert (below.features(pictures[::-1], PX) == first[::-1]).all()


def test_a_picture_that_is_too_small(capsys):
    net = source()
    below, _ = frozen.cut(net, 'output')
    assert below(onp.zeros((1, 3, 8, 8))).shape == (1, 512) and capsys.readouterr().out == ''


INTERRUPTED = """
import faulthandler, gc, os, signal, time
faulthandler.enable()  # as in a notebook's kernel: then signals have a stack of their own
import frozen, helpers, numpy
parts = [frozen.cut(helpers.tiny(), 5)[0] for _ in range(2)]
for part in parts:
    part(numpy.zeros((3, 3, 16, 16), 'f4'))
part = None
while parts:
    del parts[0]
    gc.collect()
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores Ctrl-C without it
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)
except KeyboardInterrupt:
    print('stopped')
"""


@openvino
def test_ctrl_c_after_two_frozen_parts_that_are_gone():
    """A core of OpenVINO for each would leave signals a stack that is no longer there."""
    env = {**os.environ, 'PYTHONPATH': f'{ROOT}:{ROOT / "tests"}'}
    done = subprocess.run([sys.executable, '-c', INTERRUPTED], env=env, capture_output=True, text=True)
    assert done.stdout == 'stopped\n', done.stderr[-500:]
