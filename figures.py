"""The figures of the notebooks: the same colours everywhere, large enough for the back row."""

import io
import math

import mended_mxnet

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
