"""make page, opened from a file in a headless Chromium: it says what Python says, and asks nothing of the outside."""

import contextlib
import shutil
import subprocess

import mended_mxnet

import numpy as onp
import pytest
from helpers import noise
from PIL import Image
from playwright.sync_api import expect, sync_playwright
from test_widgets_in_a_browser import chromium

import classifier
import export
import utils
from commands import page as command
from folders import Pictures

SENTENCE = "can't be read as a picture by this browser; give a JPEG or PNG file."
SURE = 0.6
FAKE = '--use-fake-device-for-media-stream'  # a camera that is none
SIZES = {'wide': (1280, 800), 'narrow': (360, 740)}


@pytest.fixture(scope='module')
def foods():
    """A sixth of kitchen."""
    dataset = utils.find_data()
    return dataset._replace(
        train=Pictures(dataset.train[::6], dataset.classes),
        valid=Pictures(dataset.valid[::6], dataset.classes),
        test=Pictures(dataset.test[::12], dataset.classes),
    )


@pytest.fixture(scope='module')
def net(foods):
    """A head on Lite0, fitted to it."""
    return classifier.head_on(classifier.Task(foods), 'efficientnet_lite0').net


def install_node():
    """npm, which Debian's packages bring where it is missing."""
    if not shutil.which('npm'):
        subprocess.run(['apt-get', 'update'], check=True)
        subprocess.run(['apt-get', 'install', '--yes', 'nodejs', 'npm'], check=True)


@pytest.fixture(scope='module')
def path(net, tmp_path_factory):
    """The page, alone in a folder as on a stick."""
    install_node()
    folder, stick = tmp_path_factory.mktemp('classifier'), tmp_path_factory.mktemp('stick')
    export.leave(net, net.px, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('CLASSIFIER', str(folder))
        for name in 'DISPLAY', 'WAYLAND_DISPLAY':
            patch.delenv(name, raising=False)
        command.main()
    return (folder / 'page.html').rename(stick / 'page.html')


@pytest.fixture(scope='module', params=SIZES)
def size(request):
    width, height = SIZES[request.param]
    return {'width': width, 'height': height}


@pytest.fixture(scope='module')
def playwright():
    with sync_playwright() as playwright:
        yield playwright


def started(playwright, *options):
    return playwright.chromium.launch(executable_path=chromium(), args=['--no-sandbox', *options])


@pytest.fixture(scope='module')
def browser(playwright):
    """Chromium, where there is no camera, whatever the machine has."""
    with started(playwright, f'{FAKE}=device-count=0') as browser:
        yield browser


@contextlib.contextmanager
def opened(browser, path, **options):
    """The page, whose network is ready. It has nothing to complain of, and asks for nothing but itself."""
    page = browser.new_page(**options)
    page.set_default_timeout(120_000)
    asked, wrong = [], []
    page.on('request', lambda request: asked.append(request.url))
    page.on('filechooser', lambda chooser: None)  # from now on it is ours, before a key is quicker than that
    page.on('pageerror', lambda error: wrong.append(str(error)))
    page.on('console', lambda message: wrong.append(message.text))
    page.goto(path.as_uri())
    expect(page.get_by_role('button', name='Choose photographs')).to_be_enabled(timeout=120_000)
    yield page
    assert wrong == [] and {url for url in asked if not url.startswith('blob:')} == {path.as_uri()}
    page.close()


@pytest.fixture
def page(browser, path, size):
    with opened(browser, path, viewport=size) as page:
        yield page


def choose(page, *files):
    """Choose them by the button; wait until there is one more photograph for each that is one."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role('button', name='Choose photographs').click()
    chooser.value.set_files(files)


def drop(page, *files):
    """Drop files, [(name, type, text)], on the page."""
    data = page.evaluate_handle(
        """files => {
            const data = new DataTransfer();
            for (const [name, type, text] of files) data.items.add(new File([text], name, { type }));
            return data;
        }""",
        [*files],
    )
    page.dispatch_event('main', 'drop', {'dataTransfer': data})


def photographs(page, n):
    expect(page.locator('#tray button')).to_have_count(n, timeout=120_000)


def answers(page):
    """{class: probability} that the page shows now; the lengths of its bars say more digits than their numbers."""
    bars = page.locator('.bars tr').evaluate_all(
        "rows => rows.map(row => [row.cells[0].textContent, row.querySelector('.track div').style.width])"
    )
    return {name: float(width.removesuffix('%')) / 100 for name, width in bars}


def likely(p):
    return max(p, key=p.get)


def verdict(page):
    return page.locator('.verdict strong')


# ---- What it says ---------------------------------------------------------------------------------------------------


def as_python_says(page, net, paths, most):
    """Whether the page says the same; how many of the pictures were sure."""
    num_sure = 0
    for i, path in enumerate(paths):
        expected = utils.predict(net, path)
        choose(page, path)
        photographs(page, i + 1)
        found = answers(page)
        named = {command.HOT_DOG[name]: p for name, p in expected.items()}
        assert found == pytest.approx(named, abs=most), path
        if max(named.values()) > SURE:
            num_sure += 1
            assert likely(found) == likely(named)
            expect(verdict(page)).to_have_text(likely(named).replace('\xa0', ' '))
    return num_sure


def test_it_says_what_python_says(browser, path, net, foods):
    paths = [path for path, _ in foods.test]
    with opened(browser, path) as page:
        assert len(paths) == 50 and as_python_says(page, net, paths, 1e-4) > 40


def test_turned_large_and_transparent_pictures(browser, path, net, foods, tmp_path):
    """Each way that EXIF turns a picture, phone-sized too, unsure ones, so it matters; one half transparent."""
    unsure = sorted((path for path, _ in foods.test), key=lambda path: max(utils.predict(net, path).values()))
    paths = [turned(unsure[turn], turn, tmp_path) for turn in range(1, 9)]
    not_turned = [utils.predict(net, onp.asarray(Image.open(path))) for path in paths[1:]]
    far = [abs(p['hotdog'] - utils.predict(net, path)['hotdog']) for p, path in zip(not_turned, paths[1:])]
    assert sum(one > 0.06 for one in far) >= 4, far
    half = Image.open(unsure[0]).convert('RGBA')
    half.paste((0, 0, 0, 0), (0, 0, half.width // 2, half.height))
    half.save(tmp_path / 'half.png')
    noise(3000, 2).save(tmp_path / 'flat.png')
    with opened(browser, path) as page:
        as_python_says(page, net, [*paths, tmp_path / 'half.png', tmp_path / 'flat.png'], 0.03)


def turned(path, turn, folder):
    """The path of the picture as a JPEG that EXIF turns so."""
    exif = Image.Exif()
    exif[0x0112] = turn
    image = Image.open(path).resize((4032, 3024) if turn == 6 else (700, 500), Image.BICUBIC)
    image.save(folder / f'{turn}.jpg', exif=exif)
    return folder / f'{turn}.jpg'


def test_it_is_small(path):
    assert path.stat().st_size < 50e6


# ---- What one does with it ------------------------------------------------------------------------------------------


def test_it_fits_the_screen(page, foods):
    choose(page, *[path for path, _ in foods.test[::10]])
    photographs(page, 5)
    assert page.evaluate('document.documentElement.scrollWidth') <= page.viewport_size['width']
    place = verdict(page).bounding_box()
    assert place['x'] >= 0 and place['x'] + place['width'] <= page.viewport_size['width'] and place['height'] > 60
    assert float(verdict(page).evaluate('it => getComputedStyle(it).fontSize').removesuffix('px')) > 50


def test_what_is_no_picture_is_one_sentence(page, foods, tmp_path):
    drop(page, ('notes.txt', 'text/plain', 'no picture'), ('notes.jpg', 'image/jpeg', 'none either'))
    expect(page.get_by_role('alert')).to_have_text(f'notes.txt {SENTENCE}notes.jpg {SENTENCE}')
    expect(page.get_by_text('Drop photographs here')).to_be_visible()
    choose(page, foods.test[0][0])
    photographs(page, 1)
    expect(page.get_by_role('alert')).to_be_empty()


def test_by_keyboard(page, foods):
    page.keyboard.press('Tab')
    with page.expect_file_chooser() as chooser:
        page.keyboard.press('Enter')
    chooser.value.set_files([path for path, _ in (foods.test[0], foods.test[-1])])
    photographs(page, 2)
    last = answers(page)
    expect(page.locator('#progress')).to_be_empty()
    for _ in range(3):  # the camera, the last photograph, the first one
        page.keyboard.press('Tab')
    page.keyboard.press('Enter')
    assert page.locator(':focus').get_attribute('title') == foods.test[0][0].name and answers(page) != last
    expect(page.locator('.frame img')).to_have_attribute('alt', foods.test[0][0].name)


def test_the_camera(playwright, path, size):
    allowed = '--use-fake-ui-for-media-stream'
    with started(playwright, FAKE, allowed) as browser, opened(browser, path, viewport=size) as page:
        page.get_by_role('button', name='Use the camera').click()
        expect(verdict(page)).to_have_text('not hot dog')
        seen = {page.locator('.bars').inner_html()}
        for _ in range(50):
            page.wait_for_timeout(100)
            seen.add(page.locator('.bars').inner_html())
        assert len(seen) > 2  # it goes on, for what the camera shows moves
        page.get_by_role('button', name='Take the picture').click()
        photographs(page, 1)
        expect(page.locator('.frame img')).to_have_attribute('alt', 'from the camera')
        expect(page.locator('.frame video')).to_be_hidden()
        assert page.locator('video').evaluate('video => video.srcObject') is None


def test_no_camera_is_one_sentence(page, foods):
    page.get_by_role('button', name='Use the camera').click()
    sentence = 'There is no camera here; choose photographs, or drop them on the page.'
    expect(page.get_by_role('alert')).to_have_text(sentence)
    choose(page, foods.test[0][0])
    photographs(page, 1)


def test_a_camera_that_may_not_be_used_is_one_sentence(playwright, path):
    with started(playwright, FAKE, '--deny-permission-prompts') as browser, opened(browser, path) as page:
        page.get_by_role('button', name='Use the camera').click()
        expect(page.get_by_role('alert')).to_contain_text('does not let this page use the camera; choose')


def test_nothing_can_be_asked_of_the_outside(browser, path):
    """Not even if something in it wanted to: the browser refuses, by a rule in the page."""
    page = browser.new_page()
    page.goto(path.as_uri())
    page.evaluate("addEventListener('securitypolicyviolation', event => (window.refused = event.effectiveDirective))")
    page.evaluate("fetch('https://example.org').catch(() => 'as it should be')")
    assert page.evaluate('window.refused') == 'connect-src'
    page.close()
