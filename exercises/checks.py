"""What looks at an answer: check('1a', answer) says that it is right, or in one sentence what is off.

The looking is in checks_01.py, checks_02.py and checks_03.py. Where an accuracy can't tell, since the seed moves it by
points, they look at what was done: which weights moved, what the student's own table says, what a function gives.
"""

import functools
import importlib
import inspect
import math
import traceback
import warnings
from collections.abc import Mapping
from numbers import Real

import mended_mxnet

import numpy as onp
import pandas as pd
from mxnet import gluon, np

import utils
from benchmarks.table import Table
from files import ROOT
from problem import Problem

CHECKS = {}  # {name of an exercise: the function that looks at its answers and returns what to say if they are right}
MEASURED = ROOT / 'benchmarks' / 'answers.csv'
SETTINGS = ['exercise', 'what', 'seed', 'instructions', 'parameters']
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
    check_number_of_answers(name, look, answers)
    if any(answer is None for answer in answers):
        raise Problem(f'{name}: there is no answer yet; fill in the cell above, run it, and then this one.')
    try:
        with warnings.catch_warnings(action='ignore'):  # nbgrader takes a warning for a wrong answer
            praise = look(*answers)
    except Problem as problem:
        raise Problem(f'{name}: {problem}') from None
    except KeyboardInterrupt:
        raise Problem(f'{name}: stopped; the answer was not looked at to its end, so run this cell again.') from None
    except Exception:  # whatever is in an answer
        raise Problem(
            f'{name}: this answer has another form than the exercise asks for; the comments and the first lines of the '
            'cell as it came to you show which.'
        ) from None
    print(f'{name} is right. {praise}')


def check_number_of_answers(name, look, answers):
    wanted = len(inspect.signature(look).parameters)
    if len(answers) != wanted:
        raise Problem(
            f'{name}: after the name `check` takes {wanted} and got {len(answers)}; the cell as it came has them all, '
            'separated by commas.'
        )


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
    if not callable(function) or isinstance(function, gluon.Block):
        raise Problem('this must be the function itself, without parentheses and arguments.')
    try:
        return function(*args)
    except Problem:  # it says what is wrong
        raise
    except NotImplementedError:
        raise Problem('there is no code yet; write the lines in place of "YOUR CODE HERE".') from None
    except KeyboardInterrupt:
        raise Problem('your function was stopped before it gave anything; is there a loop that never ends?') from None
    except SystemExit:
        raise Problem('your function ends Python, with exit() or the like; let it return its answer.') from None
    except Exception as error:  # whatever they wrote
        raise Problem(stops_with(function, error)) from None


def stops_with(function, error):
    """A sentence about the error that a student's function stops with: which one, in which line of theirs."""
    code = getattr(function, '__code__', None)
    frames = traceback.extract_tb(error.__traceback__)
    frames = [frame for frame in frames if code and frame.filename == code.co_filename]
    line = f' in the line `{frames[-1].line:.80}`' if frames and frames[-1].line else ''
    said = f'on something that it has not seen, your function stops with {type(error).__name__} ({error!s:.150}){line}'
    if isinstance(error, (NameError, LookupError)):
        return f'{said}; does it use a name or a number of this notebook, and not only its arguments?'
    return f'{said}.'


def whole_network(net):
    """Raises Problem unless `net` has the source network's parts; afterwards the shapes of its weights are known."""
    if not hasattr(net, 'features') or not hasattr(net, 'output'):
        raise Problem(f'this is a {type(net).__name__}; give the network.')
    if len(net.features) != BLOCKS:
        raise Problem(f'this network has {len(net.features)} blocks, and the source {BLOCKS}; give the whole of it.')
    net(np.zeros((1, 3, 32, 32)))


# ---- Accuracies that a student measured -----------------------------------------------------------------------------


def as_dict(table):
    """The dictionary or Series as a dictionary. Raises Problem."""
    if not isinstance(table, (Mapping, pd.Series)):
        raise Problem(f'the table is a {type(table).__name__}; make it a dictionary, as the comment in the cell shows.')
    return dict(table)


def accuracies(table, least=1):
    """{setting: accuracy} of a dictionary or a Series, in its order. Raises Problem."""
    table = as_dict(table)
    if len(table) < least:
        raise Problem(f'the table has {len(table)} entries; the exercise asks for {least} at least.')
    return {setting: check_accuracy(f'the accuracy at {setting}', value) for setting, value in table.items()}


def several(name, values, least):
    """So many accuracies or more, as a list. Raises Problem."""
    if isinstance(values, (str, Mapping)) or not hasattr(values, '__len__') or onp.ndim(values) != 1:
        raise Problem(f'{name} there is {values!r:.50}; give all {least} accuracies, as a list.')
    if len(values) < least:
        raise Problem(f'{name} there are {len(values)} accuracies; the exercise asks for {least}.')
    return [check_accuracy(f'an accuracy {name}', value) for value in values]


def check_accuracy(name, value):
    """The accuracy as a number from 0 to 1. Raises Problem."""
    value = number_in(name, value)
    if not 0 <= value <= 1:
        raise Problem(f'{name} is {value:g}; give it as a share, between 0 and 1.')
    return value


def number_in(name, value):
    """The finite number, which may be a NumPy array without an axis. Raises Problem; NaN is none."""
    if getattr(value, 'shape', None) == () and hasattr(value, 'item'):
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise Problem(f'{name} is {value!r:.50}; give a number.')
    return value


def check_stopped(table, setting):
    """Raises Problem if the table goes on after the setting at which the rule says stop."""
    if [*table][-1] != setting:
        raise Problem(f'{setting} is right, but your table goes on to {[*table][-1]}; the rule says to stop there.')


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
    """Between which an accuracy must lie, after all that was measured. Raises Problem if nothing was."""
    values = Table(MEASURED, SETTINGS).rows(exercise=name, what=what).value
    if len(values) < 2:
        raise Problem('What others measured is not there; get it back with: git checkout -- benchmarks/answers.csv')
    return around(values)


def around(values):
    """Twice the prediction interval of one run: once would refuse one right answer of 20."""
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
        raise Problem(f'{value:.3f} ({what}) is {side} than our runs make likely; {hint}')
