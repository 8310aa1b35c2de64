"""What strangers gave to the lesson's functions: right, or one sentence; no crash, and nothing of the user's lost."""

import os
import threading

import mended_mxnet

import numpy as onp
import pytest
from helpers import examples, fill, noise, sentence, tiny
from mxnet import np

import files
import frozen
import utils


@pytest.fixture
def picture(tmp_path):
    noise(40, 30).save(tmp_path / 'x.png')
    return tmp_path / 'x.png'


def test_another_thread_computes_the_same(picture):
    """As a web server or a widget does; NumPy's arrays would be off in it."""
    net, found = tiny(), []
    thread = threading.Thread(target=lambda: found.append(utils.predict(net, picture, 16)))
    thread.start()
    thread.join()
    assert found == [utils.predict(net, picture, 16)]


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / 'pipe')
    (tmp_path / 'folder').mkdir()
    for name in 'pipe', 'folder':
        assert 'is no file' in sentence(utils.save, tiny(), tmp_path / name, 16)
    assert (tmp_path / 'pipe').is_fifo() and (tmp_path / 'folder').is_dir()


def test_nothing_that_was_there_is_lost(tmp_path):
    (tmp_path / 'net.previous.safetensors').write_text('precious')
    for seed in range(3):
        utils.save(tiny(seed=seed), tmp_path / 'net.safetensors', 16)
    assert (tmp_path / 'net.previous.safetensors').read_text() == 'precious'
    assert len([*tmp_path.iterdir()]) == 4


def test_folders_of_one_name_have_files_of_their_own(tmp_path):
    labels = {files.label_of(tmp_path / place / 'images') for place in 'ab'}
    assert len(labels) == 2 and all(label.startswith('images-') for label in labels)
    assert files.label_of('kitchen') == 'kitchen' and files.label_of(tmp_path / 'kitchen') != 'kitchen'


@pytest.mark.parametrize(
    'names',
    [
        ('training_set', 'test_set'),
        ('seg_train', 'seg_test'),
        ('fold1', 'fold2', 'fold3'),
        ('training_set', 'dev'),
        ('Train Data', 'Test Data'),
    ],
)
def test_splits_with_other_names_are_no_classes(tmp_path, names):
    for name in names:
        fill(tmp_path / name, {'bun': 12, 'hotdog': 12})
    text = sentence(utils.find_data, tmp_path)
    assert names[0] in text and 'train, valid and test' in text


def test_classes_whose_names_only_hold_such_a_word(tmp_path):
    fill(tmp_path, {'testudo': 12, 'strain': 12, 'test tube': 12})
    assert utils.find_data(tmp_path).classes == ['strain', 'test tube', 'testudo']


@pytest.mark.parametrize('shape', [(4, 3, 16), (4, 16, 16, 3), (4, 4, 16, 16), (3, 16, 16), (4, 48)])
def test_batches_of_another_shape(shape):
    """A BatchNorm of MXNet would write beyond its arrays, and the process die later."""
    net, batch = utils.from_scratch(['a', 'b']), examples(4, px=32)
    utils.predictions(net, batch)  # now its shapes are known
    wrong = [(np.zeros(shape), np.zeros(shape[0], dtype='int64'))]
    assert f'cannot take batches of the shape {shape}' in sentence(utils.predictions, net, wrong)
    assert 'cannot take batches' in sentence(utils.train, net, wrong, batch, 1, 0.1)
    assert len(utils.predictions(net, batch)[1]) == 4


def test_bytes_are_numbers_too():
    net = tiny()
    ((X, y),) = examples(4)
    X = np.array(onp.arange(X.size).reshape(X.shape) % 256, dtype='uint8')
    expected = utils.predictions(net, [(X.astype('float32'), y)])[0]
    assert (utils.predictions(net, [(X, y)])[0] == expected).all()


@pytest.mark.parametrize('px', [5000, 10**6, 2**31, 10**20])
def test_more_pixels_than_any_memory_has(picture, px):
    below, _ = frozen.cut(tiny(), 'output')
    for call in (
        lambda: utils.predict(tiny(), picture, px),
        lambda: utils.batches([(picture, 0)], tiny(), px, 1),
        lambda: below.features([(picture, 0)], px),
        lambda: utils.save(tiny(), picture.parent / 'n', px),
    ):
        assert f'px is {px}' in sentence(call)


@pytest.mark.parametrize(
    'pictures',
    [
        None,
        5,
        'abc',
        {},
        [],
        [1],
        ['x.png'],
        [('x.png',)],
        [('x.png', 0, 1)],
        [('x.png', 'a')],
        [('x.png', None)],
        [('x.png', 0.7)],
        [('x.png', 10**20)],
        [(None, 0)],
        onp.zeros((2, 2)),
        (picture for picture in []),
    ],
)
def test_what_is_no_list_of_pictures(pictures):
    below, _ = frozen.cut(tiny(), 'output')
    for call in (
        lambda: utils.batches(pictures, tiny(), 16, 2),
        lambda: below.batches(pictures, 16, 2),
        lambda: below.features(pictures, 16),
    ):
        assert '(path, class number)' in sentence(call)


@pytest.mark.parametrize('net', [None, 'resnet18_v2', 5, onp.zeros(3)], ids=lambda net: type(net).__name__)
def test_what_is_no_network(net, picture, tmp_path):
    for call in (
        lambda: utils.predict(net, picture, 16),
        lambda: utils.train(net, examples(4), examples(4), 1, 0.1),
        lambda: utils.save(net, tmp_path / 'n', 16),
        lambda: utils.freeze(net, 1),
        lambda: frozen.cut(net, 1),
        lambda: utils.with_new_head(net, ['a', 'b']),
        lambda: frozen.with_head(net, ['a', 'b']),
    ):
        assert 'is no network' in sentence(call)


def test_the_part_above_a_cut_takes_no_pictures(picture):
    _, above = frozen.cut(tiny(), 1)
    assert 'whole network' in sentence(utils.predict, above, picture, 16)
    assert 'whole network' in sentence(utils.batches, [(picture, 0)], above, 16, 1)


def test_a_class_for_each_output(picture):
    net = tiny()
    net.classes = ['a', 'b', 'c']
    assert '2 outputs and 3 classes' in sentence(utils.predict, net, picture, 16)


def test_half_a_class():
    wrong = [(X, y.astype('float32') + 0.5) for X, y in examples(4)]
    assert 'class numbers' in sentence(utils.predictions, tiny(), wrong)


def test_a_compiled_network_can_be_cut(picture):
    net = tiny()
    net.hybridize()
    before = utils.predict(net, picture, 16)
    assert frozen.with_head(net, ['a', 'b', 'c'], 'dense256')(np.zeros((1, 3, 16, 16))).shape == (1, 3)
    net.hybridize()
    utils.predict(net, picture, 16)
    below, above = frozen.cut(net, 2)
    X = below.features([(picture, 0)], 16)
    assert onp.allclose(
        utils.npx.softmax(above(np.array(X))).asnumpy()[0], [before[name] for name in net.classes], atol=1e-6
    )
