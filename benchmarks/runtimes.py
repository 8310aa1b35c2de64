"""Other runtimes of a frozen part, each written as its documentation does: what `make classifier` could have taken.

Each function gets everything ready that one would have as a file, and returns a function; that one loads and compiles
it, and returns another: pictures -> their features [n, ...]. All read the same files in the same way.
"""

import importlib
import itertools

import mended_mxnet

import numpy as onp
import onnx
from mxnet import np

import fast
import frozen
import onnx_graph
import utils
from pictures import centre_crop, normalize, open_picture
from sources import NETWORKS

BATCH = 32
CALIBRATION = 300  # pictures, from which NNCF takes the range of each value; ONNX Runtime gets as many


def read(pictures, px, network):
    """Yield their pixels [1, 3, px, px]."""
    facts = NETWORKS[network]
    for path, _ in pictures:
        yield normalize(centre_crop(open_picture(path, px), px), facts.mean, facts.std)[None]


def batches(pictures, px, network):
    """Yield the same as [n, 3, px, px]."""
    images = read(pictures, px, network)
    while batch := [*itertools.islice(images, BATCH)]:
        yield onp.concatenate(batch)


def beside_pytorch(name):
    """A package that lies where PyTorch does, or needs one that does."""
    from benchmarks import pytorch  # noqa: F401

    return importlib.import_module(name)


def file_of(task, n):
    """The file with the network of `task` without its output layer, for n pictures at once."""
    net = utils.pretrained(task.network)
    net(np.zeros((1, 3, task.px, task.px)))
    below, _ = frozen.cut(net, 'output')
    path = task.folder / 'network.onnx'
    onnx.save(onnx_graph.model_of(below.block, (n, 3, task.px, task.px)), path)
    return path


def openvino(task, precision=None, bits8=False):
    """Pictures one by one, in as many requests as it finds best: its advice for throughput."""
    file, package = file_of(task, 1), fast.package()
    nncf = beside_pytorch('nncf') if bits8 else None
    settings = {'PERFORMANCE_HINT': 'THROUGHPUT'} | ({'INFERENCE_PRECISION_HINT': precision} if precision else {})

    def start():
        model = fast.core().read_model(file)
        if bits8:
            some = nncf.Dataset(read(task.dataset.train[:CALIBRATION], task.px, task.network))
            model = nncf.quantize(model, some, subset_size=CALIBRATION)
        queue = package.AsyncInferQueue(fast.core().compile_model(model, 'CPU', settings))
        return lambda pictures: through(queue, read(pictures, task.px, task.network), len(pictures))

    return start


def through(queue, images, n):
    """What OpenVINO's queue gives for n images."""
    rows = [None] * n

    def done(request, i):
        rows[i] = request.get_output_tensor().data[0].copy()

    queue.set_callback(done)
    for i, image in enumerate(images):
        queue.start_async({'data': image}, i)
    queue.wait_all()
    return onp.stack(rows)


def onnxruntime(task, bits8=False):
    """Pictures in batches; in 8 bits as it is said to be best for networks of convolutions."""
    from onnxruntime import InferenceSession

    file = file_of(task, 'n')
    quantization = beside_pytorch('onnxruntime.quantization') if bits8 else None

    def start():
        model = in_8_bits(quantization, task, file) if bits8 else file
        session = InferenceSession(model, providers=['CPUExecutionProvider'])

        def run(pictures):
            parts = [session.run(None, {'data': X})[0] for X in batches(pictures, task.px, task.network)]
            return onp.concatenate(parts)

        return run

    return start


def in_8_bits(quantization, task, file):
    """The file with the same network in 8 bits."""

    class Reader(quantization.CalibrationDataReader):
        images = read(task.dataset.train[:CALIBRATION], task.px, task.network)

        def get_next(self):
            return next(({'data': image} for image in self.images), None)

    ready, made = file.with_name('ready.onnx'), file.with_name('8_bits.onnx')
    quantization.quant_pre_process(file, ready, skip_symbolic_shape=True)
    quantization.quantize_static(ready, made, Reader(), per_channel=True)
    return made


def pytorch(task, **way):
    """In batches that worker processes read."""
    from benchmarks import pytorch

    return lambda: pytorch.features_of(task.network, task.px, **way)
