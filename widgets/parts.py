"""What the widgets share: work beside the page that can be stopped, uploads, bars, a sentence where no kernel is."""

import collections
import io
import math
import tempfile
import threading
import time
from html import escape
from pathlib import Path

import mended_mxnet

import ipywidgets
import numpy as onp
from IPython.display import display
from PIL import Image

import figures
import pictures
from folders import Dataset
from problem import Problem, check_pictures

VIEW = 'application/vnd.jupyter.widget-view+json'
BUSY = threading.Lock()  # of widgets one computes at a time: they share the random numbers
COLOR = figures.COLORS['from scratch']


def offer(widget, what):
    """Display a widget, or a sentence where no kernel answers: on a web page, or in a notebook that isn't trusted.

    That is an output of its own, which the widget hides: JupyterLab and nbconvert show only one form of an output.
    """
    words = f'{what}: no kernel answers here. Open this notebook with "make lab", and run this cell.'
    name = f'without-{widget.model_id}'
    display({'text/html': f'<p class="{name}">{escape(words)}</p>', 'text/plain': words}, raw=True)
    hides = ipywidgets.HTML(f'<style>.{name} {{ display: none }}</style>')
    view = ipywidgets.VBox([widget, hides])._repr_mimebundle_()[VIEW]
    display({VIEW: view, 'text/plain': ''}, raw=True)


def show_in(html, fig, words):
    """Show a figure, and `words` for who can't see it, in a widget."""

    def show(described):
        html.value = described.html

    figures.present(fig, words, show=show)


def check_dataset(dataset):
    if not isinstance(dataset, Dataset):
        raise Problem(f'{dataset!r:.100} is no data set; give what utils.find_data returns.')
    check_pictures(dataset.train)
    check_pictures(dataset.valid)


# ---- Work -----------------------------------------------------------------------------------------------------------


class Work:
    """What takes seconds, one thing after the other: a bar and a sentence say how far it is, and a button stops it.

    It runs in a thread, or that button would not be heard.
    """

    def __init__(self):
        self.button = ipywidgets.Button(description='stop', icon='stop', disabled=True)
        self.button.on_click(lambda _: self.stop())
        self.bar = ipywidgets.IntProgress(layout={'width': '240px', 'display': 'none'})
        self.said = ipywidgets.HTML()
        self.row = ipywidgets.HBox([self.button, self.bar, self.said], layout={'align_items': 'center'})
        self.lock, self.waiting, self.thread = threading.Lock(), collections.deque(), None
        self.stopping, self.until = threading.Event(), math.inf
        self.done = self.shown = 0

    def say(self, text):
        self.said.value = f'<span role="status">{escape(str(text))}</span>'

    def start(self, function):
        """Run function() when all is done that was started before."""
        with self.lock:
            self.waiting.append(function)
            if self.thread is None:
                self.thread = threading.Thread(target=self.run_all, daemon=True)
                self.thread.start()

    def stop(self):
        with self.lock:
            self.waiting.clear()
            self.stopping.set()

    def run_all(self):
        while True:
            with self.lock:
                if not self.waiting:
                    self.thread, self.button.disabled, self.bar.layout.display = None, True, 'none'
                    return
                function = self.waiting.popleft()
                self.stopping.clear()
            self.button.disabled = False
            self.run(function)

    def run(self, function):
        """Run function(); whatever it ends with is a sentence, for nobody sees the errors of a thread."""
        try:
            while not BUSY.acquire(timeout=0.2):
                self.tick(0)
            try:
                function()
            finally:
                BUSY.release()
        except KeyboardInterrupt:
            self.say('Stopped.' if self.stopping.is_set() else 'The time is up.')
        except Problem as problem:
            self.say(problem)
        except Exception as error:
            self.say(f'{type(error).__name__}: {error}')

    def each(self, files, function, text):
        """Call function(name, bytes) for each of the files; those that can't be read are said, and left out."""
        self.expect(len(files), text)
        wrong = []
        for name, data in files:
            self.tick()
            try:
                function(name, data)
            except Problem as problem:
                wrong.append(str(problem))
        self.say(' '.join(wrong))

    def expect(self, total, text):
        """Show the sentence, and an empty bar of so many steps."""
        self.say(text)
        self.done = self.shown = 0
        self.bar.value, self.bar.max = 0, total
        self.bar.layout.display = None

    def tick(self, steps=1):
        """So many steps are done. Raises KeyboardInterrupt, as Ctrl-C does, if it is to stop or its time is up."""
        if self.stopping.is_set() or time.monotonic() > self.until:
            raise KeyboardInterrupt
        self.done += steps
        if time.monotonic() - self.shown > 0.1:  # more often the page could not follow
            self.bar.value, self.shown = self.done, time.monotonic()


class Ticking:
    """Batches that tell `tick` of each one."""

    def __init__(self, data_iter, tick):
        self.data_iter, self.tick = data_iter, tick
        self.classes = getattr(data_iter, 'classes', None)

    def __len__(self):
        return len(self.data_iter)

    def __iter__(self):
        for batch in self.data_iter:
            self.tick()
            yield batch


# ---- Pictures -------------------------------------------------------------------------------------------------------


def button(description, icon, pressed):
    one = ipywidgets.Button(description=description, icon=icon, layout={'width': 'max-content'})
    one.on_click(lambda _: pressed())
    return one


def upload(description, received, **options):
    """A button to upload pictures; `received` is called with [(name, bytes), ...]. The same file may come again."""
    one = ipywidgets.FileUpload(accept='image/*', description=description, layout={'width': 'max-content'}, **options)

    def changed(change):
        files = [(file.name, bytes(file.content)) for file in change.new]
        if files:
            one.value = ()
            received(files)

    one.observe(changed, 'value')
    return one


def opened(name, data, px):
    """The picture in the bytes of a file, exactly as open_picture has it from its path. Raises Problem."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'picture')
        path.write_bytes(data)
        try:
            image = pictures.open_picture(path, px)
            return Image.fromarray(onp.asarray(image))  # without its EXIF, or it would be turned once more
        except Problem as problem:
            text = str(problem).replace(str(path), name or "''")
            raise Problem(text.replace('give the path of a', 'upload a')) from None


def png(image):
    """The bytes of a PNG."""
    file = io.BytesIO()
    image.save(file, 'png')
    return file.getvalue()


def picture(image, alt, side):
    """An image as HTML."""
    size = f'width="{side}" height="{side}" style="display: block"'
    return figures.Described(png(image), 'png', alt, size).html


def bars(probabilities):
    """{class: probability} as HTML, a bar for each, in the order given."""
    rows = [
        f'<tr><td>{escape(name)}&nbsp;</td><td style="width: 300px"><div style="width: {p:.1%}; height: 16px; '
        f'background: {COLOR}"></div></td><td>{p:.2f}</td></tr>'
        for name, p in probabilities.items()
    ]
    return f'<table style="font-size: 16px; line-height: 1.6">{"".join(rows)}</table>'
