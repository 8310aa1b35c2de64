"""How a trained network leaves: as an ONNX file that has everything inside, from a photograph to probabilities.

It takes any photograph as it is, uint8 [height, width, 3]. Cropping, scaling and normalising are part of it, so nobody
has to do them again, and in another way: most exported networks that are worse than they were are fed other pixels.
"""

import json

import mended_mxnet

import numpy as onp
import onnx
from onnx import TensorProto, compose, helper, inliner, numpy_helper, parser

import onnx_graph
from files import ROOT, whole
from problem import Problem, check_colours, check_network, check_px, one_line
from sources import NETWORKS
from sources.weights import check_takes, keep_older

# pictures.centre_crop and pictures.normalize. Pillow scales with triangles, first along one side, then along the other,
# and rounds after each: two products with matrices that are made from the picture's size. ONNX's own Resize does it
# in another way. Pillow 13 begins with the height if that shrinks by more than twice as many pixels as the width.
CROP = """
<ir_version: 10, opset_import: ["": 18, "crop": 1]>
crop (uint8[height, width, 3] picture) => (float[1, 3, PX, PX] data)
<float share = {0.875}, float px = {PX}, float one = {1}, float two = {2}, float zero = {0},
 int64 first = {0}, int64 second = {1}, int64[1] axes = {0}>
{
  shape = Shape <end = 2> (picture)
  size = Cast <to = 1> (shape)
  short = ReduceMin <keepdims = 0> (size)
  side = Mul (short, share)
  around = Sub (size, side)
  begin = Div (around, two)
  scale = Div (side, px)
  reach = Max (scale, one)

  before = Sub (begin, reach)
  inside = Max (before, zero)
  low = Floor (inside)
  end = Add (begin, side)
  after = Add (end, reach)
  high = Ceil (after)
  lows = Cast <to = 7> (low)
  highs = Cast <to = 7> (high)
  middle = Slice (picture, lows, highs)
  pixels = Cast <to = 1> (middle)
  colours = Transpose <perm = [2, 0, 1]> (pixels)

  place = Sub (begin, low)
  top = Gather (place, first)
  left = Gather (place, second)
  middle_shape = Shape <end = 2> (middle)
  middle_size = Cast <to = 1> (middle_shape)
  middle_height = Gather (middle_size, first)
  middle_width = Gather (middle_size, second)
  rows = crop.triangles (middle_height, top, scale, px)
  columns_turned = crop.triangles (middle_width, left, scale, px)
  columns = Transpose <perm = [1, 0]> (columns_turned)

  shrinks = Sub (size, px)
  shrinks_height = Gather (shrinks, first)
  shrinks_width = Gather (shrinks, second)
  twice = Mul (shrinks_width, two)
  limit = Max (twice, zero)
  is_tall = Greater (shrinks_height, limit)
  small = If (is_tall) <
    then_branch = height_first () => (tall_small) {
      low_product = MatMul (rows, colours)
      low_pixels = crop.rounded (low_product)
      tall_product = MatMul (low_pixels, columns)
      tall_small = crop.rounded (tall_product)
    },
    else_branch = width_first () => (wide_small) {
      narrow_product = MatMul (colours, columns)
      narrow_pixels = crop.rounded (narrow_product)
      wide_product = MatMul (rows, narrow_pixels)
      wide_small = crop.rounded (wide_product)
    }
  >
  scaled = Div (small, std)
  normalised = Sub (scaled, mean)
  data = Unsqueeze (normalised, axes)
}
<domain: "crop", opset_import: ["": 18]>
rounded (x) => (y)
{
  half = Constant <value_float = 0.5> ()
  more = Add (x, half)
  y = Floor (more)
}
<domain: "crop", opset_import: ["": 18]>
triangles (n, begin, scale, px) => (weights)
{
  zero = Constant <value_float = 0.0> ()
  half = Constant <value_float = 0.5> ()
  one = Constant <value_float = 1.0> ()
  axis = Constant <value_ints = [1]> ()
  numbers = Range (zero, px, one)
  middles = Add (numbers, half)
  column = Unsqueeze (middles, axis)
  wide = Mul (column, scale)
  centres = Add (wide, begin)
  from_numbers = Range (zero, n, one)
  from_middles = Add (from_numbers, half)
  differences = Sub (centres, from_middles)
  distances = Abs (differences)
  reach = Max (scale, one)
  shares = Div (distances, reach)
  heights = Sub (one, shares)
  triangle = Relu (heights)
  sums = ReduceSum (triangle, axis)
  weights = Div (triangle, sums)
}
"""


def crop(px, mean, std):
    """The ONNX model of cropping and normalising: 'picture', uint8 [height, width, 3] -> 'data' [1, 3, px, px]."""
    model = parser.parse_model(CROP.replace('PX', str(px)))
    mean, std = (onp.array(values, 'float32').reshape(3, 1, 1) for values in (mean, std))
    arrays = {'std': 255 * std, 'mean': mean / std}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    return inliner.inline_local_functions(model)


def to_onnx(net, px, **facts):
    """The ONNX model of all of `net`: 'picture', uint8 [height, width, 3] of any size -> 'probabilities' [c].

    Its metadata say the classes, the pixels, the source network, the licence of its weights, and {fact: text}. Raises
    Problem.
    """
    check_network(net)
    check_colours(net)
    check_px(px)
    if not hasattr(net, 'network'):
        raise Problem('This is a part of a network or one that is not from here; give the whole one that it is of.')
    check_takes(net, (1, 3, px, px))
    network = onnx_graph.model_of(net, (1, 3, px, px))
    model = compose.merge_models(crop(px, net.mean, net.std), network, [('data', 'data')], prefix2='network/')
    softmax = helper.make_node('Softmax', ['network/output'], ['row'], axis=1)
    squeeze = helper.make_node('Squeeze', ['row', 'axes'], ['probabilities'])
    model.graph.node.extend([softmax, squeeze])
    probabilities = helper.make_tensor_value_info('probabilities', TensorProto.FLOAT, [len(net.classes)])
    model.graph.output.pop()
    model.graph.output.append(probabilities)
    facts |= {'source': net.network, 'licence': NETWORKS[net.network].licence}
    helper.set_model_props(model, {'classes': json.dumps(net.classes), 'px': str(px), **facts})
    onnx.checker.check_model(model, full_check=True)
    return model


def leave(net, px, folder, **facts):
    """Write to `folder` what runs where there is no MXNet: classifier.onnx, labels.txt, predict.py. Raises Problem."""
    lines = ''.join(f'{one_line(name)}\n' for name in net.classes)
    write(folder / 'classifier.onnx', to_onnx(net, px, **facts).SerializeToString())
    write(folder / 'labels.txt', lines.encode('utf8', 'backslashreplace'))
    write(folder / 'predict.py', (ROOT / 'templates' / 'predict.py').read_bytes())


def write(path, content):
    """Write a file; what was there is kept beside it, unless it is the same. Raises Problem."""
    try:
        if not path.is_file() or path.read_bytes() != content:
            with whole(path) as partial:
                partial.write_bytes(content)
                keep_older(path)
    except OSError as error:
        raise Problem(f'{path} could not be written ({error}); free some space or choose another folder.') from None
