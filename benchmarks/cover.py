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
ROWS = [0, 60, 250, 330]  # of the valid pictures: two hot dogs, two others


def draw_answer(picture, answer, above, below):
    """A valid picture, and what the network says of it: {class: probability}."""
    above.imshow(centre_crop(open_picture(picture, 256), 256))
    above.axis('off')
    names = sorted(answer)
    below.barh(names, [answer[name] for name in names], color=COLORS['fine-tuned'])
    below.set(xlim=(0, 1), xticks=[0, 1])
    below.invert_yaxis()


def draw_accuracy(ax):
    """Test accuracy of the five seeds, fine-tuned and from scratch."""
    test = pd.read_csv(ROOT / 'benchmarks' / 'difficulty.csv').groupby('network').test.mean()
    bars = ax.bar(test.index, test, color=[COLORS[name] for name in test.index])
    ax.bar_label(bars, [f'{100 * value:.0f} of 100' for value in test])
    ax.set(ylim=(0, 1), yticks=[], title='test pictures called right')
    ax.spines['left'].set_visible(False)


def main():
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    net, valid = utils.load(NETWORK), utils.find_data().valid
    fig = plt.figure(figsize=(12, 4), dpi=100, layout='constrained')
    axes = fig.subplot_mosaic([[*'abcd', 'e'], [*'fghi', 'e']], height_ratios=[3, 1], width_ratios=[1, 1, 1, 1, 2])
    for row, above, below in zip(ROWS, 'abcd', 'fghi'):
        draw_answer(valid[row][0], utils.predict(net, valid[row][0]), axes[above], axes[below])
    draw_accuracy(axes['e'])
    with whole(OUT) as partial:
        fig.savefig(partial, format='jpeg')


if __name__ == '__main__':
    main()
