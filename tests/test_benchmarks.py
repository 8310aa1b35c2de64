"""Benchmarks: they start, what they take from the notebooks is there, and what was measured is not measured again."""

import ast
import importlib
import os
import shutil
import subprocess
import sys

import nbformat
import pandas as pd
import pytest
from helpers import contents, fill

import utils
from benchmarks import difficulty, mutants, mutations, rates
from files import ROOT

HERE = ROOT / 'benchmarks'
COMMANDS = sorted({path.stem for path in HERE.glob('*.py') if '__main__' in path.read_text()})


# ---- Commands -------------------------------------------------------------------------------------------------------


def test_they_are_all_here():
    assert {'arms', 'costs', 'rates', 'difficulty', 'rivals', 'speed', 'mutants'} <= {*COMMANDS}


@pytest.mark.parametrize('name', COMMANDS)
def test_help_needs_nothing_and_says_how_it_is_called(name, monkeypatch, capsys):
    path, folder = [*sys.path], os.getcwd()
    module = importlib.import_module(f'benchmarks.{name}')
    monkeypatch.setattr(sys, 'argv', [name, '--help'])
    with pytest.raises(SystemExit) as end:
        module.main()
    text = capsys.readouterr().out
    assert end.value.code == 0 and f'python -m benchmarks.{name}' in text
    assert [entry for entry in sys.path if entry not in path] in ([], [str(utils.BUILD / 'torch')])
    assert os.getcwd() == folder


@pytest.mark.slow
def test_the_network_in_pytorch_is_gluons():
    if not (ROOT / 'build' / 'torch').exists():
        pytest.skip('PyTorch is not installed: benchmarks/rivals.py says how')
    code = """
from benchmarks import pytorch  # first
import numpy, utils
X = numpy.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype('f4')
theirs = pytorch.pretrained(2).eval().features(pytorch.torch.tensor(X)).detach().numpy()
ours = utils.pretrained().features(utils.np.array(X)).asnumpy()
assert abs(theirs - ours).max() < 1e-3 * abs(ours).max()
"""
    subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, env=os.environ | {'HOTDOG_BUILD': ROOT / 'build'}, check=True
    )


@pytest.mark.slow
def test_a_folder_that_is_not_there_is_one_sentence():
    command = [sys.executable, '-m', 'benchmarks.rates', 'no-such-folder']
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith('There is no folder no-such-folder') and done.stderr.count('\n') == 1


# ---- What they take from the notebooks ------------------------------------------------------------------------------


def code_of(number, until=None):
    """The code cells of a notebook up to the tag `until`, parsed."""
    (path,) = (ROOT / 'notebooks').glob(f'{number}_*.ipynb')
    cells = nbformat.read(path, 4).cells
    tags = [cell.metadata.get('tags', []) for cell in cells]
    end = [until in some for some in tags].index(True) if until else len(cells)
    return ast.parse('\n'.join(cell.source for cell in cells[:end] if cell.cell_type == 'code'))


def defined(tree):
    """The names that code defines at its top, without running it."""
    stored = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return stored | {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def taken(module):
    """What a module takes out of the names of a notebook: names['...'] or self.names['...']."""
    found = [node for node in ast.walk(ast.parse((HERE / module).read_text())) if isinstance(node, ast.Subscript)]
    of_names = [node for node in found if 'names' in (getattr(node.value, kind, None) for kind in ('id', 'attr'))]
    return {node.slice.value for node in of_names if isinstance(node.slice, ast.Constant)}


@pytest.mark.parametrize('module', ['heads.py', 'headlines.py'])
def test_notebook_02_defines_what_is_taken_from_it(module):
    assert {'recipes'} < taken(module) <= defined(code_of('02', 'table'))


# ---- What was measured ----------------------------------------------------------------------------------------------


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The tables in a folder of their own; a training is counted, and takes no time."""
    trainings = []

    def fit(*args, **settings):
        trainings.append((args, settings))
        return None, pd.DataFrame({'valid': [0.125, 0.25]})

    for path in HERE.glob('*.csv'):
        shutil.copy(path, tmp_path)
    monkeypatch.setattr(rates, 'OUT', tmp_path / 'rates.csv')
    monkeypatch.setattr(rates, 'fit', fit)
    return tmp_path, trainings


def called(main, monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['', *map(str, arguments)])
    main()


@pytest.mark.slow
def test_rates_of_kitchen_are_there_whichever_seeds_are_asked_for(copied, monkeypatch, capsys):
    before = contents(copied[0])
    called(rates.main, monkeypatch, '--seeds', 0)
    called(rates.main, monkeypatch)
    assert not copied[1] and contents(copied[0]) == before
    assert '0.888' in capsys.readouterr().out  # the mean at 0.1, which README has


@pytest.mark.slow
def test_rates_of_a_folder_are_its_own(copied, tmp_path, monkeypatch, capsys):
    before = rates.OUT.read_text()
    folder = fill(tmp_path / 'data' / 'kitchen', {'a': 12, 'b': 12})  # only the name is the same
    called(rates.main, monkeypatch, folder, '--seeds', 0)
    text, count = capsys.readouterr().out, sum(map(len, rates.RATES.values()))
    assert len(copied[1]) == count and '0.25' in text and '0.888' not in text
    assert rates.OUT.read_text().startswith(before)
    called(rates.main, monkeypatch, folder, '--seeds', 0, '--px', 64)
    assert [settings['px'] for _, settings in copied[1]] == count * [128] + count * [64]


def test_by_kind_the_shares_are_of_pictures():
    rows = [('a', 'valid', 3, 4), ('a', 'test', 0, 2), ('b', 'test', 1, 1)]
    table = pd.DataFrame(rows, columns=['kind', 'split', 'right', 'pictures'])
    assert difficulty.share(table, 'kind').to_dict() == {'a': 0.5, 'b': 1}


# ---- Mistakes on purpose --------------------------------------------------------------------------------------------

SOUND = '''"""1 + 1."""
import os

def f(a, b=2):
    """Not a < b."""
    if a < b and not b:
        raise Problem(f'{a + 1}')
    say('é', len(a) + 1)
    bar.update(a + 1)
    a.x = max(a, b)
    return [é[0] - g(a, True) for é in a if é]
'''
BROKEN = [
    (4, '2', '3'),
    (6, 'a < b and not b', 'not (a < b and (not b))'),
    (6, 'a < b and not b', 'a < b or not b'),
    (6, 'a < b', 'a <= b'),
    (7, "raise Problem(f'{a + 1}')", 'pass'),
    (8, "say('é', len(a) + 1)", 'pass'),
    (10, 'a.x = max(a, b)', 'pass'),
    (11, 'é[0] - g(a, True)', 'é[0] + g(a, True)'),
    (11, '0', '1'),
    (11, 'g(a, True)', 'g(True, a)'),
    (11, 'True', 'False'),
    (11, 'é', 'not (é)'),
]


def test_mutations_are_those_that_can_be_named():
    found = [*mutations.mutations(SOUND)]
    assert sorted(mutation[:3] for mutation in found) == sorted(BROKEN)
    lines = SOUND.splitlines()
    for mutation in found:
        (changed,) = [i for i, line in enumerate(mutation.source.splitlines()) if line != lines[i]]
        assert changed + 1 == mutation.line
        assert mutation.source.splitlines()[changed].count(mutation.after) > lines[changed].count(mutation.after)


def test_what_is_drawn_is_always_the_same_and_of_many_lines():
    drawn = mutants.chosen()
    assert drawn == mutants.chosen() and len(drawn) == 60
    assert len({(module, mutation.line) for module, mutation in drawn}) == 60
    assert len({module for module, _ in drawn}) >= 5
    assert mutants.tests_for('frozen.py')[0] == 'tests/test_frozen.py'


@pytest.mark.slow
@pytest.mark.parametrize(
    'broken, by',
    [('i += 1  # ', ''), ('i += 2', 'tests/test_count.py::test_it'), ('i += 0', 'the time'), ('i +', 'tests')],
)
def test_a_mutant_is_noticed_by_a_test_or_the_time(broken, by, tmp_path, monkeypatch):
    (tmp_path / 'tests').mkdir()
    sound = 'def count(n):\n    i = 0\n    while i < n:\n        i += 1\n    return i\n'
    (tmp_path / 'count.py').write_text(sound)
    (tmp_path / 'pyproject.toml').write_text('[tool.pytest.ini_options]\npythonpath = ["."]\nmarkers = ["slow: x"]\n')
    (tmp_path / 'tests' / 'test_count.py').write_text('import count\ndef test_it():\n    assert count.count(3) == 3\n')
    monkeypatch.setattr(mutants, 'tests_for', lambda module: ['tests/test_count.py'])
    mutation = mutations.Mutation(4, 'i += 1', broken, sound.replace('i += 1', broken))
    result = mutants.judge(tmp_path, 'count.py', mutation, limit=5 if by == 'the time' else 60)
    assert result['caught'] == bool(by) and result['by'].startswith(by)
    assert (tmp_path / 'count.py').read_text() == sound
