"""A game for the waits. It runs in the browser: a kernel answers nobody while it computes a cell."""

import base64
import io
import json
from html import escape
from numbers import Integral

import mended_mxnet

import numpy as onp
from IPython.display import display

from pictures import centre_crop, open_picture
from problem import Problem, check_classes, check_pictures, check_px

# Nothing in a page runs where JupyterLab doesn't trust the notebook, so there it is this sentence and no more.
CALL_THEM = """
<div data-lm-suppress-shortcuts="true" style="font-size: 18px"><p>WORDS</p></div>
<script>
(() => {
  const game = document.currentScript.previousElementSibling;
  const {classes, pictures} = FACTS;
  const called = [];

  function add(parent, tag, facts) {
    return parent.appendChild(Object.assign(document.createElement(tag), facts));
  }

  game.replaceChildren();
  const said = add(game, 'p', {role: 'status'});
  const image = add(game, 'img', {width: 320, height: 320});
  const buttons = add(game, 'p', {});
  classes.forEach((name, i) => {
    const style = 'font-size: 18px; padding: 8px 16px; margin-right: 8px';
    add(buttons, 'button', {type: 'button', style, textContent: `${i + 1}  ${name}`, onclick: () => call(i)});
  });
  game.onkeydown = event => {
    const i = Number(event.key) - 1;
    if (i in classes && !event.repeat && !event.ctrlKey && !event.altKey && !event.metaKey) call(i);
  };

  function show() {
    said.textContent = `Picture ${called.length + 1} of ${pictures.length}: what is it?`;
    image.alt = said.textContent;
    image.src = pictures[called.length].src;
  }

  function call(i) {
    if (called.length === pictures.length) return;
    called.push(i);
    called.length < pictures.length ? show() : end();
  }

  function end() {
    const yours = pictures.filter((picture, i) => picture.is === called[i]).length;
    const its = pictures.filter(picture => picture.is === picture.network).length;
    image.remove();
    buttons.remove();
    said.innerHTML = `You called <b>${yours}</b> of ${pictures.length} right, the network <b>${its}</b>.`;
    const all = add(game, 'div', {style: 'display: flex; flex-wrap: wrap; gap: 16px'});
    pictures.forEach((picture, i) => {
      const one = add(all, 'div', {style: 'width: 190px'});
      const name = classes[picture.is];
      add(one, 'img', {src: picture.src, alt: name, width: 190, height: 190});
      add(one, 'b', {textContent: name});
      for (const [who, what] of [['you', called[i]], ['network', picture.network]]) {
        const right = what === picture.is;
        add(one, 'div', {textContent: `${who}: ${right ? 'right' : classes[what]}`});
      }
    });
  }

  show();
})();
</script>
"""


def call_them(pictures, px, answers, classes):
    """Display a game: the reader calls [(path, class number), ...], one after the other, as the network sees them.

    At the end it says how many were called right, by the reader and by the network, whose `answers` are class numbers.
    Nothing is asked of the kernel. Raises Problem.
    """
    check_pictures(pictures)
    check_px(px)
    check_classes(classes)
    check_answers(answers, [label for _, label in pictures], len(classes))
    shown = [
        {'src': jpeg(path, px), 'is': int(label), 'network': int(answer)}
        for (path, label), answer in zip(pictures, answers)
    ]
    words = f'{len(pictures)} pictures to call yourself; run this cell to begin.'
    facts = json.dumps({'classes': list(classes), 'pictures': shown}).replace('<', r'\u003c')  # no name ends the script
    game = CALL_THEM.replace('WORDS', escape(words)).replace('FACTS', facts)
    display({'text/html': game, 'text/plain': words}, raw=True)


def check_answers(answers, labels, num_classes):
    if len(answers) != len(labels):
        raise Problem(f'There are {len(labels)} pictures and {len(answers)} answers; give one for each picture.')
    for number in [*answers, *labels]:
        if not isinstance(number, Integral) or not 0 <= number < num_classes:
            raise Problem(f'{number!r} is no class number; give one from 0 to {num_classes - 1} for each picture.')


def jpeg(path, px):
    """What the network sees of a picture, as an address that holds it."""
    file = io.BytesIO()
    centre_crop(open_picture(path, px), px).save(file, 'jpeg', quality=85)
    return f'data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}'


def half_wrong(probabilities, labels, num_pictures=16):
    """The numbers of so many pictures, in a random order that is always the same; half are mistakes, if there are."""
    rng, called = onp.random.default_rng(0), probabilities.argmax(1)
    wrong = rng.permutation(onp.flatnonzero(called != labels))[: num_pictures // 2]
    right = rng.permutation(onp.flatnonzero(called == labels))[: num_pictures - len(wrong)]
    return rng.permutation([*wrong, *right])
