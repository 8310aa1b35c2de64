"""Small mistakes, one at a time: what can be broken in a module, and how it reads then."""

import ast
import collections
import copy

Mutation = collections.namedtuple('Mutation', 'line before after source')  # the text of the place; the whole module

PAIRS = [
    *[(ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.In, ast.NotIn), (ast.Is, ast.IsNot)],
    *[(ast.Add, ast.Sub), (ast.Mult, ast.Div), (ast.And, ast.Or)],
]
TURNED = dict(PAIRS) | {b: a for a, b in PAIRS}
SPOKEN = {'Problem', 'say', 'print'}  # what they are called with is text for the user
LOOKS = {'figsize', 'color', 'lw', 'ls', 'marker', 'fontsize', 'frameon', 'cmap', 'colorbar'}  # of a figure
SYMMETRIC = {'max', 'min'}  # the order of what they are called with does not matter


def mutations(source):
    """Yield a Mutation for each way in which one place of the module `source` can be broken."""
    lines = source.splitlines(keepends=True)
    for node, is_test in nodes(ast.parse(source)):
        for after in broken(node, is_test):
            start = offset(lines, node.lineno, node.col_offset)
            end = offset(lines, node.end_lineno, node.end_col_offset)
            yield Mutation(node.lineno, source[start:end], after, source[:start] + after + source[end:])


def offset(lines, line, column):
    """Where a place is in the text; ast counts columns in bytes."""
    return sum(map(len, lines[: line - 1])) + len(lines[line - 1].encode()[:column].decode())


def nodes(node, is_test=False):
    """Yield (node, whether it is a condition) for all that may be broken: not imports and what only the user sees."""
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.JoinedStr)) or is_for_the_user(node):
        return
    if hasattr(node, 'lineno'):
        yield node, is_test
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and field != 'decorator_list' and not is_look(node, child):
                yield from nodes(child, field in ('test', 'ifs'))


def name_of(function):
    return getattr(function, 'attr', getattr(function, 'id', None))


def is_for_the_user(node):
    """Whether it is a call that gives a text, or moves a progress bar; that it is called at all is not meant."""
    return isinstance(node, ast.Call) and (name_of(node.func) in SPOKEN or is_bar(node))


def is_bar(call):
    return isinstance(call.func, ast.Attribute) and getattr(call.func.value, 'id', None) == 'bar'


def is_look(parent, child):
    """Whether `child` is an argument by which a figure or a progress bar looks different."""
    return isinstance(child, ast.keyword) and (child.arg in LOOKS or name_of(parent.func) == 'tqdm')


def broken(node, is_test):
    """Yield the text of `node`, broken in each way that there is for its kind."""
    if is_test:
        yield f'not ({ast.unparse(node)})'
    if type(getattr(node, 'op', None)) in TURNED and not isinstance(node, ast.AugAssign):
        yield changed(node, op=TURNED[type(node.op)]())
    match node:
        case ast.Compare(ops=[first, *rest]) if type(first) in TURNED:
            yield changed(node, ops=[TURNED[type(first)](), *rest])
        case ast.Constant(value=bool()):
            yield repr(not node.value)
        case ast.Constant(value=int() | float()) if node.value + 1 != node.value:  # 1e30 can't be more
            yield repr(node.value + 1)
        case ast.Call(args=[first, second, *rest]) if name_of(node.func) not in SYMMETRIC:
            if ast.unparse(first) != ast.unparse(second) and not isinstance(first, ast.Starred):
                yield changed(node, args=[second, first, *rest])
        case ast.Expr(value=ast.Call()) if not is_bar(node.value):
            yield 'pass'
        case ast.AugAssign() | ast.Raise() | ast.Continue() | ast.Delete():
            yield 'pass'
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield 'pass'


def changed(node, **fields):
    """The text of `node` with other fields."""
    node = copy.copy(node)
    for name, value in fields.items():
        setattr(node, name, value)
    return ast.unparse(node)
