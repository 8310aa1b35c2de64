"""What students touch: what it holds and does; that it can be touched is seen in a browser (tests/extras)."""

import base64
import functools
import io
import json
import re
import threading
from html.parser import HTMLParser

import mended_mxnet

import numpy as onp
import pytest
from helpers import encoded, noise, red_and_blue, sentence, tiny
from nbconvert import HTMLExporter
from nbformat import v4
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import precision_score, recall_score
from sklearn.neighbors import NearestCentroid

import figures
import frozen
import utils
import widgets
from folders import Dataset, Pictures
from pictures import centre_crop, open_picture
from problem import Problem
from widgets import asking, knob, parts, teaching


@pytest.fixture
def displayed(monkeypatch):
    found = []
    monkeypatch.setattr(widgets.game, 'display', lambda data, raw: found.append(data))
    return found


class Elements(HTMLParser):
    """The names of all elements in a piece of HTML, and the text outside of scripts."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], ''
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)

    def handle_data(self, data):
        if self.tags[-1:] != ['script']:
            self.words += data


def facts(text):
    return json.loads(re.search(r'const {classes, pictures} = (.*);', text)[1])


def test_it_holds_the_pictures_as_the_network_sees_them(tmp_path, displayed):
    pictures = red_and_blue(tmp_path, 5)
    widgets.call_them(pictures, 32, onp.array([1, 1, 0, 0, 1]), ['red', 'blue'])
    text = displayed[0]['text/html']
    game = facts(text)
    assert game['classes'] == ['red', 'blue']
    assert [one['is'] for one in game['pictures']] == [label for _, label in pictures]
    assert [one['network'] for one in game['pictures']] == [1, 1, 0, 0, 1]
    for one, (path, _) in zip(game['pictures'], pictures):
        kind, data = one['src'].split(',')
        image = Image.open(io.BytesIO(base64.b64decode(data)))
        seen = onp.asarray(centre_crop(Image.open(path), 32), float)
        assert kind == 'data:image/jpeg;base64' and abs(onp.asarray(image) - seen).mean() < 25  # it is noise, as a JPEG
    assert 'http' not in text.replace(json.dumps(game), '')


def test_without_scripts_it_is_a_sentence(tmp_path, displayed):
    widgets.call_them(red_and_blue(tmp_path, 3), 16, [0, 0, 0], ['red', 'blue'])
    html = Elements(displayed[0]['text/html'])
    assert html.words.strip() == displayed[0]['text/plain'] == '3 pictures to call yourself; run this cell to begin.'
    assert html.tags == ['div', 'p', 'script']


def test_a_class_may_have_any_name(tmp_path, displayed):
    names = ['</script><img src=x>', 'FACTS WORDS "热狗\\']
    widgets.call_them(red_and_blue(tmp_path, 2), 16, [0, 1], names)
    text = displayed[0]['text/html']
    assert facts(text)['classes'] == names and Elements(text).tags == ['div', 'p', 'script']


def test_sixteen_pictures_are_small(displayed):
    import utils

    widgets.call_them(utils.find_data().valid[:16], 128, [0] * 16, ['hotdog', 'not-hotdog'])
    assert len(displayed[0]['text/html']) < 150_000


def test_wrong_answers_are_one_sentence(tmp_path):
    pictures, classes = red_and_blue(tmp_path, 3), ['red', 'blue']
    assert '3 pictures and 2 answers' in sentence(widgets.call_them, pictures, 16, [0, 1], classes)
    for wrong in -1, 2, 0.5, 'red':
        assert 'no class number' in sentence(widgets.call_them, pictures, 16, [0, 1, wrong], classes)
    assert 'no class number' in sentence(widgets.call_them, pictures, 16, [0, 0, 0], ['red'])
    assert 'no pictures' in sentence(widgets.call_them, [], 16, [], classes)
    assert 'px is 0' in sentence(widgets.call_them, pictures, 0, [0, 0, 0], classes)


@pytest.mark.parametrize('num_wrong, expected', [(0, (0, 16)), (3, (3, 13)), (50, (8, 8)), (95, (8, 5))])
def test_half_are_mistakes(num_wrong, expected):
    """Of 100 pictures; fewer where there are not so many."""
    labels = onp.zeros(100, int)
    probabilities = onp.eye(2)[[1] * num_wrong + [0] * (100 - num_wrong)]
    rows = widgets.half_wrong(probabilities, labels)
    wrong = sum(row < num_wrong for row in rows)
    assert (wrong, len(rows) - wrong) == expected and len({*rows}) == len(rows)
    assert (rows == widgets.half_wrong(probabilities, labels)).all() and [*rows] != sorted(rows)


# ---- Work beside the page -------------------------------------------------------------------------------------------


def settled(work):
    """Wait until nothing runs."""
    thread = work.thread
    if thread:
        thread.join(60)
    assert work.thread is None and work.button.disabled


def finished(work, function):
    """The sentence that function() ends with."""
    work.start(function)
    settled(work)
    return re.sub('<.*?>', '', work.said.value)


def test_whatever_work_ends_with_is_a_sentence():
    work = parts.Work()

    def wrong():
        raise Problem('This is wrong; do that.')

    assert finished(work, wrong) == 'This is wrong; do that.'
    assert finished(work, lambda: 1 / 0) == 'ZeroDivisionError: division by zero'
    assert finished(work, lambda: work.say('1 < 2')) == '1 &lt; 2'


def test_work_is_done_in_turn_until_it_is_stopped():
    work, began, done = parts.Work(), threading.Event(), []

    def endless():
        work.expect(10, 'Working ...')
        while True:
            began.set()
            work.tick()

    work.start(lambda: done.append('first'))
    work.start(endless)
    work.start(lambda: done.append('never'))
    assert began.wait(60) and not work.button.disabled and work.bar.layout.display is None
    work.button.click()
    settled(work)
    assert 'Stopped.' in work.said.value and work.button.disabled and work.bar.layout.display == 'none'
    assert done == ['first'] and finished(work, lambda: work.say('again')) == 'again'


def test_work_ends_when_its_time_is_up():
    work = parts.Work()
    work.until = 0
    assert finished(work, work.tick) == 'The time is up.'


def test_a_file_that_is_no_picture_is_a_sentence_and_the_others_count():
    work, found = parts.Work(), []

    def read(name, data):
        found.append((name, parts.opened(name, data, 32).size))

    files = [('notes.jpg', b'hello'), ('a.png', encoded('png')), ('', b''), ('b.jpeg', encoded('jpeg'))]
    said = finished(work, lambda: work.each(files, read, 'Reading ...'))
    assert found == [('a.png', (40, 40)), ('b.jpeg', (40, 40))]
    assert said.startswith('notes.jpg can&#x27;t be read as a picture') and '/tmp' not in said


def test_an_upload_is_upright_and_is_turned_once(tmp_path):
    """By EXIF's orientation 6, a quarter turn: as from its path."""
    turned = Image.Exif()
    turned[0x0112] = 6
    path = tmp_path / 'photo.jpg'
    noise(64, 48).save(path, exif=turned)
    expected = onp.asarray(open_picture(path, 16))
    image = parts.opened('photo.jpg', path.read_bytes(), 16)
    assert expected.shape == (64, 48, 3) and (onp.asarray(image) == expected).all()
    assert (onp.asarray(open_picture(image, 16)) == expected).all()


# ---- Where no kernel answers ----------------------------------------------------------------------------------------


def test_a_page_without_a_kernel_has_a_sentence(monkeypatch, tmp_path):
    cells = []
    monkeypatch.setattr(parts, 'display', lambda data, raw: cells.append(v4.new_output('display_data', data)))
    widgets.threshold(onp.eye(2), [0, 1], ['a', 'b'])
    notebook = v4.new_notebook(cells=[v4.new_code_cell('widgets.threshold(...)', outputs=cells)])
    html, _ = HTMLExporter().from_notebook_node(notebook)
    assert html.count('How sure it must be: no kernel answers here.') == 1
    assert 'VBox(' not in html and 'widget-view' not in html
    assert all('VBox(' not in output.data['text/plain'] for output in cells)


# ---- The knob -------------------------------------------------------------------------------------------------------


@pytest.fixture
def pictures_of_two(tmp_path):
    """A Dataset of reddish and bluish noise."""
    for split in 'train', 'valid':
        (tmp_path / split).mkdir()
    some = [Pictures(red_and_blue(tmp_path / split), ['red', 'blue']) for split in ('train', 'valid')]
    return Dataset(['red', 'blue'], *some, some[1])


@pytest.fixture
def turned(pictures_of_two, cache, monkeypatch):
    """The knob of a tiny network."""
    monkeypatch.setattr(knob, 'pretrained', lambda name: tiny(['a', 'b', 'c']))
    monkeypatch.setattr(knob, 'target_of', lambda name, classes: tiny(classes))
    page = knob.Knob(pictures_of_two, 32, ['tiny'], None, 60)
    page.num_epochs.value = 2
    return page


def chosen_run(page, cut):
    page.cut.value = cut
    said = finished(page.work, page.asked())
    return said, page.runs[-1]


@pytest.mark.parametrize('number', [0, 3, 7])
def test_a_run_is_an_ordinary_training_of_what_is_above_the_cut(turned, pictures_of_two, number):
    cut = frozen.blocks(tiny())[number]
    said, run = chosen_run(turned, cut)
    source = tiny(['a', 'b', 'c'])
    utils.seed_everything(0)
    below, above = frozen.cut(utils.with_new_head(source, ['red', 'blue']), cut)
    train_iter = below.batches(pictures_of_two.train, 32, 32, train=True)
    history = utils.train(above, train_iter, below.batches(pictures_of_two.valid, 32, 100), 2, 0.03)
    assert run.valid == [*onp.maximum.accumulate(history.valid)] and said.startswith('Epoch 2 of 2')
    assert 0 < run.seconds[0] < run.seconds[1] <= run.spent


def test_a_run_is_of_what_was_chosen_when_it_was_asked_for(turned):
    ask = turned.asked()
    turned.lr.value = knob.RATES[-1]
    finished(turned.work, ask)
    assert turned.runs[-1].lr == 0.03


def test_a_cut_that_the_source_has_not_is_one_sentence(turned):
    said = finished(turned.work, functools.partial(turned.run, 'tiny', 'stage9', 0.03, 2, ''))
    assert 'other places' in said and not turned.runs


def test_a_stopped_run_keeps_what_it_reached(turned, monkeypatch):
    turned.num_epochs.value = 30
    monkeypatch.setattr(turned.work, 'say', lambda text: turned.work.stop() if 'Epoch 3' in text else None)
    turned.work.start(turned.asked())
    settled(turned.work)
    (run,) = turned.runs
    assert len(run.valid) == len(run.seconds) == 3 and '3 of 30' in turned.table.value


def test_the_frozen_part_can_be_stopped_and_nothing_half_is_kept(turned, cache, monkeypatch):
    monkeypatch.setattr(turned.work, 'expect', lambda total, text: turned.work.stop())
    said, run = chosen_run(turned, 'output')
    assert said == 'Stopped.' and run.valid == [] and run.spent > 0 and not [*cache.glob('*')]
    assert '0 of 2' in turned.table.value


def test_a_guess_is_a_number_of_100(turned):
    turned.guess.value = 'many'
    assert 'is no guess' in finished(turned.work, turned.asked()) and not turned.runs
    turned.guess.value = '101'
    assert 'is no guess' in finished(turned.work, turned.asked())
    turned.guess.value = ' 90 '
    assert chosen_run(turned, 'output')[1].guess == 90
    assert knob.guess_of('') is None and knob.guess_of('0') == 0


def runs_of(*facts):
    """Runs of (seconds of the epochs, valid, spent)."""
    return [knob.Run('tiny', 'output', 0.1, 5, None, *some) for some in facts]


def test_the_teacher_is_beaten_within_the_budget_of_all_runs():
    first, second = ([1.0, 2.0], [0.7, 0.8], 3.0), ([4.0, 6.0], [0.8, 0.9], 6.5)
    assert knob.left(runs_of(), 60) == 60 and knob.left(runs_of(first, second), 60) == 50.5
    assert knob.left(runs_of(first, second), 5) == 0
    assert knob.reached(runs_of(first, second), 0.9, 60) == knob.reached(runs_of(first, second), 0.9, 9) == 9
    assert knob.reached(runs_of(first, second), 0.9, 8.9) is None
    assert knob.reached(runs_of(first, second), 0.8, 60) == 2
    assert 'You did, after 9.0 seconds' in knob.verdict(runs_of(first, second), 0.9, 60)
    assert '57.0 seconds left' in knob.verdict(runs_of(first), 0.9, 60)
    assert 'used up, and your best is 0.800' in knob.verdict(runs_of(first), 0.9, 3)


def test_without_seconds_nothing_runs_until_one_begins_anew(turned):
    turned.target, turned.runs = 0.9, runs_of(([], [], 60.0))
    assert 'used up' in finished(turned.work, turned.asked()) and len(turned.runs) == 1
    turned.again.click()
    settled(turned.work)
    assert turned.runs == [] and '60.0 seconds left' in turned.teacher.value


def test_the_points_and_the_guess_are_where_they_belong():
    run = knob.Run('resnet18_v2', 'stage3', 0.1, 2, 85, [1.0, 2.5], [0.7, 0.8], 3.0)
    (ax,) = knob.plot_runs([run], target=0.9).axes
    points = [[*zip(*line.get_data())] for line in ax.lines]
    assert points == [[(1.0, 0.7), (2.5, 0.8)], [(2.5, 0.8)], [(2.5, 0.85)], [(0, 0.9), (1, 0.9)]]
    assert knob.words_of([run]) == 'Accuracy on valid against seconds. run 1, cut at stage3: 0.800 after 2.5 seconds.'


# ---- Teaching -------------------------------------------------------------------------------------------------------


@pytest.fixture
def features():
    """Features [30, 6] of three classes, and class numbers."""
    rng, y = onp.random.default_rng(0), onp.arange(30) % 3
    return 3 * onp.eye(3, 6)[y] + rng.normal(size=(30, 6)), y


def probabilities_of(weight, bias, X):
    scores = X @ weight.T + bias
    odds = onp.exp(scores - scores.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def test_class_averages_call_what_the_nearest_one_is(features):
    X, y = features
    others = onp.random.default_rng(1).normal(size=(200, 6)) + 1
    p = probabilities_of(*teaching.class_averages(X, y), others)
    nearest = NearestCentroid().fit(X, y)
    assert (p.argmax(1) == nearest.predict(others)).all()
    squared = ((others[:, None] - nearest.centroids_) ** 2).sum(2)
    spread = ((X - nearest.centroids_[y]) ** 2).sum() / 27  # 30 pictures around 3 averages of their own
    expected = teaching.SHARP * (squared[:, 1] - squared[:, 0]) / spread
    assert onp.log(p[:, 0] / p[:, 1]) == pytest.approx(expected)


def test_class_averages_of_single_pictures_are_numbers(features):
    X, y = features
    for some in X[:3], onp.ones((3, 6)):
        p = probabilities_of(*teaching.class_averages(some, y[:3]), some)
        assert onp.isfinite(p).all() and p.sum(1) == pytest.approx(1)
    assert (probabilities_of(*teaching.class_averages(X[:3], y[:3]), X[:3]).argmax(1) == y[:3]).all()


@pytest.mark.parametrize('num_classes', [2, 3])
def test_the_fitted_head_is_logistic_regression(features, num_classes):
    X, y = features
    X, y = X[y < num_classes], y[y < num_classes]
    scaled = X / onp.sqrt(X.var(0).sum())  # where the origin lies is the bias's to say
    model = LogisticRegression(C=teaching.C, max_iter=1000, tol=1e-8).fit(scaled, y)
    assert probabilities_of(*teaching.fitted(X, y), X) == pytest.approx(model.predict_proba(scaled), abs=1e-3)


@pytest.fixture
def lesson(tmp_path):
    """A page on which a tiny network was taught two reddish and two bluish pictures."""
    page = teaching.Teaching(tiny(['a', 'b', 'c']), 32, None)
    files = [(path.name, path.read_bytes()) for path, _ in red_and_blue(tmp_path)]
    for i, name in enumerate(['red', 'blue']):
        page.rows[i].name.value = name
        settled(page.work)
        finished(page.work, lambda i=i: page.rows[i].add_all(files[i : 4 + i : 2]))
    return page, files


@pytest.mark.parametrize('head', teaching.HEADS)
def test_what_was_taught_is_told_apart(lesson, head):
    page, files = lesson
    net = page.lesson.network(head)
    assert net.classes == ['red', 'blue']
    for i, file in enumerate(files[4:]):
        example = page.lesson.seen(*file)
        p = teaching.sure(net, example)
        assert max(p, key=p.get) == net.classes[i % 2]
        assert p == pytest.approx(utils.predict(net, parts.opened(*file, 32), 32), abs=1e-5)


def test_the_last_question_is_answered_anew_after_each_change(lesson):
    page, files = lesson
    page.ask(files[4:5])
    settled(page.work)
    first = page.answer.value
    assert 'It knows 2 classes from 4 pictures' in page.state.value and first.count('<img') == 2
    page.rows[0].examples.children[0].children[1].click()
    settled(page.work)
    assert 'from 3 pictures' in page.state.value and page.answer.value not in ('', first)
    assert [len(row.examples.children) for row in page.rows] == [1, 2]
    page.rows[1].name.value = 'red'
    assert 'different names' in finished(page.work, page.show) + page.state.value and page.answer.value == ''
    finished(page.work, lambda: page.remove_class(page.rows[1]))
    assert 'two classes at least' in page.state.value and len(page.classes.children) == 1


def test_pictures_of_the_data_set_take_the_empty_rows(pictures_of_two):
    page = teaching.Teaching(tiny(['a', 'b', 'c']), 32, pictures_of_two)
    finished(page.work, page.take)
    assert [row.of_class.name for row in page.rows] == ['red', 'blue']
    assert [len(row.of_class.examples) for row in page.rows] == [teaching.FEW] * 2
    assert 'from 10 pictures' in page.state.value
    for row in page.rows:
        assert len({example.name for example in row.of_class.examples}) == teaching.FEW


def test_a_question_about_valid_that_went_away_is_one_sentence(tmp_path):
    path, _ = red_and_blue(tmp_path, 1)[0]
    there = Pictures([(path, 0)], ['red', 'blue'])
    page = teaching.Teaching(tiny(['a', 'b', 'c']), 32, Dataset(there.classes, there, there, there))
    path.unlink()
    assert str(path) in finished(page.work, page.ask_of_valid)


# ---- Asking, and the threshold --------------------------------------------------------------------------------------


def test_an_answer_is_what_predict_says(tmp_path):
    (path, _), *_ = red_and_blue(tmp_path)
    net = tiny(['<b>', 'blue'])
    page = asking.Asking(net, 32)
    page.receive([('notes.txt', b'hello'), (path.name, path.read_bytes())])
    settled(page.work)
    assert 'notes.txt can' in page.work.said.value
    html = Elements(page.answers.children[0].value)
    for name, p in utils.predict(net, path, 32).items():
        assert name in html.words and f'{p:.2f}' in html.words
    assert html.tags.count('img') == 2 and figures.has_maps(net)


def test_a_network_without_maps_answers_without_them(tmp_path):
    (path, _), *_ = red_and_blue(tmp_path)
    net = frozen.with_head(tiny(), ['red', 'blue'], 'dense256')
    utils.predict(net, path, 32)
    assert asking.answer(net, 32, path.name, path.read_bytes()).count('<img') == 1


def test_the_threshold_counts_as_scikit_learn_does():
    rng = onp.random.default_rng(0)
    p, labels = rng.dirichlet([1, 1, 1], 200), rng.integers(0, 3, 200)
    for least in 0, 0.3, p[0, 1], 0.9:  # who has just that much is called it
        is_it, called = labels == 1, p[:, 1] >= least
        matrix = asking.counts(p, labels, 1, least)
        words = asking.in_words(matrix, 'b')
        assert matrix.sum() == 200 and words.startswith(f'{called.sum()} of 200 are called b, ')
        assert f'{precision_score(is_it, called):.3f} of them are (precision)' in words
        assert f'{recall_score(is_it, called):.3f} of those that are b are found (recall)' in words
        assert f'{(is_it == called).mean():.3f} are called right' in words
    assert 'so none is wrong' in asking.in_words(asking.counts(p, labels, 1, 1.1), 'b')
    assert 'shape (3, 2)' in sentence(widgets.threshold, onp.ones((3, 2)), [0, 1], ['a', 'b'])


def test_the_slider_moves_the_matrix():
    page = asking.Threshold(onp.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]), onp.array([0, 1, 1]), ['a', 'b'])
    assert '2 of 3 are called a' in page.said.value
    page.least.value = 0.7
    assert '1 of 3 are called a' in page.said.value and '1 of 3 are called a' in page.figure.value
    page.name.value = 'b'
    assert '1 of 3 are called b' in page.said.value


def test_wrong_settings_are_one_sentence(pictures_of_two):
    assert 'no network "resnet"' in sentence(widgets.turn_the_knob, pictures_of_two, 32, ['resnet'])
    assert 'target is' in sentence(widgets.turn_the_knob, pictures_of_two, 32, target='high')
    assert 'px is 0' in sentence(widgets.teach, tiny(), 0)
    assert 'no data set' in sentence(widgets.teach, tiny(), 32, 'kitchen')
    assert 'no data set' in sentence(widgets.turn_the_knob, 'kitchen', 32)
    assert 'no network' in sentence(widgets.ask, None, 32)
