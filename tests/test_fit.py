"""A head fitted to its end: scikit-learn's answers out of the Gluon network, C chosen where nothing was fitted."""

import signal
import tracemalloc
import types
import warnings

import mended_mxnet

import numpy as onp
import pytest
from helpers import red_and_blue, same, sentence, source, tiny, values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mxnet import np, npx
from mxnet.gluon import nn
from mxnet.gluon.model_zoo import vision
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

import frozen
import heads
import utils
from folders import Dataset, Pictures

GRID = [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100, 1e3, 1e4]


@pytest.fixture(autouse=True)
def with_cache(cache, monkeypatch):
    """A cache of its own; of pictures that only have names each is another."""
    monkeypatch.setattr(frozen, 'content', lambda path, known: path)


@pytest.fixture(autouse=True)
def no_warnings():
    """No fit ends before its end: scikit-learn would warn of it, once and by the way."""
    with warnings.catch_warnings():
        warnings.filterwarnings('error', module='sklearn')
        yield


# ---- Features by hand -----------------------------------------------------------------------------------------------


class Features:
    """A frozen part whose features a test decides: a row for each picture, in its views a little beside that."""

    def __init__(self, **splits):
        self.rows = {f'{split} {i}': row for split, X in splits.items() for i, row in enumerate(X)}

    def features(self, pictures, px, views=0):
        X = onp.stack([self.rows[path] for path, _ in pictures]).astype('f4')
        return onp.concatenate([X + onp.float32(1e-3 * view) for view in range(max(views, 1))])


def dataset_of(**labels):
    """A Dataset of pictures that only have names, with those class numbers."""
    classes = [f'class {i}' for i in range(1 + max(labels['train']))]
    named = {split: [(f'{split} {i}', int(k)) for i, k in enumerate(some)] for split, some in labels.items()}
    splits = {split: Pictures(named.get(split, []), classes) for split in ('train', 'valid', 'test')}
    return Dataset(classes, **splits)


def above_of(num_features, classes):
    """The part of a network above the cut at its output, random."""
    above = heads.Net(nn.HybridSequential(), nn.Dense(len(classes), in_units=num_features))
    above.classes = classes
    return utils.initialize(above)


def clouds(sizes, num_features=20, apart=1.0, seed=0):
    """(X [n, num_features], y [n]): so many points around a place of their own for each class, in random order."""
    rng = onp.random.default_rng(seed)
    y = rng.permutation(onp.repeat(onp.arange(len(sizes)), sizes))
    places = apart * rng.normal(size=(len(sizes), num_features))
    return (places[y] + rng.normal(size=(len(y), num_features))).astype('f4'), y


def fitted(X, y, valid=None, valid_y=(), views=0):
    """(part above the cut, its table) after the fit."""
    dataset = dataset_of(train=y, valid=valid_y)
    above = above_of(X.shape[1], dataset.classes)
    below = Features(train=X, valid=[] if valid is None else valid)
    return above, frozen.fit(below, above, dataset, 32, views)


def pipeline(C, tol=1e-6):
    return make_pipeline(frozen.OneScale(), LogisticRegression(C=C, max_iter=10000, tol=tol))


def softmax(above, X):
    return npx.softmax(above(np.array(X))).asnumpy()


# ---- The answers are scikit-learn's ---------------------------------------------------------------------------------


@pytest.mark.parametrize('sizes', [(60, 60), (90, 9), (50, 40, 7), (20, *9 * [12])])
def test_the_network_gives_what_scikit_learn_gives(sizes):
    """Also with features that are always the same, and with some that are a million times as large as others."""
    X, y = clouds(sizes)
    X[:, 3], X[:, 4] = 0, 7.5
    X[:, :3] *= onp.float32([1e-3, 1, 1e3])
    above, table = fitted(X[::2], y[::2], X[1::2], y[1::2])
    C = table.C[table.valid.idxmax()]
    model = pipeline(C, tol=1e-7).fit(X[::2], y[::2])
    assert table.C.tolist() == GRID
    assert softmax(above, X) == pytest.approx(model.predict_proba(X), abs=5e-3)  # whichever way the fit went
    assert abs(table.train[table.valid.idxmax()] - model.score(X[::2], y[::2])) <= 1 / len(y)


def one_fit(monkeypatch, C, X, y):
    """The part above a cut fitted with this C only, so that scikit-learn's own fit begins and ends like it."""
    monkeypatch.setattr(frozen, 'STRENGTHS', onp.array([C]))
    return fitted(X, y, X, y)[0]


@pytest.mark.parametrize('num_classes', [2, 3, 10])
@pytest.mark.parametrize('C', [1e-4, 0.01, 1, 100])
def test_to_five_digits(monkeypatch, num_classes, C):
    X, y = clouds(num_classes * [20], apart=0.7)
    X[:, 3], X[:, 4] = 0, 7.5
    X[:, :3] *= onp.float32([1e-3, 1, 1e3])
    expected = pipeline(C).fit(X, y).predict_proba(X)
    assert softmax(one_fit(monkeypatch, C, X, y), X) == pytest.approx(expected, abs=1e-5)


@settings(max_examples=25, derandomize=True, deadline=None, suppress_health_check=[*HealthCheck])
@given(
    st.lists(st.integers(2, 30), min_size=2, max_size=10),
    st.lists(st.floats(-4, 4), min_size=2, max_size=12),
    st.sampled_from(GRID),
    st.integers(0, 1000),
)
def test_to_five_digits_whatever_the_features(sizes, powers, C, seed):
    """Any number of pictures in each class, each feature on a scale of its own, one of them always the same."""
    X, y = clouds(sizes, len(powers), seed=seed)
    X *= (10 ** onp.array(powers)).astype('f4')
    X[:, 0] = X[0, 0]
    with pytest.MonkeyPatch.context() as monkeypatch:
        above = one_fit(monkeypatch, C, X, y)
    assert softmax(above, X) == pytest.approx(pipeline(C).fit(X, y).predict_proba(X), abs=1e-5)


@pytest.mark.parametrize('sizes, num_features', [((300, 300), 64), ((60, *9 * [60]), 64), ((15, 15), 512)])
def test_it_was_at_its_end(sizes, num_features):
    """A thousandth of the tolerance and any number of iterations change the loss by less than 0.001."""
    X, y = clouds(sizes, num_features, apart=0.2)
    X = onp.maximum(X, 0)  # as what comes out of a ReLU
    half = len(y) // 2
    above, table = fitted(X[:half], y[:half], X[half:], y[half:])
    longer = pipeline(table.C[table.valid.argmax()], tol=1e-7).fit(X[:half], y[:half])
    for part in slice(half), slice(half, None):
        losses = [log_loss(y[part], p) for p in (softmax(above, X[part]), longer.predict_proba(X[part]))]
        assert abs(losses[0] - losses[1]) < 1e-3


def test_large_fits_end_when_three_C_have_brought_nothing(monkeypatch):
    X, y = clouds([100, 100], apart=0.2, seed=1)
    some = X[:100], y[:100], X[100:], y[100:]
    whole = fitted(*some)[1].valid
    monkeypatch.setattr(frozen, 'LARGE', 0)
    above, table = fitted(*some)
    ended = next(n for n in range(4, 12) if whole[: n - 3].max() >= whole[n - 3 : n].max())
    assert len(table) == ended < len(GRID) and (table.valid == whole[:ended]).all()
    assert (softmax(above, X[100:]).argmax(1) == y[100:]).mean() == table.valid.max()


def test_a_feature_that_is_hardly_ever_on_stays_small():
    """All are divided by one number: a feature of a thousandth has a thousandth of the weight's pull."""
    X, _ = clouds([60, 60], apart=1)
    X[:, 3] *= 1e-3
    scaled = frozen.OneScale().fit(X).transform(X)
    assert abs(scaled.mean(0)).max() < 1e-5 and scaled.std() == pytest.approx(1)
    ratio = scaled.std(0) / X.std(0)
    assert ratio == pytest.approx(ratio[0], rel=1e-4)
    assert (frozen.OneScale().fit(0 * X).transform(0 * X) == 0).all()


def test_features_are_scaled_to_the_same_numbers_wherever_they_are_written():
    X = clouds([60, 60], apart=1)[0].astype('f4')
    scaler = frozen.OneScale().fit(X)
    expected = ((X - X.mean(0)) / X.var(0).mean() ** 0.5).astype('f8')
    assert (scaler.transform(X, onp.empty(X.shape)) == expected).all() and (scaler.transform(X) == expected).all()


# ---- C --------------------------------------------------------------------------------------------------------------


def test_c_is_the_best_on_valid_and_of_equals_the_smallest():
    points, labels = clouds([120, 120], apart=0.2, seed=4)
    (X, valid), (y, valid_y) = onp.split(points, 2), onp.split(labels, 2)
    above, table = fitted(X, y, valid, valid_y)
    expected = [pipeline(C).fit(X, y).score(valid, valid_y) for C in GRID]
    assert table.valid.tolist() == pytest.approx(expected, abs=0.02)  # they begin elsewhere
    C = next(C for C, score in zip(table.C, table.valid) if score == max(table.valid))
    assert softmax(above, X) == pytest.approx(pipeline(C).fit(X, y).predict_proba(X), abs=0.01)
    assert 0 < table.index[table.C == C].item() < 10 and table.valid.nunique() > 3  # or this would show nothing


def test_where_all_are_equal_the_weights_stay_smallest():
    X, y = clouds([60, 60], apart=20)
    above, table = fitted(X, y, X, y)
    assert table.train.tolist() == table.valid.tolist() == 11 * [1]
    assert abs(above.output.weight.data().asnumpy()).max() < 1e-3


@pytest.mark.parametrize('num_valid, out_of_fold', [(0, True), (99, True), (100, False)])
def test_valid_is_asked_where_it_is_large_enough(num_valid, out_of_fold):
    """What valid holds contradicts train, so that it shows which of them chose."""
    X, y = clouds([40, 40], apart=3)
    valid, valid_y = X[onp.arange(num_valid) % 80], 1 - y[onp.arange(num_valid) % 80]
    _, table = fitted(X, y, valid, valid_y)
    assert (table.valid[3:] > 0.9).all() if out_of_fold else (table.valid < 0.1).all()
    if out_of_fold:
        expected = [cross_val_score(pipeline(C), X, y, cv=5).mean() for C in GRID]
        assert table.valid.tolist() == pytest.approx(expected, abs=0.05)


@pytest.mark.slow
def test_views_of_a_picture_are_in_one_fold():
    """Labels by chance can't be foretold, unless another view of the same picture was learned by heart."""
    rng = onp.random.default_rng(0)
    X, y = rng.normal(size=(60, 100)), rng.permutation(onp.arange(60) % 2)
    _, table = fitted(X, y, views=2)
    assert table.train.max() == 1 and 0.2 < table.valid.min() <= table.valid.max() < 0.75


def test_copies_of_a_picture_are_in_one_fold(monkeypatch):
    """As with views; the copies come after all of the others."""
    rng = onp.random.default_rng(0)
    X, y = rng.normal(size=(60, 100)), rng.permutation(onp.arange(60) % 2)
    monkeypatch.setattr(frozen, 'content', lambda path, known: int(path.split()[1]) % 60)
    _, table = fitted(onp.concatenate([X, X]), onp.concatenate([y, y]))
    assert table.train.max() == 1 and 0.2 < table.valid.min() <= table.valid.max() < 0.75


def test_views_are_fitted_to_and_valid_is_seen_in_its_middle():
    X, y = clouds([60, 60])
    dataset, asked = dataset_of(train=y, valid=y), []
    below = Features(train=X, valid=X)

    def features(pictures, px, views=0):
        asked.append((pictures[0][0].split()[0], px, views))
        return Features.features(below, pictures, px, views)

    frozen.fit(types.SimpleNamespace(features=features), above_of(20, dataset.classes), dataset, 48, views=3)
    assert sorted({*asked}) == [('train', 48, 3), ('valid', 48, 0)]


@pytest.mark.parametrize('sizes', [(2, 2), (2, 9), (2, 3, 4), (5, 5, 5)])
def test_a_few_pictures_will_do(sizes):
    """In any order; each class is in what is fitted, and each picture is foretold once."""
    for seed in range(2):
        X, y = clouds(sizes, apart=9, seed=seed)
        above, table = fitted(X, y)
        assert table.valid.max() == 1 and table.notna().all(axis=None)
        assert (softmax(above, X).argmax(1) == y).mean() == table.train[table.valid.argmax()]


def test_one_picture_of_a_class_needs_a_valid():
    X, y = clouds([1, 9], apart=9)
    text = sentence(fitted, X, y, X[:7], y[:7])
    assert 'valid, which has 7 pictures' in text and 'or each class two' in text
    above, table = fitted(X, y, onp.tile(X, (10, 1)), onp.tile(y, 10))
    assert table.valid.max() == 1 and (softmax(above, X).argmax(1) == y).all()


# ---- The network ----------------------------------------------------------------------------------------------------


def real(tmp_path, net):
    """(a Dataset of a few reddish and bluish pictures, below, above): `net` cut at its output."""
    pictures = red_and_blue(tmp_path)
    splits = {split: Pictures(pictures, ['a', 'b']) for split in ('train', 'valid', 'test')}
    return Dataset(['a', 'b'], **splits), *frozen.cut(net, 'output')


@pytest.mark.parametrize('make', [None, pytest.param(vision.resnet18_v1, marks=pytest.mark.slow)])
def test_the_network_as_a_whole_gives_the_same(tmp_path, make):
    """Only its head has moved; resnet18_v1 ends in maps of one pixel, which its dense layer takes as they are."""
    net = frozen.with_head(source(make), ['a', 'b']) if make else tiny()
    before = values(net)
    dataset, below, above = real(tmp_path, net)
    table = frozen.fit(below, above, dataset, 32)
    after, X = values(net), np.array(onp.stack([*below.images(dataset.test, 32, 0, range(12))]))
    moved = {name for name in before if not onp.array_equal(before[name], after[name])}
    assert moved == {'output.weight', 'output.bias'}
    assert net(X).asnumpy() == pytest.approx(above(below(X)).asnumpy(), abs=1e-5)
    probabilities, labels = utils.predictions(net, utils.batches(dataset.train, net, 32, 5))
    assert utils.accuracy(probabilities, labels) == table.train[table.valid.argmax()] > 0.9


def test_it_trains_on_from_there(tmp_path):
    net = tiny()
    dataset, below, above = real(tmp_path, net)
    frozen.fit(below, above, dataset, 32)
    data_iter = utils.batches(dataset.train, net, 32, 4)
    loss = utils.train(net, data_iter, data_iter, 1, lr=0.001, head=1).loss[0]
    assert loss < utils.train(tiny(), data_iter, data_iter, 1, lr=0.001, head=1).loss[0]


@pytest.mark.parametrize('at', [1, 5, 11])
def test_ctrl_c_leaves_the_head_as_it_was(monkeypatch, at):
    X, y = clouds([60, 60])
    dataset, calls, original = dataset_of(train=y, valid=y), [], frozen.dense_of
    above = above_of(20, dataset.classes)
    before = values(above)

    def pressed(*args):
        calls.append(args)
        if len(calls) == at:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(frozen, 'dense_of', pressed)
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        frozen.fit(Features(train=X, valid=X), above, dataset, 32)
    signal.signal(signal.SIGINT, old)
    assert len(calls) == at and same(values(above), before)


def peak_of(call):
    """The most bytes that it needs at a time."""
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_it_needs_the_memory_of_one_fit_by_scikit_learn():
    """Features lie on disk, and no copy of them is ours."""
    X, y = clouds([1000, 1000], 500)
    dataset = dataset_of(train=y, valid=y[:100])
    below = types.SimpleNamespace(features=lambda pictures, px, views=0: X[: len(pictures)])
    above = above_of(500, dataset.classes)
    theirs = peak_of(lambda: pipeline(1e-6).fit(X, y))
    assert peak_of(lambda: frozen.fit(below, above, dataset, 32)) < theirs + X.nbytes / 2


# ---- What was given -------------------------------------------------------------------------------------------------


def test_heads_and_cuts_that_have_no_end(tmp_path):
    dataset, below, above = real(tmp_path, tiny())
    assert "cut at 'output'" in sentence(frozen.fit, *frozen.cut(tiny(), 3), dataset, 32)
    assert "cut at 'output'" in sentence(frozen.fit, below, tiny(), dataset, 32)
    deep = frozen.with_head(tiny(), ['a', 'b'], 'dense256')
    deep(np.zeros((1, 3, 32, 32)))
    assert 'train this one with utils.train' in sentence(frozen.fit, *frozen.cut(deep, 'output'), dataset, 32)
    assert 'is no network' in sentence(frozen.fit, below, None, dataset, 32)
    assert "don't fit the network" in sentence(frozen.fit, frozen.cut(tiny(), 3)[0], above, dataset, 32)
    assert sentence(frozen.fit, below, above, dataset, 'x').startswith('px is ')
    assert sentence(frozen.fit, below, above, dataset, 32, -1).startswith('views is ')


def test_classes_without_pictures_and_with_other_names():
    X, y = clouds([9, 9, 9])
    dataset = dataset_of(train=y)
    below, above = Features(train=X), above_of(20, dataset.classes)
    before = values(above)
    lacking = dataset._replace(train=Pictures([p for p in dataset.train if p[1] != 1], dataset.classes))
    assert 'no picture to train on of class 1' in sentence(frozen.fit, below, above, lacking, 32)
    renamed = dataset._replace(train=Pictures(dataset.train, ['a', 'b', 'c']))
    assert 'the pictures are of a, b, c' in sentence(frozen.fit, below, above, renamed, 32)
    none = dataset._replace(train=Pictures([], dataset.classes))
    assert 'no picture to train on of class 0, class 1, class 2' in sentence(frozen.fit, below, above, none, 32)
    other = above_of(20, 'ab')
    del other.classes
    assert "don't fit the network" in sentence(frozen.fit, below, other, dataset, 32)
    assert same(values(above), before)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_features_that_are_no_numbers(value):
    X, y = clouds([60, 60])
    broken = X.copy()
    broken[7, 3] = value
    for train, valid in (broken, X), (X, broken):
        assert 'the frozen part gives is not a number' in sentence(fitted, train, y, valid, y)
