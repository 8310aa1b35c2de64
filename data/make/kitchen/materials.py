"""Blender materials of foods, tables and dishes: small node graphs on the Principled BSDF.

Colours are linear RGB (3,), made from web colours by `rgb`. Colours that vary over centimetres are
painted on the vertices (`Part.values["paint"]`, see foods.py); the graphs here add only what is finer.
Features smaller than about 0.1 cm, a pixel, are left out: they cost time and show as noise.
"""

import bpy
import numpy as np

FINEST = 10.0  # features per cm: the finest octave of any noise


def rgb(web):
    """Linear colour (3,) of a web colour such as 'd9a10a'."""
    c = np.array([int(web[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def vary(rng, color, amount=0.08):
    """The colour (linear or web), a little lighter or darker, a little warmer or cooler."""
    color = rgb(color) if isinstance(color, str) else np.asarray(color)
    factor = np.exp(rng.normal(0, amount)) * np.exp(rng.normal(0, amount / 2, 3))
    return np.clip(color * factor, 0.002, 0.95)


def pick(rng, choices, p=None):
    """One of choices (a list of anything)."""
    return choices[rng.choice(len(choices), p=p)]


class Graph:
    """A material's node graph; each method adds a node and returns its output socket.

    A value that is a socket is linked, anything else becomes the input's default. Inputs are named as in
    Blender with _ for a space, or i0, i1, ... by number.
    """

    def __init__(self, tree=None):
        if tree is None:
            self.material = bpy.data.materials.new('material')
            tree = self.material.node_tree
        self.tree = tree
        tree.nodes.clear()

    def node(self, kind, output=0, settings=None, **inputs):
        node = self.tree.nodes.new('ShaderNode' + kind)
        for name, value in (settings or {}).items():
            setattr(node, name, value)
        for name, value in inputs.items():
            self.set(node, int(name[1:]) if name[1:].isdigit() else name.replace('_', ' '), value)
        return node.outputs[output] if node.outputs else None

    def set(self, node, name, value):
        socket = node.inputs[name]
        if isinstance(value, bpy.types.NodeSocket):
            self.tree.links.new(value, socket)
        elif np.ndim(value):
            value = [float(v) for v in value]
            socket.default_value = value + [1.0] if socket.type == 'RGBA' and len(value) == 3 else value
        else:
            socket.default_value = float(value)

    def math(self, operation, a, b=0.0):
        return self.node('Math', settings={'operation': operation}, i0=a, i1=b)

    def mix(self, factor, a, b, mode='MIX'):
        settings = {'data_type': 'RGBA', 'blend_type': mode}
        return self.node('Mix', 2, settings, i0=factor, i6=a, i7=b)

    def remap(self, value, lo=0.3, hi=0.7, out_lo=0.0, out_hi=1.0):
        """lo..hi to out_lo..out_hi, smoothly, clamped."""
        return self.node(
            'MapRange', settings={'interpolation_type': 'SMOOTHSTEP'}, i0=value, i1=lo, i2=hi, i3=out_lo, i4=out_hi
        )

    def position(self, scale=(1, 1, 1), turn=0.0, shift=(0, 0, 0)):
        """Place on the object in cm, scaled, turned about z by turn (radians), shifted."""
        return self.node('Mapping', Vector=self.node('TexCoord', 3), Scale=scale, Rotation=(0, 0, turn), Location=shift)

    def noise(self, place, scale, detail=3.0, rough=0.55, distortion=0.0):
        """Noise of about `scale` features per cm, with `detail` finer octaves, none finer than a pixel."""
        detail = min(detail, max(0.0, np.log2(FINEST / scale)))
        return self.node('TexNoise', Vector=place, Scale=scale, Detail=detail, Roughness=rough, Distortion=distortion)

    def value(self, name):
        """A number painted on the vertices."""
        return self.node('Attribute', 2, {'attribute_name': name})

    def color(self, name='paint'):
        """A colour painted on the vertices. (Cycles keeps the name "color" for volumes.)"""
        return self.node('Attribute', 0, {'attribute_name': name})

    def bump(self, height, strength=0.3, distance=0.1):
        return self.node('Bump', Height=height, Strength=strength, Distance=distance)

    def shade(self, color, brightness):
        return self.node('HueSaturation', Color=color, Value=brightness)

    def principled(self, **inputs):
        surface = self.node('BsdfPrincipled', settings={'subsurface_method': 'BURLEY'}, **inputs)
        self.node('OutputMaterial', Surface=surface)
        return self.material


# ---- foods ----


def painted(
    rng, roughness=0.5, grain=4.0, bump=0.3, spots=0.15, coat=0.0, subsurface=0.2, radius=(1, 0.45, 0.25), depth=0.25
):
    """Food whose colour is on its vertices ("paint"); grain (features per cm) roughens and speckles it.

    subsurface is the share of light that goes in, depth (cm) how far, radius how far for red, green, blue.
    """
    g = Graph()
    fine = g.noise(g.position(shift=rng.uniform(-50, 50, 3)), grain, 2.0, 0.65)
    return g.principled(
        Base_Color=g.shade(g.color(), g.remap(fine, 0.3, 0.7, 1 - spots, 1 + spots)),
        Roughness=roughness,
        Subsurface_Weight=subsurface,
        Subsurface_Radius=radius,
        Subsurface_Scale=depth,
        Coat_Weight=coat,
        Coat_Roughness=0.2,
        Normal=g.bump(fine, bump, 0.2),
    )


def bread(rng, roughness=0.5, coat=0.0):
    """Crust and crumb, told apart by the vertex value "crumb" (0 to 1); colours are on the vertices."""
    g = Graph()
    place, crumb = g.position(shift=rng.uniform(-50, 50, 3)), g.value('crumb')
    fine = g.noise(place, rng.uniform(4, 7), 1.0, 0.7)
    pores = g.math('MULTIPLY', g.remap(g.node('TexVoronoi', Vector=place, Scale=4.5), 0.02, 0.38), crumb)
    height = g.math('ADD', g.math('MULTIPLY', fine, rng.uniform(0.3, 0.8)), pores)
    return g.principled(
        Base_Color=g.shade(g.color(), g.remap(fine, 0.3, 0.7, 0.86, 1.14)),
        Roughness=g.remap(crumb, 0, 1, roughness, 0.95),
        Subsurface_Weight=0.25,
        Subsurface_Radius=(1, 0.55, 0.25),
        Subsurface_Scale=0.2,
        Coat_Weight=g.remap(crumb, 0, 1, coat, 0),
        Coat_Roughness=0.3,
        Specular_IOR_Level=0.4,
        Normal=g.bump(height, 0.6, 0.15),
    )


def food(
    rng,
    color,
    color2=None,
    patches=1.2,
    roughness=0.4,
    subsurface=0.3,
    radius=(1, 0.45, 0.25),
    depth=0.3,
    bump=0.25,
    grain=5.0,
    coat=0.0,
    spots=0.15,
    stretch=(1, 1, 1),
):
    """Food of two colours in `patches` per cm, or one colour; the rest as `painted`. stretch thins the patches."""
    g = Graph()
    place = g.position(stretch, shift=rng.uniform(-50, 50, 3))
    color = rgb(color) if isinstance(color, str) else color
    color2 = rgb(color2) if isinstance(color2, str) else color * 0.7 if color2 is None else color2
    coarse, fine = g.noise(place, patches, 2.0), g.noise(place, grain, 1.5)
    color = g.mix(g.remap(coarse, 0.36, 0.64), color, color2)
    color = g.shade(color, g.remap(fine, 0.3, 0.7, 1 - spots, 1 + spots))
    rough = g.remap(coarse, 0.3, 0.7, max(roughness - 0.08, 0.03), min(roughness + 0.12, 1))
    return g.principled(
        Base_Color=color,
        Roughness=rough,
        Subsurface_Weight=subsurface,
        Subsurface_Radius=radius,
        Subsurface_Scale=depth,
        Coat_Weight=coat,
        Coat_Roughness=0.15,
        Normal=g.bump(fine, bump, 0.25),
    )


SAUCES = {
    'mustard': ['d9a10a', 'c98a08', 'e3b52a'],
    'ketchup': ['a3140a', 'b01c0c', '8c0f08'],
    'mayonnaise': ['f0e8cc', 'efe6d4'],
    'barbecue': ['3d150a', '2c0e07'],
    'cheese': ['eba424', 'e8922a'],
    'chocolate': ['2a120a', '3a1a0e'],
    'pink': ['e59ab0', 'e8b4c4'],
    'sugar': ['f2efe8', 'f4f0ea'],
    'curry': ['b8741c', 'c98a2a'],
    'guacamole': ['8fa23c', 'a3b04e'],
}


def sauce(rng, kind):
    """A glossy sauce or icing of one of SAUCES."""
    color = vary(rng, pick(rng, SAUCES[kind]), 0.06)
    roughness, coat = rng.uniform(0.12, 0.32), rng.uniform(0.1, 0.6)
    light = {'subsurface': 0.4, 'radius': (1, 0.5, 0.2), 'depth': 0.25}
    return food(rng, color, color * 0.85, 2.0, roughness, **light, bump=0.15, grain=3.0, coat=coat, spots=0.06)


def leaf(rng, dark=False):
    """Lettuce, or dark herbs."""
    color = vary(rng, '3f6a1c' if dark else '78a236', 0.12)
    return food(rng, color * 1.3, color * 0.7, subsurface=0.5, radius=(0.5, 1, 0.2), depth=0.15, bump=0.4, grain=4.0)


def plain(color, roughness=0.4, coat=0.0, metallic=0.0, transmission=0.0, bump=0.0, grain=4.0):
    """One colour: dishes, bottles, foil, glass."""
    g = Graph()
    color = rgb(color) if isinstance(color, str) else color
    inputs = {'Normal': g.bump(g.noise(g.position(), grain, 1.0), bump, 0.2)} if bump else {}
    return g.principled(
        Base_Color=color,
        Roughness=roughness,
        Coat_Weight=coat,
        Metallic=metallic,
        Transmission_Weight=transmission,
        **inputs,
    )


def foil():
    return plain((0.8, 0.8, 0.82), 0.28, metallic=1.0, bump=0.4, grain=2.0)


# ---- tables, cloths, papers ----

WOODS = [
    ('b98552', '7d5230'),
    ('d8b486', 'b48856'),
    ('5a3822', '2e1a0e'),
    ('9a6a42', '4e3018'),
    ('c9a67a', '8e6a44'),
    ('8a8078', '5c544c'),
]
DYES = [
    'f0ede6',
    'e4dccb',
    'd8d4cc',
    'a9a59d',
    '6f6c68',
    '2b2a2a',
    '3d2b20',
    '6b4a33',
    '22304e',
    '6e1f24',
    '3f5a48',
    'b9a07c',
    '8fa3ad',
    'c7b299',
    'b23a2a',
    'd9c27a',
]
CLOTH_COLORS = ['b01818', '1c3f86', '1e6a3a', 'd08a1c']


def dye(rng):
    """A colour that plates, walls and cloths really have."""
    return vary(rng, pick(rng, DYES), 0.12)


def bricks(g, place, width, height, **inputs):
    """Blender's brick pattern: rows of planks or tiles, width x height cm."""
    return g.node(
        'TexBrick', settings={'offset': 0.37}, Vector=place, Scale=1.0, Brick_Width=width, Row_Height=height, **inputs
    )


def wood(rng, planks=True):
    g = Graph()
    light, dark = (vary(rng, c) for c in pick(rng, WOODS))
    turn, shift = rng.uniform(0, 6.28), rng.uniform(-40, 40, 3)
    place = g.position((0.12, 1, 1), turn, shift)
    rings = g.noise(place, rng.uniform(0.8, 1.6), 3, 0.65, rng.uniform(0.3, 1.5))
    fine = g.noise(place, 9.0, 1)
    grain = g.math('ADD', rings, g.math('MULTIPLY', g.math('SUBTRACT', fine, 0.5), 0.35))
    color = g.mix(g.remap(grain), light, dark)
    if planks:
        row, place = rng.uniform(6, 14), g.position((1, 1, 1), turn, shift)
        gaps = {'Mortar_Size': 0.08, 'Mortar_Smooth': 0.4, 'Mortar': (0.15, 0.12, 0.1)}
        shades = bricks(g, place, row * 9, row, **gaps, Color1=(0.75,) * 3, Color2=(1.25,) * 3, Bias=0.0)
        color = g.mix(1.0, color, shades, 'MULTIPLY')
    rough = rng.uniform(0.15, 0.6)
    coat = rng.uniform(0, 0.4) * (rng.random() < 0.5)
    return g.principled(Base_Color=color, Roughness=rough + 0.1, Normal=g.bump(fine, 0.2), Coat_Weight=coat)


def stripes(g, coordinate, per_cm):
    """1 on one half of each stripe, 0 on the other."""
    return g.math('GREATER_THAN', g.math('FRACT', g.math('ADD', g.math('MULTIPLY', coordinate, per_cm), 500.0)), 0.5)


def cloth(rng, pattern):
    """Cloth or printed paper: 'gingham', 'stripe' or 'plain'."""
    g = Graph()
    place = g.position(turn=rng.uniform(0, 6.28))
    color = rgb(pick(rng, CLOTH_COLORS)) if rng.random() < 0.45 else dye(rng)
    axes = g.tree.nodes.new('ShaderNodeSeparateXYZ')
    g.set(axes, 'Vector', place)
    x, y = axes.outputs[:2]
    folds = g.noise(place, rng.uniform(0.1, 0.3), 3.0)
    if pattern == 'plain':
        both = g.mix(g.math('MULTIPLY', folds, 0.15), color, color * 0.5)
    else:
        per_cm = 1 / rng.uniform(1.6, 5)
        lines = stripes(g, x, per_cm)
        if pattern == 'gingham':
            lines = g.math('MULTIPLY', g.math('ADD', lines, stripes(g, y, per_cm)), 0.5)
        both = g.mix(lines, rgb('efece4'), color)
    return g.principled(
        Base_Color=g.shade(both, g.remap(folds, 0.3, 0.7, 0.88, 1.1)),
        Roughness=0.9,
        Sheen_Weight=0.2,
        Normal=g.bump(folds, 0.5, 1.0),
    )


def stone(rng):
    """Marble, slate or terrazzo."""
    g = Graph()
    place = g.position(shift=rng.uniform(-40, 40, 3))
    kind = pick(rng, ['marble', 'slate', 'terrazzo'])
    if kind == 'marble':
        light, dark = vary(rng, 'e8e6e2', 0.04), vary(rng, '9a9a9e')
        share = g.remap(g.noise(place, 0.12, 5.0, 0.6, 2.5), 0.5, 0.62)
    elif kind == 'slate':
        light, dark = vary(rng, '4a4c50'), vary(rng, '232427')
        share = g.remap(g.noise(place, 0.4, 4.0, 0.7), 0.35, 0.65)
    else:
        light = dye(rng)
        dark = light * 0.55
        share = g.remap(g.noise(place, 6.0, 1.0, 0.8), 0.5, 0.68)
    return g.principled(
        Base_Color=g.mix(share, light, dark),
        Roughness=rng.uniform(0.08, 0.7),
        Normal=g.bump(g.noise(place, 3.0, 2.0), 0.06 if kind == 'marble' else 0.25),
    )


def tile(rng):
    g = Graph()
    color, row = dye(rng), rng.uniform(6, 16)
    place, width = g.position(turn=rng.uniform(0, 6.28)), row * rng.choice([1, 2])
    gaps = {'Mortar_Size': 0.2, 'Mortar': rgb('8a857c')}
    pattern = bricks(g, place, width, row, **gaps, Color1=color, Color2=color * 0.8)
    return g.principled(Base_Color=pattern, Roughness=rng.uniform(0.1, 0.4))


# kind: odds
TABLETOPS = {'wood': 0.36, 'gingham': 0.12, 'stripe': 0.06, 'plain': 0.1, 'stone': 0.16, 'tile': 0.06, 'solid': 0.14}


def tabletop(rng):
    """Any table or wall."""
    kind = pick(rng, list(TABLETOPS), list(TABLETOPS.values()))
    if kind in ('gingham', 'stripe', 'plain'):
        return cloth(rng, kind)
    if kind == 'solid':
        return plain(dye(rng), rng.uniform(0.1, 0.7), bump=0.06)
    return {'wood': wood, 'stone': stone, 'tile': tile}[kind](rng)


def paper(rng):
    """Brown, white or checked paper."""
    kind = pick(rng, ['brown', 'white', 'checked'])
    if kind == 'checked':
        return cloth(rng, 'gingham')
    return plain(vary(rng, 'c9a878'), 0.85, bump=0.2) if kind == 'brown' else plain(rgb('f0eee8'), 0.7, bump=0.2)
