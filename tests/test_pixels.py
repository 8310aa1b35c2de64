"""The right pixels of every kind of file: palettes, transparency, colour spaces, more than 8 bits."""

import struct

import mended_mxnet

import numpy as onp
import pytest
from helpers import noise, opened, png, sentence, tiff
from PIL import Image

from pictures import open_picture, readable


def row(data, path):
    """The pixels of a file that has one row; the colour of a grey one is one number."""
    path.write_bytes(data)
    assert readable(path)
    (pixels,) = opened(path)
    return [r if r == g == b else (r, g, b) for r, g, b in pixels]


def near(pixel, color, tolerance=3):
    return max(abs(a - b) for a, b in zip(pixel, color)) <= tolerance


@pytest.fixture
def file(tmp_path):
    return tmp_path / 'x'


# ---- Kinds of files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('form', ['PNG', 'GIF', 'TIFF', 'BMP', 'PPM', 'TGA', 'PCX', 'ICO', 'DIB', 'SGI', 'QOI', 'IM'])
def test_every_format_without_loss(file, form):
    image = noise(16, 16)
    image = image.quantize(16) if form == 'GIF' else image
    image.save(file, form)
    assert opened(file) == onp.asarray(image.convert('RGB')).tolist()


@pytest.mark.parametrize('form', ['GIF', 'TIFF', 'WEBP', 'PNG', 'AVIF', 'MPO'])
def test_of_many_frames_the_first_is_taken(file, form):
    frames = [Image.new('RGB', (32, 32), color) for color in ('red', 'blue')]
    frames[0].save(file, form, save_all=True, append_images=frames[1:])
    assert near(opened(file)[9][9], (255, 0, 0), 8)


def test_one_bit_and_palettes(file):
    assert row(png(1, 0, b'\xa5'), file) == [255, 0, 255, 0, 0, 255, 0, 255]
    assert row(png(2, 0, b'\x1b'), file) == [0, 85, 170, 255]
    assert row(png(8, 3, b'\0\1', (b'PLTE', bytes([200, 1, 2, 3, 200, 4]))), file) == [(200, 1, 2), (3, 200, 4)]


def test_what_is_transparent_becomes_white(file):
    """The colours are Porter and Duff's: alpha * colour + (1 - alpha) * 255."""
    colours = bytes([200, 0, 0, 0, 200, 0, 0, 255, 200, 0, 0, 128])
    assert row(png(8, 6, colours), file) == [255, (200, 0, 0), (227, 127, 127)]
    assert row(png(8, 4, bytes([10, 0, 10, 255, 10, 51])), file) == [255, 10, 206]
    table = b'PLTE', bytes([200, 1, 2, 3, 200, 4])
    assert row(png(8, 3, b'\0\1', table, (b'tRNS', b'\0')), file) == [255, (3, 200, 4)]
    assert row(png(8, 3, b'\0\1', table, (b'tRNS', b'\xff\0')), file) == [(200, 1, 2), 255]
    assert row(png(8, 2, bytes([1, 2, 3, 4, 5, 6]), (b'tRNS', b'\0\1\0\2\0\3')), file) == [255, (4, 5, 6)]
    assert row(png(8, 0, bytes([1, 2]), (b'tRNS', b'\0\1')), file) == [255, 2]
    assert row(png(16, 0, struct.pack('>2H', 500, 65535), (b'tRNS', struct.pack('>H', 500))), file) == [255, 255]
    assert row(png(16, 4, struct.pack('>4H', 77 * 257, 0, 77 * 257, 65535)), file) == [255, 77]


@pytest.mark.parametrize('mode', ['LA', 'La', 'PA', 'RGBA', 'RGBa'])
def test_images_with_alpha(mode):
    image = Image.new('RGBA', (2, 1), (100, 100, 100, 0))
    image.putpixel((1, 0), (100, 100, 100, 255))
    image = image.convert('LA').convert(mode) if mode[0] == 'L' else image.convert(mode)
    assert opened(image) == [[[255] * 3, [100] * 3]]


def test_other_colours(file):
    red = Image.new('CMYK', (16, 16), (0, 255, 255, 0))
    for form in 'JPEG', 'TIFF':
        red.save(file, form)
        assert near(opened(file)[3][3], (255, 0, 0), 8)
    lab = Image.new('LAB', (4, 4), (136, 208, 195))  # CSS's red: L 53, a 80, b 67
    assert near(opened(lab)[0][0], (255, 0, 0), 12)
    lab.save(file, 'TIFF')
    assert near(opened(file)[0][0], (255, 0, 0), 12)
    assert opened(Image.new('HSV', (1, 1), (170, 255, 255))) == [[[0, 0, 255]]]
    assert near(opened(Image.new('YCbCr', (1, 1), (76, 85, 255)))[0][0], (255, 0, 0), 2)


# ---- More than 8 bits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize('order', '<>')
@pytest.mark.parametrize(
    'kind, values, right',
    [
        ('B', [0, 77, 255], [0, 77, 255]),
        ('H', [77 * 257, 77 * 257, 77 * 257], [77, 77, 77]),
        ('H', [0, 10 * 257, 255 * 257], [0, 10, 255]),
        ('H', [0, 30000, 65535], [0, 30000 / 257, 255]),
        ('H', [0, 2048, 4095], [0, 127.5, 255]),  # 12 bits
        ('H', [0, 512, 1023], [0, 127.5, 255]),  # 10 bits
        ('H', [0, 8192, 16383], [0, 127.5, 255]),  # 14 bits
        ('H', [0, 77, 255], [0, 77, 255]),
        ('H', [0, 0, 256], [0, 0, 256 / 1023 * 255]),
        ('H', [0, 0, 4096], [0, 0, 4096 / 16383 * 255]),
        ('h', [0, 2048, 4095], [0, 127.5, 255]),
        ('h', [-1000, 0, 1000], [0, 127.5, 255]),
        ('i', [0, 77, 255], [0, 77, 255]),
        ('i', [-(10**6), 0, 10**6], [0, 127.5, 255]),
        ('f', [0, 0.5, 1], [0, 127.5, 255]),
        ('f', [0.25, 0.25, 0.25], [63.75] * 3),
        ('f', [0, 0, 1], [0, 0, 255]),
        ('f', [1, 1, 1], [255, 255, 255]),
        ('f', [0, 77, 255], [0, 77, 255]),
        ('f', [0, 77.5, 200], [0, 77.5, 200]),
        ('f', [0, 30000, 65535], [0, 30000 / 257, 255]),
        ('f', [-1, 0, 1], [0, 127.5, 255]),
        ('f', [0, 0.6, 1.2], [0, 127.5, 255]),
        ('f', [0, 5 * 10**5, 10**6], [0, 127.5, 255]),
    ],
)
def test_grey_tiffs(file, order, kind, values, right):
    assert row(tiff(values, kind, order), file) == pytest.approx(right, abs=0.51)


def test_tiffs_that_say_that_white_is_zero(file):
    assert row(tiff([0, 77, 255], 'B', meaning=0), file) == [255, 178, 0]
    assert row(tiff([0, 77 * 257, 65535], 'H', meaning=0), file) == [255, 178, 0]
    assert row(tiff([0, 0.5, 1], 'f', '>', meaning=0), file)[::2] == [255, 0]


def test_integers_of_32_bits_without_a_sign(file):
    assert row(tiff([0, 2**31, 2**32 - 1], 'I'), file) == [0, 128, 255]


@pytest.mark.parametrize('most', [1, 2, 15, 100, 254, 255, 256, 1000, 1023, 4095, 16383, 65534, 65535])
def test_pgm_and_ppm_say_what_white_is(file, most):
    values, kind = [0, most // 2, most], 'B' if most < 256 else 'H'
    binary = struct.pack(f'>3{kind}', *values)
    right = [0, most // 2 / most * 255, 255]
    for data in b'P5 3 1 %d\n' % most + binary, b'P2 3 1 %d\n0 %d %d\n' % (most, most // 2, most):
        assert row(data, file) == pytest.approx(right, abs=0.51)
    assert opened_colour(b'P6 1 1 %d\n' % most + binary, file) == pytest.approx(right, abs=0.51)


def opened_colour(data, path):
    path.write_bytes(data)
    ((pixel,),) = opened(path)
    return pixel


def test_a_dark_pgm_stays_dark(file):
    assert row(b'P5 3 1 65535\n' + struct.pack('>3H', 0, 1000, 4095), file) == [0, 4, 16]


def test_colours_of_16_bits(file):
    assert row(png(16, 2, struct.pack('>3H', 77 * 257, 0, 65535)), file) == [(77, 0, 255)]
    file.write_bytes(png(16, 2, struct.pack('>3H', 4095, 0, 1000)))  # Pillow would show 15, 0, 3: black
    assert '16 bits' in sentence(open_picture, file, 16)
