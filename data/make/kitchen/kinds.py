"""The kinds of food there are, and what several of them need. The foods themselves: hotdogs.py, foods.py."""

from collections.abc import Callable
from dataclasses import dataclass

import meshes as m
from materials import vary
from meshes import mix, noise, smoothstep


@dataclass
class Kind:
    """A kind of food: make(rng) gives its parts."""

    make: Callable
    hotdog: bool
    hard: bool


KINDS = {}


def kind(hotdog=False, hard=False):
    """Enter a function in KINDS under its name."""

    def enter(function):
        KINDS[function.__name__] = Kind(function, hotdog, hard)
        return function

    return enter


def make(name, rng):
    """The parts of a food of that kind, centred, resting on z = 0. If no part is key, all are."""
    food = m.rest(KINDS[name].make(rng))
    lo, hi = m.bounds(food)
    m.move(food, *-(lo + hi)[:2] / 2)
    if not any(part.key for part in food):
        for part in food:
            part.key = True
    return food


def lean(rng, food, spread=0.28):
    """Roll a long food a little about its length; returns it."""
    return m.tilt(food, rng.normal(0, spread))


def speckled(rng, verts, a, b, freq=1.5):
    """Colours (n, 3) between a and b in soft patches."""
    a, b = (vary(rng, c) for c in (a, b))
    return mix(a, b, smoothstep(-0.8, 0.8, noise(rng, verts, freq)))


def lump(rng, half, power=2.3, dents=0.1, freq=1.5, step=None):
    """An uneven rounded lump of half sizes (3,)."""
    verts, faces = m.rounded_box(half, power, step)
    return m.displace((verts, faces), dents * noise(rng, verts, freq))
