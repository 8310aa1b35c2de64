"""Download the weights that are neither in the box nor in a package, and verify them: later no network is needed.

python -m commands.weights [NAME ...]      (or: make weights NAMES="vgg16 inception_v3")
"""

import os
import sys

from commands import REST, stoppable
from problem import Problem, say
from sources import NETWORKS, download

DOWNLOADED = {name: source.file for name, source in NETWORKS.items() if source.file}


def asked_names(arguments):
    """The networks named in the arguments or else in NAMES, by default all that are downloaded. Raises Problem."""
    names = arguments or os.environ.get('NAMES', '').split() or DOWNLOADED
    for name in names:
        if name not in DOWNLOADED:
            raise Problem(f'There is nothing to download for "{name}"; choose from {", ".join(DOWNLOADED)}.')
    return names


def main(*arguments):
    """Fetch one after the other; whether all are there now. Raises Problem."""
    names, missing = asked_names(arguments), 0
    for name in names:
        try:
            with stoppable(REST):
                say(f'{name}: {download.fetch(DOWNLOADED[name])}')
        except Problem as problem:
            say(f'{name}: {problem}')
            missing += 1
    if missing < len(names):
        say(f'For a class, serve them: python3 -m http.server --directory {download.CACHE}')
        say('On each other machine: make weights HOTDOG_WEIGHTS=http://ADDRESS:8000')
    return not missing


if __name__ == '__main__':
    sys.exit(not main(*sys.argv[1:]))
