"""JSON text that is not trusted, to values of the types that are wanted; what is wrong is told with its place."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ..errors import SourceError, SpecError, Where


def decoded(content: bytes, kind: Any, file: str, at: str) -> Any:
    """JSON text as ``kind``, a type that msgspec knows.

    Args:
        at: place of the text in the file, ``network.nodes[2].fields``; "" for the whole file.

    Raises:
        SourceError: the text is not valid JSON, or not complete.
        SpecError: the value is not of type ``kind``; the message has the place.
    """
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        place = f"{at}{path.rstrip('`')}".lstrip(".").replace("[...]", "")
        raise mistake(file, place, _words(problem)) from None
    except msgspec.DecodeError as error:
        raise _malformed(content, str(error), file) from None
    except UnicodeDecodeError:
        raise SourceError(f"{file}: the file is not UTF-8 text") from None
    except RecursionError:
        raise SourceError(f"{file}: the JSON is nested too deeply") from None


_KINDS = {"int": "a whole number", "str": "a text", "bool": "true or false", "array": "a list", "object": "a mapping",
          "float": "a number", "null": "null"}  # fmt: skip


def _words(problem: str) -> str:
    """msgspec's "Expected `int | null`, got `str`" in plain words."""

    def kinds(match: re.Match[str]) -> str:
        return " or ".join(_KINDS.get(kind, kind) for kind in match.group(1).split(" | "))

    missing = re.fullmatch(r"Object missing required field `(\w+)`", problem)
    if missing:
        return f"the key {missing.group(1)!r} is missing"
    return re.sub(r"`([\w| ]+)`", kinds, problem[:1].lower() + problem[1:])


def _malformed(content: bytes, problem: str, file: str) -> SourceError:
    if not content.strip():
        return SourceError(f"{file}: the file is empty")
    if "truncated" in problem:
        return SourceError(f"{file}: the file ends in the middle, after {len(content):,} bytes; it is not complete")
    found = re.search(r"\(byte (\d+)\)", problem)
    before = content[: int(found.group(1))] if found else b""
    where = Where(file, before.count(b"\n") + 1, len(before) - before.rfind(b"\n"))
    said = problem.removeprefix("JSON is malformed: ").partition(" (byte")[0]
    return SourceError(f"{where}: not valid JSON: {said}")


def mistake(file: str, place: str, message: str) -> SpecError:
    """What is wrong at a place in a JSON file."""
    return SpecError([(None, None, f"{file}: {place}: {message}" if place else f"{file}: {message}")])
