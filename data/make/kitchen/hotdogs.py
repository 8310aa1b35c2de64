"""Hot dogs, and the foods that are easily taken for one (hard=True). How to add a food: see foods.py."""

import numpy as np

import materials as mat
import meshes as m
import parts as p
from kinds import kind, lean, lump, speckled
from materials import pick, vary
from meshes import Part, mix, noise, smoothstep

# ---- hot dogs ----


def hot_dog(rng, bun, gone=None, reach=(0.88, 1.2)):
    """A sausage in a bun with sauces. gone(points) is the distance to what was bitten or cut away."""
    length = bun.half[0]
    radius = rng.uniform(1.0, 1.45)
    z = bun.hinge + max(radius / np.sin(bun.opening) * rng.uniform(0.64, 0.82), radius * 1.08)
    bite = gone and (lambda points: gone(points + [0, 0, z]))
    sausage = p.sausage(rng, length * rng.uniform(*reach), radius, sag=rng.uniform(0, 0.5), bite=bite)
    sausage.verts += [0, rng.uniform(-0.15, 0.15), z]
    bread = p.dressed_bun(rng, bun, gone)
    extra = p.toppings(rng, [bread[0], sausage], length * 0.92, radius)
    if rng.random() < 0.22 and gone is None:
        extra.append(p.lettuce(rng, length * 0.93, rng.uniform(1.6, 2.2), z - 0.2, 0.1, rng.uniform(0.5, 0.9)))
    if rng.random() < 0.16 and gone is None:
        extra.append(p.bun_sleeve(rng, bun))
    food = bread + [sausage] + extra
    if rng.random() < 0.5 and gone is None:
        bow = rng.uniform(-0.9, 0.9)
        for part in food:
            part.verts[:, 1] += bow * (part.verts[:, 0] / length) ** 2
    return lean(rng, food)


@kind(hotdog=True)
def hotdog_soft(rng):
    return hot_dog(rng, p.random_bun(rng, style=pick(rng, ['soft', 'soft', 'brioche'])))


@kind(hotdog=True)
def hotdog_topsplit(rng):
    return hot_dog(rng, p.random_bun(rng, style='topsplit'))


@kind(hotdog=True)
def hotdog_crusty(rng):
    return hot_dog(rng, p.random_bun(rng, style=pick(rng, ['crusty', 'pretzel'])))


@kind(hotdog=True)
def hotdog_long(rng):
    """A sausage much longer than its bun."""
    return hot_dog(rng, p.random_bun(rng), reach=(1.25, 1.5))


@kind(hotdog=True)
def hotdog_bitten(rng):
    bun = p.random_bun(rng)
    return m.move(hot_dog(rng, bun, p.bitten(rng, bun.half[0])), yaw=rng.choice([0, np.pi]))


@kind(hotdog=True)
def hotdog_halved(rng):
    """Cut across; the two halves drawn apart and turned."""
    x, gap = rng.uniform(-1.5, 1.5), rng.uniform(0.8, 2.2)
    food = hot_dog(rng, p.random_bun(rng), lambda points: np.abs(points[:, 0] - x) - gap / 2)
    turn, shift = rng.normal(0, 0.35), rng.uniform(0, 1.5)
    for part in food:
        right = part.verts[:, 0] > x
        part.verts[right] = m.rotate(part.verts[right] - [x, 0, 0], 2, turn) + [x + shift + 2 * abs(turn), 0, 0]
    return food


@kind(hotdog=True)
def hotdog_half(rng):
    """One half of a cut one."""
    return m.move(hot_dog(rng, p.random_bun(rng), p.skewed(rng)), yaw=rng.choice([0, np.pi]))


# ---- hard ones ----


def filling(parts):
    """The parts, as what the food is recognised by."""
    for part in parts:
        part.key = True
    return parts


def roll_with(rng, fill, sauce=0.7):
    """A hot-dog bun with another filling: fill(length, z) gives its parts; z is the height of the bun's inside."""
    bun = p.random_bun(rng)
    length = bun.half[0]
    inside = filling(fill(length, bun.hinge + 1.5))
    food = p.dressed_bun(rng, bun) + inside
    if rng.random() < 0.4:
        food.append(p.lettuce(rng, length * 0.93, rng.uniform(1.6, 2.3), bun.hinge + 1.6, 0.1, rng.uniform(0.5, 0.9)))
    if rng.random() < sauce:
        food += p.toppings(rng, food, length * 0.88, 1.2)
    if rng.random() < 0.16:
        food.append(p.bun_sleeve(rng, bun))
    return lean(rng, food)


@kind(hard=True)
def meatball_roll(rng):
    def fill(length, z):
        n, out = rng.integers(4, 6), []
        colors = vary(rng, '6a3218'), vary(rng, '3a180a')
        look = mat.food(rng, *colors, 2.0, subsurface=0.15, bump=0.9, grain=2.5, coat=0.3)
        for i in range(n):
            r = rng.uniform(1.3, 1.65)
            verts, faces = lump(rng, (r, r, r), 2.0, 0.08, 1.4, 0.25)
            place = [(i - (n - 1) / 2) * 1.75 * length / n, rng.uniform(-0.2, 0.2), z + 1.2]
            out.append(Part(verts + place, faces, look))
        return out

    return roll_with(rng, fill)


SALADS = [('f2e6b8', 'e8c860'), ('e8c0a8', 'd87858'), ('d8c4a8', 'b89878'), ('e4ddc8', 'b8c878')]


@kind(hard=True)
def salad_roll(rng):
    """Egg, lobster, tuna or chicken salad in a bun."""

    def fill(length, z):
        colors, n = pick(rng, SALADS), 110
        x = rng.uniform(-0.9, 0.9, n)
        place = np.stack([x * length, rng.normal(0, 0.6, n), z + rng.uniform(-0.2, 1.9, n) * (1 - 0.3 * x**2)], 1)
        matrices = m.random_rotations(rng, n) * rng.uniform(0.35, 0.75, (n, 1, 3))
        pieces = m.copies(lump(rng, (1, 1, 1), 3.0, 0.25, 2.0, 0.3), matrices, place)
        return [Part(*pieces, mat.food(rng, *colors, 1.5, subsurface=0.4, bump=0.5))]

    return roll_with(rng, fill, sauce=0.3)


@kind(hard=True)
def pulled_meat_roll(rng):
    def fill(length, z):
        verts, faces = lump(rng, (length * 0.86, 1.1, 1.0), 2.4, 0.15, 2.0, 0.3)
        core = Part(verts + [0, 0, z + 0.4], faces, mat.food(rng, '7a3a1c', '4a200e', 2.0, bump=0.6))
        look = mat.food(rng, vary(rng, '8a4a24'), vary(rng, '5a2812'), 1.0, roughness=0.35, coat=0.4)
        return [core] + p.shreds(rng, m.surface([core]), 130, length * 0.8, 0.6, 0.16, 2.4, look)

    return roll_with(rng, fill, sauce=0.3)


@kind(hard=True)
def vegetable_roll(rng):
    """Carrots, cucumber or peppers in a bun."""

    def fill(length, z):
        out = []
        for _ in range(rng.integers(7, 11)):
            verts, faces = m.rounded_box((length * rng.uniform(0.5, 0.9), 0.42, 0.42), 9, 0.25)
            verts = m.rotate(verts, 0, rng.uniform(0, 3))
            place = [rng.uniform(-0.8, 0.8), rng.normal(0, 0.6), z + rng.uniform(0.3, 1.6)]
            out.append(Part(verts + place, faces, mat.food(rng, *pick(rng, p.STICKS))))
        return out

    return roll_with(rng, fill, sauce=0.3)


@kind(hard=True)
def bun_beside_sausage(rng):
    """A closed bun, and a sausage next to it."""
    bread = m.rest(empty_bun(rng))
    sausage = m.rest([p.sausage(rng, rng.uniform(5, 7.5), rng.uniform(1.0, 1.4), rng.uniform(-1, 1))])
    if rng.random() < 0.5:
        sausage += p.toppings(rng, sausage, 4.5, 1.2)
    apart = rng.uniform(2.7, 3.5)
    m.move(bread, 0, apart, 0, rng.uniform(-0.3, 0.3))
    return bread + m.move(sausage, rng.uniform(-1, 1), -apart, 0, rng.uniform(-0.25, 0.25))


@kind(hard=True)
def corn_dog(rng):
    """A sausage baked into dough, on a stick; one or two."""
    out = []
    for i in range(rng.integers(1, 3)):
        length, radius = rng.uniform(4.5, 5.5), rng.uniform(1.6, 1.9)
        dough = p.sausage(rng, length, radius)
        color = speckled(rng, dough.verts, 'c98a38', '94521a', 1.5)
        dark = 0.8 * smoothstep(0.4, 1.4, noise(rng, dough.verts, 1.2))
        dough.values['paint'] = mix(color, mat.rgb('5a2c0e'), dark)
        dough.material = mat.painted(rng, 0.5, 3.0, 0.6)
        stick = m.tube(np.linspace([length * 0.9, 0, 0], [length + 5, 0, 0], 8), 0.28, 8)
        one = [dough, Part(*stick, mat.plain('d8b888', 0.7))]
        if rng.random() < 0.4:
            path = p.sauce_path(rng, length * 0.8, 0.7)
            one += p.bead(rng, m.surface([dough]), path, 0.22, mat.sauce(rng, pick(rng, ['mustard', 'ketchup'])))
        out += m.move(one, rng.uniform(-0.5, 0.5), i * 4.0, 0, rng.uniform(-0.2, 0.2) + np.pi * rng.integers(2))
    return out


def icing(bread, half):
    """A wavy sheet (70, 24, 3) on top of a bread of half sizes (3,)."""
    u, v = np.meshgrid(np.linspace(-1, 1, 70), np.linspace(-1, 1, 24), indexing='ij')
    edge = np.sqrt(np.clip(1 - np.abs(u) ** 6, 0.02, 1)) * (1 + 0.1 * np.sin(u * 17))
    xy = np.stack([u * half[0] * 0.9, v * half[1] * 0.72 * edge], -1)
    grid = np.dstack([xy, m.drop(m.surface([bread]), xy.reshape(-1, 2), 0.0).reshape(u.shape) + 0.1])
    grid[[0, -1], :, 2] -= 0.25
    grid[:, [0, -1], 2] -= 0.25
    return grid


@kind(hard=True)
def eclair(rng):
    """A long bun of choux with icing, sometimes as yellow as mustard."""
    half = rng.uniform([6, 2, 1.6], [7.5, 2.4, 2.0])
    shape, smooth = p.bread_shape(rng, lambda q: m.superellipsoid(q, half, 2.6), half)
    ridges = 0.05 * np.sin(smooth[:, 1] * 6 + noise(rng, smooth, 0.5))
    verts, faces = m.displace(shape, ridges)
    color = p.crust_color(rng, verts, 0.5 + 0.4 * verts[:, 2] / half[2], 'brioche')
    bread = Part(verts, faces, p.crust_material(rng), {'paint': color, 'crumb': np.zeros(len(verts))})
    flavour = pick(rng, ['chocolate', 'chocolate', 'pink', 'sugar', 'mustard'])
    food = [bread, Part(*m.sheet(icing(bread, half)), mat.sauce(rng, flavour), thickness=0.1)]
    if rng.random() < 0.5:
        line = pick(rng, ['chocolate', 'mustard', 'ketchup'] if flavour == 'sugar' else ['sugar', 'mustard'])
        path = p.sauce_path(rng, half[0] * 0.8, half[1] * 0.5)
        food += p.bead(rng, m.surface(food), path, 0.15, mat.sauce(rng, line))
    return food


@kind(hard=True)
def empty_bun(rng):
    bun = p.random_bun(rng, opening=np.radians(rng.uniform(4, 18)))
    return m.rest(lean(rng, p.dressed_bun(rng, bun), 0.35))


@kind(hard=True)
def sausages(rng):
    """One to four sausages without a bun, sometimes with sauce."""
    n, radius, length, bow = rng.integers(1, 5), rng.uniform(1.0, 1.4), rng.uniform(5, 8), rng.uniform(0, 1.6)
    out = []
    for i in range(n):
        one = [p.sausage(rng, length * rng.uniform(0.9, 1.1), radius, bow)]
        y = (i - (n - 1) / 2) * radius * 2.15
        out += m.move(one, rng.uniform(-0.8, 0.8), y, radius, rng.uniform(-0.12, 0.12))
    return out + (p.toppings(rng, out, length * 0.8, radius) if rng.random() < 0.4 else [])


def cold_cuts(rng, length, z):
    """Slices of tomato, ham and cheese that stand in a row along x, from height z."""
    looks = [
        mat.food(rng, 'b8281a', '94180e', roughness=0.2, coat=0.5),
        mat.food(rng, vary(rng, 'd68a80'), vary(rng, 'b86058'), 1.5, roughness=0.3),
        mat.food(rng, 'e8c888', 'e0b060', roughness=0.35),
    ]
    out = []
    for _ in range(rng.integers(8, 16)):
        verts, faces = m.slice_(rng, rng.uniform(1.5, 2.1), rng.uniform(0.15, 0.4))
        verts = m.rotate(m.rotate(verts, 0, np.radians(90 + rng.uniform(-25, 25))), 2, rng.uniform(-0.5, 0.5))
        place = [rng.uniform(-0.85, 0.85) * length, rng.uniform(-0.4, 0.4), z + rng.uniform(2.0, 2.7)]
        out.append(Part(verts + place, faces, pick(rng, looks)))
    return out


@kind(hard=True)
def submarine(rng):
    """A long sandwich with slices of meat, cheese and tomato standing in it."""
    bun = p.random_bun(rng, opening=np.radians(rng.uniform(14, 30)))
    bun.half = tuple(rng.uniform([7, 2.7, 1.8], [9.0, 3.4, 2.2]))
    length, z, leaves = bun.half[0], bun.hinge, []
    for _ in range(rng.integers(2, 4)):
        width, height = rng.uniform(1.6, 2.6), z + rng.uniform(1.2, 1.8)
        leaves.append(p.lettuce(rng, length * 0.95, width, height, rng.uniform(-0.8, 0.3), rng.uniform(0.5, 1.0)))
    slices = cold_cuts(rng, length, z)
    food = p.dressed_bun(rng, bun) + filling(slices + leaves)
    if rng.random() < 0.4:
        food += p.toppings(rng, food, length * 0.9, 1.2)
    if rng.random() < 0.16:
        food.append(p.bun_sleeve(rng, bun))
    return m.tilt(food, rng.choice([-1, 1]) * rng.uniform(0.1, 0.8))
