"""Generates mutants: one small defect in a module at a time, which its tests have to detect (`dev.mutants`)."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_FLIPPED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_OTHER_OPERATOR: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
# Tests need not notice a line that is missing from a log.
_LOGGERS = frozenset({"log", "logger", "logging"})


@dataclass(frozen=True)
class _Change:
    """Replaces a node by another, found again in a copy of the tree by its place in the walk."""

    what: str
    make: Callable[[ast.AST], ast.AST | None]


@dataclass(frozen=True)
class Mutation:
    """One mutant.

    :param line: the number of the source line it is on
    :param text: that line, without its indentation
    """

    line: int
    text: str
    _source: str
    _number: int
    _change: _Change

    @property
    def what(self) -> str:
        """What is changed, such as ``== becomes !=``."""
        return self._change.what

    @property
    def tree(self) -> ast.Module:
        """The mutated module, made only when it is asked for: there are hundreds of them."""
        mutated = ast.parse(self._source)
        _replace(mutated, self._number, self._change)
        return ast.fix_missing_locations(mutated)


def mutations(source: str) -> Iterator[Mutation]:
    """Every defect that this knows for a module, in the order of its lines."""
    tree = ast.parse(source)
    lines = source.splitlines()
    for number, node in enumerate(_walk(tree)):
        for change in _changes(node):
            line = node.lineno  # type: ignore[attr-defined]
            yield Mutation(line, lines[line - 1].strip(), source, number, change)


def _walk(tree: ast.AST) -> Iterator[ast.AST]:
    """The nodes that run, each before what is in it: no annotations, decorators, docstrings or imports for types."""
    yield tree
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list", "type_comment", "type_params"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_ignored(child):
                yield from _walk(child)


def _is_ignored(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) or _is_log_call(node.value)
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    return isinstance(node, ast.JoinedStr)


def _is_log_call(node: ast.expr) -> bool:
    function = node.func if isinstance(node, ast.Call) else None
    owner = function.value if isinstance(function, ast.Attribute) else None
    return isinstance(owner, ast.Name) and owner.id in _LOGGERS


def _changes(node: ast.AST) -> Iterator[_Change]:
    for kind, find in _KINDS:
        if isinstance(node, kind):
            yield from find(node)


def _compare(node: ast.Compare) -> Iterator[_Change]:
    for index, operator in enumerate(node.ops):
        other = _FLIPPED[type(operator)]

        def flip(found: ast.AST, index: int = index, other: type[ast.cmpop] = other) -> ast.AST:
            assert isinstance(found, ast.Compare)  # noqa: S101
            found.ops[index] = other()
            return found

        yield _Change(f"{_name(operator)} becomes {_name(other())}", flip)


def _constant(node: ast.Constant) -> Iterator[_Change]:
    if isinstance(node.value, bool):
        yield _constant_change(node.value, not node.value)
    elif isinstance(node.value, int | float):
        yield _constant_change(node.value, node.value + 1)
        yield _constant_change(node.value, node.value - 1)


def _constant_change(before: object, after: bool | float) -> _Change:
    return _Change(f"{before!r} becomes {after!r}", lambda found: ast.copy_location(ast.Constant(after), found))


def _bool_op(node: ast.BoolOp) -> Iterator[_Change]:
    other = ast.Or() if isinstance(node.op, ast.And) else ast.And()

    def swap(found: ast.AST) -> ast.AST:
        assert isinstance(found, ast.BoolOp)  # noqa: S101
        found.op = other
        return found

    yield _Change(f"{_name(node.op)} becomes {_name(other)}", swap)


def _not(node: ast.UnaryOp) -> Iterator[_Change]:
    if isinstance(node.op, ast.Not):
        yield _Change("not is left out", lambda found: found.operand)  # type: ignore[attr-defined]


def _condition(node: ast.If | ast.While | ast.IfExp) -> Iterator[_Change]:
    if isinstance(node.test, ast.Compare | ast.UnaryOp | ast.Constant):
        return  # these are changed by themselves

    def negate(found: ast.AST) -> ast.AST:
        found.test = ast.UnaryOp(ast.Not(), found.test)  # type: ignore[attr-defined]
        return found

    yield _Change("the condition is negated", negate)


def _bin_op(node: ast.BinOp | ast.AugAssign) -> Iterator[_Change]:
    other = _OTHER_OPERATOR.get(type(node.op))
    if other is None:
        return

    def swap(found: ast.AST) -> ast.AST:
        found.op = other()  # type: ignore[attr-defined]
        return found

    yield _Change(f"{_name(node.op)} becomes {_name(other())}", swap)


def _statement(_: ast.Expr | ast.AugAssign | ast.Raise | ast.Delete) -> Iterator[_Change]:
    yield _Change("the statement is left out", lambda found: ast.copy_location(ast.Pass(), found))


def _return(node: ast.Return) -> Iterator[_Change]:
    if node.value is not None and not isinstance(node.value, ast.Constant):
        yield _Change("None is returned", lambda found: ast.copy_location(ast.Return(ast.Constant(None)), found))


def _jump(node: ast.Continue | ast.Break) -> Iterator[_Change]:
    other = ast.Break() if isinstance(node, ast.Continue) else ast.Continue()
    yield _Change(f"{_name(node)} becomes {_name(other)}", lambda found: ast.copy_location(other, found))


def _keyword(node: ast.keyword) -> Iterator[_Change]:
    if node.arg is None and isinstance(node.value, ast.Name | ast.Call):
        empty = ast.Dict([], [])
        yield _Change("the ** argument is empty", lambda found: ast.copy_location(ast.keyword(None, empty), found))


_KINDS: tuple[tuple[type | tuple[type, ...], Callable[..., Iterator[_Change]]], ...] = (
    (ast.Compare, _compare),
    (ast.Constant, _constant),
    (ast.BoolOp, _bool_op),
    (ast.UnaryOp, _not),
    ((ast.If, ast.While, ast.IfExp), _condition),
    ((ast.BinOp, ast.AugAssign), _bin_op),
    ((ast.Expr, ast.AugAssign, ast.Raise, ast.Delete), _statement),
    (ast.Return, _return),
    ((ast.Continue, ast.Break), _jump),
    (ast.keyword, _keyword),
)


def _name(node: ast.AST) -> str:
    return type(node).__name__


def _replace(tree: ast.Module, number: int, change: _Change) -> None:
    """Put the changed node in the place of the node with this number in the walk."""
    nodes = list(_walk(tree))
    old = nodes[number]
    parent, name, index = next(place for place in _places(nodes) if place[3] is old)[:3]
    new = change.make(old)
    if index is None:
        setattr(parent, name, new)
    else:
        getattr(parent, name)[index] = new


def _places(nodes: list[ast.AST]) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    for parent in nodes:
        for name, value in ast.iter_fields(parent):
            if isinstance(value, list):
                yield from ((parent, name, index, child) for index, child in enumerate(value))
            elif isinstance(value, ast.AST):
                yield parent, name, None, value
