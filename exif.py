"""Which side of a picture is up, as its EXIF says; whatever is broken in that never stops a picture."""

import contextlib
import re
import struct

from PIL import Image

Flip = Image.Transpose
UPRIGHT = {  # what turns a picture upright, by the orientation that EXIF says
    2: Flip.FLIP_LEFT_RIGHT,
    3: Flip.ROTATE_180,
    4: Flip.FLIP_TOP_BOTTOM,
    5: Flip.TRANSPOSE,
    6: Flip.ROTATE_270,
    7: Flip.TRANSVERSE,
    8: Flip.ROTATE_90,
}
ORIENTATION = 0x0112  # its tag in EXIF


class Orientation(Image.Exif):
    """EXIF of which only the orientation is read, so that nothing else that is broken in it matters."""

    def load(self, data):
        self[ORIENTATION] = orientation_in(data)

    def load_from_fp(self, fp, offset=None):
        fp.seek(0)
        self.load(fp.read())


def orientation_in(exif):
    """What the first directory of EXIF says; 1, upright, if it says nothing or can't be read."""
    with contextlib.suppress(struct.error, TypeError):  # it ends there, or is no bytes
        exif = re.sub(rb'^(Exif\0\0)+', b'', exif)
        order = '<' if exif[:2] == b'II' else '>'
        (start,) = struct.unpack_from(f'{order}I', exif, 4)
        (count,) = struct.unpack_from(f'{order}H', exif, start)
        for place in range(start + 2, start + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(f'{order}HHIH', exif, place)
            if tag == ORIENTATION:
                return value
    return 1


def turn_of(image):
    """What turns the image upright, by its EXIF or XMP; None if nothing does or if they can't be read."""
    try:
        orientation = image.getexif().get(ORIENTATION)
    except Exception:  # EXIF is written by many cameras and programs, and Pillow may raise anything at it
        orientation = None
    if orientation is None:
        orientation = orientation_in(image.info.get('exif', b''))
    return UPRIGHT.get(orientation)
