"""OpenVINO: the fastest way on a CPU through what does not learn, in float32.

Each picture goes through by itself, on one core, and other cores have others: none waits for another one, and what a
picture gives depends on no other.
"""

import collections
import functools
import itertools
import os
import sys
import types
from importlib.metadata import PackageNotFoundError, version

import mended_mxnet

import onnx_graph
from pictures import code_of
from problem import say


@functools.cache
def runtime():
    """The runtime, its version and its precision, as a part of keys; None where it isn't installed."""
    try:
        return f'openvino {version("openvino")} f32'
    except PackageNotFoundError:
        say('OpenVINO is not installed here, as on Macs with Intel: MXNet runs what is frozen, which is slower.')
        return None


def package():
    """OpenVINO itself; the first time takes a while."""
    sys.modules.setdefault('openvino_telemetry', None)  # or the import would tell a server that there was one
    import openvino

    return openvino


@functools.cache
def core():
    """OpenVINO's core, one for the whole process.

    Each brings a stack of its own for signals, and takes it away when it goes: after two, Ctrl-C could end Python.
    """
    return package().Core()


def code():
    """What decides how a block is given to it, from the code that is loaded."""
    things = {**vars(onnx_graph), **vars(onnx_graph.Graph), **onnx_graph.OPERATORS, 'settings': Compiled.__init__}
    return [code_of(thing) for thing in things.values() if isinstance(thing, types.FunctionType)]


STARTED = set()  # the processes in which it was started


def check_process():
    """Raises RuntimeError in one that was forked from such a process: it would wait for threads that it hasn't got."""
    if STARTED - {os.getpid()}:
        raise RuntimeError('it was started before this process was forked')
    STARTED.add(os.getpid())


def cores():
    """As many as MXNet uses."""
    return max(int(os.environ['OMP_NUM_THREADS'].split(',')[0]), 1)


class Compiled:
    """`block` for pictures of one shape, [3, height, width]. Raises Problem, and anything that OpenVINO may raise."""

    def __init__(self, block, shape):
        check_process()
        model = core().read_model(onnx_graph.model_of(block, (1, *shape)).SerializeToString())
        settings = {
            'INFERENCE_PRECISION_HINT': 'f32',
            'INFERENCE_NUM_THREADS': cores(),
            'NUM_STREAMS': cores(),
            'ENABLE_CPU_PINNING': False,  # or two processes of one thread each would share the first core
        }
        compiled = core().compile_model(model, 'CPU', settings)
        self.requests = [compiled.create_infer_request() for _ in range(2 * cores())]  # a core finds its next waiting

    def outputs(self, images):
        """Yield what it gives for each of the images, in their order; it computes while the next ones are read."""
        begun = collections.deque()
        try:
            for image, request in zip(images, itertools.cycle(self.requests)):
                if len(begun) == len(self.requests):
                    yield output(begun.popleft())
                request.start_async([image[None]])
                begun.append(request)
            while begun:
                yield output(begun.popleft())
        finally:  # nobody may want the rest
            for request in begun:
                request.wait()


def output(request):
    """What it gave for its picture."""
    request.wait()
    return request.get_output_tensor(0).data[0].copy()
