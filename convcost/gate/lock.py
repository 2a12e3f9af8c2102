"""The lock file: what each network costs, as last accepted. It is read line by line, so that a message has its line."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

import msgspec

from ..errors import SourceError, SpecError, Where
from .lock_text import Lines, digest

VERSION = 1
"""Version of the lock's form. A new one reads the old ones, or says that they must be written anew."""

HEAD = "# What each network costs, as last accepted. Written by `convcost check --update`; not to be edited by hand."
END = "end"
UPDATE = "convcost check --update writes it anew"

_HEADING = re.compile(r"\[(.+)\]\Z")
_CONFLICT = ("<<<<<<< ", "||||||| ", ">>>>>>> ")


class NewerLockError(SpecError):
    """A later version of convcost wrote the lock: nothing of ours may replace it."""


class Entry(msgspec.Struct, frozen=True):
    """One source's entry: its lines, and the line that it begins on. ``problem``: why it cannot be trusted."""

    lines: Lines
    line: int
    problem: str | None = None


class Lock(msgspec.Struct, frozen=True):
    """A lock that was read. ``convcost``: the version that wrote it."""

    file: str
    convcost: str
    entries: Mapping[str, Entry]


def text(entries: Mapping[str, Sequence[str]], convcost: str) -> str:
    """A lock as text: entries sorted by name, each with its digest."""
    lines = [HEAD, f"version = {VERSION}", f"convcost = {convcost}", ""]
    for name in sorted(entries):
        lines += [f"[{name}]", *entries[name], f"digest = {digest(entries[name])}", ""]
    return "\n".join([*lines, END, ""])


def read(path: str) -> Lock | None:
    """The lock in a file; None if there is no such file.

    Raises:
        SourceError: it cannot be read.
        NewerLockError: a later version of convcost wrote it.
        SpecError: it is in conflict, of another version, or no lock at all; with the line and what to do.
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
            message = f"an unresolved merge conflict ({line[:40].strip()}); merge the networks, then {UPDATE}"
            raise _error(path, number, message)
    start = next((number for number, line in enumerate(lines) if line.strip() and line[0] != "#"), len(lines))
    _check_version(path, lines, start)
    if not lines or lines[-1] != END:
        raise _error(path, len(lines), f"the file ends too early: its last line must be {END!r}; {UPDATE}")
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
        raise _error(path, start + 1, f"version {version} of the lock is not read any more ({VERSION} is); {UPDATE}")


def _error(path: str, line: int, message: str) -> SpecError:
    return SpecError([(Where(path, line, 1), None, message)])


def _entries(lines: Sequence[str], start: int) -> dict[str, Entry]:
    found: dict[str, Entry] = {}
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
            problem = f"the entry of {heading.group(1)!r} is cut off"
        elif last != f"digest = {digest(body)}":
            problem = f"the entry of {heading.group(1)!r} was edited by hand (its digest does not fit)"
        elif heading.group(1) in found:
            problem = f"the entry of {heading.group(1)!r} stands here twice"
        found[heading.group(1)] = Entry(tuple(body), begin, problem)
    return found
