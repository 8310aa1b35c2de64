"""Choose the shipped set from a rendered pool: python choose.py POOL data/kitchen --drop bad.txt

Half hot dogs in each split, kinds as even as the pool allows, the given share of the others hard; pictures
whose colours alone give the class away are left out first. Copies pictures to
OUT/{train,valid,test}/{hotdog,not-hotdog}/, named by their content, and writes OUT.csv.
"""

import argparse
import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.model_selection import cross_val_predict

from shortcuts import CLASSIFIER, FOLDS, color_histogram

MAX_BYTES = 22_000  # of a picture, so that 1,600 take less than 22 MB
SPLITS = {'train': 6, 'valid': 4, 'test': 6}  # parts of the whole
COLUMNS = ['file', 'split', 'class', 'kind', 'hard', 'seed', 'visible', 'subject', 'sha256']


def read_pool(pool, drop, without):
    """Lines of pictures.jsonl as dictionaries, but for the numbers in the text file drop, the kinds in without
    and the largest files.
    """
    bad = {int(word) for word in drop.read_text().split()} if drop else set()
    lines = [json.loads(line) for line in (pool / 'pictures.jsonl').read_text().splitlines()]
    latest = {line['number']: line for line in lines}.values()
    small = [line for line in latest if (pool / line['file']).stat().st_size <= MAX_BYTES]
    return [line for line in small if line['number'] not in bad and line['kind'] not in without]


def shares(counts, total):
    """How many of each kind to take, as even as counts {kind: available} allow, total in all."""
    take = dict.fromkeys(sorted(counts), 0)
    for _ in range(total):
        kind = min((k for k in take if take[k] < counts[k]), key=take.get, default=None)
        if kind is None:
            sys.exit(f'The pool has only {sum(counts.values())} of the {total} pictures wanted; render more.')
        take[kind] += 1
    return take


def choose(entries, total, rng):
    """`total` entries, kinds even, in an order that keeps the kinds even in every run of it."""
    groups = {}
    for entry in entries:
        groups.setdefault(entry['kind'], []).append(entry)
    take, ranked = shares({kind: len(group) for kind, group in groups.items()}, total), []
    for kind, n in take.items():
        chosen = rng.permutation(len(groups[kind]))[:n]
        ranked += [((rank + rng.random()) / n, groups[kind][i]) for rank, i in enumerate(chosen)]
    return [entry for _, entry in sorted(ranked, key=lambda pair: pair[0])]


def without_giveaways(entries, pool, share):
    """Without that share of each class whose colours give it away most, as told by a linear classifier that
    did not see the picture.
    """
    hotdog = np.array([entry['class'] == 'hotdog' for entry in entries])
    colors = [color_histogram(Image.open(pool / entry['file']).convert('RGB'), None) for entry in entries]
    score = cross_val_predict(CLASSIFIER, colors, hotdog, cv=FOLDS, method='decision_function')
    sure = np.where(hotdog, score, -score)
    limit = {label: np.quantile(sure[hotdog == label], 1 - share) for label in (True, False)}
    return [entry for entry, s, label in zip(entries, sure, hotdog) if s <= limit[label]]


def balanced(entries, total, hard_share, rng):
    """[hot dogs, hard others, other others], `total` in all, half of them hot dogs; see `choose`."""
    hard = round(total / 2 * hard_share)
    groups = [
        [e for e in entries if e['class'] == 'hotdog'],
        [e for e in entries if e['class'] != 'hotdog' and e['hard']],
        [e for e in entries if e['class'] != 'hotdog' and not e['hard']],
    ]
    return [choose(group, n, rng) for group, n in zip(groups, (total // 2, hard, total // 2 - hard))]


def select(entries, pictures, hard_share, test_from):
    """[(split, entry)] of `pictures` entries; those for testing have numbers of at least test_from."""
    rng, total = np.random.default_rng(0), sum(SPLITS.values())
    unseen = [entry for entry in entries if entry['number'] >= test_from]
    groups = balanced(unseen, pictures * SPLITS['test'] // total, hard_share, rng)
    out = [('test', entry) for group in groups for entry in group]
    tested = {entry['number'] for _, entry in out}
    rest = [entry for entry in entries if entry['number'] not in tested]
    for group in balanced(rest, pictures - len(out), hard_share, rng):
        cut = round(len(group) * SPLITS['train'] / (SPLITS['train'] + SPLITS['valid']))
        out += [('train', entry) for entry in group[:cut]] + [('valid', entry) for entry in group[cut:]]
    return out


def export(pool, out, chosen):
    """Copy the pictures, write the table; OUT must not have pictures yet."""
    if any(out.rglob('*.jpg')):
        sys.exit(f'{out} has pictures already. Move them away first: nothing is overwritten.')
    rows = []
    for split, entry in chosen:
        path = Path(split, entry['class'], entry['sha256'][:12] + '.jpg')
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pool / entry['file'], out / path)
        rows.append(
            {**entry, 'file': path.as_posix(), 'split': split, 'seed': entry['number'], 'hard': int(entry['hard'])}
        )
    with out.with_suffix('.csv').open('w', newline='') as f:
        writer = csv.DictWriter(f, COLUMNS, extrasaction='ignore', lineterminator='\n')
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: row['file']))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('pool', type=Path, help='folder that run.py wrote')
    parser.add_argument('out', type=Path, help='data/kitchen')
    parser.add_argument('--pictures', type=int, default=1600, help='how many in all')
    parser.add_argument('--hard-share', type=float, default=0.1, help='of the others; at most a third')
    parser.add_argument('--without', nargs='*', default=[], metavar='KIND', help='kinds to leave out')
    parser.add_argument('--giveaways', type=float, default=0.16, help='share left out for its colours')
    parser.add_argument('--test-from', type=int, default=0, help='lowest number of a test picture')
    parser.add_argument('--drop', type=Path, help='text file of numbers to leave out, from the blind check')
    args = parser.parse_args()
    if not 0 <= args.hard_share <= 1 / 3:
        parser.error('--hard-share is between 0 and 1/3')
    entries = without_giveaways(read_pool(args.pool, args.drop, args.without), args.pool, args.giveaways)
    export(args.pool, args.out, select(entries, args.pictures, args.hard_share, args.test_from))


if __name__ == '__main__':
    main()
