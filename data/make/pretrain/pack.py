"""Pack folders of pictures into one array each, so that training never waits for a JPEG.

python pack.py OUT.npy PX FOLDER [--labels LABELS.npy --classes SAMPLES] [--leave-out LIST.txt]

FOLDER is searched for pictures; each is scaled to PX on its short side and cut to the centre square: uint8 [n, PX, PX, 3].
With --labels, the first folder below FOLDER must be an ImageNet class like n01443537, and LABELS.npy gets its number
among ImageNet's 1000, read from the file names of SAMPLES (one picture a class, n01440764_tench.JPEG and so on).
"""
import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

ENDINGS = {'.jpg', '.jpeg', '.png'}


def square(path, px):
    """The picture at `path` as uint8 [px, px, 3], or None if it can't be read or is smaller than px on a side."""
    try:
        image = Image.open(path)
        image.draft('RGB', (px, px))
        image = image.convert('RGB')
    except OSError:
        return None
    short = min(image.size)
    if short < px:
        return None
    left, top = (image.width - short) // 2, (image.height - short) // 2
    return np.asarray(image.resize((px, px), Image.BICUBIC, (left, top, left + short, top + short)))


def imagenet_numbers(samples):
    """{'n01440764': 0, ...}: ImageNet numbers its classes in the order of their WordNet names."""
    names = sorted({path.name.split('_')[0] for path in Path(samples).glob('n*.JPEG')})
    if len(names) != 1000:
        raise SystemExit(f'{samples} has pictures of {len(names)} classes; it takes one of each of ImageNet\'s 1000.')
    return {name: i for i, name in enumerate(names)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out')
    parser.add_argument('px', type=int)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--labels')
    parser.add_argument('--classes')
    parser.add_argument('--leave-out', type=Path, help='a file of paths, one a line')
    args = parser.parse_args()
    left_out = set(args.leave_out.read_text().splitlines()) if args.leave_out else set()
    paths = [p for p in sorted(args.folder.rglob('*')) if p.suffix.lower() in ENDINGS and str(p) not in left_out]
    packed = np.lib.format.open_memmap('/tmp/pack.npy', 'w+', 'u1', (len(paths), args.px, args.px, 3))
    kept = []
    for path in tqdm(paths, unit=' pictures'):
        image = square(path, args.px)
        if image is not None:
            packed[len(kept)] = image
            kept.append(path)
    np.save(args.out, packed[:len(kept)])
    print(f'{len(kept)} pictures packed, {len(paths) - len(kept)} left out (not readable, or smaller than {args.px} px)')
    if args.labels:
        number = imagenet_numbers(args.classes)
        np.save(args.labels, np.array([number[p.relative_to(args.folder).parts[0]] for p in kept]))


if __name__ == '__main__':
    main()
