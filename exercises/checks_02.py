"""What looks at the answers to the exercises of notebook 02."""

import builtins
import contextlib
from pathlib import Path
from unittest import mock

import mended_mxnet

import numpy as onp
from mxnet import np
from mxnet.gluon import nn

import frozen
import heads
import utils
from exercises.checks import accuracies, check_accuracy, check_measured, exercise, first_fall, run
from exercises.prepared import with_a_leak
from problem import Problem

# ---- Another split --------------------------------------------------------------------------------------------------


@exercise('2a')
def another_split(split):
    """A function (pictures, salt) -> (train, valid): by a hash of salt and name, a fifth is for valid."""
    pictures = [(Path('kitchen', f'{name:05x}.jpg'), name % 2) for name in range(3, 12003, 6)]
    with no_hash():
        train, valid = parts_of(split, pictures, 'salt')
        check_fifth(train, valid, pictures)
        again = parts_of(split, pictures, 'salt')
        check_stays(split, pictures, {*valid})
        other = parts_of(split, pictures, 'pepper')[1]
    if [*map(sorted, again)] != [sorted(train), sorted(valid)]:
        raise Problem('called twice it gives two splits; let a hash decide, and not chance.')
    if {*other} == {*valid}:
        raise Problem('another salt gives the same split; does the salt go into the hash?')
    return f'Of {len(pictures)} made-up names {len(valid)} are for valid, and each stays where it is.'


@contextlib.contextmanager
def no_hash():
    """In here Python's own hash of a text raises a Problem: it is another number in every process."""
    real = builtins.hash

    def refused(value):
        if isinstance(value, str):
            raise Problem("Python's hash() of a text differs from one start of Python to the next; take hashlib's.")
        return real(value)

    with mock.patch.object(builtins, 'hash', refused):
        yield


def parts_of(split, pictures, salt):
    """(train, valid) as lists. Raises Problem."""
    parts = run(split, [*pictures], salt)
    if not isinstance(parts, tuple) or len(parts) != 2 or not all(isinstance(part, list) for part in parts):
        raise Problem('your function must return two lists, train and valid.')
    return parts


def check_fifth(train, valid, pictures):
    """Raises Problem unless each picture is in one part, with its label, and a fifth of them in valid."""
    if sorted(train + valid) != sorted(pictures):
        raise Problem(
            f'of {len(pictures)} pictures you put {len(train)} into train and {len(valid)} into valid; each belongs '
            'into one of the two, as (path, label).'
        )
    share = len(valid) / len(pictures)
    if 0.77 < share < 0.83:
        raise Problem('four fifths are in valid, and one in train; which of the two lists do you return first?')
    if not 0.17 < share < 0.23:
        raise Problem(f'{share:.0%} of the pictures are in valid; it should be about a fifth.')


def check_stays(split, pictures, valid):
    """Raises Problem if a picture changes sides when others come, or when it lies in another folder."""
    more = [(Path(f'new-{i}.jpg'), 0) for i in range(7)] + pictures
    if {*parts_of(split, more, 'salt')[1]} & {*pictures} != valid:
        raise Problem('when other pictures come, some change sides; only salt and name may decide, not their place.')
    moved = [(Path('elsewhere', path.name), label) for path, label in pictures]
    if {path.name for path, _ in parts_of(split, moved, 'salt')[1]} != {path.name for path, _ in valid}:
        raise Problem('in another folder pictures change sides; path.name is the name without its folder.')


@exercise('2b')
def how_far(table, points):
    """{salt: accuracy on its valid} of five salts, and from the lowest to the highest, in points."""
    table = accuracies(table, least=5)
    values = [*table.values()]
    if max(values) == min(values):
        raise Problem('all splits give the same accuracy; is each measured on its own train and valid?')
    check_measured('2b', 'on average', onp.mean(values), 'is each head fitted on train, and judged on valid?')
    width = 100 * (max(values) - min(values))
    if abs(points / 100 - width) < 0.01:
        raise Problem(f'{points:g} is the right width in per cent of a point; one point is 0.01.')
    if abs(points * 100 - width) < 0.1:
        raise Problem(f'{points:g} is a share; in points it is a hundred times as many.')
    if abs(points - width) > 0.1:
        raise Problem(f'from {min(values):.3f} to {max(values):.3f} it is not {points:g} points.')
    return f'Only the split has changed, and that is worth {width:.1f} points.'


# ---- Dropout --------------------------------------------------------------------------------------------------------


@exercise('2c')
def too_much_dropout(table, p):
    """{dropout: (accuracy on train, on valid)}, and the dropout at which valid first falls by more than 5 points."""
    check_grid(table)
    falls = first_fall({rate: valid for rate, (_, valid) in table.items()})
    if falls is None:
        raise Problem('in your table valid never falls by more than 5 points; go on with more dropout.')
    if p not in table:
        raise Problem(f'{p} is not in your table, which has {[*table]}.')
    if p != falls:
        side = 'above' if p < falls else 'below'
        raise Problem(f'compare valid with the best valid so far, from the top: it falls {side} {p}.')
    gaps = ', '.join(f'{100 * (train - valid):.0f}' for train, valid in table.values())
    return f'Train is {gaps} points above valid: the gap closes, but in the end only because train falls as well.'


def check_grid(table):
    """Raises Problem unless the table has (train, valid) for rates of dropout from 0 up."""
    for rate, pair in table.items():
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise Problem(f'at {rate} the table has {pair!r:.50}; give (train, valid).')
        for name, value in zip(('train', 'valid'), pair):
            check_accuracy(f'{name} at {rate}', value)
    rates = [*table]
    if rates[:1] != [0] or rates != sorted(rates):
        raise Problem(f'your grid is {rates}; begin with 0, without dropout, and go up.')
    for name, value in zip(('train', 'valid'), table[0]):
        check_measured('2c', f'without dropout, {name}', value, 'is it (train, valid), in this order?')


# ---- Batch norm and dense 1024 --------------------------------------------------------------------------------------


@exercise('2d')
def dense_1024(head):
    """A function (num_classes, batch_norm) -> a block: batch norm or not, dense 1024 with ReLU, dense."""
    X = np.random.normal(3, 2, (16, 40))
    for num_classes in (3, 7):
        for batch_norm in (True, False):
            net = run(head, num_classes, batch_norm)
            if not isinstance(net, nn.HybridSequential):
                raise Problem(f'your function gives a {type(net).__name__}; return the nn.HybridSequential.')
            check_layers([*net], batch_norm, num_classes)
            net.initialize(force_reinit=True)
            if net(X).shape != (16, num_classes):
                raise Problem(f'for 16 pictures and {num_classes} classes it gives {net(X).shape}.')
    return 'Both heads have their layers, for any number of classes.'


def check_layers(layers, batch_norm, num_classes):
    """Raises Problem unless they are batch norm or not, dense 1024 with ReLU, and dense."""
    outputs = [layer._units for layer in layers if isinstance(layer, nn.Dense)]
    if outputs != [1024, num_classes]:
        raise Problem(
            f'for {num_classes} classes the dense layers have {outputs} outputs; there are two, the first with 1024, '
            'the last with one for each class.'
        )
    first, last = (i for i, layer in enumerate(layers) if isinstance(layer, nn.Dense))
    check_norms(layers, batch_norm, first)
    if not bends(layers[first:last]):
        raise Problem('between the two dense layers nothing bends: two linear layers are one; where is the ReLU?')
    if bends(layers[last:]):
        raise Problem(
            'after the last layer comes the softmax of the loss; a ReLU there cuts off all scores below zero.'
        )


def check_norms(layers, batch_norm, first):
    """Raises Problem unless batch norm is where it should be, before layer `first`, and only if asked for."""
    norms = [i for i, layer in enumerate(layers) if isinstance(layer, nn.BatchNorm)]
    if bool(norms) != batch_norm:
        raise Problem(f'with batch_norm = {batch_norm} there is {"one" if norms else "no"} layer of batch norm.')
    if norms and not isinstance(layers[norms[0]], heads.BatchNorm):
        raise Problem(
            "take heads.BatchNorm; MXNet's own expects maps, and may crash on features, which have no pixels."
        )
    if norms and norms[0] > first:
        raise Problem('batch norm comes after a dense layer; it is to normalise what comes in, so it goes before it.')


def bends(layers):
    """Whether there is an activation in or after one of them."""
    return any(isinstance(layer, nn.Activation) or getattr(layer, 'act', None) is not None for layer in layers)


# ---- Few pictures ---------------------------------------------------------------------------------------------------

CALM = 0.02


@exercise('2e')
def few_pictures(table, enough):
    """{pictures a class: [accuracy of each draw]}, and from how many on the draws differ by less than CALM."""
    spread = {}
    for n, values in dict(table).items():
        if len(values) < 5:
            raise Problem(f'with {n} a class there are {len(values)} draws; the exercise asks for five.')
        for value in values:
            check_accuracy(f'an accuracy with {n} a class', value)
        spread[n] = onp.std(values, ddof=1)
    if 5 not in spread or [*spread] != sorted(spread):
        raise Problem(f'your table has {[*spread]} pictures a class; begin with 5, and go up.')
    if len({*table[5]}) == 1:
        raise Problem('with 5 a class all draws give the same; does each have a seed of its own?')
    check_measured('2e', 'with 5 a class, on average', onp.mean(table[5]), 'are 5 of each class what it is fitted to?')
    calm = [n for n in spread if spread[n] < CALM]
    if not calm:
        raise Problem('in your table the draws always differ by 2 points or more; go on with more pictures.')
    if enough != calm[0]:
        raise Problem(f'look at the standard deviations (ddof=1) of your table: {enough} is not the first under 0.02.')
    said = ', '.join(f'{100 * value:.1f}' for value in spread.values())
    return f'The standard deviations are {said} points: with few pictures it is luck which ones.'


# ---- Find the leak --------------------------------------------------------------------------------------------------


@exercise('2f')
def find_the_leak(leaked):
    """A function (X_train, X_valid) -> places of the rows of X_valid whose picture is also in train."""
    below, _ = frozen.cut(utils.pretrained(), 'output')
    dataset, places = with_a_leak(seed=7)
    found = run(leaked, below.features(dataset.train, 96), below.features(dataset.valid, 96))
    found = onp.array([*found]).ravel()
    if found.dtype == bool:
        raise Problem('give the places of the rows of X_valid, whole numbers from 0 on; onp.flatnonzero finds them.')
    found = {int(i) for i in found}
    missed, wrong = {*places} - found, found - {*places}
    if not found:
        raise Problem('on another data set your function finds none: no twin is equal in every number; how near is it?')
    if len(found) == len(dataset.valid):
        raise Problem('on another data set your function names all pictures of valid; each has a nearest one in train.')
    if missed or wrong:
        raise Problem(
            f'on another data set your function misses {len(missed)} of {len(places)} twins, and names {len(wrong)} '
            'that are none; look at how near the nearest one is, for all pictures of valid, in order.'
        )
    return f'On another data set it finds all {len(places)} twins, and nothing else.'
