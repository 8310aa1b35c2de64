"""What MXNet 1.9.1 needs to work today; whoever uses MXNet imports this before it."""

import contextlib
import ctypes
import gc
import os
import sys
import threading

import psutil

from problem import Problem

if 'mxnet' in sys.modules and 'npx' not in globals():  # the latter, where this module is loaded again
    raise Problem(
        'MXNet was imported before this project could set it up (its threads, its arrays); restart Python, and '
        'put "import utils" above "import mxnet".'
    )

# MXNet reads this when it is imported; by itself it leaves half of the cores idle where a core has one thread only
os.environ['OMP_NUM_THREADS'] = os.environ.get('OMP_NUM_THREADS') or str(psutil.cpu_count(logical=False) or 1)

import gluoncv.data  # noqa: F401
from mxnet import np, npx, util
from mxnet.base import _LIB, check_call
from mxnet.gluon.contrib.nn import HybridConcurrent
from mxnet.gluon.model_zoo.vision import mobilenet
from PIL import ImageFile

SILENCE = threading.RLock()


@contextlib.contextmanager
def silent():
    """In here MXNet does not print what it raises; one thread at a time, or the last one out would leave all silent."""
    with SILENCE, contextlib.redirect_stdout(None):
        yield


class InAllThreads(threading.local):
    """What MXNet asks whether NumPy's arrays are on: a thread that nobody told anything finds that they are."""

    value = util._NumpyArrayScope(True)


def copy_of_array(array, memo):
    """A copy of an array, made at once: not through bytes, which take three times the memory, nor in the background.

    In the background a prediction that comes next might rearrange the weights meanwhile: the copy would be a mixture.
    """
    copy = array.copy()
    copy.wait_to_read()
    return copy


def give_back_memory():
    """Free what networks nobody holds any more, and give it back to the system.

    Gluon's blocks are in cycles, for which Python waits until there are many; what is freed, the C
    library keeps for later.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), 'malloc_trim', None)  # Linux has it
    if trim:
        trim(0)


util._NumpyArrayScope._current = InAllThreads()
check_call(_LIB.MXSetIsNumpyShape(2, ctypes.byref(ctypes.c_int())))  # 2: NumPy's shapes, too, are for all threads
npx.set_np()
np.ndarray.__deepcopy__ = copy_of_array
ImageFile.LOAD_TRUNCATED_IMAGES = False  # gluoncv turns it on: half of a picture would pass, the rest grey


# Three layers of Gluon's zoo use operators that MXNet 1.9.1 has for old arrays only
def concatenate(self, F, X):
    parts = [block(X) for block in self._children.values()]
    return F.np.concatenate(parts, self.axis)


HybridConcurrent.hybrid_forward = concatenate  # Inception, SqueezeNet, DenseNet
mobilenet.RELU6.hybrid_forward = lambda self, F, X: X.clip(0, 6)
mobilenet.LinearBottleneck.hybrid_forward = lambda self, F, X: self.out(X) + X if self.use_shortcut else self.out(X)
