"""What does it cost to run a notebook, from an empty cache: seconds, memory, and its three longest waits?

python -m benchmarks.costs [01 02 ...]

Run it when nothing else runs. Writes benchmarks/costs.csv. The memory is the most that the notebook's kernel held.
"""

import argparse
import os
import resource
import tempfile
import time
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path

from nbclient import NotebookClient

from benchmarks.facts import processor
from benchmarks.notebooks import NOTEBOOKS, read
from benchmarks.table import Table
from problem import say

OUT = Path(__file__).resolve().with_name('costs.csv')
NUMBERS = sorted(path.name[:2] for path in NOTEBOOKS.glob('*.ipynb'))


def costs(number):
    """{column: value}; to be run in a process of its own, whose only child is the kernel."""
    notebook, started = read(number), time.time()
    with tempfile.TemporaryDirectory() as folder:
        os.environ['HOTDOG_BUILD'] = folder
        NotebookClient(notebook, timeout=None, resources={'metadata': {'path': str(NOTEBOOKS)}}).execute()
    seconds = time.time() - started
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # KiB
    cells = [cell for cell in notebook.cells if cell.cell_type == 'code']
    waits = sorted(((took(cell), first_line(cell)) for cell in cells), reverse=True)
    longest = '; '.join(f'{wait:.0f} s {line}' for wait, line in waits[:3])
    return {'seconds': round(seconds), 'peak_mib': peak // 1024, 'longest': longest}


def took(cell):
    """The seconds that a cell ran."""
    times = cell.metadata.get('execution', {})
    begin, end = (times.get(name) for name in ('iopub.status.busy', 'iopub.status.idle'))
    return (moment(end) - moment(begin)).total_seconds() if begin and end else 0


def moment(text):
    return datetime.fromisoformat(text.replace('Z', '+00:00'))


def first_line(cell):
    return cell.source.split('\n')[0][:60]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('numbers', nargs='*', default=NUMBERS, metavar='NUMBER')
    numbers = parser.parse_args().numbers
    if not {*numbers} <= {*NUMBERS}:
        parser.error(f'give some of {", ".join(NUMBERS)}')
    table = Table(OUT, ['notebook', 'processor'])
    for number in numbers:
        with get_context('spawn').Pool(1) as pool:
            row = {'notebook': number, 'processor': processor(), **pool.apply(costs, [number])}
        table.add([row])
        say(', '.join(f'{name} {value}' for name, value in row.items()))


if __name__ == '__main__':
    main()
