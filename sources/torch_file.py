"""Read a file of weights in PyTorch's formats, before version 1.6 and since; neither PyTorch nor a pickle is run."""

import io
import math
import pickletools
import zipfile

import numpy

TYPES = {'torch FloatStorage': numpy.dtype('<f4'), 'torch LongStorage': numpy.dtype('<i8')}
PARAMETER = 'torch._utils _rebuild_parameter'  # a tensor that trains
NAMES = {'collections OrderedDict', 'torch._utils _rebuild_tensor_v2', PARAMETER, *TYPES}
BEGINNING = bytes.fromhex('80028a0a6cfc9c46f9206aa850192e')  # of every file of PyTorch before version 1.6


def read_tensors(path):
    """{name: array} of a file of weights that PyTorch wrote; ValueError for any other."""
    with open(path, 'rb') as file:
        try:
            beginning = file.read(len(BEGINNING))
            if beginning.startswith(b'PK'):
                return dict(tensors_in_zip(zipfile.ZipFile(file)))
            if beginning != BEGINNING:
                raise ValueError('it does not begin like one')
            _, _, records, keys = (read_pickle(file) for _ in range(4))
            return dict(tensors_in(file.read(), keys, records))
        except Exception as error:  # whatever its bytes are: one sentence
            raise ValueError(f'{path} is damaged, cut off or no file of PyTorch weights ({error})') from None


def tensors_in_zip(archive):
    """Yield (name, array) of each tensor: since version 1.6 each storage is a file of its own in an archive."""
    (record,) = (name for name in archive.namelist() if name.endswith('/data.pkl'))
    for name, tensor in read_pickle(io.BytesIO(archive.read(record))).items():
        key = tensor[0][2]
        data = archive.read(record.replace('data.pkl', f'data/{key}'))
        yield name, array_of(name, tensor, data)


def tensors_in(data, keys, records):
    """Yield (name, array) of each tensor; `data` has the storages of `keys`, each after 8 bytes of size."""
    storages = {storage[2]: storage for storage, *_ in records.values()}
    begin, end = {}, 0
    for key in keys:
        begin[key] = end + 8
        end = begin[key] + storages[key][4] * TYPES[storages[key][1]].itemsize
    if end != len(data):
        raise ValueError(f'it should have {end} bytes of numbers, not {len(data)}')
    for name, tensor in records.items():
        yield name, array_of(name, tensor, data, begin[tensor[0][2]])


def array_of(name, tensor, data, begin=0):
    """The array of what a tensor is built from; the numbers of its storage begin there in `data`."""
    (_, kind, _, _, count, *_), offset, shape, strides, *_ = tensor
    size = TYPES[kind].itemsize
    if math.prod(shape) != count:  # NumPy refuses strides beyond the data; this keeps its sums in range
        raise ValueError(f'{name} has {count} numbers for the shape {shape}')
    strides = [stride * size for stride in strides]
    return numpy.ndarray(shape, TYPES[kind], data, begin + offset * size, strides)


def read_pickle(file):
    """Value of the pickle that begins here, if made of numbers, texts, tuples, lists, dicts, tensors.

    Nothing is run: pickletools only takes it apart, a name in it stays a text, and a tensor becomes the tuple
    of what it is built from. A hostile file can ask for os.system; it gets a ValueError.
    """
    stack, marks, memo = [], [], {}

    def pop(start):
        items = stack[start:]
        del stack[start:]
        return items

    for opcode, arg, _ in pickletools.genops(file):
        match opcode.name:
            case 'PROTO' | 'BINPERSID':
                pass  # the latter would look up a storage; what describes it stays
            case 'BININT' | 'BININT1' | 'BININT2' | 'BINUNICODE':
                stack.append(arg)
            case 'NONE' | 'NEWTRUE' | 'NEWFALSE':
                stack.append(None)  # no need to tell them apart
            case 'GLOBAL' if arg in NAMES:
                stack.append(arg)
            case 'EMPTY_TUPLE':
                stack.append(())
            case 'EMPTY_LIST':
                stack.append([])
            case 'EMPTY_DICT':
                stack.append({})
            case 'MARK':
                marks.append(len(stack))
            case 'TUPLE':
                stack.append(tuple(pop(marks.pop())))
            case 'TUPLE1' | 'TUPLE2' | 'TUPLE3':
                stack.append(tuple(pop(-int(opcode.name[-1]))))
            case 'APPENDS':
                items = pop(marks.pop())
                stack[-1].extend(items)
            case 'SETITEM':
                key, value = pop(-2)
                stack[-1][key] = value
            case 'SETITEMS':
                items = pop(marks.pop())
                stack[-1].update(zip(items[::2], items[1::2]))
            case 'REDUCE':
                name, args = pop(-2)
                stack.append(args[0] if name == PARAMETER else args or {})  # a tensor's; OrderedDict() has none
            case 'BUILD':
                pop(-1)  # version numbers of layers, not weights
            case 'BINPUT' | 'LONG_BINPUT':
                memo[arg] = stack[-1]
            case 'BINGET' | 'LONG_BINGET':
                stack.append(memo[arg])
            case 'STOP':
                return stack.pop()
            case _:
                raise ValueError(f'it asks for {arg or opcode.name}, which these weights never do')


# ---- From their names to Gluon's ------------------------------------------------------------------------------------

BATCH_NORM = {'weight': 'gamma', 'bias': 'beta', 'running_mean': 'running_mean', 'running_var': 'running_var'}


def to_gluon(tensors, layer):
    """{Gluon's name: array}; layer(PyTorch's name of a layer) is Gluon's, or None for one that Gluon doesn't have."""
    found = {}
    for name, a in tensors.items():
        place, kind = name.rsplit('.', 1)
        if kind != 'num_batches_tracked' and layer(place):
            kind = BATCH_NORM[kind] if f'{place}.running_mean' in tensors else kind
            found[f'{layer(place)}.{kind}'] = a
    return found
