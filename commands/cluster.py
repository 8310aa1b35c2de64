"""Train on several machines by MXNet's own parameter server: a scheduler here, a server and a worker on each machine.

python -m commands.cluster FILE ADDRESS ADDRESS ...

Each worker runs FILE, in which utils.train(..., kvstore='dist_sync') is. The first address is this machine's, as the
others reach it; ssh starts those, which have this folder at the same place. An address that comes twice gets two
workers: 127.0.0.1 127.0.0.1 tries it on one machine. The servers unpickle whatever reaches them: trusted networks only.
"""

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time

from files import ROOT, user_path
from problem import Problem

USAGE = 'python -m commands.cluster FILE ADDRESS ADDRESS ...'
# -tt: what it started ends with it; a machine that says nothing for half a minute is taken for dead
SSH = shlex.split('ssh -tt -oBatchMode=yes -oLogLevel=ERROR -oConnectTimeout=20 -oServerAliveInterval=10')
SERVE = 'import mxnet'  # which does not return where DMLC_ROLE is scheduler or server
WORK = 'import runpy, sys; runpy.run_path(sys.argv[1], run_name="__main__")'


def asked(arguments):
    """(the file, addresses as numbers). Raises Problem."""
    if len(arguments) < 2 or '' in arguments:
        raise Problem(f'A file and the address of each machine are missing; type {USAGE}, this machine first.')
    file, *names = arguments
    path = user_path(file).absolute()
    if not os.path.isfile(path):
        raise Problem(f'There is no file {path}; type {USAGE}.')
    try:
        return path, [socket.gethostbyname(name) for name in names]
    except (OSError, UnicodeError) as error:
        raise Problem(f'One of {", ".join(names)} is not known ({error}); give addresses in numbers.') from None


def free_port(address):
    """A port of this machine that nobody uses. Raises Problem if the address is not this machine's."""
    with socket.socket() as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            raise Problem(f'{address} is not this machine; give its own address first, then the others.') from None
        return probe.getsockname()[1]


def start(role, i, address, shared, file):
    """The i-th process of that role: (what it is called, the process), in a group of its own."""
    own = {'DMLC_ROLE': role, 'DMLC_TASK_ID': i, 'DMLC_NODE_HOST': address}  # DMLC_: ps-lite's names
    if i:
        own['TQDM_DISABLE'] = 1  # one bar is enough
    variables = [f'{name}={value}' for name, value in (shared | own).items()]
    command = ['env', *variables, sys.executable, '-c', WORK if role == 'worker' else SERVE, str(file)]
    if address != shared['DMLC_PS_ROOT_URI']:
        command = [*SSH, address, f'cd {shlex.quote(str(ROOT))} && exec {shlex.join(command)}']
    try:
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        raise Problem(f'{command[0]} could not be started ({error.strerror}); install it.') from None
    return f'{role} {i} on {address}', process


def start_all(file, addresses, processes):
    """Start everything; `processes` is filled one by one, so that it is right whatever happens meanwhile."""
    first, n = addresses[0], len(addresses)
    shared = {'DMLC_PS_ROOT_URI': first, 'DMLC_PS_ROOT_PORT': free_port(first)}
    shared |= {'DMLC_NUM_SERVER': n, 'DMLC_NUM_WORKER': n}
    roles = [('scheduler', 0, first)]
    roles += [(role, i, address) for role in ('server', 'worker') for i, address in enumerate(addresses)]
    for role, i, address in roles:
        processes.append(start(role, i, address, shared, file))


def wait(processes, pressed):
    """Return when all workers have done their work. Raises Problem when one process fails, or at Ctrl-C."""
    while not all(process.poll() == 0 for name, process in processes if name.startswith('worker')):
        failed = [name for name, process in processes if process.poll()]
        if failed:
            name = failed[0].capitalize()
            raise Problem(f'{name} died, so all others were ended; mend what it says above, and start again.')
        if pressed:
            raise Problem('Stopped, on all machines.')
        time.sleep(0.2)


def end(processes):
    """Leave no process behind, nor what one of them has started: they are asked, and after five seconds killed."""
    for number in signal.SIGTERM, signal.SIGKILL:
        for _, process in processes:
            with contextlib.suppress(ProcessLookupError, PermissionError):  # which a Mac says of ended ones
                os.killpg(process.pid, number)
        deadline = time.time() + 5
        while time.time() < deadline and any(process.poll() is None for _, process in processes):
            time.sleep(0.1)


def main(*arguments):
    """Run the file on all machines. Raises Problem."""
    file, addresses = asked(arguments)
    processes, pressed = [], []
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        signal.signal(number, lambda *_: pressed.append(True))  # not an exception, which would leave processes behind
    try:
        start_all(file, addresses, processes)
        wait(processes, pressed)
    finally:
        end(processes)


if __name__ == '__main__':
    try:
        main(*sys.argv[1:])
    except Problem as problem:
        sys.exit(f'\n{problem}')  # below the bar of a worker
