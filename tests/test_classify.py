"""make classifier and make label: what is asked for, what they write, keep and say; and the report's tables."""

import base64
import io
import json
import os
import re
import signal
import subprocess
import time

import mended_mxnet

import numpy as onp
import onnxruntime
import pandas as pd
import psutil
import pytest
from helpers import contents, red_and_blue, sentence, tiny
from PIL import Image

import classifier
import files
import report
import sources
import utils
from commands import classify, label
from folders import Dataset, Pictures
from pictures import open_picture

FILES = ['classifier.onnx', 'classifier.safetensors', 'labels.txt', 'predict.py', 'report.html']


@pytest.fixture(autouse=True)
def environment(cache, tmp_path, monkeypatch):
    """As if nothing was asked for, with a build/ of its own, and a tiny network in the place of large ones."""
    for name in 'DATA', 'MINUTES', 'OUT', 'AGAIN', 'CLASSIFIER', 'COPY', 'DISPLAY', 'WAYLAND_DISPLAY':
        monkeypatch.delenv(name, raising=False)
    for module in classify, label:
        monkeypatch.setattr(module, 'BUILD', tmp_path / 'build')
    monkeypatch.setattr(classifier, 'SOURCE', 'tiny')
    monkeypatch.setitem(sources.NETWORKS, 'tiny', sources.NETWORKS['tiny']._replace(usual_px=32))
    monkeypatch.setattr(utils, 'pretrained', lambda name: tiny([*'abcd']))


@pytest.fixture
def colours(tmp_path):
    """A folder of reddish and bluish pictures; one class has a name that is HTML."""
    (tmp_path / 'pictures').mkdir()
    for path, i in red_and_blue(tmp_path / 'pictures', 40):
        folder = tmp_path / 'colours' / ['<b>red', 'blue'][i]
        folder.mkdir(parents=True, exist_ok=True)
        path.rename(folder / path.name)
    return tmp_path / 'colours'


def made(data):
    """The folder that the command leaves."""
    return classify.BUILD / f'classifier-{files.label_of(data)}'


@pytest.mark.parametrize('name', ["it's", 'a"b', '$HOME', '$(shell id)', 'a#b', 'back\\', '热狗', 'a\nb', '-x'])
def test_make_hands_on_any_name_as_it_is(tmp_path, name):
    told = tmp_path / 'told'
    told.write_text('#!/bin/sh\nprintf %s "$*|$MINUTES|$AGAIN|$CLASSIFIER|$DATA|$OUT|$COPY"\n')
    told.chmod(0o755)
    given = dict.fromkeys(('CLASSIFIER', 'DATA', 'OUT', 'COPY'), name) | {'MINUTES': '10', 'AGAIN': '1'}
    for target, module in ('classifier', 'classify'), ('label', 'label'):
        command = ['make', '-s', '-o', '.venv/installed', f'IN={told}', target]
        command += [f'{variable}={value}' for variable, value in given.items()]
        ran = subprocess.run(command, cwd=files.ROOT, capture_output=True, text=True, check=True)
        assert ran.stdout == f'-m commands.{module}|10|1|{name}|{name}|{name}|{name}'


@pytest.mark.parametrize('words', ['SEEDS=0 1 2', 'DATA= folder', 'NAMES=vgg16 inception_v3'])
def test_quotes_that_were_forgotten_are_one_sentence_before_anything_runs(words):
    command = ['make', '-s', '-o', '.venv/installed', 'IN=false', 'lesson', *words.split()]
    ran = subprocess.run(command, cwd=files.ROOT, capture_output=True, text=True)
    assert ran.returncode and f'There is no "{words.split(maxsplit=1)[1]}" to make; put in quotes' in ran.stderr


def test_no_pictures_are_labelled_unless_some_are_given(tmp_path):
    told = tmp_path / 'told'
    told.write_text('#!/bin/sh\nprintf %s "$DATA"\n')
    told.chmod(0o755)
    for target, data in ('label', ''), ('classifier', 'kitchen'):
        command = ['make', '-s', '-o', '.venv/installed', f'IN={told}', target]
        environment = {name: value for name, value in os.environ.items() if name != 'DATA'}
        assert subprocess.run(command, cwd=files.ROOT, env=environment, capture_output=True, text=True).stdout == data


# ---- make classifier ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('minutes', ['a', '-1', 'nan', 'inf', '1e99', '1,5'])
def test_minutes_that_are_none_are_one_sentence(monkeypatch, minutes):
    monkeypatch.setenv('MINUTES', minutes)
    assert sentence(classify.main).startswith(f"MINUTES is '{minutes}'")


def of_sizes(train, valid, test, num_classes=2):
    classes = [str(i) for i in range(num_classes)]
    return Dataset(classes, *(Pictures([('x.png', 0)] * n, classes) for n in (train, valid, test)))


def test_how_long_it_takes_counts_every_part():
    """Fitting grows with pictures and classes; the report shows some mistakes, however large test is."""
    few = classify.foretold(of_sizes(50, 120, 10), 0)
    assert classify.foretold(of_sizes(50, 120, 14), 0) - few == pytest.approx(4 * classify.SHOW)
    many = classify.foretold(of_sizes(50, 120, report.MOST), 0)
    assert many == classify.foretold(of_sizes(50, 120, 1000), 0) > few > 0
    assert classify.foretold(of_sizes(50, 120, 10, 6), 0) - few == pytest.approx(4 * 170 * classify.FIT)
    assert classify.foretold(of_sizes(50, 120, 10), 0.5) - few == pytest.approx(0.5 * 180)
    folded = classify.foretold(of_sizes(120, 50, 10), 0)
    assert folded - few == pytest.approx(4 * 170 * 2 * classify.FIT)


def test_what_comes_is_said_with_what_was_so_far(monkeypatch, capsys):
    monkeypatch.setattr(classifier, 'pace', lambda source, pictures: 1.0)
    monkeypatch.setattr(psutil.Process, 'create_time', lambda self: time.time() - 3600)
    classify.say_what_comes('dogs', of_sizes(200, 50, 50), 10)
    said = capsys.readouterr().out
    counts = '2 classes, 200 for train, 50 for valid, 50 for test'
    assert said.startswith(f'dogs: {counts}: about 65 min in all, and up to 10 min')
    classify.say_what_comes('digits', of_sizes(7000, 1000, 50, 10), 0)
    assert 'hard to tell' not in capsys.readouterr().out
    classify.say_what_comes('digits', of_sizes(7001, 1000, 50, 10), 0)
    assert ' min in all, more if the classes are hard to tell apart, less if the' in capsys.readouterr().out


@pytest.mark.slow
def test_what_it_leaves(colours, capsys, monkeypatch):
    before = contents(colours)
    classify.main(str(colours))
    folder = made(colours)
    assert sorted(path.name for path in folder.iterdir()) == FILES and contents(colours) == before
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith('colours: 2 classes, ') and 'for test: about' in said[0]
    assert said[1].startswith('tiny, head: ') and said[-1].startswith(f'The classifier is in {folder}')
    assert (folder / 'labels.txt').read_text() == '<b>red\nblue\n'

    net = utils.load(folder / 'classifier.safetensors')
    session = onnxruntime.InferenceSession(folder / 'classifier.onnx')
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts['classes']) == net.classes == ['<b>red', 'blue']
    assert facts['data'] == files.label_of(colours)
    for path in sorted(colours.glob('*/*.png'))[::8]:
        (p,) = session.run(None, {'picture': onp.asarray(open_picture(path, 32))})
        expected = utils.predict(net, path)
        assert p.tolist() == pytest.approx([expected[name] for name in net.classes], abs=1e-3)


@pytest.mark.slow
def test_nothing_is_replaced_unless_asked(colours, tmp_path, monkeypatch, capsys):
    classify.main(str(colours))
    folder = made(colours)
    before = contents(folder)
    assert sentence(classify.main, str(colours)).endswith('add AGAIN=1 to replace it, or give another: OUT=folder.')
    assert contents(folder) == before

    monkeypatch.setenv('AGAIN', '1')
    classify.main(str(colours))
    older = folder.with_name(f'{folder.name}.previous')
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert {path.name: bytes for path, (bytes, _) in contents(older).items()} == {
        path.name: bytes for path, (bytes, _) in before.items()
    }
    assert f'{folder.name} was there already' in capsys.readouterr().out

    monkeypatch.setenv('OUT', str(folder))
    other = tmp_path / 'others'
    colours.rename(other)
    assert f'is the classifier of {files.label_of(colours)}' in sentence(classify.main, str(other))
    monkeypatch.setenv('OUT', str(other))
    assert 'is there already and is not a classifier' in sentence(classify.main, str(other))


def test_a_folder_that_cannot_be_is_one_sentence_before_the_work(colours, monkeypatch, tmp_path):
    monkeypatch.setattr(utils, 'find_data', None)  # it does not come so far
    (tmp_path / 'file').write_text('a file where the folder should be')
    monkeypatch.setenv('OUT', str(tmp_path / 'file' / 'x'))
    assert 'could not be written' in sentence(classify.main, str(colours))


def test_what_leaves_is_as_sure_as_it_is_right(colours):
    search, T = classify.trained(utils.find_data(colours), 0)
    hard = classifier.Search(search.task).best.net.output
    assert abs(T - 1) > 0.01
    for soft, param in zip(search.best.net.output.collect_params().values(), hard.collect_params().values()):
        assert soft.data().asnumpy() * T == pytest.approx(param.data().asnumpy(), rel=1e-4, abs=1e-6)


def test_minutes_are_minutes_and_ctrl_c_keeps_the_best(colours, monkeypatch, capsys):
    left = []

    def go_on(search, deadline):
        left.append(deadline - time.time())
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(10)

    monkeypatch.setattr(classifier.Search, 'go_on', go_on)
    monkeypatch.setenv('MINUTES', '10')
    classify.main(str(colours))
    assert 500 < left[0] <= 600
    assert 'Stopped; the best so far is kept.' in capsys.readouterr().out
    assert sorted(path.name for path in made(colours).iterdir()) == FILES


def test_a_link_is_where_it_leads_and_a_disk_is_not_replaced(colours, monkeypatch, tmp_path):
    (tmp_path / 'large').mkdir()
    (tmp_path / 'link').symlink_to('large')
    monkeypatch.setenv('OUT', str(tmp_path / 'link'))
    assert classify.asked_folder(str(colours)) == tmp_path / 'large'
    monkeypatch.setattr(classify.os.path, 'ismount', lambda path: path == tmp_path / 'large')
    assert f'give a folder in it: OUT={tmp_path / "large"}' in sentence(classify.main, str(colours))


# ---- The report -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_report_needs_no_network_and_no_name_is_html(colours):
    classify.main(str(colours))
    page = (made(colours) / 'report.html').read_text()
    assert {*re.findall(r'(?:src|href)="(.{5})', page)} == {'data:'} and 'url(' not in page and '@import' not in page
    assert '<b>red' not in page and '&lt;b&gt;red' in page and page.rstrip().endswith('</html>')
    assert '<h1>Classifier of colours</h1>' in page


@pytest.mark.slow
def test_a_picture_that_goes_away_costs_the_report_and_not_the_classifier(colours, monkeypatch, capsys):
    page = report.page

    def late(*given):
        for path in colours.glob('*/*.png'):
            path.unlink()
        return page(*given)

    monkeypatch.setattr(report, 'page', late)
    classify.main(str(colours))
    assert sorted(path.name for path in made(colours).iterdir()) == FILES
    assert 'There is no report: ' in (made(colours) / 'report.html').read_text()
    assert 'There is no report: ' in capsys.readouterr().out


@pytest.mark.slow
def test_the_report_is_as_sure_of_labels_as_it_is_right(colours, monkeypatch):
    asked = []
    monkeypatch.setattr(report, 'doubtful', lambda *given: asked.append(given) or (0, []))
    classify.main(str(colours))
    ((pictures, log_p, _, px),) = asked
    assert log_p.shape == (len(pictures), 2) and px == 32
    labels = onp.array([label for _, label in pictures])
    assert classifier.temperature(log_p, labels) == pytest.approx(1, rel=0.01)
    page = (made(colours) / 'report.html').read_text()
    assert f'0 of the {len(pictures)} pictures of train and valid are called' in page


LOG_P = onp.log([[0.9, 0.1], [0.8, 0.2], [0.45, 0.55], [0.7, 0.3], [0.04, 0.96]])
LABELS = onp.array([0, 0, 0, 0, 1])


def test_how_good():
    row = report.how_good({'test': (LOG_P, LABELS)}).iloc[0]
    assert (row['judged on'], row.pictures, row.right) == ('test', 5, 0.8)
    assert row['95 %'] == '{:.3f} to {:.3f}'.format(*utils.interval(0.8, 5))
    assert row['balanced: mean of the classes'] == pytest.approx((3 / 4 + 1) / 2)
    assert row['if all were called the largest class'] == 0.8
    even = report.how_good({'test': (LOG_P[2:], onp.array([0, 0, 1]))})
    assert [*even.columns] == ['judged on', 'pictures', 'right', '95 %']


def test_by_class():
    """What is never named is not wrong where it is named."""
    pictures = Pictures([(None, label) for label in LABELS], ['a', 'b'])
    dataset = Dataset(pictures.classes, pictures[1:], pictures[4:], pictures)
    table = report.by_class(dataset, LOG_P[[0, 1, 3, 3, 3]], LABELS)
    assert table['class'].tolist() == ['b', 'a'] and table.found.tolist() == [0, 1]
    assert pd.isna(table['right where named'].iloc[0]) and table['right where named'].iloc[1] == 0.8
    assert table[['train', 'valid', 'test']].values.tolist() == [[1, 1, 1], [3, 0, 4]]


def test_where_it_looks_counts_what_it_says_of_any_picture(tmp_path):
    """A network that has no other reason than its bias looks everywhere, and not nowhere."""
    Image.new('RGB', (40, 40), 'red').save(tmp_path / 'red.png')
    net = tiny(['a', 'b'])
    net.output.weight.set_data(net.output.weight.data() * 0)
    net.output.bias.set_data(utils.np.array([3.0, 0.0]))
    pictures = Pictures([(tmp_path / 'red.png', 1)], net.classes)
    count, ((_, where, words),) = report.mistakes(net, 32, pictures, LOG_P[:1], onp.array([1]))
    assert count == 1 and words.startswith('called a 0.90, is b: ')
    data = re.search('base64,([^"]+)"', where)[1]
    assert Image.open(io.BytesIO(base64.b64decode(data))).getpixel((75, 75))[0] > 240


def test_confusions_and_what_may_be_left_to_it():
    log_p = onp.log(onp.eye(3)[[0, 1, 1, 1, 2, 0]] + 1e-9)
    table = report.confusions(log_p, onp.array([0, 0, 0, 1, 1, 2]), ['a', 'b', 'c'])
    assert table.to_dict('list') == {'is': ['a', 'b', 'c'], 'called': ['b', 'c', 'a'], 'pictures': [2, 1, 1]}
    left = report.left_to_it(LOG_P, LABELS).set_index('at least so sure')
    assert left['share of pictures'].tolist() == [1, 0.6, 0.4, 0.2, 0]
    unsure = report.html(report.left_to_it(onp.log(onp.full((2, 3), 1 / 3)), onp.array([0, 1])))
    assert 'None' not in unsure and unsure.count('<td></td>') == 5
    assert left['of these right'].tolist()[:4] == [0.8, 1, 1, 1] and pd.isna(left['of these right'][0.99])


# ---- make label -----------------------------------------------------------------------------------------------------


@pytest.fixture
def unsorted(tmp_path, monkeypatch):
    """A folder of pictures that nobody has sorted, two of one name, and a classifier."""
    folder = tmp_path / 'unsorted'
    (folder / 'more').mkdir(parents=True)
    for i, path in enumerate(('a.png', 'b.png', 'more/a.png')):
        Image.new('RGB', (40, 40), (100 * i, 50, 200 - 100 * i)).save(folder / path)
    (folder / 'notes.txt').write_text('no picture')
    (tmp_path / 'it').mkdir()
    utils.save(tiny(['red', 'blue']), tmp_path / 'it' / 'classifier.safetensors', 32)
    monkeypatch.setenv('CLASSIFIER', str(tmp_path / 'it'))
    monkeypatch.setenv('DATA', str(folder))
    return folder


def test_a_table_with_the_unsure_first(unsorted, tmp_path, capsys):
    before = contents(tmp_path)
    label.main()
    path = label.BUILD / f'labels-{files.label_of(unsorted)}.csv'
    table = pd.read_csv(path)
    net = utils.load(tmp_path / 'it' / 'classifier.safetensors')
    names = 'a.png', 'b.png', 'more/a.png'
    expected = {name: next(iter(utils.predict(net, unsorted / name).items())) for name in names}
    assert [*table.columns] == ['file', 'class', 'confidence'] and table.confidence.is_monotonic_increasing
    for row in table.itertuples():
        name, p = expected.pop(row.file)
        assert (row[2], row.confidence) == (name, pytest.approx(p, abs=1e-3))
    assert not expected and 'notes.txt' in capsys.readouterr().out
    after = contents(tmp_path)
    assert before.items() <= after.items() and not (tmp_path / 'sorted').exists()


def test_copies_overwrite_nothing_and_are_made_once(unsorted, tmp_path, monkeypatch):
    to = tmp_path / 'sorted'
    for name in 'red', 'blue':
        (to / name).mkdir(parents=True)
        (to / name / 'b.png').write_text('of somebody else')
    before = contents(tmp_path)
    monkeypatch.setenv('COPY', str(to))
    label.main()
    after = contents(tmp_path)
    assert before.items() <= after.items()
    copies = sorted(bytes for path, (bytes, _) in after.items() if path.suffix == '.png' and path.parent.parent == to)
    originals = [path.read_bytes() for path in unsorted.rglob('*.png')]
    assert copies == sorted([*originals, b'of somebody else', b'of somebody else'])
    label.main()
    assert set(contents(to)) == {path for path in after if path.is_relative_to(to)}


@pytest.mark.parametrize(
    'name, place, what',
    [('COPY', '', 'give another: COPY='), ('COPY', 'a/b', 'give another: COPY='), ('OUT', 'x.jpg', 'ends in .csv')],
)
def test_what_is_written_never_spoils_the_pictures(unsorted, monkeypatch, name, place, what):
    monkeypatch.setenv(name, str(unsorted / place))
    assert what in sentence(label.main)


def test_a_classifier_is_not_written_among_its_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv('OUT', str(tmp_path / 'pictures' / 'result'))
    assert 'in the folder of the pictures' in sentence(classify.asked_folder, str(tmp_path / 'pictures'))
    monkeypatch.setenv('OUT', str(files.WITH_A_NAME['kitchen'] / 'train' / 'mine'))
    assert 'in the folder of the pictures' in sentence(classify.asked_folder, 'kitchen')


def test_copies_of_a_class_with_the_name_of_the_folder_would_be_labelled_next_time(unsorted, monkeypatch):
    monkeypatch.setenv('COPY', str(unsorted.parent))
    assert 'labelled next time' in sentence(label.asked_places, unsorted, ['other', unsorted.name])
    assert label.asked_places(unsorted, ['other'])[1] == unsorted.parent


@pytest.mark.parametrize('name', ['../../x', '/home/x', '..', ''])
def test_no_class_leads_out_of_the_folder_of_copies(unsorted, tmp_path, monkeypatch, name):
    monkeypatch.setenv('COPY', str(tmp_path / 'sorted'))
    assert 'no folder can have' in sentence(label.asked_places, unsorted, ['other', name])


def test_what_label_leaves_out_is_named(unsorted, capsys):
    (unsorted / 'empty').mkdir()
    (unsorted / '.hidden.png').write_bytes(b'')
    label.unsorted_pictures(unsorted)
    said = capsys.readouterr().out
    assert said.startswith(f'2 not used in {unsorted}, ') and '.hidden.png' in said and 'empty' in said


@pytest.mark.parametrize('name', ['热' * 85, 'a' * 255, 'caf\udce9'])
def test_any_folder_has_a_label_that_a_file_can_have(name):
    label_of = files.label_of(f'/x/{name}')
    assert len(f'classifier-{label_of}.previous123.partial'.encode()) < 200
    assert label_of != files.label_of(f'/y/{name}')


def test_what_can_not_be_labelled_is_one_sentence(unsorted, tmp_path, monkeypatch):
    monkeypatch.setenv('DATA', str(tmp_path / 'nowhere'))
    assert sentence(label.main).startswith(f'There is no folder {tmp_path}/nowhere')
    (tmp_path / 'empty').mkdir()
    monkeypatch.setenv('DATA', str(tmp_path / 'empty'))
    assert sentence(label.main).startswith('There are no pictures in ')
    monkeypatch.setenv('CLASSIFIER', str(tmp_path / 'empty'))
    assert ' is not there; give a folder that make classifier has written' in sentence(label.main)
    monkeypatch.delenv('CLASSIFIER')
    assert sentence(label.main).startswith('CLASSIFIER is not given')
