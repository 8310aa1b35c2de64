"""The knob: how much of a network stays frozen.

What is frozen never changes, so it has to run only once per picture. `cut` takes a network apart: `below` is
frozen, `above` is trained on what `below` gives. Cut at block 0, everything trains; at the output, only the head.

    net = frozen.with_head(utils.pretrained(), data.classes)
    below, above = frozen.cut(net, 'stage4')
    train_iter = frozen.batches(below, data.train, px, batch_size, shuffle=True)
    valid_iter = frozen.batches(below, data.valid, px, batch_size)
    utils.train(above, train_iter, valid_iter, num_epochs, lr)

Afterwards `net` is the trained network: `above` shares its blocks. Shapes: n pictures, 3 colours, px pixels.
"""

import collections
import copy
import functools
import hashlib
import inspect
import itertools
import mmap
import os
import random
import shutil

import mended_mxnet

import numpy as onp
from mxnet import autograd, gluon, io, nd, np
from mxnet.contrib.quantization import quantize_net_v2
from mxnet.gluon import nn
from tqdm.auto import tqdm

import utils
from files import BUILD
from pictures import centre_crop, normalize, open_picture, random_crop
from sources.weights import set_weights, weights_of

CACHE = BUILD / 'cache'
CAP = 2 * 10**9  # bytes that the cache may hold

# ---- Heads --------------------------------------------------------------------------------------------------

TOP = (nn.GlobalAvgPool2D, nn.AvgPool2D, nn.Flatten, nn.Dense, nn.Dropout)  # they come after the last feature maps


def with_head(source, classes, head='softmax'):
    """A copy of the network `source` with a new random head, one output per class. Raises Problem. The heads:

    'softmax': one dense layer (TensorFlow, retrain.py).
    'dense256': flatten, dense 256, ReLU, dropout 0.5, dense, right after the last feature maps (Chollet, "Building
    powerful image classification models using very little data", 2016).
    'batchnorm1024': batch norm, dense 1024, ReLU, dense.
    """
    if head == 'softmax' and isinstance(source.output, nn.Dense):
        return utils.with_new_head(source, classes)
    pool = (
        [] if isinstance(source.output, nn.Dense) else [nn.GlobalAvgPool2D(), nn.Flatten()]
    )  # its output is a convolution
    heads = {
        'softmax': pool,
        'dense256': [nn.Flatten(), nn.Dense(256, activation='relu'), nn.Dropout(0.5)],
        'batchnorm1024': [*pool, nn.BatchNorm(axis=-1), nn.Dense(1024, activation='relu')],
    }  # oneDNN crashes at axis 1
    if head not in heads:
        raise utils.Problem(f'There is no head "{head}"; choose one of {", ".join(heads)}.')
    features, output = copy.deepcopy(source.features), nn.HybridSequential()
    while head == 'dense256' and isinstance(features[-1], TOP):
        features = features[:-1]
    output.add(*heads[head], nn.Dense(len(classes)))
    net = Net(features, utils.initialize(output))
    net.mean, net.std, net.classes = source.mean, source.std, list(classes)
    net.collect_params().reset_ctx(utils.where(source))  # ties the copied weights to gradients of their own
    return net


class Net(gluon.HybridBlock):
    """`features`, then `output`: the blocks themselves, not copies."""

    def __init__(self, features, output):
        super().__init__()
        self.features, self.output = features, output

    def hybrid_forward(self, F, X):
        return self.output(self.features(X))


# ---- The cut ------------------------------------------------------------------------------------------------

Below = collections.namedtuple('Below', 'run mean std key')  # run: [n, 3, px, px] -> outputs; key: what it computes


def cut(net, at):
    """(below, above): `net` in two parts; `at` is the name or number (see `blocks`) of the first block that trains.

    `below` is a copy and runs in predict mode: no training moves its weights or its BatchNorm statistics. `above` is not:
    training it trains `net`. Raises Problem if `net` has no such place.
    """
    first = position(net, at)
    block = copy.deepcopy(net.features[:first])
    block.collect_params().setattr('grad_req', 'null')
    block.collect_params().reset_ctx(utils.devices()[0])
    weights = [(name, hashlib.sha1(a).hexdigest()) for name, a in weights_of(block).items()]
    return Below(hybridize(block), net.mean, net.std, fingerprint([], block, weights)), Net(
        net.features[first:], net.output
    )


def hybridize(block):
    block.hybridize(static_alloc=True, static_shape=True)
    return block


def blocks(net):
    """The places to cut `net` at, in order: the name of a block or, where it has none, 'block' and its number."""
    names = [
        block.name.split('_')[-1] if block.name.startswith(net.features.prefix) else f'block{i}'
        for i, block in enumerate(net.features)
    ]
    return [*names, 'output']


def position(net, at):
    names = blocks(net)
    if at not in names and at not in range(len(names)):
        raise utils.Problem(
            f'There is no place {at!r} to cut this network at; give a number from 0 to '
            f'{len(names) - 1}, or one of {", ".join(names)}.'
        )
    return names.index(at) if at in names else at


# ---- What the frozen part gives, from the cache if it is there ----------------------------------------------


class Batches(gluon.data.BatchSampler):
    """Batches ([n, ...], [n]) of read(rows) and labels; with shuffle in random order and without a short last one."""

    def __init__(self, read, labels, batch_size, shuffle=False):
        order = (gluon.data.RandomSampler if shuffle else gluon.data.SequentialSampler)(len(labels))
        super().__init__(order, min(batch_size, len(labels)), 'discard' if shuffle else 'keep')
        self.read, self.labels = read, onp.array(labels)

    def __iter__(self):
        for rows in super().__iter__():
            yield np.array(self.read(rows)), np.array(self.labels[rows], dtype='int64')


def batches(below, pictures, px, batch_size, shuffle=False, views=0):
    """Batches of what `below` gives for [(path, class number), ...]: to train the part above (shuffle) or test it.

    Each picture is seen in its centre crop; with `views`, in that many random crops instead, always the same: the
    frozen part runs once for each, and an epoch is `views` times as long. Raises Problem if the disk is full.
    """
    X, pixels = features(below, pictures, px, views), reader(below, pictures, px, views)

    def read(rows):
        if X is None:
            return run(below, pixels(rows))
        part = X[rows]
        X.base.madvise(mmap.MADV_DONTNEED)  # or memory fills with all that was ever read
        return part

    return Batches(read, [label for _, label in pictures] * max(views, 1), batch_size, shuffle)


def features(below, pictures, px, views=0):
    """[n, ...], on disk: what `below` gives for n pictures (view after view); None if the cache can't hold it.

    It is computed only once, as long as the frozen part, the pictures and the way they are cropped are the same.
    """
    cropping = [inspect.getsource(f) for f in (open_picture, centre_crop, random_crop, normalize)]
    key = fingerprint(pictures, below.key, below.mean, below.std, px, views, cropping)
    path, num_rows = CACHE / f'{key}.npy', len(pictures) * max(views, 1)
    try:
        X = onp.load(path, mmap_mode='r')
    except (OSError, ValueError):  # it is not there, or damaged
        shape = (num_rows, *run(below, onp.zeros((1, 3, px, px), 'f4')).shape[1:])
        if not make_room(4 * onp.prod(shape)):
            return None
        write(path, shape, outputs(below, reader(below, pictures, px, views), num_rows))
        X = onp.load(path, mmap_mode='r')
    os.utime(path)  # just used: it will be the last to be removed
    return X


def fingerprint(pictures, *parts):
    contents = [hashlib.sha1(path.read_bytes()).hexdigest() for path, _ in pictures]
    return hashlib.sha1(repr((contents, parts)).encode('utf8', 'surrogateescape')).hexdigest()


def run(below, X):
    with autograd.pause():  # predict mode
        return below.run(np.array(X, ctx=utils.devices()[0]))


def reader(below, pictures, px, views=0):
    """A function from row numbers to pixels [n, 3, px, px]: all pictures, then all in their next view, and so on."""

    def pixels(row):
        view, i = divmod(row, len(pictures))
        path, state = pictures[i][0], random.getstate()
        image = open_picture(path, px)
        random.seed(f'{path.name} {view}')  # a view is always the same crop ...
        image = random_crop(image, px) if views else centre_crop(image, px)
        random.setstate(state)  # ... and other random numbers stay what they would have been
        return normalize(image, below.mean, below.std)

    return lambda rows: onp.stack([pixels(row) for row in rows])


def outputs(below, pixels, num_rows, batch_size=32):
    """Yield what `below` gives, batch by batch; MXNet computes one in the background while the next is read."""
    rows = tqdm(range(0, num_rows, batch_size), 'frozen part', unit='batch', leave=False)
    Ys = (run(below, pixels(range(i, min(i + batch_size, num_rows)))) for i in rows)
    for Y, _ in itertools.pairwise(itertools.chain(Ys, [None])):
        yield Y.asnumpy()


def make_room(size):
    """Whether `size` bytes fit into the cache, when the files that were not used for longest are removed."""
    CACHE.mkdir(parents=True, exist_ok=True)
    files = sorted(CACHE.iterdir(), key=lambda file: file.stat().st_mtime)
    sizes = [file.stat().st_size for file in files]
    room = min(CAP, shutil.disk_usage(CACHE).free + sum(sizes))
    if size > room:
        print(
            f'The frozen part gives {size / 1e9:.2g} GB, and the cache holds {room / 1e9:.2g} GB: it is computed anew in every '
            'epoch. To have it only once, cut later or take fewer pictures.'
        )
        return False
    while size + sum(sizes) > room:
        files.pop(0).unlink(missing_ok=True)
        sizes.pop(0)
    return True


def write(path, shape, parts):
    """Write the array of `shape` that comes in `parts` to `path`: whole or not at all, and never all in memory."""
    partial = path.with_name(f'{path.name}.{os.getpid()}.partial')
    try:
        with open(partial, 'wb') as file:
            onp.lib.format.write_array_header_1_0(file, {'descr': '<f4', 'fortran_order': False, 'shape': shape})
            for part in parts:
                file.write(part.tobytes())
        os.replace(partial, path)
    except OSError as error:
        raise utils.Problem(f'What the frozen part gives could not be kept ({error}); free some space.') from None
    finally:
        partial.unlink(missing_ok=True)


# ---- The frozen part in 8-bit integers ----------------------------------------------------------------------


def int8(below, pictures, px):
    """`below` in 8-bit integers, calibrated on up to 16 training pictures: much faster on a CPU, and nearly the same.

    Where that can't run, or is not nearly the same, it is `below` as it was, and one sentence says so.
    """
    some = pictures[
        :: len(pictures) // 16 + 1
    ]  # in many there is one with extreme numbers, and all are rounded to their scale

    @functools.cache  # made at its first use: never, if all is in the cache
    def quantized():
        return quantize(below.run, reader(below, some, px)(range(len(some))))

    return below._replace(run=lambda X: quantized()(X), key=fingerprint(some, 'int8', below.key, px))


def quantize(block, X, least=0.99):
    """`block` as a function in 8-bit integers; `block` itself, where their mean cosine on X is under `least`."""
    try:
        block.hybridize(False)  # so that it can be copied
        net = mended_mxnet.without_numpy(int8_network, copy.deepcopy(block), weights_of(block), X)

        def in_int8(X):
            return mended_mxnet.without_numpy(net, X.as_nd_ndarray()).as_np_ndarray()

        A, B = (f(np.array(X)).asnumpy().reshape(len(X), -1) for f in (in_int8, hybridize(block)))
        cosine = ((A * B).sum(1) / onp.linalg.norm(A, axis=1) / onp.linalg.norm(B, axis=1)).mean()
    except Exception as error:  # whatever MXNet has against this machine or this network
        print(f"8-bit integers don't work here ({type(error).__name__}): the frozen part runs in float32.")
        return hybridize(block)
    if not cosine >= least:
        print(f'8-bit integers change too much (mean cosine {cosine:.2f}): the frozen part runs in float32.')
    return in_int8 if cosine >= least else block


def int8_network(block, weights, X):
    """`block` with {name: array} weights, quantised and calibrated on X [n, 3, px, px]; it changes `block`."""

    def rename(layer):
        if hasattr(layer, '_op_name'):  # a convolution remembers the NumPy name of its operator ...
            layer._op_name = layer._op_name.capitalize()

    block.apply(rename)
    block.collect_params().setattr('_var', None)  # ... and a parameter its NumPy symbol
    block.initialize(force_reinit=True)
    set_weights(block, weights)
    simple = itertools.takewhile(lambda layer: isinstance(layer, (nn.BatchNorm, nn.Activation, *TOP)), reversed(block))
    return hybridize(
        quantize_net_v2(
            block,
            calib_data=io.NDArrayIter(nd.array(X), batch_size=8),
            calib_mode='naive',
            exclude_layers_match=[layer.name for layer in simple],
        )
    )  # the last ones: in float
