"""The figures of the notebooks: the same colours everywhere, large enough for the back row."""

import base64
import io
import itertools
import math
from numbers import Real
from xml.sax.saxutils import quoteattr

import mended_mxnet

import numpy as onp
from IPython.display import DisplayHandle, display
from matplotlib import pyplot as plt
from matplotlib.lines import Line2D
from mxnet import np
from mxnet.gluon import nn
from PIL import Image as PILImage
from PIL import ImageEnhance
from sklearn.metrics import ConfusionMatrixDisplay

import heads
from pictures import centre_crop, normalize, open_picture
from problem import Problem

COLORS = {  # the same in every figure; the colour-blind can tell them apart (Okabe and Ito, 2008)
    'fine-tuned': '#D55E00',  # vermilion
    'from scratch': '#0072B2',  # blue
    'head only': '#009E73',  # bluish green
    'head first': '#CC79A7',  # reddish purple
    'first half frozen': '#E69F00',  # orange
}
MARKS = dict(zip(COLORS, 'osD^v'))  # and without colours
STYLES = [  # of the lines by epoch, for a legend
    Line2D([], [], color='dimgrey', lw=3, label='valid'),
    Line2D([], [], color='dimgrey', lw=1.5, ls='--', marker='.', label='train'),
    Line2D([], [], color='dimgrey', ls='', marker='x', ms=10, mew=3, label='your guess'),
]
plt.rcParams.update({'font.size': 14, 'axes.spines.top': False, 'axes.spines.right': False, 'figure.dpi': 68})


class Described:
    """The bytes of a picture, to be displayed with `alt` in words for who can't see it; `form` as in 'image/png'.

    As HTML, for JupyterLab 4.6 shows neither the alt text of an image/png nor, untrusted, an image/svg+xml. `more` are
    other attributes of it.
    """

    def __init__(self, data, form, alt, more=''):
        self.data, self.form, self.alt, self.more = data, form, alt, more

    @property
    def html(self):
        source = f'data:image/{self.form};base64,{base64.b64encode(self.data).decode()}'
        return f'<img alt={quoteattr(self.alt)}{self.more and " " + self.more} src="{source}">'

    def _repr_mimebundle_(self, **_):
        return {'text/html': self.html, 'text/plain': self.alt}


def present(fig, alt, form='png', show=display):
    """Display a figure, once, with `alt` in words for who can't see it; `form` is 'jpeg' for photographs."""
    file = io.BytesIO()
    fig.savefig(file, format=form, bbox_inches='tight')
    plt.close(fig)
    show(Described(file.getvalue(), form, alt))


def show(pictures, px, titles=None, alt='Pictures', heading=''):
    """A grid of pictures, four in a row: [(path, class number), ...] or PIL images; `heading` stands above all."""
    images = [centre_crop(open_picture(p[0], px), px) if isinstance(p, tuple) else p for p in pictures]
    rows = math.ceil(len(images) / 4) or 1
    fig, axes = plt.subplots(rows, 4, figsize=(12, 3.2 * rows), squeeze=False, layout='constrained')
    fig.suptitle(heading, weight='bold')
    for ax in axes.flat:
        ax.axis('off')
    for ax, image, title in zip(axes.flat, images, titles or [''] * len(images)):
        ax.imshow(image)
        ax.set_title(title)
    present(fig, alt, 'jpeg')


def plot_curves(histories, guess=None, num_epochs=1):
    """Training loss and accuracy by epoch, a colour for each of {name: table of train}.

    `guess` is {name: {epoch: how many of 100 or None}}, drawn as crosses.
    """
    if not histories:
        raise Problem('There is no training to draw; give {name: the table of one}.')
    fig, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5), layout='constrained')
    for name, history in histories.items():
        color, mark = COLORS.get(name, f'C{2 + 2 * len(left.lines)}'), MARKS.get(name, 'o')  # C3 is red
        left.plot(history.epoch, history.loss, color=color, lw=3, marker=mark, label=name)
        right.plot(history.epoch, history.train, color=color, lw=1.5, ls='--', marker='.', label=f'{name}, train')
        right.plot(history.epoch, history.valid, color=color, lw=3, marker=mark, label=f'{name}, valid')
        guesses = (guess or {}).get(name, {})
        crosses(right, guesses.keys(), guesses.values(), color)
    longest = max(num_epochs, *(history.epoch.max() for history in histories.values()))
    step = math.ceil(longest / 10)
    ticks = [1, *range(max(2, step), longest + 1, step)]
    left.set(xlabel='epoch', ylabel='training loss', xticks=ticks)
    right.set(xlabel='epoch', ylabel='accuracy', xticks=ticks)
    left.legend(frameon=False)
    right.legend(handles=STYLES, frameon=False)
    return fig


class Live:
    """Draws the curves anew after each epoch, in one place: utils.train(..., watch=Live('fine-tuned', 5))."""

    def __init__(self, name, num_epochs, others=None, guess=None):
        self.name, self.num_epochs, self.others, self.guess = name, num_epochs, others or {}, guess
        for guessed in (guess or {}).get(name, {}).values():
            if guessed is not None:
                of_100(guessed)  # or the training would stop after its first epoch
        place = DisplayHandle()
        self.shows = itertools.chain([place.display], itertools.repeat(place.update))

    def __call__(self, history):
        fig = plot_curves({**self.others, self.name: history}, self.guess, self.num_epochs)
        present(fig, words_of(fig), show=next(self.shows))


def plot_bars(accuracies, guess=None):
    """A bar for each of {name: accuracy}, the first one at the top; {name: how many of 100 or None} as crosses."""
    names = [*accuracies]
    fig, ax = plt.subplots(figsize=(12, 0.6 * len(names) + 1), layout='constrained')
    ax.barh(names, accuracies.values(), color=[COLORS.get(name, 'darkgrey') for name in names])
    for name, accuracy in accuracies.items():
        ax.text(1.02, name, f'{accuracy:.3f}', va='center')  # at the edge, where no guess is
    for name, guessed in (guess or {}).items():
        if guessed is not None:
            ax.plot(of_100(guessed), name, 'x', color='black', ms=14, mew=3)
    ax.set(xlabel='accuracy on valid', xlim=(0, 1.08))
    ax.invert_yaxis()
    return fig


def plot_confusion(probabilities, labels, classes):
    """How many pictures of each class (row) were called what (column)."""
    shown = ConfusionMatrixDisplay.from_predictions(
        labels,
        probabilities.argmax(1),
        labels=range(len(classes)),
        display_labels=classes,
        cmap='Greys',
        colorbar=False,
    )
    shown.ax_.set(xlabel='called', ylabel='is')
    shown.figure_.set_size_inches(max(6.4, 1.8 * len(classes)), max(4.8, 1.2 * len(classes)))
    return shown.figure_


def has_maps(net):
    """Whether it ends in maps, their averages and one dense layer."""
    top = heads.top_of(net.features)
    return isinstance(net.output, nn.Dense) and not any(isinstance(block, nn.Dense) for block in top)


def class_map(net, image, bias=False):
    """[h, w]: how much each place of a square image speaks for what `net` calls it (Zhou et al., 2016).

    The network averages its maps over all places and weights the averages; here each place is weighted, and nothing is
    averaged. So the mean of the map is what this class gets more than all classes on average, but for the bias; that
    can be spread over all places. Raises Problem.
    """
    if not has_maps(net):
        raise Problem('This network has more than one dense layer after its maps, which do not say where it looks.')
    weight = net.output.weight.data()
    X = np.array(normalize(image, net.mean, net.std), ctx=weight.ctx)[None]
    below = len(net.features) - len(heads.top_of(net.features))
    maps = net.features[:below](X)[0]
    called = int(net(X).argmax())
    evidence = np.tensordot(weight[called] - weight.mean(0), maps, 1).asnumpy()
    if bias:
        evidence += float(net.output.bias.data()[called] - net.output.bias.data().mean())
    return evidence[::-1, ::-1] if upside_down(net) else evidence


def upside_down(net):
    """Whether its maps lie upside down, as those of EfficientNet-Lite do: see sources.lite.turn."""
    first = net.features[0]
    return isinstance(first, nn.HybridLambda) and first._func_name == 'turn'


def activation_map(net, picture, px):
    """The picture as an image, in colour where it speaks for what `net` calls it, in grey elsewhere; see class_map."""
    return lit(net, centre_crop(open_picture(picture, px), px))


def lit(net, image, bias=False):
    """The activation map of a square image, as the network sees it."""
    places = onp.maximum(class_map(net, image, bias), 0)
    light = PILImage.fromarray((255 * places / (places.max() or 1)).astype('uint8'))
    grey = ImageEnhance.Brightness(image.convert('L')).enhance(0.5).convert('RGB')
    return PILImage.composite(image, grey, light.resize(image.size, PILImage.BICUBIC))


def show_called(pictures, sure, classes, px, net=None, heading='Pictures'):
    """A grid of [(path, class number), ...], over each what it was called, how sure that was, and what it is.

    `sure` is {path: probabilities [c]}. With `net`, where it looked: see activation_map.
    """
    titles = []
    for path, i in pictures:
        p = sure[path]
        titles.append(f'called {classes[p.argmax()]} {p.max():.2f}\nis {classes[i]}')
    images = [activation_map(net, path, px) for path, _ in pictures] if net else pictures
    show(images, px, titles, f'{heading}: {"; ".join(titles)}.'.replace('\n', ', '), heading)


# ---- Several seeds --------------------------------------------------------------------------------------------------


def plot_means(ax, values, name, color, style='-', marker='o'):
    """A line through the means of {place: what the seeds gave}, and a mark for each seed."""
    places = [place for place, some in values.items() for _ in some]
    means = [onp.mean(some) for some in values.values()]
    ax.plot(list(values), means, style, color=color, lw=3, marker=marker, label=name)
    ax.plot(places, [value for some in values.values() for value in some], marker, color=color, ms=7, alpha=0.6)


def plot_arms(ax, values, guess=None):
    """{arm: what the seeds gave}, from top to bottom: a line for the mean, dots for seeds, a cross at the guess."""
    for y, (arm, some) in enumerate(values.items()):
        ax.plot(some, [y] * len(some), 'o', color=COLORS[arm], ms=8, alpha=0.6, label=arm)
        ax.plot([onp.mean(some)] * 2, [y - 0.3, y + 0.3], color=COLORS[arm], lw=4)
        if arm == guess:
            ax.plot(onp.mean(some), y, 'x', color='black', ms=16, mew=3)
    ax.set_yticks(range(len(values)), values)
    ax.set_ylim(len(values) - 0.5, -0.5)


def crosses(ax, places, guesses, color='black', label='your guess'):
    """What was guessed, of 100, as crosses; None is no guess."""
    given = [(place, of_100(guess)) for place, guess in zip(places, guesses) if guess is not None]
    if given:
        ax.plot(*zip(*given), 'x', color=color, ms=14, mew=3, label=label)


def of_100(guess):
    """What was guessed, of 100 pictures, as a share. Raises Problem."""
    if isinstance(guess, bool) or not isinstance(guess, Real) or not 0 <= guess <= 100 or 0 < guess < 1:
        raise Problem(f'A guess is {guess!r}; give how many of 100 pictures, such as 85, or None.')
    return guess / 100


def words_of(fig):
    """The curves of a figure in words: for each of its axes the title, the labels and the means."""
    return ' '.join(words_of_axes(ax) for ax in fig.axes)


def words_of_axes(ax):
    lines = [line for line in ax.lines if not line.get_label().startswith('_')]
    curves = [f'{line.get_label()}: {points_of(line)}' for line in lines]
    return f'{ax.get_title() or "Figure"}, {ax.get_ylabel()} by {ax.get_xlabel()}. {"; ".join(curves)}.'


def points_of(line, most=8):
    """Some of its points: 'x y, x y, ...'; of a level line its height, of an upright one its place."""
    points = [*zip(line.get_xdata(orig=True), line.get_ydata(orig=True))]
    if len(points) > 1 and len({y for _, y in points}) == 1:
        return f'{points[0][1]:.3g}'
    if len(points) == 2 and points[0][0] == points[1][0]:
        return f'at {points[0][0]:.3g}'
    places = onp.linspace(0, len(points) - 1, min(most, len(points))).round().astype(int)
    points = [points[i] for i in places]  # the first and the last among them
    return ', '.join(f'{x if isinstance(x, str) else f"{x:.3g}"} {y:.3g}' for x, y in points)


# ---- Heads on frozen features ---------------------------------------------------------------------------------------

MARKERS = 'o^sDvP*Xph'


def plot_log(ax, log, guesses=(), level=None):
    """Accuracy by the first column of `log` (steps, epochs, C): thin and dashed on train, thick on valid.

    `guesses`, of 100, are crosses at its end; `level` is {label: accuracy}, a dotted line.
    """
    x, color = log.columns[0], COLORS['head only']
    ax.plot(log[x], log.train, color=color, lw=1.5, ls='--', label='train')
    ax.plot(log[x], log.valid, color=color, lw=3, label='valid')
    for label, height in (level or {}).items():
        ax.axhline(height, color='dimgrey', ls=':', lw=2, label=label)
    crosses(ax, itertools.repeat(log[x].iloc[-1]), guesses)
    ax.set(xlabel=x, ylabel='accuracy')
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(frameon=False)


def plot_logs(logs, guesses, gap=0.1):
    """Each of {name: log} beside the others, with a dotted line where train first lies more than `gap` above valid."""
    fig, axes = plt.subplots(1, len(logs), figsize=(12, 4.5), sharey=True, squeeze=False, layout='constrained')
    for ax, (name, log), guess in zip(axes.flat, logs.items(), guesses):
        apart = log[log.train - log.valid > gap]
        for x in apart.iloc[:1, 0]:
            ax.axvline(x, color='grey', ls=':', label=f'{100 * gap:.0f} points apart')
        plot_log(ax, log, [guess])
        ax.set_title(name)
    return fig


def plot_histograms(values):
    """A histogram of each of {label: array}, side by side."""
    fig, axes = plt.subplots(1, len(values), figsize=(12, 3.5), squeeze=False, layout='constrained')
    for ax, (label, some) in zip(axes.flat, values.items()):
        ax.hist(some.ravel(), 50, color=COLORS['head only'])
        ax.set(xlabel=label, ylabel='how many')
    return fig


def plot_orders(orders, live, coins):
    """Accuracy on valid by the share of own labels: a dot for each of `orders`, a ring for the live (share, accuracy).

    `coins` is (lowest, highest) of what coins would show.
    """
    fig, ax = plt.subplots(figsize=(12, 4.5), layout='constrained')
    ax.axhspan(*coins, color='lightgrey', label='coins, 19 times out of 20')
    ax.plot(orders.agreement, orders.valid, 'o', color=COLORS['head only'], ms=9, label='orders of the table')
    ax.plot(*live, 'o', ms=16, mew=2, mfc='none', color='black', label='the order above')
    ax.set(xlabel='share of train with its own label', ylabel='accuracy on valid')
    ax.legend(frameon=False, loc='upper left', bbox_to_anchor=(1, 1))
    return fig


def plot_heads(seeds, live, guess):
    """Accuracy on valid of each head in `live`, from top to bottom.

    A dot for each of the seeds, {head: [accuracy, ...]}; a ring for what ran live, {head: accuracy}; and a cross for
    the guess, {head: how many of 100 or None}.
    """
    fig, ax = plt.subplots(figsize=(12, 0.7 * len(live) + 1.2), layout='constrained')
    for y, (head, value) in enumerate(live.items()):
        color = COLORS['from scratch' if 'scratch' in head else 'head only']
        ax.plot(seeds.get(head, []), [y] * len(seeds.get(head, [])), 'o', color=color, ms=9, alpha=0.6)
        ax.plot(value, y, 'o', color='black', ms=16, mew=2, mfc='none')
        if guess.get(head) is not None:
            ax.plot(of_100(guess[head]), y, 'x', color='black', ms=14, mew=3)
    ax.set_yticks(range(len(live)), live)
    ax.set(xlabel='accuracy on valid', ylim=(len(live) - 0.5, -0.5))
    styles = {
        'a seed of the table': {'marker': 'o', 'alpha': 0.6},
        'live': {'marker': 'o', 'ms': 12, 'mew': 2, 'mfc': 'none'},
    }
    styles['your guess'] = {'marker': 'x', 'ms': 10, 'mew': 3}
    handles = [Line2D([], [], color='dimgrey', ls='', label=label, **style) for label, style in styles.items()]
    ax.legend(handles=handles, frameon=False, loc='upper left', bbox_to_anchor=(1, 1))
    return fig


def plot_map(points, labels, classes, wrong):
    """Points [n, 2] in the colours and shapes of their classes, and a ring around each where `wrong` [n] is True."""
    fig, ax = plt.subplots(figsize=(12, 8), layout='constrained')
    colors = plt.cm.plasma(onp.linspace(0, 0.8, len(classes)))
    for i, name in enumerate(classes):
        marker = MARKERS[i % len(MARKERS)]
        ax.scatter(*points[labels == i].T, 40, [colors[i]], marker, alpha=0.8, linewidths=0, label=name)
    ax.scatter(*points[wrong].T, 190, 'none', 'o', linewidths=2, edgecolors='black', label='valid, called wrong')
    ax.set(xticks=[], yticks=[], xlabel='t-SNE, first', ylabel='t-SNE, second')
    ax.legend(frameon=False, loc='upper left', bbox_to_anchor=(1, 1))
    return fig
