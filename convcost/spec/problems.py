"""The mistakes of a spec file, collected so that all of them are told at once."""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import SpecError, Where, nearest
from ..yaml_reader import Mapping, Mark, Row, Value, at
from .expressions import WORD

MAX_NAME = 60
MAX_PROBLEMS = 30


class Problems:
    """Collects mistakes with their places; has the checks that every part of a spec needs."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.found: list[tuple[Where | None, str | None, str]] = []

    def fail(self, mark: Mark, message: str) -> None:
        self.found.append((at(self.file, mark), None, message))
        if len(self.found) >= MAX_PROBLEMS:
            raise self.error(f"these are the first {MAX_PROBLEMS} mistakes in {self.file}; there may be more")

    def error(self, *remarks: str) -> SpecError:
        found = sorted(self.found, key=lambda problem: (problem[0].line, problem[0].column) if problem[0] else (0, 0))
        return SpecError([*found, *((None, None, remark) for remark in remarks)])

    def keys(self, mapping: Mapping, allowed: Iterable[str], what: str) -> None:
        for key in mapping:
            if key not in allowed:
                self.fail(
                    mapping.key_marks[key],
                    f"{what} has no key {key!r}{nearest(key, allowed)} (allowed: {', '.join(allowed)})",
                )

    def text(self, mapping: Mapping, key: str) -> str | None:
        value = mapping.get(key)
        if value is None or isinstance(value, str):
            return value
        self.fail(mapping.marks[key], f"{key} must be a text")
        return None

    def mapping(self, mapping: Mapping, key: str) -> Mapping:
        value = mapping.get(key)
        if isinstance(value, Mapping):
            return value
        if value is not None:
            self.fail(mapping.marks[key], f"{key} must be a mapping, 'key: value'")
        return Mapping(mapping.mark)

    def row(self, value: Value, mark: Mark, what: str) -> Row:
        if isinstance(value, Row):
            return value
        self.fail(mark, f"{what} must be a list, in brackets or with dashes")
        return Row(mark)

    def is_name(self, name: str, mark: Mark) -> bool:
        """Refuse what cannot be a name."""
        if WORD.match(name) and len(name) <= MAX_NAME and name != "previous":
            return True
        rule = f"names have letters a-z, A-Z, digits and _, begin with no digit and are {MAX_NAME} characters at most"
        reserved = "'previous' is what arrives at a layer" if name == "previous" else rule
        self.fail(mark, f"{name[:MAX_NAME]!r} cannot be a name: {reserved}")
        return False
