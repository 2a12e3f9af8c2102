"""Values in a spec: a constant, a name, a path, an expression, or a list of them. A new form of value is added here."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import OpError
from ..yaml_reader import Mapping, Row, Value
from .expressions import FUNCTIONS, WORD, WORD_OPERATORS, Expression, Scope, literal, parse

REFERENCE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)+\Z")


class Word(str):
    """A word that no name in scope answers to: an op, a block, a layer or a text; whoever uses it decides."""

    __slots__ = ()


class Constant:
    """A number or a truth value written out."""

    __slots__ = ("fixed",)
    names: tuple[str, ...] = ()

    def __init__(self, fixed: Any) -> None:
        self.fixed = fixed

    def value(self, scope: Scope) -> Any:
        return self.fixed


class NameTerm:
    """A single name: a parameter's value if there is one in scope, else the word itself."""

    __slots__ = ("names", "word")

    def __init__(self, word: str) -> None:
        self.word = Word(word)
        self.names = (word,)

    def value(self, scope: Scope) -> Any:
        return scope.get(self.word, self.word)


class Dotted:
    """A path to an earlier layer, ``down1.skip``."""

    __slots__ = ("word",)
    names: tuple[str, ...] = ()

    def __init__(self, word: str) -> None:
        self.word = Word(word)

    def value(self, scope: Scope) -> Any:
        return self.word


class Items:
    """A row of terms."""

    __slots__ = ("items", "names")

    names: tuple[str, ...]

    def __init__(self, items: tuple[Term, ...]) -> None:
        self.items = items
        self.names = tuple(dict.fromkeys(name for item in items for name in item.names))

    def value(self, scope: Scope) -> tuple[Any, ...]:
        return tuple([item.value(scope) for item in self.items])


Term = Constant | NameTerm | Dotted | Items | Expression


def term(value: Value, fail: Callable[[str], None]) -> Term:
    """Compile a value; ``fail`` is told what is wrong with it, and a harmless constant stands in."""
    if isinstance(value, str):
        found = literal(value)
        if found is not None or value in ("null", "none", "~"):
            return Constant(found)
        if WORD.match(value) and value not in WORD_OPERATORS:
            if value in FUNCTIONS:
                fail(f"{value} is a function; call it as {value}(...)")
                return Constant(1)
            return NameTerm(value)
        if REFERENCE.match(value):
            return Dotted(value)
        try:
            compiled = parse(value)
        except OpError as error:
            fail(str(error) if value else "the value is missing")
            return Constant(1)
        return compiled if compiled.names else _folded(compiled, fail)
    if isinstance(value, Row):
        return _row(tuple(term(item, fail) for item in value))
    assert isinstance(value, Mapping)
    text = ", ".join(f"{key}: {inner}" if isinstance(inner, str) else key for key, inner in value.items())
    fail(f"expected a number, a word or a list, not the mapping {{{text[:60]}}}")
    return Constant(1)


def _row(items: tuple[Term, ...]) -> Term:
    constants = [item.fixed for item in items if isinstance(item, Constant)]
    return Constant(tuple(constants)) if len(constants) == len(items) else Items(items)


def _folded(compiled: Expression, fail: Callable[[str], None]) -> Constant:
    try:
        return Constant(compiled.value({}))
    except OpError as error:
        fail(str(error))
        return Constant(1)


_WHOLE = re.compile(r"-?[0-9]+\Z")


def verbatim(value: Value) -> Term:
    """A value as it stands: numbers keep their kind (2.0 is no 2), and what is no number or truth value is a text."""
    if isinstance(value, Row):
        return _row(tuple(verbatim(item) for item in value))
    if not isinstance(value, str):
        return Constant(str(value))
    if value in ("true", "false", "null"):
        return Constant(literal(value))
    if WORD.match(value) and value not in WORD_OPERATORS and value not in ("inf", "nan"):
        return NameTerm(value)
    try:
        return Constant(int(value) if _WHOLE.match(value) else float(value))
    except ValueError:
        return Constant(value)


def words(term: Term) -> Iterator[str]:
    """The names that stand alone in ``term``: they may also be ops, blocks, layers or texts."""
    if isinstance(term, NameTerm):
        yield term.word
    elif isinstance(term, Items):
        for item in term.items:
            yield from words(item)
