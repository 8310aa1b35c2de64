"""The notebooks' own code and parameters, for what is measured with them."""

import os

import matplotlib
import nbformat

from commands.notebook import tagged
from files import ROOT

NOTEBOOKS = ROOT / 'notebooks'


def read(number):
    """The notebook whose name begins with `number`."""
    return nbformat.read(next(NOTEBOOKS.glob(f'{number}_*.ipynb')), 4)


def run(number, change='', until=None):
    """{name: object}: what its code cells leave behind, up to the tag `until`, with `change` made to its parameters."""
    matplotlib.use('agg')
    os.chdir(NOTEBOOKS)  # where the cells expect to be
    names = {}
    for cell in read(number).cells:
        tags = cell.metadata.get('tags', [])
        if until in tags:
            break
        if cell.cell_type == 'code':
            exec(cell.source, names)
        if 'parameters' in tags:
            exec(change, names)
    return names


def parameters(number):
    """Its cell of parameters as one line, without its data and seeds, which the benchmarks choose."""
    names = {}
    exec(tagged(read(number), 'parameters').source, {}, names)
    return ', '.join(f'{name} = {value!r}' for name, value in names.items() if name not in ('data', 'seeds'))
