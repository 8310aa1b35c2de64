"""What do 8-bit integers cost and save in the frozen part? The features of the test pictures, in float32 and in 8-bit integers.

python benchmarks/int8.py [DATA] [--px 224]

Prints how many times as fast the frozen part is (picture files are read before), the mean cosine of the features, and for how
many pictures a softmax layer that was trained on float32 features predicts the same. Nothing else should run meanwhile.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import numpy as onp
from mxnet import npx
from sklearn.metrics.pairwise import paired_cosine_distances

import frozen
import utils

HEAD_LR, NUM_EPOCHS, BATCH = 0.01, 20, 32


def run(below, X):
    """(features of the pictures X [n, 3, px, px], seconds), after one batch that is not timed."""
    parts = onp.array_split(X, len(X) // BATCH)
    frozen.run(below, parts[0]).asnumpy()
    started = time.time()
    outputs = [frozen.run(below, part) for part in parts]
    npx.waitall()
    seconds = time.time() - started
    return onp.concatenate([output.asnumpy() for output in outputs]), seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', nargs='?', default='kitchen')
    parser.add_argument('--px', type=int, default=128)
    args = parser.parse_args()
    dataset = utils.find_data(args.data)
    utils.seed_everything(0)
    below, head = frozen.cut(utils.with_new_head(utils.pretrained(), dataset.classes), 'output')
    utils.train(
        head,
        frozen.batches(below, dataset.train, args.px, BATCH, shuffle=True),
        frozen.batches(below, dataset.valid, args.px, BATCH),
        NUM_EPOCHS,
        HEAD_LR,
    )
    X = frozen.reader(below, dataset.test, args.px)(range(len(dataset.test)))
    A, exact = run(below, X)
    B, fast = run(frozen.int8(below, dataset.train, args.px), X)
    cosine = 1 - paired_cosine_distances(A, B).mean()
    one, two = (
        utils.predictions(head, frozen.Batches(lambda rows, Y=Y: Y[rows], [i for _, i in dataset.test], BATCH))
        for Y in (A, B)
    )
    same = (one[0].argmax(1) == two[0].argmax(1)).mean()
    print(
        f'{len(X)} pictures of {args.px} px: {exact / fast:.2f} times as fast, mean cosine {cosine:.4f}, '
        f'same prediction {same:.4f}, accuracy {utils.accuracy(*one):.4f} and {utils.accuracy(*two):.4f}'
    )


if __name__ == '__main__':
    main()
