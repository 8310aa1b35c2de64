"""Choose the shipped set from a rendered pool: python choose.py POOL data/kitchen --drop bad.txt

Half hot dogs in each split, kinds as even as the pool allows, the given share of the others hard. Copies
pictures to OUT/{train,valid,test}/{hotdog,not-hotdog}/, named by their content, and writes
OUT/kitchen.csv.
"""

import argparse
import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np

SPLITS = {"train": 6, "valid": 4, "test": 6}  # parts of the whole
COLUMNS = ["file", "split", "class", "kind", "hard", "seed", "visible", "subject", "sha256"]


def read_pool(pool, drop):
    """Lines of pictures.jsonl as dictionaries, without the numbers in the text file drop."""
    bad = {int(word) for word in drop.read_text().split()} if drop else set()
    lines = [json.loads(line) for line in (pool / "pictures.jsonl").read_text().splitlines()]
    return [line for line in {line["number"]: line for line in lines}.values() if line["number"] not in bad]


def shares(counts, total):
    """How many of each kind to take, as even as counts {kind: available} allow, total in all."""
    take = dict.fromkeys(sorted(counts), 0)
    for _ in range(total):
        kind = min((k for k in take if take[k] < counts[k]), key=take.get, default=None)
        if kind is None:
            sys.exit(f"The pool has only {sum(counts.values())} of the {total} pictures wanted; render more.")
        take[kind] += 1
    return take


def choose(entries, total, rng):
    """`total` entries, kinds even, in an order that keeps the kinds even in every run of it."""
    groups = {}
    for entry in entries:
        groups.setdefault(entry["kind"], []).append(entry)
    take, ranked = shares({kind: len(group) for kind, group in groups.items()}, total), []
    for kind, n in take.items():
        chosen = rng.permutation(len(groups[kind]))[:n]
        ranked += [((rank + rng.random()) / n, groups[kind][i]) for rank, i in enumerate(chosen)]
    return [entry for _, entry in sorted(ranked, key=lambda pair: pair[0])]


def select(entries, pictures, hard_share, seed=0):
    """[(split, entry)] of `pictures` entries for all splits."""
    rng, total = np.random.default_rng(seed), pictures // 2
    hard = round(total * hard_share)
    groups = [
        [e for e in entries if e["class"] == "hotdog"],
        [e for e in entries if e["class"] != "hotdog" and e["hard"]],
        [e for e in entries if e["class"] != "hotdog" and not e["hard"]],
    ]
    out = []
    for group, count in zip(groups, (total, hard, total - hard)):
        chosen, edges = choose(group, count, rng), np.cumsum([0, *SPLITS.values()]) / sum(SPLITS.values())
        cuts = np.round(edges * count).astype(int)
        for split, a, b in zip(SPLITS, cuts, cuts[1:]):
            out += [(split, entry) for entry in chosen[a:b]]
    return out


def export(pool, out, chosen):
    """Copy the pictures, write the table; OUT must not have pictures yet."""
    if any(out.rglob("*.jpg")):
        sys.exit(f"{out} has pictures already. Move them away first: nothing is overwritten.")
    rows = []
    for split, entry in chosen:
        path = Path(split, entry["class"], entry["sha256"][:12] + ".jpg")
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pool / entry["file"], out / path)
        rows.append(
            {
                **entry,
                "file": path.as_posix(),
                "split": split,
                "seed": entry["number"],
                "hard": int(entry["hard"]),
            }
        )
    with (out / "kitchen.csv").open("w", newline="") as f:
        writer = csv.DictWriter(f, COLUMNS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: row["file"]))


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pool", type=Path, help="folder that run.py wrote")
    parser.add_argument("out", type=Path, help="data/kitchen")
    parser.add_argument("--pictures", type=int, default=1600, help="how many in all")
    parser.add_argument("--hard-share", type=float, default=0.25, help="of the others; at most a third")
    parser.add_argument("--drop", type=Path, help="text file of numbers to leave out, from the blind check")
    args = parser.parse_args()
    if not 0 <= args.hard_share <= 1 / 3:
        parser.error("--hard-share is between 0 and 1/3")
    export(args.pool, args.out, select(read_pool(args.pool, args.drop), args.pictures, args.hard_share))


if __name__ == "__main__":
    main()
