"""Where the project's files are, how a file is written, and the one sentence when something is wrong."""

import contextlib
import os
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
BUILD = ROOT / 'build'


class Problem(Exception):
    """Something is wrong with what the user gave; the message is one sentence that says what, and what to do."""

    def _render_traceback_(self):  # Jupyter shows this instead of a stack of frames
        return [str(self)]


@contextlib.contextmanager
def whole(path):
    """A path to write to, which becomes `path` if all goes well and is removed if not: whole or not at all."""
    handle, partial = tempfile.mkstemp('.partial', f'{path.name}.', path.parent)  # a name that nobody else has
    os.close(handle)
    partial = Path(partial)
    try:
        partial.chmod(0o666 & ~umask())  # mkstemp keeps it for the user alone
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def umask():
    """The rights that a new file of this process does not get; there is no way to ask but to set it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
