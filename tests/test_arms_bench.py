"""The benchmark of the arms: each rate climbs to its best, and what was measured is not measured again."""

import sys
import types

import mended_mxnet

import numpy as onp
import pandas as pd
import pytest
from helpers import sentence

import arms
import utils
from arms import ARMS
from benchmarks import arms as bench
from benchmarks.table import Table
from folders import Dataset, Pictures
from sources.weights import TooFast

PICTURES = [(f'{k}.png', k % 2) for k in range(140)]
DATASET = Dataset(
    ['a', 'b'], *(Pictures(some, ['a', 'b']) for some in (PICTURES[:80], PICTURES[80:110], PICTURES[110:]))
)


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """[(arm, number of pictures, lr, seed), ...] of the trainings, whose accuracy is `trained.valid(lr, seed)`."""

    class Trained(list):
        now = 0  # seconds

        def valid(self, lr, seed):
            return 0.5

    done = Trained()

    def experiment(arm, source, dataset, likeness, lr, seed, **options):
        done.append((arm, len(dataset.train), lr, seed))
        done.now += 7
        for seconds in [3, 2, 4] if 'watch' in options and arm.cut != 'output' else []:
            done.now += seconds
            options['watch'](None)
        return None, pd.DataFrame({'valid': [0.25, done.valid(lr, seed) or 0.5, 0.125]})

    monkeypatch.setattr(bench, 'OUT', tmp_path / 'arms.csv')
    monkeypatch.setattr(bench, 'SECONDS', tmp_path / 'seconds.csv')
    monkeypatch.setattr(utils, 'pretrained', lambda: None)
    monkeypatch.setattr(utils, 'find_data', lambda: DATASET)
    monkeypatch.setattr(arms, 'digits', lambda: DATASET)
    monkeypatch.setattr(bench, 'data_facts', lambda name, dataset: {'data': name, 'content': 'x'})
    monkeypatch.setattr(arms, 'experiment', experiment)
    monkeypatch.setattr(arms, 'right', lambda net, dataset, likeness: onp.arange(30) % 3 > 0)
    return done


def rates(trained):
    """The rates that were tried, each once for a seed."""
    assert len({*trained}) == len(trained)
    return sorted({lr for _, _, lr, _ in trained})


def peak(best, grid=bench.RATES):
    """An accuracy that falls with every step in the grid away from its best rate."""
    return lambda lr, seed: lr and 0.75 - abs(grid.index(lr) - grid.index(best)) / 32


# ---- The best rate --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'best, tried',
    [
        (0.1, [0.03, 0.1, 0.3]),  # where it begins
        (0.03, [0.01, 0.03, 0.1, 0.3]),
        (0.003, [0.001, 0.003, 0.01, 0.03, 0.1, 0.3]),
        (0.3, [0.03, 0.1, 0.3, 1]),
    ],
)
def test_a_rate_climbs_until_both_neighbours_are_worse(trained, capsys, best, tried):
    trained.valid = peak(best)
    assert bench.Bench('similar').climb('fine-tuned', 'all', [0, 1]) == best
    assert rates(trained) == tried and 'the grid' not in capsys.readouterr().out
    assert len(trained) == 2 * len(tried)


@pytest.mark.parametrize('arm', bench.START)
@pytest.mark.parametrize('end', [0, -1])
def test_a_best_rate_at_an_end_of_the_grid_is_said(trained, capsys, arm, end):
    trained.valid = peak(bench.RATES[end])
    assert bench.Bench('different').climb(arm, 'all', [0]) == bench.RATES[end]
    (line,) = [line for line in capsys.readouterr().out.splitlines() if 'RATES' in line]
    assert f'"{arm}", {bench.RATES[end]}, is at an end of the grid' in line
    assert rates(trained)[end] == bench.RATES[end]


def test_the_mean_of_the_seeds_decides(trained):
    """0.3 is the best with seed 0 and 0.03 with seed 1; the mean of 0.1 is the highest."""
    best = {0: {0.03: 0.5, 0.1: 0.75, 0.3: 0.875}, 1: {0.03: 0.875, 0.1: 0.8125, 0.3: 0.5}}
    trained.valid = lambda lr, seed: best[seed][lr]
    assert bench.Bench('similar').climb('fine-tuned', 'all', [0, 1]) == 0.1


def test_a_rate_at_which_nothing_is_a_number_any_more_is_a_bad_one(trained):
    def valid(lr, seed):
        if lr > 0.1:
            raise TooFast('too large steps')
        return peak(0.1)(lr, seed)

    trained.valid = valid
    assert bench.Bench('similar').climb('fine-tuned', 'all', [0]) == 0.1
    table = pd.read_csv(bench.OUT, index_col='lr')
    assert table.valid[0.3] == 0 < table.valid.drop(0.3).min()
    assert not arms.bits(table.right[0.3], 30).any()


def test_equal_rates_end_where_it_is(trained):
    trained.valid = lambda lr, seed: 0.5
    assert bench.Bench('similar').climb('from scratch', 'all', [0]) == 0.03 and len(trained) == 3


def test_every_arm_begins_inside_of_the_grid():
    assert {*bench.START} == {name for name, arm in ARMS.items() if arm.cut != 'output'}
    assert {*bench.START.values()} <= {*bench.RATES[1:-1]} and sorted(bench.RATES) == bench.RATES


# ---- The table ------------------------------------------------------------------------------------------------------


def test_each_training_is_one_row(trained):
    trained.valid = peak(0.03)
    bench.Bench('similar').measure('fine-tuned', 2, 0.1, 3)
    table = pd.read_csv(bench.OUT)
    assert trained == [(ARMS['fine-tuned'], 4, 0.1, 3)]
    row = table.iloc[0]
    assert (row.arm, row.per_class, row.lr, row.seed, row.likeness) == ('fine-tuned', 2, 0.1, 3, 'similar')
    assert (row.px, row.crops, row.batch_size, row.epoch, row.cap, row.patience) == (128, True, 32, 300, 30, 5)
    assert row.valid == 0.7188 and row.valid_by_epoch == '0.2500 0.7188 0.1250'
    assert arms.bits(row.right, 30).tolist() == 10 * [False, True, True]
    bench.Bench('different').measure('fine-tuned', 2, 0.1, 3)
    bench.Bench('similar').measure('fine-tuned', 2, 0.1, 3)
    assert len(trained) == 2 == len(pd.read_csv(bench.OUT))


@pytest.mark.parametrize('likeness', ['similar', pytest.param('different', marks=pytest.mark.slow)])
def test_cases_end_with_all_seeds_at_the_best_rate(trained, likeness, monkeypatch):
    """And `measured` takes these, with the pictures that each test picture was called right in."""
    trained.valid = peak(0.03)
    bench.Bench(likeness).cases([0, 1, 2])
    once = [*trained]
    bench.Bench(likeness).cases([0, 1, 2])
    assert trained == once and len({*once}) == len(once)
    monkeypatch.setattr(arms, 'ROOT', bench.OUT.parent)
    (bench.OUT.parent / 'benchmarks').symlink_to(bench.OUT.parent)
    for per_class in 'all', bench.SMALL:
        found = arms.measured(DATASET, likeness, per_class)
        assert {(row.arm, row.lr) for row in found.itertuples()} == {
            ('head only', 'None'),
            *((name, '0.03') for name in bench.START),
        }
        assert all({*some} == {0, 1, 2} for some in found.groupby('arm').seed.unique())


def test_a_rate_at_which_a_later_seed_learns_nothing_is_not_taken(trained):
    def valid(lr, seed):
        if lr and lr > 0.03 and seed == 2:
            raise TooFast('too large steps')
        return peak(0.1)(lr, seed)

    trained.valid = valid
    bench.Bench('similar').cases([0, 1, 2])
    few = pd.read_csv(bench.OUT).query('arm == "head first" and per_class == "all"')
    assert {*few[few.lr == 0.1].seed} == {*few[few.lr == 0.03].seed} == {0, 1, 2}
    assert arms.at_best_rates(few).lr.unique().tolist() == [0.03]


@pytest.mark.slow
def test_no_two_parts_measure_the_same_under_two_names(trained):
    for part in 'cases', 'knob', 'classes', 'layers':
        getattr(bench.Bench('similar'), part)([0, 1, 2])
    assert len({*trained}) == len(trained) > 50


def test_classes_are_there_only_where_pictures_are_left(trained):
    bench.Bench('similar').classes([0])
    assert {n for _, n, _, _ in trained} == {2, 4, 10, 20, 40}  # 80 are all


def test_classes_take_the_rate_that_the_notebook_shows(trained):
    """All are equal, so the search stays where it begins; of equals the table shows the higher."""
    bench.Bench('similar').classes([0])
    table = Table(bench.OUT, ['arm', 'lr', 'per_class'])
    shown = arms.at_best_rates(table.rows(per_class=20)).groupby('arm').lr.first()
    assert shown['from scratch'] == '0.1' and table.rows(per_class=1).set_index('arm').lr.to_dict() == shown.to_dict()


def test_seconds_of_an_epoch(trained, monkeypatch):
    """Seven seconds come before the first epoch; of three epochs the first one sets something up, too."""
    monkeypatch.setattr(bench, 'time', types.SimpleNamespace(time=lambda: trained.now))
    bench.Bench('similar').seconds([0])
    table = Table(bench.SECONDS, ['arm', 'per_class']).rows(per_class='all').set_index('arm')
    assert {*table.index} == {*ARMS} and (table.once == 7).all()
    assert table.epoch_seconds.to_dict() == {name: 3 * (arm.cut != 'output') for name, arm in ARMS.items()}


# ---- How it is called -----------------------------------------------------------------------------------------------


def called(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['arms', *arguments])
    bench.main()


def test_every_part_that_is_offered_is_there(trained, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        called(monkeypatch, '--help')
    text = capsys.readouterr().out
    (offered,) = {line.split('{')[1].split('}')[0] for line in text.splitlines() if '{' in line and 'cases' in line}
    for part in offered.split(','):
        assert f'\n{part} ' in text
        called(monkeypatch, part, 'similar', '--seeds', '0', '1')
    assert {seed for _, _, _, seed in trained} == {0, 1}


def test_what_can_not_be_asked_for(trained, monkeypatch, capsys):
    for wrong in ['cases'], ['cases', 'kitchen'], ['all', 'similar'], ['cases', 'similar', '--seeds', 'x']:
        with pytest.raises(SystemExit) as end:
            called(monkeypatch, *wrong)
        assert end.value.code == 2 and 'usage' in capsys.readouterr().err
    assert 'seed is -1' in sentence(called, monkeypatch, 'cases', 'similar', '--seeds', '0', '-1')
    assert not trained
