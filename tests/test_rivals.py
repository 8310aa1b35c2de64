"""Ours beside rivals: these compute the same, are judged in the same way, and a row is measured once and by itself."""

import mended_mxnet

import numpy as onp
import pytest
from helpers import fill

import utils
from benchmarks import rivals
from benchmarks.table import Table
from files import ROOT

SETTINGS = 'what', 'network', 'time', 'run'


@pytest.fixture
def task(tmp_path):
    """Twenty pictures: valid is too few to judge by."""
    data = fill(tmp_path / 'data', {'a': 10, 'b': 10}, size=(40, 30))
    (tmp_path / 'kept').mkdir()
    return rivals.Task(str(data), utils.find_data(data), 32, 0.1, 'efficientnet_lite0', 0, tmp_path / 'kept')


@pytest.mark.slow
@pytest.mark.parametrize('what', ['OpenVINO, head, float32', 'ONNX Runtime, head, float32'])
def test_other_runtimes_compute_what_mxnet_does(task, what):
    net = utils.pretrained(task.network)
    ((X, _),) = utils.batches(task.dataset.train, net, task.px, 100)
    expected = rivals.flat(net.features(X).asnumpy())
    theirs = rivals.flat(rivals.frozen_rivals()[what](task)()(task.dataset.train))
    assert abs(theirs - expected).max() < 1e-4 * abs(expected).max()


def toy(wrong):
    """({split: X}, {split: pictures}): one number tells two classes apart, but of the `wrong` first ones in a split."""
    X, pictures = {}, {}
    for split, n in {'train': 40, 'valid': 8, 'test': 10}.items():
        y = onp.arange(n) % 2
        seems = onp.where(onp.arange(n) < wrong.get(split, 0), 1 - y, y)
        X[split], pictures[split] = onp.stack([seems, onp.ones(n)], 1), [(None, label) for label in y]
    return X, pictures


def test_a_rival_is_fitted_to_train_and_judged_by_valid():
    assert rivals.fitted(*toy({'valid': 2, 'test': 5})) == {'valid': 0.75, 'test': 0.5}


def test_without_valid_a_rival_is_judged_out_of_fold():
    X, pictures = toy({'train': 4})
    del X['valid']
    assert rivals.fitted(X, pictures) == {'valid': 0.9, 'test': 1}


@pytest.fixture
def table(tmp_path):
    """What was measured of two ways to do the same, of ours and of the book."""
    table = Table(tmp_path / 'rivals.csv', SETTINGS)
    seconds = {
        (rivals.BOOK, 'first'): [8, 12, 10],
        ('PyTorch at its best: a', 'first'): [5],
        ('PyTorch at its best: b', 'first'): [4, 6, 3],
        ('ours, head', 'first'): [3, 3, 3],
        ('ours, head', 'second'): [1, 2, 0.5],
    }
    rest = {'network': 'x', 'valid': 0.5, 'test': 0.5, 'before_mib': 1, 'peak_mib': 2}
    for (what, when), times in seconds.items():
        table.add([{'what': what, 'time': when, 'run': i, 'seconds': s, **rest} for i, s in enumerate(times)])
    return table


def test_of_several_ways_the_fastest_is_run_again(table):
    some = [rivals.Row(what, 'x', None) for what in table.rows().what.unique()]
    assert rivals.fastest(table, some, {}) == [some[0], some[2], some[3]]


def test_a_line_has_the_middle_and_its_share_of_the_book(table):
    lines = rivals.summary(table.rows(), num_pictures=100)
    assert lines['median'].tolist() == [10, 5, 4, 3, 1] and lines.share.tolist() == [1, 0.5, 0.4, 0.3, 0.1]
    assert lines['max'].tolist() == [12, 5, 6, 3, 2] and lines['count'].tolist() == [3, 1, 3, 3, 3]
    assert lines['pictures/s'].loc['ours, head'].tolist() == [50, 50]  # 100 in the two seconds that the first took more


def test_readme_has_what_was_measured():
    lines = rivals.summary(Table(rivals.OUT, [*SETTINGS, 'px', 'data']).rows(px=224, data='photos'), 2800)
    lines['again'] = lines['median'].unstack('time').second.reindex(lines.index.droplevel('time')).to_numpy()
    first = lines.xs('first', level='time').reset_index(level='what')
    written = [f'{line["what"]}{cells(line)}' for _, line in first.iterrows()]
    table = (ROOT / 'README.md').read_text().partition('| | seconds | share |')[2].partition('\n\n')[0]
    rows = [line.removeprefix('| ').split(' |', 1) for line in table.splitlines()[2:] if '**' not in line]
    assert len(rows) == 20
    for name, rest in rows:
        found = [text for text in written if text.endswith(f' |{rest}')]
        assert any(all(word in text for word in name.split(', ')) for text in found), name


def cells(line):
    """A line of a summary as README writes it, but for its name."""
    median, low, high = (f'{line[name]:#.3g}'.rstrip('.') for name in ('median', 'min', 'max'))
    times = f'{low} to {high}' if line['count'] > 1 else 'one run'
    again = '' if onp.isnan(line.again) else f'{line.again:.1f}' if line.again < 10 else f'{line.again:.0f}'
    accuracy = f'{line.valid:.3f} | {line.test:.3f}'
    return f' | {median} ({times}) | {line.share:#.2g} | {again} | {accuracy} | {line.peak_mib:.0f} |'


@pytest.mark.slow
def test_a_row_is_measured_in_processes_of_its_own_and_once(task, tmp_path, monkeypatch):
    table, row = Table(tmp_path / 'rivals.csv', SETTINGS), rivals.Row('ours', task.network, rivals.head, rivals.TWICE)
    before = {*utils.BUILD.glob('*')}
    rivals.measure(table, row, {'run': 0}, *task[:4])
    found = table.rows()
    assert list(found.time) == ['first', 'second'] and found.valid.nunique() == 1
    assert (found.peak_mib >= found.before_mib).all() and {*utils.BUILD.glob('*')} == before
    monkeypatch.setattr(rivals, 'in_a_process', None)
    rivals.measure(table, row, {'run': 0}, *task[:4])


def test_what_is_missing_is_named_with_the_command(monkeypatch):
    monkeypatch.setattr(rivals, 'PACKAGES', {'numpy': 'numpy', 'no_such_package': 'no-such-package==1'})
    with pytest.raises(rivals.Problem, match='^no_such_package is missing.* numpy no-such-package==1$'):
        rivals.check_installed()
