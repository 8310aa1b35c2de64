"""What a measurement depends on besides its settings: the pictures and the processor."""

import hashlib
import platform
from pathlib import Path

from files import hash_of
from folders import SPLITS


def data_facts(data, dataset):
    """{'data': its name, 'content': a text that changes if one of its pictures, names or classes does}."""
    name = Path(data).expanduser().resolve().name
    digest = hashlib.sha1()
    for split in SPLITS:
        for path, i in dataset[split]:
            digest.update(repr((split, dataset.classes[i], path.name)).encode())
            digest.update(bytes.fromhex(hash_of(path)))
    return {'data': name.encode('utf8', 'backslashreplace').decode(), 'content': digest.hexdigest()[:12]}


def processor():
    """The name of this machine's processor, as far as the system tells."""
    names = [line.split(':', 1)[1].strip() for line in cpuinfo().splitlines() if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def has_bfloat16():
    """Whether it multiplies numbers of 16 bits, as far as the system tells."""
    return 'bf16' in cpuinfo()


def cpuinfo():
    info = Path('/proc/cpuinfo')
    return info.read_text() if info.exists() else ''
