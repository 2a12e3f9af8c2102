"""Mistakes in documents that people write, collected with their places: what the readers of all documents share.

A reader derives from ``Problems`` and says in ``where`` what its places are: marks of YAML, keys of TOML, paths in
JSON. A check that two readers need is added here; this file knows nothing of what the documents are about.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from .errors import SpecError, Where, alternatives, as_written
from .yaml_reader import Mapping, Mark, Row, Value, at

Place = TypeVar("Place")


class Problems(Generic[Place]):
    """The mistakes of one document, in the order in which they were seen. ``limit``: after so many, reading stops."""

    limit: int | None = 30

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[tuple[Where | None, str | None, str]] = []

    def where(self, place: Place) -> Where | None:
        """The file, line and column of a place."""
        return place if isinstance(place, Where) else None

    def fail(self, place: Place, message: str) -> None:
        """Note a mistake.

        Raises:
            SpecError: it is one too many; with all mistakes so far.
        """
        self.problems.append((self.where(place), None, message))
        if self.limit is not None and len(self.problems) >= self.limit:
            raise self.error(f"these are the first {self.limit} mistakes in {self.file}; there may be more")

    def error(self, *remarks: str) -> SpecError:
        """All mistakes as one error, sorted by their places, with remarks behind them."""
        by_place = sorted(self.problems, key=lambda problem: (problem[0].line, problem[0].column) if problem[0] else ())
        return SpecError([*by_place, *((None, None, remark) for remark in remarks)])

    def one_of(self, place: Place, what: str, word: object, allowed: Iterable[str]) -> bool:
        """True for a word that is allowed; any other is a mistake, which is told with the nearest allowed one."""
        words = tuple(allowed)
        if word in words:
            return True
        self.fail(place, f"unknown {what} {as_written(word)}{alternatives(str(word), words)}")
        return False


class YamlProblems(Problems[Mark]):
    """The mistakes of a YAML document. The checks of a value give a harmless value where they note a mistake."""

    def where(self, place: Mark) -> Where:
        return at(self.file, place)

    def keys(self, mapping: Mapping, allowed: Iterable[str], what: str) -> None:
        """Every key of ``mapping``, which is ``what``, is one of those allowed."""
        for key in mapping:
            if key not in allowed:
                self.fail(mapping.key_marks[key], f"{what} has no key {key!r}{alternatives(key, allowed)}")

    def text(self, mapping: Mapping, key: str) -> str | None:
        """The text at ``key``; None if there is none."""
        value = mapping.get(key)
        if value is None or isinstance(value, str):
            return value
        self.fail(mapping.marks[key], f"{key} must be a text")
        return None

    def mapping(self, mapping: Mapping, key: str) -> Mapping:
        """The mapping at ``key``; an empty one if there is none."""
        value = mapping.get(key)
        if isinstance(value, Mapping):
            return value
        if value is not None:
            self.fail(mapping.marks[key], f"{key} must be a mapping, 'key: value'")
        return Mapping(mapping.mark)

    def row(self, value: Value, mark: Mark, what: str) -> Row:
        """``value`` if it is a list, else an empty one."""
        if isinstance(value, Row):
            return value
        self.fail(mark, f"{what} must be a list, in brackets or with dashes")
        return Row(mark)
