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

import hashlib
import itertools
import json
import mmap
import os
from numbers import Integral

import mended_mxnet

import mxnet
import numpy as onp
import pandas as pd
import psutil
from mxnet import autograd, gluon, np, npx, sym
from mxnet.base import MXNetError
from mxnet.gluon import nn
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from tqdm.auto import tqdm

import cache
import fast
import heads
import pictures as reading
import utils
from files import BUILD, user_path
from known import Known
from problem import (
    Problem,
    check_classes,
    check_network,
    check_number,
    check_pictures,
    check_px,
    first_names,
    one_line,
    say,
)
from sources import inherit
from sources.weights import check_finite, check_takes, not_taken, set_weights, weights_of

CACHE = BUILD / 'cache'
BATCH = 32  # pictures that MXNet computes at once
STRENGTHS = 10.0 ** onp.arange(-6, 5)  # the grid of C
LARGE, PATIENCE = 10**8, 3  # features of all pictures times classes: the last fits of so many would take minutes each
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
    utils.freeze(net, 0)  # whatever was frozen in the source
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
        self.operators = what_it_computes(block, self.graph)
        self.runtime = fast.runtime() if utils.devices()[0] == npx.cpu() else None  # None: MXNet
        self.compiled = {}

    @property
    def key(self):
        """A text that says what it computes, and by what."""
        return fingerprint(self.operators, reading.code_of(Below.images), self.runtime, fast.code(), BATCH)

    def __call__(self, X):
        X = np.array(X, dtype='float32').asnumpy()
        check_takes(self.block, X.shape)
        rows = self.through(X, X.shape[1:])
        return np.array(onp.stack([*rows]), ctx=utils.devices()[0])

    def through(self, images, shape):
        """Yield what it gives for each of the images in that shape; it computes while the next ones are read."""
        compiled = self.compiled_for(shape)
        return compiled.outputs(images) if compiled else self.through_mxnet(images)

    def through_mxnet(self, images):
        """The same by MXNet, which computes a batch in the background while the next one is read."""
        images = iter(images)
        batches = iter(lambda: [*itertools.islice(images, BATCH)], [])
        for Y in utils.one_behind(self.in_mxnet(onp.stack(batch)) for batch in batches):
            yield from Y.asnumpy()

    def in_mxnet(self, X):
        with autograd.pause():  # predict mode
            return self.block(np.array(X, ctx=utils.devices()[0]))

    def compiled_for(self, shape):
        """It, compiled for pictures [3, height, width]; None, and the first time a sentence, if MXNet has to run it."""
        place = os.getpid(), shape
        if self.runtime and place not in self.compiled:
            try:
                self.compiled = {place: fast.Compiled(self.block, shape)}
            except Exception as error:  # whatever OpenVINO has against this machine or this network
                say(f'OpenVINO does not run this frozen part, but MXNet, which is slower ({one_line(error, 200)}).')
                self.runtime = None
        return self.compiled[place] if self.runtime else None

    def shape(self, n, px):
        """The shape [n, ...] of what it gives for n pictures; nothing is computed. Raises Problem."""
        try:
            with mended_mxnet.silent():
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
        size = cache.size_of(self.shape(len(pictures) * max(views, 1), px))
        if size > psutil.virtual_memory().available:
            raise Problem(f'The memory cannot hold {size / 1e9:.2g} GB of features; cut later or take fewer pictures.')
        return onp.stack([*self.outputs(pictures, px, views, self.rows(pictures, views))])

    def batches(self, pictures, px, batch_size, train=False, views=0):
        """Batches of what it gives for [(path, class number), ...]: to train the part above or, in order, to test it.

        Each picture is seen in its centre crop; with `views`, in that many random crops instead, always the same: the
        frozen part runs once for each, and an epoch is `views` times as long. Raises Problem.
        """
        utils.check_batches(pictures, px, batch_size)
        X = self.kept(pictures, px, views)

        def read(rows):
            if X is None:
                return onp.stack([*self.outputs(pictures, px, views, rows)])
            part = X[rows]
            X.base.madvise(mmap.MADV_DONTNEED)  # or memory fills with all that was ever read
            return part

        data_iter = Batches(read, labels_of(pictures, views), batch_size, train)
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
        X = cache.read_array(path, shape)
        if X is not None:
            return X
        if self.runtime and not self.compiled_for((3, px, px)):
            return self.kept(pictures, px, views)  # what MXNet gives has a name of its own
        X = cache.keep(path, shape, lambda first: self.outputs(pictures, px, views, self.rows(pictures, views, first)))
        if f'{self.name(pictures, px, views)}.npy' != path.name:
            cache.removed(path)
            raise Problem('A picture was changed while the pictures were read; run it again.')
        return X

    def name(self, pictures, px, views):
        """A text for each different thing that it may give: who asks for the same again finds it."""
        with Known() as known:
            contents = [content(path, known) for path, _ in pictures]
        names = [user_path(path).name for path, _ in pictures] if views else []  # they decide how a view is cropped
        colours = [float(value) for value in [*self.mean, *self.std]]
        return fingerprint(contents, names, self.key, colours, int(px), int(views), reading.code())

    def outputs(self, pictures, px, views, rows):
        """Yield what it gives for each of the rows."""
        return self.through(self.images(pictures, px, views, rows), (3, px, px))

    def rows(self, pictures, views, first=0):
        """The numbers of the rows from `first` on, with a bar: all pictures, then all in their next view, and so on."""
        n = len(pictures) * max(views, 1)
        return tqdm(range(first, n), 'frozen part', n, initial=first, unit='picture', leave=False)

    def images(self, pictures, px, views, rows):
        """Yield the pixels [3, px, px] of each of the rows."""
        for row in rows:
            number, i = divmod(row, len(pictures))
            image = reading.view(user_path(pictures[i][0]), px, number if views else None)
            yield reading.normalize(image, self.mean, self.std)


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
    folds). Returns a table with a row per C: train and valid accuracy (out of fold: `valid`, too). What is LARGE ends
    when three C in a row have brought nothing. Raises Problem.
    """
    check_fitting(above, dataset)
    X, y = table_of(below, dataset.train, px, views)
    scaler = OneScale().fit(X)
    X = scaler.transform(X, onp.empty(X.shape))  # float64, or scikit-learn would make a copy of its own for each C
    model = LogisticRegression(warm_start=True, max_iter=10000, tol=1e-6)
    valid_score = scorer(below, scaler, dataset, px, views)
    rows, models = [], []
    for C in tqdm(STRENGTHS, 'fitting the head', unit='fit', leave=False):
        model.set_params(C=C).fit(X, y)
        models.append(dense_of(scaler, model))
        rows.append({'C': C, 'train': model.score(X, y), 'valid': valid_score(model)})
        table = pd.DataFrame(rows)
        if X.size * len(dataset.classes) > LARGE and table.valid.argmax() < len(table) - PATIENCE:
            break
    set_weights(above.output, dict(zip(['weight', 'bias'], models[table.valid.argmax()])))
    return table


class OneScale(TransformerMixin, BaseEstimator):
    """Takes the mean from each feature, and divides all by one number.

    With a number for each, features that are nearly always 0 would be as loud as the others, and of few pictures most
    are (benchmarks/scales.py).
    """

    def fit(self, X, y=None):
        self.mean_, self.scale_ = X.mean(0), X.var(0).mean() ** 0.5 or 1
        return self

    def transform(self, X, out=None):
        """The same numbers in `out`, which may have more bits, with no copy of all between."""
        how = {'dtype': self.mean_.dtype, 'casting': 'same_kind'}
        out = onp.subtract(X, self.mean_, out=out, **how)
        return onp.divide(out, self.scale_, out=out, **how)


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


def firsts_of(pictures):
    """[n]: of each picture the row of the first one that is the same, byte for byte. Raises Problem."""
    rows = {}
    with Known() as known:
        return onp.array([rows.setdefault(content(path, known), row) for row, (path, _) in enumerate(pictures)])


def scorer(below, scaler, dataset, px, views):
    """The function that gives a model's accuracy on pictures it was not fitted to, nor to copies or views of them."""
    if len(dataset.valid) >= LEAST_VALID:
        X, y = table_of(below, dataset.valid, px)
        X = scaler.transform(X)
        return lambda model: model.score(X, y)
    first = firsts_of(dataset.train)
    fewest = onp.bincount(labels_of(dataset.train)[onp.unique(first)]).min()
    if fewest < 2:
        raise Problem(
            f'C is chosen on valid, which has {len(dataset.valid)} pictures, or out of fold, and some class has one to '
            f'train on; give valid {LEAST_VALID}, or each class two.'
        )
    X, y = table_of(below, dataset.train, px, views)
    folds = [*StratifiedGroupKFold(min(5, fewest)).split(X, y, onp.tile(first, max(views, 1)))]
    return lambda model: cross_val_score(make_pipeline(OneScale(), model), X, y, cv=folds).mean()


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


def content(path, known):
    """A hash of what is in the file. Raises Problem."""
    try:
        return known.hash_of(user_path(path))
    except OSError as error:
        raise Problem(f"{path} can't be read ({error.strerror}); run find_data again, or get it back.") from None


def what_it_computes(block, graph):
    """Its operators, their settings and inputs, and a hash of each array of weights, in the order of MXNet's graph."""
    weights = weights_of(block)
    check_finite(weights)
    arrays = {param.name: weights[name] for name, param in block._collect_params_with_prefix().items()}
    found = [mxnet.__version__]
    for node in json.loads(graph.tojson())['nodes']:
        if node['name'] in arrays:
            found.append(hashlib.sha1(arrays[node['name']]).hexdigest())
        else:
            found.append((node['op'], node.get('attrs'), [output[:2] for output in node['inputs']]))
    return found
