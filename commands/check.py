"""Say in one sentence why this Python or this machine can't run the lesson; make asks before it installs anything."""

import platform
import sys

WHEELS = {('Linux', 'x86_64'), ('Linux', 'aarch64'), ('Darwin', 'x86_64')}  # what MXNet 1.9.1 was built for
machine = platform.system(), platform.machine()

if machine not in WHEELS:
    sys.exit(
        f'MXNet has no package for {" ".join(machine)}, only for Linux and for Macs with an Intel processor; '
        'open this folder in a devcontainer instead (README, "Other machines").'
    )
if sys.version_info[:2] != (3, 11):
    sys.exit(
        f'This is Python {platform.python_version()} and the lesson needs 3.11; install that, and the same command '
        'finds it; or take conda (README, "Other machines").'
    )
