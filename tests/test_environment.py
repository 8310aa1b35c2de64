"""One lock for everybody, and one for authors beside it: make, conda and Binder install the same versions, by hash."""

import re
import subprocess
import sys

import pytest
import yaml
from packaging.requirements import Requirement

from files import ROOT

LOCKS = 'requirements.txt', 'requirements-dev.txt'


def requirements(name):
    """[(Requirement, its hashes), ...] of a lock."""
    text = (ROOT / name).read_text().replace('\\\n', ' ')
    lines = [line.split('--hash=') for line in text.splitlines() if line.strip() and not line.strip().startswith('#')]
    return [(Requirement(first.strip()), [part.strip() for part in hashes]) for first, *hashes in lines]


@pytest.mark.parametrize('name', LOCKS)
def test_what_is_installed_is_the_lock(name):
    """By pip itself, which has nothing to install from: it finds all of it there, in these versions."""
    command = [sys.executable, '-m', 'pip', 'install', '--dry-run', '--no-index', '--no-deps', '--require-hashes']
    pip = subprocess.run([*command, '-r', ROOT / name], capture_output=True, text=True)
    assert pip.returncode == 0 and 'Would install' not in pip.stdout, pip.stderr


@pytest.mark.parametrize('name', LOCKS)
def test_every_package_has_one_version_its_hashes_and_no_address(name):
    for requirement, hashes in requirements(name):
        assert str(requirement.specifier).startswith('==') and requirement.url is None
        assert hashes and all(re.fullmatch('sha256:[0-9a-f]{64}', h) for h in hashes), requirement
    assert not re.search('https?:|index-url|find-links|trusted-host', (ROOT / name).read_text())


@pytest.mark.parametrize('name', [LOCKS[1], 'requirements-extras.txt'])
def test_the_locks_fit_together(name):
    ours, theirs = ({(r.name, str(r.specifier)) for r, _ in requirements(lock)} for lock in (LOCKS[0], name))
    shared = {package for package, _ in ours} & {package for package, _ in theirs}
    assert len(shared) > 20 and all((one in ours) for one in theirs if one[0] in shared)


def test_conda_installs_the_lock_and_no_package_past_it():
    wanted = yaml.safe_load((ROOT / 'environment.yml').read_text())['dependencies']
    assert wanted == ['python=3.11', 'pip', {'pip': ['-r requirements.txt']}]


def test_make_checks_hashes_and_gives_students_only_what_they_need():
    lesson, test = (
        subprocess.run(['make', '-n', '-W', LOCKS[0], target], cwd=ROOT, capture_output=True, text=True).stdout
        for target in ('lesson', 'test')
    )
    assert '--require-hashes -r requirements.txt' in lesson and '-m commands.lesson' in lesson
    assert LOCKS[1] not in lesson and '--require-hashes -r requirements-dev.txt' in test
    assert '-m pytest -n auto tests\n' in test and '-m pytest --nbval-lax' in test


@pytest.mark.slow
def test_nbval_waits_for_a_busy_machine():
    """Its own five seconds for the word that a cell has ended are too few; there is no option for that."""
    code = """
import pytest, sys

class Seen:
    def pytest_collection_finish(self, session):
        print('cells', len(session.items), 'least', min(item.output_timeout for item in session.items))

pytest.main(['--nbval-lax', '--collect-only', '-q', sys.argv[1]], plugins=[Seen()])
"""
    notebook = next((ROOT / 'notebooks').glob('01_*.ipynb'))
    shown = subprocess.run([sys.executable, '-c', code, notebook], cwd=ROOT, capture_output=True, text=True).stdout
    cells, least = re.search(r'cells (\d+) least (\d+)', shown).groups()
    assert int(cells) > 5 and int(least) >= 60
