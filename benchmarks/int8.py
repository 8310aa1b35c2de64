"""What do 8-bit integers cost and save in the frozen part? The features of the test pictures, in float32 and in 8 bits.

python -m benchmarks.int8 [DATA] [--px 224]

Prints how many times as fast the frozen part is (picture files are read before), the mean cosine of the features, and
for how many pictures a softmax layer that was trained on float32 features predicts the same. Nothing else should run
meanwhile.
"""

import argparse
import time

import mended_mxnet

import numpy as onp
from mxnet import npx
from sklearn.metrics.pairwise import paired_cosine_distances

import frozen
import utils

HEAD_LR, NUM_EPOCHS, BATCH = 0.01, 20, 32


def run(below, X):
    """(features of the pictures X [n, 3, px, px], seconds), after one batch that is not timed."""
    parts = onp.array_split(X, -(-len(X) // BATCH))
    below(parts[0]).asnumpy()
    started = time.time()
    outputs = [below(part) for part in parts]
    npx.waitall()
    seconds = time.time() - started
    return onp.concatenate([output.asnumpy() for output in outputs]), seconds


def trained_head(dataset, px):
    """(frozen part, softmax layer trained on what it gives)."""
    utils.seed_everything(0)
    below, head = frozen.cut(utils.with_new_head(utils.pretrained(), dataset.classes), 'output')
    train_iter = below.batches(dataset.train, px, BATCH, train=True)
    valid_iter = below.batches(dataset.valid, px, BATCH)
    utils.train(head, train_iter, valid_iter, NUM_EPOCHS, HEAD_LR)
    return below, head


def predictions(head, features, pictures):
    """What `head` predicts from the features [n, ...] of the pictures: see utils.predictions."""
    labels = [label for _, label in pictures]
    return utils.predictions(head, frozen.Batches(lambda rows: features[rows], labels, BATCH))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', nargs='?', default='kitchen')
    parser.add_argument('--px', type=int, default=128)
    args = parser.parse_args()
    dataset = utils.find_data(args.data)
    below, head = trained_head(dataset, args.px)
    X = below.pixels(dataset.test, args.px, 0, range(len(dataset.test)))
    A, exact = run(below, X)
    B, fast = run(frozen.int8(below, dataset.train, args.px), X)
    cosine = 1 - paired_cosine_distances(A, B).mean()
    one, two = predictions(head, A, dataset.test), predictions(head, B, dataset.test)
    same = (one[0].argmax(1) == two[0].argmax(1)).mean()
    print(
        f'{len(X)} pictures of {args.px} px: {exact / fast:.2f} times as fast, mean cosine {cosine:.4f}, '
        f'same prediction {same:.4f}, accuracy {utils.accuracy(*one):.4f} and {utils.accuracy(*two):.4f}'
    )


if __name__ == '__main__':
    main()
