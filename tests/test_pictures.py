"""Reading a picture: files that are none, sizes, images and arrays; what the pixels are is in test_pixels.py."""

import builtins
import io
import os
import signal
import socket
import struct
import sys
import zlib
from pathlib import Path

import mended_mxnet

import numpy as onp
import pytest
from helpers import encoded, noise, opened, sentence, tiff
from mxnet import nd, np
from PIL import Image, ImageFile

from pictures import open_picture, readable, view


def near(pixel, color, tolerance=3):
    return max(abs(a - b) for a, b in zip(pixel, color)) <= tolerance


@pytest.fixture
def file(tmp_path):
    return tmp_path / 'x'


# ---- What is no picture ---------------------------------------------------------------------------------------------


def png_header(width, height):
    """The first chunk of a PNG of that size, and nothing else."""
    chunk = b'IHDR' + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    return b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + chunk + struct.pack('>I', zlib.crc32(chunk))


def bomb():
    """A JPEG whose header promises 3.6 billion pixels."""
    data = bytearray(encoded('JPEG'))
    start = data.index(b'\xff\xc0')  # the frame header: length, bits, height, width
    data[start + 5 : start + 9] = struct.pack('>HH', 60000, 60000)
    return bytes(data)


FORMS = [form for form in sorted(Image.SAVE) if form in Image.OPEN] if Image.init() else []
BAD = {
    'empty.jpg': b'',
    'text.png': 'Grüße'.encode(),
    'page.html': b'<html>404</html>',
    'x.jpeg': b'PK',
    'bomb.png': png_header(60000, 60000),
    'bomb.jpg': bomb(),
    'bomb.gif': b'GIF89a\xff\xff\xff\xff\0\0\0' + encoded('GIF')[13:300],
    'bomb.bmp': b'BM' + struct.pack('<IIIIiiHHIIIIII', 10**6, 0, 54, 40, 60000, 60000, 1, 24, 0, 0, 0, 0, 0, 0),
    'bomb.ppm': b'P6 60000 60000 255\n',
    'half.png': encoded('PNG')[:1000],
    'half.jpg': encoded('JPEG')[:800],
    'half.gif': encoded('GIF')[:700],
    'half.webp': encoded('WEBP')[:500],
    'half.bmp': encoded('BMP')[:1000],
    'half.tif': encoded('TIFF')[:700],
    'half.avif': encoded('AVIF')[:500],
    'half.ppm': encoded('PPM')[:500],
    'half.tga': encoded('TGA')[:500],
    'half.pcx': encoded('PCX')[:500],
    'half.jp2': encoded('JPEG2000')[:100],
    'half.ico': encoded('ICO', sizes=[(32, 32)])[:100],
    'none.pgm': b'P5 0 0 255\n',
    'nan.tif': tiff([0, float('nan'), 1], 'f'),
    'inf.tif': tiff([0, float('inf'), 1], 'f', '>'),
    'minus inf.tif': tiff([0, float('-inf'), 1], 'f'),
}


@pytest.mark.parametrize('name', BAD)
def test_a_file_that_is_no_picture(tmp_path, name):
    (tmp_path / name).write_bytes(BAD[name])
    assert not readable(tmp_path / name)
    text = sentence(open_picture, tmp_path / name, 16)
    assert str(tmp_path / name) in text and 'read as a picture' in text


@pytest.fixture
def alarm():
    """Ends the test after ten seconds: what waits for a pipe would wait for ever."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(10)
    yield
    signal.alarm(0)


def test_what_is_no_file(tmp_path, monkeypatch, alarm):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'folder.jpg').mkdir()
    os.mkfifo(tmp_path / 'pipe')
    os.symlink('nowhere', tmp_path / 'dangling')
    os.symlink('loop', tmp_path / 'loop')
    os.symlink('/dev/zero', tmp_path / 'device')
    with socket.socket(socket.AF_UNIX) as server:
        server.bind('socket')
        for name in ['folder.jpg', 'pipe', 'dangling', 'loop', 'device', 'socket', '/dev/tty', '/dev/stdin', 'none']:
            assert not readable(tmp_path / name)
            assert name in sentence(open_picture, tmp_path / name, 16)
    for name in ['', '.', '~', '~nobody/x.jpg', 'a\0b', 'x' * 300, 'x/' * 3000]:
        sentence(open_picture, name, 16)


@pytest.mark.parametrize(
    'name', ['two\nlines', 'bell\a\x1b[31m', 'x\u2028y\u2029z\x85', os.fsdecode(b'\xff\xfe'), 'é' * 127]
)
def test_names_that_would_break_the_sentence(tmp_path, name):
    (tmp_path / name).write_bytes(b'no picture')
    text = sentence(open_picture, tmp_path / name, 16)
    assert len(text.splitlines()) == 1 and text.encode() and '\x1b' not in text
    Image.new('RGB', (4, 4), 'red').save(tmp_path / name, 'PNG')
    assert opened(tmp_path / name)[0][0] == [255, 0, 0] and opened(str(tmp_path / name))


@pytest.mark.parametrize(
    'error',
    [RuntimeError, MemoryError, struct.error, TypeError, RecursionError, AssertionError, OSError, KeyError, EOFError]
    + [ZeroDivisionError, UnicodeDecodeError('utf8', b'', 0, 1, ''), SyntaxError, BufferError, StopIteration],
)
def test_whatever_a_decoder_raises(file, monkeypatch, error):
    def load(image):
        raise error

    Image.new('RGB', (4, 4)).save(file, 'PNG')
    monkeypatch.setattr(ImageFile.ImageFile, 'load', load)
    assert not readable(file) and str(file) in sentence(open_picture, file, 16)
    with Image.open(file) as image:
        assert 'PngImageFile' in sentence(open_picture, image, 16)


@pytest.mark.parametrize('error', [KeyboardInterrupt, SystemExit])
def test_what_is_no_fault_of_a_decoder_is_let_through(file, monkeypatch, error):
    def load(image):
        raise error

    Image.new('RGB', (4, 4)).save(file, 'PNG')
    monkeypatch.setattr(ImageFile.ImageFile, 'load', load)
    with pytest.raises(error):
        readable(file)


def test_a_file_that_may_not_be_read(file, monkeypatch):
    def forbidden(path, *args):
        raise PermissionError(13, 'Permission denied', path)

    Image.new('RGB', (4, 4)).save(file, 'PNG')
    monkeypatch.setattr(builtins, 'open', forbidden)
    assert not readable(file)
    assert 'PermissionError' in sentence(open_picture, file, 16)


def test_nothing_of_pillow_reaches_the_screen(tmp_path, monkeypatch, capfd):
    """A picture over Pillow's limit, up to twice of it, a palette with an alpha in bytes, a broken TIFF."""
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)
    Image.new('RGB', (40, 40)).save(tmp_path / 'large.png')
    Image.new('RGB', (50, 50)).save(tmp_path / 'too large.png')
    assert opened(tmp_path / 'large.png') and not readable(tmp_path / 'too large.png')
    palette = Image.new('P', (4, 4))
    palette.info['transparency'] = bytes(256)
    palette.save(tmp_path / 'palette.png')
    assert opened(tmp_path / 'palette.png') == [[[255] * 3] * 4] * 4
    (tmp_path / 'half.tif').write_bytes(encoded('TIFF', compression='tiff_lzw')[:-900])
    assert not readable(tmp_path / 'half.tif')
    assert capfd.readouterr() == ('', '')


# ---- Sizes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('form', ['PNG', 'JPEG', 'GIF', 'WEBP', 'TIFF', 'AVIF', 'JPEG2000', 'BMP', 'PPM'])
@pytest.mark.parametrize('size', [(1, 1), (1, 50), (50, 1), (2, 3)])
def test_a_picture_one_pixel_wide(file, size, form):
    Image.new('RGB', size, (90, 80, 70)).save(file, form)
    image = open_picture(file, 32)
    assert image.size == size and near(image.getpixel((0, 0)), (90, 80, 70), 8)


def test_a_large_photograph_is_decoded_to_two_px_at_least(file):
    image = Image.linear_gradient('L').resize((1600, 1200)).convert('RGB')
    image.save(file, 'JPEG')
    assert open_picture(file, 32).size == (200, 150)  # an eighth, the smallest that has 64 px on both sides
    assert open_picture(file, 160).size == (800, 600)  # a quarter has 300 < 320
    image.save(file, 'PNG')
    assert open_picture(file, 32).size == (1600, 1200)


# ---- Images and arrays ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize('form', ['PNG', 'JPEG', 'GIF', 'TIFF', 'WEBP', 'AVIF'])
@pytest.mark.parametrize('load', [False, True])
def test_an_image_stays_as_it_was(file, form, load):
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(40, 30).quantize(16).convert('RGB').save(file, form, exif=exif)
    with Image.open(file) as image, Image.open(file) as twin:
        image.load() if load else None
        first = opened(image, 10)
        assert opened(image, 10) == first
        assert image.size == twin.size and image.tobytes() == twin.tobytes() and image.mode == twin.mode
        assert dict(image.getexif()) == dict(twin.getexif()) and image.info == twin.info


def test_the_copy_of_an_image_is_a_copy():
    image = Image.new('RGB', (2, 2), 'red')
    open_picture(image, 10).putpixel((0, 0), (1, 2, 3))
    assert image.getpixel((0, 0)) == (255, 0, 0)


COLOURS = onp.array([[[0, 51, 102], [255, 204, 153]]], 'u1')


@pytest.mark.parametrize(
    'array',
    [COLOURS, COLOURS.astype(int), COLOURS.astype('f4'), COLOURS / 255, (COLOURS / 255).astype('f2')]
    + [COLOURS.astype('u2') * 257, COLOURS.tolist(), COLOURS.astype('>f8'), np.array(COLOURS), nd.array(COLOURS)]
    + [onp.dstack([COLOURS, onp.full((1, 2), 255, 'u1')]), COLOURS[:, ::-1][:, ::-1], np.array(COLOURS / 255)],
    ids=lambda thing: type(thing).__name__,
)
def test_arrays(array):
    assert opened(array) == COLOURS.tolist()


def test_grey_arrays():
    grey = onp.array([[0, 77, 255]], 'u1')
    for array in grey, grey[:, :, None], grey / 255, grey.astype(int), np.array(grey)[:, :, None]:
        assert opened(array) == [[[0] * 3, [77] * 3, [255] * 3]]
    assert opened(onp.array([[True, False]])) == [[[255] * 3, [0] * 3]]
    assert opened(onp.zeros((2, 2))) == [[[0] * 3] * 2] * 2
    assert opened(onp.array([[[9, 9, 9, 0]]], 'u1')) == [[[255] * 3]]


@pytest.mark.parametrize(
    'thing',
    [None, 3, 0.5, b'\xff\xd8', object(), {}, [], onp.zeros((3, 8, 8)), onp.zeros((1, 8, 8, 3)), onp.zeros(5)]
    + [onp.zeros((0, 5)), onp.zeros((5, 0, 3), 'u1'), onp.array([[onp.nan]]), onp.array([[1j]]), onp.array([['a']])]
    + [np.zeros((3, 8, 8)), Image.new('RGB', (0, 3)), io.BytesIO(b'x'), [[1, 2], [3]], onp.zeros((8, 8, 2), 'u1')],
    ids=lambda thing: type(thing).__name__,
)
def test_what_is_no_picture_at_all(thing):
    assert type(thing).__name__ in sentence(open_picture, thing, 16)


def test_a_wrong_shape_is_named():
    assert '(3, 8, 8)' in sentence(open_picture, onp.zeros((3, 8, 8), 'u1'), 16)


def test_a_view_of_any_name(tmp_path):
    path = tmp_path / os.fsdecode(b'\xff.png')
    noise(50, 50).save(path)
    assert (onp.asarray(view(path, 20, 1)) == onp.asarray(view(path, 20, 1))).all()


def test_paths_of_all_kinds(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Image.new('RGB', (1, 1), 'red').save('x.png')
    os.symlink('x.png', 'link')

    class PathLike:
        def __fspath__(self):
            return 'x.png'

    for path in 'x.png', Path('x.png'), '~/x.png', Path('~/x.png'), 'link', PathLike():
        assert opened(path) == [[[255, 0, 0]]]
    if sys.platform == 'linux':
        assert opened('/proc/self/cwd/x.png') == [[[255, 0, 0]]]
