"""Run a notebook from top to bottom, with one progress bar for all of its trainings, and make a web page of it."""

import asyncio
import base64
import contextlib
import mimetypes
import os
import re

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter
from tqdm import tqdm

from problem import Problem

PICTURE = r'!\[[^]]*\]\(([^):]+)\)'  # in Markdown, of a file and not of an address
BAR = '{desc}: {percentage:3.0f}% |{bar}| {remaining} left'


def tagged(notebook, tag):
    """The cell of `notebook` that has the tag `tag`."""
    return next(cell for cell in notebook.cells if tag in cell.metadata.get('tags', []))


# ---- Running --------------------------------------------------------------------------------------------------------


class Client(NotebookClient):
    """Runs a notebook, and tells `bar` how far it is."""

    def __init__(self, notebook, bar, **settings):
        super().__init__(notebook, shutdown_kernel='immediate', extra_arguments=['--log-level=ERROR'], **settings)
        self.bar = bar
        self.on_cell_executed = self.tell

    @contextlib.asynccontextmanager
    async def async_setup_kernel(self, **settings):
        """A kernel for as long as it is needed. NotebookClient's own way catches Ctrl-C, and falls over it."""
        self.create_kernel_manager()
        try:
            await self.async_start_new_kernel(**settings)
            await self.async_start_new_kernel_client()
            stop_if_cancelled()
            yield
        finally:
            await self._async_cleanup_kernel()

    def tell(self, cell, cell_index, execute_reply):
        self.bar.cell_done(sum(cell.cell_type == 'code' for cell in self.nb.cells[cell_index + 1 :]))

    def handle_comm_msg(self, outs, msg, cell_index):
        super().handle_comm_msg(outs, msg, cell_index)
        self.bar.show(batches_done(self.widget_state))


def batches_done(widgets):
    """How many batches each training has done so far, the first one first: what its progress bar in the notebook says.

    tqdm's bar is a row of widgets: a label, the bar, more text.
    """
    done = []
    for row in list(widgets.values()):
        parts = [widgets.get(name.removeprefix('IPY_MODEL_'), {}) for name in row.get('children', [])[:2]]
        if len(parts) == 2 and str(parts[0].get('value')).startswith('training'):
            done.append(int(parts[1]['value']))
    return done


class Bar(tqdm):
    """One bar for all of the notebook, in batches: which training is running, and the time that is left.

    All that comes after the trainings takes as long as `rest` batches, each of its cells the same share.
    """

    def __init__(self, runs, num_epochs, num_batches, rest):
        self.runs, self.num_epochs, self.num_batches = runs, num_epochs, num_batches
        self.trainings = len(runs) * num_epochs * num_batches
        total = self.trainings + rest
        super().__init__(total=total, desc='starting', bar_format=BAR, smoothing=0)  # from the mean speed

    def show(self, done):
        """Show the batches that each training has done so far; what it does between two batches takes time as well."""
        if not done:
            return
        if self.desc == 'starting':
            self.unpause()  # what came before is not part of the speed
        before, self.desc = self.desc, self.what(done)
        self.update(max(min(sum(done), self.trainings) - self.n, 0))
        if self.desc != before:
            self.refresh()

    def cell_done(self, num_left):
        """Called after each cell: when all is trained, each of the `num_left` cells has the same share of the rest."""
        if self.n >= self.trainings and self.total > self.n:
            self.update((self.total - self.n) / (num_left + 1))

    def what(self, done):
        """Which training is running, and how far it is."""
        if sum(done) >= self.trainings:
            return 'testing'
        run = self.runs[min(len(done), len(self.runs)) - 1]
        epoch = min(done[-1] // self.num_batches + 1, self.num_epochs)
        return f'{run}, epoch {epoch} of {self.num_epochs}'


def execute(notebook, folder, bar, **environment):
    """Run all cells in `folder`. Raises Problem, which is the sentence of one in a cell, and KeyboardInterrupt."""
    client = Client(notebook, bar, timeout=None, resources={'metadata': {'path': folder}})
    try:
        asyncio.run(finish(client, os.environ | environment))
    except CellExecutionError as error:
        is_sentence = error.ename in ('Problem', 'TooFast')
        raise Problem(error.evalue if is_sentence else f'{error.ename}: {error.evalue}') from None
    except RuntimeError as error:
        raise Problem(f'The notebook could not be run to its end ({error}); is there memory enough?') from None


async def finish(client, environment):
    """Run the notebook of `client`; if that was cancelled by Ctrl-C, it is not the kernel that died."""
    try:
        await client.async_execute(env=environment)
    except RuntimeError:
        stop_if_cancelled()
        raise
    stop_if_cancelled()


def stop_if_cancelled():
    """Stop if Ctrl-C was pressed: what waits for a kernel may have swallowed that."""
    if asyncio.current_task().cancelling():
        raise asyncio.CancelledError


# ---- The page -------------------------------------------------------------------------------------------------------


def without_progress_bars(notebook):
    """The same notebook without the leftovers of finished progress bars."""
    notebook.metadata.pop('widgets', None)
    for cell in notebook.cells:
        if cell.cell_type == 'code':
            cell.outputs = [output for output in cell.outputs if not is_progress_bar(output)]
    return notebook


def is_progress_bar(output):
    return output.get('name') == 'stderr' or 'application/vnd.jupyter.widget-view+json' in output.get('data', {})


def attach_pictures(notebook, folder):
    """The same notebook with the pictures in `folder` that its texts show, so that it can be moved.

    At the end of a text, as addresses that hold them: JupyterLab shows no SVG that is an attachment.
    """
    for cell in notebook.cells:
        if cell.cell_type == 'markdown':
            for path in sorted({*re.findall(PICTURE, cell.source)}):
                if (folder / path).is_file():
                    cell.source = cell.source.replace(f']({path})', f'][{path}]')
                    cell.source += f'\n\n[{path}]: {address_of(folder / path)}'
    return notebook


def address_of(path):
    data = base64.b64encode(path.read_bytes()).decode()
    return f'data:{mimetypes.guess_type(path)[0]};base64,{data}'


def page(notebook):
    """The notebook as a web page."""
    text, _ = HTMLExporter().from_notebook_node(notebook)
    return text
