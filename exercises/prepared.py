"""A data set with a mistake in it, made of kitchen's pictures, for exercise 2f."""

import hashlib
import random

from PIL import Image

import utils
from files import BUILD, whole
from folders import Dataset, Pictures
from problem import Problem

NUM_TRAIN, NUM_VALID = 120, 60


def with_a_leak(seed):
    """(Dataset, places of those pictures of valid that are in train, too: saved anew, and smaller)."""
    chosen, kitchen = random.Random(seed), utils.find_data()
    train = chosen.sample(kitchen.train, NUM_TRAIN)
    leaked = sorted(chosen.sample(range(NUM_VALID), chosen.randint(12, 24)))
    valid = chosen.sample(kitchen.valid, NUM_VALID)
    for i, twin in zip(leaked, chosen.sample(train, len(leaked))):
        valid[i] = twin
    folder = BUILD / 'exercises' / f'leak-{seed}'
    parts = [
        Pictures(saved_anew(pictures, folder / split, size), kitchen.classes)
        for split, pictures, size in (('train', train, 240), ('valid', valid, 200))
    ]
    return Dataset(kitchen.classes, *parts, Pictures([], kitchen.classes)), leaked


def saved_anew(pictures, folder, size):
    """The same pictures as files in `folder`, `size` pixels wide and high at most, under names that tell nothing.

    They are written each time, so that none is damaged. Raises Problem.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return [(saved(path, folder, size), label) for path, label in pictures]
    except OSError as error:
        raise Problem(
            f'The pictures of this exercise could not be written to {folder} ({error.strerror or error}); remove that '
            'folder, or free some space.'
        ) from None


def saved(path, folder, size):
    copy = folder / f'{hashlib.sha1(f"{folder.name} {path.name}".encode()).hexdigest()[:12]}.jpg'
    with Image.open(path) as image, whole(copy) as partial:
        image.thumbnail((size, size))
        image.save(partial, 'jpeg', quality=85)
    return copy
