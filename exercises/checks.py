"""What looks at an answer: check('1a', answer) says that it is right, or in one sentence what is off.

The looking is in checks_01.py, checks_02.py and checks_03.py. Where an accuracy can't tell, since the seed moves it by
points, they look at what was done: which weights moved, what the student's own table says, what a function gives.
"""

import functools
import importlib
import warnings
from collections.abc import Mapping
from numbers import Real

import mended_mxnet

import pandas as pd
from mxnet import np

import utils
from benchmarks.table import Table
from files import ROOT
from problem import Problem

CHECKS = {}  # {name of an exercise: the function that looks at its answers and returns what to say if they are right}
MEASURED, SETTINGS = ROOT / 'benchmarks' / 'answers.csv', ['exercise', 'what', 'seed', 'parameters']
BLOCKS = 13  # of `features` of the source network
SLACK = 0.01  # an accuracy may be off by that, since processors round differently


def exercise(name):
    """Decorates the function that looks at the answers to exercise `name`."""

    def keep(look):
        CHECKS[name] = look
        return look

    return keep


def check(name, *answers):
    """Print that the answers to an exercise are right. Raises Problem, with one sentence, if they are not."""
    look = look_of(name)
    if any(answer is None for answer in answers):
        raise Problem(f'{name}: there is no answer yet; fill in the cell above, run it, and then this one.')
    try:
        with warnings.catch_warnings(action='ignore'):  # nbgrader takes a warning for a wrong answer
            praise = look(*answers)
    except Problem as problem:
        raise Problem(f'{name}: {problem}') from None
    except Exception as error:  # whatever is in an answer
        what = f'{type(error).__name__}: {error}'
        raise Problem(f'{name}: this answer has another form than the exercise asks for ({what}); see there.') from None
    print(f'{name} is right. {praise}')


def look_of(name):
    """The function that looks at the answers to exercise `name`. Raises Problem."""
    for number in '123':
        importlib.import_module(f'exercises.checks_0{number}')
    if name not in CHECKS:
        raise Problem(f'There is no exercise {name!r}; the cell as it came says which one it is.')
    return CHECKS[name]


# ---- Code that a student wrote --------------------------------------------------------------------------------------


def run(function, *args):
    """What function(*args) gives. Raises Problem if it is no function, stops with an error or gives nothing."""
    result = call(function, *args)
    if result is None:
        raise Problem('your function gives None; write its lines, and let the last one return something.')
    return result


def call(function, *args):
    """The same for a function that need not give anything."""
    if not callable(function):
        raise Problem('this must be the function itself, without parentheses and arguments.')
    try:
        return function(*args)
    except Problem:  # it says what is wrong
        raise
    except NotImplementedError:
        raise Problem('there is no code yet; write the lines in place of "YOUR CODE HERE".') from None
    except Exception as error:  # whatever they wrote
        raise Problem(
            f'on something that it has not seen, your function stops with {type(error).__name__} ({error}); does it '
            'use a name or a number of this notebook, and not only its arguments?'
        ) from None


def whole_network(net):
    """Raises Problem unless `net` has the source network's parts; afterwards the shapes of its weights are known."""
    if not hasattr(net, 'features') or not hasattr(net, 'output'):
        raise Problem(f'this is a {type(net).__name__}; give the network.')
    if len(net.features) != BLOCKS:
        raise Problem(f'this network has {len(net.features)} blocks, and the source {BLOCKS}; give the whole of it.')
    net(np.zeros((1, 3, 32, 32)))


# ---- Accuracies that a student measured -----------------------------------------------------------------------------


def accuracies(table, least=1):
    """{setting: accuracy} of a dictionary or a Series, in its order. Raises Problem."""
    if not isinstance(table, (Mapping, pd.Series)):
        raise Problem(f'the table is a {type(table).__name__}; make it a dictionary, {{setting: accuracy}}.')
    table = dict(table)
    if len(table) < least:
        raise Problem(f'the table has {len(table)} entries; the exercise asks for {least} at least.')
    for setting, accuracy in table.items():
        check_accuracy(f'the accuracy at {setting}', accuracy)
    return table


def check_accuracy(name, value):
    if isinstance(value, bool) or not isinstance(value, Real):
        raise Problem(f'{name} is {value!r:.50}; give a number, such as history.valid.max().')
    if not 0 <= value <= 1:
        raise Problem(f'{name} is {value:g}; give it as a share, between 0 and 1.')


def first_fall(table, fall=0.05):
    """The first setting of {setting: accuracy} that is more than `fall` below the best before it, or None."""
    best = 0
    for setting, accuracy in table.items():
        if accuracy < best - fall:
            return setting
        best = max(best, accuracy)
    return None


@functools.cache
def limits(name, what):
    """Between which an accuracy must lie: twice the prediction interval of one run, after those of five seeds.

    Twice, since once would refuse one right answer of 20. Raises Problem if nothing was measured.
    """
    rows = Table(MEASURED, SETTINGS).rows(exercise=name, what=what)
    values = rows[rows.seed.isin([str(seed) for seed in range(5)])].value
    if len(values) < 2:
        raise Problem('What others measured is not there; get it back with: git checkout -- benchmarks/answers.csv')
    low, high = utils.prediction_interval(values)
    half = (high - low) + SLACK
    return max(0, values.mean() - half), min(1, values.mean() + half)


def fits(name, what, value):
    """Whether an accuracy may be one of those that were measured as `what`."""
    low, high = limits(name, what)
    return low <= value <= high


def check_measured(name, what, value, hint):
    """Raises Problem, with a hint, unless an accuracy may be one of those that were measured as `what`."""
    if not fits(name, what, value):
        side = 'more' if value > limits(name, what)[1] else 'less'
        raise Problem(f'{value:.3f} ({what}) is {side} than any seed gives; {hint}')
