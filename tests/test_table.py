"""The table of what was measured: it goes on where it was, and takes nothing for what it is not."""

import shutil
import subprocess
import sys

import pandas as pd
import pytest
from helpers import contents, fill, sentence

import benchmarks.facts
import utils
from benchmarks.facts import data_facts, processor
from benchmarks.table import Table
from files import ROOT

ADD = """
import sys
from pathlib import Path
from benchmarks.table import Table
table = Table(Path(sys.argv[1]), ['who', 'i'])
for i in range(40):
    table.measure({'who': sys.argv[2], 'i': i}, lambda: {'valid': 1})
"""


def interrupted(*args, **options):
    raise KeyboardInterrupt


def must_not_run(*args, **options):
    raise AssertionError('It was measured before.')


def test_what_is_there_is_not_measured_again(tmp_path, capsys):
    path = tmp_path / 'deeper' / 'table.csv'
    table = Table(path, ['lr', 'seed'])
    assert table.measure({'lr': 0.00003, 'seed': 0}, lambda: {'valid': 0.25}).valid == 0.25
    assert capsys.readouterr().out == 'lr 3e-05, seed 0, valid 0.25\n'
    again = Table(path, ['lr', 'seed']).measure({'lr': 3e-5, 'seed': 0}, must_not_run)
    assert again.valid == 0.25 and again.processor == processor() != ''
    assert pd.read_csv(path, dtype=str).to_dict('records') == [
        {'lr': '3e-05', 'seed': '0', 'valid': '0.25', 'processor': processor()}
    ]


@pytest.mark.parametrize(
    'flags, name', [('fma avx2', 'AMD EPYC, AVX2'), ('avx2 avx512f avx512_bf16', 'AMD EPYC, AVX2, AVX-512, bfloat16')]
)
def test_two_processors_with_one_name_are_two(flags, name, monkeypatch):
    monkeypatch.setattr(benchmarks.facts, 'cpuinfo', lambda: f'model name\t: AMD EPYC\nflags\t\t: {flags}\n')
    assert processor() == name and benchmarks.facts.has_bfloat16() == ('bf16' in flags)


@pytest.mark.parametrize(
    'other', [{'seed': 1}, {'px': 64}, {'lr': 0.3}, {'data': 'photos'}, {'content': 'b'}, {'scratch': True}]
)
def test_another_setting_is_another_row(other, tmp_path):
    setting = {'data': 'kitchen', 'content': 'a', 'px': 128, 'lr': 0.03, 'seed': 0, 'scratch': False}
    table = Table(tmp_path / 'table.csv', setting)
    table.measure(setting, lambda: {'valid': 0.5})
    assert table.measure(setting | other, lambda: {'valid': 0.75}).valid == 0.75
    assert table.measure(setting, must_not_run).valid == 0.5
    assert len(table.rows()) == 2 and len(table.rows(**setting)) == 1


def test_texts_that_look_like_numbers_or_nothing_are_told_apart(tmp_path):
    table = Table(tmp_path / 'table.csv', ['cut', 'px'])
    for i, cut in enumerate(['0', '00', 'stage4', 'nan', '', 'a, "b"\nc']):
        table.add([{'cut': cut, 'px': '', 'valid': i}])
    assert [table.rows(cut=cut).valid.item() for cut in ('0', '00', 'nan', '', 'a, "b"\nc')] == [0, 1, 3, 4, 5]


def test_what_is_measured_again_takes_the_place_of_what_was(tmp_path):
    table = Table(tmp_path / 'table.csv', ['seed'])
    table.add([{'seed': 0, 'valid': 0.5}, {'seed': 1, 'valid': 0.5}])
    table.add([{'seed': 1, 'valid': 0.12345678}])
    assert table.rows()[['seed', 'valid']].values.tolist() == [['0', 0.5], ['1', 0.1235]]


def test_ctrl_c_keeps_what_is_there(tmp_path, monkeypatch):
    table = Table(tmp_path / 'table.csv', ['seed'])
    table.measure({'seed': 0}, lambda: {'valid': 0.5})
    before = contents(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        table.measure({'seed': 1}, interrupted)
    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, 'to_csv', interrupted)  # in the middle of writing
        with pytest.raises(KeyboardInterrupt):
            table.measure({'seed': 1}, lambda: {'valid': 0.5})
    assert contents(tmp_path) == before
    assert table.measure({'seed': 1}, lambda: {'valid': 0.75}).valid == 0.75


@pytest.mark.slow
def test_two_processes_at_once_lose_no_row(tmp_path):
    commands = [[sys.executable, '-c', ADD, str(tmp_path / 'table.csv'), who] for who in 'ab']
    for process in [subprocess.Popen(command, cwd=ROOT) for command in commands]:
        assert process.wait() == 0
    found = pd.read_csv(tmp_path / 'table.csv').groupby('who').i.agg(['nunique', 'size'])
    assert found.values.tolist() == [[40, 40], [40, 40]]
    assert [path.name for path in tmp_path.iterdir()] == ['table.csv']


@pytest.mark.parametrize('text', ['network,lr,seed 0\nfine-tuned,0.1,0.9\n', '', 'a,b\n1,2\n1,2,3,4\n', '\xff\xfe\0'])
def test_a_file_that_is_no_such_table_is_left_alone(text, tmp_path):
    path = tmp_path / 'table.csv'
    path.write_text(text, encoding='latin1')
    before = contents(tmp_path)
    assert str(path) in sentence(Table(path, ['network', 'lr', 'seed']).measure, {'network': 'x'}, must_not_run)
    assert contents(tmp_path) == before


# ---- Data -----------------------------------------------------------------------------------------------------------


def facts(folder):
    return data_facts(folder, utils.find_data(folder))


def test_pictures_are_known_by_their_content(tmp_path, monkeypatch):
    folder = fill(tmp_path / 'a' / 'food', {'bun': 12, 'hotdog': 12})
    first = facts(folder)
    assert first['data'] == 'food'
    monkeypatch.chdir(folder)
    assert facts('.') == first
    assert facts(shutil.copytree(folder, tmp_path / 'b' / 'food')) == first


@pytest.mark.parametrize(
    'change',
    [
        lambda folder: fill(folder, {'bun': 12, 'hotdog': 11}, first=100),
        lambda folder: (folder / 'bun' / '0.png').write_bytes((folder / 'bun' / '1.png').read_bytes()),
        lambda folder: (folder / 'bun' / '0.png').rename(folder / 'bun' / '00.png'),
        lambda folder: (folder / 'bun').rename(folder / 'roll'),
    ],
)
def test_other_pictures_in_a_folder_of_the_same_name_are_others(change, tmp_path):
    folder = fill(tmp_path / 'food', {'bun': 12, 'hotdog': 12})
    first = facts(folder)
    change(folder)
    assert facts(folder)['data'] == first['data'] and facts(folder)['content'] != first['content']
