"""The widgets in JupyterLab, in a headless Chromium: they answer, and nothing is asked of the outside."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import mended_mxnet

import jupyterlab
import nbformat
import numpy as onp
import pytest
from nbformat import v4
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from commands.lab import UPLOADS
from files import ROOT

SHARE = Path(jupyterlab.__file__).parents[4] / 'share' / 'jupyter'
KITCHEN = ROOT / 'data' / 'kitchen'
CELLS = [
    f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import arms, frozen, utils, widgets
foods, digits = utils.find_data(), arms.digits()
digits = digits._replace(train=digits.train[::4], valid=digits.valid[::2])
source = utils.pretrained('efficientnet_lite0')
net = utils.with_new_head(source, foods.classes)
net.px = 64
answers = utils.predictions(net, utils.batches(foods.valid[::20], net, 64, 32))
""",
    'widgets.turn_the_knob(digits, 32, target=0.99, budget=600)',
    'widgets.teach(source, 64, foods)',
    'widgets.ask(net)',
    'widgets.threshold(*answers, foods.classes)',
    'widgets.call_them(foods.valid[::100], 64, [0, 0, 0, 0], foods.classes)',
]
KNOB, TEACH, ASK, THRESHOLD, GAME = range(1, 6)
SENTENCES = (
    *('Turn the knob: ', 'Teach it live: ', 'Ask it about a picture of your own: ', 'How sure it must be: '),
    '4 pictures to call yourself; run this cell to begin.',
)
# Those of notebook 05 that its widgets need, and one that makes the pictures few
OWN_PHOTOGRAPHS = ['c01', 'c03', 'c11', 'few', 'c40', 'c42', 'c43', 'c45', 'c114']
FEW = """as_given = False
dataset = dataset._replace(train=dataset.train[::10], valid=dataset.valid[::4], test=dataset.test[::100])"""


def chromium():
    """The path of Chromium, which Debian's package installs where it is missing."""
    if not shutil.which('chromium'):
        subprocess.run(['apt-get', 'update'], check=True)
        subprocess.run(['apt-get', 'install', '--yes', 'chromium'], check=True)
    return shutil.which('chromium')


def write(folder, name, sources, outputs=()):
    """A notebook of cells."""
    cells = [v4.new_code_cell(source.strip()) for source in sources]
    for cell, some in zip(cells, outputs):
        cell.outputs = some
    kernel = {'name': 'python3', 'display_name': 'Python 3', 'language': 'python'}
    nbformat.write(v4.new_notebook(cells=cells, metadata={'kernelspec': kernel}), folder / name)


@pytest.fixture(scope='module')
def lab(tmp_path_factory):
    """(folder, address) of a JupyterLab as `make lab` starts it, with a notebook in it."""
    folder = tmp_path_factory.mktemp('lab')
    write(folder, 'widgets.ipynb', CELLS)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    settings = ['--no-browser', f'--port={port}', '--IdentityProvider.token=', '--allow-root']
    settings += [UPLOADS, f'--ServerApp.root_dir={folder}', f'--LabApp.app_dir={SHARE / "lab"}']
    private = {f'JUPYTER_{kind}_DIR': str(folder / kind) for kind in ('CONFIG', 'DATA', 'RUNTIME')}
    environment = os.environ | private | {'JUPYTER_PATH': str(SHARE)}
    with open(folder / 'lab.log', 'w') as log:
        server = subprocess.Popen(
            [sys.executable, '-m', 'jupyterlab', *settings], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    address = f'http://127.0.0.1:{port}'
    try:
        wait_for(f'{address}/api')
        yield folder, address
    finally:
        server.terminate()
        server.wait()


def wait_for(address, seconds=120):
    for _ in range(seconds):
        try:
            return urllib.request.urlopen(address, timeout=1)
        except OSError:
            time.sleep(1)
    raise TimeoutError(f'{address} does not answer')


@pytest.fixture(scope='module')
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=['--no-sandbox'])
        yield browser
        browser.close()


def opened(browser, address, name):
    """The page of a notebook, its kernel waiting."""
    page = browser.new_page(viewport={'width': 1280, 'height': 1600})
    page.set_default_timeout(180_000)
    page.asked = []
    page.on('request', lambda request: page.asked.append(request.url))
    page.goto(f'{address}/lab/tree/{name}?reset')
    page.get_by_text('| Idle').wait_for()
    return page


@pytest.fixture(scope='module')
def page(lab, browser):
    """The page of the notebook, all of whose cells have run."""
    _, address = lab
    page = opened(browser, address, 'widgets.ipynb')
    run_all(page)
    return page


def run_all(page):
    page.get_by_text('Run', exact=True).first.click()
    page.get_by_text('Run All Cells', exact=True).click()
    page.get_by_text('are called right').wait_for()


def cell(page, number):
    found = page.locator('.jp-Cell').nth(number)
    found.scroll_into_view_if_needed()
    return found


def press(cell, words):
    cell.locator('button.jupyter-button', has_text=words).first.click()


def upload(page, cell, words, files):
    with page.expect_file_chooser() as chooser:
        press(cell, words)
    chooser.value.set_files(files)


def sees(cell, words):
    expect(cell).to_contain_text(words, timeout=180_000)


def move(page, cell, key, times=1):
    """Move the first slider of a cell."""
    cell.locator('.noUi-handle').first.focus()
    for _ in range(times):
        page.keyboard.press(key)


def some_pictures(n):
    return sorted(KITCHEN.glob('train/*/*.jpg'))[:n]


def test_where_a_kernel_answers_no_sentence_stands_in(page):
    for sentence in SENTENCES:
        expect(page.get_by_text(sentence)).to_be_hidden()


def test_the_knob_turns_runs_and_stops(page):
    knob = cell(page, KNOB)
    drawn = knob.locator('img').first
    assert 'before 7 stage3' in drawn.get_attribute('alt')
    move(page, knob, 'ArrowRight')
    expect(drawn).to_have_attribute('alt', re.compile('before 8 stage4'), timeout=60_000)
    knob.get_by_placeholder('of 100').fill('90')
    press(knob, 'run')
    sees(knob, 'Epoch 5 of 5')
    expect(knob.locator('tr').nth(1)).to_contain_text('90 of 100')
    move(page, knob, 'Home')  # everything trains: slow enough to be stopped
    knob.locator('.noUi-handle').nth(2).focus()
    page.keyboard.press('End')
    press(knob, 'run')
    sees(knob, 'Epoch 1 of 30:')
    press(knob, 'stop')
    sees(knob, 'Stopped.')
    expect(knob.locator('tr').nth(2)).to_contain_text('batchnorm0')
    expect(knob.locator('tr').nth(2)).not_to_contain_text('30 of 30')
    assert 'run 2, cut at batchnorm0' in knob.locator('img').last.get_attribute('alt')


def test_a_network_is_taught(page, tmp_path):
    teach = cell(page, TEACH)
    sees(teach, 'two classes at least')
    (tmp_path / 'notes.jpg').write_text('no picture')
    upload(page, teach, 'add pictures', [*some_pictures(5), tmp_path / 'notes.jpg'])
    sees(teach, "notes.jpg can't be read as a picture")
    teach.locator('input[type=text]').first.fill('hotdog')
    page.keyboard.press('Enter')
    press(teach, 'take 5 of each')
    sees(teach, 'It knows 2 classes from 15 pictures.')
    press(teach, 'ask about one of valid')
    expect(teach.get_by_text('not-hotdog', exact=True)).to_be_visible()
    press(teach, 'fitted head')
    teach.locator('button[title^="remove "]').first.click()
    sees(teach, 'from 14 pictures.')
    press(teach, 'remove')
    sees(teach, 'two classes at least')


def test_it_answers_and_a_large_upload_arrives(page, tmp_path):
    ask = cell(page, ASK)
    large = tmp_path / 'large.png'
    Image.fromarray(onp.random.default_rng(0).integers(0, 256, (2200, 2200, 3), 'uint8')).save(large)
    assert large.stat().st_size > 12e6
    upload(page, ask, 'upload', [*some_pictures(1), large])
    sees(ask, 'large.png')
    expect(ask.locator('img')).to_have_count(4)


def test_the_threshold_moves_the_matrix(page):
    threshold = cell(page, THRESHOLD)
    move(page, threshold, 'Home')
    sees(threshold, '20 of 20 are called hotdog')
    move(page, threshold, 'End')
    sees(threshold, '0 of 20 are called hotdog')


def test_pictures_are_called_by_hand(page):
    """The first two are hot dogs, the others are not; the network called all of them hot dogs."""
    game = cell(page, GAME)
    sees(game, 'Picture 1 of 4: what is it?')
    for key in '1221':
        game.get_by_role('button', name='1 hotdog').focus()
        page.keyboard.press(key)
    sees(game, 'You called 2 of 4 right, the network 2.')
    expect(game.get_by_text('network: right')).to_have_count(2)
    expect(game.locator('img')).to_have_count(4)


def test_own_photographs(lab, browser, tmp_path):
    """Notebook 05's own cells, on few pictures: its network has a fitted head, and is softened."""
    folder, address = lab
    cells = {one.id: one.source for one in nbformat.read(ROOT / 'notebooks' / '05_your_own_photographs.ipynb', 4).cells}
    here = f'import os\nos.chdir({str(ROOT / "notebooks")!r})'
    write(folder, '05.ipynb', [here, *((cells | {'few': FEW})[name] for name in OWN_PHOTOGRAPHS)])
    page = opened(browser, address, '05.ipynb')
    run_all(page)
    threshold, ask = (cell(page, 1 + OWN_PHOTOGRAPHS.index(name)) for name in ('c45', 'c114'))
    move(page, threshold, 'Home')
    sees(threshold, '100 of 100 are called hotdog')
    threshold.locator('select').select_option('not-hotdog')
    sees(threshold, '100 of 100 are called not-hotdog')
    (tmp_path / 'notes.jpg').write_text('no picture')
    upload(page, ask, 'upload', [*some_pictures(1), tmp_path / 'notes.jpg'])
    sees(ask, "notes.jpg can't be read as a picture")
    expect(ask.locator('img')).to_have_count(2)
    expect(ask.get_by_text('not-hotdog')).to_be_visible()
    assert all(url.startswith((address, 'data:', 'blob:', 'ws://127.0.0.1')) for url in page.asked)


def test_nothing_is_asked_of_the_outside(page, lab):
    _, address = lab
    assert page.asked and all(url.startswith((address, 'data:', 'blob:', 'ws://127.0.0.1')) for url in page.asked)


def test_where_no_kernel_answers_there_are_sentences(page, lab, browser):
    """The saved outputs in another notebook, which isn't trusted and not run."""
    folder, address = lab
    page.keyboard.press('Escape')
    page.keyboard.press('Control+s')
    saved = folder / 'widgets.ipynb'
    for _ in range(60):
        outputs = [one.outputs for one in nbformat.read(saved, 4).cells]
        if outputs[THRESHOLD]:
            break
        time.sleep(1)
    write(folder, 'other.ipynb', ['1', *CELLS[1:]], outputs)
    other = opened(browser, address, 'other.ipynb')
    for sentence in SENTENCES:
        expect(other.get_by_text(sentence)).to_be_visible()
    assert 'VBox(' not in other.locator('.jp-Notebook').inner_text()
