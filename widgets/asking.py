"""Ask a network about your own pictures, and choose how sure it has to be."""

from html import escape

import mended_mxnet

import ipywidgets
import numpy as onp
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix

import figures
import utils
from pictures import centre_crop
from problem import Problem, check_classes, check_colours, check_network, check_px
from widgets.parts import Work, bars, offer, opened, picture, show_in, upload

MOST = 12  # answers that are kept on the page

# ---- Ask it ---------------------------------------------------------------------------------------------------------


def ask(net, px=None):
    """Display a button to upload pictures: how sure `net` is of each class, and where it looks. Raises Problem."""
    check_network(net)
    check_colours(net)
    px = getattr(net, 'px', None) if px is None else px
    check_px(px)
    offer(Asking(net, px).page, 'Ask it about a picture of your own')


def answer(net, px, name, data):
    """The answer to the bytes of a file as HTML: the picture, where `net` looks, and bars. Raises Problem."""
    image = opened(name, data, px)
    return shown(net, centre_crop(image, px), utils.predict(net, image, px), name)


def shown(net, image, probabilities, name, bias=False):
    """A square image as HTML, beside it where `net` looks, if it has maps that say so, and how sure it is."""
    parts = [picture(image, f'{name}, as the network sees it', 200)]
    if figures.has_maps(net):
        called = max(probabilities, key=probabilities.get)
        parts.append(picture(figures.lit(net, image, bias), f'{name}, in colour where it speaks for {called}', 200))
    row = ''.join(f'<div style="margin-right: 16px">{part}</div>' for part in [*parts, bars(probabilities)])
    return f'<div><b>{escape(name)}</b></div><div style="display: flex; flex-wrap: wrap">{row}</div>'


class Asking:
    """The page: the newest answer is above the others."""

    def __init__(self, net, px):
        self.net, self.px, self.work = net, px, Work()
        self.answers = ipywidgets.VBox()
        self.page = ipywidgets.VBox([upload('upload', self.receive, multiple=True), self.work.row, self.answers])

    def receive(self, files):
        self.work.start(lambda: self.work.each(files, self.add, 'The network looks ...'))

    def add(self, name, data):
        newest = ipywidgets.HTML(answer(self.net, self.px, name, data))
        self.answers.children = (newest, *self.answers.children[: MOST - 1])


# ---- The threshold --------------------------------------------------------------------------------------------------


def threshold(probabilities, labels, classes):
    """Display a slider: how sure must the network be, to call a picture the chosen class? Raises Problem.

    `probabilities` [n, c] and class numbers [n] are those of *valid*: to choose is to learn, and *test* is for the end.
    """
    check_classes(classes)
    if onp.shape(probabilities) != (len(labels), len(classes)):
        raise Problem(
            f'There are probabilities of the shape {onp.shape(probabilities)}, {len(labels)} class numbers and '
            f'{len(classes)} classes; give what utils.predictions returns, and dataset.classes.'
        )
    page = Threshold(onp.asarray(probabilities), onp.asarray(labels), list(classes)).page
    offer(page, 'How sure it must be')


def counts(probabilities, labels, i, least):
    """[2, 2]: of class i and of others (rows), how many get `least` or more for class i, and how many less."""
    called = probabilities[:, i] >= least
    return confusion_matrix(labels != i, ~called, labels=[False, True])


def in_words(matrix, name):
    """What a matrix says, in a sentence."""
    (hit, missed), (false, other) = matrix
    right = (hit + other) / matrix.sum()
    precision = f'{hit / (hit + false):.3f} of them are (precision)' if hit + false else 'so none is wrong'
    recall = (
        f'{hit / (hit + missed):.3f} of those that are {name} are found (recall)' if hit + missed else 'there is none'
    )
    return f'{hit + false} of {matrix.sum()} are called {name}, {precision}; {recall}; {right:.3f} are called right.'


def plot_counts(matrix, names):
    fig = Figure(figsize=(6, 4.2), layout='constrained')
    ConfusionMatrixDisplay(matrix, display_labels=names).plot(ax=fig.subplots(), cmap='Greys', colorbar=False)
    return fig


class Threshold:
    """The page: a slider, a matrix and a sentence."""

    def __init__(self, probabilities, labels, classes):
        self.probabilities, self.labels, self.classes = probabilities, labels, classes
        self.name = ipywidgets.Dropdown(options=classes, description='class')
        self.least = ipywidgets.FloatSlider(
            0.5, min=0, max=1, step=0.01, description='at least', layout={'width': '500px'}
        )
        self.figure, self.said = ipywidgets.HTML(), ipywidgets.HTML()
        self.page = ipywidgets.VBox([self.name, self.least, self.said, self.figure])
        for control in self.name, self.least:
            control.observe(lambda _: self.show(), 'value')
        self.show()

    def show(self):
        name = self.name.value
        matrix = counts(self.probabilities, self.labels, self.classes.index(name), self.least.value)
        words = in_words(matrix, name)
        self.said.value = f'<span role="status">{escape(words)}</span>'
        others = [other for other in self.classes if other != name]
        names = name, others[0] if len(others) == 1 else f'not {name}'
        show_in(self.figure, plot_counts(matrix, names), words)
