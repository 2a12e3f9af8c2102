"""The architectures that ship with convcost, found by name without reading more files than needed: ``vgg16``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache, lru_cache

from ..errors import SourceError

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


@cache
def folder() -> str:
    """Where the shipped specs lie: inside an installed package, beside it in a checkout."""
    for candidate in (
        os.path.join(_PACKAGE, "architectures"),
        os.path.join(os.path.dirname(_PACKAGE), "architectures"),
    ):
        if os.path.isdir(candidate):
            return candidate
    raise SourceError("the architectures that ship with convcost are missing; install it again: pip install convcost")


def files() -> list[str]:
    """The shipped spec files, sorted."""
    return sorted(entry.path for entry in os.scandir(folder()) if entry.name.endswith(".yaml"))


def text_of(path: str) -> str:
    """A file's text; a file that has not changed is read once."""
    known = os.stat(path)
    return _text(path, known.st_mtime_ns, known.st_size)


@lru_cache(maxsize=256)
def _text(path: str, changed: int, size: int) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def names_in(text: str) -> tuple[str, ...]:
    """The networks of a shipped spec: its variants, or its name.

    Shipped specs write ``name`` at the start of a line and each variant on its own line, two spaces in (a test holds
    them to it), so that finding a name costs no YAML.
    """
    section = re.search(r"^variants:.*\n((?:(?:[ #].*)?\n)+)", text, re.MULTILINE)
    if section:
        return tuple(re.findall(r"^  (\w+):", section.group(1), re.MULTILINE))
    name = re.search(r"^name: *(\w+)", text, re.MULTILINE)
    return (name.group(1),) if name else ()


def shipped() -> Iterator[tuple[str, str, str | None]]:
    """(name, file, variant or None) of every shipped network, in the order of the files."""
    for path in files():
        text = text_of(path)
        for name in names_in(text):
            yield name, path, name if "\nvariants:" in text else None


def find(name: str) -> tuple[str, str, str | None] | None:
    """(text, file, variant or None) of the shipped network called ``name``, or None."""
    paths = files()
    # The family's file usually begins like its networks: try those first.
    paths.sort(key=lambda path: not os.path.basename(path).startswith(name[:3]))
    for path in paths:
        text = text_of(path)
        if name in text and name in names_in(text):
            return text, path, name if "\nvariants:" in text else None
    return None
