"""Crops, normalisation, and the batches that a network is trained and tested with."""

import math

import mended_mxnet

import numpy as onp
import pytest
from helpers import fill, noise, sentence, tiny
from PIL import Image

import utils
from pictures import centre_crop, normalize, random_crop, view


class Spy:
    """A picture that only notes which boxes of it are asked for."""

    def __init__(self, width, height):
        self.width, self.height, self.boxes = width, height, []

    def resize(self, size, how, box):
        assert how == Image.BILINEAR
        self.boxes.append(box)
        return Image.new('RGB', size)


def boxes(width, height, n=2000, **options):
    """Left, top, width and height of n random crops, one column each."""
    utils.seed_everything(0)
    spy = Spy(width, height)
    for _ in range(n):
        assert random_crop(spy, 5, **options).size == (5, 5)
    left, top, right, bottom = onp.array(spy.boxes).T
    assert left.min() >= 0 and right.max() <= width + 1e-9
    assert top.min() >= 0 and bottom.max() <= height + 1e-9
    return left, top, right - left, bottom - top


def test_random_crops_have_the_area_and_the_shape_that_are_asked_for():
    _, _, width, height = boxes(800, 500, 20, area=(0.1, 0.1), ratio=(2, 2))
    assert width == pytest.approx(math.sqrt(0.1 * 800 * 500 * 2)) and width / height == pytest.approx(2)
    _, _, width, height = boxes(1000, 1000, area=(0.3, 0.5))  # too small to be cut off by the border
    area, ratio = width * height / 1000**2, onp.log(width / height)
    assert 0.3 <= area.min() < 0.302 and 0.498 < area.max() <= 0.5 and abs(area.mean() - 0.4) < 0.005
    assert math.log(3 / 4) <= ratio.min() < math.log(0.76) and math.log(1.32) < ratio.max() <= math.log(4 / 3)
    assert abs(ratio.mean()) < 0.02 and abs(onp.corrcoef(area, ratio)[0, 1]) < 0.1


def test_random_crops_are_a_third_to_all_of_the_picture():
    _, _, width, height = boxes(1000, 1000)
    area = width * height / 1000**2
    assert 0.3 <= area.min() < 0.31 and 0.98 < area.max() <= 1 and 0.6 < area.mean() < 0.65
    ratio = (width / height)[(width < 999) & (height < 999)]  # of those that the border does not cut off
    assert 3 / 4 - 1e-9 <= ratio.min() < 0.76 and 1.32 < ratio.max() <= 4 / 3 + 1e-9


def test_random_crops_lie_anywhere():
    left, top, width, height = boxes(900, 600, area=(0.3, 0.4))
    x, y = left / (900 - width), top / (600 - height)
    for place in x, y:
        counts, _ = onp.histogram(place, 10, (0, 1))
        assert counts.sum() == 2000 and counts.min() > 150 and counts.max() < 250
    assert abs(onp.corrcoef(x, y)[0, 1]) < 0.1


def test_random_crops_are_mirrored_half_of_the_time():
    utils.seed_everything(0)
    image = noise(6, 6)
    mirrored = image.transpose(Image.FLIP_LEFT_RIGHT)
    crops = [random_crop(image, 6, area=(1, 1), ratio=(1, 1)).tobytes() for _ in range(1000)]
    assert set(crops) == {image.tobytes(), mirrored.tobytes()}
    assert 450 < crops.count(mirrored.tobytes()) < 550


@pytest.mark.parametrize(
    'size, box', [((64, 64), (4, 4, 60, 60)), ((128, 64), (36, 4, 92, 60)), ((64, 100), (4, 22, 60, 78))]
)
def test_the_centre_crop_is_the_middle(size, box):
    image = noise(*size)
    assert centre_crop(image, 56).tobytes() == image.crop(box).tobytes()  # 56 * 8 / 7 is 64: no scaling
    half = centre_crop(image, 28)
    assert half.tobytes() == image.resize((28, 28), Image.BILINEAR, box).tobytes()
    assert centre_crop(image.crop(box), 56, margin=1).tobytes() == image.crop(box).tobytes()


def test_normalize():
    image = Image.new('RGB', (4, 4), (255, 0, 51))
    image.putpixel((3, 1), (0, 255, 102))  # x = 3, y = 1
    X = normalize(image, (0.5, 0.4, 0.2), (0.5, 0.2, 0.1))
    assert X.shape == (3, 4, 4) and X.dtype == onp.float32
    assert X[:, 0, 0] == pytest.approx([1, -2, 0], abs=1e-6)
    assert X[:, 1, 3] == pytest.approx([-1, 3, 2], abs=1e-6)
    assert X[:, 3, 1] == pytest.approx(X[:, 0, 0])


def test_batches_for_testing_are_complete_and_in_order(tmp_path):
    fill(tmp_path, {'a': 3, 'b': 4}, size=(40, 30))
    pictures = [(tmp_path / 'ab'[i] / f'{k}.png', i) for i, n in enumerate((3, 4)) for k in range(n)]
    net = tiny()
    net.mean, net.std = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)
    found = utils.batches(pictures, net, 16, 3)
    assert len(found) == 3 and [X.shape for X, _ in found] == [(3, 3, 16, 16), (3, 3, 16, 16), (1, 3, 16, 16)]
    assert onp.concatenate([y.asnumpy() for _, y in found]).tolist() == [0, 0, 0, 1, 1, 1, 1]
    rows = onp.concatenate([X.asnumpy() for X, _ in found])
    for X, (path, _) in zip(rows, pictures):
        assert X.dtype == onp.float32
        expected = normalize(centre_crop(Image.open(path), 16), net.mean, net.std)
        assert onp.allclose(X, expected, atol=1e-6)


def test_batches_for_training_are_shuffled_cropped_and_full(tmp_path):
    fill(tmp_path, {'a': 7}, size=(40, 30))
    gradient = Image.linear_gradient('L').rotate(45).convert('RGB')
    gradient.save(tmp_path / 'a' / '7.png')
    pictures = [(tmp_path / 'a' / f'{k}.png', k) for k in range(8)]
    utils.seed_everything(0)
    found = utils.batches(pictures, tiny(), 16, 3, train=True)
    passes = [list(found) for _ in range(4)]
    orders = [[int(label) for _, y in batches for label in y] for batches in passes]
    assert all(len(set(order)) == len(order) == 6 for order in orders)  # 2 of 8 are left out
    assert len(found) == 2
    assert len({tuple(order) for order in orders}) == 4 and {i for order in orders for i in order} == {*range(8)}
    seven = [x.tobytes() for batches in passes for X, y in batches for x, i in zip(X.asnumpy(), y) if i == 7]
    assert len(seven) > 1 and len(set(seven)) == len(seven)  # another crop each time


@pytest.mark.parametrize('train', [False, True])
def test_a_batch_larger_than_the_data_is_the_data(tmp_path, train):
    fill(tmp_path, {'a': 3})
    ((X, y),) = utils.batches([(tmp_path / 'a' / f'{k}.png', k) for k in range(3)], tiny(), 8, 32, train)
    assert X.shape == (3, 3, 8, 8) and sorted(y.asnumpy().tolist()) == [0, 1, 2]


def test_a_view_is_always_the_same_crop_and_another_for_each_number_and_name(tmp_path):
    for name in 'a.png', 'b.png':
        noise(40, 30).save(tmp_path / name)
    views = [view(tmp_path / name, 16, number).tobytes() for name in ('a.png', 'b.png') for number in range(3)]
    utils.seed_everything(1)
    assert views == [view(tmp_path / name, 16, number).tobytes() for name in ('a.png', 'b.png') for number in range(3)]
    assert len({*views}) == 6
    assert view(tmp_path / 'a.png', 16).tobytes() == centre_crop(noise(40, 30), 16).tobytes()


@pytest.mark.parametrize('name, value', [('px', 0), ('px', 16.5), ('px', None), ('batch_size', 0), ('batch_size', 8.0)])
def test_batches_of_no_size(tmp_path, name, value):
    fill(tmp_path, {'a': 3})
    options = {'px': 8, 'batch_size': 2, name: value}
    assert name in sentence(utils.batches, [(tmp_path / 'a' / '0.png', 0)], tiny(), **options)


def test_batches_of_nothing():
    assert 'no pictures' in sentence(utils.batches, [], tiny(), 8, 2)


def test_batches_know_their_classes(tmp_path):
    data = utils.find_data(fill(tmp_path, {'a': 30, 'b': 30}))
    assert utils.batches(data.train, tiny(), 8, 2).classes == ['a', 'b']
    assert utils.batches(data.train[:3], tiny(), 8, 2).classes == ['a', 'b']


def test_a_picture_that_vanished_is_named(tmp_path):
    path = fill(tmp_path, {'a': 3}) / 'a' / '1.png'
    found = utils.batches([(tmp_path / 'a' / f'{k}.png', 0) for k in range(3)], tiny(), 8, 2)
    path.unlink()
    assert str(path) in sentence(list, found)
