"""What looks at the answers to the exercises of notebook 03."""

import mended_mxnet

import numpy as onp
from mxnet import autograd, np

import arms
import utils
from exercises.checks import BLOCKS, call, check_accuracy, check_measured, exercise, run, whole_network
from exercises.checks_01 import moved_in_a_step
from problem import Problem
from sources.weights import weights_of

# ---- The first eight blocks -----------------------------------------------------------------------------------------


@exercise('3a')
def first_eight(net):
    """A network, trained with its first eight blocks frozen."""
    if isinstance(net, tuple):
        raise Problem('these are a network and the table of its training; give the network, the first of the two.')
    whole_network(net)
    table = arms.what_was_copied(net, utils.pretrained()).drop(BLOCKS)
    still = [*table.index[table.weights == 'copied']]
    if still == [*table.index]:
        raise Problem('no block below the head has moved: all of them are frozen.')
    if not still:
        raise Problem('every block has moved: nothing was frozen.')
    first = min(i for i in table.index if i not in still)
    if first != 8:
        raise Problem(
            f'the first block that moved is number {first}, {table.block[first]}; they are counted from 0, so which is '
            'the first one that may move if eight stand still?'
        )
    if max(still) > 8:
        raise Problem(f'block {max(still)} has not moved; all from the ninth on should train.')
    return 'Eight blocks are as they were, weights and statistics; those above have moved.'


# ---- How few are few? -----------------------------------------------------------------------------------------------

MORE, MOST = 0.02, 80


@exercise('3b')
def overtakes(table, per_class):
    """{pictures a class: {arm: accuracy on valid}}, and from where on fine-tuning is more than MORE ahead."""
    lead = {}
    for n, of_arms in table.items():
        if {*of_arms} < {'head only', 'fine-tuned'}:
            raise Problem(f'with {n} a class the table has {[*of_arms]}; measure "head only" and "fine-tuned".')
        for name, value in of_arms.items():
            check_accuracy(f'"{name}" with {n} a class', value)
        lead[n] = of_arms['fine-tuned'] - of_arms['head only']
    if [*lead][:1] != [5] or [*lead] != [5 * 2**i for i in range(len(lead))]:
        raise Problem(f'your table has {[*lead]} pictures a class; begin with 5, and double.')
    for name in ('head only', 'fine-tuned'):
        check_measured('3b', f'with 5 a class, {name}', table[5][name], 'is it the right arm, and the likeness digits?')
    ahead = [n for n in lead if lead[n] > MORE]
    if not ahead and max(lead) < MOST:
        raise Problem('in your table fine-tuning is never more than 2 points ahead; go on doubling.')
    if per_class != (ahead[0] if ahead else 'never'):
        raise Problem(
            f'in your table {per_class} is not the first place where fine-tuning leads by more than 2 points.'
        )
    said = ', '.join(f'{100 * points:+.1f}' for points in lead.values())
    return f'Fine-tuning against the head alone: {said} points.'


# ---- Is the difference real? ----------------------------------------------------------------------------------------


@exercise('3c')
def bootstrap(limits_of_gain):
    """A function (right_a, right_b) -> (low, high): between which 95 % of the resampled gains of a over b lie."""
    rng = onp.random.default_rng(5)
    right_b = rng.random(500) < 0.8
    right_a = right_b ^ (rng.random(500) < onp.where(right_b, 0.02, 0.4))
    found = run(limits_of_gain, right_a, right_b)
    if len(found) != 2:
        raise Problem('your function must return two numbers, low and high.')
    expected = bounds(right_a, right_b)
    low, high = map(float, found)
    if near((low, high), expected):
        return f'On two made-up arms it gives {low:.3f} to {high:.3f}.'
    if low > high:
        raise Problem('low is above high; give the smaller one first.')
    if near((low / 100, high / 100), expected):
        raise Problem('these are points; give shares, a point is 0.01.')
    if near((-high, -low), expected):
        raise Problem('the sign is the other way round: the gain is of a over b, a minus b.')
    if high - low < 0.2 * (expected[1] - expected[0]):
        raise Problem('all your draws give nearly the same; draw with replacement, as many pictures as there are.')
    if high - low > 1.3 * (expected[1] - expected[0]):
        raise Problem('your interval is too wide; both arms saw the same pictures, so draw the same ones for both.')
    raise Problem(
        'on two made-up arms your limits are off; take the percentiles 2.5 and 97.5 of the means of each draw.'
    )


def bounds(right_a, right_b):
    gain = right_a.astype(float) - right_b
    return arms.limits(arms.resampled(gain[None]))


def near(found, expected):
    """Whether two intervals are the same within what chance makes of a few hundred draws."""
    width = expected[1] - expected[0]
    return max(abs(a - b) for a, b in zip(found, expected)) < 0.2 * width


# ---- A claim to break -----------------------------------------------------------------------------------------------

GOOD = 0.95


@exercise('3d')
def head_can_read(net):
    """A network whose `features` are the source's, and which reads digits."""
    whole_network(net)
    table = arms.what_was_copied(net, utils.pretrained()).drop(BLOCKS)
    moved = [*table.block[table.weights == 'new']]
    if moved:
        raise Problem(f'{len(moved)} blocks below the head have moved, as {moved[0]}; the claim is of a head alone.')
    dataset = arms.digits()
    if net.output.weight.shape[0] != len(dataset.classes):
        raise Problem(f'the head has {net.output.weight.shape[0]} outputs, and there are ten digits.')
    batches = utils.batches(dataset.valid, net, arms.PX['different'], 100)
    valid = utils.accuracy(*utils.predictions(net, batches))
    if valid < 0.2:
        raise Problem(f'on valid the network gets {valid:.3f}, as one that guesses; was the head trained, at this px?')
    if valid < GOOD:
        raise Problem(
            f'on valid it gets {valid:.3f}, and 0.95 is asked for; was the head given its time? Think of what notebook '
            '02 does with "the same layer, fitted to its end".'
        )
    return f'On valid it gets {valid:.3f}, and not one of the {len(table)} blocks below the head has moved.'


# ---- Find the mistake -----------------------------------------------------------------------------------------------


@exercise('3e')
def not_shared(target):
    """A function (source, classes) -> a target network that shares nothing with the source."""
    source = utils.pretrained()
    before = weights_of(source)
    net = run(target, source, ['a', 'b', 'c'])
    whole_network(net)
    if net.output.weight.shape[0] != 3:
        raise Problem(f'for three classes the network has {net.output.weight.shape[0]} outputs.')
    table = arms.what_was_copied(net, source).drop(BLOCKS)
    if (table.weights == 'new').any():
        raise Problem('some blocks are not as in the source network; they should be copies.')
    one_step(net)
    changed = [name for name, array in weights_of(source).items() if not onp.array_equal(before[name], array)]
    if changed:
        raise Problem(
            f'one step of the new network has changed {len(changed)} arrays of the source: what do both hold?'
        )
    return 'The new network learns, and the source stays as it is.'


def one_step(net):
    X, y = np.random.normal(size=(8, 3, 32, 32)), np.array([0, 1, 2, 0, 1, 2, 0, 1])
    return moved_in_a_step(net, X, y, lr=0.01)


@exercise('3f')
def stands_still(freeze_first):
    """A function (net, num_frozen) that freezes the first blocks, weights and statistics, and lets the others learn."""
    for num_frozen in (8, 6):
        net = utils.with_new_head(utils.pretrained(), ['a', 'b', 'c'])
        call(freeze_first, net, num_frozen)
        check_still(net, num_frozen, one_step(net))
    return 'With 8 and with 6 all that is frozen stands still, and the rest learns.'


def check_still(net, num_frozen, moved):
    """Raises Problem unless the first blocks stand still, and the others have moved."""
    blocks = {int(name.split('.')[1]) for name in moved if name.startswith('features')}
    frozen_ones = [name for name in moved if name.startswith('features') and int(name.split('.')[1]) < num_frozen]
    weights = [name for name in frozen_ones if 'running' not in name]
    if any(name.endswith('weight') for name in weights):
        raise Problem(f'with num_frozen = {num_frozen} some of the first blocks still learn, as {weights[0]}.')
    if weights:
        raise Problem(
            f'with num_frozen = {num_frozen} one step moves {len(weights)} arrays that should stand still, as '
            f'{weights[0]}: not all that learns is called "weight".'
        )
    if frozen_ones:
        raise Problem(f'no weight moves, but statistics do, as {frozen_ones[0]}; who moves them, and who stops that?')
    if {8, 9} - blocks:
        raise Problem(f'with num_frozen = {num_frozen} the blocks above do not learn any more.')
    X = np.random.normal(size=(8, 3, 32, 32))
    with autograd.record():
        in_training = net.features[:num_frozen](X)
    if abs(in_training - net.features[:num_frozen](X)).max() > 1e-3:
        raise Problem(
            'nothing moves, but in training the frozen blocks give other numbers than in use: their BatchNorms take '
            'the mean of the batch; see utils.fix_statistics.'
        )


@exercise('3g')
def belong_together(shuffled):
    """A function (X, y, rng) -> (X, y) in random order, each label still beside its picture."""
    y = onp.arange(101)
    X = onp.stack([y, y**2], 1)
    found = run(shuffled, X.copy(), y.copy(), onp.random.default_rng(3))
    if len(found) != 2 or len(found[0]) != len(found[1]):
        raise Problem('your function must return X and y, equally long.')
    X_found, y_found = map(onp.asarray, found)
    if sorted(y_found) != [*y]:
        raise Problem(f'of {len(y)} pictures {len({*y_found})} come back; none should be lost.')
    right = (X_found[:, 0] == y_found).mean()
    if right < 1:
        raise Problem(f'{right:.0%} of the labels are beside their picture; X and y must be taken in one order.')
    if [*y_found] == [*y]:
        raise Problem('the pictures come back in the order in which they came; it should be random.')
    return 'Every label is beside its picture, in a new order.'
