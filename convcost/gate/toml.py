"""TOML with line numbers: the values that ``tomllib`` returns, and the line of each key for messages."""

from __future__ import annotations

import re
import sys
from typing import Any

from ..errors import SpecError, Where
from ..files import content_of, decoded

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_WORD = r"""(?:"[^"\n]*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_HEADER = re.compile(rf"\s*\[\[?\s*({_WORD}(?:\s*\.\s*{_WORD})*)\s*\]")
_KEY = re.compile(rf"\s*({_WORD}(?:\s*\.\s*{_WORD})*)\s*=")
_PLACE = re.compile(r"(.*) \(at line (\d+), column (\d+)\)\Z", re.DOTALL)

Path = tuple[str, ...]

MAX_BYTES = 4 << 20


class Toml:
    """A TOML file: its ``values``, and the location of each key (``where``).

    Raises:
        SourceError: the file cannot be read, or is larger than ``MAX_BYTES``.
        SpecError: the file is not valid TOML; the error has the line and column.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.text = decoded(content_of(path, MAX_BYTES), path, "settings", MAX_BYTES)
        try:
            self.values: dict[str, Any] = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            match = _PLACE.match(str(error))
            last = str(max(1, len(self.text.splitlines())))
            message, line, column = match.groups() if match else (str(error), last, "1")
            raise SpecError([(Where(path, int(line), int(column)), None, f"not valid TOML: {message}")]) from None
        self.lines = _lines(self.text)

    def where(self, *path: str, text: str | None = None) -> Where:
        """The location of a key, or of a quoted ``text`` in its value; else of the nearest enclosing table."""
        for length in range(len(path), 0, -1):
            line = self.lines.get(path[:length])
            if line is not None:
                return Where(self.path, self._line_with(text, line) if text and length == len(path) else line, 1)
        return Where(self.path, 1, 1)

    def _line_with(self, text: str, line: int) -> int:
        for number, content in enumerate(self.text.splitlines()[line - 1 :], line):
            if f'"{text}"' in content or f"'{text}'" in content:
                return number
        return line


def _lines(text: str) -> dict[Path, int]:
    lines: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _path(header.group(1))
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *_path(key.group(1))), number)
    return lines


def _path(text: str) -> Path:
    return tuple(word.strip("\"'") for word in re.findall(_WORD, text))
