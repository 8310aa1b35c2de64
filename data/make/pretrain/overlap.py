"""List the pictures that look like one of the photographs we measure on, so that none of them is trained on.

    python data/make/pretrain/overlap.py --pictures FOLDER... --against FOLDER... --out near.txt

Every picture and its mirror image get a 64-bit perceptual hash (pHash: which of the 8 x 8 lowest frequencies
of a 32 x 32 grey thumbnail lie above their median; Zauner, "Implementation and benchmarking of perceptual
image hash functions", 2010). Two hashes that differ in at most 6 bits are taken for the same photograph.
Rescaled, recompressed and mirrored copies are found; a tight crop of a photograph is not.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.fft import dctn
from tqdm import tqdm

DISTANCE = 6  # bits
ENDINGS = {'.jpg', '.jpeg', '.png', '.webp', '.bmp'}


def find_pictures(folders):
    """Paths of the pictures in `folders` and below, sorted; ValueError if a folder is missing or has none."""
    paths = []
    for folder in map(Path, folders):
        found = sorted(p for p in folder.rglob('*') if p.suffix.lower() in ENDINGS and p.is_file())
        if not found:
            raise ValueError(f'No picture in {folder}: give a folder with .jpg, .png, .webp or .bmp files.')
        paths += found
    return paths


def thumbnail(path):
    """Grey thumbnail, uint8 [32, 32]; OSError or ValueError if the file can't be read as a picture."""
    with Image.open(path) as image:
        image.draft('L', (64, 64))  # decodes a JPEG at a fraction of its size: faster, (nearly) the same hash
        return np.asarray(image.convert('L').resize((32, 32), Image.Resampling.LANCZOS))


def phash(thumbnails):
    """Perceptual hashes, uint64 [n], of uint8 [n, 32, 32] (Zauner 2010, as in the package imagehash)."""
    low = dctn(thumbnails.astype('float32'), axes=(1, 2))[:, :8, :8].reshape(-1, 64)
    bits = low > np.median(low, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view('>u8').astype('uint64').ravel()


def hash_pictures(paths):
    """(readable paths, hashes [n], mirror images' hashes [n]); unreadable files are counted and left out."""
    readable, thumbnails = [], []
    for path in tqdm(paths, unit='picture', smoothing=0.05):
        try:
            thumbnails.append(thumbnail(path))
            readable.append(path)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # all that Pillow raises
            continue
    print(f'{len(readable)} pictures, {len(paths) - len(readable)} unreadable', file=sys.stderr)
    thumbnails = np.array(thumbnails, dtype='uint8').reshape(-1, 32, 32)
    return readable, phash(thumbnails), phash(thumbnails[:, :, ::-1])


def nearest(hashes, others, chunk=1024):
    """Hamming distance [n] from each hash to the closest of `others`, and that one's index [n]."""
    distances, indices = [], []
    for start in range(0, len(hashes), chunk):
        bits = np.bitwise_count(hashes[start : start + chunk, None] ^ others)
        indices.append(bits.argmin(1))
        distances.append(bits.min(1))
    return np.concatenate(distances), np.concatenate(indices)


def overlapping(pictures, against):
    """Lines 'distance, picture, the photograph it is near', tab-separated, for two lists of folders."""
    names, hashes, mirrored = hash_pictures(find_pictures(pictures))
    other_names, others, _ = hash_pictures(find_pictures(against))
    if not names or not other_names:
        raise ValueError('None of the files could be read as a picture: check --pictures and --against.')
    plain, mirror = nearest(hashes, others), nearest(mirrored, others)
    distance = np.minimum(plain[0], mirror[0])
    index = np.where(plain[0] <= mirror[0], plain[1], mirror[1])
    near = np.flatnonzero(distance <= DISTANCE)
    return [f'{distance[i]}\t{names[i]}\t{other_names[index[i]]}' for i in near]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--pictures', nargs='+', required=True, metavar='FOLDER', help='to train on')
    parser.add_argument('--against', nargs='+', required=True, metavar='FOLDER', help='to keep out')
    parser.add_argument('--out', required=True, metavar='FILE', help='the list is written here (a new file)')
    args = parser.parse_args()
    if Path(args.out).exists():
        sys.exit(f'{args.out} exists already: give --out a new name, or remove it first.')
    if not Path(args.out).parent.is_dir():
        sys.exit(f'There is no folder {Path(args.out).parent}: make it first, or give another --out.')
    try:
        lines = overlapping(args.pictures, args.against)
        Path(args.out).write_text(''.join(f'{line}\n' for line in lines), encoding='utf-8')
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print(*lines, sep='\n')


if __name__ == '__main__':
    main()
