"""What the notebooks share, in the order of a lesson: data, networks, training, testing.

Every function is short enough to read. Shapes: n pictures, 3 colours, px pixels high and wide, c classes.
"""

import contextlib
import copy
import itertools
import math
import random
import threading
import time
import zipfile
from pathlib import Path

import mended_mxnet  # before MXNet

import numpy as onp  # np is MXNet's
import pandas as pd
from d2l import mxnet as d2l
from gluoncv.data import ImageNet1kAttr
from mxnet import autograd, gluon, init, np, npx
from mxnet import random as mx_random
from mxnet.base import MXNetError
from safetensors import SafetensorError
from safetensors.numpy import save_file
from scipy.stats import t
from tqdm.auto import tqdm

import workers
from files import BUILD, ROOT, folder_of, label_of, partial_for, user_path, whole  # noqa: F401, for notebooks label_of
from folders import SPLITS, read_folder, share_of  # noqa: F401, and SPLITS and share_of
from pictures import centre_crop, normalize, open_picture, random_crop
from problem import Problem, check_classes, check_colours, check_network, check_number, check_pictures, check_px
from sources import MEAN, NETWORKS, STD, build, facts_of, rebuild  # noqa: F401, and MEAN and STD
from sources.download import File, fetch
from sources.weights import (
    TooFast,
    check_finite,
    check_takes,
    keep_older,
    not_taken,
    read_weights,
    set_weights,
    weights_of,
)

URL, SHA1 = d2l.DATA_HUB['hotdog']
MIRROR = 'https://apache-mxnet.s3-accelerate.amazonaws.com/gluon/dataset/hotdog.zip'
HOTDOG = File('hotdog.zip', f'sha1:{SHA1}', (URL, MIRROR))
TRAINING = threading.Lock()


def seed_everything(seed):
    """Seed Python, NumPy and MXNet: on one machine the same seed gives the same results. Raises Problem."""
    check_number('seed', seed, 0, whole=True)
    if seed >= 2**32:
        raise Problem(f'seed is {seed}; give a whole number below 2 ** 32.')
    check_alone(not TRAINING.locked())
    random.seed(int(seed))
    onp.random.seed(seed)
    mx_random.seed(int(seed))


def check_alone(alone):
    if not alone:
        raise Problem('Something else trains here, and would draw the same random numbers; wait for it, or stop it.')


@contextlib.contextmanager
def only_training():
    """In here nobody else trains, such as a widget beside a cell. Raises Problem."""
    check_alone(TRAINING.acquire(blocking=False))
    try:
        yield
    finally:
        TRAINING.release()


def devices():
    """All GPUs if there are any, else the CPU."""
    return [npx.gpu(i) for i in range(npx.num_gpus())] or [npx.cpu()]


def where(net):
    """The devices that `net` is on."""
    return next(iter(net.collect_params().values())).list_ctx()


# ---- Data -----------------------------------------------------------------------------------------------------------


def find_data(data='kitchen'):
    """The Dataset `data`: 'kitchen' (in the box), 'hotdog' (the book's, downloaded) or any folder of class folders.

    A folder may hold train/, valid/ and test/, or class folders only; see folders.read_folder. Raises Problem.
    """
    if data == 'hotdog':
        download_hotdog()
    return read_folder(folder_of(data))


def download_hotdog():
    """The book's 2,800 photographs, downloaded once and verified (d2l, section Fine-Tuning). Raises Problem."""
    folder = ROOT / 'data' / 'hotdog'
    if folder.is_dir():
        return
    try:
        file = fetch(HOTDOG, folder.parent)
    except Problem as problem:
        raise Problem(f'{problem} Or use the pictures in the box: data = "kitchen".') from None
    try:
        with partial_for(folder) as partial:
            zipfile.ZipFile(file).extractall(partial)
            Path(partial, 'hotdog').rename(folder)
    except OSError as error:
        raise Problem(f'{folder} could not be filled ({error}); free some space.') from None


def batches(pictures, net, px, batch_size, train=False):
    """A DataLoader of ([n, 3, px, px], [n]) over [(path, class number), ...], normalised as `net` expects.

    With train: in random order, random crops, and without a last batch that is not full. Raises Problem.
    MXNet computes in the background while the next pictures are read, so worker processes would not make it faster.
    """
    check_batches(pictures, px, batch_size)
    check_colours(net)
    crop = random_crop if train else centre_crop

    def transform(path, label):
        image = crop(open_picture(path, px), px)
        return normalize(image, net.mean, net.std), label

    loader = gluon.data.DataLoader(
        gluon.data.SimpleDataset([*map(tuple, pictures)]).transform(transform),
        min(batch_size, len(pictures)),
        shuffle=train,
        last_batch='discard' if train else 'keep',
    )
    loader.classes = getattr(pictures, 'classes', None)
    return loader


def check_batches(pictures, px, batch_size):
    check_px(px)
    check_number('batch_size', batch_size, 1, whole=True)
    check_pictures(pictures)


def check_same_classes(net, data_iter):
    """Raises Problem if both say which classes they have, and they are not the same ones in the same order."""
    known, given = getattr(net, 'classes', None), getattr(data_iter, 'classes', None)
    if known and given and list(known) != list(given):
        known, given = (', '.join(map(str, names))[:150] for names in (known, given))
        raise Problem(
            f'The network knows {known} and the pictures are of {given}, in this order; rename the folders or take the '
            'network that belongs to them.'
        )


# ---- Networks -------------------------------------------------------------------------------------------------------


def pretrained(name='resnet18_v2'):
    """The source network `name`, with ImageNet's 1000 outputs ('hotdog' is one of them) and trained weights."""
    return set_weights(build(name, ImageNet1kAttr().classes), NETWORKS[name].weights())


def from_scratch(classes, name='resnet18_v2'):
    """The network `name` with random weights (Xavier) and one output per class."""
    check_classes(classes)
    return initialize(build(name, classes))


def initialize(block):
    block.initialize(init.Xavier(), force_reinit=True)
    return block


def copied(net, part=None):
    """A copy of a network or a part of it, not a reference to it."""
    net.hybridize(active=False)  # what is compiled can't be copied, nor can its parts
    npx.waitall()  # see weights_of
    return copy.deepcopy(net if part is None else part)


def with_new_head(source, classes):
    """A copy of the source network with a new output layer: random, one output per class. Raises Problem."""
    check_classes(classes)
    check_network(source)
    if not isinstance(source.output, gluon.nn.Dense):
        raise Problem('This network ends in more than one layer; give it a new head with frozen.with_head.')
    net = copied(source)
    net.head, net.classes = 'softmax', list(classes)
    net.output = initialize(gluon.nn.Dense(len(classes), in_units=net.output.weight.shape[1]))
    freeze(net, 0)  # whatever was frozen in the source
    net.collect_params().reset_ctx(where(source))  # ties the copied weights to gradients of their own
    return net


def save(net, path, px):
    """Write `net`, with what it was trained for, to `path`; what was there is kept beside it. Raises Problem."""
    check_px(px)
    check_network(net)
    path, weights = user_path(path), weights_of(net)
    check_finite(weights)
    facts = facts_of(net, weights, px)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole(path) as partial:
            save_file(weights, partial, facts)
            keep_older(path)
    except (OSError, ValueError, SafetensorError) as error:  # ValueError: a name that no file can have
        raise Problem(f'{path} could not be written ({error}); free some space or choose another folder.') from None


def load(path):
    """The network that `save` wrote. Raises Problem."""
    weights, facts = read_weights(path)
    try:
        return set_weights(rebuild(facts), weights)
    except Problem as error:
        raise Problem(f'{path} was not written by utils.save, or is damaged: {error}') from None


def freeze(net, num_frozen):
    """Freeze the first blocks of net.features, weights *and* BatchNorm statistics, and let the others train."""
    check_number('num_frozen', num_frozen, 0, whole=True)
    check_network(net)
    if num_frozen > len(net.features):
        raise Problem(f'num_frozen is {num_frozen}, and the network has {len(net.features)} blocks; give that at most.')
    for i, block in enumerate(net.features):
        block.collect_params().setattr('grad_req', 'null' if i < num_frozen else 'write')
        block.apply(fix_statistics)


def fix_statistics(block):
    """Let a BatchNorm that has nothing to learn use its own statistics in training, as it will in testing.

    MXNet would use those of the batch, and moves its own only where gradients pass: the first layer of resnet18_v2
    never does. One that learns again gets back what it had.
    """
    if isinstance(block, gluon.nn.BatchNorm):
        if not hasattr(block, 'global_stats'):
            block.global_stats = block._kwargs['use_global_stats']
        learns = {block.gamma.grad_req, block.beta.grad_req} != {'null'}
        block._kwargs['use_global_stats'] = block.global_stats if learns else True


# ---- Training -------------------------------------------------------------------------------------------------------


class Stopped(KeyboardInterrupt):
    """Ctrl-C in a training; `history` is its table so far."""

    def __init__(self, history, num_epochs):
        super().__init__(f'Stopped after {len(history)} of {num_epochs} epochs.')
        self.history = history

    def _render_traceback_(self):  # see Problem
        return [str(self)]


@only_training()
def train(net, train_iter, valid_iter, num_epochs, lr, wd=0.001, head=10, patience=None, watch=None, kvstore=None):
    """Train `net` with SGD and keep the best on valid; the output layer learns `head` times faster (d2l, Fine-Tuning).

    Returns a table with a row per epoch: loss, train and valid accuracy, pictures per second, seconds; `watch` is
    called with it after each. It ends early after `patience` epochs without a better one (early stopping). With kvstore
    'dist_sync' several machines train it (README); all but the valid accuracy is then of this worker's batches. Raises
    Stopped at Ctrl-C, and Problem; whatever happens, `net` has its best weights afterwards.
    """
    check_training(net, train_iter, valid_iter, num_epochs, lr, wd, head, patience)
    mended_mxnet.give_back_memory()
    store = workers.connect(kvstore)
    rows, best, best_epoch, best_weights = [], -1, 0, known_weights(net)
    try:
        trainer = trainer_of(net, lr, wd, head, store)
        if store:
            begin_together(net, trainer, train_iter, store)
        total = num_epochs * len(train_iter) if hasattr(train_iter, '__len__') else None  # None: a bar without an end
        with tqdm(total=total, desc='training', unit='batch', leave=False) as bar:
            for epoch in range(1, num_epochs + 1):
                row = train_epoch(net, trainer, train_iter, bar)
                workers.average_statistics(store, net)
                valid = float(workers.mean(store, accuracy(*predictions(net, valid_iter))))
                weights = weights_of(net)
                check_finite(weights)  # those that valid doesn't show, too
                if valid > best:
                    best, best_epoch, best_weights = valid, epoch, weights
                rows.append({'epoch': epoch, **row, 'valid': valid})
                bar.set_postfix({'epoch': epoch, 'loss': f'{row["loss"]:.3f}', 'valid': f'{valid:.3f}'})
                if watch:
                    watch(history_of(rows))
                if epoch - best_epoch == patience:
                    break
    except KeyboardInterrupt:
        raise Stopped(history_of(rows), num_epochs) from None
    finally:
        if give_back(net, best_weights):  # Ctrl-C once more
            raise Stopped(history_of(rows), num_epochs)
    return history_of(rows)


def check_training(net, train_iter, valid_iter, num_epochs, lr, wd, head, patience):
    check_network(net)
    check_number('num_epochs', num_epochs, 1, whole=True)
    if patience is not None:
        check_number('patience', patience, 1, whole=True)
    for name, value in {'lr': lr, 'wd': wd, 'head': head}.items():
        check_number(name, value)
    if max(lr, wd, lr * head) > 1e30:  # MXNet takes no number that is much larger
        raise Problem(f'lr {lr}, wd {wd} and head {head} make too large steps; take smaller ones.')
    if all(param.grad_req == 'null' for param in net.collect_params().values()):
        raise Problem('All of the network is frozen, so that nothing would be learned; let some of it train.')
    for data_iter in train_iter, valid_iter:
        check_same_classes(net, data_iter)


def known_weights(net):
    """The weights of `net`, to go back to; None before its first picture, where they are random and have no shape."""
    try:
        weights = weights_of(net)
    except Problem:
        return None
    check_finite(weights)
    return weights


def give_back(net, weights):
    """Make `net` a network with those weights that can be copied; True if Ctrl-C made that begin anew."""
    pressed = False
    while True:
        try:
            net.hybridize(active=False)
            for param in net.collect_params().values():
                param._set_trainer(None)  # a copy would hold all that it holds
            if weights:
                set_weights(net, weights)
            else:
                initialize(net)
            return pressed
        except KeyboardInterrupt:
            pressed = True


def trainer_of(net, lr, wd, head, store=None):
    """What takes the steps of SGD; `net` is compiled, and on all devices."""
    net.collect_params().reset_ctx(devices())
    net.output.collect_params().setattr('lr_mult', float(head))
    net.apply(fix_statistics)
    net.hybridize(static_alloc=True, static_shape=True)
    steps = {'learning_rate': float(lr), 'wd': float(wd)}
    if not store:
        return gluon.Trainer(net.collect_params(), 'sgd', steps)
    steps['rescale_grad'] = 1 / store.num_workers  # the servers add up; they would forget lr_mult if they took the step
    return gluon.Trainer(net.collect_params(), 'sgd', steps, kvstore=store, update_on_kvstore=False)


def begin_together(net, trainer, train_iter, store):
    """Give all workers the weights of one; a picture makes known which shapes they have. Raises Problem."""
    for X, _ in itertools.islice(train_iter, 1):
        with autograd.record():  # a prediction would leave the weights in an order that the store can't read
            forward(net, X[:1], where(net)[:1])
    workers.begin(store, trainer, train_iter)


def history_of(rows):
    return pd.DataFrame(rows, columns=['epoch', 'loss', 'train', 'valid', 'pictures/s', 'seconds'])


def train_epoch(net, trainer, train_iter, bar):
    """One pass over `train_iter`: mean loss, train accuracy and speed. Raises Problem."""
    contexts, started = where(net), time.time()
    sums, num_seen = onp.zeros(2), 0
    steps = ((len(X), train_step(net, trainer, X, y, contexts)) for X, y in train_iter)
    for n, parts in one_behind(steps):
        batch = onp.sum([[float(loss), float(right)] for loss, right in parts], 0)
        check_is_number(batch)
        sums += batch
        num_seen += n
        bar.update()
    if num_seen == 0:
        raise Problem('There are no pictures to train on; give batches of some that can be read again in each epoch.')
    npx.waitall()  # the last batch is not done before its gradients are
    seconds = time.time() - started
    loss, correct = sums / num_seen
    return {'loss': loss, 'train': correct, 'pictures/s': num_seen / seconds, 'seconds': seconds}


def train_step(net, trainer, X, y, contexts):
    """A step of gradient descent on one batch, shared among devices: [(sum of losses, correct), ...]."""
    if len(X) < len(contexts):
        raise Problem(f'A batch of {len(X)} is too small for {len(contexts)} devices; take a larger batch_size.')
    loss_fn = gluon.loss.SoftmaxCrossEntropyLoss()
    with autograd.record():
        outputs = forward(net, X, contexts)
        check_labels(y, outputs)
        ys = gluon.utils.split_and_load(y.astype('int64'), contexts, even_split=False)
        losses = [loss_fn(output, labels) for output, labels in zip(outputs, ys)]
    for loss in losses:
        loss.backward()
    trainer.step(len(X))
    correct = [(output.argmax(1) == labels).sum() for output, labels in zip(outputs, ys)]
    return [(loss.sum(), right) for loss, right in zip(losses, correct)]


def forward(net, X, contexts):
    """What `net` gives for a batch, a part [n, c] on each device. Raises Problem."""
    if not onp.isfinite(X.asnumpy()).all():  # a ReLU may hide it
        raise Problem('Pictures have something in them that is not a number; see where these batches come from.')
    X = X.astype('float32', copy=False)
    check_takes(net, X.shape)
    try:
        return [net(part) for part in gluon.utils.split_and_load(X, contexts, even_split=False)]
    except (MXNetError, ValueError):
        raise not_taken(net, X.shape) from None


def check_labels(y, outputs):
    """Raises Problem unless each picture has a class number with an output: MXNet would take the last one."""
    labels, num_classes = y.asnumpy(), outputs[0].shape[-1]
    if labels.shape != (sum(map(len, outputs)),):
        raise Problem(f'Batches have class numbers of the shape {labels.shape}; give one number for each picture.')
    if (labels % 1).any() or not 0 <= labels.min() <= labels.max() < num_classes:
        raise Problem(
            f'The class numbers go from {labels.min()} to {labels.max()}, and the network has {num_classes} outputs; '
            'take the network that belongs to these pictures.'
        )


def check_is_number(result):
    """Raises Problem unless all that came out is finite; what went in was, see forward."""
    if not onp.isfinite(result).all():
        raise TooFast('What the network gives is not a number, since the steps were too large; take a smaller lr.')


def one_behind(results):
    """Each result when the next was begun: MXNet computes that in the background while we wait for this one."""
    for result, _ in itertools.pairwise(itertools.chain(results, [None])):
        yield result


def estimate(dataset, px, batch_size):
    """Seconds that an epoch takes on this machine, from three steps of training on one batch. Raises Problem."""
    check_batches(dataset.train, px, batch_size)
    net = from_scratch(dataset.classes)
    train_iter = batches(dataset.train[:batch_size], net, px, batch_size, train=True)
    history = train(net, train_iter, batches(dataset.valid[:batch_size], net, px, batch_size), 3, lr=0)
    num_pictures = len(dataset.train) + len(dataset.valid) / 3  # a third: forward, not backward
    return num_pictures / history['pictures/s'].iloc[-1]


# ---- Testing --------------------------------------------------------------------------------------------------------


def predictions(net, data_iter):
    """(probabilities [n, c], class numbers [n]) of `net` in predict mode. Raises Problem."""
    check_same_classes(net, data_iter)
    contexts, probabilities, labels = where(net), [], []
    for parts, y in one_behind((softmax_of(net, X, y, contexts), y) for X, y in data_iter):
        probabilities += [part.asnumpy() for part in parts]
        check_is_number(onp.concatenate(probabilities[-len(parts) :]))
        labels.append(y.asnumpy())
    if not labels:
        raise Problem('There are no pictures to predict; give batches of some.')
    return onp.concatenate(probabilities), onp.concatenate(labels)


def softmax_of(net, X, y, contexts):
    """The probabilities of a batch, a part on each device. Raises Problem."""
    outputs = forward(net, X, contexts[: len(X)])  # MXNet can't have empty parts
    check_labels(y, outputs)
    return [npx.softmax(output) for output in outputs]


def accuracy(probabilities, labels):
    return float((probabilities.argmax(1) == labels).mean())


def spread(values):
    """What several seeds gave, as 'mean ± standard deviation'."""
    mean = f'{onp.mean(values):.3f}'
    return f'{mean} ± {onp.std(values, ddof=1):.3f}' if len(values) > 1 else mean


def interval(share, n):
    """95 % interval of a share measured on n pictures (Wilson, 1927)."""
    z = 1.96
    middle = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return (middle - half) / scale, (middle + half) / scale


def prediction_interval(values):
    """Where one more result lies with 95 % confidence, after those of several seeds (Student's t). Raises Problem."""
    if len(values) < 2:
        raise Problem(f'{len(values)} results say nothing of how far the next one may be off; give two or more.')
    half = t.ppf(0.975, len(values) - 1) * onp.std(values, ddof=1) * math.sqrt(1 + 1 / len(values))
    return onp.mean(values) - half, onp.mean(values) + half


def predict(net, picture, px=None, top=5):
    """{class: probability} of a picture (a file, PIL image or array), the `top` most likely first. Raises Problem."""
    check_network(net)
    check_colours(net)
    if not hasattr(net, 'classes'):
        raise Problem('The network does not say its classes; give it their names in order: net.classes = [...].')
    px = getattr(net, 'px', None) if px is None else px
    if px is None:
        raise Problem('The network does not say for which size it was trained; give px: utils.predict(net, path, 128).')
    check_px(px)
    check_number('top', top, 1, whole=True)
    X = np.array(normalize(centre_crop(open_picture(picture, px), px), net.mean, net.std))[None]
    (output,) = forward(net, X, where(net)[:1])
    p = npx.softmax(output)[0].asnumpy()
    check_is_number(p)
    if len(net.classes) != len(p):
        raise Problem(f'The network has {len(p)} outputs and {len(net.classes)} classes; give it a class for each.')
    return {net.classes[i]: float(p[i]) for i in p.argsort()[::-1][:top]}


def mistakes(pictures, probabilities, labels):
    """The pictures that were called wrong, the surest mistakes first."""
    wrong = onp.flatnonzero(probabilities.argmax(1) != labels)
    return [pictures[i] for i in wrong[onp.argsort(-probabilities[wrong].max(1))]]
