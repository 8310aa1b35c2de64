"""Shapes, in numpy only: everything the kitchen is built from. 1 unit = 1 cm, z is up.

A shape is a pair (verts, faces): float (n, 3) and int (m, 3), triangles, seen from outside anticlockwise.
Four ways to make one: the surface where a signed distance is zero (`from_sdf`), a `tube` along a curve, a
profile turned round the z axis (`revolve`), a grid of points (`sheet`).
"""

from dataclasses import dataclass, field

import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree
from skimage.measure import marching_cubes

UP = np.array([0.0, 0.0, 1.0])


@dataclass
class Part:
    """One mesh of a food or a prop with its material.

    `values` holds numbers per vertex that the material reads: (n,) floats, or (n, 3) linear colours.
    `thickness` (cm) makes a sheet solid. `key` marks what the food is recognised by and must be seen.
    """

    verts: np.ndarray
    faces: np.ndarray
    material: object
    values: dict = field(default_factory=dict)
    thickness: float = 0.0
    smooth: bool = True
    key: bool = False


# ---- numbers ----


def smoothstep(lo, hi, x):
    """0 below lo, 1 above hi, smooth in between (lo > hi turns it round)."""
    t = np.clip((x - lo) / (hi - lo), 0, 1)
    return t * t * (3 - 2 * t)


def noise(rng, points, freq, waves=20):
    """Smooth noise, about N(0, 0.7), at points (..., d): a sum of plane waves of about freq radians per cm."""
    points = np.asarray(points, float)
    direction = rng.normal(size=(waves, points.shape[-1]))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    direction *= freq * rng.uniform(0.5, 1.6, (waves, 1))
    return np.sin(points @ direction.T + rng.uniform(0, 2 * np.pi, waves)).sum(-1) / np.sqrt(waves)


def noise1(rng, t, freq):
    """`noise` along a line: t (n,) -> (n,)."""
    return noise(rng, np.asarray(t)[:, None], freq)


def mix(a, b, t):
    """a where t is 0, b where t is 1; t (n,) and colours (3,) give (n, 3)."""
    t = np.asarray(t)[..., None] if np.ndim(a) or np.ndim(b) else t
    return np.asarray(a) * (1 - t) + np.asarray(b) * t


# ---- signed distances (negative inside) ----


def smooth_min(a, b, k):
    """Union of two distances, the seam rounded over k cm."""
    h = np.clip(0.5 + 0.5 * (b - a) / k, 0, 1)
    return b * (1 - h) + a * h - k * h * (1 - h)


def smooth_max(a, b, k):
    """Intersection of two distances, the edge rounded over k cm."""
    return -smooth_min(-a, -b, k)


def superellipsoid(points, half, power=2.5):
    """Distance (near the surface) to a rounded box of half sizes (3,); power 2 is an ellipsoid, 8 a box."""
    half = np.asarray(half, float)
    return ((np.abs(points / half) ** power).sum(-1) ** (1 / power) - 1) * half.min()


def capsule(points, start, end, radius):
    """Distance to a line from start to end, thickened by radius."""
    start, along = np.asarray(start, float), np.subtract(end, start)
    t = np.clip((points - start) @ along / (along @ along), 0, 1)
    return np.linalg.norm(points - start - t[..., None] * along, axis=-1) - radius


def from_sdf(distance, lo, hi, step):
    """Shape where distance(points (n, 3)) is zero inside the box lo, hi; step is the size of a voxel."""
    axes = [np.arange(a, b + step, step) for a, b in zip(lo, hi)]
    grid = np.stack(np.meshgrid(*axes, indexing='ij'), -1)
    values = distance(grid.reshape(-1, 3)).reshape(grid.shape[:3])
    verts, faces, _, _ = marching_cubes(values, 0, spacing=(step,) * 3)
    return verts + np.array(lo), faces[:, ::-1].astype(int)


def rounded_box(half, power=6, step=None):
    """Box of half sizes (3,), centred, with round edges."""
    half = np.asarray(half, float)
    step = step or max(half.min() / 5, half.max() / 40)
    return from_sdf(lambda p: superellipsoid(p, half, power), -half - 1.5 * step, half + 1.5 * step, step)


# ---- curves, profiles, grids ----


def grid_faces(rows, columns, closed=False):
    """Triangles of a rows x columns grid of vertices; closed joins the last column to the first."""
    i, j = np.meshgrid(np.arange(rows - 1), np.arange(columns if closed else columns - 1), indexing='ij')
    j2 = (j + 1) % columns
    a, b, c, d = i * columns + j, i * columns + j2, (i + 1) * columns + j2, (i + 1) * columns + j
    return np.stack([a, b, c, a, c, d], -1).reshape(-1, 3)


def sheet(grid):
    """Shape through a grid of points (rows, columns, 3)."""
    return grid.reshape(-1, 3), grid_faces(*grid.shape[:2])[:, ::-1]


def frames(path):
    """Two directions (n, 3) across path at each of its points: level if it is, and upwards."""
    forward = np.gradient(path, axis=0)
    forward /= np.linalg.norm(forward, axis=1, keepdims=True) + 1e-9
    up = np.empty_like(path)
    u = UP if abs(forward[0, 2]) < 0.9 else np.array([1.0, 0, 0])
    for i, f in enumerate(forward):  # carry one direction along the curve, so that it doesn't twist
        u = u - f * (u @ f)
        u = u / (np.linalg.norm(u) + 1e-9)
        up[i] = u
    return np.cross(up, forward), up


def tube(path, radius, sides=20, flat=1.0, section=1.0):
    """Tube along path (n, 3); radius (n,) or a number; flat squeezes it; section (sides,) or (n, sides) shapes it."""
    path = np.asarray(path, float)
    n = len(path)
    side, up = frames(path)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    size = np.broadcast_to(section, (n, sides)) * np.broadcast_to(radius, (n,))[:, None]
    ring = (np.cos(angle) * size)[..., None] * side[:, None] + (np.sin(angle) * size * flat)[..., None] * up[:, None]
    verts = np.concatenate([(path[:, None] + ring).reshape(-1, 3), path[:1], path[-1:]])
    j, j2 = np.arange(sides), (np.arange(sides) + 1) % sides
    caps = [
        np.stack([j2, j, np.full(sides, n * sides)], 1),
        np.stack([j, j2, np.full(sides, n * sides + 1)], 1) + [[(n - 1) * sides] * 2 + [0]],
    ]
    return verts, np.concatenate([grid_faces(n, sides, closed=True), *caps])


def revolve(profile, sides=48, wobble=None):
    """Turn profile [(radius, z), ...], listed from the bottom outside up, about z; wobble(angle) scales the radius."""
    profile = np.asarray(profile, float)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    r = profile[:, :1] * (1 if wobble is None else wobble(angle)) * np.ones(sides)
    grid = np.stack([r * np.cos(angle), r * np.sin(angle), np.broadcast_to(profile[:, 1:], r.shape)], -1)
    return grid.reshape(-1, 3), grid_faces(len(profile), sides, closed=True)


def ball(detail=1):
    """Ball of radius 1."""
    t = np.linspace(0, np.pi, 4 + 2 * detail)
    return revolve(np.stack([np.sin(t) + 1e-4, -np.cos(t)], 1), 6 + 4 * detail)


def slice_(rng, radius, height, wobble=0.03, sides=40):
    """A round slice lying on z = 0."""
    two, five = rng.uniform(0, 6, 2)
    profile = np.array([(1e-3, 0), (0.9, 0), (1, 0.25), (1, 0.75), (0.9, 1), (1e-3, 1)]) * [radius, height]
    return revolve(profile, sides, lambda a: 1 + wobble * np.sin(2 * a + two) + 0.6 * wobble * np.sin(5 * a + five))


# ---- many copies, moving ----


def copies(shape, matrices, offsets):
    """One shape made of a copy of `shape` for each matrix (k, 3, 3) and offset (k, 3)."""
    verts, faces = shape
    verts = np.einsum('kij,nj->kni', np.asarray(matrices, float), verts) + np.asarray(offsets, float)[:, None]
    faces = faces[None] + np.arange(len(verts))[:, None, None] * verts.shape[1]
    return verts.reshape(-1, 3), faces.reshape(-1, 3)


def random_rotations(rng, n):
    """n rotation matrices (n, 3, 3), uniform."""
    w, x, y, z = (q := rng.normal(size=(4, n))) / np.linalg.norm(q, axis=0)
    return np.stack(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    ).transpose(2, 0, 1)


def rotate(verts, axis, angle):
    """verts (n, 3) turned by angle (radians) about the x, y or z axis (0, 1, 2)."""
    i, j = (axis + 1) % 3, (axis + 2) % 3
    out = np.array(verts, float)
    out[..., i] = np.cos(angle) * verts[..., i] - np.sin(angle) * verts[..., j]
    out[..., j] = np.sin(angle) * verts[..., i] + np.cos(angle) * verts[..., j]
    return out


def move(parts, x=0.0, y=0.0, z=0.0, yaw=0.0):
    """Turn parts about the z axis, then shift them; returns them."""
    for part in parts:
        part.verts = rotate(part.verts, 2, yaw) + [x, y, z]
    return parts


def tilt(parts, angle, axis=0):
    """Turn parts about a level axis; returns them."""
    for part in parts:
        part.verts = rotate(part.verts, axis, angle)
    return parts


def rest(parts):
    """Put the lowest point of parts on z = 0; returns them."""
    lowest = min(part.verts[:, 2].min() for part in parts)
    return move(parts, z=-lowest)


def bounds(parts):
    """Lowest and highest corner of the box round parts."""
    verts = np.concatenate([part.verts for part in parts])
    return verts.min(0), verts.max(0)


def normals(verts, faces):
    """Unit normals (n, 3) of the vertices."""
    a, b, c = (verts[faces[:, k]] for k in range(3))
    face = np.cross(b - a, c - a)
    out = np.stack([sum(np.bincount(faces[:, k], face[:, d], len(verts)) for k in range(3)) for d in range(3)], 1)
    return out / (np.linalg.norm(out, axis=1, keepdims=True) + 1e-12)


def displace(shape, amount):
    """Push the vertices of a shape outwards by amount (n,) cm."""
    verts, faces = shape
    return verts + normals(verts, faces) * np.asarray(amount)[:, None], faces


# ---- dropping things on things ----


def surface(parts):
    """Tree of all triangles of parts, for `drop`."""
    offset, verts, faces = 0, [], []
    for part in parts:
        verts.append(part.verts)
        faces.append(part.faces + offset)
        offset += len(part.verts)
    return BVHTree.FromPolygons(np.concatenate(verts).tolist(), np.concatenate(faces).tolist())


def drop(tree, xy, miss=np.nan, top=40.0):
    """Height of the surface under each point of xy (n, 2); `miss` where there is none."""
    hits = (tree.ray_cast(Vector((x, y, top)), Vector((0, 0, -1)))[0] for x, y in np.asarray(xy, float))
    return np.array([miss if hit is None else hit.z for hit in hits])
