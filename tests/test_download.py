"""What is downloaded, from a real server on this machine: verified, whole or not at all, and else one sentence."""

import errno
import functools
import hashlib
import http.server
import io
import os
import re
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import mended_mxnet

import pytest
import requests
from helpers import contents, fill, sentence

import commands.weights
import files
import utils
from sources import NETWORKS, download
from sources.download import File, fetch
from utils import find_data

DATA = bytes(range(256)) * 40


class Server(http.server.ThreadingHTTPServer):
    """.how {path: what a request for it does}; .asked, a list of paths."""

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.how, self.asked = {}, []
        self.address = f'http://127.0.0.1:{self.server_address[1]}'

    def handle_error(self, *_):  # a client went away
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        self.server.how.get(self.path, functools.partial(answer, status=404))(self)

    def log_message(self, *args):
        pass


def answer(handler, data=b'', size=None, status=200):
    handler.send_response(status)
    handler.send_header('Content-Length', str(len(data) if size is None else size))
    handler.end_headers()
    handler.wfile.write(data)


def gives(data=DATA, **options):
    return functools.partial(answer, data=data, **options)


def crawls(handler):
    """A byte each 50 ms, each of which keeps a client alive that only waits for the next one."""
    answer(handler, size=len(DATA))
    for i in range(len(DATA)):
        handler.wfile.write(DATA[i : i + 1])
        time.sleep(0.05)


def says_nothing(handler):
    answer(handler, DATA[:5000], len(DATA))
    time.sleep(12)


@pytest.fixture
def server(monkeypatch):
    server = Server()
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    monkeypatch.delenv('HOTDOG_WEIGHTS', raising=False)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def file(server):
    """A file that the server doesn't have yet, neither at /a nor at /b."""
    known_hash = f'sha256:{hashlib.sha256(DATA).hexdigest()}'
    return File('weights.bin', known_hash, (f'{server.address}/a', f'{server.address}/b'))


def got(file, folder):
    return Path(fetch(file, folder)).read_bytes()


# ---- One file -------------------------------------------------------------------------------------------------------


def test_it_is_downloaded_once_and_verified_each_time(server, file, tmp_path):
    server.how['/a'] = gives()
    path = fetch(file, tmp_path)
    assert path == str(tmp_path / 'weights.bin')
    assert got(file, tmp_path) == DATA and server.asked == ['/a']
    (tmp_path / 'weights.bin').write_bytes(DATA[:-1])
    assert got(file, tmp_path) == DATA and server.asked == ['/a', '/a']


FAILURES = {
    '404': (functools.partial(answer, status=404), '/a (404 Not Found)'),
    '403 page': (gives(b'<html>Sorry', status=403), '/a (403 Forbidden)'),
    'page of a hotel': (gives(b'<html>Your room number?'), '/a (it gives another file)'),
    'other file': (gives(DATA[::-1]), '/a (it gives another file)'),
    'cut off': (gives(DATA[:5000], size=len(DATA)), '/a (cut off)'),
    'crawls': (crawls, '/a (under 1000 bytes a second)'),
    'says nothing': (says_nothing, '/a (no answer)'),
}


@pytest.mark.parametrize('what', FAILURES)
def test_an_address_that_fails_and_the_next_one(server, file, tmp_path, monkeypatch, what):
    """Where all fail, the sentence names the file, each address, and where to put it by hand; nothing is left."""
    monkeypatch.setattr(download, 'PATIENCE', 1)
    how, expected = FAILURES[what]
    server.how |= {'/a': how, '/b': gives()}
    assert got(file, tmp_path / 'good') == DATA and server.asked == ['/a', '/b']
    del server.how['/b']
    started = time.monotonic()
    text = sentence(fetch, file, tmp_path)
    assert time.monotonic() - started < 10
    assert f'weights.bin could not be downloaded from {server.address}{expected}, nor from' in text
    assert '/b (404 Not Found)' in text and f'keep it as {tmp_path / "weights.bin"}.' in text
    assert [path.name for path in tmp_path.iterdir()] == ['good']


def test_no_network(file, server, tmp_path):
    server.shutdown()
    server.server_close()
    text = sentence(fetch, file, tmp_path)
    assert f'{server.address}/a (ConnectionError)' in text and not contents(tmp_path)
    (tmp_path / 'weights.bin').write_bytes(b'<html>')  # a page that somebody kept for it
    assert 'what you have there is another file or cut off' in sentence(fetch, file, tmp_path)
    (tmp_path / 'weights.bin').write_bytes(DATA)  # by hand
    assert fetch(file, tmp_path) == str(tmp_path / 'weights.bin')


def test_a_full_disk(server, file, tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(errno.ENOSPC, 'No space left on device')

    server.how |= {'/a': gives(), '/b': gives()}
    monkeypatch.setattr(download, 'open', lambda *_: Full(), raising=False)
    text = sentence(fetch, file, tmp_path)
    assert f'{tmp_path / "weights.bin"} could not be written (No space left on device); free some space' in text
    assert server.asked == ['/a'] and not contents(tmp_path)  # it is no fault of the address


def test_a_folder_that_may_not_be_written(server, file, tmp_path):
    server.how['/a'] = gives()
    (tmp_path / 'x').write_text('no folder')
    assert 'could not be written' in sentence(fetch, file, tmp_path / 'x')


def test_ctrl_c_leaves_nothing(server, file, tmp_path, monkeypatch):
    def pressed(*_):
        raise KeyboardInterrupt

    server.how['/a'] = gives()
    monkeypatch.setattr(download.time, 'monotonic', pressed)
    with pytest.raises(KeyboardInterrupt):
        fetch(file, tmp_path)
    assert not contents(tmp_path)


# ---- A class on one connection --------------------------------------------------------------------------------------


@pytest.mark.parametrize('stick', [True, False])
def test_a_stick_or_an_address_comes_before_the_net(server, file, tmp_path, monkeypatch, stick):
    (tmp_path / 'stick').mkdir()
    (tmp_path / 'stick' / 'weights.bin').write_bytes(DATA)
    server.how |= {'/a': gives(), '/teacher/weights.bin': gives()}
    monkeypatch.setenv('HOTDOG_WEIGHTS', str(tmp_path / 'stick') if stick else f'{server.address}/teacher/')
    assert got(file, tmp_path / 'cache') == DATA and server.asked == ([] if stick else ['/teacher/weights.bin'])


@pytest.mark.parametrize('damaged', [True, False])
def test_what_the_stick_does_not_have_comes_from_the_net(server, file, tmp_path, monkeypatch, damaged):
    server.how['/a'] = gives()
    if damaged:
        (tmp_path / 'weights.bin').write_bytes(DATA[:-1])
    monkeypatch.setenv('HOTDOG_WEIGHTS', str(tmp_path))
    assert got(file, tmp_path / 'cache') == DATA and server.asked == ['/a']
    del server.how['/a']
    reason = 'it gives another file' if damaged else 'No such file or directory'
    assert f'{tmp_path / "weights.bin"} ({reason})' in sentence(fetch, file, tmp_path / 'other')


@pytest.mark.slow
def test_two_clients_at_once_from_a_folder_that_is_served(file, tmp_path):
    """By `python -m http.server`, into one cache."""
    (tmp_path / 'served').mkdir()
    (tmp_path / 'served' / 'weights.bin').write_bytes(DATA)
    serve = [sys.executable, '-um', 'http.server', '--bind', '127.0.0.1', '--directory', tmp_path / 'served', '0']
    server = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        port = server.stdout.readline().split(' port ')[1].split()[0]
        code = f'from sources.download import *; print(fetch(File({file.name!r}, {file.known_hash!r}, ())))'
        own = {'HOTDOG_WEIGHTS': f'http://127.0.0.1:{port}', 'XDG_CACHE_HOME': str(tmp_path), 'NO_PROXY': '127.0.0.1'}
        start = functools.partial(subprocess.Popen, stdout=subprocess.PIPE, env=os.environ | own, text=True)
        clients = [start([sys.executable, '-c', code], cwd=utils.ROOT) for _ in range(2)]
        said = [client.communicate(timeout=100)[0].strip() for client in clients]
    finally:
        server.kill()
        server.wait()
    assert said == [str(tmp_path / 'hotdog' / 'weights.bin')] * 2
    assert [path.read_bytes() for path in (tmp_path / 'hotdog').iterdir()] == [DATA]


# ---- make weights ---------------------------------------------------------------------------------------------------


@pytest.fixture
def downloaded(server, file, tmp_path, monkeypatch):
    """Two networks to download, into an empty cache: `one`, which is there, and `two`, which isn't."""
    server.how['/a'] = gives()
    two = file._replace(name='two.bin', addresses=(f'{server.address}/none',))
    monkeypatch.setattr(commands.weights, 'DOWNLOADED', {'one': file, 'two': two})
    monkeypatch.setattr(download, 'CACHE', tmp_path)
    monkeypatch.delenv('NAMES', raising=False)


def test_make_weights_goes_on_where_one_fails(downloaded, tmp_path, capsys):
    assert commands.weights.main('two', 'one') is False
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[0].startswith('two: two.bin could not be downloaded') and lines[1] == f'one: {tmp_path / "weights.bin"}'
    )
    assert f'http.server --directory {tmp_path}' in lines[2] and 'HOTDOG_WEIGHTS=http' in lines[3] and len(lines) == 4
    assert commands.weights.main('one') is True
    capsys.readouterr()
    assert commands.weights.main('two') is False and len(capsys.readouterr().out.splitlines()) == 1


def test_make_weights_by_name(downloaded, monkeypatch, capsys):
    assert [*commands.weights.asked_names(())] == ['one', 'two']
    monkeypatch.setenv('NAMES', ' one ')
    assert commands.weights.asked_names(()) == ['one'] and commands.weights.main() is True
    text = sentence(commands.weights.main, 'resnet18_v2')
    assert 'nothing to download for "resnet18_v2"; choose from one, two' in text


def test_what_is_downloaded_has_a_hash_and_a_sentence_has_room_for_its_addresses(monkeypatch):
    def retrieve(*_):
        raise requests.ConnectionError

    monkeypatch.setattr(download.pooch, 'retrieve', retrieve)
    monkeypatch.delenv('HOTDOG_WEIGHTS', raising=False)
    files = {name: source.file for name, source in NETWORKS.items() if source.file}
    assert [*files] == ['resnet18_v2_imagenet', 'resnet18_v1', 'vgg16', 'inception_v3']
    for file in files.values():
        assert re.fullmatch('sha256:[0-9a-f]{64}', file.known_hash)
        text = sentence(fetch, file)
        assert all(address.startswith('https://') and address in text for address in file.addresses)


# ---- The book's photographs -----------------------------------------------------------------------------------------


@pytest.fixture
def book(server, tmp_path, monkeypatch):
    """The server, with the book's archive (made here) in .data."""
    for split, n in ('train', 30), ('test', 2):
        fill(tmp_path / 'made' / 'hotdog' / split, {'hotdog': n, 'not-hotdog': n})
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, 'w') as file:
        for path in sorted((tmp_path / 'made').rglob('*.png')):
            file.write(path, path.relative_to(tmp_path / 'made'))
    server.data = archive.getvalue()
    server.how['/hotdog.zip'] = gives(server.data)
    known_hash = f'sha1:{hashlib.sha1(server.data).hexdigest()}'
    monkeypatch.setattr(utils, 'ROOT', tmp_path / 'project')
    monkeypatch.setitem(files.WITH_A_NAME, 'hotdog', tmp_path / 'project' / 'data' / 'hotdog')
    monkeypatch.setattr(utils, 'HOTDOG', File('hotdog.zip', known_hash, (f'{server.address}/hotdog.zip',)))
    return server


def test_the_hash_of_the_book_is_the_one_that_we_know():
    assert utils.HOTDOG.known_hash == 'sha1:fba480ffa8aa7e0febbb511d181409f899b9baa5'


def test_the_photographs_are_downloaded_once(book, tmp_path):
    data = find_data('hotdog')
    folder = tmp_path / 'project' / 'data' / 'hotdog'
    assert data.classes == ['hotdog', 'not-hotdog'] and len(data.test) == 4
    assert {path.parents[2] for path, _ in data.train + data.valid + data.test} == {folder}
    assert find_data('hotdog') == data and book.asked == ['/hotdog.zip']
    data.train[0][0].unlink()
    (tmp_path / 'project' / 'data' / 'hotdog.zip').unlink()
    assert len(find_data('hotdog').train) == len(data.train) - 1 and len(book.asked) == 1  # what was moved stays so


@pytest.mark.parametrize('what', ['not found', 'another file', 'cut off'])
def test_a_download_that_fails_leaves_nothing_behind(book, tmp_path, what):
    size = len(book.data)
    fails = {'another file': gives(b'<html>Sorry'), 'cut off': gives(book.data[:500], size=size)}
    book.how = {'/hotdog.zip': fails[what]} if what in fails else {}
    text = sentence(find_data, 'hotdog')
    assert f'{book.address}/hotdog.zip' in text and 'could not be downloaded' in text and '"kitchen"' in text
    assert not contents(tmp_path / 'project')
