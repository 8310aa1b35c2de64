"""What looks at the answers to the exercises of notebook 03."""

from collections.abc import Mapping

import mended_mxnet

import numpy as onp
from mxnet import autograd, np
from scipy.stats import norm

import arms
import utils
from exercises.checks import BLOCKS, call, check_accuracy, check_measured, exercise, number_in, run, whole_network
from exercises.checks_01 import by_hand, check_apart, check_head, one_step
from problem import Problem
from sources.weights import weights_of

# ---- The first eight blocks -----------------------------------------------------------------------------------------


@exercise('3a')
def first_eight(net):
    """A network, trained with its first eight blocks frozen."""
    if isinstance(net, tuple):
        raise Problem('these are a network and the table of its training; give the network, the first of the two.')
    whole_network(net)
    if not net.output.bias.data().any():  # a new layer's are 0
        raise Problem('this network is as new, head and all: it was not trained; `fit` returns the one that was.')
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
FORM = '{5: {"head only": ..., "fine-tuned": ...}, 10: ...}'


@exercise('3b')
def overtakes(table, per_class):
    """{pictures a class: {arm: accuracy on valid}}, and from where on fine-tuning is more than MORE ahead."""
    lead = leads(table)
    if [*lead][:1] != [5] or [*lead] != [5 * 2**i for i in range(len(lead))]:
        raise Problem(f'your table has {[*lead]} pictures a class; begin with 5, and double.')
    for name in ('head only', 'fine-tuned'):
        check_measured('3b', f'with 5 a class, {name}', table[5][name], 'is it the right arm, and of the digits?')
    ahead = [n for n in lead if lead[n] > MORE]
    if not ahead and max(lead) < MOST:
        raise Problem('in your table fine-tuning is never more than 2 points ahead; go on doubling.')
    check_first(per_class, ahead)
    return (
        f'Fine-tuning against the head alone, in points (with so many a class): {said(lead)}. {how_sure(lead, ahead)}'
    )


def leads(table):
    """{pictures a class: by how much fine-tuning leads}. Raises Problem."""
    if not isinstance(table, Mapping) or not all(isinstance(of_arms, Mapping) for of_arms in table.values()):
        raise Problem(f'the table must be of the form {FORM}.')
    if {*table} & {'head only', 'fine-tuned'}:
        raise Problem(f'in your table the arms come first; let the numbers of pictures do: {FORM}.')
    lead = {}
    for n, of_arms in table.items():
        if not {*of_arms} >= {'head only', 'fine-tuned'}:
            raise Problem(f'with {n} a class the table has {[*of_arms]}; measure "head only" and "fine-tuned".')
        for name, value in of_arms.items():
            check_accuracy(f'"{name}" with {n} a class', value)
        lead[n] = of_arms['fine-tuned'] - of_arms['head only']
    return lead


def check_first(per_class, ahead):
    """Raises Problem unless it is the first of those numbers where fine-tuning is ahead, or 'never'."""
    if per_class == (ahead[0] if ahead else 'never'):
        return
    if not ahead:
        raise Problem('in your table fine-tuning is never more than 2 points ahead; so `overtaken` is "never".')
    if per_class == 'never':
        raise Problem('there is a place in your table where fine-tuning leads by more than 2 points; look again.')
    if isinstance(per_class, str):
        raise Problem(f'{per_class!r:.50} is a text; give the number of pictures a class, without quotes.')
    raise Problem(
        f'in your table {per_class} pictures a class are not the first place where fine-tuning leads by more than 2 '
        'points.'
    )


def said(lead):
    return ', '.join(f'{100 * points:+.1f} ({n})' for n, points in lead.items())


def how_sure(lead, ahead):
    """What this table alone can't say."""
    num_valid = len(arms.digits().valid)
    sure = f'It is one seed, and 2 points are {MORE * num_valid:.0f} of {num_valid} pictures.'
    later = [points for n, points in lead.items() if ahead and n > ahead[0]]
    if not later:
        return f'{sure} Go on to {MOST} a class: does it stay? 3c asks how sure such a gain is.'
    stays = 'stays so in your table' if min(later) > MORE else 'does not stay so in your table'
    return f'{sure} After {ahead[0]} it {stays}. 3c asks how sure such a gain is.'


# ---- Is the difference real? ----------------------------------------------------------------------------------------


SIZES, ERRORS = range(1000, 1800, 100), 1.96  # pictures; standard errors to a limit, since so many are nearly normal


@exercise('3c')
def bootstrap(limits_of_gain):
    """A function (right_a, right_b) -> (low, high): between which 95 % of the resampled gains of a over b lie."""
    rng, distances = onp.random.default_rng(5), []
    pairs = [made_up(rng, n) for n in SIZES]
    found = [numbers_of(run(limits_of_gain, *pair)) for pair in pairs]
    if found.count(found[0]) == len(found):
        raise Problem('your function gives the same limits whatever it is given; does it use `right_a` and `right_b`?')
    for (right_a, right_b), (low, high) in zip(pairs, found):
        gain = right_a.astype(float) - right_b
        error = gain.std() / len(gain) ** 0.5
        check_limits(low, high, gain.mean(), error, len(gain))
        distances.append([(gain.mean() - low) / error, (high - gain.mean()) / error])
    check_share(*onp.mean(distances, 0))
    return f'On {len(SIZES)} pairs of made-up arms its limits are right; the last pair: {low:.3f} to {high:.3f}.'


def made_up(rng, n):
    """(right_a, right_b) of n pictures: a is better or worse by a few points, and mostly right where b is."""
    right_b = rng.random(n) < rng.uniform(0.7, 0.9)
    return right_b ^ (rng.random(n) < onp.where(right_b, rng.uniform(0.01, 0.1), 0.4)), right_b


def numbers_of(found):
    """Both limits as numbers. Raises Problem."""
    if onp.shape(found) != (2,):
        raise Problem('your function must return two numbers, low and high.')
    return [number_in('one of your limits', limit) for limit in found]


def check_limits(low, high, mean, error, n):
    """Raises Problem, with a hint, unless both limits are where those of the gain of n pictures are."""

    def near(low, high):
        """Roughly: within eight times what chance makes of a thousand draws."""
        return max(abs(mean - low - ERRORS * error), abs(high - mean - ERRORS * error)) < 0.7 * error

    if near(low, high):
        return
    if low > high:
        raise Problem('low is above high; give the smaller one first.')
    if near(low / 100, high / 100):
        raise Problem('these are points; give shares, a point is 0.01.')
    if near(low / n, high / n):
        raise Problem('these are counts of pictures; divide by how many there are, since the gain is a share.')
    if near(-high, -low):
        raise Problem('the sign is the other way round: the gain is of a over b, a minus b.')
    if {low, high} <= {-1, 0, 1} and low < high:
        raise Problem('these are percentiles of single pictures; take those of the gains, one number for each draw.')
    check_wide(low, high, error)
    raise Problem(
        f'on made-up arms, with a gain of {mean:.3f}, your limits are {low:.3f} and {high:.3f}, and off; take the '
        'percentiles 2.5 and 97.5 of the gains of all draws.'
    )


def check_wide(low, high, error):
    width = (high - low) / (2 * ERRORS * error)
    if width < 0.2:
        raise Problem('all your draws give nearly the same; draw with replacement, as many pictures as there are.')
    if width > 1.4:
        raise Problem('your interval is too wide; both arms saw the same pictures, so draw the same ones for both.')


def check_share(below, above):
    """Raises Problem unless the limits, in the mean so many errors below and above the gain, leave 2.5 % out each.

    A thousand draws are right to 0.03 errors in the mean, and 5 % would be 0.3 off.
    """
    if max(abs(below - ERRORS), abs(above - ERRORS)) > 0.16:
        raise Problem(
            f'about {norm.sf(below):.1%} of the gains lie below your low, and {norm.sf(above):.1%} above your high; it '
            'should be 2.5 % each.'
        )


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
            f'on valid it gets {valid:.3f}, and 0.95 is asked for; was the head given its time, and its batches in '
            'random order (train=True)? As the digits lie, one class comes after the other. Or fit the head to its '
            'end, as notebook 01 does.'
        )
    return f'On valid it gets {valid:.3f}, and not one of the {BLOCKS} blocks below the head has moved.'


# ---- Find the mistake -----------------------------------------------------------------------------------------------


@exercise('3e')
def not_shared(target):
    """A function (source, classes) -> a target network that shares nothing with the source."""
    source = utils.pretrained()
    before = weights_of(source)
    net = run(target, source, ['a', 'b', 'c'])
    check_apart(net, source, before)
    check_head(net, ['a', 'b', 'c'])
    table = arms.what_was_copied(net, source).drop(BLOCKS)
    if (table.weights == 'new').any():
        raise Problem('some blocks are not as in the source network; they should be copies.')
    one_step(net)
    return 'The new network learns, and the source stays as it is.'


@exercise('3f')
def stands_still(freeze_first):
    """A function (net, num_frozen) that freezes the first blocks, weights and statistics, and lets the others learn."""
    for num_frozen in (8, 6):
        net = utils.with_new_head(utils.pretrained(), ['a', 'b', 'c'])
        with by_hand(freeze_first):
            call(freeze_first, net, num_frozen)
        check_still(net, num_frozen, one_step(net))
    return 'With 8 and with 6 all that is frozen stands still, and the rest learns.'


def check_still(net, num_frozen, moved):
    """Raises Problem unless the first blocks stand still, and the others have moved."""
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
    check_rest_learns(net, num_frozen, moved)
    X = np.random.normal(size=(8, 3, 32, 32))
    with autograd.record():
        in_training = net.features[:num_frozen](X)
    if not abs(in_training - net.features[:num_frozen](X)).max() <= 1e-3:  # NaN is none
        raise Problem(
            'nothing moves, but in training the frozen blocks give other numbers than in use: their BatchNorms take '
            'the mean of the batch; see utils.fix_statistics.'
        )


def check_rest_learns(net, num_frozen, moved):
    blocks = {int(name.split('.')[1]) for name in moved if name.startswith('features')}
    asleep = [i for i in range(num_frozen, BLOCKS) if len(net.features[i].collect_params().keys()) and i not in blocks]
    if asleep:
        names = ', '.join(map(str, asleep))
        raise Problem(f'with num_frozen = {num_frozen} one step does not move block {names}, which should learn.')
    if not any(name.startswith('output') for name in moved):
        raise Problem(f'with num_frozen = {num_frozen} the head does not learn any more.')


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
    other = onp.asarray(run(shuffled, X.copy(), y.copy(), onp.random.default_rng(4))[1])
    if [*other] == [*y_found]:
        raise Problem('the order is the same whatever rng is; take it from rng.')
    return 'Every label is beside its picture, in a new order.'
