"""Documents for the terminal, by rich. Colours only where there is a terminal; nothing is cut off when piped."""

from __future__ import annotations

from typing import IO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from .sheet import Document, Line, Paragraph, Sheet, text_of

COLOURS = {
    "conv": "blue", "fc": "red", "attention": "magenta", "norm": "cyan", "activation": "green", "pool": "yellow",
    "other": "", "block": "bold", "total": "bold", "differs": "red", "agrees": "green", "truncated": "yellow",
    "unchecked": "yellow",
    "headline": "bold", "warning": "yellow", "note": "dim",
}  # fmt: skip
_BAR = 6
_EIGHTHS = " ▏▎▍▌▋▊▉█"
PIPED_WIDTH = 400

_CROWDED = 8


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command what a closed pipe means; rich would exit with 1, which here says "differs"."""
        raise  # noqa: PLE0704 (rich calls this where it has caught the error)


def render(document: Document, out: IO[str], units: str = "iec") -> None:
    """Write the document as text tables."""
    terminal = _Console(file=out)
    piped = not terminal.is_terminal
    console = _Console(file=out, width=PIPED_WIDTH, no_color=True, highlight=False) if piped else terminal
    unicode = (console.encoding or "").lower().startswith("utf")
    width = console.width
    for position, part in enumerate(document.parts):
        if position and (isinstance(part, Sheet) or isinstance(document.parts[position - 1], Sheet)):
            console.print()
        if isinstance(part, Paragraph):
            prefix = "warning: " if part.kind == "warning" else ""
            text = Text(prefix + part.text, style=COLOURS.get(part.kind, ""))
            console.print(text, soft_wrap=piped)
        else:
            table = _table(part, units, unicode)
            if _least(console, table) > width:
                table = _table(_without_shares(part), units, unicode)
            # What is still too wide runs over: better broken lines than numbers without their ends.
            console.width = max(width, _least(console, table))
            console.print(table, crop=False)
            console.width = width


def _least(console: Console, table: Table) -> int:
    """The width below which numbers would be cut or words broken."""
    return Measurement.get(console, console.options.update(max_width=10_000), table).minimum


def _without_shares(sheet: Sheet) -> Sheet:
    """The sheet without its percentages: they follow from the numbers, which need the room."""
    kept = [position for position, column in enumerate(sheet.columns) if column.unit != "share"]

    def shorter(line: Line) -> Line:
        return Line(tuple(line.cells[position] for position in kept), line.level, line.kind)

    columns = tuple(sheet.columns[position] for position in kept)
    total = shorter(sheet.total) if sheet.total else None
    return Sheet(sheet.title, columns, tuple(map(shorter, sheet.lines)), total)


def _table(sheet: Sheet, units: str, unicode: bool) -> Table:
    # Many narrow columns fit 80 characters only without extra space between them.
    gap = 0 if len(sheet.columns) > _CROWDED else 1
    table = Table(
        box=SIMPLE_HEAD, title=sheet.title or None, title_justify="left", show_edge=False, padding=(0, gap, 0, 0)
    )
    for column in sheet.columns:
        left = column.bar or column.unit in ("text", "word", "shape")
        # When the terminal is too narrow only texts are broken; a number never is.
        table.add_column(
            column.heading, justify="left" if left else "right", no_wrap=column.unit != "text", overflow="fold"
        )
    lines = (*sheet.lines, sheet.total) if sheet.total else sheet.lines
    for position, line in enumerate(lines):
        cells = []
        for column, value in zip(sheet.columns, line.cells, strict=True):
            if column.bar and value is not None and line.kind != "total":
                cells.append(_bar(*value, unicode=unicode))
            elif column.bar:
                cells.append("")
            else:
                cells.append(text_of(value, column.unit, units))
        # Square brackets would be read as styles.
        cells = [escape(cell) if "[" in cell else cell for cell in cells]
        cells[0] = "  " * line.level + cells[0]
        colour = COLOURS.get(line.kind, "")
        table.add_row(
            *cells,
            style=colour or None,
            end_section=sheet.total is not None and position == len(sheet.lines) - 1,
        )
    return table


def _bar(part: int, whole: int, *, unicode: bool) -> str:
    """A share as a bar of eighths; the smallest share above 0 still shows."""
    eighths = round(8 * _BAR * part / whole) if whole else 0
    if part and not eighths:
        eighths = 1
    if not unicode:
        return "#" * -(-eighths // 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")
