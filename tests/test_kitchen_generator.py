"""The kitchen generator: the same seed gives the same picture, and measures that are true of it.

Needs bpy, and is run where that is installed: see data/make/kitchen/README.md.
"""

import io
import sys
from pathlib import Path

import pytest

pytest.importorskip('bpy', reason='authors only: data/make/kitchen/requirements.txt')
sys.path.insert(0, str(Path(__file__).parents[1] / 'data/make/kitchen'))

from PIL import Image

import scene


def test_same_seed_same_bytes():
    first, facts = scene.picture(3, 'hotdog_soft', size=48, samples=2)
    second, facts2 = scene.picture(3, 'hotdog_soft', size=48, samples=2)
    other, _ = scene.picture(4, 'hotdog_soft', size=48, samples=2)
    assert first == second and facts == facts2
    assert first != other
    with Image.open(io.BytesIO(first)) as image:
        assert image.size == (48, 48) and image.format == 'JPEG'
    assert facts['subject'] >= scene.MIN_SUBJECT and facts['visible'] >= scene.MIN_VISIBLE
