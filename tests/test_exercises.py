"""Exercises: an answer that is right is taken, one that is wrong gets a sentence of its own, and so does none."""

import hashlib
import re

import mended_mxnet

import nbformat
import numpy as onp
import pandas as pd
import pytest
from helpers import contents, sentence
from mxnet import np
from mxnet.gluon import nn

import arms
import frozen
import heads
import utils
from benchmarks import answers
from benchmarks.table import Table
from commands import exercises
from exercises import checks
from exercises.checks import check
from exercises.prepared import with_a_leak
from files import ROOT

SOURCES = sorted((ROOT / 'exercises').glob('*.ipynb'))
STUB = '# YOUR CODE HERE'


def code_cells(path):
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == 'code']


def text_of(path):
    return '\n\n'.join(cell.source for cell in nbformat.read(path, 4).cells)


def pairs():
    """[(name, the cell with our answer, the cell that checks it), ...] of all exercises."""
    for path in SOURCES:
        cells = {cell.metadata.get('nbgrader', {}).get('grade_id'): cell for cell in code_cells(path)}
        for name, cell in cells.items():
            if name and cell.metadata.nbgrader.solution:
                yield name, cell, cells[f'{name}-check']


PAIRS = {name: (answer, checking) for name, answer, checking in pairs()}

# ---- The files ------------------------------------------------------------------------------------------------------


def test_each_notebook_has_four_to_seven_exercises():
    for i, path in enumerate(SOURCES, 1):
        assert 4 <= sum(name.startswith(str(i)) for name in PAIRS) <= 7 and path.name.startswith(f'0{i}_')
    assert [*PAIRS] == sorted(PAIRS)


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: path.stem)
def test_what_nbgrader_needs_is_there(path):
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    facts = [cell.metadata.nbgrader for cell in notebook.cells if 'nbgrader' in cell.metadata]
    assert len({fact.grade_id for fact in facts}) == len(facts)
    for cell in code_cells(path):
        assert cell.outputs == [] and cell.execution_count is None
        fact = cell.metadata.get('nbgrader', {})
        assert ('### BEGIN SOLUTION' in cell.source) == fact.get('solution', False)
        assert ('### BEGIN HIDDEN TESTS' in cell.source) == fact.get('grade', False) == ('points' in fact)


@pytest.mark.parametrize('name', PAIRS)
def test_it_says_what_it_is_and_how_long_it_takes(name):
    text = ''.join(map(text_of, SOURCES))
    assert re.search(rf'##+ {name}\. .*\n\n\*[A-Z].* · \d+ minutes', text)
    assert f"check('{name}'" in PAIRS[name][1].source


def test_the_page_for_teachers_counts_right():
    page = (ROOT / 'exercises' / 'TEACHING.md').read_text()
    for i, path in enumerate(SOURCES, 1):
        kinds, minutes = zip(*re.findall(r'\n\n\*([A-Z]\w*).* · (\d+) minutes', text_of(path)))
        points = sum(checking.metadata.nbgrader.points for name, (_, checking) in PAIRS.items() if name[0] == str(i))
        row = [len(kinds), kinds.count('Code'), sum(map(int, minutes)), points]
        assert re.search(rf'^\| 0{i} [\w -]+ \| {" [|] ".join(map(str, row))} \|$', page, re.MULTILINE), row


# ---- The student's version ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'code, expected',
    [
        ('a = None\n### BEGIN SOLUTION\na = 1\nb = 2\n### END SOLUTION', f'a = None\n{STUB}'),
        ('def f():\n    ### BEGIN SOLUTION\n    x\n    ### END SOLUTION\nf()', f'def f():\n    {STUB}\nf()'),
        ('### BEGIN HIDDEN TESTS\nsecret\n### END HIDDEN TESTS\ncheck()', 'check()'),
        ('### BEGIN SOLUTION\na\n### END SOLUTION\nb\n### BEGIN SOLUTION\nc\n### END SOLUTION', f'{STUB}\nb\n{STUB}'),
        ('as it is', 'as it is'),
    ],
)
def test_solutions_and_hidden_tests_are_taken_out(code, expected):
    assert exercises.student_code(code) == expected


@pytest.mark.parametrize('name', PAIRS)
def test_before_anything_is_filled_in_it_says_so(name):
    names = {'seed': 0, 'check': check}
    exec(exercises.student_code(PAIRS[name][0].source), names)
    exec_check = exercises.student_code(PAIRS[name][1].source)
    said = sentence(exec, exec_check, names)
    assert said.startswith(f'{name}: ')
    assert re.search(
        'no answer yet|gives None|trained for|is no table|has moved weights in|no weight of the head', said
    ) or (name == '3f' and 'still learn' in said)


@pytest.fixture
def room(tmp_path, monkeypatch):
    monkeypatch.setattr(exercises, 'WORK', tmp_path / 'work' / 'exercises')
    monkeypatch.setattr(exercises, 'PAGES', tmp_path / 'build' / 'exercises')
    return tmp_path


@pytest.mark.slow
def test_students_get_notebooks_without_answers_and_readers_pages_with_folded_ones(room, capsys):
    exercises.main()
    for path in SOURCES:
        text = (room / 'work' / 'exercises' / path.name).read_text()
        assert 'SOLUTION' not in text and 'HIDDEN' not in text and '"nbgrader"' not in text and STUB in text
        page = (room / 'build' / 'exercises' / path.name).with_suffix('.html').read_text()
        assert page.count('<summary>Our answer</summary>') == text.count(STUB) - 1  # the text names it once
        assert 'SOLUTION' not in page and 'HIDDEN' not in page
    assert 'work/exercises' in capsys.readouterr().out


@pytest.mark.slow
def test_what_a_student_has_done_is_never_overwritten(room):
    exercises.main()
    place = room / 'work' / 'exercises' / SOURCES[0].name
    notebook = nbformat.read(place, 4)
    notebook.cells[-1].source = 'mine'
    nbformat.write(notebook, place)
    before = contents(room / 'work')
    exercises.main()
    assert contents(room / 'work') == before


def test_what_is_in_the_way_is_one_sentence(room):
    (room / 'work').mkdir()
    (room / 'work' / 'exercises').write_text('mine')
    assert 'could not be written' in sentence(exercises.main)
    assert (room / 'work' / 'exercises').read_text() == 'mine'


# ---- Answers that are right -----------------------------------------------------------------------------------------

CODE = ['1c', '1d', '1e', '2a', '2d', '2f', '3c', '3e', '3f', '3g']  # the others are run by nbval


@pytest.mark.slow
@pytest.mark.parametrize('name', CODE)
def test_our_code_is_right(name, capsys):
    names = {'np': np, 'onp': onp, 'nn': nn, 'utils': utils, 'heads': heads, 'hashlib': hashlib}
    exec(PAIRS[name][0].source, names)
    exec(PAIRS[name][1].source, names | {'check': checks.check})
    assert f'{name} is right. ' in capsys.readouterr().out


def reuse_from_scratch(source, classes, num_copied):
    """The other way to 1d: random first, then copies."""
    return arms.target(arms.Arm(copied=num_copied), source, classes)


def freeze_by_the_book(net):
    utils.freeze(net, len(net.features))


def split_in_one_line(pictures, salt):
    sides = {p: int(hashlib.md5(f'{p[0].name}{salt}'.encode()).hexdigest(), 16) % 5 == 0 for p in pictures}
    return [p for p in pictures if not sides[p]], [p for p in pictures if sides[p]]


def dense_with_two_layers(num_classes, batch_norm):
    net = nn.HybridSequential()
    net.add(*[heads.BatchNorm()] * batch_norm, nn.Dense(1024), nn.Activation('relu'), nn.Dense(num_classes))
    return net


def one_by_one(X_train, X_valid):
    return [i for i, x in enumerate(X_valid) if abs(X_train - x).max(1).min() < 0.5]


def at_once(right_a, right_b):
    return tuple(arms.limits(arms.resampled((right_a * 1.0 - right_b)[None], draws=500)))


@pytest.mark.slow
@pytest.mark.parametrize(
    'name, answer',
    [
        ('1c', freeze_by_the_book),
        ('1d', reuse_from_scratch),
        ('2a', split_in_one_line),
        ('2d', dense_with_two_layers),
        ('2f', one_by_one),
        ('3c', at_once),
        ('3f', utils.freeze),
    ],
)
def test_another_right_answer_is_right_too(name, answer):
    check(name, answer)


def test_no_right_answer_was_refused_with_ten_seeds():
    table = Table(checks.MEASURED, checks.SETTINGS).rows()
    for i in (1, 2, 3):
        rows = table[table.exercise.str.startswith(str(i))]
        assert {*rows.parameters} == {answers.parameters(f'0{i}')}, 'run python -m benchmarks.answers again'
        assert {*rows.exercise[rows.what == 'refused']} == {name for name in PAIRS if name.startswith(str(i))}
        assert {'0', '1', '2', '3', '4'} <= {*rows.seed}
    assert answers.refused(table) == []


# ---- Answers that are wrong -----------------------------------------------------------------------------------------


def typical(name, what):
    """An accuracy that others got."""
    return Table(checks.MEASURED, checks.SETTINGS).rows(exercise=name, what=what).value.mean()


def training(n, name='fine-tuned', few='fine-tuned'):
    """A table as that of a training of n epochs, of which the first two are as the network `few`."""
    first, last = typical('1a', f'{few}, 2 epochs'), typical('1a', f'{name}, 6 epochs')
    return pd.DataFrame({'valid': [first, first, *[last] * 4][:n]})


def both(**tables):
    default = {'fine-tuned': training(6), 'from scratch': training(6, 'from scratch', 'from scratch')}
    return default | {name.replace('_', ' ').replace('fine ', 'fine-'): table for name, table in tables.items()}


def exchanged():
    return dict(zip(('from scratch', 'fine-tuned'), both().values()))


def less(histories):
    """The network that gains less."""
    gain = {name: table.valid.max() - table.valid[:2].max() for name, table in histories.items()}
    return min(gain, key=gain.get)


@pytest.mark.parametrize(
    'histories, gains_more, words',
    [
        (lambda: both(fine_tuned=training(2)), 'fine-tuned', 'trained for 2 epochs'),
        (lambda: both(fine_tuned=0.8), 'fine-tuned', 'no table of a training'),
        (lambda: {'fine-tuned': training(6)}, 'fine-tuned', 'no table of "from scratch"'),
        (exchanged, 'fine-tuned', 'which of the two is which'),
        (both, 'both', 'the name of a network'),
        (both, less, 'your tables say otherwise'),
        (lambda: both(fine_tuned=pd.DataFrame({'valid': [0.1] * 6})), 'fine-tuned', 'less than any seed'),
    ],
)
def test_1a_more_epochs(histories, gains_more, words):
    histories = histories()
    assert words in sentence(check, '1a', histories, gains_more(histories) if callable(gains_more) else gains_more)


def rates(*values):
    """A table from 0.1 on, the first one as others have it."""
    return dict(zip([0.1, 0.3, 1, 3], [typical('1b', 'at 0.1'), *values]))


@pytest.mark.parametrize(
    'table, rate, words',
    [
        (lambda: rates(0.8, 0.5), 0.3, 'it falls above 0.3'),
        (lambda: rates(0.5, 0.5), 1, 'it falls below 1'),
        (lambda: rates(0.8, 0.5), 0.5, 'none of the rates'),
        (lambda: rates(0.8), 0.3, 'go on with larger rates'),
        (lambda: {0.3: 0.8, 1: 0.5}, 1, 'begin with 0.1'),
        (lambda: {0.1: 0.8, 3: 0.5}, 3, 'there is a jump'),
        (lambda: {0.1: 80, 0.3: 50}, 0.3, 'as a share'),
        (lambda: {0.1: 0.5, 0.3: 0.4}, 0.3, 'a new network'),
        (lambda: [0.8, 0.5], 0.3, 'make it a dictionary'),
        (lambda: {0.1: training(6), 0.3: 0.5}, 0.3, 'history.valid.max()'),
    ],
)
def test_1b_a_larger_rate(table, rate, words):
    assert words in sentence(check, '1b', table(), rate)


def all_frozen(net):
    net.collect_params().setattr('grad_req', 'null')


def by_name(net):
    net.features.collect_params('.*weight').setattr('grad_req', 'null')


def gradients_only(net):
    net.features.collect_params().setattr('grad_req', 'null')


def few_blocks(net):
    utils.freeze(net, 8)


def head_frozen(net):
    net.output.collect_params().setattr('grad_req', 'null')


def at_no_rate(net):
    net.features.collect_params().setattr('lr_mult', 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    'answer, words',
    [
        (all_frozen, 'the head too'),
        (by_name, 'has moved weights in'),
        (few_blocks, 'has moved weights in 2 blocks'),
        (gradients_only, 'in training than in use'),
        (head_frozen, 'has moved weights in'),
        (at_no_rate, 'no weight below the head moves, but'),
        (lambda net: net.nothing, 'stops with AttributeError'),
        (5, 'the function itself'),
    ],
)
def test_1c_only_the_head(answer, words):
    assert words in sentence(check, '1c', answer)


def shares(source, classes, num_copied):
    net = reuse_from_scratch(source, classes, num_copied)
    net.features = nn.HybridSequential(prefix=net.features.prefix)
    fresh = reuse_from_scratch(source, classes, 0)
    net.features.add(*source.features[:num_copied], *fresh.features[num_copied:])
    return net


def zeros(source, classes, num_copied):
    net = reuse_from_scratch(source, classes, num_copied)
    for block in net.features[num_copied:]:
        for param in block.collect_params('.*weight').values():
            param.set_data(np.zeros(param.shape))
    return net


@pytest.mark.slow
@pytest.mark.parametrize(
    'answer, words',
    [
        (lambda source, classes, n: utils.with_new_head(source, classes), 'the blocks that are as in the source are'),
        (lambda source, classes, n: reuse_from_scratch(source, classes, n + 1), 'and should be'),
        (lambda source, classes, n: utils.copied(source), 'it needs a new head'),
        (lambda source, classes, n: source.features, 'give the network'),
        (lambda source, classes, n: None, 'gives None'),
        (shares, 'is shared, and not copied'),
        (zeros, 'must be random'),
    ],
)
def test_1d_fewer_layers(answer, words):
    assert words in sentence(check, '1d', answer)


def put(row, into=0):
    def start_with(net, source, name):
        net.output.weight.data()[into] = source.output.weight.data()[row]

    return start_with


@pytest.mark.slow
@pytest.mark.parametrize(
    'answer, words',
    [
        (put(713), 'row 713, which is the photocopier'),
        (put(934), 'row 934, which is the hotdog'),
        (put(963, into=1), 'only that of the first class'),
        (lambda net, source, name: net.output.weight.data().copy()[0], 'no weight of the head has changed'),
        (lambda net, source, name: net.output.weight.set_data(net.output.weight.data() * 2), 'rows [0, 1, 2]'),
    ],
)
def test_1e_a_head_start(answer, words):
    assert words in sentence(check, '1e', answer)


def seeds(*points):
    """(with the row, without it) of five seeds, which gain so many points."""
    without = onp.full(5, round(typical('1f', 'without the row, on average'), 3))
    return without + onp.array(points) / 100, without


@pytest.mark.parametrize(
    'lists, verdict, words',
    [
        (lambda: seeds(1, 1, 1, 1, -1), 'better', '4 of your 5 seeds'),
        (lambda: seeds(1, 1, 1, 1, 2), "can't tell", '5 of your 5 seeds'),
        (lambda: seeds(0, 0, 0, 0, 0), "can't tell", 'both lists are the same'),
        (lambda: seeds(1, 2, 1, 1, 1), 'yes', 'the verdict is'),
        (lambda: ([0.7, 0.8], [0.7, 0.7]), 'better', 'give five'),
        (lambda: ([70] * 5, [71] * 5), 'worse', 'as a share'),
        (lambda: ([0.1] * 5, [0.2] * 5), 'worse', 'is it one epoch'),
    ],
)
def test_1f_does_it_help(lists, verdict, words):
    assert words in sentence(check, '1f', *lists(), verdict)


def by_chance(pictures, salt):
    order = onp.random.default_rng(len(salt)).permutation(len(pictures))
    cut = len(pictures) // 5
    return [pictures[i] for i in order[cut:]], [pictures[i] for i in order[:cut]]


def each_time_anew(pictures, salt):
    sides = onp.random.random(len(pictures)) < 0.2
    return [p for p, side in zip(pictures, sides) if not side], [p for p, side in zip(pictures, sides) if side]


def by_hash(text, below=0.2, wrong_way=False):
    """A split by a hash of text(path, salt)."""

    def split(pictures, salt):
        parts = [], []
        for path, label in pictures:
            share = int(hashlib.sha1(text(path, salt).encode()).hexdigest()[:8], 16) / 16**8
            parts[(share < below) != wrong_way].append((path, label))
        return parts

    return split


def by_pythons_hash(pictures, salt):
    valid = [(path, label) for path, label in pictures if hash(salt + path.name) % 5 == 0]
    return [picture for picture in pictures if picture not in valid], valid


@pytest.mark.parametrize(
    'answer, words',
    [
        (by_hash(lambda path, salt: path.name), 'another salt gives the same split'),
        (by_hash(lambda path, salt: salt + str(path)), 'in another folder'),
        (by_hash(lambda path, salt: salt + path.name, below=0.8), 'which of the two lists'),
        (by_hash(lambda path, salt: salt + path.name, below=0.5), 'should be about a fifth'),
        (by_hash(lambda path, salt: salt), 'which of the two lists|should be about a fifth'),
        (by_chance, 'when other pictures come'),
        (each_time_anew, 'let a hash decide|some change sides'),
        (by_pythons_hash, "take hashlib's"),
        (lambda pictures, salt: (pictures, pictures[:400]), 'each belongs'),
        (lambda pictures, salt: pictures, 'two lists'),
    ],
)
def test_2a_another_split(answer, words):
    assert re.search(words, sentence(check, '2a', answer))


def salts(*points):
    return {i: round(typical('2b', 'on average'), 3) + value / 100 for i, value in enumerate(points)}


@pytest.mark.parametrize(
    'table, points, words',
    [
        (lambda: salts(-1, 1, 0, 0, 0), 0.02, 'is a share'),
        (lambda: salts(-1, 1, 0, 0, 0), 200, 'per cent of a point'),
        (lambda: salts(-1, 1, 0, 0, 0), 1, 'it is not 1 points'),
        (lambda: salts(0, 0, 0, 0, 0), 0, 'the same accuracy'),
        (lambda: salts(-1, 1), 2, 'asks for 5'),
        (lambda: {i: 1 - i / 1000 for i in range(5)}, 0.4, 'more than any seed'),
    ],
)
def test_2b_how_far(table, points, words):
    assert words in sentence(check, '2b', table(), points)


def dropouts(*valid):
    train = typical('2c', 'without dropout, train')
    first = typical('2c', 'without dropout, valid')
    return {0: (train, first)} | {p: (0.9, value) for p, value in zip([0.5, 0.9, 0.97], valid)}


@pytest.mark.parametrize(
    'table, p, words',
    [
        (lambda: dropouts(0.86, 0.7), 0.5, 'it falls above 0.5'),
        (lambda: dropouts(0.7, 0.7), 0.9, 'it falls below 0.9'),
        (lambda: dropouts(0.86, 0.86), 0.9, 'go on with more dropout'),
        (lambda: dropouts(0.86, 0.7), 0.99, 'not in your table'),
        (lambda: dropouts(0.86, 0.7) | {0: (0.86, 1)}, 0.9, 'in this order'),
        (lambda: {0: 0.86, 0.5: 0.8}, 0.5, 'give (train, valid)'),
        (lambda: {0.5: (0.9, 0.8)}, 0.5, 'begin with 0'),
    ],
)
def test_2c_dropout(table, p, words):
    assert words in sentence(check, '2c', table(), p)


def layers(make):
    """A head of the layers make(num_classes, batch_norm)."""

    def head(num_classes, batch_norm):
        net = nn.HybridSequential()
        net.add(*make(num_classes, batch_norm))
        return net

    return head


@pytest.mark.parametrize(
    'answer, words',
    [
        (layers(lambda n, bn: [nn.Dense(1024, activation='relu'), nn.Dense(n)]), 'there is no layer of batch norm'),
        (
            layers(lambda n, bn: [heads.BatchNorm(), nn.Dense(1024, activation='relu'), nn.Dense(n)]),
            'batch_norm = False there is one',
        ),
        (
            layers(lambda n, bn: [*[nn.BatchNorm()] * bn, nn.Dense(1024, activation='relu'), nn.Dense(n)]),
            'take heads.BatchNorm',
        ),
        (
            layers(lambda n, bn: [nn.Dense(1024, activation='relu'), *[heads.BatchNorm()] * bn, nn.Dense(n)]),
            'after a dense layer',
        ),
        (layers(lambda n, bn: [*[heads.BatchNorm()] * bn, nn.Dense(1024), nn.Dense(n)]), 'nothing bends'),
        (
            layers(lambda n, bn: [*[heads.BatchNorm()] * bn, nn.Dense(1024, activation='relu'), nn.Dense(2)]),
            'the last with one for each class',
        ),
        (
            layers(
                lambda n, bn: [
                    *[heads.BatchNorm()] * bn,
                    nn.Dense(1024, activation='relu'),
                    nn.Dense(n, activation='relu'),
                ]
            ),
            'cuts off all scores',
        ),
        (lambda n, bn: [nn.Dense(1024), nn.Dense(n)], 'return the nn.HybridSequential'),
    ],
)
def test_2d_dense_1024(answer, words):
    assert words in sentence(check, '2d', answer)


def draws(*points):
    middle = typical('2e', 'with 5 a class, on average')
    return {n: [middle + value * k / 100 for k in (-1, -1, 0, 1, 1)] for n, value in zip([5, 20, 80, 300], points)}


@pytest.mark.parametrize(
    'table, enough, words',
    [
        (lambda: draws(5, 4, 1), 20, 'not the first under 0.02'),
        (lambda: draws(5, 4), 20, 'go on with more pictures'),
        (lambda: draws(0, 4), 5, 'a seed of its own'),
        (lambda: {5: [0.6] * 3}, 5, 'asks for five'),
        (lambda: {20: [0.6, 0.7, 0.6, 0.7, 0.6]}, 20, 'begin with 5'),
        (lambda: {5: [0.95, 0.96, 0.95, 0.96, 0.95]}, 5, 'more than any seed'),
    ],
)
def test_2e_few_pictures(table, enough, words):
    assert words in sentence(check, '2e', table(), enough)


def nearer_than(cosine):
    def leaked(X_train, X_valid):
        A, B = (X / onp.linalg.norm(X, axis=1, keepdims=True) for X in (X_train, X_valid))
        return onp.flatnonzero((B @ A.T).max(1) > cosine)

    return leaked


@pytest.mark.slow
@pytest.mark.parametrize(
    'answer, words',
    [
        (lambda A, B: [i for i, x in enumerate(B) if (x == A).all(1).any()], 'finds none'),
        (nearer_than(0), 'names all pictures'),
        (nearer_than(0.8), 'that are none'),
        (lambda A, B: nearer_than(0.99)(A, B)[:5], 'misses'),
        (lambda A, B: nearer_than(0.99)(A, B) + 1, 'misses'),
        (lambda A, B: onp.isin(range(len(B)), nearer_than(0.99)(A, B)), 'whole numbers'),
    ],
)
def test_2f_find_the_leak(answer, words):
    assert words in sentence(check, '2f', answer)


@pytest.mark.slow
def test_the_leaky_data_set_has_the_twins_that_it_says_and_their_files_differ():
    dataset, places = with_a_leak(seed=3)
    below, _ = frozen.cut(utils.pretrained(), 'output')
    X = [below.features(part, 32) for part in (dataset.train, dataset.valid)]
    assert sorted(nearer_than(0.99)(*X)) == places and len(places) >= 12
    bytes_of = [path.read_bytes() for path, _ in dataset.train + dataset.valid]
    assert len({*bytes_of}) == len(bytes_of) == 180


def trained_above(num_frozen):
    net = utils.with_new_head(utils.pretrained(), ['a', 'b'])
    for block in net.features[num_frozen:]:
        for param in block.collect_params().values():
            param.set_data(param.data() + 0.01)
    return net


@pytest.mark.slow
@pytest.mark.parametrize(
    'answer, words',
    [
        (lambda: trained_above(7), 'the first block that moved is number 7'),
        (lambda: trained_above(9), 'the first block that moved is number 9'),
        (lambda: trained_above(0), 'every block has moved'),
        (lambda: trained_above(13), 'no block below the head has moved'),
        (lambda: (trained_above(8), None), 'a network and the table'),
    ],
)
def test_3a_the_first_eight(answer, words):
    assert words in sentence(check, '3a', answer())


def leads(*points):
    """A table in which fine-tuning leads by so many points, from 5 pictures a class on."""
    start = {name: typical('3b', f'with 5 a class, {name}') for name in ('head only', 'fine-tuned')}
    later = [{'head only': 0.8, 'fine-tuned': 0.8 + value / 100} for value in points]
    return dict(zip([5, 10, 20, 40], [start, *later]))


@pytest.mark.parametrize(
    'table, per_class, words',
    [
        (lambda: leads(1, 5), 10, 'not the first place'),
        (lambda: leads(1, 1), 20, 'go on doubling'),
        (lambda: leads(1, 1), 'never', 'go on doubling'),
        (lambda: leads(1, 5), 'never', 'not the first place'),
        (lambda: {5: {'head only': 0.8}}, 5, 'measure "head only" and "fine-tuned"'),
        (lambda: {n: values for n, values in leads(1, 5).items() if n != 10}, 20, 'and double'),
        (lambda: {5: {'head only': 0.1, 'fine-tuned': 0.9}}, 5, 'is it the right arm'),
    ],
)
def test_3b_how_few(table, per_class, words):
    assert words in sentence(check, '3b', table(), per_class)


def unpaired(right_a, right_b):
    rng = onp.random.default_rng(0)
    gains = [rng.choice(right_a, len(right_a)).mean() - rng.choice(right_b, len(right_b)).mean() for _ in range(500)]
    return onp.percentile(gains, [2.5, 97.5])


def without_replacement(right_a, right_b):
    rng, gain = onp.random.default_rng(0), right_a * 1.0 - right_b
    return onp.percentile([rng.permutation(gain).mean() for _ in range(500)], [2.5, 97.5])


@pytest.mark.parametrize(
    'answer, words',
    [
        (lambda a, b: at_once(b, a), 'the other way round'),
        (lambda a, b: at_once(a, b)[::-1], 'low is above high'),
        (lambda a, b: 100 * onp.array(at_once(a, b)), 'these are points'),
        (unpaired, 'too wide'),
        (without_replacement, 'nearly the same'),
        (lambda a, b: onp.add(at_once(a, b), 0.05), 'your limits are off'),
        (lambda a, b: at_once(a, b)[:1], 'two numbers'),
        (lambda a, b: a - b, 'stops with TypeError'),
    ],
)
def test_3c_bootstrap(answer, words):
    assert words in sentence(check, '3c', answer)


@pytest.mark.slow
@pytest.mark.parametrize(
    'answer, words',
    [
        (lambda: utils.with_new_head(utils.pretrained(), [str(i) for i in range(10)]), 'one that guesses'),
        (lambda: trained_above(8), 'blocks below the head have moved'),
        (lambda: utils.with_new_head(utils.pretrained(), ['a', 'b']), 'there are ten digits'),
        (lambda: frozen.cut(utils.with_new_head(utils.pretrained(), ['a']), 'output')[1], 'give the whole of it'),
    ],
)
def test_3d_a_head_can_read(answer, words):
    assert words in sentence(check, '3d', answer())


def as_found(name):
    """The function with the mistake, as the exercise shows it."""
    text = ''.join(cell.source for cell in nbformat.read(SOURCES[2], 4).cells if cell.id == f'{name}-text')
    names = {'utils': utils}
    exec('\n'.join(line[4:] for line in text.splitlines() if line.startswith('    ')), names)
    return next(value for key, value in names.items() if key in ('target', 'freeze_first', 'shuffled'))


def gradients_of(net, num_frozen):
    for block in net.features[:num_frozen]:
        block.collect_params().setattr('grad_req', 'null')


@pytest.mark.slow
@pytest.mark.parametrize(
    'name, answer, words',
    [
        ('3e', as_found('3e'), 'has changed'),
        ('3e', lambda source, classes: utils.from_scratch(classes), 'not as in the source'),
        ('3e', lambda source, classes: utils.copied(source), '1000 outputs'),
        ('3f', as_found('3f'), 'not all that learns is called'),
        ('3f', lambda net, n: utils.freeze(net, n - 1), 'still learn, as features.7.'),
        ('3f', gradients_of, 'in training the frozen blocks'),
        ('3f', lambda net, n: utils.freeze(net, 13), 'do not learn any more'),
        ('3g', as_found('3g'), 'of 101 pictures 100 come back'),
        ('3g', lambda X, y, rng: (X[rng.permutation(len(y))], y[rng.permutation(len(y))]), 'beside their picture'),
        ('3g', lambda X, y, rng: (X, y), 'in the order in which they came'),
    ],
)
def test_3efg_mistakes(name, answer, words):
    assert words in sentence(check, name, answer)


def test_3b_may_have_no_answer_and_says_so():
    table = leads(1, 1, 1) | {80: {'head only': 0.9, 'fine-tuned': 0.91}}
    check('3b', table, 'never')
    assert 'not the first place' in sentence(check, '3b', table, 80)


def test_an_exercise_that_there_is_not_and_an_answer_of_another_form():
    assert 'no exercise' in sentence(check, '9z', 1)
    assert 'another form' in sentence(check, '1a', 5, 'fine-tuned')
    assert 'no answer yet' in sentence(check, '1b', {0.1: 0.8}, None)
