"""What is to be known of a classifier, on one page: how good it is, how sure, where it errs, which labels look wrong.

Shapes: n pictures, c classes; log_p [n, c] are the logarithms of probabilities.
"""

import io

import mended_mxnet

import jinja2
import numpy as onp
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.calibration import calibration_curve
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, precision_recall_fscore_support

import figures
import utils
from classifier import look_alikes, probably_wrong, softened, temperature
from files import ROOT
from frozen import labels_of
from pictures import centre_crop, open_picture

MOST = 24  # pictures of a kind that are shown
MOST_CLASSES = 20  # of which a table of confusions can be read
SIDE = 150  # pixels of a small picture
LEVELS = 0.5, 0.8, 0.9, 0.95, 0.99


# ---- Tables ---------------------------------------------------------------------------------------------------------


def how_good(judged):
    """A table with a row for each of {who judges: (log_p, labels)}."""
    rows = []
    for name, (log_p, labels) in judged.items():
        right, n = utils.accuracy(log_p, labels), len(labels)
        low, high = utils.interval(right, n)
        row = {'judged on': name, 'pictures': n, 'right': right, '95 %': f'{low:.3f} to {high:.3f}'}
        if is_uneven(labels):
            row['balanced: mean of the classes'] = balanced_accuracy_score(labels, log_p.argmax(1))
            row['if all were called the largest class'] = onp.bincount(labels).max() / n
        rows.append(row)
    return pd.DataFrame(rows)


def is_uneven(labels):
    """Whether one class has more than twice as many pictures as another."""
    counts = onp.bincount(labels)
    return counts.max() > 2 * counts[counts > 0].min()


def steps(rows):
    """A table of what was tried."""
    table = pd.DataFrame(rows).rename(columns={'valid': 'right'})
    return table.assign(seconds=table.seconds.round().astype(int), kept=table.kept.map({True: 'yes', False: 'no'}))


def by_class(dataset, log_p, labels):
    """A table with a row for each class, the worst first: its pictures, precision, recall."""
    numbers = range(len(dataset.classes))
    precision, recall, _, _ = precision_recall_fscore_support(
        labels, log_p.argmax(1), labels=numbers, zero_division=onp.nan
    )
    counts = {s: onp.bincount(labels_of(dataset[s]), minlength=len(numbers)) for s in ('train', 'valid', 'test')}
    table = pd.DataFrame({'class': dataset.classes, **counts, 'found': recall, 'right where named': precision})
    return table.sort_values('found', kind='stable')


def confusions(log_p, labels, classes):
    """A table of who is taken for whom, the most frequent first."""
    counts = confusion_matrix(labels, log_p.argmax(1), labels=range(len(classes)))
    onp.fill_diagonal(counts, 0)
    order = onp.argsort(-counts, axis=None, kind='stable')[:MOST]
    pairs = [divmod(int(place), len(classes)) for place in order if counts.flat[place]]
    return pd.DataFrame([{'is': classes[i], 'called': classes[k], 'pictures': counts[i, k]} for i, k in pairs])


def confusion(log_p, labels, classes):
    """How many pictures of each class (row) were called what (column), in shades."""
    counts = confusion_matrix(labels, log_p.argmax(1), labels=range(len(classes)))
    table = pd.DataFrame(counts, classes, classes).style.background_gradient('Greys', axis=None)
    for axis in 0, 1:
        table = table.format_index(escape='html', axis=axis)
    return table.to_html()


def left_to_it(log_p, labels):
    """A table: if only those are left to it of which it is that sure, how many are they, and how many of them right?"""
    sure, right = onp.exp(log_p.max(1)), log_p.argmax(1) == labels
    rows = [{'at least so sure': level, 'share of pictures': (sure >= level).mean()} for level in LEVELS]
    for row, level in zip(rows, LEVELS):
        row['of these right'] = right[sure >= level].mean() if (sure >= level).any() else onp.nan
    return pd.DataFrame(rows)


def html(table):
    return table.to_html(index=False, border=0, float_format='{:.3f}'.format, na_rep='')


# ---- Figures --------------------------------------------------------------------------------------------------------


def reliability(log_p, before, labels):
    """How many are right by how sure it is, with the temperature and before."""
    fig, ax = plt.subplots(figsize=(7.5, 6), layout='constrained')
    ax.plot([0, 1], [0, 1], ':', color='dimgrey', label='as sure as right')
    right, least = log_p.argmax(1) == labels, 1 / log_p.shape[1]
    looks = (
        ('without the temperature', before, 'o--', 'dimgrey'),
        ('with the temperature', log_p, 'o-', figures.COLORS['head only']),
    )
    for name, values, style, color in looks:
        sure = onp.exp(values.max(1)).clip(0, 1)
        share, mean = calibration_curve(right, sure, n_bins=min(10, max(1, len(labels) // 20)), strategy='quantile')
        ax.plot(mean, share, style, color=color, lw=3, label=name, clip_on=False)
        least = min(least, share.min())
    ax.set(xlabel='how sure it is', ylabel='share that is right', xlim=(least, 1.01), ylim=(least, 1.01))
    ax.legend(frameon=False)
    return fig


def image_of(fig, alt):
    """A figure as an HTML image."""
    found = []
    figures.present(fig, alt, show=found.append)
    return found[0].html


def small(image, alt):
    """A PIL image as a small HTML image."""
    file = io.BytesIO()
    image.resize((SIDE, SIDE)).save(file, 'JPEG', quality=80)
    return figures.Described(file.getvalue(), 'jpeg', alt, f'width="{SIDE}" height="{SIDE}"').html


# ---- Pictures -------------------------------------------------------------------------------------------------------


def picture(path, px):
    return small(centre_crop(open_picture(path, px), px), place(path))


def place(path):
    """Where a file is, as one looks for it: in which split and class."""
    return '/'.join(path.parts[-3:])


def mistakes(net, px, pictures, log_p, labels):
    """(how many, [(picture, where it looks, what was said), ...]) of the mistakes, the surest first."""
    called, sure = log_p.argmax(1), onp.exp(log_p.max(1))
    wrong = onp.flatnonzero(called != labels)
    shown = []
    for i in wrong[onp.argsort(-sure[wrong], kind='stable')][:MOST]:
        path, label = pictures[i]
        image = centre_crop(open_picture(path, px), px)
        where = small(figures.lit(net, image, bias=True), f'where it looks in {place(path)}')
        words = f'called {net.classes[called[i]]} {sure[i]:.2f}, is {net.classes[label]}: {place(path)}'
        shown.append((small(image, place(path)), where, words))
    return len(wrong), shown


def doubtful(pictures, log_p, classes, px):
    """(how many, [(picture, what was said), ...]) of pictures whose label is probably wrong, the likeliest first."""
    rows = probably_wrong(log_p, labels_of(pictures))
    shown = []
    for i in rows[:MOST]:
        path, label = pictures[i]
        called, p = log_p[i].argmax(), onp.exp(log_p[i])
        words = f'labelled {classes[label]} {p[label]:.2f}, looks like {classes[called]} {p[called]:.2f}: {place(path)}'
        shown.append((picture(path, px), words))
    return len(rows), shown


def twins(dataset, features):
    """(how many, [(picture, picture, where they are), ...]) of pairs of pictures that are nearly the same."""
    everything = [(split, *one) for split in ('train', 'valid', 'test') for one in dataset[split]]
    X = features.features([(path, label) for _, path, label in everything], features.px)
    pairs = look_alikes(X.reshape(len(X), -1))
    shown = []
    for *pair, cosine in pairs[:MOST]:
        both = [everything[i] for i in pair]
        images = [picture(path, features.px) for _, path, _ in both]
        words = ' and '.join(f'{place(path)} ({split})' for split, path, _ in both)
        shown.append((*images, f'{words}, {cosine:.3f}'))
    return len(pairs), shown


# ---- The page -------------------------------------------------------------------------------------------------------


def page(name, search, T):
    """The report on search.best, whose outputs were divided by T, as HTML that needs no network. Opens test."""
    task, best = search.task, search.best
    dataset, net, px = task.dataset, best.net, best.net.px
    labels, before = labels_of(dataset.test), softened(best.called(dataset.test), 1 / T)
    log_p = softened(before, T)
    good = how_good({task.judge: (softened(best.log_p, T), task.labels), 'test': (log_p, labels)})
    right, n = utils.accuracy(log_p, labels), len(labels)
    low, high = utils.interval(right, n)
    known = search.out_of_fold()
    known = softened(known, temperature(known, labels_of(task.known)))
    few = len(dataset.classes) <= MOST_CLASSES
    confused = confusions(log_p, labels, dataset.classes)
    return template().render(
        title=f'Classifier of {name}',
        hundred=round(100 * right),
        low=round(100 * low),
        high=round(100 * high),
        num_test=n,
        num_known=len(task.known),
        balanced=round(100 * balanced_accuracy_score(labels, log_p.argmax(1))) if is_uneven(labels) else None,
        network=best.name,
        px=px,
        classes=dataset.classes,
        judge=task.judge,
        good=html(good),
        tried=html(steps(search.rows)),
        num_tried=len(search.rows),
        by_class=html(by_class(dataset, log_p, labels)),
        confusion=confusion(log_p, labels, dataset.classes) if few else '',
        confusions=html(confused) if len(confused) else '',
        reliability=image_of(reliability(log_p, before, labels), 'How many are right by how sure it is, on test'),
        temperature=f'{T:.2f}',
        sure=html(left_to_it(log_p, labels)),
        mistakes=mistakes(net, px, dataset.test, log_p, labels),
        doubtful=doubtful(task.known, known, dataset.classes, px),
        twins=twins(dataset, search.first.features),
    )


def template():
    text = (ROOT / 'templates' / 'report.html').read_text('utf8')
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(text)
