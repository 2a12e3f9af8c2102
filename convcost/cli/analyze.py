"""The command ``convcost analyze``: the cost of one network, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ..analysis.conventions import CONVENTIONS
from ..errors import UsageError
from ..render.documents.analysis import (
    DEFAULT_COLUMNS,
    TIMES,
    analysis_document,
    column_keys,
    layer_sheet,
    ranked,
    sortable,
)
from ..render.sheet import Document
from .choices import Listing, OneOf
from .options import (
    SOURCE,
    analysis_options,
    memory_options,
    option_words,
    report_of,
    roofline_of,
    roofline_options,
    setup_of,
)
from .output import form_of, output_options, write_output

if TYPE_CHECKING:
    from ..analysis import Report
    from ..analysis.memory import Memory
    from ..analysis.roofline import LayerBound, Roofline


class AnalysisOutput(msgspec.Struct, frozen=True):
    """The output of the command: a report, with memory and roofline if requested.

    ``depth``, ``columns``, ``sort``, ``top``, ``plain`` and ``units`` shape its tables. ``source``, ``words`` and
    ``output`` are the command line, which the page prints.
    """

    report: Report
    memory: Memory | None
    roofline: Roofline | None
    depth: int | None
    columns: tuple[str, ...]
    sort: str | None
    top: int | None
    convention: str | None
    plain: bool
    units: str
    source: str
    words: Sequence[str]
    output: str | None

    @property
    def bounds(self) -> Sequence[LayerBound]:
        """The layers of the roofline, whose times are sort keys."""
        return self.roofline.layers if self.roofline else ()

    def document(self) -> Document:
        report, units, plain = self.report, self.units, self.plain
        shown = analysis_document(
            report, self.depth, self.columns, self.sort, self.top, self.convention, units, plain, self.bounds
        )
        parts = list(shown.parts)
        if self.memory is not None:
            from ..render.documents.memory import memory_parts

            parts += memory_parts(self.memory, units, plain=plain)
        if self.roofline is not None:
            from ..render.documents.roofline import roofline_parts

            order = ranked(report, self.sort, self.top, self.bounds) if self.sort or self.top else None
            parts += roofline_parts(self.roofline, units, self.depth, order, plain)
        return Document(tuple(parts))

    def content(self) -> dict[str, Any]:
        records = {"memory": self.memory, "roofline": self.roofline}
        added = {key: record.to_dict() for key, record in records.items() if record is not None}
        return {**self.report.to_dict(self.convention), **added}

    def rows(self) -> Document:
        """One row per layer, with the roofline's columns appended; by default all quantities."""
        raw = tuple(key for key in column_keys() if not key.endswith("%"))
        columns = raw if self.columns == DEFAULT_COLUMNS else self.columns
        sheet = layer_sheet(self.report, None, columns, self.sort, self.top, flat=True, bounds=self.bounds)
        if self.roofline is not None:
            from ..render.documents.roofline import with_bounds

            sheet = with_bounds(sheet, self.roofline)
        return Document((sheet,))

    def page(self) -> str:
        from ..pages import Subject, page_text

        subject = Subject(self.source, self.report, self.roofline)
        return page_text([subject], self.words, self.convention, output=self.output)


@click.command("analyze")
@click.argument("source", type=SOURCE)
@analysis_options
@click.option("--train", is_flag=True, help="Analyse the network in training mode.")
@click.option(
    "--memory", is_flag=True, help="Add peak memory and what it consists of; with --train, for a training step."
)
@memory_options
@roofline_options
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    default=None,
    help="Show blocks below this level as one row.  [default: so that the table has at most 60 rows]",
)
@click.option(
    "--columns",
    cls=Listing,
    type=OneOf(column_keys, several=True),
    default=",".join(DEFAULT_COLUMNS),
    metavar="KEYS",
    help="Columns, separated by commas: {known}.",
)
@click.option(
    "--sort", type=OneOf(lambda: (*sortable(), *TIMES)), default=None,
    help="Sort layers by this column, largest first, without nesting; times need --gpu.",
)  # fmt: skip
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=None,
    help="Show the first N layers in the order of --sort (default: macs).",
)
@click.option(
    "--convention",
    type=click.Choice(tuple(CONVENTIONS)),
    default=None,
    help="Also print the total under another tool's convention.",
)
@click.option("--plain", is_flag=True, help="Omit bars and curves.")
@click.option("--strict", is_flag=True, help="Exit with status 1 if an operation has no cost rule.")
@output_options(AnalysisOutput)
def command(
    source: str, batch: int | None, inputs: Any, dtype: str | None, train: bool, memory: bool, optimizer: str | None,
    checkpoint: bool, accumulate: int, gpu: str | None, tf32: bool | None, depth: int | None,
    columns: tuple[str, ...], sort: str | None, top: int | None, convention: str | None, plain: bool, strict: bool,
    format: str, units: str, output: str | None,
) -> None:  # fmt: skip
    """Show what SOURCE costs, layer by layer. All figures are exact.

    The output has, for each layer, output size, parameters, multiply-accumulates (MACs) and activation memory; then
    the breakdown by group (conv, fc, ...), totals, and published figures compared with the computed ones.
    """
    _refuse(form_of(format), memory, depth, sort, top)
    setup = setup_of(train, optimizer, checkpoint, accumulate)
    report = report_of(source, batch, inputs, dtype, train)
    roofline = roofline_of(report, gpu, tf32)
    account = None
    if memory or optimizer or checkpoint or accumulate > 1:
        from ..analysis.memory import Memory, Setup  # imported here because it takes 20 ms

        account = Memory(report, Setup(**setup))
    words = option_words(batch, inputs, dtype, train, convention, gpu, tf32)
    shown = AnalysisOutput(
        report, account, roofline, depth, columns, sort, top, convention, plain, units, source, words, output
    )
    write_output(shown, format, units, output)
    if strict and report.coverage.unmodelled:
        raise SystemExit(1)


def _refuse(form: str, memory: bool, depth: int | None, sort: str | None, top: int | None) -> None:
    """Refuse options that do not apply to a form of output.

    Raises:
        UsageError: there is one.
    """
    if form == "page" and (sort or top or depth):
        raise UsageError("--depth, --sort and --top apply to the table, not to the page")
    if form == "content" and (sort or top or depth):
        raise UsageError("--depth, --sort and --top apply to the table; JSON always has all layers in order")
    if form == "rows" and depth:
        raise UsageError("--depth applies to the table; CSV has one row per layer")
    if form == "rows" and memory:
        raise UsageError("CSV has one row per layer and does not include memory; use another format")
