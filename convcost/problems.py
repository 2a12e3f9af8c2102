"""Base classes of the readers of documents, which collect mistakes with their locations.

A reader derives from ``Problems`` and converts its locations (marks of YAML, keys of TOML, paths of JSON) in ``where``.
A check that several readers need is added here; what the documents mean belongs to their readers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from .errors import SpecError, Where, alternatives, as_written
from .yaml_reader import Mapping, Mark, Row, Value, at

Place = TypeVar("Place")


class Problems(Generic[Place]):
    """The mistakes of one document, in order of discovery. Reading stops after ``limit`` mistakes; None: never."""

    limit: int | None = 30

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[tuple[Where | None, str | None, str]] = []

    def where(self, place: Place) -> Where | None:
        """The file, line and column of a location."""
        return place if isinstance(place, Where) else None

    def fail(self, place: Place, message: str) -> None:
        """Record a mistake.

        Raises:
            SpecError: ``limit`` is reached; the error has all mistakes so far.
        """
        self.problems.append((self.where(place), None, message))
        if self.limit is not None and len(self.problems) >= self.limit:
            raise self.error(f"these are the first {self.limit} mistakes in {self.file}; there may be more")

    def error(self, *remarks: str) -> SpecError:
        """All mistakes as one error, sorted by location and followed by the remarks."""
        by_place = sorted(self.problems, key=lambda problem: (problem[0].line, problem[0].column) if problem[0] else ())
        return SpecError([*by_place, *((None, None, remark) for remark in remarks)])

    def one_of(self, place: Place, noun: str, word: object, allowed: Iterable[str]) -> bool:
        """True if ``word`` is allowed; otherwise record a mistake that suggests the nearest allowed word."""
        words = tuple(allowed)
        if word in words:
            return True
        self.fail(place, f"unknown {noun} {as_written(word)}{alternatives(str(word), words)}")
        return False


class YamlProblems(Problems[Mark]):
    """The mistakes of a YAML document. A check that records a mistake returns an empty value, and reading goes on."""

    def where(self, place: Mark) -> Where:
        return at(self.file, place)

    def keys(self, mapping: Mapping, allowed: Iterable[str], noun: str) -> None:
        """Record each key of ``mapping`` that is not allowed; ``noun`` names the mapping in messages."""
        for key in mapping:
            if key not in allowed:
                self.fail(mapping.key_marks[key], f"{noun} has no key {key!r}{alternatives(key, allowed)}")

    def text(self, mapping: Mapping, key: str) -> str | None:
        """The string at ``key``; None if the key is missing."""
        value = mapping.get(key)
        if value is None or isinstance(value, str):
            return value
        self.fail(mapping.marks[key], f"{key} must be a string")
        return None

    def mapping(self, mapping: Mapping, key: str) -> Mapping:
        """The mapping at ``key``; an empty one if the key is missing."""
        value = mapping.get(key)
        if isinstance(value, Mapping):
            return value
        if value is not None:
            self.fail(mapping.marks[key], f"{key} must be a mapping, 'key: value'")
        return Mapping(mapping.mark)

    def row(self, value: Value, mark: Mark, noun: str) -> Row:
        """``value`` if it is a list, else an empty list."""
        if isinstance(value, Row):
            return value
        self.fail(mark, f"{noun} must be a list, in brackets or with dashes")
        return Row(mark)
