"""What was measured, and how to measure it again: python -m benchmarks.NAME, from the repository's root."""

import sys

from problem import show


def one_sentence(kind, error, frames):
    """Python's last word on an exception: no frames if it is Ctrl-C, either."""
    if issubclass(kind, KeyboardInterrupt):
        print('\nStopped; the rows that were written are kept.', file=sys.stderr)
    else:
        show(kind, error, frames)


if sys.argv[0] == '-m':  # Python is looking for the benchmark; whoever imports one keeps his own way
    sys.excepthook = one_sentence
