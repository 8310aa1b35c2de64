"""The notebooks as files; that they run is nbval's to say."""

import ast
import importlib
import inspect
import re
from html.parser import HTMLParser

import nbformat
import pytest

import utils

NOTEBOOKS = sorted((utils.ROOT / 'notebooks').glob('*.ipynb'))


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_it_has_outputs_and_stays_small(path):
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == 'code']
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert path.stat().st_size < 1.5e6
    said = ''.join(output.get('text', '') for cell in cells for output in cell.outputs)
    assert '/tmp/' not in said  # a folder that nobody else has


class Images(HTMLParser):
    """The alt texts of all images in a piece of HTML; None is none."""

    def __init__(self, text):
        super().__init__()
        self.alts = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == 'img':
            self.alts.append(dict(attrs).get('alt'))


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_is_described_in_words(path):
    """JupyterLab shows the alt text of an <img>, and none of an output that is an image/png."""
    for cell in nbformat.read(path, 4).cells:
        for output in cell.get('outputs', []):
            data = output.get('data', {})
            assert not any(kind.startswith('image/') for kind in data), (
                f'figures.present shows it better: {cell.source}'
            )
            assert all(Images(data.get('text/html', '')).alts), cell.source
            assert not re.search('<IPython.core.display|<Figure size', str(output)), cell.source


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_every_picture_in_a_text_is_there_and_described(path):
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == 'markdown':
            assert '<img' not in cell.source  # lab's copies need ![words](file)
            for alt, picture in re.findall(r'!\[([^]]*)\]\((.*?)\)', cell.source):
                assert alt and (path.parent / picture).is_file()


def test_the_code_that_is_shown_is_the_code_that_runs():
    found = set()
    shown = re.compile(r'print\(inspect.getsource\((\w+\.\w+)\)\)')
    cells = [(path, cell) for path in NOTEBOOKS for cell in nbformat.read(path, 4).cells]
    for path, cell in cells:
        for name in shown.findall(cell.source):
            module, function = name.split('.')
            source = inspect.getsource(getattr(importlib.import_module(module), function))
            assert source in cell.outputs[0].text, f'run {path.name} again: {name} has changed'
            found.add(path.name[:2])
    assert found == {'01', '02', '03'}


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_it_has_one_cell_of_parameters_and_no_shell(path):
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == 'code']
    assert sum('parameters' in cell.metadata.get('tags', []) for cell in cells) == 1
    assert not any(line.startswith(('!', '%')) for cell in cells for line in cell.source.splitlines())


def assigned(code):
    """The names that a cell gives a value to, outside of its functions."""
    own = ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp
    todo, names = [ast.parse(code)], set()
    for node in todo:
        todo += [child for child in ast.iter_child_nodes(node) if not isinstance(child, own)]
        names |= {node.id} if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) else set()
    return names


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_no_cell_changes_what_the_reader_chose(path):
    """Or a cell that is run again would compute something else than the cell of parameters says."""
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == 'code']
    (i,) = [i for i, cell in enumerate(cells) if 'parameters' in cell.metadata.get('tags', [])]
    chosen = assigned(cells[i].source)
    assert chosen
    for cell in cells[i + 1 :]:
        assert not chosen & assigned(cell.source), cell.source
