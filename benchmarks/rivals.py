"""Ours beside what one could take instead, each at its best: from picture files to predictions for the test pictures.

python -m benchmarks.rivals [FOLDER] [--px 224] [--runs 3] [--networks NAME ...]

    .venv/bin/pip install --target build/torch torch==2.13.0 timm nncf ml_dtypes==0.5.1

This is what it is compared with; ONNX Runtime comes with `make test`. All have the same source networks and pictures;
each has a process and an empty cache of its own, and those that keep something a second time with what they kept.
Seconds are those from the lists of files on (`make classifier`: from the folder on), with networks as files, in 8 bits,
too, and packages imported; peak_mib is the most that the process held (workers that read come on top), before_mib what
it held when that began. Where there are several ways, all are run once, and the fastest again. Everything is chosen on
valid or, if it is small, out of fold. The runs of all rows take turns. Nothing else should run meanwhile. Writes
benchmarks/rivals.csv; a run that is stopped goes on.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from multiprocessing import set_start_method
from pathlib import Path
from typing import NamedTuple

import mended_mxnet

import numpy as onp
from sklearn.linear_model import LogisticRegressionCV
from sklearn.model_selection import PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import classifier
import frozen
import known
import utils
from benchmarks import runtimes
from benchmarks.facts import data_facts, has_bfloat16, processor
from benchmarks.runtimes import in_a_process
from benchmarks.table import Table
from commands import classify
from commands.lesson import parameters
from files import BUILD
from folders import SPLITS, Dataset
from problem import Problem, check_number, check_px, say
from sources import NETWORKS

OUT = Path(__file__).resolve().with_name('rivals.csv')
BOX, LAST_STAGE = 'resnet18_v2', 'stage4'
BATCH, EPOCHS = 32, 5
BOOK = "PyTorch, the book's recipe"
PACKAGES = {'torch': 'torch==2.13.0', 'timm': 'timm', 'nncf': 'nncf', 'ml_dtypes': 'ml_dtypes==0.5.1'}


class Task(NamedTuple):
    """What all are given, and a folder of their own to keep something in."""

    data: str
    dataset: Dataset
    px: int
    lr: float
    network: str
    seed: int
    folder: Path


# ---- Ours: each gives a function, {valid and test accuracy} of what is timed ----------------------------------------


def whole_network(task):
    def run():
        utils.seed_everything(task.seed)
        net = utils.with_new_head(utils.pretrained(task.network), task.dataset.classes)
        train, valid, test = (
            utils.batches(task.dataset[split], net, task.px, BATCH, split == 'train') for split in SPLITS
        )
        return trained(net, train, valid, test, task.lr)

    return run


def last_stage(task):
    def run():
        utils.seed_everything(task.seed)
        below, above = frozen.cut(utils.with_new_head(utils.pretrained(task.network), task.dataset.classes), LAST_STAGE)
        train, valid, test = (below.batches(task.dataset[split], task.px, BATCH, split == 'train') for split in SPLITS)
        return trained(above, train, valid, test, task.lr)

    return run


def trained(net, train, valid, test, lr):
    history = utils.train(net, train, valid, EPOCHS, lr)
    return {'valid': history.valid.max(), 'test': utils.accuracy(*utils.predictions(net, test))}


def head(task):
    def run():
        net = frozen.with_head(utils.pretrained(task.network), task.dataset.classes)
        below, above = frozen.cut(net, 'output')
        valid = frozen.fit(below, above, classifier.Task(task.dataset).for_fit(), task.px).valid.max()
        test = below.batches(task.dataset.test, task.px, BATCH)
        return {'valid': valid, 'test': utils.accuracy(*utils.predictions(above, test))}

    return run


def make_classifier(task):
    def run():
        search, T = classify.trained(utils.find_data(task.data), 0)
        classify.write(task.folder / 'classifier', task.data, search, T)
        judges, test = search.task.labels, search.task.dataset.test
        log_p = search.best.called(test)
        return {
            'valid': utils.accuracy(search.best.log_p, judges),
            'test': utils.accuracy(log_p, frozen.labels_of(test)),
        }

    return run


# ---- Theirs ---------------------------------------------------------------------------------------------------------


def pytorch(task, **way):
    from benchmarks import pytorch

    def run():
        valid, test = pytorch.recipe(task.dataset, task.px, task.lr, EPOCHS, task.seed, **way)
        return {'valid': valid, 'test': test()}

    return run


def features(task, runtime):
    """Frozen features, which are kept, and scikit-learn's logistic regression on them."""
    start = runtime(task)

    def run():
        dataset = classifier.Task(task.dataset).for_fit()
        paths = {split: task.folder / f'{split}.npy' for split in SPLITS if dataset[split]}
        if not all(path.exists() for path in paths.values()):
            compute = start()
            for split, path in paths.items():
                onp.save(path, compute(dataset[split]))
        return fitted({split: flat(onp.load(path)) for split, path in paths.items()}, dataset)

    return run


def flat(X):
    return X.reshape(len(X), -1)


def fitted(X, dataset):
    """{valid and test accuracy} of a fitted head; its C is the best on valid or, without one, out of fold."""
    y = {split: frozen.labels_of(dataset[split]) for split in X}
    parts = [split for split in ('train', 'valid') if split in X]
    folds = PredefinedSplit([-1] * len(X['train']) + [0] * len(X['valid'])) if 'valid' in X else 5
    model = LogisticRegressionCV(cv=folds, max_iter=1000, refit='valid' not in X)  # of valid only the scale is learned
    pipeline = make_pipeline(StandardScaler(), model)
    pipeline.fit(*(onp.concatenate([some[split] for split in parts]) for some in (X, y)))
    scores = next(iter(model.scores_.values()))
    return {'valid': scores.mean(0).max(), 'test': pipeline.score(X['test'], y['test'])}


# ---- The rows -------------------------------------------------------------------------------------------------------


class Row(NamedTuple):
    """What is before a colon is the same for all ways to do the same."""

    what: str
    network: str
    recipe: Callable
    times: tuple = ('first',)


TWICE = 'first', 'second'


def rows(networks):
    yield Row(BOOK, BOX, pytorch)
    for name, way in ways().items():
        yield Row(f'PyTorch at its best: {name}', BOX, partial(pytorch, **way))
    yield Row('ours, whole network', BOX, whole_network)
    yield Row('ours, last stage', BOX, last_stage, TWICE)
    for network in networks:
        yield Row('ours, head', network, head, TWICE)
        for what, runtime in frozen_rivals().items():
            yield Row(what, network, partial(features, runtime=runtime), TWICE)
    yield Row('ours, make classifier', classifier.SOURCE, make_classifier, TWICE)


def ways():
    """{name: settings} of PyTorch's ways to be faster."""
    found = {}
    for bfloat16 in [False, True] if has_bfloat16() else [False]:
        for compiled in False, True:
            name = ('bfloat16' if bfloat16 else 'float32') + ', channels last' + ', compiled' * compiled
            found[name] = {'bfloat16': bfloat16, 'channels_last': True, 'compiled': compiled}
    return found


def frozen_rivals():
    """{what: runtime}"""
    found = {f'PyTorch, head: {name}': partial(runtimes.pytorch, **way) for name, way in ways().items()}
    found['OpenVINO, head, float32'] = partial(runtimes.openvino, INFERENCE_PRECISION_HINT='f32')
    if has_bfloat16():
        found['OpenVINO, head, bfloat16'] = partial(runtimes.openvino, INFERENCE_PRECISION_HINT='bf16')
    return found | {
        'OpenVINO, head, 8 bits': partial(runtimes.openvino, form='openvino_8_bits.xml'),
        'ONNX Runtime, head, float32': runtimes.onnxruntime,
        'ONNX Runtime, head, 8 bits': partial(runtimes.onnxruntime, form='onnxruntime_8_bits.onnx'),
    }


# ---- The measurement ------------------------------------------------------------------------------------------------


def measured(recipe, task):
    """{column: value} of a row; to be run in a process of its own."""
    os.environ['TORCHINDUCTOR_CACHE_DIR'] = str(task.folder)  # or it would find what it compiled before
    set_start_method('fork', force=True)  # of PyTorch's workers, as is usual on Linux
    frozen.CACHE, known.FILE = task.folder, task.folder / 'known.sqlite'
    run = recipe(task)
    before, started = peak(), time.time()
    found = run()
    return found | {'seconds': time.time() - started, 'before_mib': before, 'peak_mib': peak()}


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024  # of KiB


def measure(table, row, same, *facts):
    """Add the row to the table, if it is not there; the second time needs the first."""
    settings = [{'what': row.what, 'network': row.network, 'time': when, **same} for when in row.times]
    if any(table.rows(**setting).empty for setting in settings):
        BUILD.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            for setting in settings:
                task = Task(*facts, row.network, same['run'], Path(folder))
                values = in_a_process(measured, row.recipe, task)
                table.add([setting | values])
                say(f'{row.what}, {row.network}, {setting["time"]} time, run {same["run"]}: {values["seconds"]:.1f} s')


def fastest(table, some, same):
    """Those rows that were, in the first run, the fastest way to do the same."""
    found = table.rows(**same, run=0, time='first')
    found = found.assign(group=found.what.str.split(':').str[0]).sort_values('seconds')
    best = found.drop_duplicates(['group', 'network'])
    chosen = {*zip(best.what, best.network)}
    return [row for row in some if (row.what, row.network) in chosen]


def summary(found, num_pictures):
    """A table with a line for each row: what of its runs is in the middle, how far they lie apart; the book's is 1."""
    runs = found.groupby(['what', 'network', 'time'], sort=False)
    lines = runs.seconds.agg(['median', 'min', 'max', 'count'])
    lines['share'] = lines['median'] / lines['median'][BOOK].iloc[0]
    lines = lines.join(runs[['valid', 'test', 'before_mib', 'peak_mib']].median())
    both = lines['median'].unstack('time')
    pace = num_pictures / (both['first'] - both['second'])  # the second time nothing is computed
    return lines.join(pace.rename('pictures/s')).reindex(lines.index).round(3)


def check_installed():
    missing = [name for name in PACKAGES if not (find_spec(name) or (BUILD / 'torch' / name).is_dir())]
    if missing:
        command = f'.venv/bin/pip install --target build/torch {" ".join(PACKAGES.values())}'
        raise Problem(f'{", ".join(missing)} is missing; install what it is compared with: {command}')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data', metavar='FOLDER', nargs='?', default='kitchen')
    parser.add_argument('--px', type=int, default=224)
    parser.add_argument('--runs', type=int, default=3)
    in_packages = [name for name, source in NETWORKS.items() if not source.file]
    parser.add_argument('--networks', nargs='+', choices=in_packages, default=[BOX, classifier.SOURCE])
    args = parser.parse_args()
    check_px(args.px)
    check_number('runs', args.runs, 1, whole=True)
    check_installed()
    dataset = utils.find_data(args.data)
    same = {'px': args.px, **data_facts(args.data, dataset), 'processor': processor()}
    table = Table(OUT, ['what', 'network', 'time', 'run', *same])
    some, facts = [*rows(args.networks)], (args.data, dataset, args.px, parameters()['lr']['fine-tuned'])
    for run in range(args.runs):
        for row in some:
            measure(table, row, same | {'run': run}, *facts)
        some = fastest(table, some, same)
    print(summary(table.rows(**same), sum(len(dataset[split]) for split in SPLITS)).to_string())


if __name__ == '__main__':
    main()
