"""One lock for everybody: make, conda and Binder install the same versions, and pip checks every hash."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
NAME = r'[A-Za-z0-9][A-Za-z0-9._-]*'


def normal(name):
    """Package names as pip compares them (PEP 503)."""
    return re.sub('[-_.]+', '-', name).lower()


def logical_lines(name):
    """The lines of a requirements file without comments; those that end in a backslash are joined."""
    text = re.sub(r'\\\n', ' ', (ROOT / name).read_text())
    lines = (re.sub(r'(^|\s)#.*', '', line).strip() for line in text.splitlines())
    return [line for line in lines if line]


@pytest.fixture(scope='module')
def lock():
    """{name: {version: line}} of requirements.txt; a package may have one version per platform."""
    found = {}
    for line in logical_lines('requirements.txt'):
        name, version = re.match(rf'({NAME})==([^\s;]+)', line).groups()  # nothing but exact versions
        found.setdefault(normal(name), {})[version] = line
    return found


def test_conda_installs_the_lock_itself():
    lines = [line.strip() for line in (ROOT / 'environment.yml').read_text().splitlines()]
    lines = [line for line in lines if line and not line.startswith('#')]
    assert lines[-2:] == ['- pip:', '- -r requirements.txt']
    assert lines[lines.index('dependencies:') + 1 : -2] == ['- python=3.11', '- pip']  # no package past the lock


def test_make_installs_the_lock_and_checks_hashes():
    assert re.search(r'pip install .*--require-hashes -r requirements\.txt', (ROOT / 'Makefile').read_text())


def test_every_line_of_the_lock_has_hashes(lock):
    assert len(lock) > 50
    for versions in lock.values():
        for line in versions.values():
            hashes = re.findall(r'--hash=(\S+)', line)
            assert hashes and all(re.fullmatch('sha256:[0-9a-f]{64}', h) for h in hashes), line[:80]


def test_what_we_chose_is_in_the_lock(lock):
    chosen = [re.fullmatch(rf'({NAME})(?:==(\S+))?', line) for line in logical_lines('requirements.in')]
    assert len(chosen) > 5 and all(chosen)
    for match in chosen:
        name, version = match.groups()
        assert normal(name) in lock, name
        assert version is None or list(lock[normal(name)]) == [version], name


def test_every_choice_has_a_reason():
    for line in (ROOT / 'requirements.in').read_text().splitlines():
        assert not line or re.search(r'#\s*\w+', line), line


@pytest.mark.parametrize('name', ['requirements.in', 'requirements.txt', 'environment.yml'])
def test_no_index_and_no_host(name):
    text = (ROOT / name).read_text()
    assert not re.search(r'https?:|git\+|file:|--(extra-)?index-url|--find-links|--trusted-host|@ ', text)
    assert not re.search(r'^\s*-[if]\b', text, re.M)
