"""Turn the knob: where is the cut, at which rate, for how long? And beat the teacher."""

import functools
import math
import time
from dataclasses import dataclass, field
from html import escape

import mended_mxnet

import ipywidgets
from matplotlib.figure import Figure

import drawing
import figures
import frozen
import utils
from problem import Problem, check_number, check_px
from sources import NETWORKS
from widgets.parts import Ticking, Work, check_dataset, offer, show_in

BATCH_SIZE = 32
RATES = 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0
ARMS = {0: 'fine-tuned', 'stage3': 'first half frozen', 'output': 'head only'}


@dataclass
class Run:
    """A training: what was chosen, the best on valid by then after so many seconds, and when it ended."""

    network: str
    cut: str
    lr: float
    num_epochs: int
    guess: int | None = None  # of 100
    seconds: list = field(default_factory=list)
    valid: list = field(default_factory=list)
    spent: float = 0


# ---- One training ---------------------------------------------------------------------------------------------------


def train(source, dataset, px, run, work):
    """Train what is above the cut, and note in `run` how good it was when. Raises Problem, and KeyboardInterrupt."""
    started = time.monotonic()

    def watch(history):
        run.seconds.append(time.monotonic() - started)
        run.valid.append(history.valid.max())
        work.say(f'Epoch {len(history)} of {run.num_epochs}: {history.valid.iloc[-1]:.3f} on valid.')

    try:
        utils.seed_everything(0)
        below, above = frozen.cut(utils.with_new_head(source, dataset.classes), run.cut)
        train_iter, valid_iter = batches(below, dataset, px, work)
        work.expect(run.num_epochs * (len(train_iter) + len(valid_iter)), 'Training ...')
        utils.train(above, train_iter, valid_iter, run.num_epochs, run.lr, watch=watch)
    finally:
        run.spent = time.monotonic() - started


def batches(below, dataset, px, work):
    """Batches of train and of valid; the frozen part runs once for each picture, and then they come from the cache."""
    work.expect(len(dataset.train) + len(dataset.valid), 'The frozen part runs once for each picture ...')
    images = below.images

    def ticking(*which):
        for image in images(*which):
            work.tick()
            yield image

    below.images = ticking
    train_iter = below.batches(dataset.train, px, BATCH_SIZE, train=True)
    valid_iter = below.batches(dataset.valid, px, 100)
    return Ticking(train_iter, work.tick), Ticking(valid_iter, work.tick)


# ---- The teacher ----------------------------------------------------------------------------------------------------


def left(runs, budget):
    """The seconds that are left of the budget for all runs together."""
    return max(0, budget - sum(run.spent for run in runs))


def reached(runs, target, budget):
    """After how many seconds of all runs together `target` was reached on valid; None if it wasn't, or too late."""
    before = 0
    for run in runs:
        for seconds, valid in zip(run.seconds, run.valid):
            if valid >= target and before + seconds <= budget:
                return before + seconds
        before += run.spent
    return None


def verdict(runs, target, budget):
    """Whether the teacher is beaten, as a sentence."""
    task = f'Beat the teacher: {target:.3f} on valid, in {budget:g} seconds for all of your runs together.'
    seconds = reached(runs, target, budget)
    if seconds is not None:
        return f'{task} You did, after {seconds:.1f} seconds.'
    if left(runs, budget):
        return f'{task} You have {left(runs, budget):.1f} seconds left.'
    best = max((valid for run in runs for valid in run.valid), default=0)
    return f'{task} They are used up, and your best is {best:.3f}. Press "again" for new ones.'


# ---- What is shown --------------------------------------------------------------------------------------------------


def color_of(run):
    first = run.cut == frozen.blocks(pretrained(run.network))[0]
    return figures.COLORS.get(ARMS.get(0 if first else run.cut), 'dimgrey')


def plot_runs(runs, target=None):
    """A numbered point for each run at its seconds and its best on valid, a line of how it came there; guesses."""
    fig = Figure(figsize=(12, 3.6), layout='constrained')
    ax = fig.subplots()
    for number, run in enumerate(runs, 1):
        if run.valid:
            ax.plot(run.seconds, run.valid, color=color_of(run), lw=1.5, alpha=0.6)
            ax.plot(run.seconds[-1], run.valid[-1], 'o', color=color_of(run), ms=10)
            ax.annotate(str(number), (run.seconds[-1], run.valid[-1]), (8, 6), textcoords='offset points')
            figures.crosses(ax, [run.seconds[-1]], [run.guess], color_of(run))
    if target is not None:
        ax.axhline(target, color='dimgrey', ls=':', lw=2)
        ax.annotate('the teacher', (0, target), (4, 4), xycoords=('axes fraction', 'data'), textcoords='offset points')
    low, _ = ax.get_ylim()
    ax.set(xlabel='seconds', ylabel='best accuracy on valid', ylim=(low - 0.02, 1.01))
    ax.set_xlim(0, None if any(run.valid for run in runs) else 10)
    return fig


def words_of(runs):
    """The figure in words."""
    points = [
        f'run {number}, cut at {run.cut}: {run.valid[-1]:.3f} after {run.seconds[-1]:.1f} seconds'
        for number, run in enumerate(runs, 1)
        if run.valid
    ]
    return f'Accuracy on valid against seconds. {"; ".join(points) or "No run yet"}.'


def table(runs):
    """The runs as HTML."""
    names = 'run', 'source', 'cut', 'rate', 'epochs', 'seconds', 'valid', 'your guess'
    rows = [
        (
            str(number),
            run.network,
            run.cut,
            f'{run.lr:g}',
            f'{len(run.valid)} of {run.num_epochs}',
            f'{run.spent:.1f}',
            f'{max(run.valid):.3f}' if run.valid else '',
            '' if run.guess is None else f'{run.guess} of 100',
        )
        for number, run in enumerate(runs, 1)
    ]
    cells = [''.join(f'<td style="padding: 0 12px">{escape(value)}</td>' for value in row) for row in rows]
    head = ''.join(f'<th style="padding: 0 12px; text-align: left">{name}</th>' for name in names)
    return f'<table style="font-size: 15px"><tr>{head}</tr>{"".join(f"<tr>{row}</tr>" for row in cells)}</table>'


# ---- The widget -----------------------------------------------------------------------------------------------------

pretrained = functools.lru_cache(maxsize=4)(utils.pretrained)


@functools.lru_cache(maxsize=4)
def target_of(name, classes):
    """The network that is drawn: the source `name` with a head for the classes."""
    return utils.with_new_head(pretrained(name), list(classes))


def turn_the_knob(dataset, px, networks=('resnet18_v2', 'efficientnet_lite0'), target=None, budget=60):
    """Display the knob, for the pictures of a Dataset. Nothing runs before its reader says so. Raises Problem.

    With a `target`, an accuracy on valid, it is a game: to reach that in `budget` seconds, all runs together.
    """
    check_dataset(dataset)
    check_px(px)
    check_number('budget', budget)
    if target is not None:
        check_number('target', target)
        if target > 1:
            raise Problem(f'target is {target}; give a share from 0 to 1, such as 0.985.')
    for name in networks:
        if name not in NETWORKS:
            raise Problem(f'There is no network "{name}"; choose one of {", ".join(NETWORKS)}.')
    offer(Knob(dataset, px, networks, target, budget).page, 'Turn the knob')


class Knob:
    """The page, and what happens on it."""

    def __init__(self, dataset, px, networks, target, budget):
        self.dataset, self.px, self.target, self.budget = dataset, px, target, budget
        self.runs, self.work = [], Work()
        self.network = ipywidgets.Dropdown(options=networks, description='source')
        self.cut = ipywidgets.SelectionSlider(options=[''], description='cut', layout={'width': '560px'})
        self.lr = ipywidgets.SelectionSlider(options=RATES, value=0.03, description='rate')
        self.num_epochs = ipywidgets.IntSlider(5, 1, 30, description='epochs')
        self.guess = ipywidgets.Text(description='your guess', placeholder='of 100', layout={'width': '180px'})
        self.button = ipywidgets.Button(description='run', icon='play', button_style='primary')
        self.again = ipywidgets.Button(description='again', icon='refresh')
        self.drawn, self.figure, self.table = (ipywidgets.HTML() for _ in range(3))
        self.page = self.arranged()
        self.choose_source()
        self.show()
        self.network.observe(lambda _: self.work.start(self.choose_source), 'value')
        self.cut.observe(lambda _: self.draw(), 'value')
        self.button.on_click(lambda _: self.work.start(self.asked()))
        self.again.on_click(lambda _: self.work.start(self.forget))

    def arranged(self):
        self.teacher = ipywidgets.HTML()
        buttons = ipywidgets.HBox([self.guess, self.button, self.again])
        first = ipywidgets.HBox([self.network, self.cut])
        second = ipywidgets.HBox([self.lr, self.num_epochs])
        shown = [self.teacher] if self.target is not None else []
        return ipywidgets.VBox([self.drawn, first, second, buttons, self.work.row, *shown, self.figure, self.table])

    def choose_source(self):
        places = frozen.blocks(pretrained(self.network.value))
        self.cut.options = places
        self.cut.value = 'stage3' if 'stage3' in places else places[len(places) // 2]
        self.draw()

    def draw(self):
        net = target_of(self.network.value, tuple(self.dataset.classes))
        if self.cut.value in frozen.blocks(net):
            self.drawn.value = image_of(net, self.px, self.cut.value)

    def show(self):
        show_in(self.figure, plot_runs(self.runs, self.target), words_of(self.runs))
        self.table.value = table(self.runs) if self.runs else ''
        if self.target is not None:
            self.teacher.value = f'<b>{verdict(self.runs, self.target, self.budget)}</b>'

    def forget(self):
        self.runs = []
        self.show()
        self.work.say('')

    def asked(self):
        """What to run: what is chosen now, whatever is when its turn comes."""
        chosen = self.network, self.cut, self.lr, self.num_epochs, self.guess
        return functools.partial(self.run, *(widget.value for widget in chosen))

    def run(self, network, cut, lr, num_epochs, guess):
        guess = guess_of(guess)
        seconds = math.inf if self.target is None else left(self.runs, self.budget)
        if not seconds:
            raise Problem('Your seconds are used up; press "again" to begin anew.')
        source = pretrained(network)
        if cut not in frozen.blocks(source):
            self.choose_source()
            raise Problem('This source has other places; choose the cut, and press "run" again.')
        run = Run(network, cut, lr, num_epochs, guess)
        self.runs.append(run)
        self.work.until = time.monotonic() + seconds
        try:
            train(source, self.dataset, self.px, run, self.work)
        finally:
            self.work.until = math.inf
            self.show()


def guess_of(text):
    """What was guessed, of 100; None for no guess. Raises Problem."""
    if not text.strip():
        return None
    if not text.strip().isdecimal() or int(text) > 100:
        raise Problem(f'{text!r} is no guess; give a whole number from 0 to 100, of 100 pictures, or leave it empty.')
    return int(text)


@functools.lru_cache(maxsize=64)
def image_of(net, px, cut):
    """The drawing as HTML."""
    return figures.Described(drawing.svg(net, px, cut).encode(), 'svg+xml', drawing.in_words(net, px, cut)).html
