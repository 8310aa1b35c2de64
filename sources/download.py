"""Files from the net: from the first address that has one, verified, whole or not at all; else one sentence."""

import contextlib
import os
import time
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pooch
import requests
from tqdm.auto import tqdm
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError

from files import user_path
from problem import Problem

CACHE = pooch.os_cache('hotdog')
PATIENCE = 20  # seconds that a server may be silent
SLOWEST = 1000  # bytes a second, over so many seconds: a server that sends less may as well be silent

pooch.get_logger().setLevel('WARNING')  # the bar says it


class File(NamedTuple):
    """What a file is called here, its hash as pooch takes it, and the addresses that have it, the best first."""

    name: str
    known_hash: str
    addresses: tuple


class Failed(requests.RequestException):
    """An address doesn't give what it should; the message is a few words."""


def folders():
    """Where a file of weights may lie on this machine: in the user's cache, and on what HOTDOG_WEIGHTS names."""
    own = os.environ.get('HOTDOG_WEIGHTS', '')
    return [CACHE, *([user_path(own)] if own and '://' not in own else [])]


def fetch(file, folder=None):
    """The path of the file in `folder` (or the user's cache), downloaded if it is not there; verified in any case.

    The folder or address in HOTDOG_WEIGHTS is looked at before the net. Raises Problem.
    """
    folder = Path(folder or CACHE)
    own = os.environ.get('HOTDOG_WEIGHTS')
    addresses = [f'{own.rstrip("/")}/{file.name}', *file.addresses] if own else file.addresses
    failed = []
    for address in addresses:
        try:
            return pooch.retrieve(address, file.known_hash, file.name, folder, None, partial(stream, file.name))
        except (requests.RequestException, HTTPError, ValueError) as error:
            failed.append(f'{address} ({reason(error)})')
        except OSError as error:
            why = error.strerror or type(error).__name__
            raise Problem(f'{folder / file.name} could not be written ({why}); free some space or mend it.') from None
    path = folder / file.name
    there = 'what you have there is another file or cut off; ' if path.is_file() else ''
    raise Problem(
        f'{file.name} could not be downloaded from {", nor from ".join(failed)}; {there}download it by hand and keep '
        f'it as {path}.'
    )


def reason(error):
    """Why an address failed, in a few words."""
    match error:
        case requests.HTTPError(response=response):
            return f'{response.status_code} {response.reason}'
        case Failed():
            return str(error)
        case requests.Timeout() | ReadTimeoutError():
            return 'no answer'
        case ProtocolError():
            return 'cut off'
        case requests.RequestException() | HTTPError():
            return type(error).__name__
        case _:
            return 'it gives another file'


def stream(name, address, path, _):
    """Write what is at the address to `path`, with a progress bar. Raises RequestException, HTTPError or OSError."""
    with opened(address) as (source, size), open(path, 'wb') as out:
        started, before = time.monotonic(), 0
        with tqdm(desc=name, total=size, unit='B', unit_scale=True, leave=False) as bar:
            while part := source.read1(2**18):  # what has come: one byte, if only one has
                bar.update(out.write(part))
                if time.monotonic() - started > PATIENCE:
                    if out.tell() - before < SLOWEST * PATIENCE:
                        raise Failed(f'under {SLOWEST} bytes a second')
                    started, before = time.monotonic(), out.tell()


@contextlib.contextmanager
def opened(address):
    """(a stream of what is at the address or path, its bytes or None). Raises RequestException."""
    if '://' in address:
        plain = {'Accept-Encoding': 'identity'}
        with requests.get(address, stream=True, timeout=PATIENCE, headers=plain) as response:
            response.raise_for_status()
            yield response.raw, int(response.headers.get('Content-Length', 0)) or None
        return
    try:
        file = user_path(address).open('rb')
    except OSError as error:
        raise Failed(error.strerror) from None
    with file:
        yield file, os.fstat(file.fileno()).st_size
