"""Which side is up: the eight orientations in every format that has them, and EXIF that is broken."""

import io
import struct
import warnings
import zlib

import mended_mxnet

import numpy as onp
import pytest
from helpers import opened, tags, tiff
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pictures import open_picture

UPRIGHT = [[1, 2, 3], [4, 5, 6]]
STORED = {  # the same picture by what EXIF's standard says of its row 0 and column 0
    1: [[1, 2, 3], [4, 5, 6]],  # top, left
    2: [[3, 2, 1], [6, 5, 4]],  # top, right
    3: [[6, 5, 4], [3, 2, 1]],  # bottom, right
    4: [[4, 5, 6], [1, 2, 3]],  # bottom, left
    5: [[1, 4], [2, 5], [3, 6]],  # left, top
    6: [[3, 6], [2, 5], [1, 4]],  # right, top
    7: [[6, 3], [5, 2], [4, 1]],  # right, bottom
    8: [[4, 1], [5, 2], [6, 3]],  # left, bottom
}
TURN = (0x0112, 3, 1, 6)
FORMS = {  # how each is saved so that colours stay as they are, nearly
    'PNG': {},
    'JPEG': {'quality': 95},
    'MPO': {'quality': 95},
    'WEBP': {'lossless': True},
    'AVIF': {'quality': 95},
    'TIFF': {},
    'TIFF, LZW': {'compression': 'tiff_lzw'},
}


def fields(numbers):
    """A picture with 16 x 16 pixels for each number."""
    return Image.fromarray(onp.kron(numbers, onp.full((16, 16), 40)).astype('u1')).convert('RGB')


def numbers(path):
    """What `fields` was made of, read from the middle of each field."""
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        image = open_picture(path, 100)
    pixels = onp.asarray(image)[8::16, 8::16, 0]
    return onp.rint(pixels / 40).astype(int).tolist()


def saved(path, number, form, **options):
    fields(STORED[number]).save(path, form.split(',')[0], **FORMS[form], **options)
    return path


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('number', STORED)
def test_every_orientation(tmp_path, form, number):
    exif = Image.Exif()
    exif[0x0112] = number
    path = saved(tmp_path / 'x', number, form, exif=exif)
    assert numbers(path) == UPRIGHT
    with Image.open(path) as image:
        assert numbers(image) == UPRIGHT  # given as an image that is not loaded yet
        assert numbers(image) == UPRIGHT  # and loaded


@pytest.mark.parametrize('number', STORED)
@pytest.mark.parametrize('form', ['JPEG', 'PNG', 'WEBP', 'TIFF'])
@pytest.mark.parametrize('text', ['<x tiff:Orientation="{}"/>', '<tiff:Orientation>{}</tiff:Orientation>'])
def test_orientation_in_xmp(tmp_path, number, form, text):
    xmp = f'<x:xmpmeta>{text.format(number)}</x:xmpmeta>'.encode()
    path = tmp_path / 'x'
    if form == 'PNG':
        chunk = b'iTXtXML:com.adobe.xmp\0\0\0\0\0' + xmp
        saved(path, number, form)
        data = path.read_bytes()
        length, check = struct.pack('>I', len(chunk) - 4), struct.pack('>I', zlib.crc32(chunk))
        path.write_bytes(data[:33] + length + chunk + check + data[33:])
    else:
        options = {'tiffinfo': {700: xmp}} if form == 'TIFF' else {'xmp': xmp}
        saved(path, number, form, **options)
    assert numbers(path) == UPRIGHT


GPS, SUB = (0x8825, 4, 1, 10**6), (0x8769, 4, 1, 10**6)
ALTITUDE = struct.pack('<HHHIII', 1, 6, 10, 1, 56, 0) + struct.pack('<ii', -5, 3)
READABLE = {  # broken in some place, but the orientation can be read
    'the maker is beyond the end': tags([(271, 2, 500, 10**6), TURN]),
    'the maker is endless': tags([(271, 2, 2**32 - 1, 100), TURN]),
    'the maker is at the end of the world': tags([(271, 2, 20, 2**32 - 1), TURN], '>'),
    'a type that nobody knows': tags([(271, 77, 5, 1), TURN]),
    'the resolution is 0 / 0': tags([TURN, (282, 5, 1, 50), (296, 3, 1, 2)], rest=bytes(8)),
    'the place is beyond the end': tags([TURN, GPS]),
    'the second directory is beyond the end': tags([TURN, SUB]),
    'the second directory is the first': tags([TURN, (0x8769, 4, 1, 8)]),
    'an altitude below zero': tags([TURN, (0x8825, 4, 1, 38)], rest=ALTITUDE),
    'cut off after the orientation': tags([TURN, GPS])[:22],
    'as many entries as there can be': tags([TURN])[:8] + b'\xff\xff' + tags([TURN])[10:],
}
UNREADABLE = {
    'nothing': b'',
    'half a head': b'II*\0',
    'no head': b'junkjunkjunk',
    'cut off before the orientation': tags([TURN])[:12],
    'the directory is beyond the end': b'II*\0' + struct.pack('<I', 10**6),
    'no such orientation': tags([(0x0112, 3, 1, 9)]),
    'orientation 0': tags([(0x0112, 3, 1, 0)]),
    'a text': tags([(0x0112, 2, 4, 0x00360036)]),
    'a fraction at the end of the world': tags([(0x0112, 5, 1, 2**32 - 1)]),
}
ALL = {**READABLE, **UNREADABLE}


@pytest.mark.filterwarnings('ignore::UserWarning:PIL')  # where the test itself calls it
@pytest.mark.parametrize('form', ['PNG', 'JPEG', 'WEBP', 'MPO'])
@pytest.mark.parametrize('name', ALL)
def test_broken_exif_never_stops_a_picture(tmp_path, form, name, capfd):
    right = STORED[6] if name in UNREADABLE else UPRIGHT
    path = saved(tmp_path / 'x', 6, form, exif=b'Exif\0\0' + ALL[name])
    assert numbers(path) == right
    with Image.open(path) as image:
        assert numbers(image) == right
    assert capfd.readouterr() == ('', '')


@pytest.mark.parametrize('name', [name for name in ALL if 'maker' not in name])
def test_broken_exif_as_a_text_of_imagemagick(tmp_path, name):
    data = b'Exif\0\0' + ALL[name]
    info = PngInfo()
    info.add_text('Raw profile type exif', f'\nexif\n{len(data):8}\n{data.hex()}\n')
    path = saved(tmp_path / 'x', 6, 'PNG', pnginfo=info)
    assert numbers(path) == (STORED[6] if name in UNREADABLE else UPRIGHT)


@pytest.mark.parametrize('options', [{}, {'compression': 'tiff_deflate'}])
@pytest.mark.parametrize('entry', [SUB, GPS, (0x8769, 3, 1, 7), (0x8825, 4, 1, 0)])
def test_a_tiff_whose_other_directories_are_broken(tmp_path, options, entry):
    path = tmp_path / 'x'
    fields(STORED[6]).save(path, 'TIFF', tiffinfo={0x0112: 6, entry[0]: entry[3]}, **options)
    assert numbers(path) == UPRIGHT


@pytest.mark.parametrize('junk', [b'II*\0\xff\xff\xff\xff', b'MM\0*\0\0\0\1'])
def test_an_avif_turns_as_it_says_itself_whatever_is_in_its_exif(tmp_path, junk):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, 'some maker'
    data = saved(tmp_path / 'x', 6, 'AVIF', exif=exif).read_bytes()
    start = data.rindex(b'MM\0*', 0, data.index(b'some maker'))
    (tmp_path / 'x').write_bytes(data[:start] + junk + data[start + 8 :])
    assert numbers(tmp_path / 'x') == UPRIGHT


def test_a_turned_avif_with_an_altitude_below_zero(tmp_path):
    exif = Image.Exif()
    exif[0x0112], exif[0x8825] = 6, {6: 5.5}
    data = saved(tmp_path / 'x', 6, 'AVIF', exif=exif).read_bytes()
    start = data.index(struct.pack('>HHI', 6, 5, 1))
    head = data.rindex(b'MM\0*', 0, start)
    (place,) = struct.unpack_from('>I', data, start + 8)
    data = data[: start + 2] + struct.pack('>H', 10) + data[start + 4 :]  # a fraction that has a sign
    data = data[: head + place] + struct.pack('>ii', -11, 2) + data[head + place + 8 :]
    (tmp_path / 'x').write_bytes(data)
    assert numbers(tmp_path / 'x') == UPRIGHT


def test_a_tiff_whose_second_directory_is_before_its_beginning(tmp_path):
    more = [(0x0112, 3, 1, 2), (0x8769, 9, 1, 2**32 - 5)]
    (tmp_path / 'x').write_bytes(tiff([10, 20, 30], 'B', more=more))
    assert opened(tmp_path / 'x') == [[[30] * 3, [20] * 3, [10] * 3]]


def test_an_image_is_turned_by_the_exif_that_it_was_given():
    image = fields(STORED[6])
    image.getexif()[0x0112] = 6
    assert numbers(image) == UPRIGHT
    file = io.BytesIO()
    fields(STORED[6]).save(file, 'PNG')
    image = Image.open(file)
    image.info['exif'] = 'no bytes'
    assert numbers(image) == STORED[6]
