"""What leaves is what was trained: ONNX Runtime and utils.predict say the same of photographs of all shapes."""

import itertools
import json
import os
import struct
import subprocess
import sys

import mended_mxnet

import numpy as onp
import onnx
import onnxruntime
import pytest
from helpers import noise, png, sentence, tiny
from mxnet import np
from PIL import Image

import export
import frozen
import sources
import utils
from files import ROOT
from folders import Dataset, Pictures
from heads import HEADS
from pictures import centre_crop, open_picture

KITCHEN = sorted((ROOT / 'data' / 'kitchen' / 'test').glob('*/*.jpg'))
HERE = [name for name, source in sources.NETWORKS.items() if source.weights and source.file is None]  # no download
SHAPES = [(64, 64), (64, 100), (100, 64), (1, 1), (1, 300), (300, 1), (3, 3000), (3000, 3), (256, 256), (640, 480)]
SHAPES += [(480, 640), (400, 300), (377, 300), (376, 300), (225, 200), (224, 200), (128, 129), (129, 128), (4032, 3024)]


def session_of(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # the other cores have tests of their own
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def asked(session, image):
    """{class: probability} that ONNX Runtime gives for the pixels of an image."""
    (p,) = session.run(None, {'picture': onp.asarray(image)})
    return dict(zip(json.loads(session.get_modelmeta().custom_metadata_map['classes']), p.tolist()))


# ---- The crop -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('px', [32, 128, 224])
def test_the_crop_is_pillows(px):
    """Of noise, which is the hardest. Where Pillow itself sits on the edge between two greys it may be the other."""
    session = session_of(export.crop(px, (0, 0, 0), (1, 1, 1)))
    for height, width in SHAPES[:: 1 if px == 224 else 3]:
        image = noise(width, height)
        (cropped,) = session.run(None, {'picture': onp.asarray(image)})
        expected = onp.asarray(centre_crop(image, px), 'float32').transpose(2, 0, 1)
        far = abs(255 * cropped[0] - expected)
        assert far.max() < 1.001 and (far > 0.5).mean() < 0.02, (height, width)


def test_the_crop_is_normalised():
    session = session_of(export.crop(16, (0.5, 0.25, 0), (0.5, 0.25, 2)))
    (cropped,) = session.run(None, {'picture': onp.full((20, 30, 3), (255, 255, 51), 'uint8')})
    assert cropped.shape == (1, 3, 16, 16)
    for plane, expected in zip(cropped[0], (1, 3, 0.1)):
        assert plane == pytest.approx(onp.full((16, 16), expected), abs=1e-6)


# ---- All of it ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('head', HEADS)
def test_any_head(head):
    utils.seed_everything(0)
    net = frozen.with_head(tiny(), ['a', 'b', 'c'], head)
    net(np.zeros((1, 3, 40, 40)))
    session = session_of(export.to_onnx(net, 40))
    for size in (30, 50), (50, 30):
        assert asked(session, noise(*size)) == pytest.approx(utils.predict(net, noise(*size), 40), abs=1e-5)


def test_it_says_what_it_is(monkeypatch):
    net = tiny(['hot dog', '热狗'])
    monkeypatch.setitem(sources.NETWORKS, 'tiny', sources.NETWORKS['tiny']._replace(licence='CC0'))
    model = export.to_onnx(net, 32, data='foods')
    facts = {fact.key: fact.value for fact in model.metadata_props}
    assert json.loads(facts.pop('classes')) == ['hot dog', '热狗']
    assert facts == {'px': '32', 'source': 'tiny', 'data': 'foods', 'licence': 'CC0'}
    assert sources.NETWORKS['efficientnet_lite0'].licence == 'Apache-2.0'
    (picture,), (probabilities,) = model.graph.input, model.graph.output
    assert picture.name == 'picture' and picture.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert probabilities.name == 'probabilities'
    assert [side.dim_value for side in probabilities.type.tensor_type.shape.dim] == [2]


def test_what_can_not_leave_is_one_sentence():
    net = tiny()
    assert 'px is 0' in sentence(export.to_onnx, net, 0)
    _, above = frozen.cut(net, 'output')
    assert 'the whole network' in sentence(export.to_onnx, above, 32)


@pytest.mark.slow
@pytest.mark.parametrize('name', HERE)
def test_any_source(name):
    net, px = utils.pretrained(name), sources.NETWORKS[name].usual_px
    session = session_of(export.to_onnx(net, px))
    for path in KITCHEN[::100]:
        image = open_picture(path, px).resize((500, 300))
        expected, found = utils.predict(net, image, px, top=1000), asked(session, image)
        assert max(abs(found[name] - p) for name, p in expected.items()) < 0.005


# ---- 200 photographs of all shapes ----------------------------------------------------------------------------------


def photographs(folder, n=200):
    """Yield the paths of n JPEGs: kitchen pictures scaled or side by side, small to phone-sized, some turned."""
    rng = onp.random.default_rng(0)
    for i in range(n):
        if i % 25 == 0:
            size = (4032, 3024)
        elif i % 5 == 0:
            size = (64, int(rng.integers(64, 200)))[:: rng.choice([1, -1])]
        else:
            size = tuple(int(side) for side in onp.exp(rng.uniform(onp.log(64), onp.log(2000), 2)))
        image = Image.open(KITCHEN[3 * i])
        image = image.resize(size, Image.BICUBIC) if i % 2 else side_by_side(size, KITCHEN[3 * i :])
        exif = Image.Exif()
        exif[0x0112] = 1 + i % 8  # which side is up
        image.save(folder / f'{i}.jpg', quality=90, exif=exif)
        yield folder / f'{i}.jpg'


def side_by_side(size, paths):
    """An image full of pictures as they are."""
    image = Image.new('RGB', size)
    places = itertools.product(range(0, size[0], 256), range(0, size[1], 256))
    for place, path in zip(places, itertools.cycle(paths)):
        image.paste(Image.open(path), place)
    return image


@pytest.fixture(scope='module')
def classifier():
    """Lite0 with a head that was fitted to 80 kitchen pictures."""
    folder = ROOT / 'data' / 'kitchen' / 'train'
    classes = ['hotdog', 'not-hotdog']
    train = [(path, i) for i, name in enumerate(classes) for path in sorted((folder / name).iterdir())[:40]]
    dataset = Dataset(classes, Pictures(train, classes), Pictures([], classes), Pictures([], classes))
    net = frozen.with_head(utils.pretrained('efficientnet_lite0'), classes)
    frozen.fit(*frozen.cut(net, 'output'), dataset, 224)
    net.px = 224
    return net


@pytest.mark.slow
def test_200_photographs_of_all_shapes(classifier, tmp_path):
    """On the same pixels, and from the file, of which ONNX Runtime gets all and utils.predict a smaller decoding."""
    session = session_of(export.to_onnx(classifier, 224))
    sure = []
    for path in photographs(tmp_path):
        expected = utils.predict(classifier, path)
        same_pixels = asked(session, open_picture(path, 224))
        from_file = asked(session, open_picture(path, 10**6))
        far = [max(abs(p[name] - expected[name]) for name in expected) for p in (same_pixels, from_file)]
        assert far[0] < 0.005 and far[1] < 0.03, path
        if max(expected.values()) > 0.53:
            assert max(expected, key=expected.get) == max(from_file, key=from_file.get)
        sure.append(max(expected.values()))
        path.unlink()
    assert len(sure) == 200 and sum(p < 0.95 for p in sure) > 30  # who is always sure would agree with anybody


@pytest.mark.slow
def test_a_folder_that_runs_without_this_project(classifier, tmp_path):
    """In an environment of its own it is tried by make extras."""
    photographs_folder, folder = tmp_path / 'photographs', tmp_path / 'it'
    photographs_folder.mkdir(), folder.mkdir()
    export.leave(classifier, 224, folder)
    assert (folder / 'labels.txt').read_text() == 'hotdog\nnot-hotdog\n'
    paths = [*photographs(photographs_folder, 8)]
    (tmp_path / 'text.jpg').write_text('no picture')
    Image.new('I;16', (30, 30), 4000).save(tmp_path / 'dark.png')
    (tmp_path / 'deep.png').write_bytes(png(16, 2, struct.pack('>3H', 4095, 0, 1000)))
    (tmp_path / 'broken.png').write_bytes(paths[0].read_bytes()[:8] + b'IHDR')
    bad = [tmp_path / name for name in ('text.jpg', 'nowhere.jpg', 'dark.png', 'deep.png', 'broken.png')]
    command = [sys.executable, folder / 'predict.py', *bad[:2], *paths, *bad[2:]]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    for path, line in zip(paths, ran.stdout.splitlines(), strict=True):
        (name, p), *_ = utils.predict(classifier, path).items()
        shown, called, probability = line.replace(':', '').split()
        assert shown == str(path) and called == name and abs(float(probability) - p) < 0.006
    assert len(ran.stderr.splitlines()) == len(bad) and 'Traceback' not in ran.stderr

    odd = tmp_path / os.fsdecode(b'caf\xe9.png')
    paths[0].rename(odd)
    ran = subprocess.run([*command[:2], odd], capture_output=True, env=os.environ | {'LC_ALL': 'C.UTF-8'})
    assert ran.stdout.startswith(os.fsencode(tmp_path) + b'/caf') and b'hotdog' in ran.stdout and not ran.stderr
    ran = subprocess.run(command[:2], capture_output=True, text=True)
    assert 'python predict.py PHOTO' in ran.stderr and ran.returncode == 1
