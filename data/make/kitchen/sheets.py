"""Contact sheets to look at: python sheets.py POOL OUT (POOL: a folder that run.py wrote)

The pictures are shuffled and numbered by place, without labels: OUT/sheet_00.png, ...; OUT/key.csv says
what each was. Call them by eye, write one line "place,hotdog" or "place,not-hotdog" for each to
calls.csv, then python sheets.py POOL OUT --score calls.csv prints how many were right, and writes the
wrong ones to OUT/drop.txt.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def sheet(paths, first, columns=8, size=160):
    """One image of the pictures, each with its place."""
    rows = -(-len(paths) // columns)
    out = Image.new('RGB', (columns * size, rows * size))
    draw = ImageDraw.Draw(out)
    for i, path in enumerate(paths):
        corner = (i % columns * size, i // columns * size)
        with Image.open(path) as image:
            out.paste(image.convert('RGB').resize((size, size), Image.LANCZOS), corner)
        draw.text((corner[0] + 3, corner[1] + 2), str(first + i), 'white', stroke_width=2, stroke_fill='black')
    return out


def make(pool, out, per_sheet, columns, size, seed=0):
    """Write the sheets and their key."""
    lines = [json.loads(line) for line in (pool / 'pictures.jsonl').read_text().splitlines()]
    order = np.random.default_rng(seed).permutation(len(lines))
    out.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(order), per_sheet):
        paths = [pool / lines[i]['file'] for i in order[first : first + per_sheet]]
        sheet(paths, first, columns, size).save(out / f'sheet_{first // per_sheet:02d}.png')
    with (out / 'key.csv').open('w', newline='') as f:
        csv.writer(f).writerows(
            [place, lines[i]['number'], lines[i]['class'], lines[i]['kind']] for place, i in enumerate(order)
        )


def score(out, calls):
    """Compare calls with the key; print and write down what was wrong."""
    key = {int(row[0]): row[1:] for row in csv.reader((out / 'key.csv').open())}
    called = {int(row[0]): row[1].strip() for row in csv.reader(calls.open()) if row}
    wrong = [place for place, call in called.items() if call != key[place][1]]
    right = len(called) - len(wrong)
    print(f'{right} of {len(called)} right ({right / len(called):.3f}); {len(key) - len(called)} not called')
    for place in sorted(wrong):
        print(place, *key[place])
    (out / 'drop.txt').write_text(''.join(f'{key[place][0]}\n' for place in sorted(wrong)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('pool', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--score', type=Path, metavar='CALLS')
    parser.add_argument('--per-sheet', type=int, default=64)
    parser.add_argument('--columns', type=int, default=8)
    parser.add_argument('--size', type=int, default=160)
    args = parser.parse_args()
    score(args.out, args.score) if args.score else make(args.pool, args.out, args.per_sheet, args.columns, args.size)


if __name__ == '__main__':
    main()
