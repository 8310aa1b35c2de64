"""One scale for all features, or one for each, before a head is fitted? And class averages beside them.

python -m benchmarks.scales [NETWORK]

On kitchen's frozen features at 128 px and the digits' at 32, with few pictures of each class and with more, five seeds:
the best accuracy on valid over the grid of C. Writes benchmarks/scales.csv; a run that is stopped goes on.
"""

import argparse
import functools
from pathlib import Path

import mended_mxnet

from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

import arms
import frozen
import utils
from benchmarks.facts import data_facts
from benchmarks.table import Table
from classifier import Features, Task

OUT = Path(__file__).resolve().with_name('scales.csv')
SEEDS, PER_CLASS = range(5), [5, 20, 100]
SCALES = {'one scale': frozen.OneScale, 'a scale for each': StandardScaler}


def best_on_valid(scale, train, valid):
    """The best accuracy over the grid of C."""
    models = [make_pipeline(scale(), LogisticRegression(C=C, max_iter=1000)) for C in frozen.STRENGTHS]
    return max(model.fit(*train).score(*valid) for model in tqdm(models, leave=False))


def row(features, dataset, per_class, seed):
    train, valid = (
        frozen.table_of(features, pictures, features.px)
        for pictures in (arms.some_of(dataset, per_class, seed).train, dataset.valid)
    )
    found = {name: best_on_valid(scale, train, valid) for name, scale in SCALES.items()}
    return found | {'class averages': NearestCentroid().fit(*train).score(*valid)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('network', nargs='?', default='resnet18_v2')
    network = parser.parse_args().network
    for likeness, px in arms.PX.items():
        dataset = utils.find_data() if likeness == 'similar' else arms.digits()
        below, _ = frozen.cut(utils.with_new_head(utils.pretrained(network), dataset.classes), 'output')
        features = Features(below, Task(dataset), px)
        same = {'network': network, 'px': px, **data_facts('kitchen' if likeness == 'similar' else 'digits', dataset)}
        table = Table(OUT, ['per_class', 'seed', *same])
        for per_class in PER_CLASS:
            for seed in SEEDS:
                recipe = functools.partial(row, features, dataset, per_class, seed)
                table.measure({'per_class': per_class, 'seed': seed, **same}, recipe)


if __name__ == '__main__':
    main()
