"""The one sentence when something is wrong, and the checks that ask for it."""

import heapq
import math
import re
import sys
from collections.abc import Iterable
from numbers import Integral, Real


class Problem(Exception):
    """Something is wrong with what the user gave; the message is one sentence that says what, and what to do."""

    def __init__(self, text):
        super().__init__(one_line(text))

    def _render_traceback_(self):  # Jupyter shows this instead of a stack of frames
        return [str(self)]


def one_line(text, most=490):
    """The text without what would break it or can't be written, as a file's name may have; its middle may be cut."""
    text = re.sub(r'[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]', lambda m: ascii(m[0])[1:-1], str(text))
    head = most * 3 // 5
    return text if len(text) <= most else f'{text[:head]} ... {text[head + 5 - most :]}'


def say(text):
    """Print `text` on one line; what the terminal can't show, as in a file's name, becomes an escape."""
    text, encoding = one_line(text), getattr(sys.stdout, 'encoding', None) or 'utf8'
    print(text.encode(encoding, 'backslashreplace').decode(encoding))


def first_names(names, most=5):
    """'a, b, c, d, e ...': the first of many names; those that are very long are cut."""
    names = [one_line(name, most=80) for name in heapq.nsmallest(most + 1, map(str, names))]
    return ', '.join(names[:most]) + (' ...' if len(names) > most else '')


def check_number(name, value, least=0, whole=False):
    """Raises Problem unless `value` is a finite number, or with `whole` a whole one, and not below `least`."""
    kind = Integral if whole else Real
    if isinstance(value, bool) or not isinstance(value, kind) or not least <= value < math.inf:
        what = 'a whole number' if whole else 'a number'
        raise Problem(f'{name} is {value!r}; give {what}, {least} or more.')


def check_classes(classes):
    """Raises Problem unless `classes` is a list of different names; a single text is a list of its letters."""
    names = [] if isinstance(classes, str) or not isinstance(classes, Iterable) else [*classes]
    if not names or not all(isinstance(name, str) for name in names) or len({*names}) < len(names):
        raise Problem('The classes must be a list of different names; give one such as ["hotdog", "not-hotdog"].')
