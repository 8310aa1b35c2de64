"""Do the quick tests notice a mistake? 60 lines are broken at random, one at a time, in a copy of the project.

python -m benchmarks.mutants [--only K]

Writes benchmarks/mutants.csv: what was broken, and whether a test noticed it. An endless loop is noticed, too. --only
tries the first K of the 60. A run that is stopped goes on where it was, as long as no module and no test was changed.
Half an hour, if nothing else runs.
"""

import argparse
import contextlib
import functools
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.mutations import mutations
from benchmarks.table import Table
from files import ROOT
from problem import Problem, check_number

OUT = Path(__file__).resolve().with_name('mutants.csv')
MODULES = ['utils.py', 'pictures.py', 'exif.py', 'folders.py', 'frozen.py', 'heads.py']
MODULES += ['fast.py', 'cache.py', 'onnx_graph.py']
MODULES += [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / 'sources').glob('*.py'))]
SEED, LINES = 0, 60
COPIED = shutil.ignore_patterns('.git', '.venv*', 'build', '__pycache__', '.pytest_cache', '*.partial')
PYTEST = ['-m', 'pytest', '-q', '-x', '-p', 'no:cacheprovider', '-m', 'not slow']


def chosen():
    """[(module, mutation), ...]: one mutation of each of LINES lines, drawn at random."""
    by_line = {}
    for module in MODULES:
        for mutation in mutations((ROOT / module).read_text(encoding='utf8')):
            by_line.setdefault((module, mutation.line), []).append(mutation)
    draw = random.Random(SEED)
    lines = draw.sample(sorted(by_line), LINES)
    return [(module, draw.choice(by_line[module, line])) for module, line in lines]


def code():
    """A text that changes if a module or a test does."""
    files = [*map(ROOT.joinpath, MODULES), *sorted((ROOT / 'tests').glob('*.py'))]
    return hashlib.sha1(b'\0'.join(path.read_bytes() for path in files)).hexdigest()[:12]


def tests_for(module):
    """All test files, first those that are named after the module or speak most of it: the most likely to notice."""
    name = Path(module).parent.name if module.endswith('__init__.py') else Path(module).stem
    paths = sorted((ROOT / 'tests').glob('test_*.py'))
    spoken = {path: len(re.findall(rf'\b{name}\b', path.read_text(encoding='utf8'))) for path in paths}
    paths.sort(key=lambda path: (name in path.stem, spoken[path]), reverse=True)
    return [path.relative_to(ROOT).as_posix() for path in paths]


def noticed(copy, tests, limit=None):
    """(what noticed a mistake in the copy of the project: a test, 'the time', or '' if nothing did, seconds)."""
    environment = os.environ | {'PYTHONDONTWRITEBYTECODE': '1'}  # or that of an earlier mutant may run
    pipes = {'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT}
    command = [sys.executable, *PYTEST, *tests]
    started = time.time()
    with subprocess.Popen(command, cwd=copy, env=environment, start_new_session=True, **pipes) as process:
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            return 'the time', time.time() - started
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # with all that the tests began
    failed = re.search(r'^(?:FAILED|ERROR) (\S+)', output.decode(errors='replace'), re.MULTILINE)
    by = failed[1] if failed else f'pytest, which ended with {process.returncode}'
    return by if process.returncode else '', time.time() - started


def judge(copy, module, mutation, limit):
    """{caught, by, seconds} of a mutation in the copy of the project, which is whole again afterwards."""
    path = copy / module
    sound = path.read_bytes()
    try:
        path.write_text(mutation.source, encoding='utf8')
        by, seconds = noticed(copy, tests_for(module), limit)
    finally:
        path.write_bytes(sound)
    return {'caught': bool(by), 'by': by, 'seconds': seconds}


def time_limit(copy):
    """Seconds after which a mutant runs in circles. Raises Problem if a test fails without a mistake."""
    by, seconds = noticed(copy, tests_for('utils.py'))
    if by:
        raise Problem(f'Without a mistake the tests fail, too ({by}); mend that first, with: make quick.')
    return 3 * seconds + 60


def setting_of(module, mutation):
    """What says which mutation it is: texts of one line."""
    before, after = (' '.join(text.split()) for text in (mutation.before, mutation.after))
    return {'file': module, 'line': mutation.line, 'before': before, 'after': after}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', type=int, default=LINES)
    args = parser.parse_args()
    check_number('--only', args.only, 1, whole=True)
    same = {'seed': SEED, 'code': code()}
    table = Table(OUT, ['file', 'line', 'before', 'after', *same])
    drawn = [(setting_of(*pair) | same, pair) for pair in chosen()[: args.only]]
    todo = [(setting, pair) for setting, pair in drawn if table.rows(**setting).empty]
    if todo:
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(shutil.copytree(ROOT, Path(folder, 'project'), ignore=COPIED))
            limit = time_limit(copy)
            for setting, (module, mutation) in todo:
                table.measure(setting, functools.partial(judge, copy, module, mutation, limit))
    rows = [table.rows(**setting).iloc[0] for setting, _ in drawn]
    missed = [row for row in rows if not row.caught]
    for row in missed:
        print(f'not noticed: {row.file}, line {row.line}: {row.before} -> {row.after}')
    print(f'{len(rows) - len(missed)} of {len(rows)} were noticed.')


if __name__ == '__main__':
    main()
