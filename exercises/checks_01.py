"""What looks at the answers to the exercises of notebook 01."""

import contextlib
import itertools
import math
from collections.abc import Mapping
from numbers import Real
from unittest import mock

import mended_mxnet

import numpy as onp
import pandas as pd
from mxnet import autograd, gluon, np

import arms
import utils
from exercises import checks
from exercises.checks import accuracies, call, check_accuracy, check_measured, exercise, first_fall, run, whole_network
from problem import Problem
from sources.weights import weights_of

# ---- More epochs for both -------------------------------------------------------------------------------------------

FEW, MANY = 2, 6  # epochs
OTHER = {'fine-tuned': 'from scratch', 'from scratch': 'fine-tuned'}


@exercise('1a')
def more_epochs(histories, gains_more):
    """{network: table of its training}, and the network that gains more in the table."""
    best = {name: best_of(histories, name) for name in OTHER}
    for name in best:
        if not_its_own(name, best):
            raise Problem(f'the table of "{name}" looks like one of the other network; which of the two is which?')
        what = f'{name}, {MANY} epochs'
        check_measured('1a', what, best[name][MANY], 'did the cell with `fit` stay as it came to you?')
    gain = {name: round(100 * (valid[MANY] - valid[FEW]), 1) for name, valid in best.items()}
    if gains_more not in gain:
        raise Problem('`gains_more` is the name of a network, "fine-tuned" or "from scratch".')
    if gain[gains_more] < gain[OTHER[gains_more]]:
        raise Problem(f'your tables say otherwise; take the best of {MANY} epochs minus the best of {FEW}, for both.')
    return (
        f'From {FEW} to {MANY} epochs fine-tuned gains {gain["fine-tuned"]} points, from scratch '
        f'{gain["from scratch"]}. Has it caught up?'
    )


def best_of(histories, name):
    """{epochs: best accuracy on valid within so many} of a network. Raises Problem."""
    if name not in histories:
        raise Problem(f'there is no table of "{name}"; the exercise asks for both networks.')
    table = histories[name]
    if not isinstance(table, pd.DataFrame) or 'valid' not in table:
        raise Problem(f'what you have for "{name}" is no table of a training; keep what `fit` returns.')
    if len(table) != MANY:
        raise Problem(f'"{name}" was trained for {len(table)} epochs; the exercise asks for {MANY}.')
    if 'epoch' in table and [*table.epoch] != [*range(1, MANY + 1)]:
        raise Problem(f'"{name}" was trained more than once; begin anew, and train it for {MANY} epochs at a stretch.')
    return {n: table.valid[:n].max() for n in (FEW, MANY)}


def not_its_own(name, best):
    """Whether the accuracy of a network is not its own, but that of the other one.

    It is that of the last epoch: after two, a fine-tuned network of ten is no better than one from scratch (seed 7).
    """
    own, other = (f'{one}, {MANY} epochs' for one in (name, OTHER[name]))
    valid = best[name][MANY]
    return not checks.fits('1a', own, valid) and checks.fits('1a', other, valid)


# ---- A larger rate --------------------------------------------------------------------------------------------------

FIRST, GUESSING = 0.1, 0.55


@exercise('1b')
def too_fast(table, rate):
    """{rate: best accuracy on valid}, and the rate at which it first falls by more than 5 points."""
    no_tables(table)
    table = accuracies(table, least=2)
    rates = [*table]
    check_rates(rates)
    falls = first_fall(table)
    if falls is None:
        raise Problem('in your table accuracy never falls by more than 5 points; go on with larger rates.')
    check_one_number(rate)
    if not any(math.isclose(rate, other) for other in rates):
        raise Problem(f'{rate:g} is none of the rates in your table, which are {said(rates)}.')
    if not math.isclose(rate, falls):
        side = 'above' if rate < falls else 'below'
        raise Problem(f'read your table from the top, with the best accuracy so far in mind: it falls {side} {rate:g}.')
    highest = max(table, key=table.get)
    what = 'the network guesses' if table[falls] < GUESSING else 'the steps are too large'
    return (
        f'At {falls:g} {what}, within two epochs of 200 pictures of 64 px: {table[falls]:.2f} after '
        f'{table[highest]:.2f} at {highest:g}. With more epochs or pictures it may be another rate.'
    )


def no_tables(table):
    """Raises Problem if there is the table of a training in place of a number."""
    for rate, value in dict(table).items() if isinstance(table, (Mapping, pd.Series)) else ():
        if isinstance(value, (pd.DataFrame, pd.Series)):
            raise Problem(f'at {rate} there is a whole table; give one number of it, such as history.valid.max().')


def check_rates(rates):
    """Raises Problem unless they begin with FIRST and go up, each about three times the one before."""
    if any(isinstance(rate, str) for rate in rates):
        raise Problem(f'the rates in your table are texts, as {rates[0]!r}; make them numbers, without quotes.')
    if not math.isclose(rates[0], FIRST) or rates != sorted(rates):
        raise Problem(f'your rates are {said(rates)}; begin with {FIRST}, and go up.')
    if max(b / a for a, b in itertools.pairwise(rates)) > 5:
        raise Problem('between two of your rates there is a jump; each is about three times the one before.')


def said(rates):
    return ', '.join(f'{rate:g}' for rate in rates)


def check_one_number(value):
    """Raises Problem unless the number that a table is read for is a number."""
    if isinstance(value, str):
        raise Problem(f'{value!r:.50} is a text; give the number, without quotes.')
    if not isinstance(value, Real):
        raise Problem(f'give the rate itself, one number as in your table, and no {type(value).__name__}.')


# ---- Freeze everything but the head ---------------------------------------------------------------------------------


@exercise('1c')
def only_the_head(freeze):
    """A function that freezes all of a network but its output, statistics too."""
    utils.seed_everything(3)
    net = utils.from_scratch(['a', 'b', 'c'])
    X, y = np.random.normal(size=(8, 3, 32, 32)), np.array([0, 1, 2, 0, 1, 2, 0, 1])
    net(X)
    with by_hand(freeze):
        call(freeze, net)
    check_only_the_head(net, moved_in_a_step(net, X, y))
    with autograd.record():
        in_training = net.features(X)
    if not abs(in_training - net.features(X)).max() <= 1e-4:  # NaN is none
        raise Problem(
            'nothing moves but the head, and still the features of a picture are others in training than in use: '
            'whose mean does a BatchNorm take inside `record`? utils.fix_statistics minds that, but looks at '
            '`grad_req`: which of the two comes first?'
        )
    return 'One step moved the head, and not a weight, not a statistic below it.'


@contextlib.contextmanager
def by_hand(function):
    """In here utils.freeze raises a Problem: the exercise is to write it."""

    def refused(*args, **options):
        raise Problem('that is utils.freeze; write yourself what it does to a block, in two lines.')

    if function is utils.freeze:
        refused()
    with mock.patch.object(utils, 'freeze', refused):
        yield


def moved_in_a_step(net, X, y, lr=0.1):
    """The names of all weights and statistics that one step of training moves."""
    params = net.collect_params().values()
    if all(param.grad_req == 'null' for param in params):
        raise Problem('all of the network is frozen now, the head too; nothing would be learned.')
    before = weights_of(net)
    trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': lr})
    with autograd.record():
        loss = gluon.loss.SoftmaxCrossEntropyLoss()(net(X), y)
    loss.backward()
    try:
        trainer.step(len(y))
    except UserWarning:  # an error that MXNet raises if a weight has a gradient that nothing writes to
        raise Problem(
            'some weights of your network get no gradient: copy.deepcopy unties a weight from its gradient, until '
            'net.collect_params().reset_ctx(...) ties it again. utils.with_new_head has copied already, and tied.'
        ) from None
    after = weights_of(net)
    return [name for name in before if not onp.array_equal(before[name], after[name])]


def check_only_the_head(net, moved):
    """Raises Problem unless a step of training has moved the head and nothing else."""
    below = [name for name in moved if name.startswith('features')]
    weights = [name for name in below if 'running' not in name]
    if weights:
        blocks = {name.split('.')[1] for name in weights}
        raise Problem(f'a step of training has moved weights in {len(blocks)} blocks of `features`, as {weights[0]}.')
    learning = [name for name, req in requests(net.features).items() if req != 'null']
    if below and learning:
        raise Problem(
            f'no weight below the head moves, but statistics do, as {below[0]}, and {len(learning)} weights still get '
            'gradients: utils.fix_statistics stops a BatchNorm only where `grad_req` is "null", and a rate of 0 is not.'
        )
    if below:
        raise Problem(
            f'no weight below the head moves, but {len(below)} statistics do, as {below[0]}: no gradient moves them, '
            'so `grad_req` does not stop them. What does utils.freeze do besides?'
        )
    if not moved:
        raise Problem('the head does not move either; it is the one thing that has to learn.')


def requests(block):
    """{name: grad_req} of its parameters that may learn; statistics never do."""
    params = block.collect_params()
    return {name: param.grad_req for name, param in params.items() if 'running' not in name}


# ---- Reuse fewer layers ---------------------------------------------------------------------------------------------


@exercise('1d')
def fewer_layers(reuse):
    """A function (source, classes, num_copied) -> a network whose first blocks are copied, the others random."""
    source = utils.pretrained()
    before = weights_of(source)
    for num_copied in (7, 0, 9):
        net = run(reuse, source, ['a', 'b', 'c'], num_copied)
        check_apart(net, source, before)
        check_head(net, ['a', 'b', 'c'])
        check_reused(net, source, num_copied)
        one_step(net)
    return 'Below the place the weights are copies, above it they are new.'


def check_apart(net, source, before):
    """Raises Problem unless `net` is a network, and the source neither changed nor part of it."""
    changed = [name for name, array in weights_of(source).items() if not onp.array_equal(before[name], array)]
    if changed:
        raise Problem(
            f'your function has changed the source network itself, in {len(changed)} arrays, as {changed[0]}; work on '
            'a copy, and let the source be.'
        )
    whole_network(net)
    of_source = {*map(id, source.collect_params().values())}
    shared = [name for name, param in net._collect_params_with_prefix().items() if id(param) in of_source]
    if shared:
        raise Problem(
            f'{len(shared)} arrays of your network are the very ones of the source, as {shared[0]}, shared and not '
            'copied: what trains or freezes one of the two changes both.'
        )


def check_head(net, classes):
    """Raises Problem unless the head has an output for each of the classes, and the network knows their names."""
    if net.output.weight.shape[0] != len(classes):
        found = net.output.weight.shape[0]
        raise Problem(f'for {len(classes)} classes your network has {found} outputs; it needs a new head.')
    if [*getattr(net, 'classes', classes)] != classes:
        raise Problem(
            f'your network still has the names of {len(net.classes)} other classes, so that utils.train will refuse '
            'it: net.classes = classes.'
        )


def one_step(net):
    """The names of all that one small step of training moves."""
    X, y = np.random.normal(size=(8, 3, 32, 32)), np.array([0, 1, 2, 0, 1, 2, 0, 1])
    return moved_in_a_step(net, X, y, lr=0.01)


def check_reused(net, source, num_copied):
    """Raises Problem unless the first blocks are copies, and the others random."""
    table = arms.what_was_copied(net, source).drop(checks.BLOCKS)
    copied = [*table.index[table.weights == 'copied']]
    right = [i for i in table.index if i < num_copied]
    if [*copied] != right:
        raise Problem(
            f'with num_copied = {num_copied} the blocks that are as in the source are {copied or "none"}, and '
            f'should be {right or "none"} (a block without parameters does not count).'
        )
    flat = [name for name, array in weights_of(net).items() if name.endswith('weight') and onp.ptp(array) == 0]
    if flat:
        raise Problem(f'all numbers in {flat[0]} are the same; new weights must be random: utils.initialize(block).')


# ---- Row 934 as a start ---------------------------------------------------------------------------------------------


@exercise('1e')
def head_start(start_with):
    """A function (net, source, name) that puts the source's row `name` in place of that of the first class."""
    source = utils.pretrained()
    rows = source.output.weight.data().asnumpy()
    for name in ('pizza', 'hotdog'):
        net = utils.with_new_head(source, ['a', 'b', 'c'])
        before = net.output.weight.data().asnumpy().copy()
        call(start_with, net, source, name)
        after = net.output.weight.data().asnumpy()
        check_row(name, before, after, rows, source.classes)
    return f'{name} is row {source.classes.index(name)}, and the photocopier would be 713.'


def check_row(name, before, after, rows, classes):
    """Raises Problem unless the first row is that of the class `name`, and the others are what they were."""
    changed = [i for i in range(len(before)) if not onp.array_equal(before[i], after[i])]
    if not changed:
        raise Problem('no weight of the head has changed; write into net.output.weight.data()[0].')
    if changed != [0]:
        raise Problem(f'the rows {changed} of the head have changed; only that of the first class, 0, should.')
    found = onp.flatnonzero((rows == after[0]).all(1))
    if len(found) == 0:
        raise Problem('the first row has changed, but is no row of source.output.weight.data().')
    if classes[found[0]] != name:
        raise Problem(
            f'asked for "{name}", your function takes row {found[0]}, which is the {classes[found[0]]}; at which place '
            'of source.classes is the name?'
        )


VERDICTS = {"can't tell": "can't tell", 'cant tell': "can't tell", 'better': 'better', 'worse': 'worse'}


@exercise('1f')
def is_it_better(with_row, without, verdict, begin, fit):
    """Accuracies after one epoch with the row and without, seed by seed, the verdict, and the notebook's functions."""
    with_row, without = seed_by_seed(with_row, without)
    for name, values in {'with_row': with_row, 'without': without}.items():
        if len(values) < 5 or len(with_row) != len(without):
            raise Problem(f'`{name}` has {len(values)} accuracies; give five, of the same seeds in both.')
        values[:] = [check_accuracy(f'{name}[{i}]', value) for i, value in enumerate(values)]
        if len({*values}) == 1:
            raise Problem(f'all {len(values)} numbers of `{name}` are the same; did `begin` get the seed?')
    if with_row == without:
        raise Problem('both lists are the same; does `start_with` run before the training, and on the same network?')
    check_not_exchanged(with_row[0], without[0], begin, fit)
    check_measured(
        '1f', 'without the row, on average', onp.mean(without), 'is it one epoch, at the rate of the exercise?'
    )
    gain = onp.subtract(with_row, without)
    right = 'better' if gain.min() > 0 else 'worse' if gain.max() < 0 else "can't tell"
    verdict = str(verdict).replace('\N{RIGHT SINGLE QUOTATION MARK}', "'").strip().lower()
    if verdict not in VERDICTS:
        raise Problem(f'the verdict is {verdict!r:.50}; give "better", "worse" or "can\'t tell".')
    if VERDICTS[verdict] != right:
        raise Problem(f'with the row {(gain > 0).sum()} of your {len(gain)} seeds are better; compare seed by seed.')
    return f'With the row, minus without: {", ".join(f"{100 * points:+.1f}" for points in gain)} points.'


def check_not_exchanged(with_row, without, begin, fit):
    """Raises Problem if what the first seed gives without the row is in the list of those with it."""
    history = run(fit, run(begin, 'fine-tuned'), 'fine-tuned', 1, FIRST)
    valid = history.valid.max()
    if math.isclose(valid, with_row) and not math.isclose(valid, without):
        raise Problem(
            f'without the row the first seed gives {valid:.3f}, and that is the first number of `with_row`; the two '
            'lists are exchanged.'
        )


def seed_by_seed(*tables):
    """The accuracies of each as a list; of dictionaries {seed: accuracy}, in the order of the first one's seeds."""
    if not all(isinstance(table, Mapping) for table in tables):
        return [[*table] for table in tables]
    if len({frozenset(table) for table in tables}) > 1:
        raise Problem('your two dictionaries have different seeds; give both the same ones.')
    return [[table[seed] for seed in tables[0]] for table in tables]
