"""The pictures in the box: what the table says of them is so, and no simple classifier sees through them."""

import collections
import csv
import hashlib

import pytest

import utils
from data.make.kitchen import shortcuts
from files import ROOT
from folders import SPLITS

KITCHEN = ROOT / 'data' / 'kitchen'

with KITCHEN.with_suffix('.csv').open() as file:
    ROWS = list(csv.DictReader(file))


def test_the_table_lists_every_picture_with_its_checksum():
    assert {row['file'] for row in ROWS} == {p.relative_to(KITCHEN).as_posix() for p in KITCHEN.rglob('*.jpg')}
    for row in ROWS:
        assert hashlib.sha256((KITCHEN / row['file']).read_bytes()).hexdigest() == row['sha256']
    assert len({row['sha256'] for row in ROWS}) == len(ROWS)


def test_half_of_each_split_are_hot_dogs():
    counts = collections.Counter((row['split'], row['class']) for row in ROWS)
    for split in SPLITS:
        assert counts[split, 'hotdog'] == counts[split, 'not-hotdog'] > 0


def test_the_lesson_finds_all_of_them():
    data = utils.find_data('kitchen')
    assert data.classes == ['hotdog', 'not-hotdog']
    assert sum(len(split) for split in data[1:]) == len(ROWS)


def test_labels_are_honest():
    assert all(float(row['subject']) >= 0.12 for row in ROWS)
    assert all(float(row['visible']) >= 0.25 for row in ROWS if row['class'] == 'hotdog')


def test_others_are_of_many_kinds_and_few_of_them_are_hard():
    others = [row for row in ROWS if row['class'] == 'not-hotdog']
    assert len({row['kind'] for row in others}) >= 20
    assert sum(row['hard'] == '1' for row in others) <= len(others) / 3


@pytest.mark.slow
def test_no_shortcut():
    paths = sorted(KITCHEN.rglob('*.jpg'))
    scores = shortcuts.scores(paths, [path.parent.name for path in paths])
    assert all(score <= 0.65 for score in scores.values()), scores


def test_all_in_all_they_are_small():
    assert sum(p.stat().st_size for p in KITCHEN.rglob('*')) < 22e6
