"""The network and the knob: one drawing for all notebooks, made from the network itself.

Each block is a bar, as high as its maps and as wide as it has channels, roughly; scissors are where the cut is.
"""

import itertools
import math
from typing import NamedTuple
from xml.sax.saxutils import escape

import mended_mxnet

from IPython.display import display
from mxnet import sym
from mxnet.base import MXNetError

import frozen
import heads
from figures import COLORS, Described
from problem import check_colours, check_network, check_px
from sources.weights import not_taken

WIDTH, MAPS, ABOVE = 870, 180, 52  # pixels: of the drawing, of the highest bar, of what is above it
TIMES = '\N{MULTIPLICATION SIGN}'
LINE, LETTER = 19, 8.3  # pixels: from line to line, from letter to letter
FEW = 8  # blocks of a part: of more, the first and the last ones are named
FILL = {'frozen': 'url(#frozen)', 'trains': COLORS['fine-tuned'], None: '#A9B8CC'}
TITLE = 'font-size="16" font-weight="bold"'
SCISSORS = 'M-5 -4 L6 18 M5 -4 L-6 18 M-12 -9 a5 5 0 1 0 10 0 a5 5 0 1 0 -10 0 M2 -9 a5 5 0 1 0 10 0 a5 5 0 1 0 -10 0'
HATCH = (
    '<pattern id="frozen" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="7" height="7" fill="#DCE4EF"/><path d="M0 0 V7" stroke="#5F7898" stroke-width="3"/></pattern>'
)


class Block(NamedTuple):
    """A block of a network, or its output layer: a place to cut at, just before it."""

    number: int
    name: str  # as in frozen.blocks
    size: tuple  # of what it gives for a picture: (channels, height, width) or (channels,)
    weights: int  # how many; the statistics of a BatchNorm are none
    part: str  # of the drawing: stem, stage1, ..., pool, head


# ---- What is drawn --------------------------------------------------------------------------------------------------


def blocks_of(net, px):
    """The blocks of `net`, its output last. Raises Problem."""
    check_network(net)
    check_colours(net)
    check_px(px)
    names, shapes, weights = frozen.blocks(net), [(1, 3, px, px)], []
    try:
        with mended_mxnet.silent():
            for block in [*net.features, net.output]:
                shape, num_weights = inferred(block, shapes[-1])
                shapes.append(shape)
                weights.append(num_weights)
    except MXNetError:
        raise not_taken(net, shapes[0]) from None
    sizes = [shape[1:] for shape in shapes[1:]]
    parts = by_stage(names) if 'stage1' in names else by_size(net.features, sizes, weights)
    return [Block(*facts) for facts in zip(itertools.count(), names, sizes, weights, parts)]


def inferred(block, shape):
    """(shape of what `block` gives for an input of `shape`, its number of weights); nothing is computed."""
    graph = block(sym.var('data').as_np_ndarray())
    shapes, (output,), _ = graph.infer_shape(data=shape)
    sizes = {name: math.prod(shape) for name, shape in zip(graph.list_arguments(), shapes)}
    return output, sum(sizes.values()) - sizes['data']


def by_stage(names):
    """The part that each block belongs to; what comes between two stages belongs to the first one."""
    part, parts = 'stem', []
    last = [name for name in names if name.startswith('stage')][-1]
    for name in names[:-1]:
        if name.startswith('stage'):
            part = name
        elif part == last:
            part = 'pool'
        parts.append(part)
    return [*parts, 'head']


def by_size(features, sizes, weights):
    """The part that each block belongs to, where no stages are named: one for each size of maps."""
    on_top = len(heads.top_of(features))
    below = len(features) - on_top
    first = next(i for i, count in enumerate(weights) if count)  # what only turns the picture is no part
    sides = [f'{sizes[max(i, first)][-1]} px' for i in range(below)]
    top = 'dense' if any(weights[below:-1]) else 'pool'
    return [*sides, *[top] * on_top, 'head']


def parts_of(blocks):
    """{part: its blocks}."""
    return {part: [*some] for part, some in itertools.groupby(blocks, lambda block: block.part)}


# ---- In words -------------------------------------------------------------------------------------------------------


def in_words(net, px, cut=None):
    """What the drawing shows, for who can't see it. Raises Problem."""
    blocks = blocks_of(net, px)
    said = [f'{part} ({span(some)}): {times(some[-1].size)}, {count(some)}' for part, some in parts_of(blocks).items()]
    text = f'The network from left to right, for a picture of {times((3, px, px))}. {"; ".join(said)}.'
    if cut is None:
        return text
    num_frozen = frozen.position(net, cut)
    below, above = count(blocks[:num_frozen]), count(blocks[num_frozen:])
    return f'{text} The cut is before {span(blocks[num_frozen:][:1])}. Frozen: {below}; trains: {above}.'


def span(blocks):
    """'5 stage1' or '0 batchnorm0 to 4 pool0'."""
    ends = blocks[:1] + blocks[1:][-1:]
    return ' to '.join(f'{block.number} {block.name}' for block in ends)


def times(size):
    return TIMES.join(map(str, size))


def count(blocks):
    """'9,536 weights' or '2.1 M weights': how many they have."""
    total = sum(block.weights for block in blocks)
    if total >= 1e6:
        return f'{total / 1e6:.1f} M weights'
    return f'{total / 1e3:.0f} k weights' if total >= 1e4 else f'{total:,} weights' if total else 'no weights'


# ---- As a picture ---------------------------------------------------------------------------------------------------


def show(net, px, cut=None):
    """Display `net` as it is for pictures of px x px pixels, cut before a block: its name or number (frozen.blocks).

    Raises Problem.
    """
    display(Described(svg(net, px, cut).encode(), 'svg+xml', in_words(net, px, cut)))


def svg(net, px, cut=None):
    """The drawing as the text of an SVG. Raises Problem."""
    blocks = blocks_of(net, px)
    num_frozen = None if cut is None else frozen.position(net, cut)
    parts = [*parts_of(blocks).values()]
    texts = [['picture', times((3, px, px)), f'(channels{TIMES}', f'height{TIMES}width)'], *map(lines_of, parts)]
    column = max(WIDTH / len(texts), LETTER * max(len(line) for lines in texts for line in lines))
    bars = [bar for i, some in enumerate(parts, 1) for bar in bars_of(some, i, column)]
    fills = [FILL[None if cut is None else state(block, num_frozen)] for block in blocks]
    drawn = [way(column, len(parts)), rect(0.35 * column, 0.3 * column, 1, '#FFF')]
    drawn += [rect(*bar, side_of(block) / px, fill) for block, bar, fill in zip(blocks, bars, fills)]
    drawn += [words((i + 0.5) * column, lines) for i, lines in enumerate(texts)]
    width, height = column * len(texts), ABOVE + MAPS + LINE * (max(map(len, texts)) + 1)
    if cut is not None:
        drawn.append(scissors(bars[num_frozen][0] - 1, blocks[num_frozen].name, width))
        drawn.append(legend(width / 2, height + LINE, blocks[:num_frozen], blocks[num_frozen:]))
        height += 2 * LINE
    return page(width, height, drawn)


def state(block, num_frozen):
    return 'frozen' if block.number < num_frozen else 'trains'


def lines_of(blocks):
    """What stands below the bars of a part: its name, what it gives, its weights, and its blocks."""
    names = [f'{block.number} {block.name}' for block in blocks]
    if len(names) > FEW:
        names[FEW - 2 : -1] = ['…']
    return [blocks[0].part, times(blocks[-1].size), count(blocks), *names]


def bars_of(blocks, i, column):
    """(left, width) of the bar of each block, side by side in the middle of the i-th column."""
    widths = [4 + 3 * math.log2(block.size[0]) * (block.weights > 0) for block in blocks]
    scale = min(1, 0.8 * column / sum(widths))
    lefts = itertools.accumulate(widths, initial=-sum(widths) / 2)
    return [((i + 0.5) * column + scale * left, scale * width) for left, width in zip(lefts, widths)]


def side_of(block):
    return block.size[-1] if len(block.size) == 3 else 1


def way(column, num_parts):
    """The line from the picture to the last part, behind them."""
    return f'<path d="M{column / 2:.1f} {ABOVE + MAPS / 2} h{num_parts * column:.1f}" stroke="#888" stroke-width="2"/>'


def rect(left, width, share, fill):
    """A bar as high as the root of its share of the picture's side, or the last ones would be too small to see."""
    height = MAPS * math.sqrt(share)
    y = ABOVE + (MAPS - height) / 2
    return f'<rect x="{left:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}" stroke="#222"/>'


def words(x, lines):
    """Lines below each other, the first one bold."""
    title, *others = map(escape, lines)
    spans = ''.join(f'<tspan x="{x:.1f}" dy="{LINE}">{line}</tspan>' for line in others)
    return f'<text x="{x:.1f}" y="{ABOVE + MAPS + 1.3 * LINE}"><tspan {TITLE}>{title}</tspan>{spans}</text>'


def scissors(x, name, width):
    """A dashed line from top to bottom at x, scissors on it, and beside them where that is."""
    side, anchor = (1, 'start') if x < width / 2 else (-1, 'end')
    return (
        f'<g transform="translate({x:.1f} 18)" fill="none" stroke="#222" stroke-width="2.5">'
        f'<path d="M0 18 V{MAPS + 44}" stroke-dasharray="7 5"/><path d="{SCISSORS}"/></g>'
        f'<text x="{x + 20 * side:.1f}" y="24" text-anchor="{anchor}" {TITLE}>cut = {escape(repr(name))}</text>'
    )


def legend(x, y, below, above):
    """What is frozen and what trains, left and right of x."""
    return legend_entry(x, y, -1, 'end', 'frozen', below) + legend_entry(x, y, 1, 'start', 'trains', above)


def legend_entry(x, y, side, anchor, state, blocks):
    return (
        f'<rect x="{x + 16 * side - 10}" y="{y - 14}" width="20" height="16" fill="{FILL[state]}" stroke="#222"/>'
        f'<text x="{x + 34 * side}" y="{y}" text-anchor="{anchor}" {TITLE}>{state}: {count(blocks)}</text>'
    )


def page(width, height, drawn):
    """An SVG on white, whatever the page around it is."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="Helvetica, Arial, sans-serif" font-size="14" '
        f'text-anchor="middle" fill="#222"><defs>{HATCH}</defs><rect width="100%" height="100%" fill="#FFF"/>'
        f'{"".join(drawn)}</svg>'
    )
