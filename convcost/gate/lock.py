"""The lock file: the costs of each network as last accepted.

The file is read line by line, so that messages name the line. A change of its format raises ``VERSION``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

import msgspec

from ..errors import SourceError, SpecError, Where
from .lock_text import Lines, digest

VERSION = 1
"""Version of the format. Older versions are refused with the advice to rewrite the file."""

HEAD = "# What each network costs, as last accepted. Written by `convcost check --update`; not to be edited by hand."
END = "end"
UPDATE = "convcost check --update rewrites it"

_HEADING = re.compile(r"\[(.+)\]\Z")
_CONFLICT = ("<<<<<<< ", "||||||| ", ">>>>>>> ")


class NewerLockError(SpecError):
    """A newer version of convcost wrote the lock, so this version must not replace it."""


class Entry(msgspec.Struct, frozen=True):
    """The entry of one source: its lines and its first line number. ``problem``: why it is invalid, or None."""

    lines: Lines
    line: int
    problem: str | None = None


class Lock(msgspec.Struct, frozen=True):
    """The content of a lock file. ``convcost``: the version that wrote it."""

    file: str
    convcost: str
    entries: Mapping[str, Entry]


def text(entries: Mapping[str, Sequence[str]], convcost: str) -> str:
    """The text of a lock file: entries sorted by name, each with its digest."""
    lines = [HEAD, f"version = {VERSION}", f"convcost = {convcost}", ""]
    for name in sorted(entries):
        lines += [f"[{name}]", *entries[name], f"digest = {digest(entries[name])}", ""]
    return "\n".join([*lines, END, ""])


def read(path: str) -> Lock | None:
    """Read a lock file; None if it does not exist.

    Raises:
        SourceError: the file cannot be read.
        NewerLockError: a newer version of convcost wrote it.
        SpecError: it has merge conflicts, another version, or is not a lock; the message has the line and the remedy.
    """
    if not os.path.exists(path):
        return None
    try:
        with open(path, encoding="utf-8") as file:
            lines = file.read().splitlines()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SourceError(f"{path}: the file is not UTF-8 text; {UPDATE}") from None
    for number, line in enumerate(lines, 1):
        if line.startswith(_CONFLICT):
            message = f"unresolved merge conflict ({line[:40].strip()}); merge the networks, then {UPDATE}"
            raise _error(path, number, message)
    start = next((number for number, line in enumerate(lines) if line.strip() and line[0] != "#"), len(lines))
    _check_version(path, lines, start)
    if not lines or lines[-1] != END:
        raise _error(path, len(lines), f"the file is truncated: its last line must be {END!r}; {UPDATE}")
    writer = lines[start + 1].partition(" = ")[2] if len(lines) > start + 1 else ""
    return Lock(path, writer, _entries(lines, start + 2))


def _check_version(path: str, lines: Sequence[str], start: int) -> None:
    if start == len(lines):
        raise _error(path, 1, f"the lock is empty; {UPDATE}")
    key, _, version = lines[start].partition(" = ")
    if key != "version" or not version.isdigit():
        raise _error(path, start + 1, f"a lock begins with 'version = {VERSION}', not {lines[start][:40]!r}; {UPDATE}")
    if int(version) > VERSION:
        message = (
            f"version {version} of the lock is newer than this convcost reads ({VERSION}); pip install -U convcost"
        )
        raise NewerLockError([(Where(path, start + 1, 1), None, message)])
    if int(version) < VERSION:
        raise _error(path, start + 1, f"version {version} of the lock is no longer supported ({VERSION} is); {UPDATE}")


def _error(path: str, line: int, message: str) -> SpecError:
    return SpecError([(Where(path, line, 1), None, message)])


def _entries(lines: Sequence[str], start: int) -> dict[str, Entry]:
    entries: dict[str, Entry] = {}
    position = start
    while position < len(lines):
        heading = _HEADING.match(lines[position])
        position += 1
        if heading is None:
            continue
        begin = position
        while position < len(lines) and lines[position] and not lines[position].startswith("["):
            position += 1
        *body, last = lines[begin:position] or [""]
        problem = None
        if not last.startswith("digest = "):
            problem = f"the entry of {heading.group(1)!r} is truncated"
        elif last != f"digest = {digest(body)}":
            problem = f"the entry of {heading.group(1)!r} was edited by hand (its digest does not match)"
        elif heading.group(1) in entries:
            problem = f"duplicate entry of {heading.group(1)!r}"
        entries[heading.group(1)] = Entry(tuple(body), begin, problem)
    return entries
