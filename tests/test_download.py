"""The book's photographs: downloaded once, verified, and one sentence where that fails."""

import hashlib
import http.server
import io
import socket
import threading
import zipfile

import mended_mxnet

import pytest
from helpers import contents, fill, sentence

import utils
from sources.download import File
from utils import find_data


@pytest.fixture
def book(tmp_path, monkeypatch):
    """A server of the book's archive (made here); .files {path: bytes} and .asked, a list of paths."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            server.asked.append(self.path)
            data, size = server.files.get(self.path, (None, 0))
            self.send_response(404 if data is None else 200)
            self.send_header('Content-Length', str(size))
            self.end_headers()
            self.wfile.write(data or b'')

        def log_message(self, *args):
            pass

    for split, n in ('train', 30), ('test', 2):
        fill(tmp_path / 'made' / 'hotdog' / split, {'hotdog': n, 'not-hotdog': n})
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, 'w') as file:
        for path in sorted((tmp_path / 'made').rglob('*.png')):
            file.write(path, path.relative_to(tmp_path / 'made'))
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.asked, server.data = [], archive.getvalue()
    server.files = {'/hotdog.zip': (server.data, len(server.data))}
    server.url = f'http://127.0.0.1:{server.server_address[1]}/hotdog.zip'
    monkeypatch.setenv('NO_PROXY', '127.0.0.1')
    monkeypatch.setattr(utils, 'ROOT', tmp_path / 'project')
    monkeypatch.setattr(
        utils, 'HOTDOG', File('hotdog.zip', f'sha1:{hashlib.sha1(server.data).hexdigest()}', (server.url,))
    )
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_the_hash_of_the_book_is_the_one_that_we_know():
    assert utils.HOTDOG.known_hash == 'sha1:fba480ffa8aa7e0febbb511d181409f899b9baa5'


def test_the_photographs_are_downloaded_once(book, tmp_path):
    data = find_data('hotdog')
    folder = tmp_path / 'project' / 'data' / 'hotdog'
    assert data.classes == ['hotdog', 'not-hotdog'] and len(data.test) == 4
    assert {path.parents[2] for path, _ in data.train + data.valid + data.test} == {folder}
    assert find_data('hotdog') == data and book.asked == ['/hotdog.zip']


@pytest.mark.parametrize('what', ['no server', 'not found', 'another file', 'cut off'])
def test_a_download_that_fails_leaves_nothing_behind(book, tmp_path, monkeypatch, what):
    url = book.url
    if what == 'no server':
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            url = f'http://127.0.0.1:{free.getsockname()[1]}/hotdog.zip'
        monkeypatch.setattr(utils, 'HOTDOG', utils.HOTDOG._replace(addresses=(url,)))
    book.files = {
        'not found': {},
        'another file': {'/hotdog.zip': (b'<html>Sorry', 11)},
        'cut off': {'/hotdog.zip': (book.data[:500], len(book.data))},
    }.get(what, book.files)
    text = sentence(find_data, 'hotdog')
    assert url in text and 'could not be downloaded' in text and '"kitchen"' in text
    assert not contents(tmp_path / 'project')
