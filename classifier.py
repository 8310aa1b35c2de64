"""From a folder of photographs to a classifier: a head on frozen features and, if there is time, what is better still.

Shapes: n pictures, k features, c classes. A picture is judged by what was not fitted to it only: those of valid or,
where there are few of them, those of train and valid out of fold. Test is left alone until all is decided.
"""

import contextlib
import time
import warnings
from functools import partial
from typing import NamedTuple

import mended_mxnet

import numpy as onp
from mxnet import gluon, np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from sklearn.cluster import MiniBatchKMeans
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import normalize

import frozen
import utils
from arms import keep_statistics
from folders import Pictures
from problem import Problem, in_words, say
from sources import NETWORKS
from sources.weights import set_weights

SOURCE = 'efficientnet_lite0'
OTHERS = 'efficientnet_lite2', 'efficientnet_lite1', 'resnet18_v2'  # that need no download
BATCH, VIEWS = 32, 4
LR, MOST_EPOCHS, FOLD_EPOCHS, PATIENCE = 0.003, 20, 5, 3
NEIGHBOURS = 500  # pictures around a centre, about, among which the nearest is looked for
ALIKE = 0.9  # cosine of the features of two pictures that are nearly the same
TINY = 1e-30  # of which there is a logarithm


# ---- Who judges -----------------------------------------------------------------------------------------------------


class Task:
    """A dataset, the pictures that a classifier is fitted to, and those that judge it.

    Where valid is small, train and valid together are both: they judge out of fold.
    """

    def __init__(self, dataset):
        known = Pictures([*dataset.train, *dataset.valid], dataset.classes)
        self.dataset, self.known = dataset, known
        self.folded = len(dataset.valid) < frozen.LEAST_VALID
        self.fitted = known if self.folded else dataset.train
        self.judges = known if self.folded else dataset.valid
        self.labels = frozen.labels_of(self.judges)
        self.judge = 'train and valid, out of fold' if self.folded else 'valid'

    def for_fit(self):
        """The dataset as frozen.fit takes it, which chooses out of fold where there is no valid."""
        valid = Pictures([], self.dataset.classes) if self.folded else self.dataset.valid
        return self.dataset._replace(train=self.fitted, valid=valid)


def folds_of(pictures):
    """Five folds, [(pictures to fit, pictures to judge, their rows), ...], or as many as the largest class has.

    Copies, byte for byte, go together.
    """
    first = frozen.firsts_of(pictures)
    different = onp.unique(first)
    labels = frozen.labels_of(pictures)[different]
    folds = StratifiedKFold(min(5, onp.bincount(labels).max()), shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # of small classes, which are not in each fold
        split = list(folds.split(labels, labels))
    rows = [[onp.flatnonzero(onp.isin(first, different[some])) for some in fold] for fold in split]
    return [(part(pictures, fitted), part(pictures, judged), judged) for fitted, judged in rows]


def part(pictures, rows):
    return Pictures([pictures[i] for i in rows], pictures.classes)


class Features:
    """What a frozen part gives for all pictures of a task, computed at once; one asks for those of some."""

    def __init__(self, below, task, px):
        pictures = [*task.known, *task.dataset.test]
        self.below, self.px, self.fitted, self.classes = below, px, task.fitted, task.dataset.classes
        self.X = below.features(pictures, px)
        self.row = {path: i for i, (path, _) in enumerate(pictures)}

    def features(self, pictures, px, views=0):
        """As frozen.Below.features; the views are those of the pictures that are fitted to, and kept."""
        if not views:
            return self.X[self.rows(pictures)]
        row = {path: i for i, (path, _) in enumerate(self.fitted)}
        first = onp.array([row[path] for path, _ in pictures])
        rows = [first + view * len(self.fitted) for view in range(views)]
        return self.below.features(self.fitted, px, views)[onp.concatenate(rows)]

    def rows(self, pictures):
        return onp.array([self.row[path] for path, _ in pictures])

    def batches(self, pictures):
        """Their centre crops in order, in batches."""
        rows = self.rows(pictures)
        data_iter = frozen.Batches(lambda some: self.X[rows[some]], frozen.labels_of(pictures), BATCH)
        data_iter.classes = self.classes
        return data_iter


# ---- Candidates -----------------------------------------------------------------------------------------------------


class Candidate(NamedTuple):
    """A classifier, and what its judges say: `log_p` [n, c] of task.judges."""

    name: str
    source: str
    net: gluon.HybridBlock
    features: Features
    above: gluon.HybridBlock
    log_p: onp.ndarray
    C: float
    views: int

    def called(self, pictures):
        """The logarithms of its probabilities [n, c]."""
        return log_probabilities(self.above, self.features, pictures)


def log_probabilities(above, features, pictures):
    p, _ = utils.predictions(above, features.batches(pictures))
    return onp.log(onp.maximum(p, TINY))


def head_on(task, source, views=0):
    """The Candidate of a head fitted to its end, on what a source network gives. Raises Problem."""
    net = frozen.with_head(utils.pretrained(source), task.dataset.classes)
    net.px = px = NETWORKS[source].usual_px
    below, above = frozen.cut(net, 'output')
    features = Features(below, task, px)
    table = frozen.fit(features, above, task.for_fit(), px, views)
    C = table.C[table.valid.argmax()]
    if task.folded:
        log_p = out_of_fold(features, task.known, C, views)
    else:
        log_p = log_probabilities(above, features, task.judges)
    name = f'{source}, head' + f', {views} views' * bool(views)
    return Candidate(name, source, net, features, above, log_p, C, views)


def out_of_fold(features, pictures, C, views=0):
    """The logarithms of probabilities [n, c], of each picture by a head fitted to the other folds. Raises Problem."""
    log_p = onp.full((len(pictures), len(pictures.classes)), onp.log(TINY))  # of a class with one picture in its fold
    for fitted, judged, rows in folds_of(pictures):
        X, _ = frozen.table_of(features, judged, features.px)
        model = fitted_head(features, fitted, C, views)
        log_p[onp.ix_(rows, model.classes_)] = onp.log(onp.maximum(model.predict_proba(X), TINY))
    return log_p


def fitted_head(features, pictures, C, views=0):
    """scikit-learn's model, fitted with this C. Raises Problem."""
    if len({label for _, label in pictures}) < 2:
        raise Problem('One of two classes has a single picture to learn from, or copies of one; give it some more.')
    model = make_pipeline(frozen.OneScale(), LogisticRegression(C=C, max_iter=10000))
    return model.fit(*frozen.table_of(features, pictures, features.px, views))


# ---- The last stage, trained ----------------------------------------------------------------------------------------


class TimeUp(Exception):
    """There is no time for more training."""


class Stage:
    """The last stage of the best candidate so far, to be trained on views from its fitted head on."""

    def __init__(self, task, best, deadline):
        self.task, self.best, self.deadline = task, best, deadline
        self.at = first_of_last_stage(best.net, best.net.px)
        self.T = temperature(best.log_p, task.labels)  # a head that is hardly sure would teach next to nothing
        self.net = soften(utils.copied(best.net), self.T)
        below, self.above = frozen.cut(self.net, self.at)
        self.above.apply(keep_statistics)
        self.features = Features(below, task, best.net.px)
        self.X = below.features(task.fitted, best.net.px, VIEWS)

    def candidate(self):
        """The Candidate, with what was learned in time. Raises TimeUp if that is not all folds."""
        if self.task.folded:
            log_p = self.out_of_fold()
            self.train(self.above, range(len(self.task.fitted)), self.task.fitted, FOLD_EPOCHS)
        else:
            with contextlib.suppress(TimeUp):
                self.train(self.above, range(len(self.task.fitted)), self.task.judges, MOST_EPOCHS)
            log_p = log_probabilities(self.above, self.features, self.task.judges)
        return self.best._replace(
            name=f'{self.best.source}, last stage', net=self.net, features=self.features, above=self.above, log_p=log_p
        )

    def train(self, above, rows, judges, num_epochs):
        """Train on the views of those rows of task.fitted; the best epoch on the judges is kept."""
        n, labels = len(self.task.fitted), frozen.labels_of(self.task.fitted, VIEWS)
        rows = onp.concatenate([onp.array(rows) + view * n for view in range(VIEWS)])
        train_iter = frozen.Batches(lambda some: self.in_time(rows[some]), labels[rows], BATCH, train=True)
        judge_iter = self.features.batches(judges)
        utils.train(above, train_iter, judge_iter, num_epochs, LR, head=1, patience=PATIENCE, watch=self.watch)

    def in_time(self, rows):
        """What the frozen part gave for the rows. Raises TimeUp."""
        if time.time() > self.deadline:
            raise TimeUp
        return self.X[rows]

    def watch(self, history):
        """Called after each epoch."""
        if time.time() + history.seconds.iloc[-1] > self.deadline:
            raise TimeUp

    def out_of_fold(self):
        """As the function of that name; in each fold the head is fitted to the others, too."""
        log_p = onp.zeros_like(self.best.log_p)
        rows_of = {path: i for i, (path, _) in enumerate(self.task.fitted)}
        for fitted, judged, rows in folds_of(self.task.known):
            net = utils.copied(self.best.net)
            _, above = frozen.cut(net, self.at)
            above.apply(keep_statistics)
            scaler, model = fitted_head(self.best.features, fitted, self.best.C, self.best.views)
            weight, bias = frozen.dense_of(scaler, model)
            set_weights(above.output, {'weight': weight, 'bias': bias})
            soften(net, self.T)
            self.train(above, [rows_of[path] for path, _ in fitted], fitted, FOLD_EPOCHS)
            log_p[rows] = log_probabilities(above, self.features, judged)
        return log_p


def first_of_last_stage(net, px):
    """The number of the first block that gives maps as small as the last ones."""
    X, sides = np.zeros((1, 3, px, px), ctx=utils.where(net)[0]), []
    for block in net.features:
        X = block(X)
        sides.append(X.shape[2] if X.ndim == 4 and X.shape[2] > 1 else 0)
    return sides.index(min(filter(None, sides)))


# ---- What is better -------------------------------------------------------------------------------------------------


class Search:
    """The best candidate so far, and `rows` that say what each step brought. `first` is always a head on SOURCE."""

    def __init__(self, task):
        self.task, self.rows, self.best = task, [], None
        self.attempt(lambda: head_on(task, SOURCE))
        self.first = self.best

    def attempt(self, make):
        """Make a candidate, and keep it if the judges say so."""
        started = time.time()
        found = make()
        kept = self.best is None or gained(self.task.labels, self.best.log_p, found.log_p)
        valid, seconds = utils.accuracy(found.log_p, self.task.labels), time.time() - started
        self.rows.append({'tried': found.name, 'valid': valid, 'seconds': seconds, 'kept': kept})
        self.best = found if kept else self.best
        say(f'{found.name}: {valid:.3f} of {self.task.judge}, {seconds:.0f} s' + ', not kept' * (not kept))

    def go_on(self, deadline):
        """Try what takes longer: other sources, a head fitted to views, a last stage trained on views."""
        task, many = self.task, VIEWS * len(self.task.fitted)
        everything = len(task.known) + len(task.dataset.test)
        for source in OTHERS:
            self.try_on(f'{source}, head', deadline, source, everything, partial(head_on, task, source))
        source = self.best.source
        views = partial(head_on, task, source, VIEWS)
        self.try_on(f'{source}, head, {VIEWS} views', deadline, source, many, views)

        def last_stage():
            return Stage(task, self.best, deadline).candidate()

        self.try_on(f'{source}, last stage', deadline, source, everything + 2 * many, last_stage)

    def try_on(self, step, deadline, source, num_pictures, make):
        """Attempt a step if so many pictures can pass through a source network in time; if it fails, that is said."""
        try:
            if is_time_for(step, deadline, source, num_pictures, self.task):
                self.attempt(make)
        except TimeUp:
            say(f'{step}: given up, for the time is up.')
        except Problem as problem:
            say(f'{step}: given up. {problem}')

    def out_of_fold(self):
        """What heads on the first source say of train and valid, each picture by one that was fitted to the others."""
        first = self.first
        return first.log_p if self.task.folded else out_of_fold(first.features, self.task.known, first.C)


def is_time_for(step, deadline, source, num_pictures, task):
    """Whether so many pictures can pass through a source network before the deadline; if not, that is said."""
    needed = num_pictures * pace(source, task.known)
    in_time = time.time() + needed < deadline
    if not in_time:
        say(f'{step}: not tried, for it would take {in_words(needed)}.')
    return in_time


def pace(source, pictures, most=32):
    """Seconds that a picture takes, from its file to what the frozen part of a source network gives."""
    below, _ = frozen.cut(utils.pretrained(source), 'output')
    px, rows = NETWORKS[source].usual_px, range(min(most, len(pictures)))
    for _ in below.outputs(pictures, px, 0, rows[:1]):  # the first time there is more to do
        pass
    started = time.time()
    for _ in below.outputs(pictures, px, 0, rows):
        pass
    return (time.time() - started) / len(rows)


def gained(labels, before, after):
    """Whether more pictures are right than by chance: what was won less what was lost exceeds its standard error."""
    was, is_now = before.argmax(1) == labels, after.argmax(1) == labels
    won, lost = (is_now & ~was).sum(), (was & ~is_now).sum()
    return bool(won - lost > (won + lost) ** 0.5)


# ---- How sure -------------------------------------------------------------------------------------------------------


def temperature(log_p, labels):
    """By what the outputs are divided, so that it is as sure as it is right (Guo et al., 2017).

    The labels count as nearly certain only, as Platt (1999) has it, or a few pictures that are all right would make it
    infinitely sure.
    """
    n, c = log_p.shape
    wanted = onp.full((n, c), 1 / (n + 2) / (c - 1))
    wanted[onp.arange(n), labels] = 1 - 1 / (n + 2)
    limits = -15, 5  # a head whose weights had to stay small says next to nothing before
    found = minimize_scalar(lambda x: -(wanted * softened(log_p, onp.exp(x))).sum(), bounds=limits, method='bounded')
    return float(onp.exp(found.x))


def softened(log_p, T):
    """The logarithms of probabilities after the outputs are divided by T."""
    return log_softmax(log_p / T, 1)


def soften(net, T):
    """`net` with its outputs divided by T, in its last layer: wherever it goes, its probabilities are these."""
    layer = net.output if isinstance(net.output, gluon.nn.Dense) else net.output[-1]
    for param in layer.collect_params().values():
        param.set_data(param.data(utils.where(net)[0]) / T)
    return net


# ---- What is odd ----------------------------------------------------------------------------------------------------


def probably_wrong(log_p, labels):
    """The numbers of pictures that are called something else than their label, the least likely labels first."""
    own = log_p[onp.arange(len(labels)), labels]
    rows = onp.argsort(own, kind='stable')
    return rows[log_p.argmax(1)[rows] != labels[rows]]


def look_alikes(X, least=ALIKE):
    """[(i, j, cosine), ...]: pairs of rows that are nearly the same, each with its nearest, the nearest first.

    Of many rows (see neighbourhoods) a pair may be missed, the more rarely the more alike they are.
    """
    X = normalize(X)  # so that the squared distance of two is 2 - 2 cosine, which is found with little memory
    nearest = {}
    for rows in neighbourhoods(X):
        for i, j, cosine in nearest_of(X, rows):
            nearest[i] = max(nearest.get(i, (cosine, j)), (cosine, j))
    pairs = {(min(i, j), max(i, j)): cosine for i, (cosine, j) in nearest.items() if cosine >= least}
    return sorted(((*pair, cosine) for pair, cosine in pairs.items()), key=lambda pair: -pair[2])


def nearest_of(X, rows):
    """Yield (i, j, cosine) for each of some rows of X: its number, and that of the nearest other one among them."""
    distances, others = NearestNeighbors(n_neighbors=2, algorithm='brute').fit(X[rows]).kneighbors(X[rows])
    for k, (near, beside) in enumerate(zip(distances, others)):
        place = int(beside[0] == k)
        yield int(rows[k]), int(rows[beside[place]]), 1 - float(near[place]) ** 2 / 2


def neighbourhoods(X):
    """[numbers of rows, ...] among which the nearest of each is looked for: all or, of many, those around a centre.

    Each row is in the two whose centres are nearest, so that twins meet though they lie on a border. So the time is in
    proportion to the rows; with all pairs it would grow with their square.
    """
    if len(X) <= 10 * NEIGHBOURS:
        return [onp.arange(len(X))]
    num_centres = len(X) // NEIGHBOURS
    some = X[:: len(X) // (20 * num_centres)]
    centres = MiniBatchKMeans(num_centres, n_init=1, random_state=0).fit(some).cluster_centers_
    around = NearestNeighbors(n_neighbors=2).fit(centres).kneighbors(X, return_distance=False)
    found = (onp.flatnonzero((around == i).any(1)) for i in range(num_centres))
    return [rows for rows in found if len(rows) > 1]
