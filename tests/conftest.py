"""Figures are drawn without a screen and closed after every test."""

import matplotlib
import pytest

import utils  # noqa: F401, before MXNet: it says how many cores MXNet may use

matplotlib.use('Agg')


@pytest.fixture(autouse=True)
def figures():
    from matplotlib import pyplot

    yield pyplot
    pyplot.close('all')
