"""Run notebooks/01_fine_tuning.ipynb from top to bottom and leave it, executed and as a web page, in build/.

python -m commands.lesson [kitchen | hotdog | FOLDER]      (or: make lesson DATA=FOLDER SEEDS="0 1 2")
"""

import os
import re
import sys
from pathlib import Path

import nbformat
import pandas as pd

import known
import utils
from commands import stoppable, too_late
from commands.asked import asked_data, open_page
from commands.notebook import Bar, attach_pictures, execute, page, tagged, without_progress_bars
from files import label_of, partial_for
from problem import Problem, check_number, in_words, say
from sources.weights import keep_older

NOTEBOOK = utils.ROOT / 'notebooks' / '01_fine_tuning.ipynb'
FIVE_SEEDS = utils.ROOT / 'benchmarks' / 'difficulty.csv'
PARAMETERS = 'data', 'px', 'batch_size', 'num_epochs', 'wd', 'lr', 'num_frozen', 'seeds'
RUNS = 'fine-tuned', 'from scratch'
GET_BACK = 'get the notebook back, without your changes: git checkout -- notebooks/01_fine_tuning.ipynb'
REST = 4  # epochs: all else in the notebook takes as long as so many of them


def cell_of(notebook, tag):
    """The cell that has the tag. Raises Problem."""
    try:
        return tagged(notebook, tag)
    except StopIteration:
        raise Problem(f'The notebook lacks its cell of {tag}; {GET_BACK}.') from None


def parameters():
    """{name: value} of the notebook's cell of parameters, which students change. Raises Problem."""
    settings = {}
    try:
        exec(cell_of(nbformat.read(NOTEBOOK, 4), 'parameters').source, settings)
    except Problem:
        raise
    except Exception as error:
        raise Problem(f"The notebook's cell of parameters can't be run ({error!r}); mend it, or {GET_BACK}.") from None
    check_parameters(settings)
    return settings


def check_parameters(settings):
    """Raises Problem where one is not there or can't be, before anything runs."""
    lacking = [name for name in PARAMETERS if name not in settings]
    if lacking:
        raise Problem(f"The notebook's cell of parameters lacks {', '.join(lacking)}; write it there, or {GET_BACK}.")
    lr = settings['lr']
    if not isinstance(lr, dict) or {*lr} != {*RUNS}:
        raise Problem(f"lr is {lr!r}; give a rate for each: {{'fine-tuned': 0.1, 'from scratch': 0.03}}.")
    for name, rate in lr.items():
        check_number(f'lr of {name}', rate)
    check_number('wd', settings['wd'])
    check_number('num_epochs', settings['num_epochs'], 1, whole=True)
    utils.freeze(utils.from_scratch(['a', 'b']), settings['num_frozen'])  # it knows how many blocks there are


# ---- What is asked for ----------------------------------------------------------------------------------------------


def asked_seeds():
    """The seeds in SEEDS. Raises Problem."""
    text = os.environ.get('SEEDS', '0')
    seeds = [int(word) for word in text.split() if re.fullmatch('[0-9]{1,9}', word)]
    if not seeds or len(seeds) < len(text.split()) or len({*seeds}) < len(seeds):
        raise Problem(f'SEEDS is {text!r}; give different whole numbers with spaces between them: SEEDS="0 1 2".')
    return seeds


def names_of_runs(settings):
    """The trainings in the notebook's order: for the first seed one of each network, then the others."""
    first, *others = settings['seeds']
    runs = [(name, first) for name in RUNS]
    runs += [(name, seed) for name in settings['lr'] for seed in others]
    return [f'{name}, seed {seed}' for name, seed in runs]


# ---- Before it ------------------------------------------------------------------------------------------------------


def prepared(settings):
    """The notebook with what was asked for at the end of its cell of parameters."""
    notebook = nbformat.read(NOTEBOOK, 4)
    for name in 'data', 'seeds':
        cell_of(notebook, 'parameters').source += f'\n{name} = {settings[name]!r}'
    cell_of(notebook, 'result')
    return notebook


def bar_for(dataset, settings):
    """A progress bar for all of the notebook, after a sentence that says how long that will take."""
    px, batch_size, num_epochs = (settings[name] for name in ('px', 'batch_size', 'num_epochs'))
    runs = names_of_runs(settings)
    seconds = utils.estimate(dataset, px, batch_size) * (num_epochs * len(runs) + REST)
    say(
        f'{Path(settings["data"]).name}: {len(dataset.train)} pictures to train on, {num_epochs} epochs, '
        f'{len(runs)} runs: about {in_words(seconds)} in all.'
    )
    num_batches = len(dataset.train) // min(batch_size, len(dataset.train))
    return Bar(runs, num_epochs, num_batches, REST * num_batches)


# ---- After it -------------------------------------------------------------------------------------------------------


def name_of(data):
    """What the lesson's files are called: each data set has files of its own."""
    return NOTEBOOK.stem if data == 'kitchen' else f'{NOTEBOOK.stem}-{label_of(data)}'


def without_links(notebook):
    """The same notebook, with the names of other notebooks where it has links to them: they are not in build/."""
    for cell in notebook.cells:
        if cell.cell_type == 'markdown':
            cell.source = re.sub(r'\[([^]]+)\]\(\w+\.ipynb\)', r'\1 (`make lab` opens it)', cell.source)
    return notebook


def move(folder):
    """Move what was made in `folder` to build/; what has the same name there gets another."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != known.FILE.name:  # what build/ knows of other folders stays
            keep_older(utils.BUILD / path.name)
            path.replace(utils.BUILD / path.name)


def say_lines(text):
    """Print a table, or what else has several lines, after an empty one."""
    for line in ['', *text.splitlines()]:
        say(line)


def say_result(notebook, data):
    """Print the notebook's table, and for the pictures in the box what five seeds gave."""
    for output in cell_of(notebook, 'result').outputs:
        say_lines(output.get('data', {}).get('text/plain', ''))
    if data == 'kitchen':
        table = pd.read_csv(FIVE_SEEDS).groupby('network')[['valid', 'test']].agg(utils.spread)
        say_lines(f'What five seeds gave, measured before ({FIVE_SEEDS.relative_to(utils.ROOT)}):')
        say_lines(str(table))


def run(notebook, name, bar):
    """Run `notebook`, and write all that it makes to build/, or nothing."""
    with bar, stoppable(), partial_for(utils.BUILD / name) as folder:  # a bar that is open would end below the sentence
        execute(notebook, NOTEBOOK.parent, bar, HOTDOG_BUILD=folder)
        without_links(without_progress_bars(attach_pictures(notebook, NOTEBOOK.parent)))
        for suffix, text in {'.ipynb': nbformat.writes(notebook), '.html': page(notebook)}.items():
            Path(folder, name + suffix).write_text(text, 'utf8', 'backslashreplace')
        too_late()
        move(Path(folder))


def main(*arguments):
    """The lesson, from what is asked for to its page. Raises Problem."""
    data, seeds = asked_data(arguments), asked_seeds()
    settings = parameters() | {'data': data, 'seeds': seeds}
    with stoppable():  # what is downloaded has to be tidied
        dataset = utils.find_data(data)
    notebook, name = prepared(settings), name_of(data)
    try:
        partial_for(utils.BUILD / name).cleanup()  # if that can't be, say so before the work
        run(notebook, name, bar_for(dataset, settings))
    except OSError as error:
        raise Problem(f'The lesson could not be written ({error}); free some space or mend its folder.') from None
    say_result(notebook, data)
    path = utils.BUILD / f'{name}.html'
    say('')
    say(f'The page is {path}')
    open_page(path)


if __name__ == '__main__':
    main(*sys.argv[1:])
