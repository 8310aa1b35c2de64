"""What make runs, as `python -m commands.NAME`. Ctrl-C is one sentence, also while it imports, which takes seconds."""

import contextlib
import os
import signal
import sys

os.environ.pop('MPLBACKEND', None)  # a notebook's figures are drawn into its page, whatever the shell says
SENTENCE = 'Stopped; nothing was written.'
REST = 'Stopped; what was written before is whole, and the same command writes the rest.'


def stop(*_):
    """End Python at once. An exception may come when a library deletes or imports something, and be lost."""
    os.write(2, f'\n{SENTENCE}\n'.encode())
    os._exit(130)


@contextlib.contextmanager
def stoppable(sentence=SENTENCE):
    """In here Ctrl-C is an exception, for there is something to tidy, which then ends in one sentence."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(f'\n{sentence}')
    finally:
        signal.signal(signal.SIGINT, before)


def too_late():
    """From here on Ctrl-C is not heard, until `stoppable` ends: what is moved now is moved whole."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


if sys.argv[0] == '-m':  # Python is looking for the command; for a module that imports one Ctrl-C stays as it was
    signal.signal(signal.SIGINT, stop)
