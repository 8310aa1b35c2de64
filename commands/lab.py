"""Open the student's copies of the notebooks, in work/, with JupyterLab. They are made here, and never overwritten.

python -m commands.lab      (or: make lab)
"""

import errno
import hashlib
import itertools
import json
import os
import sys

import nbformat

from commands import REST, stoppable
from commands.notebook import attach_pictures
from files import ROOT, whole
from problem import Problem, one_line, say

NOTEBOOKS, WORK = ROOT / 'notebooks', ROOT / 'work'
MAY_NOT = errno.EACCES, errno.EPERM, errno.EROFS  # an OSError: rights, or a disk that is read only
# What is uploaded to a widget comes in one message; without this more than 10 MB, two photographs, would get lost.
UPLOADS = '--ServerApp.tornado_settings={"websocket_max_message_size": 1000000000}'


# ---- A copy ---------------------------------------------------------------------------------------------------------


def fresh(path):
    """A notebook without what its code gave. Raises Problem."""
    try:
        notebook = nbformat.read(path, 4)
        nbformat.validate(notebook)
    except Exception as error:  # whatever is in the file
        raise Problem(
            f'{path} is no notebook any more ({one_line(error, 100)}); what was changed in it last has broken it. Mend '
            f'that, or get it back as it came, without your changes: git checkout -- {path.parent.name}/{path.name}'
        ) from None
    for cell in notebook.cells:
        if cell.cell_type == 'code':
            cell.outputs, cell.execution_count = [], None
    attach_pictures(notebook, path.parent)
    notebook.metadata.pop('widgets', None)
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


def bring_all(notebooks, work):
    """Bring {name: notebook} to the folder `work`. Raises Problem."""
    try:
        work.mkdir(parents=True, exist_ok=True)
        for name, notebook in notebooks.items():
            bring(notebook, name, work)
    except OSError as error:
        raise not_written('Your copies of the notebooks', work, error) from None


def not_written(what, folder, error):
    """The Problem that an OSError is where `what` is written to a folder."""
    to_do = 'move away what is in their way, or free some space.'
    if error.errno in MAY_NOT:
        to_do = f'make it writable (chmod -R u+w "{folder}"), or work in a copy of the project that is yours.'
    return Problem(f'{what} could not be written to {folder} ({error.strerror or error}); {to_do}')


def bring(notebook, name, work):
    """Bring the newest version of a notebook to the folder `work`; what the student has there and changed stays.

    It gets a hash of itself, which tells later whether it was changed. Raises OSError.
    """
    notebook.metadata['made_from'] = hash_of(notebook)
    yours = None
    for place in places(work / name):
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
        say(f'{name} in {work.name}/ {yours}: the newest version is beside it, {place.name}.')
    with whole(place) as partial:
        nbformat.write(notebook, partial)


def main():
    """Make the copies, and become JupyterLab. Raises Problem."""
    with stoppable(REST):
        bring_all({path.name: fresh(path) for path in sorted(NOTEBOOKS.glob('*.ipynb'))}, WORK)
        say(f'Your copies of the notebooks are in {WORK}; what you change there stays yours.')
        os.chdir(ROOT)
        sys.stdout.flush()  # or what is said is lost where it goes to a file
        os.execv(sys.executable, [sys.executable, '-m', 'jupyter', 'lab', UPLOADS, WORK.name])


if __name__ == '__main__':
    main()
