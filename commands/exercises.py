"""Make the exercises: notebooks to work in, in work/exercises/, and pages with our answers folded, in build/exercises/.

python -m commands.exercises      (or: make exercises)

Both come from exercises/*.ipynb, where our answers stand. What is in work/ and was changed is never overwritten.
"""

import copy
import re
import sys

import nbformat

from commands.lab import bring_all, fresh
from commands.notebook import page
from files import BUILD, ROOT, whole
from problem import Problem, say

SOURCES, WORK, PAGES = ROOT / 'exercises', ROOT / 'work' / 'exercises', BUILD / 'exercises'
SOLUTION = r'(?ms)^([ \t]*)### BEGIN SOLUTION\n(.*?)^[ \t]*### END SOLUTION\n?'
HIDDEN = r'(?ms)^[ \t]*### BEGIN HIDDEN TESTS\n.*?^[ \t]*### END HIDDEN TESTS\n?'
STUB = r'\1# YOUR CODE HERE\n'  # nbgrader's, without its error: a student may run all of the notebook


def student_code(code):
    """What a student gets of a cell: no solution, no hidden test."""
    return re.sub(HIDDEN, '', re.sub(SOLUTION, STUB, code)).rstrip('\n')


def for_students(notebook):
    """The notebook as a student gets it, and without what nbgrader notes in its cells."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        cell.source = student_code(cell.source)
        cell.metadata.pop('nbgrader', None)
    return notebook


def for_readers(notebook):
    """The student's notebook, with each of our answers folded below its place."""
    student = for_students(notebook)
    cells = []
    for cell, source in zip(student.cells, notebook.cells):
        cells.append(cell)
        for _, answer in re.findall(SOLUTION, source.source):
            cells.append(folded(answer))
    student.cells = cells
    return student


def folded(answer):
    """A cell that shows code when it is clicked."""
    text = f'<details><summary>Our answer</summary>\n\n```python\n{answer.rstrip()}\n```\n\n</details>'
    return nbformat.v4.new_markdown_cell(text)


def write_pages(notebooks):
    """Write {name: notebook} as web pages to build/exercises/. Raises Problem."""
    try:
        PAGES.mkdir(parents=True, exist_ok=True)
        for name, notebook in notebooks.items():
            with whole((PAGES / name).with_suffix('.html')) as partial:
                partial.write_text(page(for_readers(notebook)), 'utf8')
    except OSError as error:
        raise Problem(
            f'The pages could not be written to {PAGES} ({error.strerror or error}); move away what is in their way, '
            'or free some space.'
        ) from None


def main():
    """Make the copies and the pages. Raises Problem."""
    notebooks = {path.name: fresh(path) for path in sorted(SOURCES.glob('*.ipynb'))}
    bring_all({name: for_students(notebook) for name, notebook in notebooks.items()}, WORK)
    write_pages(notebooks)
    say(f'Your exercises are in {WORK}; `make lab` opens them. What you change there stays yours.')
    say(f'The same with our answers, folded, as pages: {PAGES}')


if __name__ == '__main__':
    try:
        main()
    except Problem as problem:
        sys.exit(str(problem))
