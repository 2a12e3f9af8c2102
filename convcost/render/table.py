"""Documents for the terminal, by rich. Colours only where there is a terminal; nothing is cut off when piped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import IO

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from .sheet import Curve, Document, Line, Paragraph, Sheet, text_of

COLOURS = {
    "conv": "blue", "fc": "red", "attention": "magenta", "norm": "cyan", "activation": "green", "pool": "yellow",
    "other": "", "block": "bold", "total": "bold", "differs": "red", "agrees": "green", "truncated": "yellow",
    "unchecked": "yellow",
    "inserted": "green", "removed": "red", "changed": "yellow", "moved": "cyan", "resized": "dim",
    "headline": "bold", "error": "red", "warning": "yellow", "note": "dim",
}  # fmt: skip
_BAR = 6
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_HEIGHTS = " ▁▂▃▄▅▆▇█"
MAX_SPARK = 32
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
        before = document.parts[position - 1] if position else part
        apart = isinstance(part, Sheet) or (isinstance(part, Paragraph) and part.kind == "headline")
        if type(part) is not type(before) or (apart and position):
            console.print()
        if isinstance(part, Paragraph):
            prefix = "warning: " if part.kind == "warning" else ""
            text = Text(prefix + part.text, style=COLOURS.get(part.kind, ""))
            console.print(text, soft_wrap=piped)
        elif isinstance(part, Curve):
            if unicode:
                console.print(Text(spark_line(part)), soft_wrap=True)
        else:
            grid = _Grid(part, units, unicode)
            if grid.least > width:
                grid = _Grid(_without_shares(part), units, unicode)
            # What is still too wide runs over: better broken lines than numbers without their ends.
            console.width = max(width, grid.least)
            console.print(grid.table(console.width), crop=False)
            console.width = width


class _Grid:
    """A sheet's cells as text, and how wide its columns are.

    The widths are worked out here and handed to rich, which would otherwise render every cell once to measure it and
    once to show it.
    """

    def __init__(self, sheet: Sheet, units: str, unicode: bool) -> None:
        self.sheet = sheet
        self.lines = (*sheet.lines, sheet.total) if sheet.total else sheet.lines
        self.rows = [_cells(sheet, line, units, unicode) for line in self.lines]
        # Many narrow columns fit 80 characters only without extra space between them.
        self.gap = 0 if len(sheet.columns) > _CROWDED else 1
        columns = list(zip([column.heading for column in sheet.columns], *self.rows, strict=True))
        self.widths = [max(map(cell_len, cells)) for cells in columns]
        between = (1 + self.gap) * len(columns)
        self.natural = sum(self.widths) + between
        # A text may be broken between its words, anything else may not.
        self.least = between + sum(
            max(cell_len(word) for cell in cells for word in (cell.split() or [""])) if column.unit == "text" else width
            for column, cells, width in zip(sheet.columns, columns, self.widths, strict=True)
        )

    def table(self, width: int) -> Table:
        """The table for a console of this width."""
        sheet = self.sheet
        table = Table(
            box=SIMPLE_HEAD,
            title=sheet.title or None,
            title_justify="left",
            show_edge=False,
            padding=(0, self.gap, 0, 0),
        )
        for column, natural in zip(sheet.columns, self.widths, strict=True):
            left = column.bar or column.unit in ("text", "word", "shape")
            fixed = self.natural <= width or column.unit != "text"
            table.add_column(
                column.heading,
                justify="left" if left else "right",
                no_wrap=column.unit != "text",
                overflow="fold",
                width=natural if fixed else None,
            )
        last = len(sheet.lines) - 1
        for position, (line, cells) in enumerate(zip(self.lines, self.rows, strict=True)):
            # Square brackets would be read as styles.
            shown = [escape(cell) if "[" in cell else cell for cell in cells]
            for best in line.best:
                shown[best] = f"[bold green]{shown[best]}[/]"
            apart = sheet.total is not None and position == last
            table.add_row(*shown, style=COLOURS.get(line.kind) or None, end_section=apart)
        return table


def _cells(sheet: Sheet, line: Line, units: str, unicode: bool) -> list[str]:
    cells = []
    for column, value in zip(sheet.columns, line.cells, strict=True):
        if not column.bar:
            cells.append(text_of(value, column.unit, units))
        elif value is None or line.kind == "total":
            cells.append("")
        else:
            cells.append(_bar(*value, unicode=unicode))
    cells[0] = "  " * line.level + cells[0]
    return cells


def _without_shares(sheet: Sheet) -> Sheet:
    """The sheet without its percentages: they follow from the numbers, which need the room."""
    kept = [position for position, column in enumerate(sheet.columns) if column.unit != "share"]

    def shorter(line: Line) -> Line:
        best = tuple(number for number, position in enumerate(kept) if position in line.best)
        return Line(tuple(line.cells[position] for position in kept), line.level, line.kind, best)

    columns = tuple(sheet.columns[position] for position in kept)
    total = shorter(sheet.total) if sheet.total else None
    return Sheet(sheet.title, columns, tuple(map(shorter, sheet.lines)), total)


def spark_line(curve: Curve) -> str:
    """A curve as one line: ``MACs   ▁█▄█  largest in conv1_2``."""
    return f"{curve.label:<13}{spark(curve.values)}  {curve.said}".rstrip()


def spark(values: Sequence[int]) -> str:
    """Values as letters of eight heights, of which each stands for the largest of a few where there are many."""
    few = -(-len(values) // MAX_SPARK) if values else 1
    shown = [max(values[start : start + few]) for start in range(0, len(values), few)]
    most = max(shown, default=0)
    # What is there at all shows: the lowest letter is not a blank.
    return "".join(_HEIGHTS[-(-8 * value // most)] if value else " " for value in shown)


def _bar(part: int, whole: int, *, unicode: bool) -> str:
    """A share as a bar of eighths; the smallest share above 0 still shows."""
    eighths = round(8 * _BAR * part / whole) if whole else 0
    if part and not eighths:
        eighths = 1
    if not unicode:
        return "#" * -(-eighths // 8)
    full, rest = divmod(eighths, 8)
    return "█" * full + (_EIGHTHS[rest] if rest else "")
