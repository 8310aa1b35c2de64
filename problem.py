"""The one sentence when something is wrong, and the checks that ask for it."""

import heapq
import math
import os
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


def show(kind, error, frames):
    """What Python calls when an exception ends a program: of a Problem it shows the sentence alone."""
    if issubclass(kind, Problem):
        print(error, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, frames)


sys.excepthook = show


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


def in_words(seconds):
    """'40 s' or '3 min': a time that was foretold."""
    return f'{max(1, round(seconds))} s' if seconds < 100 else f'{round(seconds / 60)} min'


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


def check_px(px):
    """Raises Problem unless pictures can have px x px pixels; with very many the memory would not do."""
    check_number('px', px, 1, whole=True)
    if px > 4096:
        raise Problem(f'px is {px}; give a whole number from 1 to 4096.')


def check_pictures(pictures):
    """Raises Problem unless `pictures` are [(path, class number), ...], one at least."""
    if not isinstance(pictures, (list, tuple)) or not pictures:
        raise Problem('There are no pictures; give a list of (path, class number), such as dataset.train.')
    for picture in pictures:
        if not is_labelled(picture):
            raise Problem(f'{picture!r:.200} is no (path, class number); give a list of such, as dataset.train is.')


def is_labelled(picture):
    """Whether it is (path, class number)."""
    if not isinstance(picture, (list, tuple)) or len(picture) != 2:
        return False
    path, label = picture
    return isinstance(path, (str, os.PathLike)) and isinstance(label, Integral) and -(2**31) <= label < 2**31


def check_network(net):
    """Raises Problem unless `net` is a network with features and an output."""
    if not all(hasattr(net, name) for name in ('collect_params', 'features', 'output')):
        raise Problem(f'{net!r:.100} is no network; give what utils.pretrained or utils.with_new_head returns.')
    if all(param._data is None and not param._deferred_init for param in net.collect_params().values()):
        raise Problem('This network has no weights yet; take utils.pretrained, or give it some: utils.initialize(net).')


def check_colours(net):
    """Raises Problem unless `net` takes pictures and says which colours it expects."""
    if getattr(net, 'is_part', False):
        raise Problem('This is the part of a network above a cut, which takes no pictures; give the whole network.')
    if not hasattr(net, 'mean') or not hasattr(net, 'std'):
        raise Problem('This network does not say which colours it expects; give it a mean and a std of three numbers.')
