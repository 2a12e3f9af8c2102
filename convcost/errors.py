"""What can go wrong, told for people: one line, its place, what is wrong, the numbers, what is allowed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import msgspec

MAX_MESSAGE = 1_000
"""Characters shown of one message: what a spec holds may be a million long."""


class Where(msgspec.Struct, frozen=True, gc=False):
    """A place in a file, printed ``file:line:column``. Lines and columns count from 1, as editors do."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class ConvcostError(Exception):
    """The root of every error convcost raises on purpose. ``str(error)`` is ready to print."""


def lines(error: ConvcostError) -> str:
    """The error as the command line shows it."""
    return "\n".join(f"convcost: error: {line}" for line in str(error).split("\n"))


def first_line(error: BaseException) -> str:
    """What kind of error somebody else raised, and the first line of its words."""
    words = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {words}"[:MAX_MESSAGE]


class OpError(ConvcostError):
    """An operation refuses its fields or inputs. It knows no file and no layer; whoever has them adds them."""


class SourceError(ConvcostError):
    """A SOURCE that cannot be found or read."""


class UsageError(ConvcostError):
    """A call or an option that makes no sense."""


class MissingExtraError(ConvcostError):
    """A feature needs a package that is not installed; the message names the command that installs it."""


class SpecError(ConvcostError):
    """One or more mistakes in a spec, each with its place.

    ``problems`` holds ``(where, layer, message)``; ``where`` and ``layer`` may be None.
    """

    def __init__(self, problems: Iterable[tuple[Where | None, str | None, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(told(*problem) for problem in self.problems))


def told(where: Where | None, layer: str | None, message: str) -> str:
    """A mistake in one line, its place first if it has one."""
    place = f"{where}: " if where else ""
    text = f"layer {layer!r}: {message}" if layer else message
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return place + (text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 3] + "...")


def as_written(value: object) -> str:
    """A value as a spec writes it, at most 60 characters of it: ``[3, true, null]``."""
    if isinstance(value, tuple | list):
        text = f"[{', '.join(map(as_written, value[:60]))}]"
    elif value is None or isinstance(value, bool):
        text = "null" if value is None else str(value).lower()
    else:
        text = repr(str(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'conv2d'?"``, or nothing where no known spelling is near."""
    # difflib costs milliseconds to import and is wanted only once something is already wrong.
    from difflib import get_close_matches

    # A file may define names by the thousand: the first few hundred must do.
    lowered = {name.lower(): name for name in islice(known, 500)}
    matches = get_close_matches(word.lower()[:100], lowered, n=2, cutoff=0.6)
    if not matches:
        return ""
    return "; did you mean " + " or ".join(repr(lowered[match]) for match in matches) + "?"


def alternatives(word: str, allowed: Iterable[str]) -> str:
    """What stands behind a message about an unknown word: ``"; did you mean 'macs'? (allowed: params, macs)"``.

    A long list is left out where a near spelling is known.
    """
    words = tuple(allowed)
    near = nearest(word, words)
    return near if near and len(words) > 16 else f"{near} (allowed: {', '.join(words)})"
