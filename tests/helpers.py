"""What several test files need: folders of pictures, tiny networks and batches, and ways to look at them."""

import io
import struct
import warnings
import zlib

import mended_mxnet

import numpy as onp
import pytest
from mxnet import autograd, gluon, np, npx
from mxnet.gluon import nn
from mxnet.gluon.model_zoo import vision
from PIL import Image

import pictures
import sources
import utils
from problem import Problem

CPUS = [npx.cpu(0), npx.cpu(1)]


# ---- Sentences and files --------------------------------------------------------------------------------------------


def sentence(call, *args, **options):
    """What the Problem says that call(*args) ends with: one line, and no error of a library behind it."""
    with pytest.raises(Problem) as info:
        call(*args, **options)
    error, text = info.value, str(info.value)
    assert '\n' not in text and 30 < len(text) < 500
    assert error.__cause__ is None and (error.__context__ is None or error.__suppress_context__)
    return text


def contents(folder):
    """{file: (bytes, time of the last change)}; nothing of the user's may change."""
    files = [path for path in folder.rglob('*') if path.is_file()]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


# ---- Pictures -------------------------------------------------------------------------------------------------------


def fill(folder, counts, first=0, size=(8, 8)):
    """Folder of class folders, {class: number of pictures}; every picture has a colour of its own."""
    for i, (name, n) in enumerate(counts.items()):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for k in range(first, first + n):
            Image.new('RGB', size, (100 * i, k, 255 - k)).save(folder / name / f'{k}.png')
    return folder


def noise(width, height):
    """A PIL image of noise, always the same."""
    return Image.fromarray(onp.random.RandomState(0).randint(0, 256, (height, width, 3)).astype('u1'))


def encoded(form, **options):
    """The bytes of a file in that form: 40 x 40 pixels of noise."""
    file = io.BytesIO()
    noise(40, 40).save(file, form, **options)
    return file.getvalue()


def red_and_blue(folder, n=12):
    """[(path, class number), ...], n pictures of noise: reddish ones of class 0, bluish ones of class 1."""
    rng = onp.random.default_rng(0)
    found = []
    for i in range(n):
        pixels = rng.integers(0, 128, (40, 48, 3), 'uint8')
        pixels[..., 2 * (i % 2)] += 100
        Image.fromarray(pixels).save(folder / f'{i}.png')
        found.append((folder / f'{i}.png', i % 2))
    return found


def opened(picture, px=32):
    """What open_picture makes of it, as rows of pixels; nothing is warned of."""
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        image = pictures.open_picture(picture, px)
    assert image.mode == 'RGB' and image is not picture
    return onp.asarray(image).tolist()


# ---- Networks -------------------------------------------------------------------------------------------------------


class Tiny(gluon.HybridBlock):
    """What resnet18_v2 has: BatchNorm at the top and nested, shapes that only the first batch makes known."""

    def __init__(self, classes=1000):
        super().__init__()
        self.features, nested = nn.HybridSequential(), nn.HybridSequential()
        nested.add(nn.Conv2D(8, 3, 2), nn.BatchNorm())
        self.features.add(
            nn.Conv2D(4, 3, 2),
            nn.BatchNorm(),
            nn.Activation('relu'),
            nested,
            nn.Activation('relu'),
            nn.GlobalAvgPool2D(),
            nn.Flatten(),
        )
        self.output = nn.Dense(classes, in_units=8)

    def hybrid_forward(self, F, X):
        return self.output(self.features(X))


sources.NETWORKS['tiny'] = sources.Source(Tiny, None, sources.MEAN, sources.STD)


def tiny(classes=('a', 'b'), seed=0):
    """A tiny network with random weights whose shapes are known."""
    utils.seed_everything(seed)
    net = utils.from_scratch(classes, 'tiny')
    net(np.zeros((1, 3, 16, 16)))
    return net


def source(make=vision.resnet18_v2, px=32):
    """A network with random weights and 10 outputs, and with the colours that it expects."""
    utils.seed_everything(0)
    net = make(classes=10)
    net.mean, net.std = sources.MEAN, sources.STD
    utils.initialize(net).features(np.zeros((1, 3, px, px)))
    return net


def values(net):
    """{name: array} of all weights and statistics, read without utils."""
    npx.waitall()
    return {name: p.list_data()[0].asnumpy().copy() for name, p in net._collect_params_with_prefix().items()}


def same(a, b):
    """Whether two {name: array} are equal in every number."""
    return a.keys() == b.keys() and all(onp.array_equal(a[name], b[name]) for name in a)


def gradients(net, batch):
    """{name: array} of the mean loss on a batch, for all weights that train."""
    X, y = batch
    with autograd.record():
        loss = gluon.loss.SoftmaxCrossEntropyLoss()(net(X), y)
    loss.backward()
    params = net._collect_params_with_prefix().items()
    return {name: p.list_grad()[0].asnumpy() / len(y) for name, p in params if p.grad_req != 'null'}


# ---- Batches --------------------------------------------------------------------------------------------------------


def examples(n, batch_size=4, classes=2, px=16):
    """[(X, y), ...], n pictures of random numbers around their class number, in batches."""
    y = onp.arange(n) % classes
    X = onp.random.RandomState(n).normal(y.reshape(-1, 1, 1, 1), 1, (n, 3, px, px)).astype('f4')
    return [
        (np.array(X[i : i + batch_size]), np.array(y[i : i + batch_size], dtype='int64'))
        for i in range(0, n, batch_size)
    ]


def all_batches(data_iter):
    """[(X, y), ...] of an iterable of batches, as NumPy's arrays."""
    return [(X.asnumpy(), y.asnumpy()) for X, y in data_iter]


# ---- Picture files by hand ------------------------------------------------------------------------------------------


def png(bits, colour, row, *chunks):
    """A PNG of one row as the standard has it; `colour` 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha."""

    def chunk(kind, data):
        return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    head = struct.pack('>IIBBBBB', 8 * len(row) // (bits * samples), 1, bits, colour, 0, 0, 0)
    parts = [(b'IHDR', head), *chunks, (b'IDAT', zlib.compress(b'\0' + row)), (b'IEND', b'')]
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunk(*part) for part in parts)


def tags(entries, order='<', rest=b''):
    """TIFF's head and first directory of (tag, type, count, value), and what follows it."""
    head = b'II*\0' if order == '<' else b'MM\0*'
    parts = [head, struct.pack(f'{order}IH', 8, len(entries))]
    for tag, kind, count, value in entries:
        value = struct.pack(f'{order}HH', value, 0) if kind == 3 else struct.pack(f'{order}I', value)
        parts.append(struct.pack(f'{order}HHI', tag, kind, count) + value)
    return b''.join(parts) + bytes(4) + rest


def tiff(values, kind, order='<', meaning=1, more=()):
    """A TIFF of one row of grey numbers of a struct format; meaning 0: white is zero, 1: black is."""
    data = struct.pack(f'{order}{len(values)}{kind}', *values)
    bits, number = 8 * struct.calcsize(kind), 3 if kind in 'fd' else 1 if kind.isupper() else 2
    entries = [(256, 4, 1, len(values)), (257, 4, 1, 1), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, meaning)]
    entries += [(277, 3, 1, 1), (278, 4, 1, 1), (279, 4, 1, len(data)), (339, 3, 1, number), *more]
    start = 8 + 2 + 12 * (len(entries) + 1) + 4
    return tags(sorted([*entries, (273, 4, 1, start)]), order, data)
