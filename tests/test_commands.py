"""What make runs: the Makefile itself, running a notebook with one bar, Ctrl-C, the web page."""

import os
import platform
import runpy
import signal
import subprocess
import sys
import threading
import time

import nbformat
import psutil
import pytest
from helpers import sentence

import files
from commands import notebook as commands_notebook
from commands import stoppable, too_late
from commands.notebook import Bar, attach_pictures, batches_done, execute, page, without_progress_bars

NAMES = [
    'a"b',
    "it's",
    'my pictures',
    '$HOME',
    '$$x',
    '$(shell id)',
    'a\\b',
    'back\\',
    '-x',
    '~',
    'a#b',
    '热狗',
    'a\nb',
    '`id`',
    '',
]


def notebook_of(*cells):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])


class Recorder(Bar):
    """A bar that remembers what it was told; the last one that was made is `Recorder.last`."""

    def __init__(self, runs=('only',), num_epochs=1, num_batches=10, rest=4):
        super().__init__(runs, num_epochs, num_batches, rest)
        self.told = []

    def show(self, done):
        self.told.append(done)
        super().show(done)


def run(*cells, folder=files.ROOT):
    """(the executed notebook, its bar)."""
    notebook = notebook_of(*cells)
    with Recorder() as bar:
        execute(notebook, folder, bar)
    return notebook, bar


# ---- make -----------------------------------------------------------------------------------------------------------


def make(tmp_path, *words, target='lesson', **environment):
    """What `make lesson` hands on, if .venv/bin/python is replaced by a script that tells."""
    told = tmp_path / 'told'
    told.write_text('#!/bin/sh\nprintf %s "$*|$DATA|$SEEDS|$MPLBACKEND"\n')
    told.chmod(0o755)
    command = ['make', '-s', '-o', '.venv/installed', f'IN={told}', target, *words]
    clean = {name: value for name, value in os.environ.items() if name not in ('DATA', 'SEEDS', 'MAKEFLAGS', 'MFLAGS')}
    return subprocess.run(
        command, cwd=files.ROOT, env=clean | environment, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize('name', NAMES)
def test_make_hands_on_any_name_as_it_is(tmp_path, name):
    assert make(tmp_path, f'DATA={name}') == f'-m commands.lesson|{name}|0|'
    assert make(tmp_path, DATA=name) == f'-m commands.lesson|{name}|0|'


def test_make_trains_one_seed_on_kitchen_and_draws_whatever_the_shell_says(tmp_path):
    assert make(tmp_path, MPLBACKEND='Agg') == '-m commands.lesson|kitchen|0|'
    assert make(tmp_path, 'SEEDS=0 1 2') == '-m commands.lesson|kitchen|0 1 2|'


def test_make_lab_opens_the_copies(tmp_path):
    assert make(tmp_path, target='lab', MPLBACKEND='Agg') == '-m commands.lab|kitchen|0|'


def test_make_exercises_writes_them(tmp_path):
    assert make(tmp_path, target='exercises') == '-m commands.exercises|kitchen|0|'


def test_a_machine_that_cannot_run_mxnet_is_told_so(monkeypatch):
    monkeypatch.setattr(platform, 'machine', lambda: 'riscv64')
    with pytest.raises(SystemExit, match='^MXNet has no package for .* riscv64, .* devcontainer'):
        runpy.run_path(files.ROOT / 'commands' / 'check.py')


# ---- Running --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_bar_follows_the_trainings_in_the_notebook():
    notebook, bar = run(
        'from tqdm.auto import tqdm\nimport time',
        'for _ in tqdm(range(3), desc="checking"): pass',
        'for _ in tqdm(range(4), desc="training", leave=False): time.sleep(0.15)',
        'with tqdm(total=6, desc="training", leave=False) as bar:\n    for _ in range(6): bar.update()',
    )
    assert [] in bar.told and [4] in bar.told and bar.told[-1] == [4, 6]
    assert len({*map(sum, bar.told)}) > 4  # it moves
    assert bar.n == 14
    without_progress_bars(notebook)
    assert 'widgets' not in notebook.metadata and not any(cell.outputs for cell in notebook.cells)


def test_what_is_moved_is_moved_whole():
    """Ctrl-C after that is not heard, and then it is heard again."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with stoppable():
        too_late()
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


def test_the_bar_says_what_is_running():
    bar = Bar(['a, seed 0', 'b, seed 0'], num_epochs=2, num_batches=3, rest=8)
    said = []
    for done in [], [0], [2], [3], [6], [6, 0], [6, 5], [6, 6], [6, 6, 1]:
        bar.show(done)
        said.append((bar.desc, bar.n))
    assert said[:4] == [
        ('starting', 0),
        ('a, seed 0, epoch 1 of 2', 0),
        ('a, seed 0, epoch 1 of 2', 2),
        ('a, seed 0, epoch 2 of 2', 3),
    ]
    assert said[4:7] == [
        ('a, seed 0, epoch 2 of 2', 6),
        ('b, seed 0, epoch 1 of 2', 6),
        ('b, seed 0, epoch 2 of 2', 11),
    ]
    assert said[7:] == [('testing', 12), ('testing', 12)]


def test_the_bar_goes_on_after_the_trainings_cell_by_cell():
    bar, said = Bar(['a, seed 0'], num_epochs=2, num_batches=3, rest=8), []
    bar.cell_done(5)  # before them
    bar.show([6])
    for num_left in 3, 2, 1, 0:
        bar.cell_done(num_left)
        said.append(bar.n)
        bar.show([6, 1])  # another training than those of the lesson
    assert said == [8, 10, 12, 14] and bar.n == bar.total


def test_widgets_that_are_no_progress_bar_count_as_nothing():
    assert batches_done({}) == []
    assert batches_done({'a': {'children': ['IPY_MODEL_b']}, 'b': {'value': 'training'}}) == []
    assert batches_done({'a': {'children': ['IPY_MODEL_b', 'IPY_MODEL_gone']}, 'b': {'value': 'checking'}}) == []


@pytest.mark.slow
def test_an_error_in_a_cell_is_one_sentence():
    problem = 'from problem import Problem\nraise Problem("There is something wrong with it; give something better.")'
    assert sentence(run, problem) == 'There is something wrong with it; give something better.'
    too_fast = 'from sources.weights import TooFast\nraise TooFast("The loss is no number; take a smaller rate.")'
    assert sentence(run, too_fast) == 'The loss is no number; take a smaller rate.'
    assert sentence(run, 'this_is_a_name_that_nobody_knows') == (
        "NameError: name 'this_is_a_name_that_nobody_knows' is not defined"
    )


@pytest.mark.slow
def test_a_kernel_that_dies_is_one_sentence():
    assert 'Kernel died' in sentence(run, 'import os\nos._exit(9)')


@pytest.mark.slow
def test_figures_are_in_the_page_and_described():
    notebook, _ = run("import figures\nfigures.present(figures.plot_bars({'a': 0.5}), 'One bar, 0.5 < 1.')")
    image = notebook.cells[0].outputs[0].data['text/html'].removesuffix('>')
    assert image.startswith('<img alt="One bar, 0.5 &lt; 1." src="data:image/png;base64,') and image in page(notebook)


def test_pictures_in_a_text_are_in_the_page(tmp_path):
    (tmp_path / 'a.svg').write_text('<svg/>')
    text = '![One](a.svg) ![Two](https://example.org/b.png) ![Three](gone.svg) ![Four](a.svg)'
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text), nbformat.v4.new_code_cell('1')])
    once = page(attach_pictures(notebook, tmp_path))
    assert once.count('src="data:image/svg+xml;base64,PHN2Zy8+"') == 2
    assert 'src="https://example.org/b.png"' in once and 'src="gone.svg"' in once
    assert 'alt="One"' in once
    assert page(attach_pictures(notebook, tmp_path)) == once


@pytest.mark.slow
def test_ctrl_c_in_a_cell_stops_the_kernel_as_well(tmp_path):
    """A real signal, as soon as the cell has said which process it is."""
    said = tmp_path / 'pid'

    def interrupt():
        while not (said.exists() and said.read_text()):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(SystemExit, match='^\nStopped; nothing was written.$'), stoppable():
        run(f'import os, pathlib, time\npathlib.Path({str(said)!r}).write_text(str(os.getpid()))\ntime.sleep(300)')
    assert is_gone(int(said.read_text()))


def is_gone(pid, seconds=10):
    """Whether the process ends, on a busy machine a little later."""
    for _ in range(10 * seconds):
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.1)
    return False


def test_ctrl_c_while_a_kernel_starts(monkeypatch):
    """As soon as its process is there, and before it can answer."""
    started = []

    async def start(client, **settings):
        await commands_notebook.NotebookClient.async_start_new_kernel(client, **settings)
        started.append(client.km.provisioner.pid)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(commands_notebook.Client, 'async_start_new_kernel', start)
    with pytest.raises(SystemExit, match='Stopped'), stoppable():  # a shell's background job ignores Ctrl-C without it
        run('1')
    assert is_gone(started[0])


@pytest.mark.slow
@pytest.mark.parametrize('module', ['commands', 'numpy', 'mxnet'])
def test_ctrl_c_while_modules_are_imported(module):
    """As soon as Python says that it has imported `module`."""
    command = [sys.executable, '-X', 'importtime', '-m', 'commands.lesson', 'nowhere']
    process = subprocess.Popen(command, cwd=files.ROOT, stderr=subprocess.PIPE, text=True)
    while not process.stderr.readline().endswith(f' {module}\n'):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1]
    assert said.splitlines()[-1] == 'Stopped; nothing was written.' and 'Traceback' not in said
    assert process.returncode == 130
