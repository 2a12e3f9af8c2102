"""The options ``--format``, ``--units`` and ``--output``, and functions that write results accordingly."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, TypeVar

import click

from ..errors import UsageError
from ..files import atomic_write
from ..render.formats import FORMATS, formats_of, write
from ..units import STYLES
from .choices import OneOf

F = TypeVar("F", bound=Callable[..., Any])


def format_option(output: type, help: str = "Output format.", files: bool = False) -> Callable[[F], F]:
    """``--format``: the formats that can show this class of output, the first by default; ``files``: with a suffix."""
    names = OneOf(lambda: formats_of(output, files))
    first = formats_of(output, files)[0]
    return click.option("--format", "-f", "format", type=names, default=first, show_default=True, help=help)


def output_options(output: type) -> Callable[[F], F]:
    """``--format``, ``--units``, ``--output``: how this class of output is shown, and where."""

    def add(command: F) -> F:
        for option in (
            click.option("--output", "-o", type=click.Path(dir_okay=False), default=None,
                         help="Write the output to FILE. The file is replaced atomically."),
            click.option("--units", type=click.Choice(STYLES), default="iec", show_default=True,
                         help="Units: KiB and MiB (iec), kB and MB (si), or exact numbers (raw)."),
            format_option(output),
        ):  # fmt: skip
            command = option(command)
        return command

    return add


def form_of(format: str) -> str:
    """The form of output that a format writes, one of ``formats.FORMS``."""
    return FORMATS[format].form


def write_output(output: Any, format: str, units: str, path: str | None) -> None:
    """Write an output in one of its formats to standard output or a file."""
    not_to_a_terminal(format, path)
    with opened(path) as out:
        write(output, format, out, units)


def not_to_a_terminal(format: str, path: str | None) -> None:
    """Refuse to write an HTML page to a terminal.

    Raises:
        UsageError: a page would be written to a terminal.
    """
    if form_of(format) == "page" and path is None and sys.stdout.isatty():
        raise UsageError("an HTML page cannot be written to a terminal; write it to a file: -o page.html")


@contextmanager
def opened(path: str | None) -> Iterator[IO[str]]:
    """Standard output, or a file that is replaced atomically.

    Raises:
        UsageError: it cannot be written.
        SystemExit: with status 0, if the reader of the output has closed it (`| head`).
    """
    try:
        with _standard_output() if path is None else atomic_write(path) as file:
            yield file
    except BrokenPipeError:
        raise SystemExit(0) from None
    except OSError as error:
        name = "the output" if path is None else path or "to a file without a name"
        raise UsageError(f"cannot write {name}: {error.strerror}") from None


@contextmanager
def _standard_output() -> Iterator[IO[str]]:
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        # A character that the terminal cannot show is written as an escape.
        reconfigure(errors="backslashreplace")
    try:
        yield sys.stdout
        sys.stdout.flush()
    except OSError:
        # Otherwise Python would write the rest again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
