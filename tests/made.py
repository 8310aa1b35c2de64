"""Weights made from their names and shapes, the same here and where data/make/sources/fixtures.py runs; NumPy only."""

import math
import zlib

import numpy as np


def made(shapes):
    """{name: array} of {name: shape}, so that what goes through the network neither dies nor explodes."""
    return {name: array(name, shape) for name, shape in shapes.items()}


def array(name, shape):
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    numbers = rng.standard_normal(
        min(math.prod(shape), 65537), 'float32'
    )  # repeated: a prime, so no two rows are alike
    a = np.resize(numbers, shape)
    if len(shape) > 1:
        return a * np.float32(math.sqrt(2 / math.prod(shape[1:])))
    if name.endswith('running_var'):
        return 0.5 + a**2
    return a / 10 + name.endswith(('weight', 'gamma'))
