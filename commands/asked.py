"""What several commands are asked for, and the page that they show. It imports nothing that takes long."""

import os
import sys
import webbrowser
from pathlib import Path

from files import WITH_A_NAME
from problem import Problem


def asked_data(arguments):
    """The one argument, or else DATA, by which make hands on any name: a name or an absolute path. Raises Problem."""
    if len(arguments) > 1:
        raise Problem(f'Give one folder, not {len(arguments)}; if there is a space in its name, put it in quotes.')
    (data,) = arguments or [os.environ.get('DATA', 'kitchen')]
    if not data:
        raise Problem('DATA is empty; give "kitchen", "hotdog" or a folder that has one folder per class.')
    return data if data in WITH_A_NAME else whole_path(data)


def whole_path(name):
    """The folder `name` as an absolute path; ~ is the home folder, unless there is one of that name."""
    path = name if os.path.exists(name) else os.path.expanduser(name)
    return os.path.abspath(path)


def asked_path(name, example):
    """The path in a variable, by which make hands it on. Raises Problem, with an example to type, if there is none."""
    if not os.environ.get(name):
        raise Problem(f'{name} is not given; type {example}.')
    return Path(whole_path(os.environ[name]))


def open_page(path):
    """Show the page where there is a screen."""
    screen = sys.platform == 'darwin' or any(os.environ.get(name) for name in ('DISPLAY', 'WAYLAND_DISPLAY'))
    if screen and 'CI' not in os.environ:
        webbrowser.open(path.as_uri())
