"""The exceptions that convcost raises, and helpers that format their messages.

A message is one line: the place in the file if there is one, what is wrong, the values, and what is allowed. Add a new
exception as a subclass of :class:`ConvcostError`; the command line prints it without a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

import msgspec

MAX_MESSAGE = 1_000
"""Maximum length of one message in characters. A value in a spec can be a million characters long."""


class Where(msgspec.Struct, frozen=True, gc=False):
    """A position in a file, printed as ``file:line:column``. Lines and columns count from 1, as in editors."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class ConvcostError(Exception):
    """Base class of all exceptions that convcost raises deliberately. ``str(error)`` is the message for the user."""


def lines(error: ConvcostError) -> str:
    """The message as the command line prints it: each line begins with ``convcost: error:``."""
    return "\n".join(f"convcost: error: {line}" for line in str(error).split("\n"))


def first_line(error: BaseException) -> str:
    """The type of any exception and the first line of its message: ``ValueError: bad input``."""
    message = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {message}"[:MAX_MESSAGE]


class OpError(ConvcostError):
    """The fields or inputs of an op are invalid. The message names no file or layer; the caller adds them."""


class SourceError(ConvcostError):
    """A SOURCE cannot be found or read."""


class UsageError(ConvcostError):
    """An argument or a command-line option is invalid."""


class MissingExtraError(ConvcostError):
    """A required package is not installed. The message gives the command that installs it."""


class SpecError(ConvcostError):
    """A spec contains one or more mistakes.

    ``problems`` is a tuple of ``(where, layer, message)``; ``where`` and ``layer`` may be None.
    """

    def __init__(self, problems: Iterable[tuple[Where | None, str | None, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problem_line(*problem) for problem in self.problems))


def problem_line(where: Where | None, layer: str | None, message: str) -> str:
    """One mistake as one line: ``file:3:5: layer 'x': message``.

    Characters that cannot be printed are escaped, and the text after the position is cut to MAX_MESSAGE characters.
    """
    place = f"{where}: " if where else ""
    text = f"layer {layer!r}: {message}" if layer else message
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return place + (text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 3] + "...")


def as_written(value: object) -> str:
    """A value in the syntax of a spec, such as ``[3, true, null]``, cut to 60 characters."""
    if isinstance(value, tuple | list):
        text = f"[{', '.join(map(as_written, value[:60]))}]"
    elif value is None or isinstance(value, bool):
        text = "null" if value is None else str(value).lower()
    else:
        text = repr(str(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(word: str, known: Iterable[str]) -> str:
    """A suggestion to append to a message: ``"; did you mean 'conv2d'?"``, or ``""`` if no known word is similar."""
    # Imported here because difflib takes milliseconds to import and is needed only for an error message.
    from difflib import get_close_matches

    # A file can define thousands of names; comparing with 500 is enough and stays fast.
    lowered = {name.lower(): name for name in islice(known, 500)}
    matches = get_close_matches(word.lower()[:100], lowered, n=2, cutoff=0.6)
    if not matches:
        return ""
    return "; did you mean " + " or ".join(repr(lowered[match]) for match in matches) + "?"


def alternatives(word: str, allowed: Iterable[str]) -> str:
    """The end of a message about an unknown word: ``"; did you mean 'macs'? (allowed: params, macs)"``.

    A list of more than 16 words is left out if a word is similar.
    """
    words = tuple(allowed)
    near = nearest(word, words)
    return near if near and len(words) > 16 else f"{near} (allowed: {', '.join(words)})"
