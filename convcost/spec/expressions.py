"""Expressions in a spec: ``2 * in_channels``, ``4 if deep else 2``, ``make_divisible(32 * width)``.

A new function is a row in ``FUNCTIONS``; a new operator, one in ``_BINARY`` or ``_COMPARE``.

Python's own parser gives the syntax tree (``_ast`` alone: importing ``ast`` would cost 5 ms), a table of allowed nodes
turns it into closures, and nothing is ever ``eval``ed.
"""

from __future__ import annotations

import _ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from math import ceil, floor
from typing import Any

import msgspec

from ..errors import OpError, as_written, nearest

MAX_LENGTH = 200
MAX_TERMS = 30
LIMIT = 10**12

WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_INTEGER = re.compile(r"-?[0-9]{1,12}\Z")
_TOKEN = re.compile(
    r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?![\w.])|(?<![\w.])[A-Za-z_][A-Za-z0-9_]*(?!\w)|[-+*/%()<>=!,]"
)
_PARSE_ONLY = 0x400  # PyCF_ONLY_AST

Scope = Mapping[str, Any]
Compiled = Callable[[Scope], Any]


def make_divisible(value: float, by: int = 8) -> int:
    """The nearest multiple of ``by``, not below 90 % of ``value``: the rule of the MobileNet code."""
    if by < 1 or by != int(by):
        raise OpError(f"make_divisible: 'by' must be a whole number >= 1, not {by}")
    rounded = max(by, int(value + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * value else rounded


FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int | None]] = {
    "min": (min, 2, None),
    "max": (max, 2, None),
    "ceil": (ceil, 1, 1),
    "floor": (floor, 1, 1),
    "round": (round, 1, 1),
    "make_divisible": (make_divisible, 1, 2),
}
"""Each function, and how many numbers it takes: at least and at most."""
CONSTANTS: dict[str, Any] = {"true": True, "false": False, "null": None, "none": None}
WORD_OPERATORS = ("and", "or", "not", "if", "else")

_BINARY: dict[type, Callable[[Any, Any], Any]] = {
    _ast.Add: operator.add,
    _ast.Sub: operator.sub,
    _ast.Mult: operator.mul,
    _ast.Div: operator.truediv,
    _ast.FloorDiv: operator.floordiv,
    _ast.Mod: operator.mod,
}
_COMPARE: dict[type, Callable[[Any, Any], bool]] = {
    _ast.Eq: operator.eq,
    _ast.NotEq: operator.ne,
    _ast.Lt: operator.lt,
    _ast.LtE: operator.le,
    _ast.Gt: operator.gt,
    _ast.GtE: operator.ge,
}


class Expression(msgspec.Struct, frozen=True, eq=False):
    """A compiled expression: ``value(scope)`` evaluates it, ``names`` are the names it reads."""

    text: str
    compiled: Compiled
    names: tuple[str, ...]

    def value(self, scope: Scope) -> Any:
        """The number or truth value. Raises OpError with the expression's text."""
        try:
            result = self.compiled(scope)
        except ZeroDivisionError:
            raise OpError(f"{self.text!r} divides by zero") from None
        except (TypeError, ValueError, OverflowError):
            values = ", ".join(f"{name} = {as_written(scope.get(name))}" for name in self.names)
            raise OpError(f"{self.text!r} cannot be calculated" + (f" with {values}" if values else "")) from None
        if isinstance(result, float) and result.is_integer() and abs(result) < LIMIT:
            return int(result)
        return result


def literal(text: str) -> Any:
    """The integer or constant that ``text`` is, else None (``null`` is not asked for here)."""
    if _INTEGER.match(text):
        return int(text)
    return CONSTANTS.get(text)


@lru_cache(maxsize=2048)
def parse(text: str) -> Expression:
    """Compile ``text``.

    Raises:
        OpError: not an expression of the language, or longer or deeper than its limits.
    """
    if len(text) > MAX_LENGTH:
        raise OpError(f"an expression has {len(text):,} characters; the limit is {MAX_LENGTH}: {text[:40]!r}...")
    strange = _TOKEN.sub("", text).strip()
    if not strange.isascii():
        raise OpError(f"{text!r}: names are made of the letters a-z, A-Z, digits and _")
    try:
        # Python would read, and warn of, more than the language has: 1if, 0x10, 1_000, texts in quotes.
        tree: Any = None if strange else compile(text.strip(), "", "eval", _PARSE_ONLY)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        tree = None
    if tree is None:
        quoted = "" if text.count("(") == text.count(")") else "; inside {} and [] an expression with a comma is quoted"
        raise OpError(f"{text!r} is neither a number, a name nor an expression{quoted}")
    names: list[str] = []
    return Expression(text, _build(tree.body, text, names, 0), tuple(dict.fromkeys(names)))


def _build(node: Any, text: str, names: list[str], depth: int) -> Compiled:
    if depth > MAX_TERMS:
        raise OpError(f"an expression nests more than {MAX_TERMS} terms: {text[:40]!r}...")
    builder = _BUILDERS.get(node.__class__)
    if builder is None:
        raise OpError(f"{text!r} uses {node.__class__.__name__.lower()}, which is not part of the spec language")
    return builder(node, text, names, depth + 1)


def _constant(node: Any, text: str, names: list[str], depth: int) -> Compiled:
    value = node.value
    if isinstance(value, bool) or value is None:
        raise OpError(f"{text!r}: {value} is written {'null' if value is None else str(value).lower()}")
    _bounded(value, text)
    return lambda scope: value


def _name(node: Any, text: str, names: list[str], depth: int) -> Compiled:
    name = node.id
    if name in CONSTANTS:
        value = CONSTANTS[name]
        return lambda scope: value
    names.append(name)

    def look(scope: Scope) -> Any:
        try:
            return scope[name]
        except KeyError:
            raise OpError(unknown_name(name, scope)) from None

    return look


def _binary(node: Any, text: str, names: list[str], depth: int) -> Compiled:
    apply = _BINARY.get(node.op.__class__)
    if apply is None:
        raise OpError(f"{text!r}: allowed between numbers are + - * / // %")
    left, right = (_build(side, text, names, depth) for side in (node.left, node.right))

    def run(scope: Scope) -> Any:
        return _bounded(apply(_number(left(scope), text), _number(right(scope), text)), text)

    return run


def _unary(node: Any, text: str, names: list[str], depth: int) -> Compiled:
    operand = _build(node.operand, text, names, depth)
    if isinstance(node.op, _ast.Not):
        return lambda scope: not operand(scope)
    if isinstance(node.op, _ast.USub):
        return lambda scope: -_number(operand(scope), text)
    raise OpError(f"{text!r}: the only signs are - and not")


def _compare(node: Any, text: str, names: list[str], depth: int) -> Compiled:
    if any(op.__class__ not in _COMPARE for op in node.ops):
        raise OpError(f"{text!r}: the comparisons are == != < <= > >=")
    operators = [_COMPARE[op.__class__] for op in node.ops]
    operands = [_build(part, text, names, depth) for part in (node.left, *node.comparators)]

    def run(scope: Scope) -> bool:
        left = operands[0](scope)
        for apply, operand in zip(operators, operands[1:], strict=True):
            right = operand(scope)
            if not apply(left, right):
                return False
            left = right
        return True

    return run


def _boolean(node: Any, text: str, names: list[str], depth: int) -> Compiled:
    parts = [_build(part, text, names, depth) for part in node.values]
    wanted = all if isinstance(node.op, _ast.And) else any
    return lambda scope: wanted(part(scope) for part in parts)


def _choice(node: Any, text: str, names: list[str], depth: int) -> Compiled:
    test, then, other = (_build(part, text, names, depth) for part in (node.test, node.body, node.orelse))
    return lambda scope: then(scope) if test(scope) else other(scope)


def _call(node: Any, text: str, names: list[str], depth: int) -> Compiled:
    name = getattr(node.func, "id", None)
    if name not in FUNCTIONS:
        hint = nearest(name, FUNCTIONS) if name else ""
        raise OpError(f"{text!r}: the functions are {', '.join(FUNCTIONS)}{hint}")
    if any(keyword.arg != "by" or name != "make_divisible" for keyword in node.keywords):
        raise OpError(f"{text!r}: {name} has no such argument")
    function, least, most = FUNCTIONS[name]
    given = len(node.args) + len(node.keywords)
    if given < least or (most is not None and given > most):
        wanted = (
            f"{least} or more numbers" if most is None else "1 number" if most == 1 else f"{least} or {most} numbers"
        )
        raise OpError(f"{text!r}: {name} takes {wanted}, got {given}")
    arguments = [_build(argument, text, names, depth) for argument in node.args]
    keywords = {keyword.arg: _build(keyword.value, text, names, depth) for keyword in node.keywords}

    def run(scope: Scope) -> Any:
        numbers = [_number(argument(scope), text) for argument in arguments]
        named = {key: _number(value(scope), text) for key, value in keywords.items()}
        return _bounded(function(*numbers, **named), text)

    return run


_BUILDERS: dict[type, Callable[[Any, str, list[str], int], Compiled]] = {
    _ast.Constant: _constant,
    _ast.Name: _name,
    _ast.BinOp: _binary,
    _ast.UnaryOp: _unary,
    _ast.Compare: _compare,
    _ast.BoolOp: _boolean,
    _ast.IfExp: _choice,
    _ast.Call: _call,
}


def _number(value: Any, text: str) -> Any:
    if isinstance(value, int | float):
        return value
    kind = f"the word {str(value)!r}" if isinstance(value, str) else "null" if value is None else "a list or a layer"
    raise OpError(f"{text!r}: a number is expected, not {kind}")


def _bounded(value: Any, text: str) -> Any:
    if not -LIMIT < value < LIMIT:
        raise OpError(f"{text!r} is outside the range of numbers in a spec (below 10^12)")
    return value


def unknown_name(name: str, known: Iterable[str]) -> str:
    """The message for a name that nothing defines here."""
    return f"unknown name {name!r}{nearest(name, known)}"
