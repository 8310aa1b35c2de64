"""Teach it live: five pictures each of two classes or more, and a network that knows them."""

import itertools
import random
from dataclasses import dataclass, field
from html import escape
from typing import NamedTuple

import mended_mxnet

import ipywidgets
import numpy as onp
from mxnet import np, npx
from mxnet.gluon import nn
from PIL import Image
from sklearn.linear_model import LogisticRegression

import frozen
import heads
import utils
from pictures import centre_crop, normalize
from problem import Problem, check_classes, check_colours, check_network, check_px
from sources import inherit
from sources.weights import set_weights
from widgets.asking import shown
from widgets.parts import Work, button, check_dataset, offer, opened, picture, upload

SHARP, C = 4, 10  # how sure the heads are; with these the loss on kitchen's valid is low for both networks in the box
FEW = 5
MOST = 5  # classes that are taken from a data set
SIDE = 72  # pixels of the small pictures on the page


class Example(NamedTuple):
    """A picture, as the network sees it, and what is frozen gives for it."""

    name: str
    image: Image.Image
    features: onp.ndarray


# ---- Heads ----------------------------------------------------------------------------------------------------------


def class_averages(X, y):
    """(weight [c, n], bias [c]) of the dense layer that calls features [n] what the nearest class average is called.

    Its scores are minus the squared distances to the averages, but for what is the same for all classes; in units of
    the mean squared distance of a picture to the average of its class, which only makes it more or less sure.
    """
    means = onp.stack([X[y == i].mean(0) for i in range(y.max() + 1)])
    sharp = SHARP / spread(X, y, means)
    return 2 * sharp * means, -sharp * (means**2).sum(1)


def spread(X, y, means):
    """The mean squared distance of a picture to the average of its class; of single pictures, to that of all."""
    free = len(X) - len(means)  # the averages are of these pictures, so they are too near by one of each class
    if free:
        return max(((X - means[y]) ** 2).sum() / free, 1e-6)
    return max(((X - X.mean(0)) ** 2).sum() / len(X), 1e-6)


def fitted(X, y):
    """(weight [c, n], bias [c]) of a dense layer fitted to its end, by logistic regression."""
    scaler = frozen.OneScale().fit(X)
    model = LogisticRegression(C=C / X.shape[1], max_iter=1000).fit(scaler.transform(X), y)
    return frozen.dense_of(scaler, model)


HEADS = {'class averages': class_averages, 'fitted head': fitted}

# ---- What is taught -------------------------------------------------------------------------------------------------


@dataclass
class Class:
    name: str
    examples: list = field(default_factory=list)


class Lesson:
    """The examples of each class, and the network that they make of a source network."""

    def __init__(self, source, px):
        self.source, self.px, self.classes = source, px, []
        self.below, _ = frozen.cut(source, 'output')

    def seen(self, name, data):
        """The Example in the bytes of a file. Raises Problem."""
        image = centre_crop(opened(name, data, self.px), self.px)
        X = normalize(image, self.source.mean, self.source.std)[None]
        return Example(name, image, self.below(X).asnumpy().ravel())

    def network(self, head):
        """The source network with a head for the classes that have examples. Raises Problem."""
        taught = [of_class for of_class in self.classes if of_class.examples]
        if len(taught) < 2:
            raise Problem('Give pictures of two classes at least; then it can tell them apart.')
        names = [of_class.name for of_class in taught]
        check_classes(names)
        X = onp.stack([example.features for of_class in taught for example in of_class.examples]).astype('float64')
        y = onp.repeat(range(len(taught)), [len(of_class.examples) for of_class in taught])
        net = inherit(heads.Net(self.source.features, dense(*HEADS[head](X, y))), self.source, ('mean', 'std'))
        net.classes = names
        return net


def dense(weight, bias):
    """A dense layer of these."""
    layer = utils.initialize(nn.Dense(len(bias), in_units=weight.shape[1]))
    set_weights(layer, {'weight': weight.astype('float32'), 'bias': bias.astype('float32')})
    return layer


def sure(net, example):
    """{class: how sure `net` is}, in the order of its classes."""
    p = npx.softmax(net.output(np.array(example.features[None])))[0].asnumpy()
    return dict(zip(net.classes, p.tolist()))


# ---- The widget -----------------------------------------------------------------------------------------------------


def teach(source, px, dataset=None):
    """Display a page to teach on: pictures are uploaded for each class, and the head is ready at once. Raises Problem.

    Who has no pictures at hand may take some of a Dataset, if one is given.
    """
    check_network(source)
    check_colours(source)
    check_px(px)
    if dataset is not None:
        check_dataset(dataset)
    offer(Teaching(source, px, dataset).page, 'Teach it live')


def file_of(picture):
    """The (name, bytes) of a (path, class number)."""
    path, _ = picture
    return f'{path.parent.name}/{path.name}', path.read_bytes()


class Teaching:
    """The page, and what happens on it."""

    def __init__(self, source, px, dataset):
        self.lesson, self.dataset, self.rng = Lesson(source, px), dataset, random.Random(0)
        self.work, self.question, self.rows = Work(), None, []
        self.head = ipywidgets.ToggleButtons(options=list(HEADS), description='head')
        self.head.observe(lambda _: self.work.start(self.show), 'value')
        self.classes, self.state, self.answer = ipywidgets.VBox(), ipywidgets.HTML(), ipywidgets.HTML()
        for name in 'class 1', 'class 2':
            self.add_class(name)
        self.page = ipywidgets.VBox(
            [self.classes, self.adding(), self.head, self.asking(), self.work.row, self.state, self.answer]
        )
        self.show()

    def adding(self):
        more = button('add a class', 'plus', lambda: self.add_class(self.free_name()))
        if self.dataset is None:
            return more
        some = button(f'take {FEW} of each from the data set', 'image', lambda: self.work.start(self.take))
        return ipywidgets.HBox([more, some])

    def asking(self):
        ask = upload('ask about a picture', self.ask)
        if self.dataset is None:
            return ask
        other = button('ask about one of valid', 'random', lambda: self.work.start(self.ask_of_valid))
        return ipywidgets.HBox([ask, other])

    def free_name(self):
        taken = [row.of_class.name for row in self.rows]
        return next(name for name in map('class {}'.format, itertools.count(1)) if name not in taken)

    def add_class(self, name):
        self.rows.append(Row(self, Class(name)))
        self.changed()
        return self.rows[-1]

    def remove_class(self, row):
        self.rows.remove(row)
        self.changed()
        self.show()

    def changed(self):
        """The classes are those of the rows."""
        self.lesson.classes = [row.of_class for row in self.rows]
        self.classes.children = [row.page for row in self.rows]

    def take(self):
        """Pictures of the data set for its first classes, in rows of their names or empty ones."""
        names = self.dataset.classes[:MOST]
        if names != self.dataset.classes:
            self.work.say(f'These are the first {MOST} of {len(self.dataset.classes)} classes.')
        for i, name in enumerate(names):
            named = [row for row in self.rows if row.of_class.name == name]
            empty = [row for row in self.rows if not row.of_class.examples]
            row = [*named, *empty, None][0] or self.add_class(name)
            row.name.value = row.of_class.name = name
            of_class = [picture for picture in self.dataset.train if picture[1] == i]
            some = self.rng.sample(of_class, min(FEW, len(of_class)))
            row.add_all([*map(file_of, some)])

    def ask(self, files):
        self.work.start(lambda: self.look(*files[0]))

    def ask_of_valid(self):
        self.look(*file_of(self.rng.choice(self.dataset.valid)))

    def look(self, name, data):
        self.work.say('')
        self.question = self.lesson.seen(name, data)
        self.show()

    def show(self):
        """Say what it knows, and answer the last question anew."""
        self.answer.value = ''
        try:
            net = self.lesson.network(self.head.value)
        except Problem as problem:
            self.state.value = escape(str(problem))
            return
        num_examples = sum(len(row.of_class.examples) for row in self.rows)
        self.state.value = f'It knows {len(net.classes)} classes from {num_examples} pictures.'
        if self.question:
            p = sure(net, self.question)
            self.answer.value = shown(
                net, self.question.image, p, self.question.name, bias=True
            )  # averages have large ones


class Row:
    """A class on the page: its name, its pictures, and a way to remove each of them."""

    def __init__(self, teaching, of_class):
        self.teaching, self.of_class = teaching, of_class
        self.name = ipywidgets.Text(of_class.name, continuous_update=False, layout={'width': '220px'})
        self.name.observe(lambda _: self.rename(), 'value')
        add = upload('add pictures', lambda files: teaching.work.start(lambda: self.add_all(files)), multiple=True)
        away = button('remove', 'trash', lambda: teaching.work.start(lambda: teaching.remove_class(self)))
        self.examples = ipywidgets.HBox(layout={'flex_flow': 'row wrap'})
        left = ipywidgets.VBox([self.name, ipywidgets.HBox([add, away])], layout={'min_width': '300px'})
        self.page = ipywidgets.HBox([left, self.examples], layout={'border_bottom': '1px solid lightgrey'})

    def rename(self):
        self.of_class.name = self.name.value
        self.teaching.work.start(self.teaching.show)

    def add_all(self, files):
        """Add the pictures in [(name, bytes), ...]; if that is stopped, those that are done stay."""
        try:
            self.teaching.work.each(files, self.add, 'The frozen part runs ...')
        finally:
            self.teaching.show()

    def add(self, name, data):
        example = self.teaching.lesson.seen(name, data)
        self.of_class.examples.append(example)
        away = button('', 'times', lambda: self.teaching.work.start(lambda: self.remove(example, small)))
        away.tooltip, away.layout.width = f'remove {name}', f'{SIDE}px'
        small = ipywidgets.VBox([ipywidgets.HTML(picture(example.image.resize((SIDE, SIDE)), name, SIDE)), away])
        self.examples.children = (*self.examples.children, small)

    def remove(self, example, small):
        self.of_class.examples = [other for other in self.of_class.examples if other is not example]
        self.examples.children = [other for other in self.examples.children if other is not small]
        self.teaching.show()
