"""What many foods share: bread, sausages, lines of sauce, scattered toppings, leaves, paper sleeves.

A food lies along the x axis and is built open side up. `rng` is a NumPy Generator: every draw of a
picture comes from its seed. Lengths are in cm, angles in radians.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

import materials as mat
import meshes as m
from materials import pick, vary
from meshes import Part, mix, noise, smoothstep

# ---- bread ----


@dataclass
class Bun:
    """A long bun: two lobes turned apart by `opening` about a hinge along x at height `hinge`."""

    half: tuple  # half length, half width, half height
    opening: float
    power: float = 2.7  # 2 round, 6 boxy
    style: str = 'soft'  # one of STYLES

    @property
    def hinge(self):
        return -0.72 * self.half[2]

    def lobe(self, points, side):
        """Distance to the whole loaf as the lobe on that side (1, -1) carries it, and points in its own frame."""
        own = m.rotate(points - [0, 0, self.hinge], 0, side * self.opening) + [0, 0, self.hinge]
        return m.superellipsoid(own, self.half, self.power), own

    def distance(self, points, bite=None):
        halves = []
        for side in (1, -1):
            loaf, own = self.lobe(points, side)
            halves.append(m.smooth_max(loaf, -side * own[:, 1] - 0.02, 0.22))
        bun = m.smooth_min(*halves, 0.35)
        return bun if bite is None else m.smooth_max(bun, -bite(points), 0.1)


# style: (odds, pale crust, brown crust, roughness, coat, dents)
STYLES = {
    'soft': (0.42, 'e6bf80', 'a9652a', 0.55, 0.08, 0.12),
    'brioche': (0.18, 'cf8a3c', '7a3d14', 0.38, 0.3, 0.08),
    'topsplit': (0.14, 'ecd09a', 'a8662c', 0.6, 0.05, 0.08),
    'crusty': (0.14, 'd9a860', '8a4e1c', 0.7, 0.0, 0.15),
    'pretzel': (0.12, '8a4a1c', '4e2209', 0.35, 0.35, 0.1),
}


def random_bun(rng, opening=None, style=None):
    """A bun of any style; opening defaults to that of a filled bun."""
    style = style or pick(rng, list(STYLES), [s[0] for s in STYLES.values()])
    half = rng.uniform([6.2, 2.2, 1.9], [8.4, 2.9, 2.5])
    power = rng.uniform(3.6, 4.6) if style == 'topsplit' else rng.uniform(2.3, 3.3)
    if opening is None:
        opening = np.radians(rng.uniform(18, 42) if rng.random() < 0.85 else rng.uniform(42, 58))
    return Bun(tuple(half), opening, power, style)


def bread_shape(rng, distance, half, step=0.16, dents=0.12, bites=False):
    """The shape of a bread and its vertices before it was dented; half: sizes of the box it fits in."""
    half = np.asarray(half) + 0.4
    verts, faces = m.from_sdf(distance, -half, half, 0.14 if bites else step)
    bumps = noise(rng, verts, 0.6) * dents
    bumps = bumps + noise(rng, verts * [0.5, 1, 1], 2.2) * 0.03 + noise(rng, verts, 6.0) * 0.012
    for centre in verts[rng.integers(len(verts), size=rng.integers(0, 4))]:  # dents of fingers
        bumps -= rng.uniform(0.1, 0.3) * np.exp(-((verts - centre) ** 2).sum(1) / rng.uniform(0.3, 1.2))
    return m.displace((verts, faces), bumps), verts


def crust_color(rng, verts, toast, style='soft'):
    """Colours (n, 3) of a crust; toast (n,) is 0 where pale, 1 where browned."""
    _, pale, brown, *_ = STYLES[style]
    pale, brown = vary(rng, pale), vary(rng, brown)
    if style == 'soft':
        paler = mix(pale, brown, rng.uniform(0, 0.35))
        pale, brown = paler, mix(brown, pale, rng.uniform(0, 0.3)) * rng.uniform(0.6, 1)
    baked = smoothstep(0.1, 1.0, toast + 0.18 * noise(rng, verts, 2.5))
    color = mix(pale, brown, baked)
    blisters = smoothstep(0.6, 1.6, noise(rng, verts, 9.0)) * rng.uniform(0.15, 0.5)
    color = mix(color, brown * 0.6, blisters)
    if rng.random() < (0.5 if style == 'crusty' else 0.12):
        flour = smoothstep(-0.5, 1.5, noise(rng, verts, 8.0)) * smoothstep(0.3, 0.8, toast)
        color = mix(color, mat.rgb('efe2c8'), flour * rng.uniform(0.05, 0.25))
    return color


def crumb_color(rng, verts):
    """Colours (n, 3) of the inside of a bread, sometimes toasted."""
    color = mix(vary(rng, 'f3e3bf', 0.04), vary(rng, 'e6cb98', 0.05), smoothstep(-1, 1, noise(rng, verts, 6.0)))
    if rng.random() < 0.5:
        toasted = smoothstep(-0.2, 1.2, noise(rng, verts, 2.5)) * rng.uniform(0.4, 0.9)
        color = mix(color, mat.rgb('a3642a'), toasted)
    return color


def crust_material(rng, style='soft'):
    _, _, _, roughness, coat, _ = STYLES[style]
    return mat.bread(rng, roughness=roughness + rng.uniform(-0.1, 0.1), coat=coat * rng.uniform(0.3, 1.2))


def bun_part(rng, bun, bite=None):
    """The bun as a Part. bite(points) is the distance to what has been bitten or cut off."""
    length, width, height = bun.half
    reach = height + width
    box, dents = (length, reach, reach), STYLES[bun.style][5]
    shape, smooth = bread_shape(rng, lambda p: bun.distance(p, bite), box, dents=dents, bites=bite is not None)
    verts, faces = shape
    loaf, own = zip(*(bun.lobe(smooth, side) for side in (1, -1)))
    cut = [np.maximum(d, -side * o[:, 1]) for d, o, side in zip(loaf, own, (1, -1))]
    nearer = np.abs(cut[0]) < np.abs(cut[1]) if bite is None else cut[0] < cut[1]
    depth, z = -np.where(nearer, *loaf), np.where(nearer, own[0][:, 2], own[1][:, 2]) / height
    crumb = smoothstep(0.12, 0.34, depth + 0.06 * noise(rng, smooth, 2.0) + 0.03 * noise(rng, smooth, 7.0))
    toast = np.clip(0.45 + 0.6 * z - 0.35 * np.exp(-(((z + 0.1) / 0.35) ** 2)), 0, 1.3)
    color = crust_color(rng, verts, toast, bun.style)
    if bun.style == 'topsplit':  # its sides were torn from its neighbours
        sides = smoothstep(0.8, 0.95, np.abs(m.normals(verts, faces)[:, 1])) * smoothstep(0.5, 0.2, np.abs(z))
        color = mix(color, crumb_color(rng, verts) * 0.9, sides * (1 - crumb))
    color = mix(color, crumb_color(rng, verts), crumb)
    return Part(verts, faces, crust_material(rng, bun.style), {'paint': color, 'crumb': crumb, 'toast': toast})


def seeds(rng, bread, count, size, material):
    """Seeds or salt on the upper crust of a bread part (one with "crumb"): a list of one part, or of none."""
    normal = m.normals(bread.verts, bread.faces)
    top = np.flatnonzero((normal[:, 2] > 0.45) & (bread.values['crumb'] < 0.1))
    if len(top) < 20:
        return []
    chosen = rng.choice(top, min(count, len(top)), replace=False)
    up = normal[chosen]
    along = np.cross(up, rng.normal(size=up.shape))
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    frame = np.stack([along * 1.6, np.cross(up, along), up * 0.55], 2) * size
    return [Part(*m.copies(m.ball(0), frame, bread.verts[chosen] + up * size * 0.2), material)]


def dressed_bun(rng, bun, bite=None):
    """The bun, sometimes with seeds; salt on pretzel buns."""
    bread = bun_part(rng, bun, bite)
    if bun.style == 'pretzel':
        return [bread] + seeds(rng, bread, 60, 0.11, mat.plain('f4f2ee', 0.3))
    if bun.style in ('soft', 'brioche') and rng.random() < 0.22:
        color = pick(rng, ['e8d2a0', 'e8d2a0', '20222a'])
        return [bread] + seeds(rng, bread, rng.integers(60, 150), 0.11, mat.plain(color, 0.5))
    return [bread]


# ---- sausages ----

SAUSAGE_COLORS = [
    ('9c3a1e', '6a1d10'),
    ('b4512c', '8a2f18'),
    ('c0583a', '9c3c26'),
    ('8a3a1c', '4d1a0c'),
    ('d0785a', 'b55638'),
    ('b98a62', '8c5a36'),
    ('b03a24', '8e2415'),
]


def sausage_color(rng, verts, inside=0.0):
    """Colours (n, 3) of a fried, grilled or boiled sausage along x; inside (n,) is 1 where it is cut."""
    light, dark = (vary(rng, c) for c in pick(rng, SAUSAGE_COLORS))
    color = mix(light, dark, smoothstep(-0.7, 0.7, noise(rng, verts * [0.35, 1, 1], 3.0)))
    color = mix(color, light * 1.6, 0.3 * smoothstep(0.5, 1.5, noise(rng, verts, 9.0)))
    char = np.zeros(len(verts))
    way = pick(rng, ['boiled', 'boiled', 'grill', 'pan'])
    if way == 'grill':
        wave = np.sin((verts[:, 0] + verts[:, 1] * rng.uniform(-1.2, 1.2)) * 2 * np.pi / rng.uniform(1.2, 2.2))
        char = smoothstep(0.5, 0.95, wave + 0.2 * noise(rng, verts, 4.0)) * rng.uniform(0.6, 0.95)
    elif way == 'pan':
        char = smoothstep(0.1, 1.3, noise(rng, verts, 1.2)) * 0.85
    char = char * smoothstep(-1.0, 0.3, noise(rng, verts, 6.0))
    color = mix(color, mat.rgb('1c0a05'), char)
    meat = mix(vary(rng, 'cf8468'), vary(rng, 'e0a98c'), smoothstep(-0.8, 0.8, noise(rng, verts, 10.0)))
    return mix(color, meat, np.broadcast_to(inside, len(verts)))


def sausage_material(rng):
    return mat.painted(
        rng,
        roughness=rng.uniform(0.15, 0.5),
        grain=rng.uniform(2.5, 6),
        bump=rng.uniform(0.1, 0.3),
        spots=0.1,
        coat=rng.uniform(0.1, 0.7),
        subsurface=0.3,
        radius=(1, 0.3, 0.15),
        depth=0.3,
    )


def whole_sausage(rng, half_length, radius):
    """The shape of a sausage with round ends."""
    t = np.linspace(-1, 1, 90)
    t = 0.6 * np.sin(t * np.pi / 2) + 0.4 * t  # more rings where the ends curve
    end = rng.uniform(0.75, 1.3) * radius / half_length
    profile = np.sqrt(np.clip(1 - np.clip((np.abs(t) - 1 + end) / end, 0, 1) ** 2, 1e-3, 1))
    profile *= 1 + 0.05 * m.noise1(rng, t, 5.0) + 0.012 * m.noise1(rng, t, 30.0)
    return m.tube(np.stack([t * half_length, 0 * t, 0 * t], 1), profile * radius, 28)


def sausage(rng, half_length, radius, bow=0.0, sag=0.0, bite=None):
    """A sausage along x through the origin; bow bends it sideways, sag up at the ends; bite as in `bun_part`."""
    if bite is None:
        verts, faces = whole_sausage(rng, half_length, radius)
        inside = np.zeros(len(verts))
    else:
        ends = np.array([[-1.0, 0, 0], [1, 0, 0]]) * (half_length - radius)
        box = np.array([half_length, radius, radius]) + 0.3
        verts, faces = m.from_sdf(lambda p: m.smooth_max(m.capsule(p, *ends, radius), -bite(p), 0.08), -box, box, 0.14)
        inside = smoothstep(0.06, 0.16, -m.capsule(verts, *ends, radius))
    color = sausage_color(rng, verts, inside)
    verts, faces = m.displace((verts, faces), 0.035 * noise(rng, verts, 1.1) + 0.03 * noise(rng, verts, 8.0) * inside)
    x = verts[:, 0]
    bent = verts + np.stack([0 * x, bow * (x / half_length) ** 2, sag * (x / half_length) ** 2], 1)
    return Part(bent, faces, sausage_material(rng), {'paint': color}, key=True)


def skewed(rng):
    """A bite or cut: distance (n, 3) -> (n,) to what is gone, from one end of a food about 15 cm long."""
    x, lean = rng.uniform(2.0, 5.0), rng.normal(0, 0.25, 2)
    return lambda p: x + p[:, 1] * lean[0] + p[:, 2] * lean[1] - p[:, 0]


def bitten(rng, half_length):
    """Tooth marks: a few spheres gone from the end at +x; as `skewed`."""
    edge = half_length - rng.uniform(1.5, 4.5)
    centres = [(edge + 2.2 + rng.uniform(-0.3, 0.3), y, z) for y in (-1.6, 0.1, 1.8) for z in (-1.5, 1.5)]
    radii = rng.uniform(1.9, 2.5, len(centres))

    def distance(p):
        gone = edge + 2.0 - p[:, 0]
        for centre, r in zip(centres, radii):
            gone = m.smooth_min(gone, np.linalg.norm(p - centre, axis=1) - r, 0.1)
        return gone

    return distance


# carrot, cucumber, yellow and green pepper
STICKS = [('d96a1a', 'b84e10'), ('a8c878', '5a8a2e'), ('e8b82a', 'd09a18'), ('5a9a30', '3f7a20')]


# ---- sauces and toppings, dropped on what is already there ----


def sauce_path(rng, half_length, width):
    """Points (170, 2) of a squeezed line along x: wave, zigzag, nearly straight, or loops."""
    t = np.linspace(-1, 1, 170)
    waves = rng.uniform(3, 8) * np.pi
    kind = pick(rng, ['wave', 'zigzag', 'straight', 'loops'], [0.45, 0.25, 0.2, 0.1])
    y = {
        'zigzag': 2 / np.pi * np.arcsin(0.97 * np.sin(t * waves)),
        'straight': 0.35 * np.sin(t * 4 + rng.uniform(0, 6)),
    }.get(kind, np.sin(t * waves)) * width
    x = t * half_length + (0.9 * width * np.cos(t * waves) if kind == 'loops' else 0)
    y = y * (1 + 0.25 * m.noise1(rng, t, 6.0)) + 0.1 * m.noise1(rng, t, 3.0)
    return np.stack([x, y], 1)


def runs(z, jump=0.7):
    """Slices of z without a gap (nan) or a step higher than jump, at least 6 long."""
    breaks = np.flatnonzero(np.isnan(z[1:]) | np.isnan(z[:-1]) | (np.abs(np.diff(np.nan_to_num(z))) > jump)) + 1
    edges = [0, *breaks, len(z)]
    return [slice(a, b) for a, b in pairwise(edges) if b - a >= 6]


def bead(rng, tree, xy, radius, material, flat=0.8):
    """A line of sauce of that radius on the surface tree along xy (n, 2): a list of parts, one for each run."""
    out, height = [], m.drop(tree, xy)
    for run in runs(height):
        z = height[run]
        z = np.maximum(np.convolve(np.pad(z, 2, 'edge'), np.ones(5) / 5, 'valid'), z - 0.35 * radius)
        t = np.linspace(0, 1, len(z))
        r = radius * (1 + 0.22 * m.noise1(rng, t, 14.0) + 0.1 * m.noise1(rng, t, 50.0))
        r = r * np.sqrt(np.clip(np.minimum(t, 1 - t) * len(t) / 4, 0.15, 1))
        out.append(Part(*m.tube(np.column_stack([xy[run], z + 0.55 * radius]), r, 12, flat), material))
    return out


def bits(rng, tree, count, half_length, width, size, material, shape='cube'):
    """Diced or round topping of that size scattered on the surface."""
    form = m.rounded_box((1, 1, 1), 4, 0.5) if shape == 'cube' else m.ball(1)
    heap = half_length > 4 and rng.random() < 0.3
    x = np.clip(rng.normal(0, 0.5, count), -1, 1) if heap else rng.uniform(-1, 1, count)
    xy = np.stack([x * half_length, rng.normal(0, width, count)], 1)
    z = m.drop(tree, xy)
    xy, z = xy[~np.isnan(z)], z[~np.isnan(z)]
    if not len(z):
        return []
    scale = size * rng.uniform(0.55, 1.35, (len(z), 1, 3)) * [1, 1, 0.6]
    lift = size * (0.3 + 0.5 * rng.random(len(z)))
    return [Part(*m.copies(form, m.random_rotations(rng, len(z)) * scale, np.column_stack([xy, z + lift])), material)]


def shreds(rng, tree, count, half_length, width, radius, length, material):
    """Grated cheese, kraut, onions: thin bent threads that lie on the surface."""
    out, t = [], np.linspace(-0.5, 0.5, 8)
    for _ in range(count):
        along, across = t * length * rng.uniform(0.5, 1.3), rng.uniform(-0.4, 0.4) * t * t * length**2
        angle, centre = rng.uniform(0, 2 * np.pi), (rng.uniform(-1, 1) * half_length, rng.normal(0, width))
        cos, sin = np.cos(angle), np.sin(angle)
        xy = centre + np.stack([cos * along - sin * across, sin * along + cos * across], 1)
        z = m.drop(tree, xy)
        if np.isnan(z).any():
            continue
        z = 0.7 * np.clip(z, np.median(z) - 1.2, np.median(z) + 0.5) + 0.3 * np.median(z)
        path = np.column_stack([xy, z + radius * (1 + 4 * rng.random())])
        out.append(m.tube(path, radius * rng.uniform(0.7, 1.3), 6))
    return [Part(*join(out), material)] if out else []


def join(shapes):
    """One shape of several."""
    offsets = np.cumsum([0] + [len(verts) for verts, _ in shapes])
    faces = [faces + offset for (_, faces), offset in zip(shapes, offsets)]
    return np.concatenate([verts for verts, _ in shapes]), np.concatenate(faces)


@dataclass
class Top:
    """What toppings go on: a food along x, its surface, half its length, its radius, and what it wears so far."""

    food: list
    tree: object
    half_length: float
    radius: float
    worn: list = field(default_factory=list)


def line(rng, top, kind, width=None, thick=None, shift=0.0):
    """A squeezed line of that sauce."""
    half_length = top.half_length * rng.uniform(0.78, 0.98)
    path = sauce_path(rng, half_length, width or rng.uniform(0.35, 0.75) * 1.1 * top.radius)
    return bead(rng, top.tree, path + [0, shift], thick or rng.uniform(0.17, 0.34), mat.sauce(rng, kind))


def any_line(rng, top, kinds, odds=None):
    return line(rng, top, pick(rng, kinds, odds))


def thick_line(rng, top, kind):
    return line(rng, top, kind, thick=rng.uniform(0.35, 0.5))


def two_lines(rng, top):
    """Ketchup and another sauce: across each other, or side by side and narrow."""
    beside = 0.45 * (rng.random() < 0.5)
    width = 0.3 if beside else None
    ketchup = line(rng, top, 'ketchup', width, shift=-beside)
    return ketchup + line(rng, top, pick(rng, ['mustard', 'mustard', 'mayonnaise']), width, shift=beside)


def scattered(rng, top, look, count, length, width, size, shape='cube'):
    """Bits over these shares of the half length and the radius."""
    return bits(rng, top.tree, count, top.half_length * length, top.radius * width, size, LOOKS[look](rng), shape)


def strewn(rng, top, look, count, thick, length):
    """Threads over the food and all that it wears."""
    tree = m.surface(top.food + top.worn)
    return shreds(rng, tree, count, top.half_length * 0.85, top.radius * 0.55, thick, length, LOOKS[look](rng))


def sometimes(rng, top, chance, topping, *settings):
    return topping(rng, top, *settings) if rng.random() < chance else []


def unless(rng, top, chance, topping, *settings):  # `sometimes` with 1 - chance changes what the seeds give
    return [] if rng.random() < chance else topping(rng, top, *settings)


LOOKS = {  # of toppings
    'chili': lambda rng: mat.food(rng, vary(rng, '6a2a12'), vary(rng, '3d1408'), 2.0, coat=0.4),
    'cheese': lambda rng: mat.sauce(rng, 'cheese'),
    'relish': lambda rng: mat.food(rng, vary(rng, '7a8a1e'), vary(rng, '3d5212'), 2.0, roughness=0.2, coat=0.5),
    'onion': lambda rng: mat.food(rng, 'f2eee0', 'dcdcc0', 2.0, roughness=0.25, subsurface=0.6),
    'dull onion': lambda rng: mat.food(rng, 'f2eee0', 'dcdcc0', 2.0),
    'kraut': lambda rng: mat.food(rng, 'e6dcae', 'c9b878', roughness=0.25, subsurface=0.6),
    'crisp': lambda rng: mat.food(rng, vary(rng, 'b8701e'), vary(rng, '7a3f10'), roughness=0.4),
    'tomato': lambda rng: mat.food(rng, 'b02014', '8c160e', 2.0, roughness=0.2, subsurface=0.5),
    'herbs': lambda rng: mat.leaf(rng, dark=True),
}
SAUCES = ['mustard', 'ketchup', 'mayonnaise', 'curry', 'barbecue', 'guacamole']
CHEESE = (strewn, 'cheese', 60, 0.09, 1.6)
LINE = (sometimes, 0.6, any_line, ['mustard', 'ketchup'])
HERBS = (sometimes, 0.15, scattered, 'herbs', 40, 0.9, 0.7, 0.12)

# style: (odds, what is put on, from the bottom up: a function and its settings)
TOPPINGS = {
    'one': (0.36, [(any_line, SAUCES, [0.45, 0.3, 0.1, 0.06, 0.06, 0.03])]),
    'two': (0.2, [(two_lines,)]),
    'chili': (0.05, [(scattered, 'chili', 80, 0.6, 0.5, 0.32, 'ball'), (unless, 0.4, *CHEESE)]),
    'cheese': (0.07, [(sometimes, 0.5, thick_line, 'cheese'), CHEESE]),
    'relish': (0.07, [(scattered, 'relish', 100, 0.9, 0.35, 0.2), LINE]),
    'onion': (0.06, [(scattered, 'onion', 65, 0.9, 0.5, 0.2), LINE]),
    'kraut': (0.04, [(strewn, 'kraut', 70, 0.1, 2.0), LINE]),
    'crisp': (0.04, [(strewn, 'crisp', 60, 0.11, 1.3), LINE]),
    'none': (0.05, []),
    'mixed': (0.06, [(scattered, 'tomato', 45, 0.9, 0.6, 0.22), (scattered, 'dull onion', 35, 0.9, 0.6, 0.2), LINE]),
}


def toppings(rng, parts, half_length, radius):
    """Sauces and toppings along the top of parts (a list of new parts); any food may wear them."""
    top = Top(parts, m.surface(parts), half_length, radius)
    style = pick(rng, list(TOPPINGS), [odds for odds, _ in TOPPINGS.values()])
    for topping, *settings in [*TOPPINGS[style][1], HERBS]:
        top.worn += topping(rng, top, *settings)
    return top.worn


def lettuce(rng, half_length, width, z, y=0.0, tilt=0.7):
    """A ruffled leaf that sticks out to +y, from height z."""
    u, v = np.meshgrid(np.linspace(-1, 1, 100), np.linspace(0, 1, 12), indexing='ij')
    a, b, c = rng.uniform(0, 6, 3)
    x = u * half_length
    ruffle = v**1.5 * (0.45 * np.sin(x * 0.3 + a) + 0.25 * np.sin(x * 0.7 + b) + 0.12 * np.sin(x * 1.8 + c))
    grid = np.stack([x, y + v * width + 0.3 * ruffle, z + v * width * np.sin(tilt) + 0.8 * ruffle], -1)
    return Part(*m.sheet(grid), mat.leaf(rng), thickness=0.04)


def sleeve(rng, half):
    """A paper or foil sleeve round the lower part of a bun of half sizes (3,), open at one end."""
    end = 0.5 if rng.random() < 0.6 else 0.95
    u, v = np.meshgrid(np.linspace(-1, end, 60), np.linspace(-2.75, -0.4, 36), indexing='ij')
    place = np.stack([u * half[0], v * half[1]], -1)
    size = 1.1 + 0.05 * noise(rng, place, 0.8) + 0.035 * np.abs(noise(rng, place, 2.0))
    size *= 1 + 0.12 * smoothstep(0.7, 1, np.abs(v + 1.57) / 1.17)
    grid = np.stack([u * half[0] * 1.06, half[1] * size * np.cos(v) * 1.03, half[2] * size * np.sin(v)], -1)
    material = mat.foil() if rng.random() < 0.4 else mat.paper(rng)
    return Part(*m.sheet(grid), material, thickness=0.03)


def bun_sleeve(rng, bun):
    """A sleeve that fits the opened bun."""
    length, width, height = bun.half
    return sleeve(rng, (length, width * (1 + 0.5 * np.sin(bun.opening)), height * 1.05))


# ---- a hand ----

SKINS = ['e8b898', 'd89e78', 'c08058', '8a5636', '5a3620']


def hand_bones(w, lift):
    """[(start, end, radius)] of the thumb, the four fingers and the arm of `hand`."""
    bones = [
        ((-2.4, -w, -1.3), (-1.2, -w - 0.9, 0.8 * lift), 1.2),
        ((-1.2, -w - 0.9, 0.8 * lift), (0.1, -w - 0.5, 2.6 * lift), 0.95),
    ]
    for x, reach in zip((-3.2, -1.2, 0.8, 2.7), (0.85, 1.0, 0.95, 0.75)):
        knuckle = (x, w + 0.9, 0.4)
        bones += [((x, w - 1.5, -1.5), knuckle, 0.95), (knuckle, (x * 0.9, w + 0.5, 2.7 * reach * lift), 0.82)]
    return bones + [((0, -1.0, -2.2), (-1, -9, -5), 2.4), ((-1, -9, -5), (-3, -30, -10), 3.2)]


def hand(rng, width):
    """A hand that holds from below something of that half width resting at z = 0: thumb at -y, arm to -y."""
    w, lift = width, rng.uniform(0.9, 1.1)
    bones = hand_bones(w, lift)

    def distance(points):
        palm = m.superellipsoid(points - [-0.3, -0.4, -1.9], np.array([4.1, w + 0.6, 1.5]), 2.6)
        for start, end, radius in bones:
            palm = m.smooth_min(palm, m.capsule(points, start, end, radius), 0.45)
        return palm

    verts, faces = m.from_sdf(distance, (-7.5, -28, -13), (5.5, w + 3, 4.5), 0.32)
    skin = vary(rng, pick(rng, SKINS))
    color = mix(skin, skin * [1.0, 0.78, 0.72], smoothstep(-0.8, 1.0, noise(rng, verts, 1.5)))
    nail = np.linalg.norm((verts - [0.1, -w - 1.35, 2.5 * lift]) / [0.75, 0.5, 0.85], axis=1)
    color = mix(color, mix(skin, mat.rgb('f0c8b8'), 0.6), smoothstep(1.05, 0.9, nail))
    verts, faces = m.displace((verts, faces), 0.05 * noise(rng, verts, 1.0) + 0.02 * noise(rng, verts * [1, 1, 2], 4.0))
    look = mat.painted(rng, 0.45, 5.0, 0.15, 0.05, subsurface=0.35, radius=(1, 0.35, 0.2), depth=0.3)
    return Part(verts, faces, look, {'paint': color})
