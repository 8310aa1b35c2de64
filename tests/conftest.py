"""Figures are drawn without a screen and closed after every test."""

import mended_mxnet

import matplotlib
import pytest

matplotlib.use('Agg')


@pytest.fixture(autouse=True)
def figures():
    from matplotlib import pyplot

    yield pyplot
    pyplot.close('all')
