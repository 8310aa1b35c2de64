"""What the notebooks share, in the order of a lesson: data, networks, training, testing, pictures.

Every function is short enough to read. Shapes: n pictures, 3 colours, px pixels high and wide, c classes.
"""

import collections
import contextlib
import copy
import hashlib
import json
import math
import random
import time
from pathlib import Path

import mended_mxnet

import numpy as onp
import pandas as pd
import pooch
from d2l import mxnet as d2l
from gluoncv.data import ImageNet1kAttr
from matplotlib import pyplot as plt
from mxnet import autograd, gluon, init, np, npx
from mxnet import random as mx_random
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import save_file
from sklearn.metrics import ConfusionMatrixDisplay
from tqdm.auto import tqdm

from files import BUILD, ROOT, Problem  # noqa: F401, BUILD is for the notebooks
from pictures import centre_crop, normalize, open_picture, random_crop, readable
from sources import MEAN, NETWORKS, STD, build  # noqa: F401, MEAN and STD are for the notebooks
from sources.weights import read_weights, set_weights, weights_of


def seed_everything(seed):
    """Seed Python, NumPy and MXNet: on one machine the same seed gives the same results."""
    random.seed(seed)
    onp.random.seed(seed)
    mx_random.seed(seed)


def devices():
    """All GPUs if there are any, else the CPU."""
    return [npx.gpu(i) for i in range(npx.num_gpus())] or [npx.cpu()]


def where(net):
    """The devices that `net` is on."""
    return next(iter(net.collect_params().values())).list_ctx()


# ---- Data -----------------------------------------------------------------------------------------------------------

Data = collections.namedtuple('Data', 'classes train valid test')  # the splits are lists of (path, class number)
SPLITS = {'train': ['train', 'training'], 'valid': ['valid', 'val', 'validation'], 'test': ['test', 'testing']}
NOT_PICTURES = {'thumbs.db', 'desktop.ini'}


def find_data(name='kitchen'):
    """The data set `name`: 'kitchen' (in the box), 'hotdog' (the book's, downloaded) or any folder of class folders.

    A folder may hold train/, valid/ and test/, or class folders only. What is not there is taken out of the training
    pictures by `share_of`. Returns Data. Raises Problem.
    """
    folder = (
        hotdog() if name == 'hotdog' else ROOT / 'data' / 'kitchen' if name == 'kitchen' else Path(name).expanduser()
    )
    if not folder.is_dir():
        raise Problem(
            f'There is no folder {folder}; give "kitchen", "hotdog" or a folder that has one folder per class.'
        )
    parts = {split: p for p in subfolders(folder) for split, names in SPLITS.items() if p.name.lower() in names}
    parts.setdefault('train', folder)
    classes = [p.name for p in subfolders(parts['train'])]
    if len(classes) < 2:
        raise Problem(
            f'{parts["train"]} has {len(classes)} class folders ({", ".join(classes) or "none"}); '
            'put the pictures of each class into a folder of its own, two at least.'
        )
    data = Data(classes, **split_by_hash({split: list_pictures(part, classes) for split, part in parts.items()}))
    check_counts(folder, data)
    return data


def subfolders(folder):
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith('.'))


def list_pictures(folder, classes):
    """[(path, class number), ...] of all readable pictures; the others are named and skipped."""
    if [p.name for p in subfolders(folder)] != classes:
        raise Problem(
            f'{folder} has the classes {", ".join(p.name for p in subfolders(folder)) or "none"}, '
            f'but the training pictures have {", ".join(classes)}; make them the same.'
        )
    files = [
        (path, i)
        for i, name in enumerate(classes)
        for path in sorted((folder / name).iterdir())
        if path.is_file() and not path.name.startswith('.') and path.name.lower() not in NOT_PICTURES
    ]
    bad = {path for path, _ in tqdm(files, desc=f'checking {folder.name}', leave=False) if not readable(path)}
    if bad:
        names = ', '.join(str(path.relative_to(folder)) for path in sorted(bad)[:5])
        text = (
            f"{len(bad)} of {len(files)} files in {folder} are skipped, since they can't be read as pictures: "
            f'{names}{" ..." if len(bad) > 5 else ""}'
        )
        print(text.encode('utf8', 'replace').decode())  # a name may have bytes that are no text
    return [(path, i) for path, i in files if path not in bad]


def share_of(path):
    """A number in [0, 1) that depends on the file's name only, so that a picture never changes sides."""
    return int(hashlib.sha1(path.name.encode('utf8', 'surrogateescape')).hexdigest()[:8], 16) / 16**8


def split_by_hash(found):
    """{split: pictures}: a split that was not found is a fifth, chosen by hash, of the training pictures."""
    train, low = found['train'], 0
    for split in ('valid', 'test'):
        if split not in found:
            found[split] = [(path, i) for path, i in train if low <= share_of(path) < low + 0.2]
            low += 0.2
    return {**found, 'train': [(path, i) for path, i in train if share_of(path) >= low]}


def check_counts(folder, data):
    counts = {split: collections.Counter(i for _, i in getattr(data, split)) for split in SPLITS}
    empty = [i for i in range(len(data.classes)) if any(counts[split][i] == 0 for split in SPLITS)]
    if empty:
        table = '; '.join(
            f'{data.classes[i]}: ' + ', '.join(f'{split} {counts[split][i]}' for split in SPLITS) for i in empty[:3]
        )
        raise Problem(
            f'{len(empty)} of {len(data.classes)} classes in {folder} lack pictures ({table}); add some to them.'
        )


def hotdog():
    """The book's 2,800 photographs, downloaded once and verified (d2l, section Fine-Tuning); their folder."""
    url, sha1 = d2l.DATA_HUB['hotdog']
    try:
        pooch.retrieve(
            url,
            f'sha1:{sha1}',
            path=ROOT / 'data',
            fname='hotdog.zip',
            processor=pooch.Unzip(extract_dir=str(ROOT / 'data')),
            progressbar=True,
        )
    except (OSError, ValueError) as error:
        raise Problem(
            f'The photographs could not be downloaded from {url} ({type(error).__name__}); '
            'use the pictures in the box: data = "kitchen".'
        ) from None
    return ROOT / 'data' / 'hotdog'


def batches(pictures, net, px, batch_size, augment=False):
    """A DataLoader of ([n, 3, px, px], [n]) over [(path, class number), ...], normalised as `net` expects.

    With augment, for training: in random order, random crops, and without a last batch that is not full.
    MXNet computes in the background while the next pictures are read, so worker processes would not make it faster.
    """

    def transform(path, label):
        image = open_picture(path, px)
        return normalize(random_crop(image, px) if augment else centre_crop(image, px), net.mean, net.std), label

    dataset = gluon.data.SimpleDataset(pictures).transform(transform)
    return gluon.data.DataLoader(
        dataset,
        min(batch_size, len(pictures)),
        shuffle=augment,
        num_workers=0,
        last_batch='discard' if augment else 'keep',
    )


# ---- Networks -------------------------------------------------------------------------------------------------------


def pretrained(name='resnet18_v2'):
    """The source network `name`, with ImageNet's 1000 outputs ('hotdog' is one of them) and trained weights."""
    return set_weights(build(name, ImageNet1kAttr().classes), NETWORKS[name].weights())


def from_scratch(classes, name='resnet18_v2'):
    """The network `name` with random weights (Xavier) and one output per class."""
    return initialize(build(name, classes))


def initialize(block):
    block.initialize(init.Xavier(), force_reinit=True)
    return block


def with_new_head(source, classes):
    """A copy of the source network, not a reference to it, with a new output layer: random, one output per class."""
    net = copy.deepcopy(source)
    net.classes = list(classes)
    net.output = initialize(gluon.nn.Dense(len(classes), in_units=net.output.weight.shape[1]))
    net.collect_params().reset_ctx(where(source))  # ties the copied weights to gradients of their own
    return net


def save(net, path, px):
    """Write `net` with its classes to `path`, whole or not at all."""
    path = Path(path)
    metadata = {'network': net.network, 'classes': json.dumps(net.classes), 'px': str(px)}
    partial = path.with_name(path.name + '.partial')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(weights_of(net), partial, metadata)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise Problem(f'{path} could not be written ({error}); free some space or choose another folder.') from None


def load(path):
    """The network that `save` wrote."""
    weights, metadata = read_weights(path)
    if not {'network', 'classes', 'px'} <= metadata.keys():
        raise Problem(f'{path} was not written by utils.save: it does not say which network and classes it holds.')
    net = set_weights(build(metadata['network'], json.loads(metadata['classes'])), weights)
    net.px = int(metadata['px'])
    return net


def freeze(net, blocks):
    """Freeze the first `blocks` children of net.features: weights *and* BatchNorm statistics. Call it before training."""
    for block in list(net.features)[:blocks]:
        block.collect_params().setattr('grad_req', 'null')
        block.apply(fix_statistics)


def fix_statistics(block):
    """Let a BatchNorm that has nothing to learn use its own statistics in training, as it will in testing.

    MXNet would use those of the batch, and moves its own only where gradients pass: the first layer of resnet18_v2 never does.
    """
    if isinstance(block, gluon.nn.BatchNorm) and block.gamma.grad_req == block.beta.grad_req == 'null':
        block._kwargs['use_global_stats'] = True


# ---- Training -------------------------------------------------------------------------------------------------------


def train(net, train_iter, valid_iter, num_epochs, lr, wd=0.001, head=10):
    """Train `net` with SGD and keep the best on valid; the output layer learns `head` times faster (d2l, Fine-Tuning).

    Returns a table with a row per epoch: loss, train and valid accuracy, pictures per second, seconds.
    Stops at Ctrl-C and gives back what it has.
    """
    net.collect_params().reset_ctx(devices())
    net.output.collect_params().setattr('lr_mult', head)
    net.apply(fix_statistics)
    net.hybridize(static_alloc=True, static_shape=True)
    trainer = gluon.Trainer(net.collect_params(), 'sgd', {'learning_rate': lr, 'wd': wd})
    rows, best, best_weights = [], -1, None
    with tqdm(total=num_epochs * len(train_iter), unit='batch', leave=False) as bar:
        try:
            for epoch in range(1, num_epochs + 1):
                row = train_epoch(net, trainer, train_iter, bar)
                rows.append({'epoch': epoch, **row, 'valid': accuracy(*predictions(net, valid_iter))})
                bar.set_postfix({'epoch': epoch, 'loss': f'{row["loss"]:.3f}', 'valid': f'{rows[-1]["valid"]:.3f}'})
                if rows[-1]['valid'] > best:
                    best, best_weights = rows[-1]['valid'], weights_of(net)
        except KeyboardInterrupt:
            print(f'Stopped after {len(rows)} of {num_epochs} epochs.')
    net.hybridize(active=False)  # so that it can be copied
    npx.waitall()  # see weights_of
    if best_weights:
        set_weights(net, best_weights)
    return pd.DataFrame(rows, columns=['epoch', 'loss', 'train', 'valid', 'pictures/s', 'seconds'])


def train_epoch(net, trainer, train_iter, bar):
    """One pass over `train_iter`, each batch shared among the devices: mean loss, train accuracy and speed."""
    loss_fn, contexts, started, sums = gluon.loss.SoftmaxCrossEntropyLoss(), where(net), time.time(), []
    for X, y in train_iter:
        Xs, ys = (gluon.utils.split_and_load(part, contexts, even_split=False) for part in (X, y))
        with autograd.record():
            outputs = [net(X) for X in Xs]
            losses = [loss_fn(output, y) for output, y in zip(outputs, ys)]
        for loss in losses:
            loss.backward()
        trainer.step(len(y))
        sums.append([(l.sum(), (o.argmax(1) == y).sum()) for l, o, y in zip(losses, outputs, ys)])
        if len(sums) > 1:
            sums[-2] = numbers(sums[-2])  # waits for the batch before this one, so that MXNet is never idle
        bar.update()
    loss, correct = onp.sum([*sums[:-1], numbers(sums[-1])], 0) / (len(sums) * len(y))
    npx.waitall()  # the last batch is not done before its gradients are
    seconds = time.time() - started
    return {'loss': loss, 'train': correct, 'pictures/s': len(sums) * len(y) / seconds, 'seconds': seconds}


def estimate(data, px, batch_size):
    """Seconds that an epoch takes on this machine, from three steps of training on one batch."""
    net = from_scratch(data.classes)
    first, second = data.train[:batch_size], data.valid[:batch_size]
    history = train(net, batches(first, net, px, batch_size, augment=True), batches(second, net, px, batch_size), 3, 0)
    return (len(data.train) + len(data.valid) / 3) / history['pictures/s'].iloc[-1]  # a third: forward, not backward


def numbers(parts):
    return onp.sum([[float(a), float(b)] for a, b in parts], 0)


# ---- Testing --------------------------------------------------------------------------------------------------------


def predictions(net, data_iter):
    """(probabilities [n, c], class numbers [n]) of `net` in predict mode."""
    outputs, labels, contexts = [], [], where(net)
    for X, y in data_iter:
        Xs = gluon.utils.split_and_load(X, contexts[: len(X)], even_split=False)  # MXNet can't have empty parts
        outputs.append([npx.softmax(net(X)) for X in Xs])
        labels.append(y.asnumpy())
        if len(outputs) > 1:
            outputs[-2] = [p.asnumpy() for p in outputs[-2]]
    outputs[-1] = [p.asnumpy() for p in outputs[-1]]
    return onp.concatenate([p for parts in outputs for p in parts]), onp.concatenate(labels)


def accuracy(probabilities, labels):
    return float((probabilities.argmax(1) == labels).mean())


def spread(values):
    """What several seeds gave, as 'mean ± standard deviation'."""
    return f'{onp.mean(values):.3f}' + (f' ± {onp.std(values, ddof=1):.3f}' if len(values) > 1 else '')


def interval(share, n, z=1.96):
    """95 % interval of a share measured on n pictures (Wilson, 1927)."""
    middle, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def predict(net, path, px=None, top=5):
    """{class: probability} of the picture at `path`, the `top` most likely classes first."""
    px = px or getattr(net, 'px', None)
    if px is None:
        raise Problem('The network does not say for which size it was trained; give px: utils.predict(net, path, 128).')
    try:
        image = open_picture(path, px)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise Problem(f"{path} can't be read as a picture; give the path of a JPEG or PNG file.") from None
    X = np.array(normalize(centre_crop(image, px), net.mean, net.std))[None]
    p = npx.softmax(net(X.as_in_ctx(where(net)[0])))[0].asnumpy()
    return {net.classes[i]: float(p[i]) for i in p.argsort()[::-1][:top]}


# ---- Pictures -------------------------------------------------------------------------------------------------------

COLORS = {'fine-tuned': 'tab:red', 'from scratch': 'tab:blue', 'head': 'tab:green'}  # the same in every figure
plt.rcParams.update({'font.size': 14, 'axes.spines.top': False, 'axes.spines.right': False, 'figure.dpi': 68})


def show(pictures, px, titles=None):
    """A grid of pictures, eight in a row: [(path, class number), ...] or PIL images."""
    images = [centre_crop(open_picture(p[0], px), px) if isinstance(p, tuple) else p for p in pictures]
    axes = d2l.show_images([onp.asarray(image) for image in images], math.ceil(len(images) / 8) or 1, 8, titles, 1.6)
    for ax in axes:
        ax.title.set_fontsize(10)  # or the names of neighbours overlap
    for ax in axes[len(images) :]:
        ax.axis('off')


def plot_curves(histories):
    """Loss and accuracy by epoch, a colour for each of {name: table of train}: thin for training, thick for valid."""
    fig, (left, right) = plt.subplots(1, 2, figsize=(12, 4))
    for name, history in histories.items():
        color = COLORS.get(name, f'C{2 + 2 * len(left.lines)}')  # C3 is red
        left.plot(history.epoch, history.loss, color=color, lw=3, marker='o', label=name)
        right.plot(history.epoch, history.train, color=color, lw=1, ls='--', marker='.')
        right.plot(history.epoch, history.valid, color=color, lw=3, marker='o', label=name)
    epochs = sorted({epoch for history in histories.values() for epoch in history.epoch})
    left.set(xlabel='epoch', title='training loss', xticks=epochs)
    right.set(xlabel='epoch', title='accuracy: valid (thick), training (dashed)', xticks=epochs)
    left.legend(frameon=False)
    return fig


def plot_confusion(probabilities, labels, classes):
    """How many pictures of each class (row) were called what (column)."""
    ConfusionMatrixDisplay.from_predictions(
        labels,
        probabilities.argmax(1),
        labels=range(len(classes)),
        display_labels=classes,
        cmap='Greys',
        colorbar=False,
    )


def mistakes(pictures, probabilities, labels):
    """The pictures that were called wrong, the surest mistakes first."""
    wrong = onp.flatnonzero(probabilities.argmax(1) != labels)
    return [pictures[i] for i in wrong[onp.argsort(-probabilities[wrong].max(1))]]
