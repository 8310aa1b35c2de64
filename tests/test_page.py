"""make page, without a browser: what it asks for, what it says where something is missing, what is in the file."""

import base64
import gzip
import json
import os
import re
import subprocess
import sys

import mended_mxnet

import onnx
import pytest
from helpers import contents, sentence, tiny

import export
from commands import page
from files import ROOT

CODE, WASM = b'export const code = 1;', bytes(range(256))


@pytest.fixture
def classifier(tmp_path, monkeypatch):
    """The folder of a classifier, one of whose classes would end a script; it is asked for."""
    folder = tmp_path / 'a classifier'
    folder.mkdir()
    export.leave(tiny(['a', '</script><b>', '热狗']), 32, folder)
    monkeypatch.setenv('CLASSIFIER', str(folder))
    return folder


@pytest.fixture
def room(tmp_path, monkeypatch):
    """As page/, with a lock and a runtime that is installed: a few bytes."""
    room = tmp_path / 'page'
    lock = json.dumps({'packages': {page.RUNTIME: {'integrity': 'sha512-a'}}})
    files = {page.CODE: CODE, page.WASM: WASM}
    for name, data in files.items():
        path = room / page.RUNTIME / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name in 'package-lock.json', 'node_modules/.package-lock.json':
        (room / name).write_text(lock)
    for name in 'page.html', 'page.css', 'page.js':
        (room / name).write_bytes((ROOT / 'page' / name).read_bytes())
    monkeypatch.setattr(page, 'PAGE', room)
    return room


@pytest.fixture
def no_screen(monkeypatch):
    for name in 'DISPLAY', 'WAYLAND_DISPLAY':
        monkeypatch.delenv(name, raising=False)


def script(text, name):
    """What is in the script of the page with that id."""
    return re.search(f'<script type="[a-z/]+" id="{name}">(.*?)</script>', text)[1]


def npm(folder, monkeypatch, what):
    """Nothing is on the PATH but this npm, a script of bash, and node."""
    bash = subprocess.run(['which', 'bash'], capture_output=True, text=True, check=True).stdout.strip()
    folder.mkdir()
    for name in 'npm', 'node':
        (folder / name).write_text(f'#!{bash}\n{what}\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv('PATH', str(folder))


# ---- What is asked for ----------------------------------------------------------------------------------------------


def test_no_folder_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.delenv('CLASSIFIER', raising=False)
    assert sentence(page.main).startswith('CLASSIFIER is not given; type make page')
    monkeypatch.setenv('CLASSIFIER', str(tmp_path / 'nowhere'))
    assert f'{tmp_path / "nowhere"} is no folder' in sentence(page.main)
    monkeypatch.setenv('CLASSIFIER', str(tmp_path))
    assert f'{tmp_path / "classifier.onnx"} is not there' in sentence(page.main)


@pytest.mark.parametrize('data', [b'', b'\x00 no network', onnx.ModelProto().SerializeToString()])
def test_a_file_that_is_no_classifier_is_one_sentence(monkeypatch, tmp_path, data):
    (tmp_path / 'classifier.onnx').write_bytes(data)
    monkeypatch.setenv('CLASSIFIER', str(tmp_path))
    assert 'classifier.onnx is no classifier of make classifier' in sentence(page.main)


def test_the_command_ends_with_a_sentence(tmp_path):
    environment = {**os.environ, 'CLASSIFIER': str(tmp_path)}
    ran = subprocess.run(
        [sys.executable, '-m', 'commands.page'], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 1 and len(ran.stderr.splitlines()) == 1 and 'is not there' in ran.stderr


# ---- What runs it ---------------------------------------------------------------------------------------------------


def test_no_node_is_one_sentence(classifier, room, monkeypatch):
    (room / 'node_modules' / '.package-lock.json').unlink()
    monkeypatch.setenv('PATH', '')
    before = contents(classifier)
    assert sentence(page.main).startswith('Node.js is missing') and contents(classifier) == before


def test_npm_that_fails_is_one_sentence(classifier, room, monkeypatch, tmp_path):
    (room / 'node_modules' / '.package-lock.json').unlink()
    npm(tmp_path / 'bin', monkeypatch, 'echo "npm error network" >&2; echo more >&2; exit 1')
    assert 'could not install what runs the page (npm error network)' in sentence(page.main)


def test_another_lock_installs_again(room, monkeypatch, tmp_path):
    (room / 'package-lock.json').write_text(json.dumps({'packages': {page.RUNTIME: {'integrity': 'sha512-b'}}}))
    npm(tmp_path / 'bin', monkeypatch, 'echo "$@" > asked; echo new > node_modules/onnxruntime-web/' + page.CODE)
    code, wasm = page.runtime()
    assert (room / 'asked').read_text().startswith('ci ') and (code, wasm) == (b'new\n', WASM)


@pytest.mark.parametrize('damage', ['{}', '{"packages"', '[]', None])
def test_a_runtime_that_is_damaged_is_none(room, damage):
    assert page.installed() == page.locked()
    if damage is None:
        (room / page.RUNTIME / page.WASM).unlink()
    else:
        (room / 'node_modules' / '.package-lock.json').write_text(damage)
    assert page.installed() is None


def test_the_lock_is_of_one_version_and_names_no_address():
    asked = json.loads((ROOT / 'page' / 'package.json').read_text())['dependencies']
    packages = json.loads((ROOT / 'page' / 'package-lock.json').read_text())['packages']
    assert asked == {'onnxruntime-web': '1.30.0'} and packages[page.RUNTIME]['version'] == '1.30.0'
    assert all(one['integrity'].startswith('sha512-') for name, one in packages.items() if name)
    assert {one.get('resolved', '')[:27] for one in packages.values()} <= {'', 'https://registry.npmjs.org/'}


# ---- What is in the file --------------------------------------------------------------------------------------------


def test_all_is_in_it(classifier, room, no_screen, capsys):
    page.main()
    text = (classifier / 'page.html').read_text('utf8')
    packed = {name: gzip.decompress(base64.b64decode(script(text, name))) for name in ('code', 'wasm', 'network')}
    network = (classifier / 'classifier.onnx').read_bytes()
    assert packed == {'code': CODE, 'wasm': WASM, 'network': network}
    facts = json.loads(script(text, 'facts'))
    assert facts['names'] == ['a', '</script><b>', '热狗'] and facts['px'] == 32 and len(facts['colours']) == 3
    assert '<b>' not in text and '<title>What is it?</title>' in text
    assert capsys.readouterr().out.startswith(str(classifier / 'page.html'))


def test_a_page_is_replaced_and_what_else_has_its_name_is_kept(classifier, room, no_screen):
    path = classifier / 'page.html'
    path.write_text('mine')
    page.main()
    page.main()
    names = sorted(path.name for path in classifier.iterdir())
    assert names == ['classifier.onnx', 'labels.txt', 'page.html', 'page.previous.html', 'predict.py']
    assert (classifier / 'page.previous.html').read_text() == 'mine'


def test_hot_dogs_are_called_as_one_says_it():
    facts = {'classes': ['hotdog', 'not-hotdog'], 'px': 32, 'source': 'tiny', 'licence': 'ours'}
    text = page.page_of(b'', facts, CODE, WASM)
    assert json.loads(script(text, 'facts'))['names'] == ['hot\xa0dog', 'not hot\xa0dog'] and 'Hot dog, or not?' in text


def test_letters_can_be_read_on_their_colour():
    """The contrasts are those of https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio, from a table of colours."""
    assert [page.ink(colour) for colour in ('#000000', '#767676', '#949494', '#959595', '#FFFFFF')] == [
        'white', 'white', 'white', 'black', 'black',
    ]  # fmt: skip
    assert [colour for colour, _ in page.paints(7)][5:] == [colour for colour, _ in page.paints(2)]
