"""What is on photographs? It needs no more than Python and: pip install onnxruntime pillow numpy

python predict.py PHOTO ...
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

session = onnxruntime.InferenceSession(Path(__file__).with_name('classifier.onnx').read_bytes())
facts = session.get_modelmeta().custom_metadata_map
classes, px = json.loads(facts['classes']), int(facts['px'])


def read(path):
    """The photograph as it is, upright, uint8 [height, width, 3]; what is transparent becomes white."""
    with Image.open(path) as image:
        deep = image.mode[0] in 'IF' or ';16' in str(getattr(image, 'tile', ''))
        image.draft('RGB', (2 * px, 2 * px))  # a large JPEG is decoded to a smaller size, which is faster
        image = ImageOps.exif_transpose(image)
    if deep:  # its light parts might all be called white, or its dark ones black
        raise OSError('it has more than 8 bits a colour; save it with 8')
    if image.has_transparency_data:
        image = image.convert('RGBA')
        image = Image.alpha_composite(Image.new('RGBA', image.size, 'white'), image)
    return np.asarray(image.convert('RGB'))


def predict(path):
    """{class: probability}, the most likely one first."""
    (p,) = session.run(None, {'picture': read(path)})
    return {classes[i]: float(p[i]) for i in p.argsort()[::-1]}


sys.stdout.reconfigure(errors='backslashreplace')  # a name may have what this terminal can't show
for path in sys.argv[1:] or sys.exit(__doc__):
    try:
        name, p = next(iter(predict(path).items()))
        print(f'{path}: {name} {p:.3f}')
    except Exception as error:  # no such file, or none that Pillow reads: it may raise anything
        print(f'{path}: {error}', file=sys.stderr)
