"""Run notebooks/01_fine_tuning.ipynb from top to bottom and leave it, executed and as a web page, in build/.

python lesson.py [kitchen | hotdog | FOLDER]      (or: make lesson DATA=FOLDER)
"""

import sys
from html import escape
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from tqdm import tqdm

import utils

NOTEBOOK = utils.ROOT / 'notebooks' / '01_fine_tuning.ipynb'


def tagged(notebook, tag):
    """The cell of `notebook` that has the tag `tag`."""
    return next(cell for cell in notebook.cells if tag in cell.metadata.get('tags', []))


def parameters():
    """{name: value} of the notebook's cell of parameters."""
    settings = {}
    exec(tagged(nbformat.read(NOTEBOOK, 4), 'parameters').source, settings)
    return settings


def execute(notebook):
    """Run all cells with a progress bar; a Problem in a cell ends as its one sentence."""
    with tqdm(total=len(notebook.cells), unit='cell') as bar:
        client = NotebookClient(
            notebook,
            timeout=None,
            resources={'metadata': {'path': NOTEBOOK.parent}},
            on_cell_complete=lambda cell, cell_index: bar.update(cell_index + 1 - bar.n),
        )
        try:
            client.execute()
        except CellExecutionError as error:
            sys.exit(f'\n{error.evalue}')


def without_progress_bars(notebook):
    """The same notebook without the leftovers of finished progress bars."""
    notebook.metadata.pop('widgets', None)
    for cell in notebook.cells:
        if cell.cell_type == 'code':
            cell.outputs = [
                o
                for o in cell.outputs
                if o.get('name') != 'stderr' and 'application/vnd.jupyter.widget-view+json' not in o.get('data', {})
            ]
    return notebook


def page(notebook):
    """The notebook as a web page; each figure is described by its cell's metadata, which nbconvert does not show."""
    exporter = HTMLExporter()
    exporter.log.setLevel('ERROR')  # nor should it warn of that
    html, _ = exporter.from_notebook_node(notebook)
    for cell in notebook.cells:
        if 'alt' in cell.metadata:
            html = html.replace('No description has been provided for this image', escape(cell.metadata['alt']), 1)
    return html


def write(path, text):
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf8')
    except OSError as error:
        sys.exit(f"{path} could not be written ({error.strerror}); free some space or change the folder's rights.")


def main(data='kitchen'):
    notebook = nbformat.read(NOTEBOOK, 4)
    if Path(data).is_dir():
        data = str(Path(data).resolve())
    settings = parameters()
    try:
        found = utils.find_data(data)
        runs = len(settings['seeds']) * 2
        minutes = utils.estimate(found, settings['px'], settings['batch_size']) * settings['num_epochs'] * runs / 60
    except utils.Problem as problem:
        sys.exit(str(problem))
    print(
        f'{len(found.train)} pictures to train on, {settings["num_epochs"]} epochs, {runs} runs: '
        f'about {minutes:.0f} min.'
    )
    if data != settings['data']:
        tagged(notebook, 'parameters').source += f'\ndata = {data!r}'
    execute(notebook)
    without_progress_bars(notebook)
    name = utils.BUILD / NOTEBOOK.stem
    write(name.with_suffix('.ipynb'), nbformat.writes(notebook))
    write(name.with_suffix('.html'), page(notebook))
    print(f'{name}.ipynb and {name}.html are written.\n')
    print(tagged(notebook, 'result').outputs[0].data['text/plain'])


if __name__ == '__main__':
    try:
        main(*sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit('\nStopped; nothing was written.')
