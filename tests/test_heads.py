"""Notebook 02: the figures of heads, what its benchmark measures and the table that it looks up."""

import ast

import mended_mxnet

import numpy as onp
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_rgba

import figures
import utils
from benchmarks import heads
from benchmarks.facts import data_facts
from benchmarks.notebooks import parameters, read
from files import ROOT

LOG = pd.DataFrame({'C': [0.1, 1, 10, 100], 'train': [0.5, 0.7, 0.9, 1], 'valid': [0.4, 0.65, 0.6, 0.6]})


# ---- Figures --------------------------------------------------------------------------------------------------------


def test_plot_log_has_its_first_column_as_x():
    ax = pyplot.figure().subplots()
    figures.plot_log(ax, LOG)
    train, valid = ax.lines
    assert train.get_xydata().tolist() == LOG[['C', 'train']].to_numpy().tolist()
    assert valid.get_xydata().tolist() == LOG[['C', 'valid']].to_numpy().tolist()
    assert train.get_linestyle() == '--' and valid.get_linewidth() >= 2 * train.get_linewidth()
    assert ax.get_xlabel() == 'C' and ax.get_ylabel() == 'accuracy'
    assert {line.get_label() for line in ax.lines} == {'train', 'valid'}


def test_plot_log_has_guesses_at_its_end_and_a_dotted_line():
    ax = pyplot.figure().subplots()
    figures.plot_log(ax, LOG, [70, None, 90], {'at random': 0.5})
    assert marked(ax, 'x') == [[100, 0.7], [100, 0.9]]
    (dotted,) = [line for line in ax.lines if line.get_linestyle() == ':']
    assert dotted.get_ydata() == [0.5, 0.5]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ['train', 'valid', 'at random', 'your guess']


def test_plot_logs_has_a_line_where_train_and_valid_part():
    """In the first row already with a small gap; with a larger one at 10, and where train never is as far, nowhere."""
    fig = figures.plot_logs({'a': LOG, 'b': LOG[:2]}, [60, None], gap=0.09)
    dotted = [[line.get_xdata() for line in ax.lines if line.get_linestyle() == ':'] for ax in fig.axes]
    assert dotted == [[[0.1, 0.1]], [[0.1, 0.1]]]
    fig = figures.plot_logs({'a': LOG, 'b': LOG[:2]}, [60, None], gap=0.3)
    dotted = [[line.get_xdata() for line in ax.lines if line.get_linestyle() == ':'] for ax in fig.axes]
    assert dotted == [[[10, 10]], []]
    assert [ax.get_title() for ax in fig.axes] == ['a', 'b'] and marked(fig.axes[0], 'x') == [[100, 0.6]]


def test_histograms_count_all_values():
    values = {'weight': onp.arange(12.0).reshape(3, 4), 'probability': onp.ones(7)}
    axes = figures.plot_histograms(values).axes
    assert [ax.get_xlabel() for ax in axes] == [*values]
    assert [sum(bar.get_height() for bar in ax.patches) for ax in axes] == [12, 7]


def test_plot_orders_has_a_dot_for_each_order_and_a_ring_for_the_live_one():
    orders = pd.DataFrame({'agreement': [0.5, 0.6], 'valid': [0.4, 0.7]})
    (ax,) = figures.plot_orders(orders, (0.55, 0.45), (0.47, 0.53)).axes
    dots, ring = ax.lines
    assert dots.get_xydata().tolist() == [[0.5, 0.4], [0.6, 0.7]] and ring.get_xydata().tolist() == [[0.55, 0.45]]
    (band,) = ax.patches
    assert onp.allclose(sorted({y for _, y in band.get_path().vertices}), [0.47, 0.53])


def marked(ax, marker):
    """The points that have a marker, as [x, y]."""
    return [point for line in ax.lines if line.get_marker() == marker for point in line.get_xydata().tolist()]


def test_plot_heads_has_a_dot_for_each_seed_a_ring_for_the_live_one_and_a_cross_for_the_guess():
    live = {'softmax': 0.8, 'small, from scratch': 0.6, 'mine': 0.7}
    fig = figures.plot_heads(
        {'softmax': [0.75, 0.85], 'small, from scratch': [0.5]}, live, {'softmax': 70, 'mine': None}
    )
    (ax,) = fig.axes
    rings = [line.get_xydata().tolist()[0] for line in ax.lines if line.get_markerfacecolor() == 'none']
    dots = [point for point in marked(ax, 'o') if point not in rings]
    assert rings == [[0.8, 0], [0.6, 1], [0.7, 2]] and dots == [[0.75, 0], [0.85, 0], [0.5, 1]]
    assert marked(ax, 'x') == [[0.7, 0]]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [*live]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first at the top
    colors = [to_rgba(line.get_color()) for line in ax.lines if line.get_alpha()]
    assert colors[:2] == [to_rgba(figures.COLORS['head only']), to_rgba(figures.COLORS['from scratch'])]


@pytest.mark.parametrize('num_classes', [2, 12])
def test_plot_map_has_a_colour_for_each_class_and_a_ring_around_what_is_wrong(num_classes):
    points = onp.arange(4.0 * num_classes).reshape(-1, 2)
    labels = onp.arange(2 * num_classes) % num_classes
    wrong = labels == 1
    (ax,) = figures.plot_map(points, labels, [f'class {i}' for i in range(num_classes)], wrong).axes
    *classes, rings = ax.collections
    for i, shown in enumerate(classes):
        assert shown.get_offsets().tolist() == points[labels == i].tolist()
    assert len({tuple(shown.get_facecolor()[0]) for shown in classes}) == num_classes
    assert rings.get_offsets().tolist() == points[wrong].tolist()
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == [f'class {i}' for i in range(num_classes)] + ['valid, called wrong']


# ---- The benchmark --------------------------------------------------------------------------------------------------


def test_facts_are_the_end_the_best_and_where_train_and_valid_part():
    assert heads.facts(LOG) == {'train': 1, 'valid': 0.6, 'best': 0.65, 'best_at': 1, 'parts': 10}
    assert heads.facts(LOG[:2])['parts'] is None


def test_the_notebook_looks_up_what_the_benchmark_writes():
    """The settings as the notebook says them are the benchmark's key, and its table has five seeds of every recipe."""
    cells = {cell.id: cell.source for cell in read('02').cells}
    (tagged,) = [cell.source for cell in read('02').cells if 'parameters' in cell.metadata.get('tags', [])]
    names = {}
    exec(tagged, names)
    exec(cells['seeds-table'].split('table =')[0], names)
    assert names['settings'] == parameters('02')
    same = data_facts('kitchen', utils.find_data()) | {'parameters': names['settings']}
    table = heads.Table(heads.OUT, ['head', 'seed', *same]).rows(**same)
    seeds = {name: {*some.seed} for name, some in table.groupby('head')}
    assert seeds.pop('dense 256, shuffled') == {*map(str, heads.ORDERS)}
    assert all(seeds.pop(name) == {'0'} for name in heads.ORIGINALS)
    assert all(some == {*map(str, heads.SEEDS)} for some in seeds.values())
    code = [cell.source for cell in read('02').cells if cell.cell_type == 'code']
    texts = {node.value for node in ast.walk(ast.parse('\n'.join(code))) if isinstance(node, ast.Constant)}
    of_the_notebook = {*seeds} - {'batch norm, dense 1024, five foods'}
    assert {'softmax', 'dense 256', 'batch norm, dense 1024', 'small, from scratch'} <= of_the_notebook <= texts


def test_five_foods_are_kinds_that_there_are():
    kinds = {*pd.read_csv(ROOT / 'data' / 'kitchen.csv').kind}
    (source,) = [cell.source for cell in read('02').cells if cell.id == 'five-data']
    given = next(node.value for node in ast.parse(source).body if node.targets[0].id == 'kinds')
    assert {*ast.literal_eval(given)} <= kinds
