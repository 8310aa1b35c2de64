"""From a file to numbers: reading a picture, cropping it, normalising it. Shapes: px pixels high and wide."""

import inspect
import math
import random
import types
from importlib.metadata import version
from pathlib import Path

import mended_mxnet

import numpy as onp
from PIL import Image, ImageOps

from problem import Problem

Flip = Image.Transpose
UPRIGHT = {  # what turns a picture upright, by the orientation that EXIF says
    2: Flip.FLIP_LEFT_RIGHT,
    3: Flip.ROTATE_180,
    4: Flip.FLIP_TOP_BOTTOM,
    5: Flip.TRANSPOSE,
    6: Flip.ROTATE_270,
    7: Flip.TRANSVERSE,
    8: Flip.ROTATE_90,
}
ORIENTATION = 0x0112  # its tag in EXIF


def open_picture(picture, px):
    """A file, PIL image or array [h, w] or [h, w, colours] as an upright RGB image. Raises Problem, naming the file.

    A JPEG is decoded to 2 px or a little more, which is faster.
    """
    try:
        if isinstance(picture, (str, Path)):
            with Image.open(Path(picture).expanduser()) as image:
                image.draft('RGB', (2 * px, 2 * px))
                image.load()
                return to_rgb(upright(image))
        image = picture if isinstance(picture, Image.Image) else to_image(picture)
        return to_rgb(upright(image))
    except Exception as error:  # a decoder may raise anything
        name = picture if isinstance(picture, (str, Path)) else f'What was given ({type(picture).__name__})'
        raise Problem(
            f"{name} can't be read as a picture ({type(error).__name__}); give the path of a JPEG or PNG file."
        ) from None


def readable(path):
    """Whether `path` is a picture: whether open_picture can open it."""
    try:
        open_picture(path, 32)
    except Problem:
        return False
    return True


def upright(image):
    """The image turned as its EXIF says; if that is broken, as it lies."""
    try:
        orientation = image.getexif().get(ORIENTATION)
    except Exception:  # EXIF is written by many cameras and programs, and read by a parser that may raise anything
        orientation = None
    return image.transpose(UPRIGHT[orientation]) if orientation in UPRIGHT else image


def to_rgb(image):
    """The image in RGB with 8 bits: more bits are scaled, and what is transparent becomes white."""
    if image.mode[0] in 'IF':  # integers of 16 or 32 bits, floats
        image = Image.fromarray(to_8_bits(onp.asarray(image)))
    if 'transparency' in image.info or {'A', 'a'} & {*image.getbands()}:
        image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image.convert('RGBA'))
    return image.convert('RGB')


def to_8_bits(values):
    """Numbers of any kind as bytes: by the range that such numbers usually have or, beyond it, by their own."""
    values = values.astype('f8')
    low, high = values.min(), values.max()
    if not math.isfinite(low) or not math.isfinite(high):
        raise ValueError('not a number')
    if low < 0 or high > 65535:
        values, high = values - low, high - low or 1
    elif (values % 1).any():
        high = 1 if high <= 1 else 255 if high <= 255 else high
    elif not (values % 257).any():
        high = 65535  # 8 bits in 16: each byte twice
    elif high <= 4095:
        high = 2 ** max(8, math.ceil(math.log2(high + 1))) - 1  # a camera's 10 or 12 bits
    else:
        high = 65535
    return onp.rint(values * (255 / high)).astype('u1')


def to_image(array):
    """An array [h, w] or [h, w, colours] as an image; numbers between 0 and 1 are brightness, too."""
    array = array.asnumpy() if hasattr(array, 'asnumpy') else onp.asarray(array)
    return Image.fromarray(array if array.dtype == 'u1' else to_8_bits(array))


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
    pixels = onp.asarray(image, 'f4') / 255
    return ((pixels - onp.array(mean, 'f4')) / onp.array(std, 'f4')).transpose(2, 0, 1)


def view(path, px, number=None):
    """The centre crop of the picture at `path` or, with a number, a random crop, always the same one."""
    image = open_picture(path, px)
    if number is None:
        return centre_crop(image, px)
    return random_crop(image, px, rng=random.Random(f'{path.name} {number}'))


def code():
    """What this module does, from the code that is loaded (its file may say something else by now), and by what."""
    functions = {name: code_of(f) for name, f in globals().items() if inspect.isfunction(f)}
    tables = {name: value for name, value in globals().items() if name.isupper()}
    return sorted(functions.items()), tables, version('pillow'), version('numpy')


def code_of(thing):
    """A text for each part of a function or code that decides what it does."""
    if isinstance(thing, types.FunctionType):
        return code_of(thing.__code__), repr(thing.__defaults__)
    if isinstance(thing, types.CodeType):
        return thing.co_code.hex(), thing.co_names, [code_of(constant) for constant in thing.co_consts]
    return repr(thing)
