"""What many pictures cost: as many files as are asked for, each another one; each step does all of them, and once."""

import mended_mxnet

import helpers
import numpy as onp
import pandas as pd
import pytest
from helpers import sentence

import known
import utils
from benchmarks import scale
from benchmarks.table import Table
from files import hash_of


@pytest.fixture
def dataset(tmp_path):
    """Twelve pictures of two classes."""
    return utils.find_data(helpers.fill(tmp_path / 'data', {'a': 6, 'b': 6}, size=(40, 30)))


@pytest.fixture
def task(tmp_path, cache, dataset, monkeypatch):
    """Twenty files."""
    monkeypatch.setattr(known, 'FILE', tmp_path / 'known.sqlite')
    scale.fill(tmp_path / 'pictures', dataset, 20)
    return scale.Task(tmp_path / 'pictures', 32, tmp_path)


def test_each_picture_comes_as_often_as_the_others_and_no_file_does(task, dataset):
    paths = [*task.data.rglob('*.*')]
    assert len(paths) == 20 == len({*map(hash_of, paths)}) and {path.parent.name for path in paths} == {'0', '1'}
    looks = pd.Series([str(helpers.opened(path)) for path in paths]).value_counts()
    assert sorted(looks) == 4 * [1] + 8 * [2]
    assert {*looks.index} == {str(helpers.opened(path)) for path, _ in scale.everything(dataset)}


@pytest.mark.slow
@pytest.mark.parametrize('what', ['checked', 'features', 'predicted'])
def test_a_step_does_all_pictures(task, what):
    assert scale.STEPS[what](task)() == {'found': 20}


@pytest.mark.slow
def test_a_head_is_fitted_with_each_c(task):
    assert scale.fit(task)() == {'found': 11}


def test_a_full_disk_is_said_before(tmp_path, monkeypatch):
    monkeypatch.setattr(scale.shutil, 'disk_usage', lambda path: type('Usage', (), {'free': 3 * 10**9}))
    scale.check_room(tmp_path, 1.5 * 10**9)
    assert '3.0 GB free and needs 3.2' in sentence(scale.check_room, tmp_path, 1.6 * 10**9)


@pytest.mark.slow
def test_a_row_is_measured_in_a_process_of_its_own_and_once(dataset, tmp_path, monkeypatch):
    table = Table(tmp_path / 'scale.csv', ['what', 'pictures', 'px'])
    before = {*utils.BUILD.glob('*')}
    scale.measure(table, dataset, 20, 32, {'px': 32}, ['checked'])
    row = table.rows(what='checked', pictures=20).iloc[0]
    assert row.found == 20 and row.seconds > 0 and row.peak_mib >= row.before_mib > 0
    assert {*utils.BUILD.glob('*')} == before
    monkeypatch.setattr(scale, 'in_a_process', None)
    scale.measure(table, dataset, 20, 32, {'px': 32}, ['checked'])


def test_the_figure_has_a_line_for_each_step():
    rows = pd.DataFrame(
        [(what, n, k * int(n), k + int(n)) for k, what in enumerate(scale.STEPS, 1) for n in ('2000', '200')],
        columns=['what', 'pictures', 'seconds', 'peak_mib'],
    ).astype({'seconds': float})
    seconds, memory = scale.draw(rows).axes
    assert [line.get_label() for line in seconds.lines] == [*scale.STEPS, 'in proportion']
    for k, line in enumerate(memory.lines, 1):
        assert line.get_xdata().tolist() == [200, 2000] and line.get_ydata().tolist() == [k + 200, k + 2000]
    slopes = [onp.diff(onp.log(line.get_ydata())) for line in seconds.lines]
    assert onp.allclose(slopes, onp.log(10)) and seconds.get_xscale() == memory.get_yscale() == 'log'
