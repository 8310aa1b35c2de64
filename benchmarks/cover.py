"""The picture at the top of the README: what goes in, what comes out, and by how much.

python -m benchmarks.cover

Asks the network that `make lesson` saved about four valid pictures; the five seeds of benchmarks/difficulty.csv stand
beside it. Writes data/cover.jpg.
"""

import argparse

import pandas as pd
from matplotlib import pyplot as plt

import utils
from figures import COLORS
from files import BUILD, ROOT, whole
from pictures import centre_crop, open_picture

OUT = ROOT / 'data' / 'cover.jpg'
NETWORK = BUILD / 'net-kitchen.safetensors'
ROWS = [0, 60, 210, 250]  # of the valid pictures: two hot dogs, an other one, and one that it takes for a hot dog


def draw_answer(ax, net, picture):
    """A picture, and what the network says of it."""
    ((name, probability),) = utils.predict(net, picture, top=1).items()
    ax.imshow(centre_crop(open_picture(picture, 256), 256))
    ax.set_title(f'{name} {probability:.2f}')
    ax.axis('off')


def draw_accuracy(ax):
    """Test accuracy of the five seeds, fine-tuned and from scratch."""
    test = pd.read_csv(ROOT / 'benchmarks' / 'difficulty.csv').groupby('network').test.mean()
    bars = ax.barh(test.index, test, color=[COLORS[name] for name in test.index])
    ax.bar_label(bars, [f'{100 * value:.0f} of 100' for value in test], padding=-90, color='white')
    ax.set(xlim=(0, 1), xticks=[], title='test pictures called right')
    ax.invert_yaxis()


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    net, valid = utils.load(NETWORK), utils.find_data().valid
    fig, axes = plt.subplots(1, 5, figsize=(12, 2.4), dpi=100, width_ratios=[1, 1, 1, 1, 1.6], layout='constrained')
    for row, ax in zip(ROWS, axes):
        draw_answer(ax, net, valid[row][0])
    draw_accuracy(axes[-1])
    with whole(OUT) as partial:
        fig.savefig(partial, format='jpeg')


if __name__ == '__main__':
    main()
