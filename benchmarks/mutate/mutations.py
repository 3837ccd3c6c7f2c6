"""Small mistakes put into source text, one at a time: what somebody may well write, and the tests must notice.

Beside the usual kinds (a comparison, a sign, a constant, a condition, a call left out) there are those of wiring: the
test split for validation, low for high, an argument by its name left out. Texts, types, assertions and errors are left
alone.
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.Mod: ast.FloorDiv,
}
_PAIRS = (
    *(("train", "test"), ("validation", "test"), ("low", "high"), ("before", "after"), ("rung", "below")),
    *(("module", "evaluated"), ("averaged", "module"), ("images", "labels"), ("first", "last"), ("all", "any")),
    *(("argmax", "argmin"), ("floor", "ceil"), ("max", "min")),
)
#: What a name is mistaken for, as an attribute (``splits.test``) and as a function (``max(…)``).
SWAPPED = {second: first for first, second in _PAIRS} | dict(_PAIRS)
_FUNCTIONS = {"all", "any", "max", "min"}


@dataclass(frozen=True)
class Mutation:
    """One mistake in one file.

    Attributes:
        file: its path below ``src/stepladder``.
        where: the function or class that it is in, dotted; empty at the first level.
        was, becomes: the code before and after, on one line each.
        number: which of several alike in that place, from 0.
        span: the bytes of the file that are replaced.
    """

    file: str
    where: str
    was: str
    becomes: str
    number: int
    span: tuple[int, int]

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What stays the same while other parts of the file change."""
        return self.file, self.where, self.was, self.becomes, self.number

    def rank(self, seed: int) -> str:
        """Return what a sample is ordered by: drawn by ``seed``, and the same whatever else is changed in the code."""
        return hashlib.sha256(repr((seed, self.key)).encode()).hexdigest()

    def apply(self, content: bytes) -> bytes:
        """Return the file's content with the mistake in it."""
        start, end = self.span
        return content[:start] + self.becomes.encode() + content[end:]


def find_mutations(file: str, content: bytes) -> list[Mutation]:
    """Return every mistake that can be put into a file, in the order of its lines."""
    tree = ast.parse(content)
    starts = [0]
    for line in content.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found: list[Mutation] = []
    seen: Counter[tuple[str, str, str]] = Counter()
    for where, node, becomes in _walk(tree, ()):
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        was = ast.unparse(node)
        key = (where, was, becomes)
        found.append(Mutation(file, where, was, becomes, seen[key], (start, end)))
        seen[key] += 1
    return sorted(found, key=lambda one: (one.span, one.becomes))


#: Parts of a tree, by the field that leads to them, in which nothing is changed.
_LEFT_ALONE = {"annotation", "returns", "decorator_list", "type_comment"}


def _walk(node: ast.AST, where: tuple[str, ...]) -> Iterator[tuple[str, ast.expr | ast.stmt, str]]:
    """Yield the place, the node and what replaces it."""
    if isinstance(node, ast.Assert | ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
        return
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        where = (*where, node.name)
        if node.name in ("__repr__", "__str__"):
            return
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return
    if isinstance(node, ast.expr | ast.stmt):
        for change in _CHANGES:
            for becomes in change(node):
                yield ".".join(where), node, becomes
    for name, value in ast.iter_fields(node):
        if name in _LEFT_ALONE:
            continue
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, ast.AST):
                yield from _walk(inner, where)


def _compared(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            other = [*node.ops[:place], _COMPARE[type(operator)](), *node.ops[place + 1 :]]
            yield f"({ast.unparse(ast.Compare(node.left, other, node.comparators))})"


def _calculated(node: ast.AST) -> Iterator[str]:
    text = isinstance(node, ast.BinOp) and any(_is_text(side) for side in (node.left, node.right))
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC and not text:
        yield f"({ast.unparse(ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right))})"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield f"({ast.unparse(node.operand)})"
    if isinstance(node, ast.AugAssign) and type(node.op) in _ARITHMETIC and not _is_text(node.value):
        yield f"{ast.unparse(node.target)} = {ast.unparse(node.value)}"


def _decided(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"({ast.unparse(ast.BoolOp(other, node.values))})"
        for left_out in range(len(node.values)):
            kept = [value for place, value in enumerate(node.values) if place != left_out]
            whole = kept[0] if len(kept) == 1 else ast.BoolOp(node.op, kept)
            yield f"({ast.unparse(whole)})"
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield f"({ast.unparse(node.operand)})"
    if isinstance(node, ast.IfExp):
        yield f"({ast.unparse(node.body)})"
        yield f"({ast.unparse(node.orelse)})"


def _counted(node: ast.AST) -> Iterator[str]:
    if not isinstance(node, ast.Constant):
        return
    value = node.value
    if isinstance(value, bool):
        yield str(not value)
    elif isinstance(value, int):
        yield str(value + 1)
    elif isinstance(value, float) and value == value and abs(value) != float("inf"):
        yield repr(2 * value if value else 1.0)


def _named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node.attr in SWAPPED:
        yield f"{ast.unparse(ast.Attribute(node.value, SWAPPED[node.attr], node.ctx))}"
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in _FUNCTIONS:
        yield SWAPPED[node.id]


def _called(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "pass"
    if not isinstance(node, ast.Call):
        return
    for left_out in range(len(node.keywords)):
        if node.keywords[left_out].arg is not None:
            kept = [keyword for place, keyword in enumerate(node.keywords) if place != left_out]
            yield ast.unparse(ast.Call(node.func, node.args, kept))
    plain = all(isinstance(argument, ast.Name | ast.Attribute) for argument in node.args[:2])
    asks_for_a_type = isinstance(node.func, ast.Name) and node.func.id in ("isinstance", "getattr", "hasattr")
    if len(node.args) > 1 and plain and not asks_for_a_type:
        swapped = [node.args[1], node.args[0], *node.args[2:]]
        if ast.unparse(swapped[0]) != ast.unparse(swapped[1]):
            yield ast.unparse(ast.Call(node.func, swapped, node.keywords))


_CHANGES: tuple[Callable[[ast.AST], Iterator[str]], ...] = (_compared, _calculated, _decided, _counted, _named, _called)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
