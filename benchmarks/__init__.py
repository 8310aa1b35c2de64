"""What was measured, and how to measure it again: python -m benchmarks.NAME, from the repository's root."""

import sys

from problem import Problem


def one_sentence(kind, error, frames):
    """Python's last word on an exception: no frames if it is Ctrl-C or a Problem."""
    if issubclass(kind, KeyboardInterrupt):
        print('\nStopped; the rows that were written are kept.', file=sys.stderr)
    elif issubclass(kind, Problem):
        print(error, file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, frames)


if sys.argv[0] == '-m':  # Python is looking for the benchmark; whoever imports one keeps his own way
    sys.excepthook = one_sentence
