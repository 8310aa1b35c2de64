"""The knob: how much of a network stays frozen.

What is frozen never changes, so it has to run only once per picture. `cut` takes a network apart: `below` is
frozen, `above` is trained on what `below` gives. Cut at block 0, everything trains; at the output, only the head.

    net = frozen.with_head(utils.pretrained(), dataset.classes)
    below, above = frozen.cut(net, 'stage4')
    train_iter = below.batches(dataset.train, px, batch_size, train=True)
    valid_iter = below.batches(dataset.valid, px, batch_size)
    utils.train(above, train_iter, valid_iter, num_epochs, lr)

Afterwards `net` is the trained network: `above` shares its blocks. Shapes: n pictures, 3 colours, px pixels.
"""

import contextlib
import copy
import functools
import hashlib
import itertools
import json
import math
import mmap
import os
import re
import shutil
import stat
import time
from importlib.metadata import version
from numbers import Integral

import mended_mxnet

import numpy as onp
import pandas as pd
import psutil
from mxnet import autograd, gluon, io, nd, np, sym
from mxnet.base import MXNetError
from mxnet.contrib.quantization import quantize_net_v2
from mxnet.gluon import nn
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm.auto import tqdm

import heads
import pictures as reading
import utils
from files import BUILD, hash_of, user_path, whole
from problem import Problem, check_classes, check_network, check_number, check_pictures, check_px, first_names, say
from sources import inherit
from sources.weights import check_finite, not_taken, set_weights, weights_of

CACHE = BUILD / 'cache'
CAP = 2 * 10**9  # bytes that the cache may hold
BATCH, DAY = 32, 24 * 3600
KEY = r'[0-9a-f]{40}\.npy'  # the name of a file in the cache
STRENGTHS = 10.0 ** onp.arange(-6, 5)  # the grid of C
LEAST_VALID = 100  # pictures; an accuracy on fewer says too little

# ---- Heads ----------------------------------------------------------------------------------------------------------


def with_head(source, classes, head='softmax'):
    """A copy of the network `source` with a new random head (see heads.on), one output per class. Raises Problem."""
    check_network(source)
    if head == 'softmax' and isinstance(source.output, nn.Dense):
        return utils.with_new_head(source, classes)
    check_classes(classes)
    net = inherit(heads.on(utils.copied(source, source.features), len(classes), head), source)
    net.head, net.classes = head, list(classes)
    utils.initialize(net.output)
    net.collect_params().reset_ctx(utils.where(source))  # ties the copied weights to gradients of their own
    return net


# ---- The cut --------------------------------------------------------------------------------------------------------


def cut(net, at):
    """(below, above): `net` in two parts; `at` is the name or number (see `blocks`) of the first block that trains.

    `below` is a copy and runs in predict mode: no training moves its weights or its BatchNorm statistics. `above` is
    not: training it trains `net`. Raises Problem if `net` has no such place, or has seen no picture yet.
    """
    check_network(net)
    num_frozen = position(net, at)
    block = utils.copied(net, net.features[:num_frozen])
    block.collect_params().setattr('grad_req', 'null')
    block.collect_params().reset_ctx(utils.devices()[0])
    block.apply(utils.fix_statistics)
    above = heads.Net(net.features[num_frozen:], net.output)
    above.is_part = num_frozen > 0  # so it takes no pictures
    facts = 'classes', 'px', 'usual_px', 'mean', 'std'  # not its name: a part can't be loaded as the whole
    return inherit(Below(block), net, facts), inherit(above, net, facts)


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
    """The number of blocks below the place `at`, a name or number. Raises Problem."""
    names = blocks(net)
    if isinstance(at, str) and at in names:
        return names.index(at)
    if isinstance(at, Integral) and not isinstance(at, bool) and 0 <= at < len(names):
        return int(at)
    raise Problem(
        f'There is no place {at!r} to cut this network at; give a number from 0 to {len(names) - 1}, '
        f'or one of {", ".join(names)}.'
    )


class Below:
    """The frozen part of a network: [n, 3, px, px] -> what the first block above the cut takes.

    It has the mean, std and classes of the network, and a key that says what it computes, whatever it is called.
    """

    def __init__(self, block):
        self.block = hybridize(block)
        block.collect_params().setattr('_var', None)  # those of before the first picture know no shape
        self.graph = block(sym.var('data').as_np_ndarray())
        self.key = fingerprint(what_it_computes(block, self.graph), reading.code_of(Below.pixels))

    def __call__(self, X):
        with autograd.pause():  # predict mode
            return self.block(np.array(X, dtype='float32', ctx=utils.devices()[0]))

    def shape(self, n, px):
        """The shape [n, ...] of what it gives for n pictures; nothing is computed. Raises Problem."""
        try:
            with contextlib.redirect_stdout(None):  # where MXNet prints what is wrong
                return self.graph.infer_shape(data=(n, 3, px, px))[1][0]
        except MXNetError:
            raise not_taken(self, (n, 3, px, px)) from None

    def features(self, pictures, px, views=0):
        """[n, ...]: what it gives for n pictures in their centre crops, kept on disk; with views, view after view.

        A view is a random crop, always the same one: v views of n pictures are v * n rows. Raises Problem.
        """
        X = self.kept(pictures, px, views)
        if X is not None:
            return X
        size = size_of(self.shape(len(pictures) * max(views, 1), px))
        if size > psutil.virtual_memory().available:
            raise Problem(f'The memory cannot hold {size / 1e9:.2g} GB of features; cut later or take fewer pictures.')
        return onp.concatenate([*self.outputs(pictures, px, views)])

    def batches(self, pictures, px, batch_size, train=False, views=0):
        """Batches of what it gives for [(path, class number), ...]: to train the part above or, in order, to test it.

        Each picture is seen in its centre crop; with `views`, in that many random crops instead, always the same: the
        frozen part runs once for each, and an epoch is `views` times as long. Raises Problem.
        """
        utils.check_batches(pictures, px, batch_size)
        X = self.kept(pictures, px, views)

        def read(rows):
            if X is None:
                return self(self.pixels(pictures, px, views, rows))
            part = X[rows]
            X.base.madvise(mmap.MADV_DONTNEED)  # or memory fills with all that was ever read
            return part

        data_iter = Batches(read, [label for _, label in pictures] * max(views, 1), batch_size, train)
        data_iter.classes = getattr(pictures, 'classes', None)
        return data_iter

    def kept(self, pictures, px, views):
        """The features as an array on disk, computed if they are not there yet; None if the cache can't keep them."""
        check_px(px)
        check_pictures(pictures)
        check_number('views', views, 0, whole=True)
        if views > 1000:
            raise Problem(f'views is {views}; give 1000 at most.')
        shape = self.shape(len(pictures) * max(views, 1), px)
        path = CACHE / f'{self.name(pictures, px, views)}.npy'
        X = read_array(path, shape)
        if X is not None:
            return X
        try:
            make_room(size_of(shape))
            write_array(path, shape, self.outputs(pictures, px, views))
        except OSError as error:
            say(
                f'What the frozen part gives is not kept, but computed anew each time ({error}); free some space, cut '
                'later or take fewer pictures to have it once.'
            )
            return None
        return read_array(path, shape)

    def name(self, pictures, px, views):
        """A text for each different thing that it may give: who asks for the same again finds it."""
        contents = [content(path) for path, _ in pictures]
        names = [user_path(path).name for path, _ in pictures] if views else []  # they decide how a view is cropped
        colours = [float(value) for value in [*self.mean, *self.std]]
        return fingerprint(contents, names, self.key, colours, int(px), int(views), reading.code())

    def outputs(self, pictures, px, views):
        """Yield what it gives, batch by batch; MXNet computes one in the background while the next is read."""
        num_rows = len(pictures) * max(views, 1)
        starts = tqdm(range(0, num_rows, BATCH), 'frozen part', unit='batch', leave=False)
        rows = (range(i, min(i + BATCH, num_rows)) for i in starts)
        for Y in utils.one_behind(self(self.pixels(pictures, px, views, some)) for some in rows):
            yield Y.asnumpy()

    def pixels(self, pictures, px, views, rows):
        """[n, 3, px, px]: the pixels of the rows, which are all pictures, then all in their next view, and so on."""
        images = []
        for row in rows:
            number, i = divmod(row, len(pictures))
            image = reading.view(user_path(pictures[i][0]), px, number if views else None)
            images.append(reading.normalize(image, self.mean, self.std))
        return onp.stack(images)


class Batches(gluon.data.BatchSampler):
    """Batches ([n, ...], [n]) of read(rows) and labels; with train in random order and without a short last one."""

    def __init__(self, read, labels, batch_size, train=False):
        order = (gluon.data.RandomSampler if train else gluon.data.SequentialSampler)(len(labels))
        super().__init__(order, min(batch_size, len(labels)), 'discard' if train else 'keep')
        self.read, self.labels = read, onp.array(labels)

    def __iter__(self):
        for rows in super().__iter__():
            yield np.array(self.read(rows)), np.array(self.labels[rows], dtype='int64')


# ---- A head fitted to its end ---------------------------------------------------------------------------------------


def fit(below, above, dataset, px, views=0):
    """Fit the dense layer `above` the cut to its end, by logistic regression on what `below` gives for dataset.train.

    C, the freedom of its weights, is chosen on valid or, where that has under 100 pictures, out of fold on train (five
    folds). Returns a table with a row per C: train and valid accuracy (out of fold: `valid`, too). Raises Problem.
    """
    check_fitting(above, dataset)
    X, y = table_of(below, dataset.train, px, views)
    scaler = StandardScaler().fit(X)
    X = scaler.transform(X).astype('float64')  # or scikit-learn would make a copy of its own for each C
    model = LogisticRegression(warm_start=True, max_iter=10000, tol=1e-6)
    valid_score = scorer(below, scaler, dataset, px, views)
    rows, models = [], []
    for C in tqdm(STRENGTHS, 'fitting the head', unit='fit', leave=False):
        model.set_params(C=C).fit(X, y)
        models.append(dense_of(scaler, model))
        rows.append({'C': C, 'train': model.score(X, y), 'valid': valid_score(model)})
    table = pd.DataFrame(rows)
    set_weights(above.output, dict(zip(['weight', 'bias'], models[table.valid.argmax()])))
    return table


def check_fitting(above, dataset):
    check_network(above)
    if len(above.features) or not isinstance(above.output, nn.Dense):
        raise Problem("A head of one dense layer can be fitted; cut at 'output', or train this one with utils.train.")
    utils.check_same_classes(above, dataset.train)
    empty = {*range(len(dataset.classes))} - {label for _, label in dataset.train}
    if empty:
        names = first_names(dataset.classes[i] for i in empty)
        raise Problem(f'There is no picture to train on of {names}; give some.')


def table_of(below, pictures, px, views=0):
    """(features [n, k], class numbers [n]) of pictures; some networks give maps of one pixel. Raises Problem."""
    X = below.features(pictures, px, views)
    check_finite({'What the frozen part gives': X})
    return X.reshape(len(X), -1), labels_of(pictures, views)


def labels_of(pictures, views=0):
    """The class numbers in the order of below.features."""
    return onp.array([label for _, label in pictures] * max(views, 1))


def scorer(below, scaler, dataset, px, views):
    """The function that gives a model's accuracy on pictures it was not fitted to; views of one stay in one fold."""
    if len(dataset.valid) >= LEAST_VALID:
        X, y = table_of(below, dataset.valid, px)
        X = scaler.transform(X)
        return lambda model: model.score(X, y)
    fewest = onp.bincount(labels_of(dataset.train)).min()
    if fewest < 2:
        raise Problem(
            f'C is chosen on valid, which has {len(dataset.valid)} pictures, or out of fold, and some class has one to '
            f'train on; give valid {LEAST_VALID}, or each class two.'
        )
    X, y = table_of(below, dataset.train, px, views)
    picture = onp.tile(onp.arange(len(dataset.train)), max(views, 1))
    folds = StratifiedGroupKFold(min(5, fewest))
    return lambda model: cross_val_score(make_pipeline(StandardScaler(), model), X, y, groups=picture, cv=folds).mean()


def dense_of(scaler, model):
    """(weight [c, n], bias [c]) of the dense layer whose softmax is what the model gives for what the scaler gives.

    Of two classes the model scores the second one only: the first one's score is 0.
    """
    W = model.coef_ / scaler.scale_
    b = model.intercept_ - W @ scaler.mean_
    if len(W) == 1:
        W, b = onp.concatenate([0 * W, W]), onp.concatenate([0 * b, b])
    return W.astype('float32'), b.astype('float32')


# ---- What a frozen part computes, as a key --------------------------------------------------------------------------


def fingerprint(*parts):
    return hashlib.sha1(repr(parts).encode('utf8', 'surrogateescape')).hexdigest()


def content(path):
    """A hash of what is in the file. Raises Problem."""
    try:
        return hash_of(user_path(path))
    except OSError as error:
        raise Problem(f"{path} can't be read ({error.strerror}); run find_data again, or get it back.") from None


def what_it_computes(block, graph):
    """Its operators, their settings and inputs, and a hash of each array of weights, in the order of MXNet's graph."""
    weights = weights_of(block)
    check_finite(weights)
    arrays = {param.name: weights[name] for name, param in block._collect_params_with_prefix().items()}
    found = [version('mxnet')]
    for node in json.loads(graph.tojson())['nodes']:
        if node['name'] in arrays:
            found.append(hashlib.sha1(arrays[node['name']]).hexdigest())
        else:
            found.append((node['op'], node.get('attrs'), [output[:2] for output in node['inputs']]))
    return found


# ---- The cache ------------------------------------------------------------------------------------------------------


def size_of(shape):
    """The bytes of an array of that shape in float32."""
    return 4 * math.prod(shape)


def read_array(path, shape):
    """The array in the file, on disk and not in memory; None if it is not there, or not one of float32 in `shape`."""
    try:
        if not path.is_file():
            return None
        X = onp.lib.format.open_memmap(path, mode='r')
    except Exception:  # whatever its bytes are
        return None
    with contextlib.suppress(OSError):  # another user's
        os.utime(path)  # just used: it will be the last to be removed
    return X if X.shape == shape and X.dtype == '<f4' and X.flags.c_contiguous else None


def files_of_ours(pattern):
    """[(time of the last use, bytes, path), ...] in the cache; no folder, no link, nothing of another kind of name."""
    found = []
    for path in CACHE.iterdir():
        with contextlib.suppress(OSError):
            facts = path.lstat()
            if stat.S_ISREG(facts.st_mode) and re.fullmatch(pattern, path.name):
                found.append((facts.st_mtime, facts.st_size, path))
    return sorted(found)


def make_room(size):
    """Make room for so many bytes in the cache: the files not used for longest go. Raises OSError if that's not enough.

    What somebody is writing stays, and so does what isn't ours.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    for used, _, path in files_of_ours(KEY + r'\.\w+\.partial'):
        if time.time() - used > DAY:  # whoever wrote it was killed
            removed(path)
    files = files_of_ours(KEY)
    total = sum(used for _, used, _ in files)
    room = min(CAP, shutil.disk_usage(CACHE).free + total)
    if size <= room:
        for _, freed, path in files:
            if size + total > room and removed(path):
                total -= freed
    if size + total > room:
        raise OSError(f'it takes {size / 1e9:.2g} GB, and the cache {CACHE} holds {room / 1e9:.2g} GB')


def removed(path):
    """Remove a file; whether it is gone now, for another user's may have to stay."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        return True
    return False


def write_array(path, shape, parts):
    """Write the array of `shape` that comes in `parts` to `path`: whole or not at all, and never all in memory."""
    with whole(path) as partial, open(partial, 'wb') as file:
        onp.lib.format.write_array_header_1_0(file, {'descr': '<f4', 'fortran_order': False, 'shape': shape})
        for part in parts:
            file.write(part.tobytes())


# ---- The frozen part in 8-bit integers ----------------------------------------------------------------------


def int8(below, pictures, px):
    """`below` in 8-bit integers, calibrated on up to 16 training pictures: much faster on a CPU, and nearly the same.

    Where that can't run, or is not nearly the same, it is `below` as it was, and one sentence says so.
    """
    if not isinstance(below.block, gluon.HybridBlock):  # it is in 8-bit integers
        return below
    check_px(px)
    check_pictures(pictures)
    some = pictures[:: len(pictures) // 16 + 1]  # in many one has extreme numbers, and all are rounded to their scale

    @functools.cache  # made at its first use: never, if all is in the cache
    def quantized():
        return quantize(below.block, below.pixels(some, px, 0, range(len(some))))

    small = copy.copy(below)
    small.block = lambda X: quantized()(X)
    code = [reading.code_of(function) for function in (int8, quantize, int8_network)]
    small.key = fingerprint('int8', code, below.name(some, px, views=0))
    return small


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
        say(f"8-bit integers don't work here ({type(error).__name__}): the frozen part runs in float32.")
        return hybridize(block)
    if cosine >= least:
        return in_int8
    say(f'8-bit integers change too much (mean cosine {cosine:.2f}): the frozen part runs in float32.')
    return block


def int8_network(block, weights, X):
    """`block` with {name: array} weights, quantised and calibrated on X [n, 3, px, px]; it changes `block`."""

    def rename(layer):
        if hasattr(layer, '_op_name'):  # a convolution remembers the NumPy name of its operator ...
            layer._op_name = layer._op_name.capitalize()

    block.apply(rename)
    block.collect_params().setattr('_var', None)  # ... and a parameter its NumPy symbol
    block.initialize(force_reinit=True)
    set_weights(block, weights)
    simple = itertools.takewhile(
        lambda layer: isinstance(layer, (nn.BatchNorm, nn.Activation, *heads.TOP)), reversed(block)
    )
    quantized = quantize_net_v2(
        block,
        calib_data=io.NDArrayIter(nd.array(X), batch_size=min(8, len(X))),
        calib_mode='naive',
        exclude_layers_match=[layer.name for layer in simple],  # the last ones: in float
    )
    return hybridize(quantized)
