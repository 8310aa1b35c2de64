"""What students touch: what it holds; that it can be played is seen in a browser."""

import base64
import io
import json
import re
from html.parser import HTMLParser

import mended_mxnet

import numpy as onp
import pytest
from helpers import red_and_blue, sentence
from PIL import Image

import widgets
from pictures import centre_crop


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
