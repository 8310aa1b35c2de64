"""Arrays of float32 on disk, each computed once: a folder that holds so many bytes, from which what is old goes."""

import contextlib
import fcntl
import io
import math
import os
import re
import shutil
import stat
import time

import numpy as onp

from files import check_no_folder, whole
from problem import say

CAP = 2 * 10**9  # bytes that the folder may hold
DAY = 24 * 3600
NAME = r'[0-9a-f]{40}\.npy'  # of a file in it


def keep(path, shape, rows_from):
    """Write the array of `shape` to `path`, and return it; None if it can't be kept. rows_from(i) yields row i, ..."""
    try:
        make_room(path.parent, size_of(shape) - size_begun(path))
        write_array(path, shape, rows_from)
        make_room(path.parent, 0)  # of what another process wrote meanwhile
    except OSError as error:
        removed(path)  # the disk may not have taken all of it
        say(
            f'What the frozen part gives is not kept, but computed anew each time ({error}); free some space, cut '
            'later or take fewer pictures to have it once.'
        )
        return None
    return read_array(path, shape)


def begun(path):
    """Where what is written of it lies until it is whole."""
    return path.with_name(f'{path.name}.begun.partial')


def size_begun(path):
    """How many bytes of it are there already."""
    try:
        return begun(path).stat().st_size
    except OSError:
        return 0


def size_of(shape):
    """The bytes of an array of that shape in float32."""
    return 4 * math.prod(shape)


def read_array(path, shape):
    """The array in the file, on disk and not in memory; None if it is not there, or not one of float32 in `shape`."""
    try:
        if not path.is_file():
            return None
        X = onp.lib.format.open_memmap(path, mode='r')
    except Exception:  # whatever its bytes are
        return None
    with contextlib.suppress(OSError):  # another user's
        os.utime(path)  # just used: it will be the last to be removed
    return X if X.shape == shape and X.dtype == '<f4' and X.flags.c_contiguous else None


def files_of_ours(folder, pattern):
    """[(time of the last use, bytes, path), ...] in it; no folder, no link, nothing of another kind of name."""
    found = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            facts = path.lstat()
            if stat.S_ISREG(facts.st_mode) and re.fullmatch(pattern, path.name):
                found.append((facts.st_mtime, facts.st_size, path))
    return sorted(found)


def make_room(folder, size):
    """Make room for so many bytes: the files not used for longest go. Raises OSError if that's not enough.

    What somebody is writing stays, and so does what isn't ours.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for used, _, path in files_of_ours(folder, NAME + r'\.\w+\.partial'):
        if time.time() - used > DAY:  # whoever wrote it was killed
            removed(path)
    files = files_of_ours(folder, NAME)
    total = sum(used for _, used, _ in files)
    room = min(CAP, shutil.disk_usage(folder).free + total)
    if size <= room:
        for _, freed, path in files:
            if size + total > room and removed(path):
                total -= freed
    if size + total > room:
        raise OSError(f'it takes {size / 1e9:.2g} GB, and the cache {folder} holds {room / 1e9:.2g} GB')


def removed(path):
    """Remove a file; whether it is gone now, for another user's may have to stay."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        return True
    return False


def write_array(path, shape, rows_from):
    """Write the array of `shape` to `path`: whole or not at all, and never all in memory.

    What a run that was stopped has written is not computed again. Raises OSError.
    """
    check_no_folder(path)
    partial = begun(path)
    with open(partial, 'a+b') as file:
        if not is_ours_alone(file, partial):
            return write_beside(path, shape, rows_from)
        try:
            append(file, shape, rows_from)
            partial.replace(path)
        except OSError:
            removed(partial)
            raise
        except BaseException:
            if not num_rows(file, shape):  # to go on with
                removed(partial)
            raise


def write_beside(path, shape, rows_from):
    """The same where another process is writing: whoever is first need not wait, nor does who is second."""
    with whole(path) as partial, open(partial, 'a+b') as file:
        append(file, shape, rows_from)


def is_ours_alone(file, path):
    """Whether no other process writes to the file, and none has given it another name since it was opened."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    except OSError:  # or there are no locks on this disk
        return False


def append(file, shape, rows_from):
    """Write those rows to a file that are not in it."""
    head = header(shape)
    file.seek(0)
    if file.read(len(head)) != head:
        file.truncate(0)
        file.write(head)
    whole_rows = num_rows(file, shape)
    file.truncate(len(head) + whole_rows * size_of(shape[1:]))  # the last one may not be whole
    for row in rows_from(whole_rows):
        file.write(row.tobytes())
    file.flush()


def num_rows(file, shape):
    """How many whole rows are in it."""
    return max(0, file.seek(0, os.SEEK_END) - len(header(shape))) // size_of(shape[1:])


def header(shape):
    """The bytes that come before the numbers."""
    file = io.BytesIO()
    onp.lib.format.write_array_header_1_0(file, {'descr': '<f4', 'fortran_order': False, 'shape': shape})
    return file.getvalue()
