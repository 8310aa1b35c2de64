"""The student's copies in work/: made once, with pictures and without answers, and never overwritten."""

import errno
import os
import signal
import sys

import nbformat
import pytest
from helpers import contents, sentence

import files
from commands import lab
from files import ROOT

NAME = '01_first.ipynb'
BROKEN = [
    b'',
    b'{"cells": [',
    b'\xff\xfe',
    b'[]',
    b'{}',
    b'{"cells": [{}], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
]


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A folder with notebooks/ of one notebook; JupyterLab is not started."""
    (tmp_path / 'notebooks').mkdir()
    (tmp_path / 'notebooks' / 'steps.svg').write_text('<svg/>')
    monkeypatch.setattr(lab, 'NOTEBOOKS', tmp_path / 'notebooks')
    monkeypatch.setattr(lab, 'WORK', tmp_path / 'work')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, 'execv', lambda *_: None)
    publish(tmp_path, '6 * 7')
    return tmp_path


def publish(room, code):
    """A version of the notebook as it is in the project: with outputs."""
    output = nbformat.v4.new_output('execute_result', {'text/plain': '42'}, execution_count=1)
    cells = [
        nbformat.v4.new_markdown_cell('![Four steps](steps.svg) and ![a page](https://example.org/a.png)'),
        nbformat.v4.new_code_cell(code, outputs=[output], execution_count=1),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), room / 'notebooks' / NAME)


def change(path, code=None, output=None):
    """What a student does to a copy."""
    notebook = nbformat.read(path, 4)
    if code:
        notebook.cells[1].source = code
    if output:
        notebook.cells[1].outputs = [nbformat.v4.new_output('stream', text=output)]
    nbformat.write(notebook, path)


def codes(room):
    """{name: code} of the notebooks in work/."""
    return {path.name: nbformat.read(path, 4).cells[1].source for path in sorted((room / 'work').iterdir())}


def test_a_copy_has_the_pictures_and_no_answers(room):
    before = contents(room)
    lab.main()
    text, code = nbformat.read(room / 'work' / NAME, 4).cells
    assert text.source.splitlines() == [
        '![Four steps][steps.svg] and ![a page](https://example.org/a.png)',
        '',
        '[steps.svg]: data:image/svg+xml;base64,PHN2Zy8+',
    ]
    assert code.source == '6 * 7' and code.outputs == [] and code.execution_count is None
    after = contents(room)
    assert before.items() <= after.items() and len(after) == len(before) + 1


def test_it_is_made_once(room, capsys):
    lab.main()
    change(room / 'work' / NAME, 'mine', '43')
    before = contents(room)
    capsys.readouterr()
    lab.main()
    assert contents(room) == before and capsys.readouterr().out.count('\n') == 1


def test_one_that_was_not_touched_becomes_the_new_version(room, capsys):
    lab.main()
    publish(room, '7 * 8')
    lab.main()
    assert codes(room) == {NAME: '7 * 8'}
    assert f'{NAME} was as it came' in capsys.readouterr().out


@pytest.mark.parametrize('what', [{'code': 'mine'}, {'output': '43'}])
def test_beside_one_that_is_the_students_the_new_version_is_offered(room, capsys, what):
    lab.main()
    change(room / 'work' / NAME, **what)
    mine = (room / 'work' / NAME).read_bytes()
    for _ in range(2):
        publish(room, '7 * 8')
        lab.main()
    assert (room / 'work' / NAME).read_bytes() == mine
    assert codes(room) == {NAME: what.get('code', '6 * 7'), '01_first.new.ipynb': '7 * 8'}
    assert capsys.readouterr().out.count('the newest version is beside it, 01_first.new.ipynb.') == 1
    publish(room, '8 * 9')
    lab.main()
    assert codes(room)['01_first.new.ipynb'] == '8 * 9'
    change(room / 'work' / '01_first.new.ipynb', 'mine, too')
    publish(room, '9 * 10')
    lab.main()
    assert [*codes(room).values()][1:] == ['mine, too', '9 * 10'] and '01_first.new2.ipynb' in codes(room)


def test_new_outputs_alone_are_no_new_version(room):
    lab.main()
    change(room / 'work' / NAME, 'mine')
    change(room / 'notebooks' / NAME, output='another machine')
    lab.main()
    assert codes(room) == {NAME: 'mine'}


def test_what_jupyterlab_notes_when_it_saves_is_no_change(room):
    lab.main()
    notebook = nbformat.read(room / 'work' / NAME, 4)
    notebook.metadata['language_info'] = {'name': 'python'}
    notebook.cells[1].metadata.update(trusted=True, collapsed=False)
    (room / 'work' / NAME).write_text(nbformat.writes(notebook, indent=4) + '\n')
    publish(room, '7 * 8')
    lab.main()
    assert codes(room) == {NAME: '7 * 8'}


@pytest.mark.parametrize('broken', BROKEN)
def test_one_that_is_broken_stays_and_gets_a_new_one_beside_it(room, capsys, broken):
    (room / 'work').mkdir()
    (room / 'work' / NAME).write_bytes(broken)
    lab.main()
    assert (room / 'work' / NAME).read_bytes() == broken
    assert nbformat.read(room / 'work' / '01_first.new.ipynb', 4).cells[1].source == '6 * 7'
    assert f'{NAME} in work/ is broken: ' in capsys.readouterr().out


def test_what_is_in_the_way_is_one_sentence(room, monkeypatch):
    (room / 'work').write_text('mine')
    assert 'File exists' in sentence(lab.main) and (room / 'work').read_text() == 'mine'
    (room / 'work').unlink()
    publish(room, '1')

    def full(*_):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(lab.nbformat, 'write', full)
    assert 'No space left' in sentence(lab.main)
    assert [*(room / 'work').iterdir()] == []


@pytest.mark.parametrize('broken', BROKEN)
def test_a_broken_notebook_of_the_project_is_named(room, broken):
    (room / 'notebooks' / NAME).write_bytes(broken)
    said = sentence(lab.main)
    assert f'notebooks/{NAME} is no notebook any more' in said and f'git checkout -- notebooks/{NAME}' in said
    assert not (room / 'work').exists()


@pytest.mark.parametrize('number', [errno.EACCES, errno.EROFS])
def test_a_folder_that_may_not_be_written_to_is_named(room, monkeypatch, number):
    def refused(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files.tempfile, 'mkstemp', refused)
    said = sentence(lab.main)
    assert f'to {room / "work"} (' in said and f'chmod -R u+w "{room / "work"}"' in said


def test_ctrl_c_between_two_copies_says_what_is_true_and_leaves_what_is_whole(room, monkeypatch):
    """A real signal, when the second copy is half written."""
    (room / 'notebooks' / '02_second.ipynb').write_bytes((room / 'notebooks' / NAME).read_bytes())
    write = nbformat.write

    def half(notebook, path):
        write(notebook, path)
        if '02_second' in path.name:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(lab.nbformat, 'write', half)
    with pytest.raises(SystemExit, match='^\nStopped; what was written before is whole'):
        lab.main()
    assert [path.name for path in (room / 'work').iterdir()] == [NAME]
    monkeypatch.undo()
    assert nbformat.read(room / 'work' / NAME, 4).cells[1].source == '6 * 7'


def test_it_becomes_jupyterlab_on_the_copies(room, monkeypatch):
    started = []
    monkeypatch.setattr(os, 'execv', lambda *command: started.append((os.getcwd(), *command)))
    lab.main()
    assert started == [(str(ROOT), sys.executable, [sys.executable, '-m', 'jupyter', 'lab', lab.UPLOADS, 'work'])]
