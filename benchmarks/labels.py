"""What are pictures worth that nobody labelled? Twenty labelled ones a class, and what they say of the others.

python -m benchmarks.labels [DATA]

Five seeds: a head on Lite0's features is fitted to twenty pictures of train a class, out of fold; then also to those of
the others of which it is sure, at least 0.8 or 0.9, with what it calls them, as make label gives it; and to all of
train with their own labels. Each is judged on test. Writes benchmarks/labels.csv; what was measured stays.
"""

import argparse
import functools
import itertools
from pathlib import Path

import numpy as onp

import classifier
import frozen
import utils
from benchmarks.facts import data_facts
from benchmarks.table import Table
from classifier import SOURCE, Features, Task
from folders import Pictures
from sources import NETWORKS

OUT = Path(__file__).resolve().with_name('labels.csv')
SEEDS, LABELLED, SURE = range(5), 20, (0.8, 0.9)


def labelled_and_not(dataset, seed):
    """Train in two lists: twenty pictures a class, and the others."""
    order = onp.random.default_rng(seed).permutation(len(dataset.train))
    by_class = {i: [k for k in order if dataset.train[k][1] == i] for i in range(len(dataset.classes))}
    chosen = {k for rows in by_class.values() for k in rows[:LABELLED]}
    parts = [k for k in order if k in chosen], [k for k in order if k not in chosen]
    return [classifier.part(dataset.train, rows) for rows in parts]


def head(features, net, pictures, dataset):
    """(the part above the cut, fitted to pictures; C). It is always the same part: the next fit moves it."""
    _, above = frozen.cut(net, 'output')
    table = frozen.fit(features, above, dataset._replace(train=pictures, valid=[]), features.px)
    return above, table.C[table.valid.argmax()]


def right(features, net, pictures, dataset):
    """The share of test that is right after a fit to pictures."""
    above, _ = head(features, net, pictures, dataset)
    log_p = classifier.log_probabilities(above, features, dataset.test)
    return utils.accuracy(log_p, frozen.labels_of(dataset.test))


def called(features, net, few, others, dataset):
    """The logarithms of probabilities [n, c] of the others, by a head fitted to few, with its temperature."""
    above, C = head(features, net, few, dataset)
    T = classifier.temperature(classifier.out_of_fold(features, few, C), frozen.labels_of(few))
    return classifier.softened(classifier.log_probabilities(above, features, others), T)


def three(features, net, dataset, at_least, seed):
    """{what: value} of one seed."""
    few, others = labelled_and_not(dataset, seed)
    log_p = called(features, net, few, others, dataset)
    sure = onp.flatnonzero(onp.exp(log_p.max(1)) >= at_least)
    pseudo = [(others[i][0], int(log_p[i].argmax())) for i in sure]
    return {
        'twenty a class': right(features, net, few, dataset),
        'and the sure ones': right(features, net, Pictures([*few, *pseudo], dataset.classes), dataset),
        'all labelled': right(features, net, dataset.train, dataset),
        'sure': len(sure) / len(others),
        'of these right': (log_p.argmax(1) == frozen.labels_of(others))[sure].mean() if len(sure) else None,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', nargs='?', default='kitchen')
    args = parser.parse_args()
    dataset = utils.find_data(args.data)
    same = {'source': SOURCE, 'labelled': LABELLED, **data_facts(args.data, dataset)}
    net = frozen.with_head(utils.pretrained(SOURCE), dataset.classes)
    features = Features(frozen.cut(net, 'output')[0], Task(dataset), NETWORKS[SOURCE].usual_px)
    table = Table(OUT, ['at_least', 'seed', *same])
    for at_least, seed in itertools.product(SURE, SEEDS):
        setting = {'at_least': at_least, 'seed': seed, **same}
        table.measure(setting, functools.partial(three, features, net, dataset, at_least, seed))
    print(table.rows(**same).groupby('at_least').mean(numeric_only=True).round(3).T.to_string())


if __name__ == '__main__':
    main()
