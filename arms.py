"""The arms that notebooks 01 and 03 compare: ways to learn from pictures, with a source network or without."""

import math
import random
from typing import NamedTuple

import mended_mxnet

import numpy as onp
import pandas as pd
from mxnet import np
from mxnet.gluon import nn
from PIL import Image
from sklearn.datasets import load_digits

import frozen
import utils
from benchmarks.table import Table
from files import BUILD, ROOT, whole
from folders import Pictures
from problem import Problem
from sources import NETWORKS
from sources.weights import set_weights, weights_of


class Arm(NamedTuple):
    """A way to learn."""

    cut: int | str = 0  # the first block that trains
    copied: int | str = 'output'  # the first block that is random, not copied; the output always is
    fitted: bool = False  # the head is fitted first; then it learns at the rate of all, and no statistics move


ARMS = {
    'head only': Arm(cut='output', fitted=True),
    'first half frozen': Arm(cut='stage3'),
    'fine-tuned': Arm(),
    'head first': Arm(fitted=True),
    'from scratch': Arm(copied=0),
}
PX = {'similar': 128, 'different': 32}
CROPS = {'similar': True, 'different': False}  # new ones in every epoch; a mirrored sausage is one, a mirrored 3 is not
BATCH_SIZE, EPOCH = 32, 300  # pictures: fewer are seen several times in an epoch
CAP, PATIENCE = 30, 5  # epochs: at most, and without a better one on valid
# At these rates the search for the best one begins.
START = {'first half frozen': 0.1, 'fine-tuned': 0.1, 'head first': 0.01, 'from scratch': 0.03}


# ---- The pictures ---------------------------------------------------------------------------------------------------


def digits():
    """The Dataset of scikit-learn's handwritten digits, 8 x 8 grey dots, as files in build/. Raises Problem."""
    folder = BUILD / 'digits'
    try:
        for i, (dots, label) in enumerate(zip(*load_digits(return_X_y=True))):
            write_digit(folder / str(label) / f'{i}.png', dots.reshape(8, 8))
    except OSError as error:
        raise Problem(f'{folder} could not be filled ({error.strerror or error}); free some space.') from None
    return utils.find_data(folder)


def write_digit(path, dots):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        with whole(path) as partial:
            Image.fromarray((dots * 255 / 16).astype('uint8')).save(partial, 'png')


def some_of(dataset, per_class, seed):
    """The Dataset with so many training pictures of each class, or all there are; the seed decides which."""
    chosen, train = random.Random(seed), []
    for i in range(len(dataset.classes)):
        of_class = [picture for picture in dataset.train if picture[1] == i]
        train += chosen.sample(of_class, min(per_class, len(of_class)))
    return dataset._replace(train=Pictures(train, dataset.classes))


# ---- One training ---------------------------------------------------------------------------------------------------


def experiment(arm, source, dataset, likeness, lr, seed, num_epochs=CAP, patience=PATIENCE, watch=None):
    """(network, table of its training); of a head that is only fitted, the table has a row per C. Raises Problem."""
    utils.seed_everything(seed)
    net = target(arm, source, dataset.classes)
    if arm.fitted:
        fitted = frozen.fit(*frozen.cut(net, 'output'), dataset, PX[likeness])
        net.apply(keep_statistics)
        if arm.cut == 'output':
            return net, fitted
    trained, train_iter, valid_iter = prepared(net, arm.cut, dataset, PX[likeness], CROPS[likeness])
    head = 10 if arm.copied == 'output' and not arm.fitted else 1
    history = utils.train(trained, train_iter, valid_iter, num_epochs, lr, head=head, patience=patience, watch=watch)
    return net, history


def target(arm, source, classes):
    """The network that `arm` begins with, the first blocks copied from the source and the others random."""
    if arm.copied == 'output':
        return utils.with_new_head(source, classes)
    net = utils.from_scratch(classes, source.network)
    px = NETWORKS[source.network].usual_px
    net(np.zeros((1, 3, px, px)))  # makes the shapes of its weights known
    num_copied = frozen.position(source, arm.copied)
    for block, original in zip(net.features[:num_copied], source.features[:num_copied]):
        set_weights(block, weights_of(original))
    return net


def what_was_copied(net, source):
    """A row for each block of `net` that has parameters: how many, and whether they are those of `source` or new."""
    layers = zip(frozen.blocks(net), [*net.features, net.output], [*source.features, source.output])
    rows = [(name, type(block).__name__, *copied(block, original)) for name, block, original in layers]
    table = pd.DataFrame(rows, columns=['block', 'layer', 'parameters', 'weights'])
    return table[table.parameters > 0]


def copied(block, original):
    """(how many parameters, 'copied' if all are the same as those of `original`, else 'new')."""
    values = [(a.data(), b.data()) for a, b in zip(params(block), params(original))]
    same = all(a.shape == b.shape and (a == b).all() for a, b in values)
    return sum(a.size for a, _ in values), 'copied' if same else 'new'


def params(block):
    return block.collect_params().values()


def keep_statistics(block):
    """Let a BatchNorm keep its statistics in training, as Keras advises: the head was fitted to them."""
    if isinstance(block, nn.BatchNorm):
        block.global_stats = True  # see utils.fix_statistics


def prepared(net, cut, dataset, px, crops):
    """(`net` or the part of it above the cut, its batches of train and of valid).

    With new crops in every epoch, the frozen part has to run in every epoch; without, it runs once.
    """
    train = Pictures(dataset.train * math.ceil(EPOCH / len(dataset.train)), dataset.classes)
    if crops:
        utils.freeze(net, frozen.position(net, cut))
        return net, utils.batches(train, net, px, BATCH_SIZE, train=True), utils.batches(dataset.valid, net, px, 100)
    below, above = frozen.cut(net, cut)
    return above, below.batches(train, px, BATCH_SIZE, train=True), below.batches(dataset.valid, px, 100)


def right(net, dataset, likeness, split='test'):
    """Which pictures of a split `net` calls right: an array of True and False."""
    probabilities, labels = utils.predictions(net, utils.batches(dataset[split], net, PX[likeness], 100))
    return probabilities.argmax(1) == labels


# ---- What was measured ----------------------------------------------------------------------------------------------


def measured(dataset, likeness, per_class='all', rates='best'):
    """The rows of benchmarks/arms.csv at each arm's best rate: of those that most seeds have, by its mean on valid.

    With rates='first' at the rate where the search for it began, with 'all' at each that was tried. `valid_by_epoch` is
    a list; `right` says of each test picture whether it was called right. Raises Problem.
    """
    path = ROOT / 'benchmarks' / 'arms.csv'
    table = Table(path, ['arm', 'per_class', 'lr', 'likeness']).rows(per_class=per_class, likeness=likeness)
    if table.empty:
        raise Problem(
            f'Nothing was measured with {per_class} {likeness} pictures per class; run python -m benchmarks.arms.'
        )
    try:
        table = AT_RATES[rates](table)
        table['valid_by_epoch'] = [[float(value) for value in text.split()] for text in table.valid_by_epoch]
        table['right'] = [bits(text, len(dataset.test)) for text in table.right]
    except (AttributeError, TypeError, ValueError):  # a column or a part of a row is not there
        raise Problem(f'{path} is damaged, or of other pictures; get it back: git checkout -- benchmarks') from None
    return table


def at_best_rates(table):
    """The rows of each arm at its best rate, of equals the higher; those of the first seeds alone don't count."""
    rates = table.groupby(['arm', 'lr']).valid.agg(['count', 'mean']).round(6).reset_index('lr')
    best = rates.sort_values(['count', 'mean', 'lr']).groupby('arm').lr.last()
    return table[table.lr == table.arm.map(best)].reset_index(drop=True)


def at_first_rates(table):
    """The rows of each arm at its rate in START; an arm that is not there has one rate only."""
    first = table.arm.map(START).map(str, na_action='ignore')
    return table[table.lr == first.fillna(table.lr)].reset_index(drop=True)


AT_RATES = {'best': at_best_rates, 'first': at_first_rates, 'all': pd.DataFrame.copy}


def bits(text, n):
    """The first n binary digits of a hexadecimal number as an array of True and False. Raises ValueError."""
    number = onp.frombuffer(bytes.fromhex(text), 'uint8')
    if len(number) != math.ceil(n / 8):
        raise ValueError(f'{len(number)} bytes are not {n} bits')
    return onp.unpackbits(number)[:n].astype(bool)


# ---- Verdicts -------------------------------------------------------------------------------------------------------

MATTERS = 0.02  # a smaller difference of two accuracies would change nobody's mind


def resampled(gain, draws=2000):
    """Means of gain [seeds, pictures], with seeds and pictures drawn again and again (bootstrap; Owen, 2007)."""
    rng = onp.random.default_rng(0)
    seed = rng.integers(0, gain.shape[0], (draws, gain.shape[0], 1))
    picture = rng.integers(0, gain.shape[1], (draws, 1, gain.shape[1]))
    return gain[seed, picture].mean((1, 2))


def limits(means):
    """Between which 95 % of the means lie."""
    return onp.percentile(means, [2.5, 97.5])


def verdict(low, high):
    """What an interval of a difference says."""
    if low > -MATTERS and high < MATTERS:
        return 'no difference that matters'
    return 'better' if low > 0 else 'worse' if high < 0 else "can't tell"
