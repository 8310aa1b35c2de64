"""A block of a Gluon network as an ONNX model, the form in which other runtimes take a network.

MXNet's own graph of the block is walked, and each of its operators written as ONNX has it: NumPy semantics stay on.
"""

import ast
import json

import mended_mxnet

import numpy as onp
from mxnet import sym
from onnx import TensorProto, helper, numpy_helper, shape_inference

from problem import Problem
from sources.weights import weights_of

OPSET, IR = 18, 10  # versions of ONNX that runtimes have known since 2024


def model_of(block, shape):
    """The ONNX model of `block` in predict mode, with a copy of the weights: 'data' -> 'output'. Raises Problem.

    Of `shape`, [n, 3, height, width], a side is fixed by a number, and any by a name.
    """
    walked = json.loads(block(sym.var('data').as_np_ndarray()).tojson())
    graph, names = Graph(weights_by_variable(block)), []
    for node in walked['nodes']:
        inputs = [names[i] for i, *_ in node['inputs']]
        names.append(node['name'] if node['op'] == 'null' else graph.take(node, inputs))
    ((last, *_),) = walked['heads']
    graph.add('Identity', 'output', [names[last]])
    made = helper.make_graph(
        graph.nodes,
        'network',
        [helper.make_tensor_value_info('data', TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info('output', TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in graph.arrays.items()],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid('', OPSET)], ir_version=IR)
    return shape_inference.infer_shapes(model)  # the output's shape, too


def weights_by_variable(block):
    """{name in MXNet's graph: array} of all weights and statistics of `block`."""
    weights = weights_of(block)
    return {param.name: weights[name] for name, param in block._collect_params_with_prefix().items()}


class Graph:
    """The nodes and arrays of an ONNX graph so far; a value goes by its name, which is that in MXNet's graph."""

    def __init__(self, weights):
        self.nodes, self.arrays = [], weights

    def take(self, node, inputs):
        """Add what is a node of MXNet's graph; the name of its output. Raises Problem."""
        settings = {name: value(text) for name, text in node.get('attrs', {}).items()}
        try:
            return OPERATORS[node['op']](self, node['name'], inputs, settings)
        except KeyError as error:
            raise Problem(
                f'{node["name"]} cannot be written as ONNX (operator {node["op"]}: no {error}); take another layer.'
            ) from None

    def add(self, operator, name, inputs, **settings):
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **settings))
        return name

    def array(self, name, values, dtype='int64'):
        self.arrays[name] = onp.array(values, dtype)
        return name


def value(text):
    """A setting, of which MXNet's graph has the text: a number, numbers, True, False or, of a kind, its name."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


# ---- The operators: each adds itself to a graph, and returns the name of its output ---------------------------------


def convolution(graph, name, inputs, settings):
    more = {'dilations': settings['dilate'], 'group': settings['num_group']}
    return graph.add('Conv', name, inputs, **window(settings), **more)


def window(settings):
    """What slides over the picture."""
    return {'kernel_shape': settings['kernel'], 'strides': settings['stride'], 'pads': settings['pad'] * 2}


def batch_norm(graph, name, inputs, settings):
    if settings['axis'] != 1:
        raise KeyError('axis')
    if settings['fix_gamma']:
        graph.arrays[inputs[1]] = onp.ones_like(graph.arrays[inputs[1]])  # whatever it is, it counts as 1
    return graph.add('BatchNormalization', name, inputs, epsilon=settings['eps'])


def activation(graph, name, inputs, settings):
    operator = {'relu': 'Relu', 'sigmoid': 'Sigmoid', 'tanh': 'Tanh', 'softrelu': 'Softplus'}[settings['act_type']]
    return graph.add(operator, name, inputs)


def pooling(graph, name, inputs, settings):
    operator = {'max': 'MaxPool', 'avg': 'AveragePool'}[settings['pool_type']]
    if settings['global_pool']:
        return graph.add(f'Global{operator}', name, inputs)
    more = {'ceil_mode': {'valid': 0, 'full': 1}[settings['pooling_convention']]}
    if operator == 'AveragePool':
        more['count_include_pad'] = int(settings['count_include_pad'])
    return graph.add(operator, name, inputs, **window(settings), **more)


def dense(graph, name, inputs, settings):
    X, *weights = inputs
    if not settings['flatten']:
        raise KeyError('flatten')
    return graph.add('Gemm', name, [graph.add('Flatten', f'{name}_flat', [X]), *weights], transB=1)


def clip(graph, name, inputs, settings):
    limits = [graph.array(f'{name}_{limit}', settings[limit], 'float32') for limit in ('a_min', 'a_max')]
    return graph.add('Clip', name, [*inputs, *limits])


def flip(graph, name, inputs, settings):
    """A slice of all, backwards: from the last one to beyond the first one."""
    axes = settings['axis']
    slices = {'start': -1, 'end': -(2**31), 'axis': axes, 'step': -1}
    arrays = [graph.array(f'{name}_{part}', onp.broadcast_to(x, len(axes))) for part, x in slices.items()]
    return graph.add('Slice', name, [*inputs, *arrays])


def reshape(graph, name, inputs, settings):
    sides = [{-2: 0, -1: -1, 1: 1}[side] for side in settings['newshape']]  # -2, and ONNX's 0: as it is
    return graph.add('Reshape', name, [*inputs, graph.array(f'{name}_shape', sides)])


OPERATORS = {
    'Convolution': convolution,
    'BatchNorm': batch_norm,
    'Activation': activation,
    'Pooling': pooling,
    'FullyConnected': dense,
    'Flatten': lambda graph, name, inputs, settings: graph.add('Flatten', name, inputs),
    'Dropout': lambda graph, name, inputs, settings: inputs[0],  # nothing, in predict mode
    'clip': clip,
    '_npi_add': lambda graph, name, inputs, settings: graph.add('Add', name, inputs),
    '_npi_concatenate': lambda graph, name, inputs, settings: graph.add('Concat', name, inputs, axis=settings['axis']),
    '_npi_flip': flip,
    '_npx_reshape': reshape,
}
