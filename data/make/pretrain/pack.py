"""Pack folders of pictures into one array, uint8 [n, PX, PX, 3], so that training never waits for a JPEG.

python data/make/pretrain/pack.py OUT.npy PX FOLDER... [--near near.txt] [--without WORD...] [--samples SAMPLES]

Each picture is scaled to PX on its short side and cut to the middle square. Left out are those that near.txt (of
overlap.py) lists, those with a WORD or the hot dog in their path, those smaller than three quarters of PX, and copies.
With --samples, the folders below FOLDER are ImageNet classes like n01443537, and OUT-labels.npy gets their numbers;
SAMPLES has one picture of each of the 1000 classes, named n01440764_tench.JPEG and so on: that is where the numbers are
from.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

ENDINGS = {'.jpg', '.jpeg', '.png', '.webp'}
HOT_DOG = ['n07697537', 'hotdog', 'hot_dog', 'hot-dog', 'hot dog']


def square(path, px):
    """The middle of the picture at `path`, uint8 [px, px, 3]; None if it can't be read or is much too small."""
    try:
        image = Image.open(path)
        image.draft('RGB', (px, px))
        image = image.convert('RGB')
    except OSError:
        return None
    short = min(image.size)
    if short < px * 3 / 4:
        return None
    left, top = (image.width - short) // 2, (image.height - short) // 2
    return np.asarray(image.resize((px, px), Image.LANCZOS, (left, top, left + short, top + short)))


def find_pictures(folders, near, words):
    """Paths of the pictures in `folders`, sorted, without those in `near`, with a word, or the same as another."""
    paths = [p for folder in folders for p in sorted(folder.rglob('*')) if p.suffix.lower() in ENDINGS]
    paths = [p for p in paths if str(p) not in near and not any(word in str(p).lower() for word in words)]
    return list({hashlib.md5(p.read_bytes()).digest(): p for p in reversed(paths)}.values())[::-1]


def imagenet_numbers(samples):
    """{'n01440764': 0, ...}: ImageNet numbers its classes in the order of their WordNet names."""
    names = sorted({path.name.split('_')[0] for path in samples.glob('n*.JPEG')})
    if len(names) != 1000:
        raise SystemExit(f"{samples} has pictures of {len(names)} classes; it takes one of each of ImageNet's 1000.")
    return {name: i for i, name in enumerate(names)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', type=Path)
    parser.add_argument('px', type=int)
    parser.add_argument('folders', type=Path, nargs='+')
    parser.add_argument('--near', type=Path)
    parser.add_argument('--without', nargs='*', default=[])
    parser.add_argument('--samples', type=Path)
    args = parser.parse_args()
    near = {line.split('\t')[1] for line in args.near.read_text().splitlines()} if args.near else set()
    paths = find_pictures(args.folders, near, HOT_DOG + args.without)
    if args.samples:
        number = imagenet_numbers(args.samples)
    squares = [(path, square(path, args.px)) for path in tqdm(paths, unit=' pictures')]
    kept = [(path, image) for path, image in squares if image is not None]
    np.save(args.out, np.stack([image for _, image in kept]))
    print(f"{len(kept)} pictures packed; {len(paths) - len(kept)} can't be read or are too small")
    if args.samples:
        classes = [next(part for part in path.parts if part in number) for path, _ in kept]
        np.save(args.out.with_name(args.out.stem + '-labels.npy'), np.array([number[name] for name in classes]))


if __name__ == '__main__':
    main()
