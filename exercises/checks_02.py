"""What looks at the answers to the exercises of notebook 02."""

import builtins
import contextlib
from pathlib import Path
from unittest import mock

import mended_mxnet

import numpy as onp
from mxnet import autograd, np
from mxnet.gluon import nn
from scipy.special import softmax

import arms
import frozen
import heads
import utils
from exercises.checks import (
    SLACK,
    accuracies,
    as_dict,
    check_accuracy,
    check_measured,
    check_stopped,
    exercise,
    first_fall,
    number_in,
    run,
    several,
)
from exercises.prepared import with_a_leak
from problem import Problem, is_labelled

SALT, PEPPER = 'salt', 'pepper'

# ---- Another split --------------------------------------------------------------------------------------------------


@exercise('2a')
def another_split(split):
    """A function (pictures, salt) -> (train, valid): by a hash of salt and name, a fifth is for valid."""
    pictures = [(Path('kitchen', f'{name:05x}.jpg'), name // 6 % 2) for name in range(3, 12003, 6)]
    with no_hash():
        train, valid = parts_of(split, pictures, SALT)
        check_fifth(train, valid, pictures)
        again = parts_of(split, pictures, SALT)
        check_stays(split, pictures, valid)
        other = parts_of(split, pictures, PEPPER)[1]
    if [*map(sorted, again)] != [sorted(train), sorted(valid)]:
        raise Problem('called twice it gives two splits; let a hash decide, and not chance.')
    if {*other} == {*valid}:
        raise Problem('another salt gives the same split; does the salt go into the hash?')
    return f'Of {len(pictures)} made-up names {len(valid)} are for valid, and each stays where it is.'


@contextlib.contextmanager
def no_hash():
    """In here Python's own hash of a text or of a tuple with a salt raises a Problem: it differs between processes."""
    real = builtins.hash

    def refused(value):
        in_tuple = isinstance(value, tuple) and (SALT in repr(value) or PEPPER in repr(value))
        if isinstance(value, (str, bytes)) or in_tuple:
            raise Problem("Python's hash() of a text differs from one start of Python to the next; take hashlib's.")
        return real(value)

    with mock.patch.object(builtins, 'hash', refused):
        yield


def parts_of(split, pictures, salt):
    """(train, valid) as lists of (path, label). Raises Problem."""
    parts = run(split, [*pictures], salt)
    if not isinstance(parts, (tuple, list)) or len(parts) != 2 or not all(hasattr(part, '__iter__') for part in parts):
        raise Problem('your function must return two lists, train and valid.')
    train, valid = ([*map(as_pair, part)] for part in parts)
    return train, valid


def as_pair(picture):
    """(path, label) of what may be a list or an array. Raises Problem."""
    pair = tuple(picture) if isinstance(picture, (tuple, list, onp.ndarray)) else picture
    if not is_labelled(pair):
        raise Problem(f'in your lists there is {picture!r:.100}; let them have the pictures as (path, label).')
    return pair


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
    """Raises Problem if a picture changes sides when others come, in another folder, or with another label."""
    more = [(Path(f'new-{i}.jpg'), 0) for i in range(7)] + pictures
    alone = [picture for picture in pictures[:40] if parts_of(split, [picture], SALT)[1]]
    if {*parts_of(split, more, SALT)[1]} & {*pictures} != {*valid} or {*alone} != {*pictures[:40]} & {*valid}:
        raise Problem('when other pictures come, some change sides; only salt and name may decide, not their place.')
    moved = [(Path('elsewhere', path.name), label) for path, label in pictures]
    if names_of(parts_of(split, moved, SALT)[1]) != names_of(valid):
        raise Problem('in another folder pictures change sides; path.name is the name without its folder.')
    called_otherwise = [(path, 1 - label) for path, label in pictures]
    if names_of(parts_of(split, called_otherwise, SALT)[1]) != names_of(valid):
        raise Problem('with other labels pictures change sides; only salt and name may decide, not the label.')


def names_of(pictures):
    return {path.name for path, _ in pictures}


@exercise('2b')
def how_far(table, points, split, accuracy_of):
    """{salt: accuracy on its valid} of five salts, and from the lowest to the highest, in points."""
    table, points = accuracies(table, least=5), number_in('`points`', points)
    values = [*table.values()]
    if max(values) == min(values):
        raise Problem('all splits give the same accuracy; is each measured on its own train and valid?')
    check_measured('2b', 'on average', onp.mean(values), 'is each head fitted on train, and judged on valid?')
    check_sides(table, split, accuracy_of)
    width = 100 * (max(values) - min(values))
    if abs(points / 100 - width) < 0.01:
        raise Problem(f'{points:g} is the right width in per cent of a point; one point is 0.01.')
    if abs(points * 100 - width) < 0.1:
        raise Problem(f'{points:g} is a share; in points it is a hundred times as many.')
    if abs(points - width) > 0.1:
        raise Problem(f'from {min(values):.3f} to {max(values):.3f} it is not {points:g} points.')
    return f'Only the split has changed, and that is worth {width:.1f} points.'


def check_sides(table, split, accuracy_of):
    """Raises Problem unless the accuracies are those of the student's own split, fitted on train."""
    dataset = utils.find_data()
    for salt, value in table.items():
        train, valid = run(split, dataset.train + dataset.valid, salt)
        if abs(run(accuracy_of, train, valid) - value) <= SLACK / 2:
            continue
        if abs(run(accuracy_of, valid, train) - value) <= SLACK / 2:
            raise Problem(f'with {salt!r} the layer is fitted to valid and judged on train; which one comes first?')
        raise Problem(f'your split with {salt!r} gives another accuracy than {value:.3f}; run the cells from 2a again.')


# ---- Dropout --------------------------------------------------------------------------------------------------------


RATES = [0, 0.5, 0.9, 0.97, 0.99, 0.999]


@exercise('2c')
def too_much_dropout(table, p):
    """{dropout: (accuracy on train, on valid)}, and the dropout at which valid first falls by more than 5 points."""
    table, p = as_grid(table), number_in('the dropout', p)
    falls = first_fall({rate: valid for rate, (_, valid) in table.items()})
    if falls is None:
        raise Problem('in your table valid never falls by more than 5 points; go on with more dropout.')
    if p not in table:
        raise Problem(f'{p} is not in your table, which has {[*table]}.')
    if p != falls:
        side = 'above' if p < falls else 'below'
        raise Problem(f'compare valid with the best valid so far, from the top: it falls {side} {p}.')
    check_stopped(table, p)
    gaps = ', '.join(f'{100 * (train - valid):.0f}' for train, valid in table.values())
    return f'Train is {gaps} points above valid: the gap closes, but in the end only because train falls as well.'


def as_grid(table):
    """{dropout: (train, valid)} for rates of dropout from 0 up. Raises Problem."""
    grid = {}
    for rate, pair in as_dict(table).items():
        if not hasattr(pair, '__len__') or isinstance(pair, str) or len(pair) != 2:
            raise Problem(f'at {rate} the table has {pair!r:.50}; give (train, valid).')
        grid[rate] = [check_accuracy(f'{name} at {rate}', value) for name, value in zip(('train', 'valid'), pair)]
    rates = [*grid]
    if not rates or rates != RATES[: len(rates)]:
        raise Problem(f'your grid is {rates}; begin with 0, without dropout, and go through {RATES}.')
    for name, value in zip(('train', 'valid'), grid[0]):
        check_measured('2c', f'without dropout, {name}', value, 'is it (train, valid), in this order?')
    return grid


# ---- Batch norm and dense 1024 --------------------------------------------------------------------------------------


@exercise('2d')
def dense_1024(head):
    """A function (num_classes, batch_norm) -> a block: batch norm or not, dense 1024 with ReLU, dense."""
    X = np.random.normal(3, 2, (16, 512))  # as many features as the notebook has
    for num_classes in (3, 7):
        for batch_norm in (True, False):
            net = run(head, num_classes, batch_norm)
            if not isinstance(net, nn.HybridSequential):
                raise Problem(f'your function gives a {type(net).__name__}; return the nn.HybridSequential.')
            layers = layers_of(net)
            check_layers(layers, batch_norm, num_classes)
            check_scores(scores_of(net, X), X, layers, batch_norm)
    return 'Both heads have their layers, for any number of classes.'


def layers_of(net):
    """The layers of a block, and of those in the sequences in it, in order."""
    if not isinstance(net, (nn.HybridSequential, nn.Sequential)):
        return [net]
    return [layer for block in net._children.values() for layer in layers_of(block)]


def check_layers(layers, batch_norm, num_classes):
    """Raises Problem unless the dense layers, and batch norm or none, are where they should be."""
    outputs = [layer._units for layer in layers if isinstance(layer, nn.Dense)]
    if outputs != [1024, num_classes]:
        raise Problem(
            f'for {num_classes} classes the dense layers have {outputs} outputs; there are two, the first with 1024, '
            'the last with one for each class.'
        )
    if any(isinstance(layer, nn.Dropout) for layer in layers):
        raise Problem('there is dropout in this head; the exercise asks for none.')
    first = next(i for i, layer in enumerate(layers) if isinstance(layer, nn.Dense))
    check_norms(layers, batch_norm, first)


def check_norms(layers, batch_norm, first):
    """Raises Problem unless batch norm is where it should be, before layer `first`, and only if asked for."""
    norms = [i for i, layer in enumerate(layers) if isinstance(layer, nn.BatchNorm)]
    if bool(norms) != batch_norm:
        raise Problem(f'with batch_norm = {batch_norm} there is {"one" if norms else "no"} layer of batch norm.')
    if len(norms) > 1:
        raise Problem(f'there are {len(norms)} layers of batch norm; one is asked for, before the first dense layer.')
    if norms and not isinstance(layers[norms[0]], heads.BatchNorm):
        raise Problem(
            "take heads.BatchNorm; MXNet's own expects maps, and may crash on features, which have no pixels."
        )
    if norms and norms[0] > first:
        raise Problem('batch norm comes after a dense layer; it is to normalise what comes in, so it goes before it.')


def scores_of(net, X):
    """What the head gives in training, as a NumPy array. Raises Problem."""
    net.initialize(force_reinit=True)
    try:
        with autograd.record():
            return net(X).asnumpy()
    except Exception as error:  # whatever does not fit together
        hint = 'do the layers fit together?'
        if any(isinstance(layer, (nn.Lambda, nn.HybridLambda)) for layer in layers_of(net)):
            hint = "a Lambda by name takes MXNet's old arrays only, and nn.Activation takes these."
        raise Problem(
            f'for pictures of {X.shape[1]} features your head stops with {type(error).__name__}; {hint}'
        ) from None


def check_scores(scores, X, layers, batch_norm):
    """Raises Problem unless the scores are those of batch norm or not, dense, ReLU, dense, with the same weights."""
    X = X.asnumpy()
    if batch_norm:
        X = (X - X.mean(0)) / (X.var(0) + 1e-5) ** 0.5
    first, last = ([param.data().asnumpy() for param in dense_params(layer)] for layer in layers if is_dense(layer))
    hidden = through(first, X)
    right = through(last, hidden.clip(0))
    if same(scores, right):
        return
    if same(scores, through(last, hidden)):
        raise Problem('between the two dense layers nothing bends: two linear layers are one; where is the ReLU?')
    if same(scores, right.clip(0)):
        raise Problem(
            'after the last layer comes the softmax of the loss; a ReLU there cuts off all scores below zero.'
        )
    shares = softmax(right, axis=1)
    if same(scores, shares) or same(scores, onp.log(shares)):
        raise Problem('there is a softmax at the end; the loss has one, so let the head return its scores.')
    raise Problem(
        f'with its own weights this head gives other scores than dense, ReLU and dense; its layers are '
        f'{", ".join(type(layer).__name__ for layer in layers):.150}. Is its activation ReLU, and is nothing added?'
    )


def is_dense(layer):
    return isinstance(layer, nn.Dense)


def dense_params(layer):
    return [param for param in (layer.weight, layer.bias) if param is not None]


def through(params, X):
    """X [n, k] through a dense layer, weight [c, k] and perhaps bias [c]."""
    return X @ params[0].T + sum(params[1:])


def same(scores, expected):
    return scores.shape == expected.shape and onp.allclose(scores, expected, rtol=1e-3, atol=1e-3)


# ---- Few pictures ---------------------------------------------------------------------------------------------------

CALM, DRAWS, NUMBERS = 0.02, 20, [5, 20, 80, 160]


@exercise('2e')
def few_pictures(table, enough, accuracy_of):
    """{pictures a class: [accuracy of each draw]}, and from how many on the draws differ by less than CALM."""
    table = {n: several(f'with {n} a class', values, DRAWS) for n, values in as_dict(table).items()}
    if not table or [*table] != NUMBERS[: len(table)]:
        raise Problem(f'your table has {[*table]} pictures a class; begin with 5, and go through {NUMBERS}.')
    for n, values in table.items():
        if len({*values}) == 1:
            raise Problem(f'with {n} a class all accuracies are the same; does each have a draw of its own?')
    check_measured('2e', 'with 5 a class, on average', onp.mean(table[5]), 'are 5 of each class what it is fitted to?')
    check_draws(table, accuracy_of)
    spread = {n: onp.std(values, ddof=1) for n, values in table.items()}
    calm = [n for n in spread if spread[n] < CALM]
    if not calm:
        raise Problem('in your table the draws always differ by 2 points or more; go on with more pictures.')
    if enough != calm[0]:
        raise Problem(f'look at the standard deviations (ddof=1) of your table: {enough} is not the first under 0.02.')
    check_stopped(table, enough)
    said = ', '.join(f'{100 * value:.1f}' for value in spread.values())
    return f'The standard deviations are {said} points: with few pictures it is luck which ones.'


def check_draws(table, accuracy_of):
    """Raises Problem unless the first accuracy in each row is that of draw 0 of so many pictures."""
    dataset = utils.find_data()
    first = {n: run(accuracy_of, arms.some_of(dataset, n, 0).train, dataset.valid) for n in NUMBERS}
    for n, values in table.items():
        if abs(values[0] - first[n]) <= SLACK:
            continue
        others = [k for k in NUMBERS if abs(values[0] - first[k]) <= SLACK / 2]
        hint = f'that is what {others[0]} a class give' if others else 'are the draws 0 to 19, in order?'
        raise Problem(
            f'with {n} a class draw 0 gives {first[n]:.3f}, and your first accuracy is {values[0]:.3f}; {hint}'
        )


# ---- Find the leak --------------------------------------------------------------------------------------------------


@exercise('2f')
def find_the_leak(leaked):
    """A function (X_train, X_valid) -> places of the rows of X_valid whose picture is also in train."""
    below, _ = frozen.cut(utils.pretrained(), 'output')
    dataset, places = with_a_leak(seed=7)
    found = run(leaked, below.features(dataset.train, 96), below.features(dataset.valid, 96))
    found = onp.array([*found]).ravel()
    if found.dtype == bool or not onp.issubdtype(found.dtype, onp.number) or (found % 1 != 0).any():
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
