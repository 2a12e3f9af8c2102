"""Documents for a terminal, by rich: colours, and lines broken to its width."""

from __future__ import annotations

from typing import IO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from ..sheet import Document, Paragraph, Sheet
from .grid import Grid, paragraph, spark_line, without_shares

COLOURS = {
    "conv": "blue", "fc": "red", "attention": "magenta", "norm": "cyan", "activation": "green", "pool": "yellow",
    "other": "", "block": "bold", "total": "bold", "differs": "red", "agrees": "green", "truncated": "yellow",
    "unchecked": "yellow",
    "inserted": "green", "removed": "red", "changed": "yellow", "moved": "cyan", "resized": "dim",
    "headline": "bold", "error": "red", "warning": "yellow", "note": "dim",
}  # fmt: skip


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command what a closed pipe means; rich would exit with 1, which here says "differs"."""
        raise  # noqa: PLE0704 (rich calls this where it has caught the error)


def show(document: Document, out: IO[str], units: str) -> None:
    """Write the document."""
    console = _Console(file=out)
    unicode = (console.encoding or "").lower().startswith("utf")
    width = console.width
    for position, part in enumerate(document.parts):
        if document.apart(position):
            console.print()
        if isinstance(part, Paragraph):
            console.print(Text(paragraph(part), style=COLOURS.get(part.kind, "")))
        elif isinstance(part, Sheet):
            grid = Grid(part, units, unicode)
            if grid.least > width:
                grid = Grid(without_shares(part), units, unicode)
            # What is still too wide runs over: better broken lines than numbers without their ends.
            console.width = max(width, grid.least)
            console.print(_table(grid, console.width), crop=False)
            console.width = width
        elif unicode:
            console.print(Text(spark_line(part)), soft_wrap=True)


def _table(grid: Grid, width: int) -> Table:
    """The table for a console of this width."""
    sheet = grid.sheet
    table = Table(
        box=SIMPLE_HEAD,
        title=sheet.title or None,
        title_justify="left",
        show_edge=False,
        padding=(0, grid.gap, 0, 0),
    )
    for column, natural in zip(sheet.columns, grid.widths, strict=True):
        fixed = grid.natural <= width or column.unit != "text"
        table.add_column(
            column.heading,
            justify="left" if grid.is_left(column) else "right",
            no_wrap=column.unit != "text",
            overflow="fold",
            width=natural if fixed else None,
        )
    last = len(sheet.lines) - 1
    for position, (line, cells) in enumerate(zip(grid.lines, grid.rows, strict=True)):
        # Square brackets would be read as styles.
        shown = [escape(cell) if "[" in cell else cell for cell in cells]
        for best in line.best:
            shown[best] = f"[bold green]{shown[best]}[/]"
        apart = sheet.total is not None and position == last
        table.add_row(*shown, style=COLOURS.get(line.kind) or None, end_section=apart)
    return table
