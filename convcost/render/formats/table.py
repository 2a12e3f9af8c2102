"""Documents as text: on a terminal with colours and to its width, by rich; elsewhere plain, as wide as they are."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import IO

from ..sheet import Document, Paragraph, Sheet
from .grid import Grid, cell_len, paragraph, spark_line


def render(document: Document, out: IO[str], units: str = "iec") -> None:
    """Write the document as text tables."""
    if _is_terminal(out):
        from .terminal import show  # 25 ms that only a terminal pays

        show(document, out, units)
        return
    unicode = (getattr(out, "encoding", None) or "utf-8").lower().startswith("utf")
    for position, part in enumerate(document.parts):
        if document.apart(position):
            out.write("\n")
        if isinstance(part, Sheet):
            out.writelines(f"{line}\n" for line in _lines(Grid(part, units, unicode), unicode))
        elif isinstance(part, Paragraph):
            out.write(paragraph(part) + "\n")
        elif unicode:
            out.write(spark_line(part) + "\n")


def _is_terminal(out: IO[str]) -> bool:
    """As rich sees it: two variables of the environment overrule what the file says."""
    compatible, forced = os.environ.get("TTY_COMPATIBLE"), os.environ.get("FORCE_COLOR")
    if compatible in ("0", "1"):
        return compatible == "1"
    return out.isatty() if forced is None else forced != ""


def _lines(grid: Grid, unicode: bool) -> Iterator[str]:
    sheet, widths = grid.sheet, [width + grid.gap for width in grid.widths]
    between, dash, cross = (" ", "─", "─") if unicode else ("|", "-", "+")
    rule = cross.join(dash * width for width in widths)

    def line(cells: Sequence[str]) -> str:
        texts = []
        for column, cell, width in zip(sheet.columns, cells, grid.widths, strict=True):
            space = " " * (width - cell_len(cell))
            texts.append((cell + space if grid.is_left(column) else space + cell) + " " * grid.gap)
        return between.join(texts)

    if sheet.title:
        yield sheet.title + " " * (len(rule) - cell_len(sheet.title))
    yield line([column.heading for column in sheet.columns])
    yield rule
    for position, cells in enumerate(grid.rows):
        if position == len(sheet.lines):  # the total
            yield " " * len(rule) if unicode else rule
        yield line(cells)
