"""Other runtimes of a frozen part, each written as its documentation does: what could be taken instead of ours.

Each function gets ready what one would have as a file, in 8 bits, too, and returns a function; that one loads and
compiles it, and returns another: pictures -> their features [n, ...]. All read the same files in the same way.
"""

import importlib
import itertools
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

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
CALIBRATION = 300  # pictures, from which the range of each value is taken before it gets 8 bits: NNCF's number


def in_a_process(function, *args):
    """What function(*args) gives in a process of its own, whose memory nothing else has touched."""
    with ProcessPoolExecutor(1, get_context('spawn')) as pool:
        return pool.submit(function, *args).result()


def read(pictures, task):
    """Yield their pixels [1, 3, px, px]."""
    facts = NETWORKS[task.network]
    for path, _ in pictures:
        yield normalize(centre_crop(open_picture(path, task.px), task.px), facts.mean, facts.std)[None]


def batches(pictures, task):
    """Yield the same as [n, 3, px, px]."""
    images = read(pictures, task)
    while batch := [*itertools.islice(images, BATCH)]:
        yield onp.concatenate(batch)


# ---- Files ----------------------------------------------------------------------------------------------------------


def file_of(task, n, form='network.onnx'):
    """The file with the network of `task` without its output layer, for n pictures at once, in one of FORMS."""
    file, made = task.folder / 'network.onnx', task.folder / form
    if not made.exists():
        in_a_process(make, task, n, file)
        if form in FORMS:
            in_a_process(FORMS[form], task, file, made)
    return made


def make(task, n, file):
    net = utils.pretrained(task.network)
    net(np.zeros((1, 3, task.px, task.px)))
    below, _ = frozen.cut(net, 'output')
    onnx.save(onnx_graph.model_of(below.block, (n, 3, task.px, task.px)), file)


def by_nncf(task, file, made):
    """As OpenVINO makes it 8 bits."""
    nncf, some = beside_pytorch('nncf'), task.dataset.train[:CALIBRATION]
    model = nncf.quantize(fast.core().read_model(file), nncf.Dataset(read(some, task)), subset_size=len(some))
    fast.package().save_model(model, made, compress_to_fp16=False)


def by_onnxruntime(task, file, made):
    """As ONNX Runtime makes it 8 bits."""
    package, ready = beside_pytorch('onnxruntime.quantization'), file.with_name('ready.onnx')

    class Reader(package.CalibrationDataReader):
        images = read(task.dataset.train[:CALIBRATION], task)

        def get_next(self):
            return next(({'data': image} for image in self.images), None)

    package.quant_pre_process(file, ready, skip_symbolic_shape=True)
    package.quantize_static(ready, made, Reader(), per_channel=True)


FORMS = {'openvino_8_bits.xml': by_nncf, 'onnxruntime_8_bits.onnx': by_onnxruntime}


def beside_pytorch(name):
    """A package that lies where PyTorch does, or needs one that does."""
    from benchmarks import pytorch  # noqa: F401

    return importlib.import_module(name)


# ---- Runtimes -------------------------------------------------------------------------------------------------------


def openvino(task, form='network.onnx', **settings):
    """Pictures one by one, in as many requests as it finds best: its advice for throughput."""
    package, file = fast.package(), file_of(task, 1, form)

    def start():
        model = fast.core().compile_model(file, 'CPU', {'PERFORMANCE_HINT': 'THROUGHPUT', **settings})
        queue = package.AsyncInferQueue(model)
        return lambda pictures: through(queue, read(pictures, task), len(pictures))

    return start


def through(queue, images, n):
    """What OpenVINO's queue gives for n images."""
    rows = [None] * n

    def done(request, i):
        rows[i] = request.get_output_tensor().data[0].copy()

    queue.set_callback(done)
    for i, image in enumerate(images):
        queue.start_async({0: image}, i)
    queue.wait_all()
    return onp.stack(rows)


def onnxruntime(task, form='network.onnx'):
    """Pictures in batches."""
    from onnxruntime import InferenceSession

    file = file_of(task, 'n', form)

    def start():
        session = InferenceSession(file, providers=['CPUExecutionProvider'])

        def run(pictures):
            return onp.concatenate([session.run(None, {'data': X})[0] for X in batches(pictures, task)])

        return run

    return start


def pytorch(task, **way):
    """In batches that worker processes read."""
    from benchmarks import pytorch

    return lambda: pytorch.features_of(task.network, task.px, **way)
