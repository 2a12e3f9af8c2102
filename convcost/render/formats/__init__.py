"""Output formats: one row each in ``FORMATS``. A command offers those that can write what it has to show.

What a command shows is an *output*: a class with a method for each form that the output has.

| form | what the method gives |
|---|---|
| ``document`` | a ``Document`` of sentences, tables and curves |
| ``content`` | what JSON holds: a dict, or a record with ``to_dict()`` and ``to_json()`` |
| ``rows`` | a ``Document`` whose first sheet has one line for each record, with all of its values |
| ``page`` | an HTML page as text |
| ``picture`` | an SVG picture as text |
| ``findings`` | the ``CheckReport`` of ``convcost check`` |

A format writes one of these forms: ``render(shown, out, units)`` writes ``shown`` to the text file ``out``, with
numbers in one of ``units.STYLES``. The formats of convcost are modules of this package, imported when they are used.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import IO, Any

import msgspec

from ...errors import UsageError, alternatives

FORMS = ("document", "content", "rows", "page", "picture", "findings")

Render = Callable[[Any, IO[str], str], None]


class Format(msgspec.Struct, frozen=True):
    """A row of the table of formats.

    ``form``: of ``FORMS``, what it writes. ``writer``: the function that writes it; None: ``render`` of the module of
    the format's name. ``suffix``: of a file in this format; without one, ``convcost report`` does not offer it.
    """

    name: str
    form: str
    writer: Render | None = None
    suffix: str = ""

    def render(self, shown: Any, out: IO[str], units: str = "iec") -> None:
        """Write what an output's method ``form`` has given."""
        write = self.writer or import_module(f".{self.name}", __name__).render
        write(shown, out, units)


def _as_it_is(text: str, out: IO[str], units: str) -> None:
    out.write(text)


FORMATS = {
    row.name: row
    for row in (
        Format("table", "document"),
        Format("markdown", "document", suffix=".md"),
        Format("json", "content"),
        Format("csv", "rows"),
        Format("html", "page", _as_it_is, ".html"),
        Format("svg", "picture", _as_it_is, ".svg"),
        Format("github", "findings"),
        Format("junit", "findings"),
    )
}
"""The formats by name. ``register_format`` adds to them."""


def register_format(name: str, render: Render, form: str = "document", suffix: str = "") -> None:
    """Add a format, which every command then offers that has this form.

    Args:
        name: what ``--format`` calls it.
        render: ``render(shown, out, units)`` writes ``shown``, which has the ``form``, to the text file ``out``.
        form: of ``FORMS``.
        suffix: of a file in this format, such as ".rst"; with one, ``convcost report`` offers the format too.

    Raises:
        UsageError: there is no such form.
    """
    if form not in FORMS:
        raise UsageError(f"unknown form {form!r}{alternatives(form, FORMS)}")
    FORMATS[name] = Format(name, form, render, suffix)


def formats_of(output: type, files: bool = False) -> tuple[str, ...]:
    """The names of the formats that can show an output, in the order of its methods; ``files``: with a suffix only."""
    return tuple(
        row.name for form in vars(output) for row in FORMATS.values() if row.form == form and (row.suffix or not files)
    )


def write(output: Any, name: str, out: IO[str], units: str = "iec") -> None:
    """Write an output in the format of this name, which must be one of ``formats_of`` its class."""
    row = FORMATS[name]
    row.render(getattr(output, row.form)(), out, units)
