"""How many wrong labels does the report of make classifier find? Some labels are made wrong on purpose.

python -m benchmarks.flipped [DATA] [--share 0.05]

Five seeds: each flips a share of the labels of train and valid, all are judged out of fold as the report does it, and
the least likely labels come first. Writes benchmarks/flipped.csv; what was measured stays.
"""

import argparse
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

OUT = Path(__file__).resolve().with_name('flipped.csv')
SEEDS, FIRST = range(5), 0.08


def flipped(dataset, share, seed):
    """(the dataset with a share of the labels of train and valid changed to another class, the paths of those)."""
    rng = onp.random.default_rng(seed)
    known = [*dataset.train, *dataset.valid]
    wrong = {known[i][0] for i in rng.choice(len(known), round(share * len(known)), replace=False)}

    def changed(pictures):
        moves = rng.integers(1, len(dataset.classes), len(pictures))
        labels = [(i + move) % len(dataset.classes) for (_, i), move in zip(pictures, moves)]
        pairs = [(path, int(k) if path in wrong else i) for (path, i), k in zip(pictures, labels)]
        return Pictures(pairs, dataset.classes)

    return dataset._replace(train=changed(dataset.train), valid=changed(dataset.valid)), wrong


def found(features, net, dataset, share, seed):
    """{what: value} of one seed."""
    changed, wrong = flipped(dataset, share, seed)
    task = Task(changed)
    _, above = frozen.cut(net, 'output')
    table = frozen.fit(features, above, task.for_fit(), features.px)
    log_p = classifier.out_of_fold(features, task.known, table.C[table.valid.argmax()])
    labels = frozen.labels_of(task.known)
    is_wrong = onp.array([path in wrong for path, _ in task.known])
    order = onp.argsort(log_p[onp.arange(len(labels)), labels], kind='stable')
    first = order[: round(FIRST * len(order))]
    shown = classifier.probably_wrong(log_p, labels)
    return {
        'of the first 8 %': is_wrong[first].sum() / is_wrong.sum(),
        'shown': len(shown),
        'of those shown': is_wrong[shown].sum() / is_wrong.sum(),
        'right of the first 24': is_wrong[shown[:24]].mean(),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', nargs='?', default='kitchen')
    parser.add_argument('--share', type=float, default=0.05)
    args = parser.parse_args()
    dataset = utils.find_data(args.data)
    same = {'source': SOURCE, 'share': args.share, **data_facts(args.data, dataset)}
    net = frozen.with_head(utils.pretrained(SOURCE), dataset.classes)
    features = Features(frozen.cut(net, 'output')[0], Task(dataset), NETWORKS[SOURCE].usual_px)
    table = Table(OUT, ['seed', *same])
    for seed in SEEDS:
        table.measure({'seed': seed, **same}, lambda seed=seed: found(features, net, dataset, args.share, seed))
    print(table.rows(**same).mean(numeric_only=True).round(3).to_string())


if __name__ == '__main__':
    main()
