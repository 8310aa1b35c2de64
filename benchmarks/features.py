"""Features per second, from picture files to an array in memory: ours beside other runtimes of the same network.

python -m benchmarks.features FOLDER [--px 224] [--pictures 256] [--rounds 5] [--networks NAME ...]

    .venv/bin/pip install --target build/torch torch==2.13.0 timm   adds the PyTorch rows

All read the same files in the same way, in float32, and are written as their documentation says; ONNX Runtime comes
with `make test`. Each row has the median of the rounds, the lowest and the highest; the rounds of all rows take turns,
so that a slow minute hits them all alike. Nothing else should run meanwhile. Writes benchmarks/features.csv.
"""

import argparse
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from unittest import mock

import mended_mxnet

import numpy as onp
from mxnet import np
from tqdm import tqdm

import fast
import frozen
import onnx_graph
import utils
from benchmarks.facts import data_facts
from benchmarks.table import Table
from folders import Pictures
from problem import Problem, check_number, check_px, say
from sources import NETWORKS

OUT = Path(__file__).resolve().with_name('features.csv')
BATCH = 32


def read(below, pictures, px):
    """Yield their pixels [3, px, px]."""
    return below.images(pictures, px, 0, range(len(pictures)))


def batches(below, pictures, px):
    """The same, [n, 3, px, px]."""
    return (onp.stack([*read(below, pictures[i : i + BATCH], px)]) for i in range(0, len(pictures), BATCH))


# ---- Each is made once, and then called with pictures ---------------------------------------------------------------


def ours(below, name, px):
    return lambda pictures: onp.stack([*below.outputs(pictures, px, 0, range(len(pictures)))])


def ours_kept(below, name, px):
    """What a notebook calls: the files are hashed, and the features written to the cache, too."""

    def run(pictures):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(frozen, 'CACHE', Path(folder)):
            return onp.array(below.features(pictures, px))

    return run


def mxnet(below, name, px):
    return lambda pictures: onp.stack([*below.through_mxnet(read(below, pictures, px))])


def compiled_by_openvino(below, px, n, hint):
    exact = {'INFERENCE_PRECISION_HINT': 'f32', 'PERFORMANCE_HINT': hint}
    model = onnx_graph.model_of(below.block, (n, 3, px, px))
    return fast.core().compile_model(fast.core().read_model(model.SerializeToString()), 'CPU', exact)


def openvino_batches(below, name, px):
    model = compiled_by_openvino(below, px, BATCH, 'LATENCY')
    return lambda pictures: onp.concatenate([model({'data': X})['output'] for X in batches(below, pictures, px)])


def openvino_queue(below, name, px):
    """For throughput its documentation has one picture at a time, in as many requests as it finds best."""
    queue = fast.package().AsyncInferQueue(compiled_by_openvino(below, px, 1, 'THROUGHPUT'))

    def run(pictures):
        rows = [None] * len(pictures)

        def done(request, i):
            rows[i] = request.get_output_tensor().data[0].copy()

        queue.set_callback(done)
        for i, image in enumerate(read(below, pictures, px)):
            queue.start_async({'data': image[None]}, i)
        queue.wait_all()
        return onp.stack(rows)

    return run


def onnxruntime(below, name, px):
    from onnxruntime import InferenceSession

    model = onnx_graph.model_of(below.block, (BATCH, 3, px, px)).SerializeToString()
    session = InferenceSession(model, providers=['CPUExecutionProvider'])
    return lambda pictures: onp.concatenate([session.run(None, {'data': X})[0] for X in batches(below, pictures, px)])


def pytorch(below, name, px):
    from benchmarks import pytorch

    return pytorch.features_of(name, px)


WAYS = {  # what: (how, package)
    'ours': (ours, 'openvino'),
    'ours, and kept': (ours_kept, 'openvino'),
    'MXNet': (mxnet, 'mxnet'),
    'OpenVINO, one by one': (openvino_queue, 'openvino'),
    'OpenVINO, in batches': (openvino_batches, 'openvino'),
    'ONNX Runtime': (onnxruntime, 'onnxruntime'),
    'PyTorch, channels last, compiled': (pytorch, 'torch'),
}


def made(below, name, px):
    """{what: function of pictures} of all that are installed."""
    found = {}
    for what, (how, _) in WAYS.items():
        try:
            found[what] = how(below, name, px)
        except (ImportError, Problem) as error:
            say(f'{what} is left out: {error}')
    return found


# ---- The measurement ------------------------------------------------------------------------------------------------


def rate(run, pictures):
    """Pictures per second."""
    started = time.time()
    run(pictures)
    return len(pictures) / (time.time() - started)


def check_same(runs, pictures):
    """Raises Problem unless all give the same features; it also warms them up."""
    expected = runs['MXNet'](pictures)
    for what, run in runs.items():
        off = abs(run(pictures) - expected).max() / abs(expected).max()
        if off > 1e-3:
            raise Problem(f'{what} gives other features: {off:.1g} of the largest; see which network it has.')


def measure(name, pictures, px, num_rounds):
    """[{column: value}, ...] of a network, a row for each way."""
    net = utils.pretrained(name)
    net(np.zeros((1, 3, px, px)))
    below, _ = frozen.cut(net, 'output')
    runs = made(below, name, px)
    check_same(runs, pictures[:BATCH])
    rounds = [[rate(run, pictures) for run in runs.values()] for _ in tqdm(range(num_rounds), name)]
    return [
        {
            'network': name,
            'what': what,
            'version': version(WAYS[what][1]),
            'median': onp.median(rates),
            'lowest': min(rates),
            'highest': max(rates),
        }
        for what, rates in zip(runs, zip(*rounds))
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', metavar='FOLDER', nargs='?', default='kitchen')
    parser.add_argument('--px', type=int, default=224)
    parser.add_argument('--pictures', type=int, default=256)
    parser.add_argument('--rounds', type=int, default=5)
    in_packages = [name for name, source in NETWORKS.items() if not source.file]
    parser.add_argument('--networks', nargs='+', choices=NETWORKS, default=in_packages)
    args = parser.parse_args()
    check_px(args.px)
    check_number('pictures', args.pictures, BATCH, whole=True)
    check_number('rounds', args.rounds, 1, whole=True)
    dataset = utils.find_data(args.data)
    some = dataset.train[: args.pictures // BATCH * BATCH]  # whole batches, as some rivals were compiled for
    same = {'px': args.px, 'pictures': len(some), 'rounds': args.rounds, **data_facts(args.data, dataset)}
    table = Table(OUT, ['network', 'what', *same])
    for name in args.networks:
        table.add([row | same for row in measure(name, Pictures(some, dataset.classes), args.px, args.rounds)])
    found = table.rows(**same)
    print(found[['network', 'what', 'median', 'lowest', 'highest']].round(1).to_string(index=False))


if __name__ == '__main__':
    main()
