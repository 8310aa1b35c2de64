"""Where the project's files are, and how one is written: whole or not at all."""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from problem import Problem

ROOT = Path(__file__).resolve().parent
BUILD = Path(os.environ.get('HOTDOG_BUILD') or ROOT / 'build').resolve()  # tests have one of their own
WITH_A_NAME = {name: ROOT / 'data' / name for name in ('kitchen', 'hotdog')}  # pictures; the latter are downloaded


def user_path(path):
    """The path that the user means: ~ is the home. Raises Problem for what is no path."""
    try:
        return Path(path if path != '' else None).expanduser()  # '' would be the folder that one is in
    except TypeError:
        raise Problem(f'{path!r} is no path; give the name of a file or folder.') from None
    except RuntimeError:  # ~name, and nobody here has that name
        return Path(path)


def folder_of(data):
    """The folder of the pictures `data`: of those that have a name or, for any other, itself. Raises Problem."""
    return WITH_A_NAME[data] if isinstance(data, str) and data in WITH_A_NAME else user_path(data)


def label_of(data):
    """What files about `data` are called: 'kitchen', 'hotdog', or a folder's name with a hash of its path."""
    if data in WITH_A_NAME:
        return data
    path = os.path.realpath(user_path(data))
    return f'{shortened(os.path.basename(path), 100)}-{hashlib.sha1(os.fsencode(path)).hexdigest()[:4]}'


def shortened(name, most):
    """What is UTF-8 of the first bytes of a name: with what is added, no file system has it too long."""
    return os.fsencode(name)[:most].decode('utf8', 'ignore')


def check_no_folder(path):
    """Raises FileExistsError if something is there that is no file."""
    if os.path.lexists(path) and not os.path.isfile(path):
        raise FileExistsError(f'{path.name} is no file, but a folder or device')


@contextlib.contextmanager
def whole(path):
    """A path to write to, which becomes `path` if all goes well and is removed if not: whole or not at all."""
    check_no_folder(path)
    prefix = f'{shortened(path.name, 60)}.'
    handle, partial = tempfile.mkstemp('.partial', prefix, path.parent)  # a name that nobody else has
    os.close(handle)
    partial = Path(partial)
    try:
        yield partial
        partial.chmod(0o666 & ~umask())  # until here it is for the user alone
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def partial_for(folder):
    """A folder beside `folder` for what is not whole yet, which goes away. Raises OSError if it can't be there."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f'{shortened(folder.name, 60)}.'
    return tempfile.TemporaryDirectory(prefix=prefix, suffix='.partial', dir=folder.parent)


def hash_of(path):
    """The SHA-1 of what is in the file. Raises OSError."""
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha1').hexdigest()


def umask():
    """The rights that a new file of this process does not get; there is no way to ask but to set it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
