"""Foods that are no hot dogs. To add one, write a function of about 20 lines that returns its parts, and
put @kind above it.

    @kind()                       # @kind(hard=True) if it is easily taken for a hot dog
    def orange(rng):
        verts, faces = m.ball(8)
        return [Part(verts * rng.uniform(3.2, 4.2), faces, mat.food(rng, "e07a10", grain=6.0))]

A food may lie anywhere and at any height: `make` centres it and puts it on the table. Long foods lie
along x. Parts with key=True are what the food is recognised by; the camera is placed so that they are
seen.
"""

import numpy as np

import materials as mat
import meshes as m
import parts as p
from kinds import kind, lump, speckled
from materials import pick, vary
from meshes import Part, mix, noise, smoothstep


@kind()
def corn(rng):
    """A cob with rows of kernels, sometimes with its husk."""
    length, radius, rings, rows = rng.uniform(7, 8.5), rng.uniform(2.0, 2.4), 150, rng.integers(12, 17)
    t, sides = np.linspace(-1, 1, rings), rows * 7
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    size = 2 * np.pi * radius / rows / 1.25
    shift = np.floor(angle * rows / (2 * np.pi)) % 2 * 0.5
    along = np.pi * (t[:, None] * length / size + shift + 0.15 * m.noise1(rng, t, 4.0)[:, None])
    bulge = np.abs(np.sin(along)) ** 0.4 * np.abs(np.sin(angle * rows / 2)) ** 0.4
    profile = np.sqrt(np.clip(1 - np.abs(t) ** 4, 0.02, 1)) * (1 - 0.18 * t)
    path = np.stack([t * length, 0.3 * t * t, 0 * t], 1)
    verts, faces = m.tube(path, profile * radius, sides, section=0.8 + 0.2 * bulge)
    color = speckled(rng, verts, 'eab524', 'd09a1c', 2.0)
    color[:-2] = mix(color[:-2], mat.rgb('b98a30'), 0.4 * (1 - bulge.ravel()))
    food = [Part(verts, faces, mat.painted(rng, 0.25, 3.0, 0.1, coat=0.4, subsurface=0.4), {'paint': color})]
    for _ in range(3 * (rng.random() < 0.5)):
        w, way = np.linspace(0, 1, 30), rng.uniform(-0.9, 0.9)
        path = np.stack([length * 0.8 + w * 6, way * w * 4, w * (1 - w) * 2 - 0.4], 1)
        food.append(Part(*m.tube(path, 2.2 * np.sqrt(w * (1 - w) + 0.02), 12, flat=0.08), mat.leaf(rng)))
    return food


@kind()
def banana(rng):
    """One to three bananas."""
    out, n = [], rng.integers(1, 4)
    for i in range(n):
        t, r = np.linspace(-1, 1, 90), rng.uniform(8.5, 10)
        path = np.stack([r * np.sin(0.95 * t), r * (1 - np.cos(0.95 * t)), 0 * t], 1)
        profile = np.clip(1 - np.abs(t) ** 3.2, 0, 1) ** 0.6 * 1.65 + 0.28
        section = 1 + 0.05 * np.cos(5 * np.linspace(0, 2 * np.pi, 30, endpoint=False))
        verts, faces = m.tube(path, profile, 30, section=section)
        along = np.abs(np.append(np.repeat(t, 30), [1, 1]))
        color = mix(vary(rng, 'ecc62e', 0.05), mat.rgb('8d9a3a'), 0.6 * smoothstep(0.65, 0.98, along))
        ripe = smoothstep(0.9, 1.5, noise(rng, verts, 1.6)) * 0.8 * (rng.random() < 0.6)
        color = mix(color, mat.rgb('4a3010'), np.maximum(smoothstep(0.9, 0.99, along), ripe))
        part = Part(verts, faces, mat.painted(rng, 0.45, 2.0, 0.08), {'paint': color})
        out += m.move([part], 0, i * 3.0, 1.8 + 0.2 * i, rng.normal(0, 0.1))
    return out


@kind()
def carrot(rng):
    """One to three carrots, mostly with greens."""
    out = []
    for i in range(rng.integers(1, 4)):
        length, t = rng.uniform(6, 9), np.linspace(0, 1, 110)
        radius = (1.28 * (1 - t) ** 0.6 + 0.2) * np.sqrt(np.clip(t * 14, 0.3, 1)) * (1 + 0.03 * m.noise1(rng, t, 60.0))
        path = np.stack([(t - 0.45) * 1.6 * length, rng.uniform(-0.6, 0.6) * t * t, 0 * t], 1)
        look = mat.food(rng, vary(rng, 'd96a1a'), vary(rng, 'b84e10'), 1.0, roughness=0.45, stretch=(3, 0.6, 0.6))
        one = [Part(*m.tube(path, radius, 24), look)]
        for _ in range(7 * (rng.random() < 0.7)):
            w = np.linspace(0, 1, 20)
            back, aside, up = rng.uniform(2, 6), rng.uniform(-2.5, 2.5), rng.uniform(-0.3, 1.5)
            stem = np.stack([-0.72 * length - w * back, aside * w, up * w], 1)
            one.append(Part(*m.tube(stem, 0.18 * (1.1 - w), 6), mat.leaf(rng, dark=True)))
        out += m.move(one, 0, i * 3.0, 0, rng.uniform(-0.3, 0.3))
    return out


@kind()
def cucumber(rng):
    """A cucumber with some slices of another."""
    color = vary(rng, '2f5a1e')
    length, radius, t = rng.uniform(6, 9), rng.uniform(1.4, 1.9), np.linspace(-1, 1, 70)
    path = np.stack([t * length, rng.uniform(-1, 1) * t * t, radius + 0 * t], 1)
    look = mat.food(rng, color, color * 1.8, 1.2, roughness=0.35, stretch=(0.4, 2, 2), coat=0.3)
    food = [Part(*m.tube(path, radius * np.sqrt(np.clip(1 - np.abs(t) ** 7, 0.01, 1)), 24), look)]
    flesh = mat.food(rng, 'c9dca0', 'a8c878', 1.2, roughness=0.25, subsurface=0.6)
    for i in range(rng.integers(0, 7)):
        verts, faces = m.slice_(rng, radius, 0.35)
        cut = m.rest(m.tilt([Part(verts, faces, flesh)], rng.uniform(-0.1, 0.1)))
        food += m.move(cut, -5 + i * 1.9 + rng.uniform(-0.4, 0.4), radius + 2.0 + rng.uniform(0, 1))
    return food


@kind()
def wrap(rng):
    """One or two rolled tortillas, open at one end."""
    out = []
    for i in range(rng.integers(1, 3)):
        length, radius = rng.uniform(5, 7), rng.uniform(2.0, 2.5)
        v, w = np.meshgrid(np.linspace(-1, 1, 70), np.linspace(0, 2.7 * np.pi, 80), indexing='ij')
        r = radius * (1 + 0.007 * w) * (1 - 0.6 * smoothstep(0.8, 1.15, -v))
        verts, faces = m.sheet(np.stack([v * length, r * np.cos(w), 0.85 * r * np.sin(w)], -1))
        verts = verts + 0.1 * noise(rng, verts, 0.5)[:, None]
        color = speckled(rng, verts, 'ead7ae', 'd9bd86')
        color = mix(color, mat.rgb('8d5a24'), 0.75 * smoothstep(0.6, 1.3, noise(rng, verts, 1.5)))
        one = [Part(verts, faces, mat.painted(rng, 0.6), {'paint': color}, thickness=0.12)]
        core = lump(rng, (length * 0.95, radius * 0.88, radius * 0.74), 6, 0.15, 2.0, 0.3)
        one.append(Part(*core, mat.food(rng, vary(rng, '8a5a30'), vary(rng, 'c8a878'), 2.0, bump=0.8)))
        for fill in ['7a3a1c', '78a236', 'b8281a', 'e8c888', 'f0e8d0']:
            n = 9
            ends = rng.choice([-1, 1], n) * length * rng.uniform(0.9, 1.0, n)
            place = np.column_stack([ends, rng.normal(0, radius * 0.38, (n, 2)) * [1, 0.8]])
            matrices = m.random_rotations(rng, n) * rng.uniform(0.35, 0.75, (n, 1, 3))
            one.append(Part(*m.copies(m.rounded_box((1, 1, 1), 3, 0.4), matrices, place), mat.food(rng, fill)))
        out += m.move(m.rest(one), i * 1.5, i * 5.3, 0, rng.uniform(-0.3, 0.3))
    return out


@kind()
def croissant(rng):
    t = np.linspace(-1, 1, 160)
    angle, r, folds = t * rng.uniform(1.0, 1.3), rng.uniform(4.5, 6), rng.integers(3, 5)
    fold = (np.abs(t) * folds + 0.5) % 1
    path = np.stack([r * np.sin(angle), r * (np.cos(angle) - 1), 0 * t], 1)
    shape = m.tube(path, (0.35 + 2.5 * np.cos(t * 1.5) ** 1.1) * (1 - 0.16 * fold), 36, flat=0.85)
    verts, faces = m.displace(shape, 0.07 * noise(rng, shape[0], 0.8) + 0.02 * noise(rng, shape[0], 5.0))
    fold = np.append(np.repeat(fold, 36), [0, 0])
    color = p.crust_color(rng, verts, np.clip(0.67 + 0.17 * verts[:, 2] - 0.32 * fold, 0, 1.2), 'brioche')
    look = mat.bread(rng, 0.4, 0.2)
    return [Part(verts, faces, look, {'paint': color, 'crumb': np.zeros(len(verts))})]


# ---- round and flat foods ----


def bun_half(rng, radius, height, style, top):
    """The top or the bottom of a round bun, cut side at z = 0."""
    half = np.array([radius, radius, height])

    def distance(q):
        return m.smooth_max(m.superellipsoid(q, half, 2.2), -q[:, 2] if top else q[:, 2] - 0.2, 0.25)

    (verts, faces), smooth = p.bread_shape(rng, distance, half, step=0.22)
    crumb = smoothstep(0.15, 0.4, -m.superellipsoid(smooth, half, 2.2) + 0.06 * noise(rng, smooth, 2.0))
    color = p.crust_color(rng, verts, 0.3 + 0.75 * verts[:, 2] / height if top else np.full(len(verts), 0.45), style)
    color = mix(color, p.crumb_color(rng, verts), crumb)
    return Part(verts, faces, p.crust_material(rng, style), {'paint': color, 'crumb': crumb})


def leaf_ring(rng, radius, z):
    """A leaf of lettuce lying at height z, ruffled at the rim."""
    verts, faces = m.revolve([(0.01, 0), (radius * 0.6, 0), (radius * 0.9, 0), (radius * 1.12, 0.05)][::-1], 90)
    angle, far = np.arctan2(verts[:, 1], verts[:, 0]), np.hypot(verts[:, 0], verts[:, 1]) / radius
    wave = 0.25 * np.sin(9 * angle + rng.uniform(0, 6)) + 0.15 * np.sin(17 * angle + rng.uniform(0, 6))
    verts[:, 2] += z + far**3 * wave
    return Part(verts, faces, mat.leaf(rng), thickness=0.05)


def cheese_slice(rng, radius, z):
    """A square slice of cheese at height z that hangs over a round of that radius."""
    side = radius * 0.95
    x, y = np.meshgrid(np.linspace(-side, side, 30), np.linspace(-side, side, 30), indexing='ij')
    hang = np.clip(np.hypot(x, y) - radius * 0.95, 0, 9) ** 1.2 * 0.9
    verts, faces = m.sheet(np.stack([x, y, z + 0.12 - hang], -1))
    return Part(m.rotate(verts, 2, rng.uniform(0, 3)), faces, mat.sauce(rng, 'cheese'), thickness=0.16)


def patty(rng, radius, height, z):
    verts, faces = m.slice_(rng, radius, height, sides=60)
    verts = verts + [0, 0, z] + noise(rng, verts, 1.0)[:, None] * 0.08
    colors = vary(rng, '5a2e18'), vary(rng, '2e140a')
    look = mat.food(rng, *colors, 1.6, roughness=0.5, subsurface=0.1, bump=0.9, grain=2.4, coat=0.2)
    return Part(verts, faces, look)


@kind()
def burger(rng):
    radius, style = rng.uniform(4.2, 5.4), pick(rng, ['soft', 'brioche', 'brioche', 'pretzel'])
    food = m.rest([bun_half(rng, radius, 1.5, style, top=False)])
    z = food[0].verts[:, 2].max() - 0.1
    if rng.random() < 0.7:
        food.append(leaf_ring(rng, radius, z))
        z += 0.2
    for _ in range(pick(rng, [1, 1, 2])):
        height = rng.uniform(1.0, 1.5)
        food.append(patty(rng, radius * rng.uniform(0.95, 1.05), height, z))
        z += height
        if rng.random() < 0.7:
            food.append(cheese_slice(rng, radius, z))
            z += 0.2
    if rng.random() < 0.5:
        tomato = mat.food(rng, 'b8281a', '94180e', roughness=0.2, coat=0.5)
        for k in range(3):
            cut = Part(*m.slice_(rng, radius * 0.5, 0.45), tomato)
            food += m.move([cut], radius * 0.5 * np.cos(2.1 * k), radius * 0.5 * np.sin(2.1 * k), z)
        z += 0.45
    if rng.random() < 0.4:
        angle = np.linspace(0, 6.2, 90)
        ring = radius * 0.9 * np.stack([np.cos(angle), np.sin(angle)], 1)
        food += p.bead(rng, m.surface(food), ring, 0.3, mat.sauce(rng, pick(rng, ['ketchup', 'mustard', 'mayonnaise'])))
    lid = bun_half(rng, radius, rng.uniform(2.4, 3.2), style, top=True)
    lid = [lid] + (p.seeds(rng, lid, 110, 0.13, mat.plain('ecd9ac', 0.5)) if rng.random() < 0.65 else [])
    return food + m.move(m.tilt(lid, rng.uniform(-0.1, 0.1)), z=z + 0.15)


def taco_shell(rng, radius, opening):
    """A folded disc that stands open side up."""
    q, w = np.meshgrid(np.linspace(0, 1, 26), np.linspace(-1, 1, 70), indexing='ij')
    x, z = w * radius * np.sqrt(1 - (0.98 * q) ** 2), q * radius
    y = 0.96 * np.sqrt(q + 0.001) + 0.32 * z * np.sin(opening)
    verts, faces = m.sheet(np.concatenate([np.stack([x, -y, z], -1)[::-1], np.stack([x, y, z], -1)[1:]]))
    verts = verts + 0.12 * noise(rng, verts, 0.7)[:, None]
    color = speckled(rng, verts, 'dca850', 'b87a2c')
    color = mix(color, mat.rgb('7a4414'), 0.5 * smoothstep(0.7, 1.4, noise(rng, verts, 3.0)))
    return Part(verts, faces, mat.painted(rng, 0.6, 3.0, 0.5), {'paint': color}, thickness=0.2)


@kind()
def taco(rng):
    """One to three hard shells, standing or lying."""
    out = []
    for i in range(rng.integers(1, 4)):
        radius, opening = rng.uniform(6, 7), rng.uniform(0.35, 0.6)
        shell = taco_shell(rng, radius, opening)
        verts, faces = lump(rng, (radius * 0.82, 0.9, radius * 0.3), 2.3, 0.1, 2.0, 0.4)
        meat = Part(verts + [0, 0, radius * 0.5], faces, mat.food(rng, '6a3218', '3a180a', 2.0, bump=1.0, grain=3.0))
        top, one = m.surface([meat]), [shell, meat]
        one += p.bits(rng, top, 60, radius * 0.75, 0.5, 0.3, mat.food(rng, 'b8281a', '94180e', 2.0))
        one += p.shreds(rng, top, 60, radius * 0.75, 0.6, 0.1, 1.8, mat.leaf(rng))
        one += p.shreds(rng, top, 40, radius * 0.7, 0.5, 0.09, 1.5, mat.sauce(rng, 'cheese'))
        m.tilt(one, rng.uniform(-0.2, 0.2) if rng.random() < 0.35 else rng.choice([-1, 1]) * rng.uniform(1.15, 1.35))
        out += m.move(m.rest(one), rng.uniform(-1, 1), i * 5.0, 0, rng.uniform(-0.2, 0.2))
    return out


def pizza_base(rng, length, half, columns):
    """A slice of that length and half angle (radians): rim, sauce and cheese."""
    angle, q = np.meshgrid(np.linspace(-half, half, columns), np.linspace(0.02, 1, 60), indexing='ij')
    rim = smoothstep(0.86, 0.93, q) * smoothstep(1.02, 0.97, q)
    grid = np.stack([q * length * np.cos(angle), q * length * np.sin(angle), 0 * q], -1)
    grid[..., 2] = 0.45 + rim * rng.uniform(0.9, 1.4) + 0.09 * noise(rng, grid, 0.9)
    verts, faces = m.sheet(grid)
    crust = smoothstep(0.84, 0.9, q).ravel()
    bare = np.maximum(smoothstep(0.5, 1.0, noise(rng, verts, 0.9)), smoothstep(0.8, 0.84, q).ravel())
    color = mix(speckled(rng, verts, 'f0cd7e', 'd99a3c'), mat.rgb('a02a12'), (1 - crust) * bare * 0.85)
    color = mix(color, speckled(rng, verts, 'c98c44', '8a4e1c'), crust)
    return Part(verts, faces, mat.painted(rng, 0.35, 2.0, 0.4, coat=0.3), {'paint': color}, thickness=0.5)


@kind()
def pizza(rng):
    """A slice, or a small whole pizza."""
    whole = rng.random() < 0.35
    length, half = (10, np.pi * 0.999) if whole else (rng.uniform(11, 14), rng.uniform(0.3, 0.42))
    food = [pizza_base(rng, length, half, 150 if whole else 50)]
    top = m.surface(food)
    salami = mat.food(rng, vary(rng, 'a8301c'), vary(rng, '7e1c10'), 3.0, roughness=0.3, coat=0.4)
    for _ in range(20 if whole else rng.integers(4, 9)):
        turn, far = rng.uniform(-0.75, 0.75) * half, length * np.sqrt(rng.uniform(0.08, 0.65))
        x, y = far * np.cos(turn), far * np.sin(turn)
        cut = Part(*m.slice_(rng, rng.uniform(1.0, 1.3), 0.2), salami)
        food += m.move([cut], x, y, m.drop(top, [[x, y]], 0.5)[0] + 0.06)
    if rng.random() < 0.5:
        food += p.bits(rng, top, 60, length * 0.8, length * 0.15, 0.25, mat.leaf(rng, dark=True))
    return food


def ring(rng, turn_radius, radius, lo, hi, wobble=0.0, sides=34):
    """Grid (90, sides, 3) of a ring (donut) between the angles lo and hi of its section."""
    u, v = np.meshgrid(np.linspace(0, 2 * np.pi, 90), np.linspace(lo, hi, sides), indexing='ij')
    v = np.pi / 2 + (v - np.pi / 2) * (1 + wobble * np.sin(u * 6 + rng.uniform(0, 6)) + 0.6 * wobble * np.sin(u * 11))
    far = turn_radius + radius * np.cos(v)
    return np.stack([far * np.cos(u), far * np.sin(u), 0.83 * radius * np.sin(v)], -1)


@kind()
def donut(rng):
    """One to three, mostly iced, sometimes with sprinkles."""
    out = []
    for i in range(pick(rng, [1, 1, 2, 3])):
        big, radius = rng.uniform(3.0, 3.5), rng.uniform(1.6, 2.0)
        icing = pick(rng, ['chocolate', 'pink', 'sugar', 'chocolate', None])
        verts, faces = m.sheet(ring(rng, big, radius, 0, 2 * np.pi))
        verts = verts + 0.05 * noise(rng, verts, 0.7)[:, None]
        color = p.crust_color(rng, verts, np.clip(0.8 - 1.1 * np.exp(-((verts[:, 2] / 0.4) ** 2)), 0, 1), 'soft')
        one = [Part(verts, faces, mat.bread(rng, 0.5), {'paint': color, 'crumb': np.zeros(len(verts))})]
        if icing:
            glaze = m.sheet(ring(rng, big, radius + 0.1, -0.1, np.pi + 0.1, 0.1))
            one.append(Part(*glaze, mat.sauce(rng, icing), thickness=0.08))
            if rng.random() < 0.6:
                one += sprinkles(rng, one, big, radius)
        out += m.move(m.rest(one), [0, 7, -4][i], [0, 5.5, 8][i])
    return out


def sprinkles(rng, cake, far, width, per_color=16):
    """Sugar sprinkles on a ring of that radius and width (or a disc: far 0) on top of cake."""
    out, top = [], m.surface(cake)
    form = m.tube(np.linspace([-1, 0, 0], [1, 0, 0], 5), [0.3, 0.5, 0.5, 0.5, 0.3], 6)
    for color in ['d02030', '20a050', 'f0d020', '2060d0', 'f4f4f4']:
        angle, r = rng.uniform(0, 6.28, per_color), far + width * rng.uniform(-0.7, 0.7, per_color)
        xy = np.stack([r * np.cos(angle), r * np.sin(angle)], 1)
        matrices = np.stack([m.rotate(np.eye(3), 2, a).T * [0.35, 0.18, 0.18] for a in rng.uniform(0, 6.28, per_color)])
        place = np.column_stack([xy, m.drop(top, xy, 0.0) + 0.08])
        out.append(Part(*m.copies(form, matrices, place), mat.plain(color, 0.3)))
    return out


@kind()
def fries(rng):
    """A pile of chips, sometimes with sauce."""
    n, pile = rng.integers(30, 60), rng.uniform(2.2, 4.0)
    place = rng.normal(0, pile * 0.55, (n, 2))
    height = np.clip(3.2 - 1.1 * np.hypot(*place.T), 0, None) * rng.random(n) + 0.45
    matrices = []
    for yaw, pitch in zip(rng.uniform(0, 6.28, n), rng.normal(0, 0.22, n)):
        turned = m.rotate(m.rotate(np.eye(3), 1, pitch), 2, yaw).T
        matrices.append(turned * [rng.uniform(2.2, 4.5), *[rng.uniform(0.38, 0.5)] * 2])
    verts, faces = m.copies(m.rounded_box((1, 1, 1), 9, 0.3), matrices, np.column_stack([place, height]))
    color = vary(rng, 'e3b050')
    food = [Part(verts, faces, mat.food(rng, color, color * 0.75, 0.8, roughness=0.45, bump=0.3, grain=4.0, coat=0.15))]
    return food + (p.toppings(rng, food, 3.5, 1.6) if rng.random() < 0.45 else [])


@kind()
def apple(rng):
    """One to three apples."""
    out, colors = [], pick(rng, [('a31c1c', '7a1010'), ('8fae2e', '6c8f22'), ('d8a83a', 'b5381e')])
    for i in range(rng.integers(1, 4)):
        a = np.linspace(-np.pi / 2, np.pi / 2, 40)
        r = 3.6 * np.cos(a) ** 0.75 * (1 + 0.12 * np.sin(a))
        z = 3.3 * np.sin(a) - 0.95 * np.exp(-((r / 1.1) ** 2)) * np.sign(np.sin(a))
        verts, faces = m.revolve(np.stack([r + 0.005, z], 1), 60, lambda t: 1 + 0.02 * np.sin(5 * t))
        verts = verts + 0.08 * noise(rng, verts, 0.5)[:, None]
        color = speckled(rng, verts * [1, 1, 0.4], *colors, 2.5)
        color = mix(color, mat.rgb('c9b050'), 0.6 * smoothstep(2.2, 0.2, np.hypot(verts[:, 0], verts[:, 1])))
        w = np.linspace(0, 1, 12)
        stem = Part(*m.tube(np.stack([w * w * 0.5, 0 * w, 2.1 + 1.9 * w], 1), 0.16, 8), mat.plain('3a2412', 0.7))
        one = [Part(verts, faces, mat.painted(rng, 0.25, 4.0, 0.04, coat=0.4), {'paint': color}), stem]
        m.rest(m.tilt(one, rng.uniform(-0.5, 0.5)))
        out += m.move(one, [0, 6.2, -2][i], [0, 2, 6.6][i], 0, rng.uniform(0, 6))
    return out


def egg_white(rng, radius):
    phase = rng.uniform(0, 6, 3)

    def outline(t):
        waves = 0.1 * np.sin(2 * t + phase[0]), 0.07 * np.sin(3 * t + phase[1]), 0.04 * np.sin(7 * t + phase[2])
        return 1 + waves[0] + waves[1] + waves[2]

    profile = [(1, 0.02), (0.97, 0.2), (0.85, 0.3), (0.6, 0.38), (0.4, 0.7), (0.002, 0.75)]
    verts, faces = m.revolve(np.array(profile) * [radius, 1], 90, outline)
    verts[:, 2] += 0.05 * noise(rng, verts, 0.9)
    edge = np.hypot(verts[:, 0], verts[:, 1]) / radius + 0.06 * noise(rng, verts, 1.2)
    color = mix(mat.rgb('f2efe6'), mat.rgb('b5762c'), smoothstep(0.88, 1.06, edge) * rng.uniform(0.1, 0.9))
    return Part(verts, faces, mat.painted(rng, 0.25, 2.0, 0.2, 0.04, 0.4, 0.5, (1, 0.9, 0.8)), {'paint': color})


@kind()
def fried_egg(rng):
    """One or two."""
    out = []
    for i in range(rng.integers(1, 3)):
        white = egg_white(rng, rng.uniform(4.2, 5.2))
        big, t = rng.uniform(1.6, 1.9), np.linspace(0, np.pi / 2, 14)
        verts, faces = m.revolve(np.stack([big * np.cos(t) + 0.004, 0.6 + 0.55 * big * np.sin(t)], 1), 40)
        yellow = vary(rng, 'e8981a')
        verts = verts + [rng.uniform(-0.5, 0.5), 0, 0]
        yolk = Part(verts, faces, mat.food(rng, yellow, yellow * 0.9, roughness=0.2, coat=0.6, bump=0.05))
        out += m.move([white, yolk], i * 7.5, i * 3, 0, rng.uniform(0, 6))
    return out


@kind()
def eggs(rng):
    """One to four eggs in their shells."""
    color, out = vary(rng, pick(rng, ['e8d8c4', 'c99468', 'f0ece4']), 0.05), []
    look = mat.food(rng, color, color * 0.93, roughness=0.5, bump=0.06, grain=9.0, spots=0.05)
    for i in range(rng.integers(1, 5)):
        a = np.linspace(-np.pi / 2, np.pi / 2, 30)
        shape = m.revolve(np.stack([2.1 * np.cos(a) * (1 - 0.12 * np.sin(a)) + 0.003, 2.8 * np.sin(a)], 1), 40)
        one = m.rest(m.tilt([Part(*shape, look)], rng.uniform(1.2, 1.6)))
        out += m.move(one, *(rng.uniform(-0.5, 0.5, 2) + [[0, 0], [5, 1], [1, 5.4], [5.7, 6]][i]), 0, rng.uniform(0, 6))
    return out


# half height, and material of what is no bread
SANDWICH = [
    (0.75, None),
    (0.12, mat.leaf),
    (0.2, lambda rng: mat.food(rng, 'd68a80', 'b86058')),
    (0.15, lambda rng: mat.sauce(rng, 'cheese')),
    (0.75, None),
]


def triangle(rng, side, height):
    """Half a square slice."""

    def distance(q):
        legs = m.smooth_max(-q[:, 0] - side * 0.33, -q[:, 1] - side * 0.33, 0.5)
        legs = m.smooth_max(legs, (q[:, 0] + q[:, 1] - side * 0.33) / 1.414, 0.2)
        return m.smooth_max(legs, np.abs(q[:, 2]) - height, 0.2)

    verts, faces = m.from_sdf(distance, (-side * 0.5, -side * 0.5, -height - 0.3), (side, side, height + 0.3), 0.2)
    return m.displace((verts, faces), 0.05 * noise(rng, verts, 0.8) + 0.02 * noise(rng, verts, 4.0))


@kind()
def toast_sandwich(rng):
    """Half a toast sandwich, a triangle."""
    side, food, z = rng.uniform(8, 10), [], 0.0
    for height, filling in SANDWICH:
        verts, faces = triangle(rng, side, height)
        if filling:
            look, values = filling(rng), {}
            verts = verts * [*rng.uniform(0.98, 1.08, 2), 1]
        else:
            inside = smoothstep(0.1, 0.35, np.minimum(verts[:, 0], verts[:, 1]) + side * 0.33)
            color = p.crust_color(rng, verts, np.full(len(verts), 0.8))
            values = {'paint': mix(color, p.crumb_color(rng, verts), inside), 'crumb': inside}
            look = mat.bread(rng)
        food.append(Part(verts + [0, 0, z + height], faces, look, values))
        z += height * 1.9
    return food


@kind()
def cookies(rng):
    """One to five biscuits with chocolate chips."""
    out = []
    for i in range(rng.integers(1, 6)):
        radius = rng.uniform(3.0, 3.8)
        grid = lump(rng, (radius, radius, 0.7), 2.6, 0.1, 2.0, 0.2)
        rim = smoothstep(0.85, 1.05, np.hypot(*grid[0].T[:2]) / radius)
        color = mix(speckled(rng, grid[0], 'd3a060', 'b0763a', 1.5), mat.rgb('7a4818'), rim * 0.6)
        cookie = Part(*grid, mat.painted(rng, 0.8, 3.0, 0.8), {'paint': color})
        chips = p.bits(rng, m.surface([cookie]), 22, radius * 0.75, radius * 0.4, 0.38, mat.sauce(rng, 'chocolate'))
        x, y = [(0, 0), (6.5, 1), (2, 6.2), (1.5, 1.5), (5, 4)][i]
        out += m.move(m.rest([cookie] + chips), x, y, 1.5 * (i > 2), rng.uniform(0, 6))
    return out


@kind()
def pancakes(rng):
    """A stack with syrup and butter."""
    food, z, radius = [], 0.0, rng.uniform(4.5, 5.8)
    for _ in range(rng.integers(2, 6)):
        verts, faces = lump(rng, (radius * rng.uniform(0.95, 1.05), radius, 0.75), 2.2, 0.06, 0.8, 0.22)
        rim = smoothstep(0.15, 0.5, np.abs(verts[:, 2]))
        color = mix(mat.rgb('eccf94'), speckled(rng, verts, 'c4833a', '9a5a20', 1.2), rim)
        verts = verts + [*rng.normal(0, 0.25, 2), z + 0.5]
        food.append(Part(verts, faces, mat.painted(rng, 0.6, 5.0, 0.3), {'paint': color}))
        z += 0.95
    verts, faces = lump(rng, (radius * 0.62, radius * 0.55, 0.16), 2.2, 0.12, 0.7, 0.1)
    food.append(Part(verts + [0, 0, z + 0.05], faces, mat.plain(vary(rng, '7a3a0c'), 0.08, coat=0.6)))
    verts, faces = m.rounded_box((0.9, 0.9, 0.4), 6, 0.2)
    verts = m.rotate(verts, 2, rng.uniform(0, 3)) + [*rng.normal(0, 0.5, 2), z + 0.5]
    return [*food, Part(verts, faces, mat.food(rng, 'f2dc8a', 'ead070', roughness=0.3))]


CAKES = [  # dough, cream
    ('6a3a1c', 'chocolate'),
    ('e8c98a', 'sugar'),
    ('e8c98a', 'pink'),
    ('5a2c14', 'sugar'),
    ('a8341e', 'sugar'),
]


def sector(q, length, half, k):
    """Distance from points q to a piece of a round of that radius and half angle (radians), its tip at 0."""
    x, y = q[:, 0], q[:, 1]
    return m.smooth_max(np.abs(y) * np.cos(half) - x * np.sin(half), np.hypot(x, y) - length, k)


@kind()
def cake(rng):
    """A slice of layer cake with icing."""
    length, half, height = rng.uniform(9, 11), rng.uniform(0.26, 0.36), rng.uniform(4.5, 6)
    dough, cream = pick(rng, CAKES)

    def wedge(lo, hi, grow):
        def distance(q):
            sides = sector(q, length, half, 0.2)
            return m.smooth_max(sides - grow, np.abs(q[:, 2] - (lo + hi) / 2) - (hi - lo) / 2, 0.15)

        return m.from_sdf(distance, (-0.5, -length * 0.4, lo - 0.4), (length + 0.5, length * 0.4, hi + 0.4), 0.2)

    look = mat.food(rng, vary(rng, dough), None, roughness=0.8, bump=0.9, grain=4.0)
    icing = mat.sauce(rng, cream)
    food, n = [], rng.integers(2, 4)
    for i in range(n):
        food.append(Part(*wedge(i * height / n, (i + 0.8) * height / n, 0), look))
        food.append(Part(*wedge((i + 0.8) * height / n, (i + 1) * height / n, 0.06), icing))
    red = mat.food(rng, vary(rng, 'b01820'), roughness=0.2, coat=0.5)
    verts, faces = m.ball(5)
    berry = Part(verts * 1.1 + [length * 0.75, 0, height + 0.8], faces, red)
    return food + [berry] * (rng.random() < 0.6)


@kind()
def cupcake(rng):
    radius, icing = rng.uniform(2.8, 3.4), pick(rng, ['chocolate', 'pink', 'sugar', 'cheese'])
    profile = np.array([(0.01, 0), (0.75, 0), (1, 1.3), (0.01, 1.35)]) * radius
    cup = m.revolve(profile, 96, lambda a: 1 + 0.03 * np.sin(24 * a))
    t = np.linspace(0, 1, 420)
    far = (1 - t) * radius * 0.85
    swirl = np.stack([far * np.cos(t * 20), far * np.sin(t * 20), radius * (1.3 + 1.1 * t)], 1)
    cream = m.tube(swirl, radius * (0.36 - 0.2 * t), 12)
    food = [Part(*cup, mat.plain(mat.dye(rng), 0.7)), Part(*cream, mat.sauce(rng, icing))]
    return food + (sprinkles(rng, food, radius * 0.4, radius * 0.4, 8) if rng.random() < 0.5 else [])


def nigiri(rng):
    """Fish on a lump of rice."""
    rice = lump(rng, (2.6, 1.2, 1.0), 3.0, 0.05, 4.0, 0.2)
    u, v = np.meshgrid(np.linspace(-1, 1, 40), np.linspace(-1, 1, 16), indexing='ij')
    z = 1.15 - 0.55 * np.abs(u) ** 3 - 0.5 * v**2 + 0.04 * noise(rng, np.stack([u, v], -1), 4.0)
    white = mat.food(rng, 'f2efe6', 'e4e0d2', 4.0, bump=0.8)
    colors = pick(rng, [('e8703a', 'f0a880'), ('b01c2a', 'd05a58'), ('f0e0d0', 'e8a890')])
    fish = mat.food(rng, *colors, 1.5, roughness=0.2, stretch=(2, 0.3, 1))
    return [Part(*rice, white), Part(*m.sheet(np.stack([u * 3.1, v * 1.3, z], -1)), fish, thickness=0.4)]


def maki(rng):
    """A roll of rice in seaweed."""
    band = m.revolve([(1.75, 0), (1.8, 1.2), (1.75, 2.4)], 40)
    seaweed = Part(*band, mat.plain('10160f', 0.5), thickness=0.1)
    rice = Part(*m.slice_(rng, 1.72, 2.4), mat.food(rng, 'f2efe6', 'e4e0d2', 4.0, bump=0.8))
    core = Part(*m.slice_(rng, 0.75, 0.2), mat.food(rng, *pick(rng, p.STICKS)))
    return [seaweed, rice, *m.move([core], z=2.3)]


@kind()
def sushi(rng):
    """Pieces of nigiri and rolls."""
    out = []
    for i in range(rng.integers(3, 7)):
        one = nigiri(rng) if rng.random() < 0.5 else maki(rng)
        out += m.move(m.rest(one), (i % 3) * 4.2, (i // 3) * 6.0, 0, np.pi / 2 + rng.normal(0, 0.15))
    return out


@kind()
def spaghetti(rng):
    """A heap with tomato sauce, or plain."""
    out, t = [], np.linspace(0, 1, 36)
    for _ in range(110):
        angle, r = rng.uniform(0, 6.28), np.abs(rng.normal(0, 2.2)) + 0.3
        turn = rng.uniform(1.5, 4) * rng.choice([-1, 1])
        far = r * (1 + 0.3 * np.sin(t * rng.uniform(3, 9) + rng.uniform(0, 6)))
        z = 0.3 + np.clip(3.2 - 0.7 * far, 0, 3) * rng.uniform(0.6, 1.05)
        out.append(m.tube(np.stack([far * np.cos(angle + turn * t), far * np.sin(angle + turn * t), z], 1), 0.25, 6))
    food = [Part(*p.join(out), mat.food(rng, vary(rng, 'e8cc84'), None, roughness=0.3, spots=0.08, coat=0.2))]
    heap = m.surface(food)
    if rng.random() < 0.8:
        look = mat.food(rng, vary(rng, 'a02412'), vary(rng, '7a180c'), 2.0, roughness=0.25, coat=0.4)
        food += p.bits(rng, heap, 220, 2.6, 1.4, 0.38, look, 'ball')
    return food + p.bits(rng, heap, 20, 3.0, 1.6, 0.22, mat.leaf(rng, dark=True))


@kind()
def strawberries(rng):
    """Four to ten, loose."""
    out = []
    for i in range(rng.integers(4, 10)):
        t = np.linspace(0, np.pi, 30)
        r, z = 1.45 * np.sin(t) ** 0.8 * (1 + 0.3 * np.cos(t)) + 0.003, 1.9 * np.cos(t)
        verts, faces = m.revolve(np.stack([r, z], 1)[::-1], 36)
        dots = smoothstep(0.75, 0.95, np.sin(7 * np.arctan2(verts[:, 1], verts[:, 0])) * np.sin(4.2 * verts[:, 2]))
        color = mix(speckled(rng, verts, 'c0182a', 'a01020'), mat.rgb('d8b050'), dots * 0.8)
        leaves = m.revolve([(1.1, 2.0), (0.5, 1.95), (0.01, 1.9)], 40, lambda a: 0.7 + 0.5 * np.cos(6 * a))
        one = [
            Part(verts, faces, mat.painted(rng, 0.25, 5.0, 0.15, coat=0.4), {'paint': color}),
            Part(*leaves, mat.leaf(rng, dark=True), thickness=0.06),
        ]
        m.rest(m.tilt(one, rng.uniform(1.2, 2.4)))
        x, y = (i % 3) * 3.2 + rng.normal(0, 0.3), (i // 3) * 3.3 + rng.normal(0, 0.3)
        out += m.move(one, x, y, 0, rng.uniform(0, 6))
    return out


@kind()
def cheese_wedge(rng):
    """A piece of cheese with holes."""
    length, half, height = rng.uniform(8, 11), rng.uniform(0.3, 0.5), rng.uniform(2.5, 4.5)
    holes = rng.uniform([1, -3.5, 0], [length, 3.5, height], (14, 3))
    sizes = rng.uniform(0.3, 0.95, 14)

    def distance(q):
        body = m.smooth_max(sector(q, length, half, 0.15), np.abs(q[:, 2] - height / 2) - height / 2, 0.15)
        for centre, size in zip(holes, sizes):
            body = m.smooth_max(body, size - np.linalg.norm(q - centre, axis=1), 0.08)
        return body

    shape = m.from_sdf(distance, (-0.3, -length * 0.55, -0.3), (length + 0.3, length * 0.55, height + 0.3), 0.2)
    colors = vary(rng, 'f0d68a'), vary(rng, 'e8c46a')
    return [Part(*shape, mat.food(rng, *colors, roughness=0.4, subsurface=0.2, bump=0.1))]


@kind()
def salad_bowl(rng):
    """Leaves, tomato and cucumber in a bowl."""
    radius = rng.uniform(6, 7.5)
    profile = np.array([(0.01, 0), (0.5, 0), (0.85, 0.25), (1, 0.6), (0.95, 0.6), (0.8, 0.3), (0.01, 0.1)])
    food = [Part(*m.revolve(profile * radius, 60), mat.plain(mat.dye(rng), 0.3, coat=0.3))]
    for _ in range(14):
        one = p.lettuce(rng, rng.uniform(2, 3.5), rng.uniform(2, 3), 0, 0, rng.uniform(0.2, 0.8))
        angle, r = rng.uniform(0, 6.28), radius * 0.55 * np.sqrt(rng.random())
        food += m.move([one], r * np.cos(angle), r * np.sin(angle), radius * 0.5 - 0.15 * r, rng.uniform(0, 6))
    top = m.surface(food)
    for color, n in [('b8281a', 8), ('b8d090', 8), ('8a3a6a', 5)]:
        look = mat.food(rng, vary(rng, color), roughness=0.25, coat=0.3)
        for x, y in rng.normal(0, radius * 0.33, (n, 2)):
            cut = m.tilt([Part(*m.slice_(rng, rng.uniform(1.0, 1.5), 0.35), look)], rng.normal(0, 0.4))
            food += m.move(cut, x, y, m.drop(top, [[x, y]], radius * 0.4)[0] + 0.3)
    return food
