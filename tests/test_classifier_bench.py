"""The benchmarks of labels: which are made wrong, which are hidden."""

import collections

import numpy as onp
import pytest

from benchmarks import flipped, labels
from folders import Dataset, Pictures

CLASSES = ['a', 'b', 'c']


@pytest.fixture
def dataset():
    """90, 60 and 30 pictures of train, valid and test, of three classes in turn; they only have names."""
    splits = {'train': 90, 'valid': 60, 'test': 30}
    named = {s: Pictures([(f'{s} {i}', i % 3) for i in range(n)], CLASSES) for s, n in splits.items()}
    return Dataset(CLASSES, **named)


@pytest.mark.parametrize('seed', range(3))
def test_so_many_labels_become_another_class_and_test_stays(dataset, seed):
    changed, wrong = flipped.flipped(dataset, 0.1, seed)
    assert len(wrong) == 15 and changed.test == dataset.test
    for split in 'train', 'valid':
        for (path, before), (same_path, after) in zip(dataset[split], changed[split], strict=True):
            assert path == same_path and (before != after) == (path in wrong) and after in range(3)
    assert flipped.flipped(dataset, 0.1, seed)[1] == wrong != flipped.flipped(dataset, 0.1, seed + 1)[1]


def test_twenty_a_class_are_labelled_and_the_others_are_not(dataset):
    few, others = labels.labelled_and_not(dataset, 0)
    assert collections.Counter(i for _, i in few) == {0: 20, 1: 20, 2: 20} and len(others) == 30
    assert sorted([*few, *others]) == sorted(dataset.train) and few.classes == CLASSES
    again, _ = labels.labelled_and_not(dataset, 1)
    assert {*again} != {*few} and onp.mean([picture in few for picture in again]) < 0.9
