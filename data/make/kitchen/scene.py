"""One picture: a food on a table, things around it, light, a camera, the exposure, the render.

`picture` is the door; what it promises is measured in `aim` and `frame_roles` (by rays through the camera, before
rendering) and `well_exposed` (on the picture). Nothing here knows which foods are hot dogs.
"""

import io
import math
import tempfile
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector
from PIL import Image

import foods  # noqa: F401  (foods and hotdogs enter their functions in KINDS)
import hotdogs  # noqa: F401
import materials as mat
import meshes as m
import parts
from kinds import KINDS, make  # noqa: F401  (run.py takes KINDS from here)
from materials import pick, vary
from meshes import Part, noise, smoothstep

MIN_SUBJECT, MAX_SUBJECT = 0.12, 0.75  # share of the frame that the food covers
MIN_KEY = 0.03  # share of the frame that its key parts cover
MIN_VISIBLE = 0.25  # share of its key surface (see `key_points`) that the camera sees
ATTEMPTS = 12
HERE = Matrix.Identity(4)  # as a part was made, neither moved nor turned


class Unfit(Exception):
    """The picture of this attempt would not show what its label says."""


# ---- from parts to Blender ----


def start(size, samples, threads):
    """An empty scene with Cycles set up for speed at `size` pixels."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.engine = 'CYCLES'
    scene.render.resolution_x = scene.render.resolution_y = size
    scene.render.threads_mode, scene.render.threads = 'FIXED', threads
    cycles = scene.cycles
    cycles.device, cycles.samples, cycles.use_adaptive_sampling = 'CPU', samples, False
    cycles.use_denoising, cycles.denoiser, cycles.denoising_prefilter = True, 'OPENIMAGEDENOISE', 'FAST'
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces, cycles.transmission_bounces = 4, 2, 2, 4
    cycles.caustics_reflective = cycles.caustics_refractive = cycles.use_light_tree = False
    cycles.sample_clamp_indirect = 6.0
    return scene


def place(x=0.0, y=0.0, z=0.0, yaw=0.0):
    return Matrix.Translation((x, y, z)) @ Matrix.Rotation(yaw, 4, 'Z')


def add(part, matrix=HERE, role=''):
    """The part as an object of the scene; role is 'key', 'subject' or '' (see `frame_roles`)."""
    mesh = bpy.data.meshes.new('mesh')
    mesh.from_pydata(part.verts.tolist(), [], part.faces.tolist())
    for name, value in part.values.items():
        value = np.asarray(value, np.float32)
        if value.ndim == 2:
            colors = np.column_stack([value, np.ones(len(value), np.float32)])
            mesh.attributes.new(name, 'FLOAT_COLOR', 'POINT').data.foreach_set('color', colors.ravel())
        else:
            mesh.attributes.new(name, 'FLOAT', 'POINT').data.foreach_set('value', value)
    if part.smooth:
        mesh.shade_smooth()
    mesh.materials.append(part.material)
    thing = bpy.data.objects.new(role, mesh)
    bpy.context.scene.collection.objects.link(thing)
    thing.matrix_world = matrix
    thing['role'] = role
    if part.thickness:
        solid = thing.modifiers.new('thickness', 'SOLIDIFY')
        solid.thickness, solid.offset = part.thickness, 0
    return thing


def add_all(parts, matrix=HERE):
    for part in parts:
        add(part, matrix)


# ---- what the food lies on: (parts, height) ----


def plate(rng, size):
    """size: radius in cm."""
    height = rng.uniform(0.8, 1.8)
    profile = [
        (0.01, 0),
        (0.55, 0),
        (0.6, 0),
        (0.98, height - 0.12),
        (1, height),
        (0.97, height + 0.06),
        (0.7, 0.5 + 0.1 * height),
        (0.64, 0.38),
        (0.01, 0.35),
    ]
    verts, faces = m.revolve(np.array(profile) * [size, 1], 72)
    far = np.hypot(verts[:, 0], verts[:, 1]) / size
    verts[:, 0] *= 1.25 if rng.random() < 0.2 else 1
    color = vary(rng, 'f1efe9', 0.03) if rng.random() < 0.55 else mat.dye(rng)
    rim = mat.dye(rng) if rng.random() < 0.35 else color
    look = mat.painted(rng, rng.uniform(0.1, 0.35), bump=0.0, spots=0.02, coat=0.5, subsurface=0)
    return [Part(verts, faces, look, {'paint': m.mix(color, rim, far > 0.93)})], 0.36


def crumpled(rng, size, material):
    """A sheet of paper, foil or cloth."""
    x, y = np.meshgrid(np.linspace(-1, 1, 80), np.linspace(-1, 1, 80), indexing='ij')
    xy = np.stack([x, y * rng.uniform(0.6, 1)], -1) * size * rng.uniform(0.95, 1.25)
    folds = 0.1 * noise(rng, xy, 0.45) + 0.05 * np.abs(noise(rng, xy, 1.3)) + 0.025 * np.abs(noise(rng, xy, 3.0))
    z = 0.06 + np.abs(folds)
    corner = smoothstep(0.75, 1, np.maximum(np.abs(x), np.abs(y)))
    z += corner * np.abs(noise(rng, xy, 0.3)) * rng.uniform(0.2, 1.6)
    verts, faces = m.sheet(np.dstack([xy, z]))
    return [Part(m.rotate(verts, 2, rng.uniform(0, 6.3)), faces, material, thickness=0.03)], 0.14


def board(rng, size):
    verts, faces = m.rounded_box((size * 1.1, size * rng.uniform(0.6, 0.85), 0.8), 9, 0.5)
    return [Part(verts + [0, 0, 0.8], faces, mat.wood(rng, planks=False))], 1.6


def tray(rng, size):
    t = np.linspace(0, 2 * np.pi, 120)
    x, y = (np.sign(a) * np.abs(a) ** 0.25 for a in (np.cos(t), np.sin(t)))
    outline = np.stack([x * 1.1, y * rng.uniform(0.75, 1)], 1) * size
    steps = [(0.01, 0.1), (0.9, 0.1), (0.95, 0.2), (1, 1.3), (1.05, 1.35), (1.05, 1.2)]
    grid = np.stack([np.column_stack([outline * q, np.full(120, z)]) for q, z in steps])
    metal = rng.random() < 0.5
    look = mat.plain((0.6, 0.6, 0.62), 0.3, metallic=1.0, bump=0.05) if metal else mat.plain(mat.dye(rng), 0.35)
    return [Part(*m.sheet(grid), look, thickness=0.08)], 0.15


def paper_boat(rng, half):
    """A folded tray for something of half sizes (x, y)."""
    size = np.array([half[0] * 1.12, max(3.2, half[1] * 1.15)])
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    flare, height = rng.uniform(1.1, 1.3), rng.uniform(2, 3.4)
    floor = np.column_stack([corners * size, np.full(4, 0.05)])
    rim = np.column_stack([corners * size * [1 + 0.15 * (flare - 1), flare], np.full(4, height)])
    faces = [[0, 1, 2], [0, 2, 3]]
    for i, j in [(0, 1), (1, 2), (2, 3), (3, 0)]:  # a side each
        faces += [[i, j, 4 + j], [i, 4 + j, 4 + i]]
    verts = np.concatenate([floor, rim])
    return [Part(verts, np.array(faces), mat.paper(rng), thickness=0.1, smooth=False)], 0.12


SHEETS = {
    'paper': mat.paper,
    'foil': lambda rng: mat.foil(),
    'napkin': lambda rng: mat.cloth(rng, pick(rng, ['gingham', 'plain', 'stripe'])),
}
DISHES = {'plate': plate, 'board': board, 'tray': tray}
SUPPORTS = {  # odds
    'plate': 0.34,
    'none': 0.1,
    'paper': 0.13,
    'board': 0.13,
    'tray': 0.08,
    'boat': 0.1,
    'foil': 0.05,
    'napkin': 0.07,
}


def support(rng, half):
    """Something, or nothing, to lie on for a food of half sizes (x, y)."""
    size = max(half) * rng.uniform(1.12, 1.4)
    kind = pick(rng, list(SUPPORTS), list(SUPPORTS.values()))
    if kind == 'none':
        return [], 0.02
    if kind == 'boat':
        return paper_boat(rng, half)
    if kind in SHEETS:
        return crumpled(rng, size, SHEETS[kind](rng))
    return DISHES[kind](rng, size)


# ---- things around it ----


def glass(rng):
    radius, height = rng.uniform(2.6, 3.8), rng.uniform(7, 13)
    profile = np.array([(0.01, 0), (0.8, 0), (1, height), (0.93, height), (0.74, 0.5), (0.01, 0.5)]) * [radius, 1]
    clear = rng.random() < 0.6
    look = mat.plain((0.95, 0.97, 0.97), 0.03, transmission=1.0) if clear else mat.plain(mat.dye(rng), 0.3)
    drink = np.array([(0.01, 0.55), (0.75, 0.55), (0.88, 0.72 * height), (0.01, 0.72 * height)]) * [radius, 1]
    color = vary(rng, pick(rng, ['5a1a08', 'd8881a', 'e8e4dc']))
    return [Part(*m.revolve(profile, 40), look), Part(*m.revolve(drink, 40), mat.plain(color, 0.05))]


def bottle(rng):
    radius, height = rng.uniform(2.3, 3.2), rng.uniform(14, 20)
    profile = [
        (0.01, 0),
        (radius, 0),
        (radius, height * 0.62),
        (radius * 0.4, height * 0.8),
        (radius * 0.35, height),
        (0.01, height),
    ]
    color = vary(rng, pick(rng, ['b01208', 'e0b010', '2a4a18', '3a1a08', 'e8e8e8']))
    return [Part(*m.revolve(profile, 40), mat.plain(color, 0.2, coat=0.5))]


def bowl(rng):
    radius = rng.uniform(4, 6)
    profile = [
        (0.01, 0),
        (radius * 0.5, 0),
        (radius, radius * 0.55),
        (radius * 0.95, radius * 0.55),
        (radius * 0.45, 0.5),
        (0.01, 0.5),
    ]
    fill = m.revolve([(radius * 0.85, radius * 0.42), (0.01, radius * 0.45)], 40)
    soup = Part(*fill, mat.food(rng, mat.dye(rng), bump=0.8, grain=2.0))
    return [Part(*m.revolve(profile, 48), mat.plain(mat.dye(rng), 0.25)), soup]


def box(rng):
    look = mat.wood(rng, planks=False) if rng.random() < 0.4 else mat.plain(mat.dye(rng), 0.6)
    return [Part(*m.rounded_box(rng.uniform(2, [6, 5, 7]), 12, 0.6), look)]


def fork(rng):
    """A fork or knife, lying."""
    t = np.linspace(0, 1, 40)
    width = 0.35 + 0.25 * smoothstep(0.7, 0.8, t) + 0.75 * smoothstep(0.76, 0.84, t)
    look = mat.plain((0.75, 0.75, 0.77), 0.18, metallic=1.0)
    path = np.stack([t * 14 - 8, 0 * t, 0.35 + 0.5 * smoothstep(0.6, 0.8, t)], 1)
    out = [Part(*m.tube(path, width, 10, flat=0.25), look)]
    for y in (-0.75, -0.25, 0.25, 0.75):  # tines
        path = np.stack([t * 4 + 5.8, 0 * t + y, 0.85 - 0.5 * t * t], 1)
        out.append(Part(*m.tube(path, 0.16 * (1.15 - t), 8), look))
    return out


def prop(rng):
    """Something that stands on tables."""
    what = pick(rng, [glass, glass, bottle, bottle, bowl, bowl, box, fork, 'dish', 'food'])
    if what == 'dish':
        return plate(rng, rng.uniform(6, 9))[0]
    if what == 'food':
        return make(pick(rng, ['apple', 'cucumber', 'carrot', 'eggs']), rng)
    return m.rest(what(rng))


def table(rng):
    """The table, its far edge, and mostly a wall behind; returns how far away the edge is."""
    edge = rng.uniform(26, 80)
    corners = np.stack([*np.meshgrid([-120, 120], [-90, edge], indexing='ij'), np.zeros((2, 2))], -1)
    add(Part(*m.sheet(corners), mat.tabletop(rng), smooth=False))
    return edge


def wall(rng, edge):
    y = edge + rng.uniform(5, 60)
    corners = np.stack([[[-300, -300], [300, 300]], np.full((2, 2), y), [[-80, 200], [-80, 200]]], -1)
    add(Part(*m.sheet(corners), mat.tabletop(rng), smooth=False))


def place_round(rng, angle, far, z=0.02):
    """So far from the food, in that direction (radians), turned anyhow."""
    return place(far * np.cos(angle), far * np.sin(angle), z, rng.uniform(0, 6))


def crumbs(rng, radius):
    n = rng.integers(10, 60)
    matrices = m.random_rotations(rng, n) * rng.uniform(0.08, 0.3, (n, 1, 3))
    where = np.column_stack([rng.normal(0, radius * 0.8, (n, 2)), np.full(n, 0.1)])
    return Part(*m.copies(m.ball(0), matrices, where), mat.plain(pick(rng, ['c98d48', '3f6a1c', '2a1a10']), 0.7))


def clutter(rng, radius, edge, toward):
    """Props behind and beside a food of that radius, crumbs, a side dish; one prop may stand before it.

    toward: direction of the camera on the table, in radians.
    """
    for _ in range(rng.integers(2, 7)):
        y = rng.uniform(radius * 1.35 + 5, max(edge - 5, radius * 1.35 + 6))
        add_all(prop(rng), place(rng.uniform(-30, 30), y, 0.02, rng.uniform(0, 6)))
    for _ in range(pick(rng, [0, 0, 1, 2])):
        angle, far = rng.uniform(-0.6, 3.7), radius * rng.uniform(1.4, 1.9) + 2.5
        add_all(prop(rng), place_round(rng, angle, far))
    if rng.random() < 0.14:
        angle = toward + rng.choice([-1, 1]) * rng.uniform(0.25, 0.7)
        far = radius * rng.uniform(1.15, 1.5) + 2.0
        add_all(m.rest(pick(rng, [glass, bottle, bowl, fork])(rng)), place_round(rng, angle, far))
    if rng.random() < 0.25:
        add(crumbs(rng, radius))
    if rng.random() < 0.2:
        angle = toward + rng.uniform(0.9, 5.4)
        side = make(pick(rng, ['fries', 'cucumber', 'apple']), rng)
        add_all(side, place_round(rng, angle, radius * 0.95 + 4.5, 0.1))


# ---- light ----


def blurred(rng, height, width, outdoors):
    """Colours (height, width, 3) of a garden or a room, all around."""
    angles = np.linspace(-1.5, 1.5, height), np.linspace(-np.pi, np.pi, width, endpoint=False)
    lat, lon = np.meshgrid(*angles, indexing='ij')
    ball = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], -1)
    if outdoors:
        one, other, bright = (vary(rng, c, 0.15) for c in ('4a6a2a', '2a3a1a', 'cfe0f0'))
    else:
        one, other, bright = mat.dye(rng), mat.dye(rng) * 0.4, np.array([1, 0.85, 0.6])
    color = m.mix(one, other, smoothstep(-0.6, 0.6, noise(rng, ball, rng.uniform(3, 8))))
    lights = smoothstep(0.5, 1.3, noise(rng, ball, rng.uniform(6, 16)))
    return m.mix(color, bright * rng.uniform(1, 4), lights)


def surroundings(rng, outdoors):
    """Put a small image of what is all around on the world."""
    height, width = 32, 64
    color = blurred(rng, height, width, outdoors)
    strength = rng.uniform(0.7, 1.3) if outdoors else rng.uniform(0.25, 0.8)
    image = bpy.data.images.new('surroundings', width, height, float_buffer=True)
    image.colorspace_settings.name = 'Linear Rec.709'
    image.pixels.foreach_set(np.dstack([color, np.ones((height, width))]).astype(np.float32).ravel())
    world = bpy.data.worlds.new('world')
    bpy.context.scene.world = world
    world.cycles.sampling_method, world.cycles.sample_map_resolution = 'MANUAL', 64
    g = mat.Graph(world.node_tree)
    around = g.node('TexEnvironment', settings={'image': image})
    background = g.node('Background', Color=around, Strength=strength * rng.uniform(0.35, 1.0))
    g.node('OutputWorld', Surface=background)


def look_at(start, target, roll=0.0):
    """Matrix of a camera or light at start that looks at target."""
    aim = (Vector(target) - Vector(start)).normalized().to_track_quat('-Z', 'Y').to_matrix().to_4x4()
    return Matrix.Translation(start) @ aim @ Matrix.Rotation(roll, 4, 'Z')


def direction(elevation, azimuth):
    """Unit vector for angles in radians."""
    level = math.cos(elevation)
    return np.array([level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation)])


def light(kind, start, energy, color, **settings):
    lamp = bpy.data.lights.new('light', kind)
    lamp.energy, lamp.color = energy, color
    for name, value in settings.items():
        setattr(lamp, name, value)
    thing = bpy.data.objects.new('light', lamp)
    bpy.context.scene.collection.objects.link(thing)
    thing.matrix_world = look_at(start, (0, 0, 1))


def white_balance(rng):
    """Colour of lamp light: warm, or cool daylight."""
    warm = rng.random()
    return (1, 0.78 + 0.22 * warm, 0.5 + 0.5 * warm) if rng.random() < 0.6 else (0.8, 0.9, 1)


def lights(rng, outdoors, eye):
    """A sun, or a window and a lamp; now and then a flash from the camera at eye (3,)."""
    if outdoors and rng.random() < 0.75:
        sun = direction(math.radians(rng.uniform(25, 75)), rng.uniform(0, 6.28)) * 50
        strength, color = rng.uniform(2.5, 5), (1, rng.uniform(0.82, 0.97), rng.uniform(0.65, 0.92))
        light('SUN', sun, strength, color, angle=math.radians(rng.uniform(0.5, 6)))
        return
    window = direction(math.radians(rng.uniform(15, 75)), rng.uniform(-0.3, 3.5)) * 60
    strength, color = 65000 * rng.uniform(0.6, 1.3), white_balance(rng)
    light('AREA', window, strength, color, size=math.exp(rng.uniform(math.log(8), math.log(70))))
    if rng.random() < 0.7:
        lamp = direction(math.radians(rng.uniform(20, 80)), rng.uniform(0, 6.28)) * 60
        light('AREA', lamp, 25000 * rng.uniform(0.2, 1), white_balance(rng), size=rng.uniform(10, 60))
    if rng.random() < 0.1:
        light('AREA', eye + [1.5, 0, 3], 36 * (eye @ eye), (1, 1, 1), size=1.5)


# ---- camera, and what it sees ----


class View:
    """A camera that looks at `target` from `elevation` (radians), `distance` cm away."""

    def __init__(self, rng, radius, top):
        """For a food of that radius whose middle is at height top."""
        self.focal = rng.uniform(28, 75)  # mm on a 36 mm sensor
        zoom = math.exp(np.clip(rng.normal(0.04, 0.2), -0.28, 0.5))
        self.distance = radius * 2.25 * self.focal / 36 * zoom + radius * 0.3
        self.azimuth, self.roll = -np.pi / 2 + rng.normal(0, 0.25), rng.normal(0, 0.09)
        above = rng.random() < 0.12
        self.elevation = math.radians(rng.uniform(78, 89) if above else np.clip(rng.normal(44, 17), 18, 85))
        self.target = np.array([*rng.normal(0, radius * 0.12, 2), top])
        if rng.random() < 0.12:  # half out of the picture
            turn = rng.uniform(0, 6.28)
            self.target[:2] += radius * rng.uniform(0.5, 0.85) * np.array([np.cos(turn), np.sin(turn)])
        self.focus = self.distance * rng.uniform(0.93, 1.03)
        self.blur = math.exp(rng.uniform(math.log(0.0015), math.log(0.016)))  # aperture over distance

    @property
    def eye(self):
        return self.target + self.distance * direction(self.elevation, self.azimuth)

    @property
    def matrix(self):
        return look_at(self.eye, self.target, self.roll)

    def project(self, points):
        """Places (n, 2) of world points in the frame, -1 to 1 inside."""
        own = np.column_stack([points, np.ones(len(points))]) @ np.array(self.matrix.inverted()).T
        return own[:, :2] / -own[:, 2:3] * (2 * self.focal / 36)

    def rays(self, n):
        """Directions (n * n, 3) through the middles of n x n fields of the frame, top row first."""
        t = (np.arange(n) + 0.5) / n * 2 - 1
        x, y = np.meshgrid(t, -t)
        own = np.stack([x.ravel(), y.ravel(), np.full(n * n, -2 * self.focal / 36)], 1)
        return own @ np.array(self.matrix.to_3x3()).T

    def add(self):
        camera = bpy.data.cameras.new('camera')
        camera.lens, camera.sensor_width, camera.clip_end = self.focal, 36, 2000
        camera.dof.use_dof, camera.dof.focus_distance = True, self.focus
        camera.dof.aperture_fstop = self.focal * 1e-3 / 2 / (self.distance * self.blur)
        thing = bpy.data.objects.new('camera', camera)
        bpy.context.scene.collection.objects.link(thing)
        thing.matrix_world = self.matrix
        bpy.context.scene.camera = thing


def key_points(food, step=0.35):
    """Points (n, 3), evenly over what is seen of the key parts from straight above with all toppings taken off."""
    bare = [part for part in food if part.key or 'crumb' in part.values]
    lo, hi = m.bounds([part for part in bare if part.key])
    key = np.concatenate([np.full(len(part.faces), part.key) for part in bare])
    tree, out = m.surface(bare), []
    for x in np.arange(lo[0], hi[0], step):
        for y in np.arange(lo[1], hi[1], step):
            point, _, face, _ = tree.ray_cast(Vector((x, y, 40)), Vector((0, 0, -1)))
            if point is not None and key[face]:
                out.append(point)
    return np.array(out)


def visible_share(view, points):
    """Share of points (n, 3) that the camera sees: in the frame, and nothing before them."""
    scene, graph = bpy.context.scene, bpy.context.evaluated_depsgraph_get()
    eye, seen = Vector(view.eye), 0
    for point in points[(np.abs(view.project(points)) < 1).all(1)]:
        ray = Vector(point) - eye
        hit, where, *_ = scene.ray_cast(graph, eye, ray.normalized())
        seen += hit and (where - eye).length > ray.length - 0.12
    return seen / len(points)


def frame_roles(view, n=48):
    """What is seen in n x n fields of the frame: (n, n) of 2 for key parts, 1 for the rest of the food, else 0."""
    scene, graph, eye = bpy.context.scene, bpy.context.evaluated_depsgraph_get(), Vector(view.eye)
    roles = []
    for ray in view.rays(n):
        hit, _, _, _, thing, _ = scene.ray_cast(graph, eye, Vector(ray))
        roles.append({'key': 2, 'subject': 1}.get(thing.get('role'), 0) if hit else 0)
    return np.array(roles).reshape(n, n)


def aim(view, items):
    """Raise the camera until enough of the key surface of one of the items (lists of points) is seen."""
    for _ in range(8):
        visible = max(visible_share(view, points) for points in items)
        if visible >= MIN_VISIBLE + 0.02 or view.elevation >= 1.5:
            break
        view.elevation = min(view.elevation + 0.15, 1.5)
    if visible < MIN_VISIBLE:
        raise Unfit('hidden')
    return visible


# ---- the render ----


def read_linear(path):
    """Pixels (size, size, 3) of an EXR file, linear, top row first."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = 'Non-Color'
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    size = image.size[0]
    bpy.data.images.remove(image)
    return pixels.reshape(size, size, -1)[::-1, :, :3]


def exposure(rng, pixels, roles):
    """Stops that bring the food and the frame to a middle grey without burning the food out or drowning it."""
    n = len(pixels)
    mask = np.array(Image.fromarray((roles > 0).astype(np.uint8)).resize((n, n), Image.NEAREST)) > 0
    gray = np.log(pixels @ [0.2126, 0.7152, 0.0722] + 1e-3)
    food, level = gray[mask].mean() / math.log(2), gray.mean() / math.log(2)
    brightest = np.log2([np.percentile(pixels[mask].max(-1), 97) + 1e-3, np.percentile(pixels.max(-1), 93) + 1e-3])
    stops = min(math.log2(0.22) - 0.6 * food - 0.4 * level, 0.6 - brightest[0], 0.9 - brightest[1]) + rng.normal(0, 0.2)
    return float(np.clip(stops, math.log2(0.1) - food, math.log2(0.45) - food))


def develop(rng, image):
    """The bytes of a picture (PIL) from a phone: contrast, saturation, white balance, vignette, noise, JPEG."""
    a = np.asarray(image, float) / 255
    y, x = np.mgrid[-1 : 1 : a.shape[0] * 1j, -1 : 1 : a.shape[1] * 1j]
    a = m.mix(a, a * a * (3 - 2 * a), np.full(a.shape[:2], rng.uniform(0, 0.3)))
    gray = a.mean(-1, keepdims=True)
    a = np.clip(gray + (a - gray) * rng.uniform(0.85, 1.12), 0, 1)
    a *= [1 + rng.normal(0, 0.035), 1, 1 + rng.normal(0, 0.05)]
    a *= (1 - rng.uniform(0, 0.22) * (x * x + y * y) / 2)[..., None]
    grain = rng.normal(0, 1, a.shape)
    grain = 0.6 * grain + 0.9 * grain.mean(-1, keepdims=True)
    a += grain * math.exp(rng.uniform(math.log(0.002), math.log(0.014))) * np.sqrt(np.clip(a, 0.02, 1))
    out, image = io.BytesIO(), Image.fromarray((np.clip(a, 0, 1) * 255 + 0.5).astype(np.uint8))
    image.save(out, 'JPEG', quality=int(rng.uniform(78, 93)), subsampling=2)
    return out.getvalue()


FILMS = {
    'AgX': ['AgX - Medium High Contrast', 'AgX - High Contrast', 'AgX - Punchy'],
    'Filmic': ['Medium High Contrast', 'High Contrast'],
    'Standard': ['None'],
}


def render(rng, scene, roles):
    """Render, expose for the food, and put on a film's tones: a PIL image."""
    bpy.ops.render.render()
    result, form = bpy.data.images['Render Result'], scene.render.image_settings
    with tempfile.TemporaryDirectory() as folder:
        form.file_format = 'OPEN_EXR'
        result.save_render(f'{folder}/linear.exr', scene=scene)
        view = scene.view_settings
        view.view_transform = pick(rng, list(FILMS), [0.35, 0.45, 0.2])
        view.look = pick(rng, FILMS[view.view_transform])
        view.exposure = exposure(rng, read_linear(Path(folder, 'linear.exr')), roles)
        form.file_format = 'PNG'
        result.save_render(f'{folder}/film.png', scene=scene)
        with Image.open(f'{folder}/film.png') as image:
            return image.convert('RGB')


def well_exposed(image, roles):
    """Raise Unfit if the food is nearly black or burnt out in the picture."""
    frame = np.asarray(image.convert('L').resize(roles.shape, Image.BOX), float) / 255
    food = frame[roles > 0]
    if food.mean() < 0.2 or (food < 0.05).mean() > 0.35 or (frame < 0.03).mean() > 0.5:
        raise Unfit('dark')
    if food.mean() > 0.88 or (food > 0.97).mean() > 0.2 or (frame > 0.97).mean() > 0.35:
        raise Unfit('bright')


# ---- one picture ----


def hold(rng, half, items):
    """Put a support, or a hand, under that many foods of half sizes (x, y) in all: how they are turned, how high."""
    if half[1] < 4 and items == 1 and rng.random() < 0.08:
        yaw, z = rng.normal(0, 0.3), 9.0
        add(parts.hand(rng, half[1] - 0.3), place(z=z, yaw=yaw))
    else:
        yaw = rng.uniform(0, 2 * np.pi)
        below, z = support(rng, half)
        add_all(below, place(yaw=yaw + rng.normal(0, 0.08)))
    return yaw, z


def put(food, matrix):
    """Add the food at that place; its key points, in the world."""
    for part in food:
        add(part, matrix, 'key' if part.key else 'subject')
    here = key_points(food)
    return np.column_stack([here, np.ones(len(here))]) @ np.array(matrix).T[:, :3]


def serve(rng, kind):
    """One or two foods of the kind: the key points of each, the radius of all, the height of their middle."""
    items = [make(kind, rng) for _ in range(2 if rng.random() < 0.2 else 1)]
    boxes = [m.bounds(food) for food in items]
    depth = [hi[1] - lo[1] for lo, hi in boxes]
    if len(items) == 2 and sum(depth) > 17:  # two big ones don't fit on a plate
        items, boxes, depth = items[:1], boxes[:1], depth[:1]
    half = np.array([max(hi[0] for _, hi in boxes), sum(depth) / 2 + 0.2 * (len(items) - 1)])
    height = max(hi[2] for _, hi in boxes)
    yaw, z = hold(rng, half, len(items))
    y, points, loose = -half[1], [], len(items) - 1  # two lie a little askew
    for food, deep in zip(items, depth):
        askew = place(rng.normal(0, 0.8) * loose, y + deep / 2, 0, rng.normal(0, 0.08) * loose)
        points.append(put(food, place(z=z, yaw=yaw) @ askew))
        y += deep + 0.4
    return points, max(*half, height * 0.8, 4.5), z + height * 0.4


def attempt(rng, kind, size, samples, threads):
    """A picture of the kind and what was measured on it; Unfit if it should not be used."""
    scene = start(size, samples, threads)
    items, radius, top = serve(rng, kind)
    view = View(rng, radius, top)
    edge, outdoors = table(rng), rng.random() < 0.4
    if not outdoors and rng.random() < 0.75:
        wall(rng, edge)
    clutter(rng, radius, edge, view.azimuth)
    visible = aim(view, items)
    roles = frame_roles(view)
    share = (roles > 0).mean()
    if not MIN_SUBJECT <= share <= MAX_SUBJECT or (roles == 2).mean() < MIN_KEY:
        raise Unfit('share')
    surroundings(rng, outdoors)
    lights(rng, outdoors, view.eye)
    view.add()
    scene.cycles.seed = int(rng.integers(2**31))
    image = render(rng, scene, roles)
    well_exposed(image, roles)
    return develop(rng, image), {
        'items': len(items),
        'visible': round(float(visible), 3),
        'subject': round(float(share), 3),
        'key': round(float((roles == 2).mean()), 3),
    }


def picture(seed, kind, size=256, samples=10, threads=1):
    """JPEG bytes of a picture of that kind, and a dictionary of what was measured. The same seed, the same bytes."""
    for number in range(ATTEMPTS):
        try:
            jpeg, facts = attempt(np.random.default_rng([seed, number]), kind, size, samples, threads)
            return jpeg, {**facts, 'attempt': number}
        except Unfit:
            continue
    raise RuntimeError(f'no fit picture of {kind} from seed {seed} in {ATTEMPTS} attempts')
