"""Make the exercises: notebooks to work in, in work/exercises/, and pages with our answers folded, in build/exercises/.

python -m commands.exercises      (or: make exercises)

Both come from exercises/*.ipynb, where our answers stand. What is in work/ and was changed is never overwritten.
"""

import copy
import re

import nbformat

from commands import REST, stoppable
from commands.lab import bring_all, fresh, not_written
from commands.notebook import page
from files import BUILD, ROOT, whole
from problem import say

SOURCES, WORK, PAGES = ROOT / 'exercises', ROOT / 'work' / 'exercises', BUILD / 'exercises'
SOLUTION = r'(?ms)^([ \t]*)### BEGIN SOLUTION\n(.*?)^[ \t]*### END SOLUTION\n?'
HIDDEN = r'(?ms)^[ \t]*### BEGIN HIDDEN TESTS\n.*?^[ \t]*### END HIDDEN TESTS\n?'
ANSWER = 'answer'  # the tag of a text that answers a question of the one above it, and is for readers only
STUB = r'\1# YOUR CODE HERE\n'  # nbgrader's, without its error: a student may run all of the notebook


def student_code(code):
    """What a student gets of a cell: no solution, no hidden test."""
    return re.sub(HIDDEN, '', re.sub(SOLUTION, STUB, code)).rstrip('\n')


def is_answer(cell):
    return ANSWER in cell.metadata.get('tags', [])


def for_students(notebook):
    """The notebook as a student gets it, and without what nbgrader notes in its cells."""
    notebook = copy.deepcopy(notebook)
    notebook.cells = [cell for cell in notebook.cells if not is_answer(cell)]
    for cell in notebook.cells:
        cell.source = student_code(cell.source)
        cell.metadata.pop('nbgrader', None)
    return notebook


def for_readers(notebook):
    """The student's notebook, with each of our answers folded below its place."""
    student = for_students(notebook)
    texts, cells = iter(student.cells), []
    for source in notebook.cells:
        if is_answer(source):
            cells.append(folded(source.source))
            continue
        cells.append(next(texts))
        for _, answer in re.findall(SOLUTION, source.source):
            cells.append(folded(f'```python\n{answer.rstrip()}\n```'))
    student.cells = cells
    return student


def folded(answer):
    """A cell that shows its text when it is clicked."""
    return nbformat.v4.new_markdown_cell(f'<details><summary>Our answer</summary>\n\n{answer}\n\n</details>')


def write_pages(notebooks):
    """Write {name: notebook} as web pages to build/exercises/. Raises Problem."""
    try:
        PAGES.mkdir(parents=True, exist_ok=True)
        for name, notebook in notebooks.items():
            with whole((PAGES / name).with_suffix('.html')) as partial:
                partial.write_text(page(for_readers(notebook)), 'utf8')
    except OSError as error:
        raise not_written('The pages', PAGES, error) from None


def main():
    """Make the copies and the pages. Raises Problem."""
    with stoppable(REST):
        notebooks = {path.name: fresh(path) for path in sorted(SOURCES.glob('*.ipynb'))}
        bring_all({name: for_students(notebook) for name, notebook in notebooks.items()}, WORK)
        write_pages(notebooks)
        say(f'Your exercises are in {WORK}; `make lab` opens them. What you change there stays yours.')
        say(f'The same with our answers, folded, as pages: {PAGES}')


if __name__ == '__main__':
    main()
