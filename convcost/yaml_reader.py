"""Reads YAML text as mappings, rows and words with their positions in the file.

The reader walks parse events itself. That is as fast as PyYAML's composer, keeps every mark, refuses what the spec
language has no use for (anchors, aliases, tags, merge keys, duplicate keys), and cannot be driven into the C stack:
PyYAML's C composer recurses and crashes the interpreter on deep nesting, its event parser does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from yaml.reader import Reader

from .errors import SpecError, Where

try:
    from yaml import CLoader as _Parser
except ImportError:  # PyYAML without libyaml: the same events, ten times slower
    from yaml import Loader as _Parser  # type: ignore[assignment]

MAX_BYTES = 1 << 20
MAX_NESTING = 64
MAX_VALUES = 100_000
_SPEC = "a spec"


class Mark(Protocol):
    """A place as PyYAML marks it: line and column from 0."""

    line: int
    column: int


class Mapping(dict[str, "Value"]):
    """A YAML mapping. ``mark`` is its own place; ``key_marks`` and ``marks`` those of its keys and values."""

    __slots__ = ("key_marks", "mark", "marks")

    def __init__(self, mark: Mark) -> None:
        self.mark = mark
        self.key_marks: dict[str, Mark] = {}
        self.marks: dict[str, Mark] = {}


class Row(list["Value"]):
    """A YAML sequence; ``marks`` are the places of its items."""

    __slots__ = ("mark", "marks")

    def __init__(self, mark: Mark) -> None:
        self.mark = mark
        self.marks: list[Mark] = []


Value = str | Mapping | Row
"""Scalars stay the words that were written: ``3.8G``, ``1409.1556``, ``true`` get their meaning where they are used."""


def at(file: str, mark: Mark) -> Where:
    """A mark of PyYAML, which counts from 0, as a place, which counts from 1."""
    return Where(file, mark.line + 1, mark.column + 1)


def read(text: str, file: str, what: str = _SPEC, needs: Sequence[str] = ("name", "input", "layers")) -> Mapping:
    """The mapping that a spec file, or another file of ours, is.

    Args:
        text: the file's content, at most 1 MiB.
        file: how to call it in errors.
        what: what the file is, and ``needs``, keys that it must have, for errors.

    Raises:
        SpecError: not YAML, not a mapping, too large, too deep, or using anchors, aliases, tags or duplicate keys.
    """
    if len(text) > MAX_BYTES:
        raise SpecError([(None, None, f"{file}: the file has {len(text):,} characters; the limit is {MAX_BYTES:,}")])
    try:
        return _EventReader(text, file, what, needs).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = at(file, mark) if mark else Where(file, 1, 1)
        raise SpecError([(where, None, f"this is not YAML: {_plainer(error, text, where)}")]) from None
    except (yaml.YAMLError, UnicodeEncodeError):
        # PyYAML gives no place for a character it refuses.
        found = Reader.NON_PRINTABLE.search(text)
        position = found.start() if found else 0
        where = Where(file, text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position))
        shown = ascii(text[position : position + 1])
        raise SpecError([(where, None, f"this is not YAML: the character {shown} is not allowed")]) from None


_HINTS = {
    "mapping values are not allowed": "a second ':' on one line; write {key: value} in braces, or quote the text",
    "did not find expected ',' or": "a ',' or a closing bracket is missing before here",
    "expected ',' or": "a ',' or a closing bracket is missing before here",
    "could not find expected ':'": "a ':' is missing, or a bracket or a quote is not closed",
    "did not find expected key": "a key is wanted here; look for a wrong indentation or a missing '-' above",
    "expected <block end>": "a key is wanted here; look for a wrong indentation or a missing '-' above",
    "did not find expected '-' indicator": "a '-' is wanted here; look for a wrong indentation above",
    "did not find expected node content": "a value is missing before here",
    "expected the node content": "a value is missing before here",
    "block sequence entries": "a list with dashes begins on a line of its own",
    "sequence entries": "a list with dashes begins on a line of its own",
    "found unexpected end of stream": "a quote is not closed",
    "did not find expected <document start>": "this does not belong here; look for an extra bracket or quote above",
    "expected '<document start>'": "this does not belong here; look for an extra bracket or quote above",
    "did not find expected alphabetic": "'*' and '&' begin aliases and anchors, which a spec cannot contain",
    "expected alphabetic": "'*' and '&' begin aliases and anchors, which a spec cannot contain",
    "found unknown escape character": "a backslash in double quotes; use single quotes",
}
"""What PyYAML's and libyaml's messages mean, in the words of someone who writes a spec."""


def _plainer(error: yaml.MarkedYAMLError, text: str, where: Where) -> str:
    problem = error.problem or error.context or "unreadable"
    lines = text.splitlines()
    if "cannot start any token" in problem and where.line <= len(lines):
        character = lines[where.line - 1][where.column - 1 : where.column]
        return "a tab; indent with spaces" if character == "\t" else f"a value cannot start with {character!r}"
    return next((hint for start, hint in _HINTS.items() if problem.startswith(start)), problem)


class _EventReader:
    def __init__(self, text: str, file: str, what: str, needs: Sequence[str]) -> None:
        self.file = file
        self.what = what
        self.needs = needs
        # PyYAML's own stubs leave events untyped.
        self.next_event: Any = _Parser(text).get_event

    def fail(self, mark: Mark, message: str) -> SpecError:
        return SpecError([(at(self.file, mark), None, message)])

    def document(self) -> Mapping:
        root: Value | None = None
        while True:
            event = self.next_event()
            kind = event.__class__
            if kind is StreamEndEvent:
                break
            if kind is DocumentStartEvent and root is not None:
                raise self.fail(event.start_mark, f"{self.what} is one YAML document; a second one starts here")
            if kind is ScalarEvent or kind is MappingStartEvent or kind is SequenceStartEvent:
                root = self.value(event)
        if root is None or root == "":
            *most, last = self.needs
            message = f"the file is empty; {self.what} needs at least {', '.join(most)} and {last}"
            raise SpecError([(Where(self.file, 1, 1), None, message)])
        if not isinstance(root, Mapping):
            keys = ", ".join(f"'{key}: '" for key in self.needs)
            raise SpecError([(Where(self.file, 1, 1), None, f"{self.what} is a mapping: {keys}")])
        return root

    def value(self, event: Any) -> Value:
        """The value that starts with ``event``; nesting is kept on a list, not on the interpreter's stack."""
        stack: list[Mapping | Row] = []
        pending: list[tuple[str, Mark] | None] = []
        values = 0
        while True:
            kind = event.__class__
            values += 1
            if kind is ScalarEvent:
                if event.anchor is not None or event.tag is not None:
                    raise self.plain(event)
                value: Value = event.value
            elif kind is MappingStartEvent or kind is SequenceStartEvent:
                if event.anchor is not None or event.tag is not None:
                    raise self.plain(event)
                if len(stack) >= MAX_NESTING:
                    raise self.fail(event.start_mark, f"nested deeper than {MAX_NESTING} levels")
                stack.append(Mapping(event.start_mark) if kind is MappingStartEvent else Row(event.start_mark))
                pending.append(None)
                event = self.next_event()
                continue
            elif kind is MappingEndEvent or kind is SequenceEndEvent:
                value = stack.pop()
                pending.pop()
            elif kind is AliasEvent:
                raise self.plain(event)
            else:
                raise self.fail(event.start_mark, "the file ends too early")
            if not stack:
                return value
            if values > MAX_VALUES:
                raise self.fail(event.start_mark, f"more than {MAX_VALUES:,} values in one file")
            mark = event.start_mark if kind is ScalarEvent else value.mark  # type: ignore[union-attr]
            into = stack[-1]
            if into.__class__ is Row:
                into.append(value)
                into.marks.append(mark)
            elif pending[-1] is None:
                self.check_key(into, value, mark)
                pending[-1] = (value, mark)  # type: ignore[assignment]
            else:
                name, key_mark = pending[-1]
                into[name] = value  # type: ignore[call-overload]
                into.key_marks[name] = key_mark  # type: ignore[union-attr]
                into.marks[name] = mark  # type: ignore[call-overload]
                pending[-1] = None
            event = self.next_event()

    def check_key(self, into: Mapping | Row, key: Value, mark: Mark) -> None:
        if not isinstance(key, str):
            raise self.fail(mark, "a key must be a word, not a list or a mapping (an expression in braces? quote it)")
        if key in into:
            raise self.fail(mark, f"the key {key!r} stands here twice")
        if ")" in key and "(" not in key:
            # {width: max(1, 2)} is {width: "max(1", "2)": ""} to YAML.
            raise self.fail(mark, f"before {key!r}: inside {{}} an expression or a text with a comma is quoted")
        if key == "<<":
            raise self.fail(mark, f"merge keys are not part of {self.language()}")

    def plain(self, event: Any) -> SpecError:
        what = (
            "an alias" if isinstance(event, AliasEvent) else "an anchor" if getattr(event, "anchor", None) else "a tag"
        )
        return self.fail(event.start_mark, f"{what} is not part of {self.language()}")

    def language(self) -> str:
        return "the spec language; use a block with parameters" if self.what == _SPEC else self.what
