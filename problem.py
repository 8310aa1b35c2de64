"""The one sentence when something is wrong, and the checks that ask for it."""

import math
import sys
from numbers import Integral, Real


class Problem(Exception):
    """Something is wrong with what the user gave; the message is one sentence that says what, and what to do."""

    def _render_traceback_(self):  # Jupyter shows this instead of a stack of frames
        return [str(self)]


def say(text):
    """Print `text`; what the terminal can't show, as in a file's name, becomes an escape."""
    encoding = getattr(sys.stdout, 'encoding', None) or 'utf8'
    print(text.encode(encoding, 'backslashreplace').decode(encoding))


def first_names(names, most=5):
    """'a, b, c, d, e ...': the first of many names."""
    names = sorted(map(str, names))
    return ', '.join(names[:most]) + (' ...' if len(names) > most else '')


def check_number(name, value, least=0, whole=False):
    """Raises Problem unless `value` is a finite number, or with `whole` a whole one, and not below `least`."""
    kind = Integral if whole else Real
    if isinstance(value, bool) or not isinstance(value, kind) or not math.isfinite(value) or value < least:
        what = 'a whole number' if whole else 'a number'
        raise Problem(f'{name} is {value!r}; give {what}, {least} or more.')


def check_classes(classes):
    """Raises Problem unless `classes` is a list of different names; a single text is a list of its letters."""
    classes = None if isinstance(classes, str) else list(classes)
    if not classes or not all(isinstance(name, str) for name in classes) or len({*classes}) < len(classes):
        raise Problem('The classes must be a list of different names; give one such as ["hotdog", "not-hotdog"].')
