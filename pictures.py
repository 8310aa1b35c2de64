"""From a file to numbers: reading a picture, cropping it, normalising it. Shapes: px pixels high and wide."""

import math
import os
import random
import threading
import types
import warnings
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import mended_mxnet

import numpy as onp
from PIL import Image, ImageOps

import exif
from problem import Problem

patching = threading.Lock()  # two at once would not put back what was there

PHOTOMETRIC, WHITE_IS_ZERO = 0x0106, 0  # a tag of TIFF and one of its values


def open_picture(picture, px):
    """A file, PIL image or array [h, w] or [h, w, colours] as an upright RGB image. Raises Problem, naming the file.

    A JPEG is decoded to 2 * px pixels or a few more, which is faster.
    """
    is_path = isinstance(picture, (str, os.PathLike))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of Pillow, about what is odd in a file that it reads all the same
            if is_path:
                return read(Path(picture).expanduser(), px)
            return to_rgb(picture if isinstance(picture, Image.Image) else to_image(picture))
    except Exception as error:  # a decoder may raise anything
        name = (str(picture) or "''") if is_path else f'What was given ({type(picture).__name__})'
        reason = error if isinstance(error, Problem) else type(error).__name__
        raise Problem(f"{name} can't be read as a picture ({reason}); give the path of a JPEG or PNG file.") from None


def readable(path):
    """Whether `path` is a picture: whether open_picture can open it."""
    try:
        open_picture(path, 32)
    except Problem:
        return False
    return True


def read(path, px):
    """The picture at `path` in RGB. Raises anything."""
    if not os.path.isfile(path):  # a pipe would be waited for
        raise Problem('it is a folder or a device' if os.path.exists(path) else 'there is no such file')
    try:
        return decode(path, px)
    except Exception:
        # Pillow stops at broken EXIF of TIFF and AVIF.
        with patching, mock.patch.object(Image, 'Exif', exif.Orientation):
            return decode(path, px)


def decode(path, px):
    with Image.open(path) as image:
        image.draft('RGB', (2 * px, 2 * px))
        return to_rgb(image)


def to_rgb(image):
    """A PIL image as an upright one in RGB with 8 bits; what is transparent becomes white."""
    if not all(image.size):
        raise Problem('it is empty')
    layout = str(getattr(image, 'tile', ''))  # how it lies in the file; unknown once it is loaded
    image.load()
    turn = exif.turn_of(image)
    if image.mode[0] in 'IF':  # integers of 16 or 32 bits, floats
        image = to_grey(image, layout)
    elif ';16' in layout and onp.asarray(image.convert('RGB')).max() < 64:
        raise Problem('it has 16 bits a colour, of which only the upper 8 are read, and uses the lower ones')
    if image.mode == 'La':
        image = image.convert('LA')
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image.convert('RGBA'))
    image = image.convert('RGB')
    return image.transpose(turn) if turn is not None else image


def to_grey(image, layout):
    """An image of more than 8 bits in 8 bits."""
    values = onp.asarray(image)
    values = values.view('u4') if 'I;32N' in layout else values  # Pillow takes them for signed ones
    says = image.format == 'PPM' and image.mode == 'I'  # its file says what white is, and Pillow makes that 65535
    grey = to_8_bits(values, *((0, 65535) if says else range_of(values)))
    if getattr(image, 'tag_v2', {}).get(PHOTOMETRIC) == WHITE_IS_ZERO:
        grey = 255 - grey
    if 'transparency' in image.info:
        grey[values == image.info['transparency']] = 255
    return Image.fromarray(grey)


def to_8_bits(values, black, white):
    return onp.rint((values.astype('f8') - black) * (255 / (white - black or 1))).astype('u1')


def range_of(values):
    """(black, white): the range that numbers of such a kind and size usually have or, beyond it, their own."""
    if not onp.isfinite(values).all():
        raise Problem('some of its values are not numbers')
    low, high = float(values.min()), float(values.max())
    if low < 0 or high > 65535:
        return low, high
    if values.dtype == bool or (values.dtype.kind == 'f' and high <= 1):
        return 0, 1
    if (values % 1).any():
        return 0, 255 if 16 < high <= 255 else high  # lights may be brighter than 1
    if not (values % 257).any():
        return 0, 65535  # 8 bits in 16: each byte twice
    return 0, next(2**bits - 1 for bits in (8, 10, 12, 14, 16) if high < 2**bits)  # as cameras have them


def to_image(array):
    """An array [h, w] or [h, w, 1, 3 or 4] as an image. Raises Problem."""
    array = array.asnumpy() if hasattr(array, 'asnumpy') else onp.asarray(array)
    if array.dtype.kind not in 'biuf':
        raise Problem('it is not made of numbers')
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and (array.ndim != 3 or array.shape[2] not in (3, 4)):
        raise Problem(f'its shape is {array.shape} and not [height, width] or [height, width, 3]')
    if not array.size:
        raise Problem('it is empty')
    return Image.fromarray(array if array.dtype == 'u1' else to_8_bits(array, *range_of(array)))


def random_crop(image, px, area=(0.3, 1), ratio=(3 / 4, 4 / 3), rng=random):
    """A crop of random area, aspect ratio and place, scaled to px x px, half of the time mirrored (Szegedy, 2014)."""
    pixels = rng.uniform(*area) * image.width * image.height
    shape = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
    width = min(math.sqrt(pixels * shape), image.width)
    height = min(math.sqrt(pixels / shape), image.height)
    left = rng.uniform(0, image.width - width)
    top = rng.uniform(0, image.height - height)
    image = image.resize((px, px), Image.BILINEAR, (left, top, left + width, top + height))
    return ImageOps.mirror(image) if rng.random() < 0.5 else image


def centre_crop(image, px, margin=8 / 7):
    """The middle of the picture, px x px, of one that is scaled to px * margin on its short side: 224 of 256."""
    side = min(image.size) / margin
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((px, px), Image.BILINEAR, (left, top, left + side, top + side))


def normalize(image, mean, std):
    """A PIL image as float32 [3, px, px], each colour with the mean and standard deviation that the network expects."""
    pixels = onp.asarray(image).transpose(2, 0, 1).astype('f4', order='C') / 255  # colours apart: 15 times faster
    mean, std = (onp.array(values, 'f4').reshape(3, 1, 1) for values in (mean, std))
    return (pixels - mean) / std


def view(path, px, number=None):
    """The centre crop of the picture at `path` or, with a number, a random crop, always the same one."""
    image = open_picture(path, px)
    if number is None:
        return centre_crop(image, px)
    return random_crop(image, px, rng=random.Random(f'{path.name} {number}'.encode('utf8', 'surrogateescape')))


def code():
    """What this module does, from the code that is loaded (its file may say something else by now), and by what."""
    things = {**vars(exif), **vars(exif.Orientation), **globals()}
    functions = {name: code_of(f) for name, f in things.items() if callable(f) and not isinstance(f, type)}
    tables = {name: value for name, value in things.items() if name.isupper()}
    return sorted(functions.items()), tables, version('pillow'), version('numpy')


def code_of(thing):
    """A text for each part of a function or code that decides what it does."""
    if isinstance(thing, types.FunctionType):
        inside = [code_of(cell.cell_contents) for cell in thing.__closure__ or ()]
        return code_of(thing.__code__), repr(thing.__defaults__), repr(thing.__kwdefaults__), inside
    if isinstance(thing, types.CodeType):
        return thing.co_code.hex(), thing.co_names, [code_of(constant) for constant in thing.co_consts]
    return repr(thing)
