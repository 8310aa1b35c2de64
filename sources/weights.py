"""The weights of a network as {name: array}: out of it, into it, and from a file."""

import hashlib
import os

import mended_mxnet

import numpy as onp
from mxnet import np, npx, sym
from mxnet.base import MXNetError
from safetensors import safe_open

from files import user_path
from problem import Problem, say


def weights_of(net):
    """{name: array} of all weights and BatchNorm statistics."""
    npx.waitall()  # after a prediction MXNet may still be rearranging the weights, and a copy would be a mixture
    params = net._collect_params_with_prefix()
    if any(param._data is None for param in params.values()):
        raise Problem(
            'The shapes of the weights are not known before the network has seen a picture; show it one first: '
            'net(np.zeros((1, 3, px, px))).'
        )
    return {name: onp.ascontiguousarray(p.data(p.list_ctx()[0]).asnumpy()) for name, p in params.items()}


def set_weights(net, weights):
    """Fill `net` with {name: array}, on all its devices. Raises Problem if a name or a shape is not the network's."""
    npx.waitall()  # see weights_of
    check_finite(weights)
    kinds = {array.dtype.kind for array in weights.values()}
    if kinds - {'f'}:
        raise Problem(
            'Some of the weights are whole numbers, as no training makes them; take the file that belongs here.'
        )
    wrong = misfit(net, weights)
    if wrong:
        raise Problem(f"The weights don't fit the network: {wrong}; take the file that belongs to it.")
    for name, param in net._collect_params_with_prefix().items():
        param.shape = weights[name].shape
        if param._data is None:
            param.initialize()
        param.set_data(np.array(weights[name], dtype='float32'))
    return net


def misfit(net, weights):
    """Where {name: array} differs from what `net` takes, in words; None if it fits."""
    params = net._collect_params_with_prefix()
    for name in sorted(params.keys() | weights.keys()):
        needed, found = (both[name].shape if name in both else 'nothing' for both in (params, weights))
        if not fits(needed, found):
            needed = str(needed).replace('-1', 'any')
            return f'{name} takes {needed}, and they have {found}'
    return None


def check_takes(net, shape):
    """Raises Problem unless `net` can take batches of that shape: with others a BatchNorm writes beyond its arrays."""
    if getattr(net, 'takes', None) == shape[1:]:  # asked already
        return
    try:
        graph = net(sym.var('data').as_np_ndarray())
    except Exception:  # it can't be told, as where a hook wants numbers
        return
    names = graph.list_arguments() + graph.list_auxiliary_states()
    try:
        with mended_mxnet.silent():
            arguments, _, states = graph.infer_shape(data=shape)
        found = dict(zip(names, arguments + states))
        fit = all(fits(p.shape, found.get(p.name, p.shape)) for p in net.collect_params().values())
    except (MXNetError, ValueError):
        fit = False
    if not fit:
        raise not_taken(net, shape)
    net.takes = shape[1:]


def not_taken(net, shape):
    """The Problem with batches of a shape that a network, or a part of one, can't take."""
    usual = getattr(net, 'usual_px', None)
    px = f'px = {usual}, which it was made for,' if usual else 'a larger px'
    return Problem(
        f'The network cannot take batches of the shape {shape}; take {px} or, for the part above a cut, what the '
        'part below gives.'
    )


class TooFast(Problem):
    """Something is not a number any more, as after too large steps."""


def check_finite(arrays):
    """Raises TooFast if one of {name: array} has something in it that is not a number."""
    for name, array in arrays.items():
        if not onp.isfinite(array).all():
            raise TooFast(f'{name} is not a number in some places, as after too large steps; train with a smaller lr.')


def fits(needed, found):
    """Whether a shape is the one that is needed, which may have a side that no picture has made known yet (-1)."""
    return len(needed) == len(found) and all(n in (-1, f) for n, f in zip(needed, found))


def read_weights(path, sha256=None, advice='give a file that utils.save wrote.'):
    """({name: array}, metadata) of a safetensors file, which must have the SHA-256 if there is one. Raises Problem."""
    path = user_path(path)
    wrong = Problem(f'{path} is damaged or not a file of weights; {advice}')
    try:
        if not path.is_file():
            raise Problem(f'There is no file {path}; {advice}')
        if sha256 and hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise wrong
        path.open('rb').close()  # or the library calls what may not be read damaged
    except OSError as error:
        raise Problem(f"{path} can't be read ({error.strerror}); {advice}") from None
    try:
        with safe_open(path, 'numpy') as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except Exception:  # whatever its bytes are, the library may raise anything
        raise wrong from None


def keep_older(path):
    """If `path` is there, give it another name, so that nothing that was trained is lost, and say so."""
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        names = (path.with_stem(f'{path.stem}.previous{k}') for k in ['', *range(2, 10**6)])
        older = next(name for name in names if not os.path.lexists(name))
        path.replace(older)
        say(f'{path.name} was there already; that one is now {older.name}.')
