"""From a folder of photographs, a folder per class, to a classifier in a folder of its own, with a report on it.

python -m commands.classify [kitchen | hotdog | FOLDER]      (or: make classifier DATA=FOLDER MINUTES=10)
"""

import contextlib
import html
import os
import signal
import sys
import time
import warnings
from pathlib import Path

import onnx
import psutil

import classifier
import export
import frozen
import report
import utils
from commands import stoppable, too_late
from commands.asked import asked_data, asked_path, open_page
from files import BUILD, folder_of, label_of, partial_for
from folders import SPLITS
from problem import Problem, in_words, say
from sources.weights import keep_older

NAME = 'classifier.onnx'
FIT, SHOW, REST = 0.001, 0.12, 1.5  # seconds: a picture and class, a mistake with its map, export and all else
MANY, SHARE = 80000, 0.04  # pictures times classes; of more each takes that share, as the last fits are left out then


# ---- What is asked for ----------------------------------------------------------------------------------------------


def asked_minutes():
    """The minutes that it may take; 0 for a head only. Raises Problem."""
    text = os.environ.get('MINUTES') or '0'
    with contextlib.suppress(ValueError):
        if 0 <= float(text) < 10**6:
            return float(text)
    raise Problem(f'MINUTES is {text!r}; give a number of minutes, such as MINUTES=10, or leave it out.')


def asked_folder(data):
    """The folder that it is written to. Raises Problem if that is among the pictures."""
    folder = asked_path('OUT', 'OUT=folder') if os.environ.get('OUT') else BUILD / f'classifier-{label_of(data)}'
    folder = folder.resolve()  # not a link, which no folder can take the place of
    if folder_of(data).resolve() in folder.parents:
        raise Problem(
            f'{folder} is in the folder of the pictures, and would be a class next time; give another: OUT=folder.'
        )
    return folder


def check_free(folder, data):
    """Raises Problem if a folder holds something else, or the classifier of these pictures without AGAIN=1."""
    if os.path.ismount(folder):
        raise Problem(f'{folder} is a disk, which cannot be replaced; give a folder in it: OUT={folder}/classifier.')
    if not os.path.lexists(folder) or (folder.is_dir() and not any(folder.iterdir())):
        return
    found = trained_on(folder)
    if found is None:
        raise Problem(f'{folder} is there already and is not a classifier; give another folder: OUT=folder.')
    if found != label_of(data):
        raise Problem(f'{folder} is the classifier of {found}; give another folder: OUT=folder.')
    if os.environ.get('AGAIN') != '1':
        raise Problem(f'{folder} is there already; add AGAIN=1 to replace it, or give another: OUT=folder.')


def trained_on(folder):
    """The name of the pictures that the classifier in a folder was trained on; None if it is none."""
    with contextlib.suppress(Exception):  # whatever is in the file
        model = onnx.load(folder / NAME, load_external_data=False)
        return {fact.key: fact.value for fact in model.metadata_props}.get('data')
    return None


# ---- What is done ---------------------------------------------------------------------------------------------------


def say_what_comes(name, dataset, minutes):
    """Print how many pictures there are, and how long all of it will take, with what it took so far."""
    counts = [len(dataset[split]) for split in SPLITS]
    seconds = foretold(dataset, classifier.pace(classifier.SOURCE, dataset.train))
    seconds += time.time() - psutil.Process().create_time()
    many = ', '.join(f'{n} for {split}' for split, n in zip(SPLITS, counts))
    hard = ', more if the classes are hard to tell apart' * (to_fit(dataset) > MANY)
    more = f', and up to {minutes:g} min for further steps' * bool(minutes)
    say(
        f'{name}: {len(dataset.classes)} classes, {many}: about {in_words(seconds)} in all{hard}{more}, '
        'less if the features are kept from before.'
    )


def to_fit(dataset):
    """Pictures that a head is fitted to or judged by, times classes."""
    return (len(dataset.train) + len(dataset.valid)) * len(dataset.classes)


def foretold(dataset, pace):
    """Seconds from the first picture to the report, if each takes `pace` through the source network.

    The mistakes that the report shows are not known yet, so they are as many as there can be.
    """
    train, valid, test = (len(dataset[split]) for split in SPLITS)
    fits = 5 if valid < frozen.LEAST_VALID else 1  # in five folds, too, of four fifths each
    numbers = to_fit(dataset)
    fitting = FIT * fits * (min(numbers, MANY) + SHARE * max(numbers - MANY, 0))
    return pace * (train + valid + test) + fitting + SHOW * min(test, report.MOST) + REST


@contextlib.contextmanager
def interruptible():
    """In here Ctrl-C ends what is tried, and what was best so far is kept."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        say('Stopped; the best so far is kept.')
    finally:
        signal.signal(signal.SIGINT, before)


def trained(dataset, minutes):
    """The Search, and the temperature by which its best is divided now."""
    started = time.time()
    search = classifier.Search(classifier.Task(dataset))
    if minutes:
        with interruptible():
            search.go_on(started + 60 * minutes)
    T = classifier.temperature(search.best.log_p, search.task.labels)
    classifier.soften(search.best.net, T)
    return search, T


def report_of(name, search, T):
    """The page; if a picture went away meanwhile, why there is none: the classifier is worth keeping all the same."""
    try:
        return report.page(name, search, T)
    except Problem as problem:
        say(f'There is no report: {problem}')
        return f'<!doctype html><meta charset="utf-8"><p>There is no report: {html.escape(str(problem))}'


def write(folder, data, search, T):
    """Write all files of the classifier to `folder`; what was there is kept beside it. Raises OSError and Problem."""
    net = search.best.net
    with stoppable(), partial_for(folder) as partial:
        made = Path(partial, 'made')
        made.mkdir()
        utils.save(net, made / 'classifier.safetensors', net.px)
        export.leave(net, net.px, made, data=label_of(data))
        (made / 'report.html').write_text(report_of(Path(data).name, search, T), 'utf8', 'backslashreplace')
        too_late()
        keep_older(folder)  # something of the user's may be in it, too
        made.rename(folder)


def main(*arguments):
    """All of it, from what is asked for to the report. Raises Problem."""
    warnings.filterwarnings('ignore', 'The number of unique classes')  # many, with few pictures each
    data, minutes = asked_data(arguments), asked_minutes()
    folder = asked_folder(data)
    try:
        check_free(folder, data)
        partial_for(folder).cleanup()  # if that can't be, say so before the work
        with stoppable():  # what is downloaded has to be tidied
            dataset = utils.find_data(data)
        say_what_comes(Path(data).name, dataset, minutes)
        search, T = trained(dataset, minutes)
        write(folder, data, search, T)
    except OSError as error:
        raise Problem(
            f'{folder} could not be written ({error}); free some space or give another: OUT=folder.'
        ) from None
    say(f'The classifier is in {folder}, and report.html there says how good it is.')
    open_page(folder / 'report.html')


if __name__ == '__main__':
    main(*sys.argv[1:])
