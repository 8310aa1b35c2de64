"""What a measurement depends on besides its settings: the pictures and the processor."""

import hashlib
import platform
from pathlib import Path

from files import hash_of
from folders import SPLITS

INSTRUCTIONS = {'avx2': 'AVX2', 'avx512f': 'AVX-512', 'avx512_bf16': 'bfloat16'}


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
    """The name of this machine's processor and how it computes, as far as the system tells: one name may be of many."""
    info = cpuinfo()
    names = [line.split(':', 1)[1].strip() for line in info.splitlines() if line.startswith('model name')]
    name = names[0] if names else platform.processor() or platform.machine()
    flags = info.split()
    return ', '.join([name, *(what for flag, what in INSTRUCTIONS.items() if flag in flags)])


def has_bfloat16():
    """Whether it multiplies numbers of 16 bits, as far as the system tells."""
    return 'bfloat16' in processor()


def cpuinfo():
    info = Path('/proc/cpuinfo')
    return info.read_text() if info.exists() else ''
