"""Tests have a build/ of their own, and their figures are drawn without a screen and closed after every test."""

import os
import tempfile

import mended_mxnet

import matplotlib
import pytest

BUILD = tempfile.TemporaryDirectory()  # until the tests are done
os.environ['HOTDOG_BUILD'] = BUILD.name  # tests import files.py after this: what the user trained stays as it is
matplotlib.use('Agg')


@pytest.fixture(autouse=True)
def pyplot():
    from matplotlib import pyplot

    yield pyplot
    pyplot.close('all')


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder of the frozen part's cache, empty and not there yet."""
    import frozen

    monkeypatch.setattr(frozen, 'CACHE', tmp_path / 'cache')
    return tmp_path / 'cache'


@pytest.fixture
def pictures(tmp_path):
    """Reddish and bluish pictures, [(path, class number), ...]."""
    from helpers import red_and_blue

    (tmp_path / 'photos').mkdir()
    return red_and_blue(tmp_path / 'photos')


@pytest.fixture
def below():
    """The frozen part of a tiny network."""
    from helpers import tiny

    import frozen

    return frozen.cut(tiny(), 5)[0]
