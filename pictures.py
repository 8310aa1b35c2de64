"""From a file to numbers: reading a picture, cropping it, normalising it. Shapes: px pixels high and wide."""

import math
import random

import mended_mxnet

import numpy as onp
from PIL import Image, ImageOps


def open_picture(path, px):
    """The picture at `path` as an upright RGB image; a JPEG is decoded to 2 px or a little more, which is faster."""
    image = Image.open(path)
    image.draft('RGB', (2 * px, 2 * px))
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith('I;16'):
        image = image.point(lambda value: value / 256)  # 16 bits to 8; convert would make all of it white
    if 'A' in image.getbands() or 'transparency' in image.info:
        image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image.convert('RGBA'))
    return image.convert('RGB')


def readable(path):
    try:
        open_picture(path, 32)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False
    return True


def random_crop(image, px, area=(0.3, 1), ratio=(3 / 4, 4 / 3)):
    """A crop of random area, aspect ratio and place, scaled to px x px, half of the time mirrored (Szegedy, 2014)."""
    pixels = random.uniform(*area) * image.width * image.height
    shape = math.exp(random.uniform(math.log(ratio[0]), math.log(ratio[1])))
    width, height = min(math.sqrt(pixels * shape), image.width), min(math.sqrt(pixels / shape), image.height)
    left, top = random.uniform(0, image.width - width), random.uniform(0, image.height - height)
    image = image.resize((px, px), Image.BILINEAR, (left, top, left + width, top + height))
    return ImageOps.mirror(image) if random.random() < 0.5 else image


def centre_crop(image, px, margin=8 / 7):
    """The middle of the picture, px x px, of one that is scaled to px * margin on its short side: 224 of 256."""
    side = min(image.size) / margin
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((px, px), Image.BILINEAR, (left, top, left + side, top + side))


def normalize(image, mean, std):
    """A PIL image as float32 [3, px, px], each colour with the mean and standard deviation that the network expects."""
    return ((onp.asarray(image, 'f4') / 255 - onp.array(mean, 'f4')) / onp.array(std, 'f4')).transpose(2, 0, 1)
