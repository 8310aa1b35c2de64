"""What leaves runs in an environment of its own, where there is no MXNet and nothing of this project."""

import subprocess
import sys
import venv

import mended_mxnet

import pytest
from PIL import Image

import export
import frozen
import utils
from files import ROOT

KITCHEN = sorted((ROOT / 'data' / 'kitchen' / 'test').glob('*/*.jpg'))[::100]


@pytest.fixture(scope='module')
def python(tmp_path_factory):
    """The Python of a new environment with what predict.py asks for, installed as it says."""
    folder = tmp_path_factory.mktemp('elsewhere')
    venv.create(folder, with_pip=True)
    asked = (ROOT / 'templates' / 'predict.py').read_text().split('pip install ')[1].splitlines()[0].split()
    subprocess.run([folder / 'bin' / 'python', '-m', 'pip', 'install', '--quiet', *asked], check=True)
    return folder / 'bin' / 'python'


def run(python, *command, folder):
    return subprocess.run([python, *command], cwd=folder, capture_output=True, text=True, env={'PATH': ''})


def test_it_says_the_same_of_photographs(python, tmp_path):
    classes = ['hotdog', 'not-hotdog', 'a third one']
    utils.seed_everything(0)
    net = frozen.with_head(utils.pretrained('efficientnet_lite0'), classes)
    net.px = 224
    (tmp_path / 'it').mkdir()
    export.leave(net, 224, tmp_path / 'it')
    large = Image.open(KITCHEN[0]).resize((4032, 3024))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned
    large.save(tmp_path / 'large.jpg', exif=exif)
    photographs = [*KITCHEN, tmp_path / 'large.jpg']
    ran = run(python, tmp_path / 'it' / 'predict.py', *photographs, folder=tmp_path)
    assert ran.returncode == 0 and not ran.stderr, ran.stderr
    for path, line in zip(photographs, ran.stdout.splitlines(), strict=True):
        name, p = next(iter(utils.predict(net, path).items()))
        shown, said = line.split(': ')
        assert shown == str(path) and said.rsplit(' ', 1)[0] == name and abs(float(said.rsplit(' ', 1)[1]) - p) < 0.006


def test_there_is_no_mxnet(python, tmp_path):
    for module in 'mxnet', 'utils':
        assert 'ModuleNotFoundError' in run(python, '-c', f'import {module}', folder=tmp_path).stderr
    assert sys.prefix not in run(python, '-c', 'import sys; print(sys.path)', folder=tmp_path).stdout
