"""The notebooks as files; that they run is nbval's to say."""

import importlib
import inspect
import re

import nbformat
import pytest

import utils

NOTEBOOKS = sorted((utils.ROOT / 'notebooks').glob('*.ipynb'))


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_it_has_outputs_and_stays_small(path):
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == 'code']
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert path.stat().st_size < 1e6


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_is_described_in_words(path):
    for cell in nbformat.read(path, 4).cells:
        if any(kind.startswith('image/') for output in cell.get('outputs', []) for kind in output.get('data', {})):
            assert cell.metadata.get('alt'), cell.source


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_the_code_that_it_shows_is_the_code_that_runs(path):
    for cell in nbformat.read(path, 4).cells:
        for name in re.findall(r'print\(inspect.getsource\((\w+\.\w+)\)\)', cell.source):
            module, function = name.split('.')
            source = inspect.getsource(getattr(importlib.import_module(module), function))
            assert source in cell.outputs[0].text, f'run {path.name} again: {name} has changed'


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_it_has_one_cell_of_parameters_and_no_shell(path):
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == 'code']
    assert sum('parameters' in cell.metadata.get('tags', []) for cell in cells) == 1
    assert not any(line.startswith(('!', '%')) for cell in cells for line in cell.source.splitlines())
