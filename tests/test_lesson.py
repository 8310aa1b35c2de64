"""make lesson: what is asked for, what it writes and keeps, what it says, and how it ends."""

import io
import os
import re
import resource
import signal
import subprocess
import sys
import webbrowser
from pathlib import Path

import nbformat
import psutil
import pytest
from helpers import contents, fill, sentence

import files
import utils
from commands import lesson
from commands.notebook import Bar

PARAMETERS = """data, seeds = 'kitchen', [0, 1]
lr = {'fine-tuned': 1, 'from scratch': 2}
px, batch_size, num_epochs, wd, num_frozen = 16, 4, 1, 0.001, 0"""
ANSWER = """import os, pathlib
pathlib.Path(os.environ['HOTDOG_BUILD'], f'net-{pathlib.Path(data).name}.safetensors').write_text(f'{data} {seeds}')
(data, seeds)"""


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """As if nothing was asked for, on a machine with no screen."""
    for name in 'DATA', 'SEEDS', 'DISPLAY', 'WAYLAND_DISPLAY':
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('CI', 'true')


@pytest.fixture
def build(tmp_path, monkeypatch):
    """The folder that the lesson writes to, not there yet."""
    monkeypatch.setattr(utils, 'BUILD', tmp_path / 'build')
    return utils.BUILD


@pytest.fixture
def tiny(tmp_path, monkeypatch, build):
    """A folder of pictures, and a notebook that trains nothing in place of the lesson's."""
    cells = [nbformat.v4.new_code_cell(source) for source in (PARAMETERS, ANSWER)]
    for cell, tag in zip(cells, ('parameters', 'result')):
        cell.metadata['tags'] = [tag]
    monkeypatch.setattr(lesson, 'NOTEBOOK', tmp_path / '01_fine_tuning.ipynb')
    lesson.NOTEBOOK.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells)))
    monkeypatch.setattr(utils, 'estimate', lambda *_: 60.0)
    return fill(tmp_path / 'foods', {'hotdog': 12, 'other': 12})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- What is asked for ----------------------------------------------------------------------------------------------


def test_kitchen_and_seed_0_if_nothing_is_asked_for():
    assert (lesson.asked_data([]), lesson.asked_seeds()) == ('kitchen', [0])


@pytest.mark.parametrize('name', ["a'b", 'a"b', '$HOME', '-x', 'a\\b', '热狗', 'a\nb', '~', '~nobody-of-that-name/x'])
def test_any_folder_becomes_a_whole_path(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir(parents=True)
    monkeypatch.setenv('DATA', name)
    assert lesson.asked_data([]) == lesson.asked_data([name]) == str(tmp_path / name)


def test_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    assert lesson.asked_data(['~/foods']) == str(tmp_path / 'foods')
    assert lesson.asked_data(['~nobody-of-that-name/x']).endswith('/~nobody-of-that-name/x')


def test_what_is_no_folder_is_one_sentence(monkeypatch):
    assert sentence(lesson.main, 'my', 'pictures').startswith('Give one folder, not 2')
    assert sentence(lesson.main, '').startswith('DATA is empty')
    assert sentence(lesson.main, '/nowhere').startswith('There is no folder /nowhere')


@pytest.mark.parametrize('seeds', ['', ' ', 'a', '0,1', '0 x', '-1', '1.5', '1 1', '12345678901'])
def test_seeds_that_are_none_are_one_sentence(monkeypatch, seeds):
    monkeypatch.setenv('SEEDS', seeds)
    assert sentence(lesson.main).startswith('SEEDS is ')


def test_runs_are_named_in_the_notebooks_order(monkeypatch):
    monkeypatch.setenv('SEEDS', '3  0 2')
    settings = {'lr': {'from scratch': 1, 'fine-tuned': 2}, 'seeds': lesson.asked_seeds()}
    runs = ['fine-tuned, seed 3', 'from scratch, seed 3']  # its own two cells, whatever the order in lr
    runs += [f'{name}, seed {seed}' for name in ('from scratch', 'fine-tuned') for seed in (0, 2)]
    assert lesson.names_of_runs(settings) == runs


@pytest.mark.parametrize('source', ['px = ', '1 / 0', "raise ValueError('no')"])
def test_a_broken_cell_of_parameters_is_one_sentence(tiny, source):
    notebook = nbformat.read(lesson.NOTEBOOK, 4)
    notebook.cells[0].source = source
    nbformat.write(notebook, lesson.NOTEBOOK)
    said = sentence(lesson.main, str(tiny))
    assert "cell of parameters can't be run" in said and 'git checkout -- notebooks' in said


@pytest.mark.parametrize(
    'change, what',
    [
        ('del px, num_epochs', 'cell of parameters lacks px, num_epochs;'),
        ('lr = 0.1', 'lr is 0.1; give a rate for each'),
        ("lr = {'fine-tuned': 0.1}", 'give a rate for each'),
        ("lr['from scratch'] = '0.1'", "lr of from scratch is '0.1'"),
        ('num_epochs = 0', 'num_epochs is 0'),
        ('num_frozen = 14', 'num_frozen is 14, and the network has 13 blocks'),
        ('wd = -1', 'wd is -1'),
    ],
)
def test_a_parameter_that_can_not_be_is_one_sentence_before_anything_runs(tiny, monkeypatch, change, what):
    monkeypatch.setattr(utils, 'estimate', None)  # it does not come so far
    notebook = nbformat.read(lesson.NOTEBOOK, 4)
    notebook.cells[0].source += f'\n{change}'
    nbformat.write(notebook, lesson.NOTEBOOK)
    assert what in sentence(lesson.main, str(tiny))


def test_a_notebook_that_is_not_there_is_one_sentence(tiny):
    lesson.NOTEBOOK.unlink()
    assert 'No such file' in sentence(lesson.main, str(tiny))


def test_links_to_what_is_not_beside_the_page_are_words():
    notebook = nbformat.read(lesson.NOTEBOOK, 4)
    before = str(notebook)
    after = str(lesson.without_links(notebook))
    assert '(02_frozen_features.ipynb)' in before and '.ipynb)' not in after
    assert '02 Frozen features (`make lab` opens it)' in after and after.count('](https:') == before.count('](https:')


def test_the_lessons_own_parameters_are_all_there():
    assert {*lesson.parameters()['lr']} == {*lesson.RUNS}


def test_a_notebook_without_its_result_is_one_sentence_before_the_work(monkeypatch, tmp_path):
    notebook = nbformat.read(lesson.NOTEBOOK, 4)
    notebook.cells = [cell for cell in notebook.cells if 'result' not in cell.metadata.get('tags', [])]
    nbformat.write(notebook, tmp_path / 'x.ipynb')
    monkeypatch.setattr(lesson, 'NOTEBOOK', tmp_path / 'x.ipynb')
    assert 'lacks its cell of result' in sentence(lesson.prepared, {'data': 'kitchen', 'seeds': [0]})


def test_what_build_knows_of_other_folders_stays(build, tmp_path):
    """The kernel of a lesson has a build/ of its own."""
    for folder in build, tmp_path / 'made':
        folder.mkdir(exist_ok=True)
        (folder / 'known.sqlite').write_text(folder.name)
    (tmp_path / 'made' / 'net').write_text('new')
    lesson.move(tmp_path / 'made')
    assert names(build) == ['known.sqlite', 'net'] and (build / 'known.sqlite').read_text() == build.name


# ---- What it writes -------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_each_data_set_has_files_of_its_own_and_nothing_is_lost(tiny, build, monkeypatch, capsys):
    lesson.main(str(tiny))
    label = files.label_of(tiny)
    made = [f'01_fine_tuning-{label}.html', f'01_fine_tuning-{label}.ipynb', 'net-foods.safetensors']
    assert names(build) == made
    assert (build / made[2]).read_text() == f'{tiny} [0]'
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith('foods: ') and said[0].endswith(
        ' pictures to train on, 1 epochs, 2 runs: about 6 min in all.'
    )
    assert said[-1] == f'The page is {build / made[0]}' and str(tiny) in ''.join(said[1:-1])

    monkeypatch.setenv('SEEDS', '1')
    lesson.main(str(tiny))
    assert (build / 'net-foods.safetensors').read_text() == f'{tiny} [1]'
    assert (build / 'net-foods.previous.safetensors').read_text() == f'{tiny} [0]'
    assert len(names(build)) == 6
    said = capsys.readouterr().out
    assert all(f'{name} was there already; that one is now ' in said for name in made)


def test_kitchens_files_have_no_name_and_a_folder_called_kitchen_has():
    assert lesson.name_of('kitchen') == '01_fine_tuning'
    assert lesson.name_of('hotdog') == '01_fine_tuning-hotdog'
    assert lesson.name_of('/x/kitchen').startswith('01_fine_tuning-kitchen-')
    assert lesson.name_of('/x/kitchen') != lesson.name_of('/y/kitchen')


@pytest.mark.slow
def test_an_error_in_a_cell_leaves_everything_as_it_was(tiny, build):
    build.mkdir()
    (build / 'net-foods.safetensors').write_text('trained yesterday')
    before = contents(build)
    notebook = nbformat.read(lesson.NOTEBOOK, 4)
    notebook.cells[1].source += '\nassert False, "it does not hold, for a reason that is given"'
    nbformat.write(notebook, lesson.NOTEBOOK)
    assert 'it does not hold' in sentence(lesson.main, str(tiny))
    assert contents(build) == before and len(names(build)) == 1


def test_a_folder_that_cannot_be_written_to_is_one_sentence_before_the_work(tiny, build, tmp_path, monkeypatch):
    monkeypatch.setattr(utils, 'estimate', None)  # it does not come so far
    build.write_text('a file where the folder should be')
    assert f"File exists: '{build}'" in sentence(lesson.main, str(tiny))


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tiny, build, monkeypatch):
    """The disk takes no more than ten bytes of each file once the notebook has run."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    monkeypatch.setattr(lesson, 'execute', lambda *_, **__: resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1])))
    try:
        said = sentence(lesson.main, str(tiny))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert 'File too large' in said and names(build) == []


@pytest.mark.parametrize('step', ['partial_for', 'execute'])
def test_after_ctrl_c_the_sentence_is_the_last_that_is_written(build, monkeypatch, step):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(lesson, step, interrupt)
    bar = Bar(['a, seed 0'], num_epochs=1, num_batches=1, rest=1)
    with pytest.raises(SystemExit, match='Stopped; nothing was written.'):
        lesson.run(None, 'a', bar)
    assert bar.disable  # tqdm's word for closed


# ---- What it says ---------------------------------------------------------------------------------------------------


def result(text):
    output = nbformat.v4.new_output('execute_result', {'text/plain': text})
    cell = nbformat.v4.new_code_cell('1', metadata={'tags': ['result']}, outputs=[output])
    return nbformat.v4.new_notebook(cells=[cell])


def test_five_seeds_are_beside_the_result_of_kitchen_only(capsys):
    lesson.say_result(result('its own table\nof two lines'), '/x/kitchen')
    assert capsys.readouterr().out == '\nits own table\nof two lines\n'
    lesson.say_result(result('its own table'), 'kitchen')
    said = capsys.readouterr().out
    assert 'its own table' in said and 'benchmarks/difficulty.csv' in said
    rows = {line[:12].strip(): line[12:] for line in said.splitlines()}
    assert all(rows[name].count(' ± ') == 2 for name in ('fine-tuned', 'from scratch'))


def test_a_terminal_of_ascii_gets_escapes(monkeypatch):
    terminal = io.BytesIO()
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(terminal, 'ascii', write_through=True))
    lesson.say_result(result('热狗 0.9'), 'kitchen')
    assert rb'\u70ed\u72d7 0.9' in terminal.getvalue() and rb' \xb1 ' in terminal.getvalue()


@pytest.mark.parametrize('screen', ['DISPLAY', 'WAYLAND_DISPLAY', None])
def test_the_page_opens_where_there_is_a_screen(monkeypatch, tmp_path, screen):
    opened = []
    monkeypatch.setattr(webbrowser, 'open', opened.append)
    monkeypatch.setattr(sys, 'platform', 'linux')
    if screen:
        monkeypatch.setenv(screen, ':0')
    lesson.open_page(tmp_path / 'a b.html')
    assert opened == []  # in CI
    monkeypatch.delenv('CI')
    lesson.open_page(tmp_path / 'a b.html')
    assert opened == ([f'{tmp_path.as_uri()}/a%20b.html'] if screen else [])


# ---- From outside ---------------------------------------------------------------------------------------------------


def start(*words, **environment):
    """The real lesson, in a process group of its own as in a terminal."""
    return subprocess.Popen(
        [*words],
        cwd=files.ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def wait_for(process, word):
    """What it has said when it says `word`."""
    said = ''
    while word not in said:
        part = os.read(process.stdout.fileno(), 4096).decode()
        assert part, said
        said += part
    return said


@pytest.mark.slow
def test_two_words_a_strange_terminal_and_a_strange_shell_are_one_sentence():
    process = start(
        sys.executable, '-m', 'commands.lesson', '我的', 'pictures', MPLBACKEND='nonsense', PYTHONIOENCODING='ascii'
    )
    assert process.communicate()[0].decode().splitlines() == [
        'Give one folder, not 2; if there is a space in its name, put it in quotes.'
    ]
    assert process.returncode == 1


@pytest.mark.slow
@pytest.mark.parametrize('moment', ['training', 'about', 'fine-tuned'])
def test_ctrl_c_leaves_no_process_and_no_file(tmp_path, moment):
    """In the estimate, before the kernel is up, and while a network is trained; what was read stays known."""
    folder, build = fill(tmp_path / 'foods', {'hotdog': 20, 'other': 20}), tmp_path / 'build'
    process = start(sys.executable, '-u', '-m', 'commands.lesson', str(folder), HOTDOG_BUILD=str(build))
    said = wait_for(process, moment)
    kernels = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    said += process.communicate(timeout=60)[0].decode()
    assert said.splitlines()[-1] == 'Stopped; nothing was written.' and 'Traceback' not in said
    assert process.returncode > 0 and names(build) == ['known.sqlite']
    assert psutil.wait_procs(kernels, timeout=10)[1] == []


@pytest.mark.slow
def test_the_real_lesson_from_make_to_its_page(tmp_path):
    folder, build = fill(tmp_path / 'my "热狗" $x', {'hotdog': 20, 'other': 20}), tmp_path / 'build'
    label = files.label_of(folder)
    words = 'make', '-s', '-o', '.venv/installed', f'IN={sys.executable}', 'lesson', f'DATA={folder}'
    process = start(*words, HOTDOG_BUILD=str(build), MPLBACKEND='Agg', PYTHONIOENCODING='ascii')
    said = process.communicate()[0].decode()
    assert process.returncode == 0, said
    assert f'The page is {build}/01_fine_tuning-{label}.html'.encode('ascii', 'backslashreplace').decode() in said
    bars = [part for part in said.replace('\r', '\n').splitlines() if part.endswith(' left')]
    assert bars[-1].startswith('testing: 100%') and any(re.match('testing:  [789][0-9]%', bar) for bar in bars)
    assert all(
        any(f'{name}, seed 0, epoch {k} of 5: ' in bar for bar in bars)
        for k in (2, 5)
        for name in ('fine-tuned', 'from scratch')
    )
    page = Path(build, f'01_fine_tuning-{label}.html').read_text('utf8')
    assert page.count('src="data:image/png') >= 5 and 'No description has been provided' not in page
    assert utils.load(build / f'net-{label}.safetensors').classes == ['hotdog', 'other']
