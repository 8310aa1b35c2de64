"""The figures of the notebooks: the same colours everywhere, large enough for the back row."""

import io
import math

import mended_mxnet

import numpy as onp
from IPython.display import Image, display
from matplotlib import pyplot as plt
from sklearn.metrics import ConfusionMatrixDisplay

from pictures import centre_crop, open_picture

COLORS = {  # the same in every figure; the colour-blind can tell them apart (Okabe and Ito, 2008)
    'fine-tuned': '#D55E00',  # vermilion
    'from scratch': '#0072B2',  # blue
    'head only': '#009E73',  # bluish green
    'head first': '#CC79A7',  # reddish purple
    'first half frozen': '#E69F00',  # orange
}
plt.rcParams.update({'font.size': 14, 'axes.spines.top': False, 'axes.spines.right': False, 'figure.dpi': 68})


def present(fig, alt, form='png'):
    """Display a figure, once, with `alt` in words for who can't see it; `form` is 'jpeg' for photographs."""
    file = io.BytesIO()
    fig.savefig(file, format=form, bbox_inches='tight')
    plt.close(fig)
    display(Image(file.getvalue(), format=form, alt=alt))


def show(pictures, px, titles=None, alt='Pictures'):
    """A grid of pictures, four in a row: [(path, class number), ...] or PIL images."""
    images = [centre_crop(open_picture(p[0], px), px) if isinstance(p, tuple) else p for p in pictures]
    rows = math.ceil(len(images) / 4) or 1
    fig, axes = plt.subplots(rows, 4, figsize=(12, 3.2 * rows), squeeze=False, layout='constrained')
    for ax in axes.flat:
        ax.axis('off')
    for ax, image, title in zip(axes.flat, images, titles or [''] * len(images)):
        ax.imshow(image)
        ax.set_title(title)
    present(fig, alt, 'jpeg')


def plot_curves(histories):
    """Loss and accuracy by epoch, a colour for each of {name: table of train}: thin for training, thick for valid."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(12, 4))
    for name, history in histories.items():
        color = COLORS.get(name, f'C{2 + 2 * len(left.lines)}')  # C3 is red
        left.plot(history.epoch, history.loss, color=color, lw=3, marker='o', label=name)
        right.plot(history.epoch, history.train, color=color, lw=1, ls='--', marker='.')
        right.plot(history.epoch, history.valid, color=color, lw=3, marker='o', label=name)
    epochs = sorted({epoch for history in histories.values() for epoch in history.epoch})
    left.set(xlabel='epoch', title='training loss', xticks=epochs)
    right.set(xlabel='epoch', title='accuracy: valid (thick), training (dashed)', xticks=epochs)
    left.legend(frameon=False)
    return fig


def plot_confusion(probabilities, labels, classes):
    """How many pictures of each class (row) were called what (column)."""
    ConfusionMatrixDisplay.from_predictions(
        labels,
        probabilities.argmax(1),
        labels=range(len(classes)),
        display_labels=classes,
        cmap='Greys',
        colorbar=False,
    )


# ---- Several seeds --------------------------------------------------------------------------------------------------


def plot_means(ax, values, name, color, style='-'):
    """A line through the means of {place: what the seeds gave}, and a dot for each seed."""
    places = [place for place, some in values.items() for _ in some]
    ax.plot(list(values), [onp.mean(some) for some in values.values()], style, color=color, lw=3, label=name)
    ax.plot(places, [value for some in values.values() for value in some], 'o', color=color, ms=4, alpha=0.6)


def plot_arms(ax, values, guess=None):
    """{arm: what the seeds gave}, from top to bottom: a line for the mean, dots for seeds, a cross at the guess."""
    for y, (arm, some) in enumerate(values.items()):
        ax.plot(some, [y] * len(some), 'o', color=COLORS[arm], ms=6, alpha=0.6, label=arm)
        ax.plot([onp.mean(some)] * 2, [y - 0.3, y + 0.3], color=COLORS[arm], lw=4)
        if arm == guess:
            ax.plot(onp.mean(some), y, 'x', color='black', ms=16, mew=3)
    ax.set_yticks(range(len(values)), values)
    ax.set_ylim(len(values) - 0.5, -0.5)


def crosses(ax, places, guesses):
    """What was guessed, of 100, as crosses; None is no guess."""
    for place, guess in zip(places, guesses):
        if guess is not None:
            ax.plot(place, guess / 100, 'x', color='black', ms=14, mew=3)


def words_of(fig):
    """The curves of a figure in words: for each of its axes the title, the labels and the means."""
    return ' '.join(words_of_axes(ax) for ax in fig.axes)


def words_of_axes(ax):
    lines = [line for line in ax.lines if not line.get_label().startswith('_')]
    curves = [f'{line.get_label()}: {points_of(line)}' for line in lines]
    return f'{ax.get_title() or "Figure"}, {ax.get_ylabel()} by {ax.get_xlabel()}. {"; ".join(curves)}.'


def points_of(line, most=8):
    """Some of its points: 'x y, x y, ...'."""
    points = [*zip(line.get_xdata(orig=True), line.get_ydata(orig=True))]
    points = points[:: len(points) // most + 1]
    return ', '.join(f'{x if isinstance(x, str) else f"{x:.3g}"} {y:.3g}' for x, y in points)
