"""A class with nbgrader, by the commands that exercises/TEACHING.md has: five submissions, and grades as by hand."""

import copy
import csv
import os
import re
import subprocess

import nbformat
import pytest

from commands import exercises
from files import ROOT

NAME = '02_frozen_features'
SOURCE = ROOT / 'exercises' / f'{NAME}.ipynb'
POINTS = {'2a': 3, '2b': 1, '2c': 2, '2d': 2, '2e': 2, '2f': 3}
SECONDS = 100  # for a cell; the teacher's 600 would be long for a test


def blocks():
    """The commands of the page, in blocks."""
    return re.findall(r'```sh\n(.*?)```', (ROOT / 'exercises' / 'TEACHING.md').read_text(), re.DOTALL)


def run(commands, folder, course):
    """Run commands of the page in `folder`, with the course in another place than work/class."""
    environment = os.environ | {'PYTHONPATH': str(ROOT)}
    script = f'set -e\nexport PATH="{ROOT}/.venv/bin:$PATH"\n{commands.replace("work/class", str(course))}'
    done = subprocess.run(['bash', '-c', script], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def answered(*names):
    """The notebook as it is handed out, with our answers to the exercises `names`."""
    notebook = nbformat.read(SOURCE, 4)
    notebook.cells = [cell for cell in notebook.cells if not exercises.is_answer(cell)]
    cells = {cell.id: cell.source for cell in notebook.cells}
    for cell in notebook.cells:
        cell.source = cells[cell.id] if cell.id in names else exercises.student_code(cell.source)
    return notebook


def with_cells_twice_and_none():
    """All answered; then one answer is there twice, one check and one other answer are deleted."""
    notebook = answered(*POINTS)
    cells = [cell for cell in notebook.cells if cell.id not in ('2c-check', '2f')]
    place = [cell.id for cell in cells].index('2a')
    twin = copy.deepcopy(cells[place])
    twin.id = 'twin'
    notebook.cells = [*cells[: place + 1], twin, *cells[place + 1 :]]
    return notebook


def endless():
    notebook = answered(*POINTS)
    (cell,) = [cell for cell in notebook.cells if cell.id == '2a']
    cell.source = 'while True:\n    pass'
    return notebook


SUBMISSIONS = {
    'perfect': lambda: answered(*POINTS),
    'empty': lambda: answered(),
    'half': lambda: answered('2a', '2c', '2d'),
    'cells': with_cells_twice_and_none,
    'endless': endless,
}
BY_HAND = {
    'perfect': 3 + 1 + 2 + 2 + 2 + 3,
    'empty': 0,
    'half': 3 + 2 + 2,
    'cells': 3 + 1 + 2 + 2,  # not 2c, whose check is gone, nor 2f, whose answer is
    'endless': 2 + 2 + 2 + 3,  # not 2a, nor 2b, which needs it
}


@pytest.fixture(scope='module')
def course(tmp_path_factory):
    """A class that was graded."""
    course = tmp_path_factory.mktemp('class')
    hand_out, grade = blocks()
    run(hand_out, ROOT, course)
    with (course / 'nbgrader_config.py').open('a') as config:
        config.write(f'c.Execute.timeout = {SECONDS}\n')
    for student, notebook in SUBMISSIONS.items():
        folder = course / 'submitted' / student / NAME
        folder.mkdir(parents=True)
        nbformat.write(notebook(), folder / f'{NAME}.ipynb')
    run(grade, course, course)
    return course


def test_what_is_handed_out_is_what_make_exercises_gives(course):
    theirs = nbformat.read(course / 'release' / NAME / f'{NAME}.ipynb', 4)
    ours = exercises.for_students(nbformat.read(SOURCE, 4))
    assert [cell.source.strip() for cell in theirs.cells] == [cell.source.strip() for cell in ours.cells]


def test_grades_are_as_by_hand(course):
    with (course / 'grades.csv').open() as file:
        rows = {row['student_id']: row for row in csv.DictReader(file)}
    assert {student: float(row['score']) for student, row in rows.items()} == BY_HAND
    assert {float(row['max_score']) for row in rows.values()} == {sum(POINTS.values())}


def test_feedback_has_the_sentences(course):
    pages = {path.parent.parent.name: path.read_text() for path in (course / 'feedback').glob('*/*/*.html')}
    assert pages.keys() == SUBMISSIONS.keys()
    assert all(f'{name} is right.' in pages['perfect'] for name in POINTS)
    assert all(f'{name}: ' in pages['empty'] for name in POINTS) and ' is right.' not in pages['empty']
    assert 'Timeout' in pages['endless']
