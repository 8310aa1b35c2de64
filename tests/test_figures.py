"""Figures: what they show, read back from them."""

import base64
import io

import mended_mxnet

import numpy as onp
import pandas as pd
import pytest
from helpers import fill, noise, sentence, source, tiny
from matplotlib import pyplot
from matplotlib.colors import to_rgba
from mxnet import np
from PIL import Image

import figures
import frozen
import utils
from pictures import centre_crop


@pytest.fixture
def presented(monkeypatch):
    """What is displayed: [(figure, alt, form), ...]."""
    found = []
    monkeypatch.setattr(figures, 'present', lambda fig, alt, form='png', show=None: found.append((fig, alt, form)))
    return found


def test_a_figure_is_displayed_once_with_its_words():
    displayed = []
    fig = figures.plot_bars({'a': 0.5})
    figures.present(fig, 'a < b', show=displayed.append)
    (image,) = displayed
    data = base64.b64encode(image.data).decode()
    html = f'<img alt="a &lt; b" src="data:image/png;base64,{data}">'
    assert image._repr_mimebundle_() == {'text/html': html, 'text/plain': 'a < b'}
    assert Image.open(io.BytesIO(image.data)).width > 600 and not pyplot.fignum_exists(fig.number)


def test_a_figure_in_words():
    """A level line has a height, wherever it ends; a single point has both."""
    fig, ax = pyplot.subplots()
    ax.plot(['stage1', 'stage2'], [0.5, 0.75], label='frozen')
    ax.plot([3], [0.5], label='head')
    ax.axhline(0.9854, label='from scratch')
    ax.axhline(0.5)
    ax.set(title='food', xlabel='first block', ylabel='accuracy')
    expected = 'food, accuracy by first block. frozen: stage1 0.5, stage2 0.75; head: 3 0.5; from scratch: 0.985.'
    assert figures.words_of(fig) == expected
    pyplot.close(fig)


@pytest.mark.parametrize('form', ['png', 'jpeg'])
def test_it_is_in_the_form_that_was_asked_for(form):
    displayed = []
    figures.present(figures.plot_bars({'a': 0.5}), 'a', form, displayed.append)
    assert Image.open(io.BytesIO(displayed[0].data)).format == form.upper()
    assert f'src="data:image/{form};base64,' in displayed[0]._repr_mimebundle_()['text/html']


def test_photographs_are_small_and_nothing_stays_open(monkeypatch):
    """Sixteen pictures of noise, as a JPEG, are displayed once."""
    displayed = []
    monkeypatch.setattr(figures.present, '__defaults__', ('png', displayed.append))
    figures.show(16 * [noise(128, 128)], 128, alt='Noise')
    (image,) = displayed
    assert Image.open(io.BytesIO(image.data)).format == 'JPEG' and len(image.data) < 4e5
    assert image.alt == 'Noise' and pyplot.get_fignums() == []


@pytest.mark.parametrize('n', [0, 1, 3, 4, 7, 16])
def test_show(tmp_path, presented, n):
    """Four in a row, as many rows as are needed, and nothing where no picture is left; as a JPEG with an alt text."""
    fill(tmp_path, {'a': n}, size=(40, 30))
    pictures = [(tmp_path / 'a' / f'{k}.png', 0) for k in range(n)]
    images = [centre_crop(Image.open(path), 16) for path, _ in pictures]
    for given in pictures, images:
        figures.show(given, 16, titles=[f'number {k}' for k in range(n)], alt='Numbers')
        fig, alt, form = presented.pop()
        assert (alt, form) == ('Numbers', 'jpeg')
        places = [ax.get_subplotspec() for ax in fig.axes if ax.images]
        assert [(p.rowspan.start, p.colspan.start) for p in places] == [divmod(k, 4) for k in range(n)]
        assert len(fig.axes) == max(4, -(-n // 4) * 4)
        for k, ax in enumerate(fig.axes[:n]):
            assert (ax.images[0].get_array() == onp.asarray(images[k])).all()
            assert ax.get_title() == f'number {k}'
        assert not any(ax.axison and ax.xaxis.get_visible() for ax in fig.axes)


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
    assert (
        colors[:2] == [to_rgba(figures.COLORS[name]) for name in ('fine-tuned', 'from scratch')] and len({*colors}) == 3
    )
    assert [to_rgba(line.get_color()) for line in right.lines] == [c for c in colors for _ in range(2)]
    for dashed, thick in zip(right.lines[::2], right.lines[1::2]):
        assert dashed.get_linestyle() == '--' and thick.get_linestyle() == '-'
        assert thick.get_linewidth() >= 2 * dashed.get_linewidth()
    assert [text.get_text() for text in left.get_legend().get_texts()] == list(tables)
    assert [text.get_text() for text in right.get_legend().get_texts()] == ['valid', 'train', 'your guess']
    assert 'loss' in left.get_ylabel() and 'accuracy' in right.get_ylabel()
    for ax in left, right:
        assert not ax.get_title()
        assert ax.get_xlabel() == 'epoch' and ax.get_xticks().tolist() == [1, 2, 3]


def test_plot_curves_of_different_lengths():
    """One was interrupted: the axis has the epochs of the longer one."""
    long = table(loss=[3, 2, 1], train=[0.1, 0.2, 0.3], valid=[0.4, 0.5, 0.6])
    left, right = figures.plot_curves({'fine-tuned': long, 'from scratch': long[:1]}).axes
    assert left.get_xticks().tolist() == right.get_xticks().tolist() == [1, 2, 3]


def crosses_of(ax):
    return [(line.get_xydata().tolist()[0], to_rgba(line.get_color())) for line in ax.lines if line.get_marker() == 'x']


def test_guesses_are_crosses_in_the_colour_of_their_network_and_none_is_none():
    history = table(loss=[3, 2, 1], train=[0.1, 0.2, 0.3], valid=[0.4, 0.5, 0.6])
    guess = {'fine-tuned': {1: 70, 3: None}, 'from scratch': {1: 55}}
    left, right = figures.plot_curves({'fine-tuned': history}, guess, 5).axes
    assert crosses_of(left) == []
    assert crosses_of(right) == [([1, 0.7], to_rgba(figures.COLORS['fine-tuned']))]
    assert left.get_xticks().tolist() == [1, 2, 3, 4, 5]


def test_a_curve_grows_in_one_place(presented, monkeypatch):
    """The first epoch displays it, the others update it; what was trained before stands beside it."""
    calls = []
    monkeypatch.setattr(figures, 'present', lambda fig, alt, show: calls.append((show, fig, alt)))
    other = table(loss=[6, 5, 4], train=[0.7, 0.8, 0.9], valid=[0.2, 0.1, 0])
    history = table(loss=[3, 2, 1], train=[0.1, 0.2, 0.3], valid=[0.4, 0.5, 0.6])
    live = figures.Live('from scratch', 3, {'fine-tuned': other})
    for n in 1, 2, 3:
        live(history[:n])
    assert [show.__name__ for show, _, _ in calls] == ['display', 'update', 'update']
    assert len({show.__self__.display_id for show, _, _ in calls}) == 1
    for n, (_, fig, alt) in enumerate(calls, 1):
        assert [len(line.get_xdata()) for line in fig.axes[0].lines] == [3, n]
        assert fig.axes[0].get_xticks().tolist() == [1, 2, 3]
        assert 'fine-tuned' in alt and 'from scratch' in alt and '0.4' in alt


def test_plot_bars():
    (ax,) = figures.plot_bars({'row 934': 0.6, 'head only': 0.875}, {'row 934': 70, 'head only': None}).axes
    assert [bar.get_width() for bar in ax.patches] == [0.6, 0.875]
    assert [text.get_text() for text in ax.texts] == ['0.600', '0.875']
    assert to_rgba(ax.patches[1].get_facecolor()) == to_rgba(figures.COLORS['head only'])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ['row 934', 'head only'] and ax.yaxis_inverted()
    assert crosses_of(ax) == [([0.7, 0], to_rgba('black'))]
    assert ax.get_xlim()[0] == 0


def test_figures_can_be_read_on_a_projector():
    fig = figures.plot_curves({'fine-tuned': table(loss=[3, 2, 1], train=[0.1, 0.2, 0.3], valid=[0.4, 0.5, 0.6])})
    assert fig.axes[0].xaxis.label.get_fontsize() >= 14
    assert 800 <= fig.get_size_inches()[0] * fig.dpi <= 1000  # pixels: the width of a notebook
    assert not fig.axes[0].spines['top'].get_visible() and not fig.axes[0].spines['right'].get_visible()


@pytest.mark.parametrize(
    'calls', [[[2, 1], [0, 3]], [[1, 2, 0], [0, 4, 1], [3, 0, 5]], [[1, 2, 0], [1, 4, 0], [0, 0, 0]]]
)
def test_plot_confusion(calls):
    """A row for every true class, a column for what it was called; a class that nobody saw has zeros."""
    classes = 'abc'[: len(calls)]
    pairs = [(i, j) for i, row in enumerate(calls) for j, n in enumerate(row) for _ in range(n)]
    labels, called = onp.array(pairs).T
    (ax,) = figures.plot_confusion(onp.eye(len(classes))[called], labels, list(classes)).axes  # no colour bar
    entries = {tuple(int(v) for v in text.get_position()): int(text.get_text()) for text in ax.texts}
    assert entries == {(j, i): calls[i][j] for i in range(len(classes)) for j in range(len(classes))}
    for ticks in ax.get_xticklabels(), ax.get_yticklabels():
        assert [tick.get_text() for tick in ticks] == list(classes)
    assert ax.get_ylabel() == 'is' and ax.get_xlabel() == 'called'


def test_the_mean_of_a_class_map_is_what_the_class_gets_more_than_all_do():
    net = source(px=64)
    net.output.bias.set_data(np.arange(10) / 10)
    image = noise(64, 64)
    X = np.array(utils.normalize(image, net.mean, net.std))[None]
    scores = (net(X)[0] - net.output.bias.data()).asnumpy()
    evidence = figures.class_map(net, image)
    assert evidence.shape == (2, 2)
    called = int(net(X).argmax())
    assert evidence.mean() == pytest.approx(scores[called] - scores.mean(), abs=1e-4)
    scores = net(X)[0].asnumpy()
    with_bias = figures.class_map(net, image, bias=True)
    assert with_bias.mean() == pytest.approx(scores[called] - scores.mean(), abs=1e-4) != evidence.mean()


@pytest.mark.slow
@pytest.mark.parametrize('name', ['resnet18_v2', 'efficientnet_lite0', 'resnet18_v1'])
def test_a_class_map_changes_where_the_picture_does(name):
    """In Lite0 the maps lie upside down."""
    utils.seed_everything(0)
    net = utils.from_scratch(['a', 'b', 'c'], name)
    image = noise(256, 256)
    before = figures.class_map(net, image)
    image.paste('white', (0, 0, 64, 128))
    change = abs(figures.class_map(net, image) - before)
    assert onp.unravel_index(change.argmax(), change.shape) in {
        (row, column) for row in range(4) for column in range(2)
    }


def test_a_network_without_maps_at_its_end_is_one_sentence():
    net = frozen.with_head(tiny(), ['a', 'b'], 'dense256')
    assert 'more than one dense layer' in sentence(figures.class_map, net, noise(32, 32))


def test_an_activation_map_is_the_picture_where_the_map_is_high_and_grey_elsewhere(monkeypatch):
    monkeypatch.setattr(figures, 'class_map', lambda net, image, bias: onp.array([[8.0, -9.0], [0.0, 4.0]]))
    white = Image.new('RGB', (64, 64), 'white')
    light = onp.asarray(figures.activation_map(None, white, 64))[..., 0]
    assert light[0, 0] == 255 and light[0, -1] == light[-1, 0] == 127 and 180 < light[-1, -1] < 220
    assert light.shape == (64, 64)


@pytest.mark.parametrize('net', [None, 'a network'])
def test_show_called(tmp_path, presented, monkeypatch, net):
    """Each picture, or where the network looked at it, says what it was called, how sure that was, and what it is."""
    monkeypatch.setattr(figures, 'activation_map', lambda net, path, px: Image.new('RGB', (px, px), 'red'))
    fill(tmp_path, {'a': 2}, size=(16, 16))
    pictures = [(tmp_path / 'a' / f'{k}.png', k) for k in range(2)]
    sure = {path: onp.array([0.25, 0.75]) for path, _ in pictures}
    figures.show_called(pictures, sure, ['pie', 'pea'], 16, net, heading='Two')
    fig, alt, form = presented.pop()
    assert (alt, form) == ('Two: called pea 0.75, is pie; called pea 0.75, is pea.', 'jpeg')
    assert [ax.get_title() for ax in fig.axes[:2]] == ['called pea 0.75\nis pie', 'called pea 0.75\nis pea']
    reds = [(onp.asarray(ax.images[0].get_array()) == [255, 0, 0]).all() for ax in fig.axes[:2]]
    assert reds == [net is not None] * 2


def test_mistakes_are_the_surest_first():
    probabilities = onp.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.3, 0.7], [0.55, 0.45]])
    labels = onp.array([0, 1, 0, 1, 1])
    assert utils.mistakes(list('vwxyz'), probabilities, labels) == ['x', 'w', 'z']
    assert utils.mistakes(list('vwxyz'), probabilities, probabilities.argmax(1)) == []


# ---- Guesses --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('guess', ['85', 0.85, 101, -1, True, float('nan')])
def test_a_guess_that_is_none_is_one_sentence_before_a_training(guess):
    assert 'give how many of 100' in sentence(figures.of_100, guess)
    assert 'give how many of 100' in sentence(figures.Live, 'fine-tuned', 5, guess={'fine-tuned': {1: None, 5: guess}})


def test_guesses():
    assert [figures.of_100(guess) for guess in (0, 1, 85, 100)] == [0, 0.01, 0.85, 1]
