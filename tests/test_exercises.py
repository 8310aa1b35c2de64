"""Exercises: an answer that is right is taken, one that is wrong gets a sentence of its own, and so does none."""

import copy
import hashlib
import json
import re
import signal

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


def texts():
    return ''.join(map(text_of, SOURCES))


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
    text = texts()
    assert re.search(rf'##+ {name}\. .*\n\n\*[A-Z].* · \d+ minutes', text)
    assert f"check('{name}'" in PAIRS[name][1].source


def answer_texts(path):
    """Our answers to what no check looks at."""
    return [cell.source for cell in nbformat.read(path, 4).cells if exercises.is_answer(cell)]


@pytest.mark.parametrize('path', SOURCES, ids=lambda path: path.stem)
def test_figures_in_our_answers_are_those_that_were_measured(path):
    """Accuracies of three digits, and points of one."""
    rows = Table(checks.MEASURED, checks.SETTINGS).rows()
    rows = rows[rows.exercise.str.startswith(path.name[1])]
    of_all = rows[rows.instructions == 'all']
    values = of_all.groupby(['exercise', 'what']).value.agg(['mean', 'min', 'max']).stack()
    of_both = rows.groupby(['exercise', 'what']).value.mean()  # kinds of processor
    values = onp.concatenate([values, of_both, of_all.value[of_all.seed == '0']])
    for answer in answer_texts(path):
        answer = re.sub(r'(?m)^\| [\d.]+ \|', '|', answer)  # the settings, in the first column of a table
        for figure in re.findall(r'\b[01]\.\d{3}\b', answer):
            assert abs(values - float(figure)).min() <= 0.00051, figure
        for figure in re.findall(r'\b\d+\.\d(?= (?:points|to))', answer):
            assert abs(abs(onp.append(values, 100 * values)) - float(figure)).min() <= 0.051, figure


def test_the_page_for_teachers_counts_right():
    page = (ROOT / 'exercises' / 'TEACHING.md').read_text()
    for i, path in enumerate(SOURCES, 1):
        kinds, minutes = zip(*re.findall(r'\n\n\*([A-Z]\w*).* · (\d+) minutes', text_of(path)))
        points = sum(checking.metadata.nbgrader.points for name, (_, checking) in PAIRS.items() if name[0] == str(i))
        row = [len(kinds), kinds.count('Code'), sum(map(int, minutes)), points]
        assert re.search(rf'^\| 0{i} [\w -]+ \| {" [|] ".join(map(str, row))} \|$', page, re.MULTILINE), row


def test_what_is_done_in_class_has_five_minutes_to_spare():
    minutes = {name: int(m) for name, m in re.findall(r'##+ (\d\w)\. .*\n\n\*.* · (\d+) minutes', texts())}
    page = (ROOT / 'exercises' / 'TEACHING.md').read_text().replace('3e to 3g', '3e, 3f, 3g')
    lessons = re.findall(r'(\d+)(?:: | \| Exercises )(\d[a-g](?:(?:, | and )\d[a-g])*),? in pairs', page)
    assert len(lessons) == page.count('in pairs') - 1  # the rule itself
    for given, names in lessons:
        assert sum(minutes[name] for name in re.findall(r'\d[a-g]', names)) + 5 <= int(given)


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
    names = {'seed': 0, 'check': check} | dict.fromkeys(['split', 'accuracy_of', 'begin', 'fit'])
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
        answers = answer_texts(path)
        assert page.count('<summary>Our answer</summary>') == text.count(STUB) - 1 + len(
            answers
        )  # the text names it once
        assert answers and not any(json.dumps(answer)[1:40] in text for answer in answers)
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


def test_ctrl_c_between_two_pages_says_what_is_true_and_leaves_what_is_whole(room, monkeypatch):
    """A real signal, when the second page is made."""
    made = []

    def page(notebook):
        made.append(notebook)
        if len(made) == 2:
            signal.raise_signal(signal.SIGINT)
        return 'a page'

    monkeypatch.setattr(exercises, 'page', page)
    with pytest.raises(SystemExit, match='^\nStopped; what was written before is whole'):
        exercises.main()
    assert {path.name for path in (room / 'work' / 'exercises').iterdir()} == {path.name for path in SOURCES}
    assert [path.name for path in (room / 'build' / 'exercises').iterdir()] == [f'{SOURCES[0].stem}.html']


def test_a_source_that_is_broken_is_named_before_anything_is_written(room, monkeypatch):
    sources = room / 'exercises'
    sources.mkdir()
    (sources / SOURCES[0].name).write_text('no JSON')
    monkeypatch.setattr(exercises, 'SOURCES', sources)
    assert f'exercises/{SOURCES[0].name} is no notebook any more' in sentence(exercises.main)
    assert contents(room).keys() == {sources / SOURCES[0].name}


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


freeze = utils.freeze  # which the checks of 1c and 3f refuse by its name in `utils`


def freeze_by_the_book(net):
    freeze(net, len(net.features))


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
        ('3f', lambda net, num_frozen: freeze(net, num_frozen)),
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
        seeds = rows.groupby('instructions').seed.nunique()
        assert seeds['all'] >= 10 and seeds['AVX2'] >= 5
    assert answers.refused(table) == []


# ---- Answers that are wrong -----------------------------------------------------------------------------------------


def typical(name, what):
    """An accuracy that others got."""
    return Table(checks.MEASURED, checks.SETTINGS).rows(exercise=name, what=what).value.mean()


def training(n, name='fine-tuned', few='fine-tuned'):
    """A table as that of a training of n epochs, of which the first two are as the network `few`."""
    first, last = typical('1a think', f'{few}, 2 epochs'), typical('1a', f'{name}, 6 epochs')
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
        (lambda: both(fine_tuned=training(6).assign(epoch=[1, 2, 1, 2, 3, 4])), 'fine-tuned', 'more than once'),
        (lambda: both(fine_tuned=pd.DataFrame({'valid': [0.1] * 6})), 'fine-tuned', 'less than our runs'),
    ],
)
def test_1a_more_epochs(histories, gains_more, words):
    histories = histories()
    assert words in sentence(check, '1a', histories, gains_more(histories) if callable(gains_more) else gains_more)


def rates(*values):
    """A table from 0.1 on, the first one as others have it."""
    return dict(zip([0.1, 0.3, 1, 3], [typical('1a', 'fine-tuned, 6 epochs'), *values]))


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
        (lambda: [0.8, 0.5], 0.3, 'make it a dictionary'),
        (lambda: {0.1: training(6), 0.3: 0.5}, 0.3, 'a whole table'),
        (lambda: {'0.1': 0.8, '0.3': 0.5}, '0.3', 'rates in your table are texts'),
        (lambda: rates(0.5), '0.3', 'is a text'),
        (lambda: rates(0.5), training(6), 'the rate itself'),
        (lambda: rates(0.5), float('nan'), 'none of the rates'),
    ],
)
def test_1b_a_larger_rate(table, rate, words):
    assert words in sentence(check, '1b', table(), rate)


def test_1b_rates_may_be_computed_and_only_guessing_is_called_so(capsys):
    check('1b', {0.1: typical('1a', 'fine-tuned, 6 epochs'), 0.1 * 3: 0.65}, 0.3)
    assert 'too large, within two epochs' in capsys.readouterr().out
    check('1b', rates(0.5), 0.3)
    assert 'the network guesses, within' in capsys.readouterr().out


def all_frozen(net):
    net.collect_params().setattr('grad_req', 'null')


def by_name(net):
    net.features.collect_params('.*weight').setattr('grad_req', 'null')


def gradients_only(net):
    net.features.collect_params().setattr('grad_req', 'null')


def few_blocks(net):
    freeze(net, 8)


def head_frozen(net):
    net.output.collect_params().setattr('grad_req', 'null')


def at_no_rate(net):
    net.features.collect_params().setattr('lr_mult', 0)
    net.apply(utils.fix_statistics)


def in_the_wrong_order(net):
    net.apply(utils.fix_statistics)
    net.features.collect_params().setattr('grad_req', 'null')


@pytest.mark.slow
@pytest.mark.parametrize(
    'answer, words',
    [
        (all_frozen, 'the head too'),
        (by_name, 'has moved weights in'),
        (few_blocks, 'has moved weights in 2 blocks'),
        (gradients_only, 'in training than in use'),
        (head_frozen, 'has moved weights in'),
        (at_no_rate, 'weights still get gradients'),
        (in_the_wrong_order, 'which of the two comes first'),
        (lambda net: utils.freeze(net, 13), 'that is utils.freeze'),
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


def deep_copies(source, classes, num_copied=13):
    net = utils.with_new_head(source, classes)
    net.features = copy.deepcopy(source.features)
    utils.initialize(net.features[num_copied:])
    return net


def the_source_itself(source, classes, num_copied):
    utils.initialize(source.features[num_copied:])
    return utils.with_new_head(source, classes)


def of_other_names(source, classes, num_copied):
    net = reuse_from_scratch(source, classes, num_copied)
    net.classes = source.classes
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
        (shares, 'shared and not copied'),
        (deep_copies, 'copy.deepcopy unties'),
        (the_source_itself, 'has changed the source network itself'),
        (of_other_names, 'the names of 1000 other classes'),
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


def trains(valid):
    """Functions as `begin` and `fit` of the notebook, whose training gives this accuracy on valid."""
    return lambda name: name, lambda net, name, num_epochs, lr: pd.DataFrame({'valid': [valid]})


def seeds(*points):
    """(with the row, without it) of five seeds, which gain so many points."""
    without = round(typical('1f', 'without the row, on average'), 3) + onp.array([-4, -2, 0, 2, 4]) / 100
    return without + onp.array(points) / 100, without


@pytest.mark.parametrize(
    'lists, verdict, words',
    [
        (lambda: seeds(1, 1, 1, 1, -1), 'better', '4 of your 5 seeds'),
        (lambda: seeds(1, 1, 1, 1, 2), "can't tell", '5 of your 5 seeds'),
        (lambda: seeds(0, 0, 0, 0, 0), "can't tell", 'both lists are the same'),
        (lambda: seeds(1, 2, 1, 1, 1), 'yes', 'the verdict is'),
        (lambda: ([0.7, 0.8], [0.7, 0.7]), 'better', 'give five'),
        (lambda: ([70, 72] * 3, [71, 73] * 3), 'worse', 'as a share'),
        (lambda: ([0.1, 0.2] * 3, [0.2, 0.3] * 3), 'worse', 'is it one epoch'),
        (lambda: ([0.8] * 5, [0.7] * 5), 'better', 'did `begin` get the seed'),
        (lambda: (dict(enumerate([0.8] * 5)), dict(enumerate([0.7] * 4))), 'better', 'have different seeds'),
    ],
)
def test_1f_does_it_help(lists, verdict, words):
    assert words in sentence(check, '1f', *lists(), verdict, *trains(typical('1f', 'without the row, on average')))


@pytest.mark.parametrize('verdict', ["can't tell", 'Can\N{RIGHT SINGLE QUOTATION MARK}t tell', 'cant tell'])
def test_1f_dictionaries_and_other_spellings_are_taken(verdict, capsys):
    with_row, without = seeds(1, -1, 1, 1, 1)
    check('1f', dict(enumerate(with_row)), dict(enumerate(without)), verdict, *trains(without[0]))
    assert '+1.0, -1.0, +1.0' in capsys.readouterr().out


def test_1f_exchanged_lists_have_a_sentence_and_equal_first_numbers_are_none():
    with_row, without = seeds(1, -1, 1, 1, 1)
    said = sentence(check, '1f', without, with_row, "can't tell", *trains(without[0]))
    assert f'the first seed gives {without[0]:.3f}' in said and 'exchanged' in said
    with_row, without = seeds(0, -1, 1, 1, 1)
    check('1f', with_row, without, "can't tell", *trains(without[0]))
    with_row, without = seeds(1, -1, 1, 1, 1)
    check('1f', with_row, without, "can't tell", *trains(0.123))  # another first seed, or another processor


def by_chance(pictures, salt):
    order = onp.random.default_rng(len(salt)).permutation(len(pictures))
    cut = len(pictures) // 5
    return [pictures[i] for i in order[cut:]], [pictures[i] for i in order[:cut]]


def each_time_anew(pictures, salt):
    sides = onp.random.random(len(pictures)) < 0.2
    return [p for p, side in zip(pictures, sides) if not side], [p for p, side in zip(pictures, sides) if side]


def by_rank(pictures, salt):
    ranked = sorted(pictures, key=lambda picture: hashlib.sha1((salt + picture[0].name).encode()).hexdigest())
    return ranked[len(ranked) // 5 :], ranked[: len(ranked) // 5]


def by_hash(text, below=0.2, label=None):
    """A split by a hash of text(path, salt); with `label` all pictures get that one."""

    def split(pictures, salt):
        parts = [], []
        for path, its in pictures:
            share = int(hashlib.sha1(text(path, salt).encode()).hexdigest()[:8], 16) / 16**8
            parts[share < below].append((path, its if label is None else label))
        return parts

    return split


def by_label(pictures, salt):
    sides = [int(hashlib.sha1(f'{salt}{p.name}{label}'.encode()).hexdigest(), 16) % 5 == 0 for p, label in pictures]
    return [p for p, side in zip(pictures, sides) if not side], [p for p, side in zip(pictures, sides) if side]


def by_pythons_hash(of):
    def split(pictures, salt):
        valid = [(path, label) for path, label in pictures if hash(of(path, salt)) % 5 == 0]
        return [picture for picture in pictures if picture not in valid], valid

    return split


@pytest.mark.parametrize(
    'answer, words',
    [
        (by_hash(lambda path, salt: path.name), 'another salt gives the same split'),
        (by_hash(lambda path, salt: salt + str(path)), 'in another folder'),
        (by_hash(lambda path, salt: salt + path.name, below=0.8), 'which of the two lists'),
        (by_hash(lambda path, salt: salt + path.name, below=0.5), 'should be about a fifth'),
        (by_hash(lambda path, salt: salt), 'which of the two lists|should be about a fifth'),
        (by_chance, 'when other pictures come'),
        (by_rank, 'when other pictures come'),
        (by_hash(lambda path, salt: salt + path.name, label=1), 'as path, label'),
        (each_time_anew, 'let a hash decide|some change sides'),
        (by_pythons_hash(lambda path, salt: salt + path.name), "take hashlib's"),
        (by_pythons_hash(lambda path, salt: (salt, path.name)), "take hashlib's"),
        (by_pythons_hash(lambda path, salt: (path.name + salt, 1)), "take hashlib's"),
        (by_pythons_hash(lambda path, salt: path.name.encode()), "take hashlib's"),
        (lambda pictures, salt: (pictures, pictures[:400]), 'each belongs'),
        (by_label, 'not the label'),
        (lambda pictures, salt: ([path for path, _ in pictures], []), 'as path, label'),
        (nn.Dense(3), 'the function itself'),
        (lambda pictures, salt: pictures, 'two lists'),
    ],
)
def test_2a_another_split(answer, words):
    assert re.search(words, sentence(check, '2a', answer).replace('(', '').replace(')', ''))


def as_lists(pictures, salt):
    return [[[*picture] for picture in part] for part in split_in_one_line(pictures, salt)]


@pytest.mark.parametrize('kind', [list, tuple])
def test_2a_takes_sequences_of_any_kind(kind):
    check('2a', lambda pictures, salt: kind(map(tuple, split_in_one_line(pictures, salt))))
    check('2a', lambda pictures, salt: kind(as_lists(pictures, salt)))


def test_2a_takes_sets_of_paths():
    def split(pictures, salt):
        valid = {path for path, _ in split_in_one_line(pictures, salt)[1]}
        return [picture for picture in pictures if picture[0] not in valid], [(p, i) for p, i in pictures if p in valid]

    check('2a', split)


def salts(*points):
    names = [f'salt {i}' for i in range(len(points))]
    return {name: round(typical('2b', 'on average'), 3) + value / 100 for name, value in zip(names, points)}


def of_salt(table, swapped=0.8):
    """(a split, an accuracy_of) that give the accuracies of the table, and `swapped` for valid before train."""

    def split(pictures, salt):
        return ['train', salt], ['valid', salt]

    def accuracy_of(train, valid):
        return table.get(train[1], 0.5) if train[0] == 'train' else swapped

    return split, accuracy_of


@pytest.mark.parametrize(
    'table, points, words',
    [
        (lambda: salts(-1, 1, 0, 0, 0), 0.02, 'is a share'),
        (lambda: salts(-1, 1, 0, 0, 0), 200, 'per cent of a point'),
        (lambda: salts(-1, 1, 0, 0, 0), 1, 'it is not 1 points'),
        (lambda: salts(-1, 1, 0, 0, 0), float('nan'), '`points` is nan'),
        (lambda: salts(-1, 1, 0, 0, 0), 2 + 0j, 'give a number'),
        (lambda: salts(-1, 1, 0, 0, 0), '2', "`points` is '2'"),
        (lambda: salts(0, 0, 0, 0, 0), 0, 'the same accuracy'),
        (lambda: salts(-1, 1), 2, 'asks for 5'),
        (lambda: salts(-1, 1, 0, 0, float('nan')), 2, 'salt 4 is nan'),
        (lambda: [*salts(-1, 1, 0, 0, 0).values()], 2, 'is a list; make it a dictionary'),
        (lambda: {i: 1 - i / 1000 for i in range(5)}, 0.4, 'more than our runs'),
    ],
)
def test_2b_how_far(table, points, words):
    assert words in sentence(check, '2b', table(), points, *of_salt(table()) if isinstance(table(), dict) else (1, 1))


def test_2b_looks_at_the_splits_themselves():
    table = salts(-1, 1, 0, 0, 0)
    check('2b', table, 2, *of_salt(table))
    check('2b', pd.Series(table), onp.array(2.0), *of_salt(table))
    assert 'which one comes first' in sentence(check, '2b', table, 2, *of_salt(salts(2, 3, 3, 3, 3), table['salt 0']))
    assert 'run the cells from 2a again' in sentence(check, '2b', table, 2, *of_salt(salts(2, 3, 3, 3, 3)))


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
        (lambda: dropouts(0.86, 0.7, 0.6), 0.9, 'says to stop there'),
        (lambda: {p: pair for p, pair in dropouts(0.86, 0.7).items() if p != 0.5}, 0.9, 'go through [0, 0.5'),
        (lambda: dropouts(float('nan'), 0.7), 0.9, 'valid at 0.5 is nan'),
        (dict, 0.9, 'begin with 0'),
    ],
)
def test_2c_dropout(table, p, words):
    assert words in sentence(check, '2c', table(), p)


def test_2c_takes_pairs_of_any_kind():
    check('2c', dropouts(0.86, 0.7), 0.9)
    check('2c', {p: onp.array(pair) for p, pair in dropouts(0.86, 0.7).items()}, 0.9)
    check('2c', {p: [*map(onp.float32, pair)] for p, pair in dropouts(0.86, 0.7).items()}, 0.9)


def layers(make):
    """A head of the layers make(num_classes, batch_norm)."""

    def head(num_classes, batch_norm):
        net = nn.HybridSequential()
        net.add(*make(num_classes, batch_norm))
        return net

    return head


def norms(n):
    return [heads.BatchNorm() for _ in range(n)]


def with_end(*end):
    """A head that is right, and then more layers."""
    return layers(lambda n, bn: [*norms(bn), nn.Dense(1024, activation='relu'), nn.Dense(n), *end])


def nested(n, bn):
    net, inner = nn.HybridSequential(), nn.HybridSequential()
    inner.add(nn.Dense(1024, in_units=512), nn.HybridLambda(lambda F, X: F.npx.relu(X)))
    net.add(*norms(bn), inner, nn.Dense(n, in_units=1024))
    return net


@pytest.mark.parametrize(
    'answer',
    [
        nested,
        layers(lambda n, bn: [*norms(bn), nn.Dense(1024), nn.HybridLambda(lambda F, X: F.npx.relu(X)), nn.Dense(n)]),
        layers(lambda n, bn: [nn.Flatten(), *norms(bn), nn.Dense(1024), nn.LeakyReLU(0), nn.Dense(n)]),
    ],
)
def test_2d_takes_relu_in_every_form(answer):
    check('2d', answer)


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
        (with_end(nn.HybridLambda(lambda F, X: F.npx.softmax(X))), 'there is a softmax at the end'),
        (with_end(nn.HybridLambda(lambda F, X: F.npx.log_softmax(X))), 'there is a softmax at the end'),
        (with_end(nn.Dropout(0.5)), 'there is dropout'),
        (with_end(nn.HybridLambda('relu')), 'nn.Activation takes these'),
        (layers(lambda n, bn: [*norms(bn), nn.Dense(1024, activation='tanh'), nn.Dense(n)]), 'Is its activation ReLU'),
        (layers(lambda n, bn: [*norms(2 * bn), nn.Dense(1024, activation='relu'), nn.Dense(n)]), '2 layers of batch'),
        (
            layers(lambda n, bn: [*norms(bn), nn.Dense(1024, activation='relu'), *norms(bn), nn.Dense(n)]),
            '2 layers of batch norm',
        ),
        (
            layers(lambda n, bn: [*norms(bn), nn.Dense(1024, in_units=40, activation='relu'), nn.Dense(n)]),
            'your head stops with',
        ),
    ],
)
def test_2d_dense_1024(answer, words):
    assert words in sentence(check, '2d', answer)


def draws(*points):
    """A table of twenty draws, whose standard deviation is about so many points."""
    middle = [typical('2e', 'with 5 a class, on average'), 0.75, 0.82, 0.85]
    return {
        n: [middle[i] + points[i] * k / 100 for k in (-1, 1) * 10]
        for i, n in enumerate([5, 20, 80, 160][: len(points)])
    }


def of_draws(train, valid):
    """What draw 0 gives in draws(5, 4, 1, 1)."""
    return draws(5, 4, 1, 1)[len(train) // 2][0]


@pytest.mark.parametrize(
    'table, enough, words',
    [
        (lambda: draws(5, 4, 1), 20, 'not the first under 0.02'),
        (lambda: draws(5, 4), 20, 'go on with more pictures'),
        (lambda: draws(0, 4), 5, 'a draw of its own'),
        (lambda: {5: [0.6] * 3}, 5, 'asks for 20'),
        (lambda: {5: 0.6}, 5, 'give all 20 accuracies'),
        (lambda: {n: values for n, values in draws(5, 4).items() if n != 5}, 20, 'begin with 5'),
        (lambda: {n: values for n, values in draws(5, 4, 1).items() if n != 20}, 80, 'go through [5, 20, 80, 160]'),
        (lambda: {5: [0.95, 0.96] * 10}, 5, 'more than our runs'),
        (lambda: {5: draws(5, 4)[20]}, 5, 'that is what 20 a class give|more than our'),
        (lambda: {5: draws(5, 4)[5][::-1]}, 5, 'are the draws 0 to 19'),
        (lambda: draws(5, 4, 1, 1), 80, 'says to stop there'),
        (lambda: {5: [float('nan')] * 20}, 5, 'is nan'),
    ],
)
def test_2e_few_pictures(table, enough, words):
    assert re.search(words.replace('[', r'\['), sentence(check, '2e', table(), enough, of_draws))


def test_2e_takes_arrays():
    check('2e', draws(5, 4, 1), 80, of_draws)
    check('2e', {n: onp.array(values) for n, values in draws(5, 4, 1).items()}, 80, of_draws)


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
    for block in [*net.features[num_frozen:], net.output]:
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
        (lambda: utils.with_new_head(utils.pretrained(), ['a', 'b']), 'it was not trained'),
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
        (lambda: leads(1, 5), 'never', 'there is a place in your table'),
        (lambda: leads(1, 5), '20', 'is a text'),
        (lambda: leads(1, 1, 1) | {80: leads(1)[10]}, 80, 'so `overtaken` is "never"'),
        (lambda: {'head only': {5: 0.8}, 'fine-tuned': {5: 0.7}}, 5, 'the arms come first'),
        (lambda: {5: [0.8, 0.7]}, 5, 'must be of the form'),
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


def percentiles(low, high, seed=0):
    """The answer to 3c, with other percentiles: a loop of a thousand draws."""

    def limits(right_a, right_b):
        rng, gain = onp.random.default_rng(seed), right_a * 1.0 - right_b
        means = [gain[rng.integers(0, len(gain), len(gain))].mean() for _ in range(1000)]
        return onp.percentile(means, [low, high])

    return limits


@pytest.mark.parametrize(
    'answer, words',
    [
        (percentiles(5, 95), 'above your high'),
        (percentiles(1, 99), 'above your high'),
        (percentiles(1, 94), 'above your high'),
        (lambda a, b: (-0.02, 0.05), 'whatever it is given'),
        (lambda a, b: (float('nan'), 0.1), 'one of your limits is nan'),
        (lambda a, b: len(a) * onp.array(at_once(a, b)), 'these are counts'),
        (lambda a, b: onp.percentile(a * 1.0 - b, [2.5, 97.5]), 'of single pictures'),
        (lambda a, b: at_once(b, a), 'the other way round'),
        (lambda a, b: at_once(a, b)[::-1], 'low is above high'),
        (lambda a, b: 100 * onp.array(at_once(a, b)), 'these are points'),
        (unpaired, 'too wide'),
        (without_replacement, 'nearly the same'),
        (lambda a, b: onp.add(at_once(a, b), 0.05), 'and off'),
        (lambda a, b: at_once(a, b)[:1], 'two numbers'),
        (lambda a, b: a - b, 'stops with TypeError'),
    ],
)
def test_3c_bootstrap(answer, words):
    assert words in sentence(check, '3c', answer)


@pytest.mark.parametrize('seed', range(10))
def test_3c_no_right_answer_is_refused(seed):
    check('3c', lambda a, b: percentiles(2.5, 97.5, seed)(a, b))


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


def frozen_together(source, classes):
    net = utils.with_new_head(source, classes)
    net.features = source.features
    utils.freeze(net, 13)
    return net


def gradients_of(net, num_frozen):
    for block in net.features[:num_frozen]:
        block.collect_params().setattr('grad_req', 'null')


@pytest.mark.slow
@pytest.mark.parametrize(
    'name, answer, words',
    [
        ('3e', as_found('3e'), 'shared and not copied'),
        ('3e', frozen_together, 'shared and not copied'),
        ('3e', deep_copies, 'copy.deepcopy unties'),
        ('3e', lambda source, classes: utils.from_scratch(classes), 'not as in the source'),
        ('3e', lambda source, classes: utils.copied(source), '1000 outputs'),
        ('3f', as_found('3f'), 'not all that learns is called'),
        ('3f', utils.freeze, 'that is utils.freeze'),
        ('3f', lambda net, n: utils.freeze(net, n), 'that is utils.freeze'),
        ('3f', lambda net, n: freeze(net, n - 1), 'still learn, as features.7.'),
        ('3f', lambda net, n: freeze(net, n + 1), 'does not move block 8, which'),
        ('3f', gradients_of, 'in training the frozen blocks'),
        ('3f', lambda net, n: freeze(net, 13), 'does not move block 8, 9'),
        ('3g', as_found('3g'), 'of 101 pictures 100 come back'),
        ('3g', lambda X, y, rng: (X[rng.permutation(len(y))], y[rng.permutation(len(y))]), 'beside their picture'),
        ('3g', lambda X, y, rng: (X, y), 'in the order in which they came'),
        ('3g', lambda X, y, rng: (X[::-1], y[::-1]), 'whatever rng is'),
    ],
)
def test_3efg_mistakes(name, answer, words):
    assert words in sentence(check, name, answer)


def test_3b_may_have_no_answer_and_says_so():
    check('3b', leads(1, 1, 1) | {80: {'head only': 0.9, 'fine-tuned': 0.91}}, 'never')


@pytest.mark.parametrize(
    'points, words', [([1, 3], 'Go on to 80'), ([1, 3, -3], 'does not stay so'), ([1, 3, 3], 'it stays so')]
)
def test_3b_says_how_little_one_seed_says(points, words, capsys):
    check('3b', leads(*points), 20)
    said = capsys.readouterr().out
    assert words in said and 'one seed, and 2 points are 7 of 340 pictures' in said


def test_an_exercise_that_there_is_not_and_an_answer_of_another_form():
    assert 'no exercise' in sentence(check, '9z', 1)
    assert 'another form' in sentence(check, '1a', 5, 'fine-tuned')
    assert 'no answer yet' in sentence(check, '1b', {0.1: 0.8}, None)
