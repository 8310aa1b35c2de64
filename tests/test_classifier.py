"""From features to a classifier: who judges, what is kept, how sure it is, which pictures are odd."""

import math
import time

import mended_mxnet

import numpy as onp
import pytest
from helpers import red_and_blue, same, sentence, source, tiny, values
from mxnet.gluon.model_zoo import vision
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

import classifier
import frozen
import sources
import utils
from classifier import fitted_head
from folders import Dataset, Pictures
from heads import HEADS
from problem import Problem

CLASSES = ['a', 'b']


@pytest.fixture(autouse=True)
def with_cache(cache, monkeypatch):
    """A cache of its own, and a tiny network for small pictures in the place of large ones."""
    monkeypatch.setattr(classifier, 'SOURCE', 'tiny')
    monkeypatch.setattr(classifier, 'OTHERS', ('tiny',))
    monkeypatch.setattr(classifier, 'VIEWS', 2)
    monkeypatch.setitem(sources.NETWORKS, 'tiny', sources.NETWORKS['tiny']._replace(usual_px=32))
    monkeypatch.setattr(utils, 'pretrained', lambda name: tiny([*'abcd']))


def dataset_of(**labels):
    """A Dataset of pictures that only have names, with those class numbers."""
    splits = {split: [(f'{split} {i}', int(k)) for i, k in enumerate(some)] for split, some in labels.items()}
    return Dataset(CLASSES, **{s: Pictures(splits.get(s, []), CLASSES) for s in ('train', 'valid', 'test')})


def files_of(labels, folder, copies=1):
    """Pictures with those class numbers, so many with the same bytes one after the other."""
    pictures = [(folder / str(i), int(label)) for i, label in enumerate(labels)]
    for i, (path, _) in enumerate(pictures):
        path.write_text(str(i // copies))
    return Pictures(pictures, CLASSES)


@pytest.fixture
def dataset(tmp_path):
    """Reddish and bluish pictures: 24 in train, 8 in valid, 8 in test."""
    pictures = Pictures(red_and_blue(tmp_path, 40), CLASSES)
    return Dataset(CLASSES, pictures[:24], pictures[24:32], pictures[32:])


# ---- Who judges -----------------------------------------------------------------------------------------------------


def test_a_large_valid_judges_and_a_small_one_joins_train():
    train, valid = onp.arange(60) % 2, onp.arange(100) % 2
    large = classifier.Task(dataset_of(train=train, valid=valid, test=train))
    assert (len(large.fitted), large.judges, large.for_fit().valid) == (60, large.dataset.valid, large.dataset.valid)
    small = classifier.Task(dataset_of(train=train, valid=valid[:99], test=train))
    assert len(small.fitted) == len(small.judges) == 159 and small.for_fit().valid == []
    assert not {path for path, _ in small.fitted} & {path for path, _ in small.dataset.test}


@pytest.mark.parametrize('counts', [(50, 50), (40, 3), (4, 4), (2, 2)])
def test_each_picture_is_judged_once_by_what_was_fitted_to_others(counts, tmp_path):
    pictures = files_of(onp.repeat([0, 1], counts), tmp_path)
    folds = classifier.folds_of(pictures)
    assert sorted(row for *_, rows in folds for row in rows) == [*range(sum(counts))]
    for fitted, judged, rows in folds:
        assert judged == [pictures[row] for row in rows] and not {*fitted} & {*judged}
        assert {label for _, label in fitted} == {0, 1}


def test_a_copy_is_not_judged_by_what_was_fitted_to_the_other_one(tmp_path):
    pictures = files_of(onp.repeat([0, 1], 20), tmp_path, copies=2)
    folds = classifier.folds_of(pictures)
    assert sorted(row for *_, rows in folds for row in rows) == [*range(40)]
    assert all({*rows // 2} == {i for i in range(20) if 2 * i in rows and 2 * i + 1 in rows} for *_, rows in folds)


class Rows:
    """In the place of classifier.Features: rows that a test decides."""

    px = 32

    def __init__(self, X, pictures):
        self.row = {path: X[i] for i, (path, _) in enumerate(pictures)}

    def features(self, pictures, px, views=0):
        return onp.stack([self.row[path] for path, _ in pictures])


def test_out_of_fold_is_what_scikit_learn_gives(tmp_path):
    rng = onp.random.default_rng(0)
    y = rng.permutation(onp.arange(90) % 2)
    X = (rng.normal(size=(90, 5)) + y[:, None]).astype('f4')
    pictures = files_of(y, tmp_path)
    model = make_pipeline(frozen.OneScale(), LogisticRegression(C=0.1, max_iter=10000))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    expected = cross_val_predict(model, X, y, cv=folds, method='predict_proba')
    assert onp.exp(classifier.out_of_fold(Rows(X, pictures), pictures, 0.1)) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('counts', [(20, 20, 1), (20, 1)])
def test_a_class_of_one_picture_is_never_fitted_where_it_is_judged(counts, tmp_path):
    y = onp.repeat(range(len(counts)), counts)
    X, pictures = onp.eye(len(y), dtype='f4'), files_of(y, tmp_path)
    pictures.classes = [*'abc'][: len(counts)]
    if len(counts) == 2:
        assert 'a single picture' in sentence(classifier.out_of_fold, Rows(X, pictures), pictures, 0.1)
        return
    p = onp.exp(classifier.out_of_fold(Rows(X, pictures), pictures, 0.1))
    assert p.sum(1) == pytest.approx(1) and p[-1, 2] == pytest.approx(classifier.TINY) and p[:-1, 2].min() >= 0


# ---- What is kept ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('won, lost, better', [(0, 0, 0), (1, 0, 0), (2, 0, 1), (10, 6, 0), (11, 5, 1), (5, 11, 0)])
def test_a_step_is_kept_if_it_wins_more_than_chance(won, lost, better):
    """Chance gives a standard error of sqrt(won + lost)."""
    right, wrong = onp.log([0.9, 0.1]), onp.log([0.1, 0.9])
    before = onp.array([*won * [wrong], *lost * [right], *7 * [right], *3 * [wrong]])
    after = onp.array([*won * [right], *lost * [wrong], *7 * [right], *3 * [wrong]])
    assert classifier.gained(onp.zeros(len(before), int), before, after) is bool(better)


@pytest.mark.slow
def test_it_learns_colours_and_says_what_each_step_brought(dataset, capsys):
    search = classifier.Search(classifier.Task(dataset))
    search.go_on(time.time() + 1000)
    tried = ['tiny, head', 'tiny, head', f'tiny, head, {classifier.VIEWS} views', 'tiny, last stage']
    assert [row['tried'] for row in search.rows] == tried
    assert search.rows[0]['valid'] > 0.9 and search.rows[0]['kept'] and not search.rows[1]['kept']
    assert capsys.readouterr().out.count(' of train and valid, out of fold, ') == 4
    labels = frozen.labels_of(dataset.test)
    assert utils.accuracy(search.best.called(dataset.test), labels) > 0.8


def test_what_would_take_too_long_is_not_tried(dataset, capsys):
    search = classifier.Search(classifier.Task(dataset))
    search.go_on(time.time() - 1)
    assert len(search.rows) == 1 and capsys.readouterr().out.count('not tried, for it would take') == 3


def test_a_step_that_fails_leaves_the_best_so_far(dataset, monkeypatch, capsys):
    search = classifier.Search(classifier.Task(dataset))
    best = search.best

    def stage(*_):
        time.sleep(0.2)
        raise Problem('The memory is too small.')

    monkeypatch.setattr(classifier, 'Stage', stage)
    search.go_on(time.time() + 1000)
    assert 'tiny, last stage: given up. The memory is too small.' in capsys.readouterr().out
    assert search.best.source == best.source and len(search.rows) == 3


def test_the_last_stage_begins_with_a_head_fitted_to_views_where_the_best_one_was(dataset, monkeypatch):
    task = classifier.Task(dataset)
    best = classifier.head_on(task, 'tiny', 2)
    stage, asked = classifier.Stage(task, best, time.time() + 1000), []
    monkeypatch.setattr(stage, 'train', lambda *some: None)
    monkeypatch.setattr(classifier, 'fitted_head', lambda *some: asked.append(some[3]) or fitted_head(*some))
    stage.out_of_fold()
    assert asked == [2] * 5


def test_the_last_stage_trains_and_nothing_below_it(dataset):
    best = classifier.Search(classifier.Task(dataset)).best
    before = values(best.net)
    stage = classifier.Stage(classifier.Task(dataset), best, time.time() + 1000)
    candidate = stage.candidate()
    after = values(candidate.net)
    changed = {name for name in before if not onp.array_equal(before[name], after[name])}
    numbers = {int(name.split('.')[1]) for name in changed if name.startswith('features')}
    assert 'output.weight' in changed and numbers and min(numbers) >= stage.at > 0
    assert same(before, values(best.net))  # it may turn out to be no better
    assert candidate.log_p.shape == best.log_p.shape and not onp.array_equal(candidate.log_p, best.log_p)


@pytest.mark.parametrize('make, at', [(vision.resnet18_v2, 'stage4'), (vision.mobilenet_v2_0_25, None)])
def test_the_last_stage_begins_where_maps_are_as_small_as_the_last(make, at):
    net = source(make, 64)
    first = classifier.first_of_last_stage(net, 64)
    below = [frozen.cut(net, i)[0].shape(1, 64)[2] for i in (first - 1, first, first + 1)]
    assert at in (None, frozen.blocks(net)[first]) and below[0] >= below[1] > below[2] == 2


def test_a_last_stage_without_time_is_given_up(dataset, capsys):
    search = classifier.Search(classifier.Task(dataset))
    assert search.task.folded
    stage = classifier.Stage(search.task, search.best, time.time() - 1)
    search.try_on('last stage', time.time() + 1000, 'tiny', 0, stage.candidate)
    assert 'last stage: given up, for the time is up.' in capsys.readouterr().out and len(search.rows) == 1


# ---- How sure -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('factor', [1e-5, 0.3, 3, 30])
def test_the_temperature_undoes_a_factor(factor):
    """Labels are drawn from the probabilities, so that these are as sure as right; then the outputs are multiplied."""
    rng = onp.random.default_rng(0)
    outputs = rng.normal(size=(4000, 3))
    labels = onp.array([rng.choice(3, p=p) for p in softmax(outputs, 1)])
    T = classifier.temperature(log_softmax(outputs, 1), labels)
    assert abs(T - 1) < 0.06
    assert classifier.temperature(log_softmax(factor * outputs, 1), labels) == pytest.approx(factor * T, rel=1e-3)


def test_four_pictures_that_are_right_do_not_make_it_certain():
    """Platt's labels say 5/6 after four: the outputs, ln 99 apart, are divided until they are ln 5 apart."""
    log_p = onp.log([[0.99, 0.01], [0.01, 0.99], [0.99, 0.01], [0.01, 0.99]])
    T = classifier.temperature(log_p, onp.array([0, 1, 0, 1]))
    assert math.exp(math.log(99) / T) == pytest.approx(5, rel=1e-3)


@pytest.mark.parametrize('head', HEADS)
def test_a_softened_network_is_so_wherever_it_goes(tmp_path, head):
    net = frozen.with_head(tiny(), ['a', 'b', 'c'], head)
    path, _ = red_and_blue(tmp_path, 1)[0]
    before = utils.predict(net, path, 32)
    classifier.soften(net, 2.5)
    utils.save(net, tmp_path / 'net.safetensors', 32)
    after = utils.predict(utils.load(tmp_path / 'net.safetensors'), path)
    for name in 'bc':
        odds = [math.log(p['a'] / p[name]) for p in (before, after)]
        assert odds[1] == pytest.approx(odds[0] / 2.5, abs=1e-5)


# ---- What is odd ----------------------------------------------------------------------------------------------------


def test_labels_that_are_probably_wrong_come_by_how_unlikely_they_are():
    p = [[0.9, 0.1, 0], [0.3, 0.7, 0], [0.05, 0.05, 0.9], [0.4, 0.35, 0.25], [0.2, 0.8, 0]]
    rows = classifier.probably_wrong(onp.log(onp.maximum(p, 1e-30)), onp.array([0, 0, 0, 0, 0]))
    assert rows.tolist() == [2, 4, 1]


def test_look_alikes():
    X = onp.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 2, 0.2], [1, 0, 0.3], [5, 0, 0]])
    pairs = classifier.look_alikes(X)
    assert [pair[:2] for pair in pairs[:2]] == [(0, 5), (1, 3)] and len(pairs) == 3
    assert pairs[2][:2] in ((0, 4), (4, 5))  # which are as near
    assert pairs[1][2] == pytest.approx(2 / math.sqrt(4.04))
    assert classifier.look_alikes(onp.eye(4)) == []


@pytest.fixture
def many():
    """600 rows in some directions, 60 of which have a twin that is as good as the same."""
    rng = onp.random.default_rng(0)
    X = rng.normal(size=(540, 20)) + 2 * rng.normal(size=(6, 20))[onp.arange(540) % 6]
    twins = X[:60] + rng.normal(0, 0.05, (60, 20))
    return rng.permutation(onp.concatenate([X, twins]))


def test_look_alikes_of_many_are_those_of_all_pairs(many, monkeypatch):
    monkeypatch.setattr(classifier, 'NEIGHBOURS', 50)
    cosines = many @ many.T / onp.outer(*[onp.linalg.norm(many, axis=1)] * 2)
    onp.fill_diagonal(cosines, -1)
    best = cosines.argmax(1)
    expected = {(min(i, j), max(i, j)): cosines[i, j] for i, j in enumerate(best) if cosines[i, j] >= 0.98}
    found = {(i, j): cosine for i, j, cosine in classifier.look_alikes(many, 0.98)}
    assert len(expected) == 60 and found == pytest.approx(expected)


def test_with_more_pictures_a_picture_is_not_compared_with_more(monkeypatch):
    """Four times the pictures would be sixteen times the pairs."""
    monkeypatch.setattr(classifier, 'NEIGHBOURS', 50)
    rng = onp.random.default_rng(0)
    pairs = {}
    for n in 100, 1000, 4000:
        hoods = classifier.neighbourhoods(rng.normal(size=(n, 5)))
        assert {int(row) for rows in hoods for row in rows} == {*range(n)}
        pairs[n] = sum(len(rows) ** 2 for rows in hoods)
    assert pairs[100] == 100**2 and pairs[1000] < 1000**2 / 2 and pairs[4000] < 6 * pairs[1000]
