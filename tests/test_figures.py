"""Figures: what they show, read back from them."""

import mended_mxnet

import numpy as onp
import pandas as pd
import pytest
from helpers import fill
from matplotlib.colors import to_rgba
from PIL import Image

import figures
import utils
from pictures import centre_crop


def shown(pyplot):
    """The pictures in the current figure, row by row, and where they are: (row, column)."""
    axes = [ax for ax in pyplot.gcf().axes if ax.images]
    places = [(ax.get_subplotspec().rowspan.start, ax.get_subplotspec().colspan.start) for ax in axes]
    return [onp.asarray(ax.images[0].get_array()) for ax in axes], places


@pytest.mark.parametrize('n', [0, 1, 3, 8, 11, 16])
def test_show(tmp_path, pyplot, n):
    """Eight in a row, as many rows as are needed, and nothing where no picture is left."""
    fill(tmp_path, {'a': n}, size=(40, 30))
    pictures = [(tmp_path / 'a' / f'{k}.png', 0) for k in range(n)]
    images = [centre_crop(Image.open(path), 16) for path, _ in pictures]
    for given in pictures, images:
        figures.show(given, 16, titles=[f'number {k}' for k in range(n)])
        axes = pyplot.gcf().axes
        places = [ax.get_subplotspec() for ax in axes if ax.images]
        assert [(p.rowspan.start, p.colspan.start) for p in places] == [divmod(k, 8) for k in range(n)]
        assert len(axes) == max(8, -(-n // 8) * 8)
        for k, ax in enumerate(axes[:n]):
            assert (ax.images[0].get_array() == onp.asarray(images[k])).all()
            assert ax.get_title() == f'number {k}'
        assert not any(ax.axison and ax.xaxis.get_visible() for ax in axes)
        pyplot.close('all')


def table(**columns):
    return pd.DataFrame({'epoch': [1, 2, 3], **columns})


def test_plot_curves():
    tables = {
        'fine-tuned': table(loss=[3, 2, 1], train=[0.1, 0.2, 0.3], valid=[0.4, 0.5, 0.6]),
        'from scratch': table(loss=[6, 5, 4], train=[0.7, 0.8, 0.9], valid=[0.2, 0.1, 0]),
        'something else': table(loss=[9, 8, 7], train=[0.5, 0.5, 0.6], valid=[0.3, 0.3, 0.4]),
    }
    left, right = figures.plot_curves(tables).axes
    assert [line.get_xydata().tolist() for line in left.lines] == [
        [[1, a], [2, b], [3, c]] for a, b, c in ([3, 2, 1], [6, 5, 4], [9, 8, 7])
    ]
    assert [line.get_ydata().tolist() for line in right.lines] == [
        t[column].tolist() for t in tables.values() for column in ('train', 'valid')
    ]
    assert all(line.get_xdata().tolist() == [1, 2, 3] for line in right.lines)
    colors = [to_rgba(line.get_color()) for line in left.lines]
    assert colors[:2] == [to_rgba('tab:red'), to_rgba('tab:blue')] and len(set(colors)) == 3
    assert [to_rgba(line.get_color()) for line in right.lines] == [c for c in colors for _ in range(2)]
    for dashed, thick in zip(right.lines[::2], right.lines[1::2]):
        assert dashed.get_linestyle() == '--' and thick.get_linestyle() == '-'
        assert thick.get_linewidth() >= 2 * dashed.get_linewidth()
    assert [text.get_text() for text in left.get_legend().get_texts()] == list(tables)
    assert 'loss' in left.get_title() and 'accuracy' in right.get_title()
    for ax in left, right:
        assert ax.get_xlabel() == 'epoch' and ax.get_xticks().tolist() == [1, 2, 3]


def test_plot_curves_of_different_lengths():
    """One was interrupted: the axis has the epochs of the longer one."""
    long = table(loss=[3, 2, 1], train=[0.1, 0.2, 0.3], valid=[0.4, 0.5, 0.6])
    left, right = figures.plot_curves({'fine-tuned': long, 'from scratch': long[:1]}).axes
    assert left.get_xticks().tolist() == right.get_xticks().tolist() == [1, 2, 3]


def test_figures_can_be_read_on_a_projector(pyplot):
    fig = figures.plot_curves({'fine-tuned': table(loss=[3, 2, 1], train=[0.1, 0.2, 0.3], valid=[0.4, 0.5, 0.6])})
    assert fig.axes[0].xaxis.label.get_fontsize() >= 14
    assert 800 <= fig.get_size_inches()[0] * fig.dpi <= 1000  # pixels: the width of a notebook
    assert not fig.axes[0].spines['top'].get_visible() and not fig.axes[0].spines['right'].get_visible()


@pytest.mark.parametrize(
    'calls', [[[2, 1], [0, 3]], [[1, 2, 0], [0, 4, 1], [3, 0, 5]], [[1, 2, 0], [1, 4, 0], [0, 0, 0]]]
)
def test_plot_confusion(pyplot, calls):
    """A row for every true class, a column for what it was called; a class that nobody saw has zeros."""
    classes = 'abc'[: len(calls)]
    pairs = [(i, j) for i, row in enumerate(calls) for j, n in enumerate(row) for _ in range(n)]
    labels, called = onp.array(pairs).T
    figures.plot_confusion(onp.eye(len(classes))[called], labels, list(classes))
    ax = pyplot.gcf().axes[0]
    assert len(pyplot.gcf().axes) == 1  # no colour bar
    entries = {tuple(int(v) for v in text.get_position()): int(text.get_text()) for text in ax.texts}
    assert entries == {(j, i): calls[i][j] for i in range(len(classes)) for j in range(len(classes))}
    for ticks in ax.get_xticklabels(), ax.get_yticklabels():
        assert [tick.get_text() for tick in ticks] == list(classes)
    assert ax.get_ylabel() == 'True label' and ax.get_xlabel() == 'Predicted label'


def test_mistakes_are_the_surest_first():
    probabilities = onp.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7], [0.55, 0.45]])
    labels = onp.array([0, 1, 0, 1, 1])
    assert utils.mistakes(list('vwxyz'), probabilities, labels) == ['x', 'w', 'z']
    assert utils.mistakes(list('vwxyz'), probabilities, probabilities.argmax(1)) == []
