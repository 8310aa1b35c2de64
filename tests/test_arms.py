"""The arms: what each trains and what stays as it was, which pictures it gets, what was measured of it."""

import os
import subprocess
import sys

import mended_mxnet

import numpy as onp
import pandas as pd
import pytest
from helpers import red_and_blue, same, sentence, source, values
from PIL import Image
from sklearn.datasets import load_digits

import arms
import frozen
import utils
from arms import ARMS
from files import ROOT
from folders import Dataset, Pictures

SEED = 1  # the source network has 0


@pytest.fixture(autouse=True)
def with_cache(cache):
    return cache


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Small pictures with crops and without, and short epochs."""
    monkeypatch.setattr(arms, 'PX', {'similar': 32, 'different': 32})
    monkeypatch.setattr(arms, 'EPOCH', 20)
    monkeypatch.setattr(arms, 'BATCH_SIZE', 4)
    monkeypatch.setattr(frozen, 'LEAST_VALID', 5)


@pytest.fixture(scope='module')
def resnet():
    net = source()
    net.network = 'resnet18_v2'
    return net


@pytest.fixture
def dataset(tmp_path):
    """Reddish and bluish pictures: six to train on, twelve for valid and test."""
    pictures = red_and_blue(tmp_path)
    splits = {'train': pictures[:6], 'valid': pictures, 'test': pictures}
    return Dataset(['a', 'b'], **{split: Pictures(some, ['a', 'b']) for split, some in splits.items()})


def block(name):
    """The number of the block that a weight is in; those of the output come last."""
    return 99 if name.startswith('output') else int(name.split('.')[1])


# ---- One training ---------------------------------------------------------------------------------------------------

CASES = [(name, likeness) for name in ARMS for likeness in ('similar', 'different')]
QUICK = [('first half frozen', 'similar'), ('first half frozen', 'different')]


@pytest.mark.parametrize(
    'name, likeness', [case if case in QUICK else pytest.param(*case, marks=pytest.mark.slow) for case in CASES]
)
def test_what_is_frozen_stays_and_all_else_moves(resnet, dataset, name, likeness):
    """With new crops in every epoch and without: weights, and the statistics of BatchNorm."""
    start = values(resnet)
    net, table = arms.experiment(ARMS[name], resnet, dataset, likeness, 0.01, SEED, num_epochs=2)
    after, first = values(net), {'head only': 99, 'first half frozen': 7}.get(name, 1)  # block 0 learns nothing
    stayed = {weight for weight in after if onp.array_equal(after[weight], start[weight])}
    statistics = {weight for weight in after if 'running' in weight and name == 'head first'}  # as Keras advises
    assert stayed == {weight for weight in after if block(weight) < first} | statistics
    assert same(values(resnet), start)
    valid_iter = utils.batches(dataset.valid, net, 32, 5)
    assert utils.accuracy(*utils.predictions(net, valid_iter)) == pytest.approx(table.valid.max())
    assert net.classes == ['a', 'b'] and len(after['output.bias']) == 2


@pytest.mark.parametrize('name, columns', [('head only', ['C', 'train', 'valid']), ('fine-tuned', None)])
def test_the_table_of_a_training(resnet, dataset, name, columns, monkeypatch):
    history, seen = pd.DataFrame({'epoch': [1], 'valid': [0.5]}), []
    monkeypatch.setattr(utils, 'train', lambda *args, **options: seen.append((args, options)) or history)
    _, table = arms.experiment(ARMS[name], resnet, dataset, 'different', 0.3, 0, num_epochs=7, patience=2, watch=print)
    if columns:
        assert [*table] == columns and len(table) == 11 and not seen
        return
    (((_, train_iter, valid_iter, num_epochs, lr), options),) = seen
    assert table is history and (num_epochs, lr) == (7, 0.3) and options == {'head': 10, 'patience': 2, 'watch': print}
    assert sum(len(y) for _, y in train_iter) >= 20 and sum(len(y) for _, y in valid_iter) == 12


def test_a_cut_at_the_output_trains_the_head(resnet, dataset):
    _, table = arms.experiment(arms.Arm(cut='output'), resnet, dataset, 'different', 0.1, SEED, num_epochs=2)
    assert table.epoch.tolist() == [1, 2]


def begun(monkeypatch, name, resnet, dataset, seed=SEED):
    """(weights, options of utils.train) where the training of an arm begins."""
    seen = []
    monkeypatch.setattr(utils, 'train', lambda net, *args, **options: seen.append(options))
    net, _ = arms.experiment(ARMS[name], resnet, dataset, 'different', 0.1, seed)
    return values(net), seen[0] if seen else None


@pytest.mark.parametrize(
    'name, head',
    [
        ('head first', 1),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [('fine-tuned', 10), ('first half frozen', 10), ('from scratch', 1)]
        ),
    ],
)
def test_what_an_arm_begins_with(monkeypatch, resnet, dataset, name, head):
    """A random output learns ten times faster (d2l) where all else is copied; a fitted one is no longer random."""
    of_source = {key: value for key, value in values(resnet).items() if not key.startswith('output')}
    fitted, _ = begun(monkeypatch, 'head only', resnet, dataset)
    weights, options = begun(monkeypatch, name, resnet, dataset)
    features = {key: value for key, value in weights.items() if not key.startswith('output')}
    assert options['head'] == head
    assert same(features, of_source) == (name != 'from scratch')
    assert same(weights, fitted) == (name == 'head first')
    other, _ = begun(monkeypatch, name, resnet, dataset, SEED + 1)
    assert same(weights, other) == (name == 'head first')


@pytest.mark.parametrize('place', [0, 'stage2', 'batchnorm2'])
def test_the_first_blocks_are_copied_and_the_others_random(resnet, place):
    original, number = values(resnet), frozen.position(resnet, place)
    utils.seed_everything(SEED)
    net = arms.target(arms.Arm(copied=place), resnet, ['a', 'b', 'c'])
    convolutions = {name: a for name, a in values(net).items() if a.ndim == 4}
    equal = {name for name, a in convolutions.items() if onp.array_equal(a, original[name])}
    assert equal == {name for name in convolutions if block(name) < number}
    assert len(values(net)['output.bias']) == 3
    for param in net.collect_params().values():
        param.set_data(param.data() * 0)
    assert same(values(resnet), original)  # nothing is shared


@pytest.mark.parametrize('num_train, num_batches', [(1, 5), (6, 6), (7, 5), (12, 6)])
@pytest.mark.parametrize('crops', [True, False])
def test_few_pictures_are_seen_several_times_in_an_epoch(resnet, dataset, num_train, num_batches, crops):
    """20 pictures or more, in whole batches of 4: 6 are seen 4 times, 7 are seen 3 times."""
    net = utils.with_new_head(resnet, dataset.classes)
    few = dataset._replace(train=Pictures(dataset.test[:num_train], dataset.classes))
    trained, train_iter, valid_iter = arms.prepared(net, 'stage3', few, 32, crops)
    assert [len(y) for _, y in train_iter] == num_batches * [4] and len(train_iter) == num_batches
    labels = onp.concatenate([y.asnumpy() for _, y in valid_iter])
    assert labels.tolist() == [label for _, label in dataset.valid]
    assert train_iter.classes == valid_iter.classes == ['a', 'b']
    (first, *_), (second, *_) = ([X.asnumpy() for X, _ in train_iter] for _ in range(2))
    assert first.shape[1:] == ((3, 32, 32) if crops else (128, 4, 4)) and (trained is net) == crops
    assert (first != second).any() == (crops or num_train > 1)  # in another order, or cropped in another way


def test_right_says_it_of_each_picture(resnet, dataset):
    net = utils.with_new_head(resnet, dataset.classes)
    net.output.weight.set_data(net.output.weight.data() * 0)
    net.output.bias.set_data(net.output.bias.data() + utils.np.array([0, 1]))  # always b
    assert arms.right(net, dataset, 'similar').tolist() == 6 * [False, True]
    part = dataset._replace(valid=dataset.valid[:3])
    assert arms.right(net, part, 'similar', 'valid').tolist() == [False, True, False]


# ---- The pictures ---------------------------------------------------------------------------------------------------


def check_digits(dataset):
    dots, labels = load_digits(return_X_y=True)
    found = [(path, dataset.classes[i]) for split in ('train', 'valid', 'test') for path, i in dataset[split]]
    assert dataset.classes == [*'0123456789'] and len(found) == len({path.stem for path, _ in found}) == 1797
    for path, name in found[::50]:
        assert name == str(labels[int(path.stem)])
        shades = onp.asarray(Image.open(path)).reshape(64) / 255 * 16
        assert shades == pytest.approx(dots[int(path.stem)], abs=1 / 8)


def test_digits_are_written_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(arms, 'BUILD', tmp_path)
    dataset = arms.digits()
    check_digits(dataset)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / 'digits').rglob('*.png')}
    (tmp_path / 'digits' / '0' / '0.png').unlink()  # as if it had been stopped there
    assert arms.digits() == dataset
    assert {path for path in times if path.stat().st_mtime_ns != times[path]} == {tmp_path / 'digits' / '0' / '0.png'}
    assert capsys.readouterr().out == ''  # nothing was left out


def test_digits_for_which_there_is_no_place(tmp_path, monkeypatch):
    (tmp_path / 'digits').write_text('a file where the folder should be')
    monkeypatch.setattr(arms, 'BUILD', tmp_path)
    assert 'could not be filled' in sentence(arms.digits)


@pytest.mark.slow
def test_two_may_write_the_digits_at_once(tmp_path):
    code = 'import arms; print(len(arms.digits().train))'
    both = [
        subprocess.Popen(
            [sys.executable, '-c', code], cwd=ROOT, stdout=-1, env=os.environ | {'HOTDOG_BUILD': str(tmp_path)}
        )
        for _ in range(2)
    ]
    last = [process.communicate()[0].split()[-1] for process in both]
    assert last == [b'1090', b'1090'] and all(process.returncode == 0 for process in both)
    assert len([*(tmp_path / 'digits').rglob('*.*')]) == 1797


def test_some_of_the_pictures():
    rows = [(f'{k}.png', k % 3 if k < 30 else 0) for k in range(40)]  # 20 of the first class and 10 of the others
    dataset = Dataset([*'abc'], Pictures(rows, [*'abc']), Pictures(rows[:3], [*'abc']), Pictures(rows[3:6], [*'abc']))
    for per_class, counts in (1, [1, 1, 1]), (4, [4, 4, 4]), (15, [15, 10, 10]), (99, [20, 10, 10]):
        some, again, other = (arms.some_of(dataset, per_class, seed) for seed in (0, 0, 1))
        assert [sum(label == i for _, label in some.train) for i in range(3)] == counts
        assert {*some.train} <= {*dataset.train} and len({*some.train}) == sum(counts)
        assert some.train == again.train and ({*some.train} == {*other.train}) == (per_class == 99)
        assert some.train.classes == [*'abc'] and some._replace(train=dataset.train) == dataset


# ---- What was measured ----------------------------------------------------------------------------------------------

HEAD = 'arm,per_class,lr,seed,likeness,valid,valid_by_epoch,right,processor\n'
ROWS = """fine-tuned,all,0.1,0,similar,0.8,0.5 0.8,8040,x
fine-tuned,all,0.1,1,similar,0.7,0.7,ff80,x
fine-tuned,all,0.03,0,similar,0.7,0.7,0000,x
fine-tuned,all,0.03,1,similar,0.9,0.9,7fc0,x
fine-tuned,all,0.3,0,similar,0.95,0.95,0000,x
fine-tuned,20,0.3,0,similar,0.6,0.6,0000,x
head only,all,None,0,similar,0.75,0.7 0.75,0000,x
fine-tuned,all,0.3,0,different,0.99,0.99,0000,x
"""
OF_TEN = Dataset(['a', 'b'], [], [], 10 * [('x.png', 0)])


@pytest.fixture
def table(tmp_path, monkeypatch):
    """The path of the table, which holds the rows above."""
    path = tmp_path / 'benchmarks' / 'arms.csv'
    path.parent.mkdir()
    path.write_text(HEAD + ROWS)
    monkeypatch.setattr(arms, 'ROOT', tmp_path)
    return path


def test_the_best_rate_is_that_of_the_mean(table):
    """0.03 has the better mean, 0.1 the better first seed; 0.3 was tried with one seed only, on the way."""
    found = arms.measured(OF_TEN, 'similar')
    assert found[['arm', 'lr', 'seed', 'valid']].values.tolist() == [
        ['fine-tuned', '0.03', 0, 0.7],
        ['fine-tuned', '0.03', 1, 0.9],
        ['head only', 'None', 0, 0.75],
    ]
    assert found.valid_by_epoch.tolist() == [[0.7], [0.9], [0.7, 0.75]]
    assert found.right.map(list).tolist() == [10 * [False], [False, *9 * [True]], 10 * [False]]
    assert arms.measured(OF_TEN, 'similar', 20).valid.tolist() == [0.6]
    assert arms.measured(OF_TEN, 'different').valid.tolist() == [0.99]


def test_of_equal_rates_the_higher_one_is_the_best(table):
    """However their sums round: 0.1 + 0.2 + 0.3 is more than 0.3 + 0.2 + 0.1."""
    rows = [
        f'fine-tuned,all,0.03,{seed},similar,{valid},0 {valid},ff80,x' for seed, valid in enumerate((0.1, 0.2, 0.3))
    ]
    rows += [
        f'fine-tuned,all,0.1,{seed},similar,{valid},0 {valid},ff80,x' for seed, valid in enumerate((0.3, 0.2, 0.1))
    ]
    table.write_text(HEAD + '\n'.join(rows))
    assert {*arms.measured(OF_TEN, 'similar').lr} == {'0.1'}


def test_the_first_rate_is_that_where_the_search_began(table):
    found = arms.measured(OF_TEN, 'similar', rates='first')
    assert found[['arm', 'lr', 'seed', 'valid']].values.tolist() == [
        ['fine-tuned', '0.1', 0, 0.8],
        ['fine-tuned', '0.1', 1, 0.7],
        ['head only', 'None', 0, 0.75],
    ]


def test_all_rates_that_were_tried(table):
    found = arms.measured(OF_TEN, 'similar', rates='all')
    assert {*found.lr[found.arm == 'fine-tuned']} == {'0.03', '0.1', '0.3'}


@pytest.mark.slow
def test_readme_says_what_the_table_does():
    cases = [(per_class, likeness) for per_class in (20, 'all') for likeness in ('similar', 'different')]
    pictures = {'similar': utils.find_data(), 'different': arms.digits()}
    found = [arms.measured(pictures[likeness], likeness, per_class) for per_class, likeness in cases]
    readme = (ROOT / 'README.md').read_text().splitlines()
    for name in ARMS:
        runs = [case.valid[case.arm == name] for case in found]
        assert f'| {name} | ' + ' | '.join(f'{utils.spread(valid)} ({len(valid)})' for valid in runs) + ' |' in readme


def test_what_was_not_measured(table):
    text = sentence(arms.measured, OF_TEN, 'similar', 50)
    assert 'Nothing was measured with 50 similar pictures per class' in text
    assert 'Nothing was measured' in sentence(arms.measured, OF_TEN, 'other')
    table.unlink()
    assert 'Nothing was measured' in sentence(arms.measured, OF_TEN, 'similar')


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'\xff\xfe\x00',
        b'arm,lr\nfine-tuned,0.1\n',
        b'arm,per_class,lr,seed,likeness\nfine-tuned,all,0.1,0,similar\n',
        (HEAD + 'fine-tuned,all,0.1,0,similar,0.8,0.8,no hex,x\n').encode(),
        (HEAD + 'fine-tuned,all,0.1,0,similar,0.8,a 0.8,8040,x\n').encode(),
        (HEAD + 'fine-tuned,all,0.1,0,similar,0.8,0.8,80,x\n').encode(),  # of another test set
        (HEAD + 'fine-tuned,all,0.1,0,similar,0.8,0.8 0.9\n').encode(),
        (HEAD + 'fine-tuned,all,0.1,0,similar,many,0.8,8040,x\n').encode(),
    ],
)
def test_a_table_that_is_damaged(table, content):
    table.write_bytes(content)
    assert 'arms.csv' in sentence(arms.measured, OF_TEN, 'similar')


def test_bits_are_those_of_the_benchmark():
    from benchmarks.arms import hex_of

    for n in 1, 8, 9, 367, 600:
        right = onp.random.default_rng(n).random(n) < 0.8
        assert arms.bits(hex_of(right), n).tolist() == right.tolist()


# ---- Verdicts -------------------------------------------------------------------------------------------------------


def test_seeds_and_pictures_are_drawn_again():
    """The variance of the means is that of what a seed adds, a fifth of it, and of what a picture adds."""
    rng = onp.random.default_rng(0)
    of_seed, of_picture = rng.normal(0.03, 0.02, (5, 1)), rng.normal(0, 0.5, (1, 300))
    means = arms.resampled(of_seed + of_picture)
    assert means.shape == (2000,) and (means == arms.resampled(of_seed + of_picture)).all()
    assert means.mean() == pytest.approx((of_seed.mean() + of_picture.mean()), abs=0.003)
    assert means.var() == pytest.approx(of_seed.var() / 5 + of_picture.var() / 300, rel=0.1)
    assert (arms.resampled(onp.full((3, 7), 0.25)) == 0.25).all()


def test_limits_hold_95_percent():
    draws = onp.random.default_rng(0).normal(3, 2, 100_000)
    assert arms.limits(draws) == pytest.approx([3 - 1.96 * 2, 3 + 1.96 * 2], abs=0.05)


@pytest.mark.parametrize(
    'low, high, text',
    [
        (-0.01, 0.015, 'no difference that matters'),
        (0.005, 0.015, 'no difference that matters'),
        (0.005, 0.025, 'better'),
        (0.03, 0.05, 'better'),
        (-0.05, -0.005, 'worse'),
        (-0.03, 0.01, "can't tell"),
        (-0.01, 0.03, "can't tell"),
    ],
)
def test_verdicts(low, high, text):
    assert arms.verdict(low, high) == text


def test_what_was_copied_names_the_blocks_with_parameters_and_what_is_new(resnet):
    net = utils.with_new_head(resnet, ['a', 'b'])
    first = next(iter(net.features[-5].collect_params('.*weight').values()))
    first.set_data(first.data() + 1)
    table = arms.what_was_copied(net, resnet).set_index('block')
    assert list(table.index) == [
        *('batchnorm0', 'conv0', 'batchnorm1'),
        *('stage1', 'stage2', 'stage3', 'stage4'),
        *('batchnorm2', 'output'),
    ]
    assert list(table.index[table.weights == 'new']) == ['stage4', 'output']
    assert table.parameters['output'] == 2 * 512 + 2
