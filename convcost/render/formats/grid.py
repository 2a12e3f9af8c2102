"""A sheet as text cells with the widths of its columns, and values drawn as letters: what text tables are made of."""

from __future__ import annotations

from collections.abc import Sequence

from ..sheet import Column, Curve, Line, Paragraph, Sheet, text_of

_BAR = 6
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_HEIGHTS = " ▁▂▃▄▅▆▇█"
MAX_SPARK = 32

_CROWDED = 8
_CONTROL = dict.fromkeys((*range(32), *range(127, 160))) | {ord("\n"): " "}


class Grid:
    """A sheet's cells as text, and how wide its columns are.

    rich gets the widths too: it would otherwise render every cell once to measure it and once to show it.
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

    @staticmethod
    def is_left(column: Column) -> bool:
        """Words stand at the left, numbers at the right."""
        return column.bar or column.unit in ("text", "word", "shape")


def cell_len(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len as measured

    return measured(text)


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
    return [harmless(cell) for cell in cells]


def harmless(text: str) -> str:
    """A text on one line, without letters that a terminal obeys: names and titles come from files."""
    return text if text.isprintable() else text.translate(_CONTROL)


def paragraph(part: Paragraph) -> str:
    """The text of a paragraph, line by line as harmless."""
    return "\n".join(map(harmless, part.marked.split("\n")))


def without_shares(sheet: Sheet) -> Sheet:
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
    return harmless(f"{curve.label:<13}{spark(curve.values)}  {curve.said}".rstrip())


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
