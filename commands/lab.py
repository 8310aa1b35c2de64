"""Open the student's copies of the notebooks, in work/, with JupyterLab. They are made here, and never overwritten.

python -m commands.lab      (or: make lab)
"""

import hashlib
import itertools
import json
import os
import sys

import nbformat

from commands.notebook import attach_pictures
from files import ROOT, whole
from problem import Problem, say

NOTEBOOKS, WORK = ROOT / 'notebooks', ROOT / 'work'


# ---- A copy ---------------------------------------------------------------------------------------------------------


def fresh(path):
    """A notebook without what its code gave, and with a hash of itself. Raises Problem."""
    try:
        notebook = nbformat.read(path, 4)
    except Exception as error:  # whatever is in the file
        raise Problem(f"{path} can't be read ({error}); get it back with: git checkout -- notebooks") from None
    for cell in notebook.cells:
        if cell.cell_type == 'code':
            cell.outputs, cell.execution_count = [], None
    attach_pictures(notebook, path.parent)
    notebook.metadata.pop('widgets', None)
    notebook.metadata['made_from'] = hash_of(notebook)
    return notebook


def hash_of(notebook):
    """A hash of what its cells say; what JupyterLab notes about them when it saves is no part of it."""
    cells = [(cell.cell_type, cell.source) for cell in notebook.cells]
    return hashlib.sha1(json.dumps(cells).encode()).hexdigest()


def read_copy(path):
    """The notebook that a student has; None if it is none."""
    try:
        copy = nbformat.read(path, 4)
        nbformat.validate(copy)
        return copy
    except Exception:  # whatever is in the file
        return None


def is_unchanged(copy):
    """Whether the student has neither changed nor run anything in it."""
    outputs = [output for cell in copy.cells for output in cell.get('outputs', [])]
    return not outputs and copy.metadata.get('made_from') == hash_of(copy)


# ---- All copies -----------------------------------------------------------------------------------------------------


def places(path):
    """Where copies of a notebook may be: 01.ipynb, 01.new.ipynb, 01.new2.ipynb, ..."""
    yield path
    for number in itertools.count(1):
        yield path.with_suffix(f'.new{number if number > 1 else ""}.ipynb')


def bring(path, work):
    """Bring the newest version of a notebook to the folder `work`; what the student has there and changed stays.

    Raises OSError, and Problem if the notebook can't be read.
    """
    notebook = fresh(path)
    yours = None
    for place in places(work / path.name):
        if not os.path.lexists(place):
            break
        copy = read_copy(place)
        if copy and copy.metadata.get('made_from') == notebook.metadata.made_from:
            return
        if copy and is_unchanged(copy):
            say(f'{place.name} was as it came to you, and is its newest version now.')
            break
        yours = yours or ('is broken' if copy is None else 'is yours and stays as it is')
    if yours:
        say(f'{path.name} in {work.name}/ {yours}: the newest version is beside it, {place.name}.')
    with whole(place) as partial:
        nbformat.write(notebook, partial)


def main():
    """Make the copies, and become JupyterLab. Raises Problem."""
    try:
        WORK.mkdir(exist_ok=True)
        for path in sorted(NOTEBOOKS.glob('*.ipynb')):
            bring(path, WORK)
    except OSError as error:
        raise Problem(
            f'Your copies of the notebooks could not be written to {WORK} ({error.strerror or error}); move away what '
            'is in their way, or free some space.'
        ) from None
    say(f'Your copies of the notebooks are in {WORK}; what you change there stays yours.')
    os.chdir(ROOT)
    os.execv(sys.executable, [sys.executable, '-m', 'jupyter', 'lab', WORK.name])


if __name__ == '__main__':
    try:
        main()
    except Problem as problem:
        sys.exit(str(problem))
