"""A page for anybody: one HTML file with a classifier inside, which runs in a browser and needs no network.

python -m commands.page      (or: make page CLASSIFIER=build/classifier-NAME)
"""

import base64
import contextlib
import gzip
import json
import os
import shutil
import subprocess

import jinja2
import onnx

from commands import stoppable
from commands.asked import asked_path, open_page
from figures import COLORS
from files import ROOT, whole
from problem import Problem, say
from sources.weights import keep_older

PAGE = ROOT / 'page'  # how it looks and what it does, and the lock of what runs the network
RUNTIME = 'node_modules/onnxruntime-web'
CODE, WASM = 'dist/ort.wasm.bundle.min.mjs', 'dist/ort-wasm-simd-threaded.wasm'  # without WebGPU: half as large
OURS = b'<meta name="generator" content="make page">'
HOT_DOG = {'hotdog': 'hot\xa0dog', 'not-hotdog': 'not hot\xa0dog'}  # as one says it, on one line
EXAMPLE = 'make page CLASSIFIER=build/classifier-NAME'


# ---- The classifier -------------------------------------------------------------------------------------------------


def network_in(folder):
    """(bytes, facts): the network in the folder of a classifier, and what it says of itself. Raises Problem."""
    if not os.path.isdir(folder):
        raise Problem(f'{folder} is no folder; give one that make classifier has written: {EXAMPLE}.')
    path = folder / 'classifier.onnx'
    try:
        network = path.read_bytes()
        says = {fact.key: fact.value for fact in onnx.load_from_string(network).metadata_props}
        facts = {name: says[name] for name in ('source', 'licence')}
        return network, facts | {'classes': json.loads(says['classes']), 'px': int(says['px'])}
    except FileNotFoundError:
        raise Problem(f'{path} is not there; give a folder that make classifier has written: {EXAMPLE}.') from None
    except OSError as error:
        raise Problem(f"{path} can't be read ({error.strerror}); mend that, or give another: {EXAMPLE}.") from None
    except Exception:  # whatever is in the file
        raise Problem(
            f'{path} is no classifier of make classifier; make it again, or give another: {EXAMPLE}.'
        ) from None


# ---- What runs it ---------------------------------------------------------------------------------------------------


def runtime():
    """(code, wasm): the bytes of what runs a network in a browser, installed where they are missing. Raises Problem."""
    if installed() != locked():
        install()
    return [(PAGE / RUNTIME / name).read_bytes() for name in (CODE, WASM)]


def locked():
    """The hash of the runtime that the lock names."""
    return integrity(PAGE / 'package-lock.json')


def installed():
    """The hash of the runtime that is installed; None if none is, or not all of it."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):  # whatever is left of it
        if all((PAGE / RUNTIME / name).is_file() for name in (CODE, WASM)):
            return integrity(PAGE / 'node_modules' / '.package-lock.json')  # npm writes it last
    return None


def integrity(lock):
    return json.loads(lock.read_text('utf8'))['packages'][RUNTIME]['integrity']


def install():
    """Install what the lock names, by npm. Raises Problem."""
    if not shutil.which('npm') or not shutil.which('node'):
        raise Problem('Node.js is missing, whose npm brings what runs the page; install it (https://nodejs.org) first.')
    say('npm installs ONNX Runtime Web in page/node_modules, once (150 MB) ...')
    command = ['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
    done = subprocess.run(
        command, cwd=PAGE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors='replace'
    )
    if done.returncode:
        reason = next(iter(done.stderr.splitlines()), f'it ended with {done.returncode}')
        raise Problem(
            f'npm could not install what runs the page ({reason[:200]}); it needs its registry, once; try again.'
        )


# ---- The page -------------------------------------------------------------------------------------------------------


def page_of(network, facts, code, wasm):
    """The page as HTML."""
    classes = facts['classes']
    is_hot_dog = {*classes} == {*HOT_DOG}
    names = [HOT_DOG[name] for name in classes] if is_hot_dog else classes
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(read('page.html')).render(
        title='Hot dog, or not?' if is_hot_dog else 'What is it?',
        style=read('page.css'),
        script=read('page.js'),
        facts={'names': names, 'colours': paints(len(classes)), 'px': facts['px']},
        classes=names,
        source=facts['source'],
        licence=facts['licence'],
        code=packed(code),
        wasm=packed(wasm),
        network=packed(network),
    )


def read(name):
    return (PAGE / name).read_text('utf8')


def packed(data):
    """Bytes as a short text."""
    return base64.b64encode(gzip.compress(data, mtime=0)).decode()


def paints(n):
    """[(colour, the colour of letters on it), ...] for n classes."""
    colours = [*COLORS.values()]
    return [(colour, ink(colour)) for colour in (colours * n)[:n]]


def ink(colour):
    """White where that is readable in large letters, by the contrast of 3 that WCAG asks for; black elsewhere."""
    values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values]
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return 'white' if 1.05 / (luminance + 0.05) >= 3 else 'black'


def write(path, text):
    """Write the page; one that was made before is replaced, and what else has its name is kept beside it."""
    with stoppable(), whole(path) as partial:
        partial.write_text(text, 'utf8', 'backslashreplace')
        if path.exists() and OURS not in path.read_bytes()[:1000]:
            keep_older(path)


def main():
    """All of it. Raises Problem."""
    folder = asked_path('CLASSIFIER', EXAMPLE)
    network, facts = network_in(folder)
    path = folder / 'page.html'
    text = page_of(network, facts, *runtime())
    try:
        write(path, text)
    except OSError as error:
        raise Problem(f'{path} could not be written ({error}); free some space, and make it again.') from None
    say(f'{path} ({path.stat().st_size / 1e6:.0f} MB) is all that one needs: open it in a browser, put it on a stick.')
    open_page(path)


if __name__ == '__main__':
    main()
