"""The command ``convcost analyze``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..analysis.conventions import CONVENTIONS
from ..errors import UsageError
from ..render import FORMATS, render
from ..render.documents.analysis import DEFAULT_COLUMNS, TIMES, column_keys, document, layer_sheet, ranked, sortable
from ..render.sheet import Document
from .options import (
    SOURCE,
    Listing,
    OneOf,
    analysis_options,
    memory_options,
    not_to_a_terminal,
    opened,
    option_words,
    output_options,
    report_of,
    roofline_of,
    roofline_options,
    setup_of,
)

if TYPE_CHECKING:
    from ..analysis import Report
    from ..analysis.memory import Memory
    from ..analysis.roofline import Roofline


@click.command("analyze")
@click.argument("source", type=SOURCE)
@analysis_options
@click.option("--train", is_flag=True, help="Count as in training: dropout works, batch norm makes statistics.")
@click.option("--memory", is_flag=True, help="The bill of memory at its peak, over time; with --train of a step.")
@memory_options
@roofline_options
@click.option(
    "--depth",
    type=click.IntRange(min=1),
    default=None,
    help="Fold blocks below this level.  [default: what fits 60 lines]",
)
@click.option(
    "--columns",
    cls=Listing,
    type=OneOf(column_keys, several=True),
    default=",".join(DEFAULT_COLUMNS),
    metavar="KEYS",
    help="Columns, separated by commas, of: {known}.",
)
@click.option(
    "--sort", type=OneOf(lambda: (*sortable(), *TIMES)), default=None,
    help="Largest first, without nesting; the times need --gpu.",
)  # fmt: skip
@click.option("--top", type=click.IntRange(min=1), default=None, help="Only so many layers, by --sort (default macs).")
@click.option(
    "--convention",
    type=click.Choice(tuple(CONVENTIONS)),
    default=None,
    help="Add the total as others print it.",
)
@click.option("--plain", is_flag=True, help="No bars and no curves.")
@click.option("--strict", is_flag=True, help="Exit with 1 if an operation is not modelled.")
@output_options((*FORMATS, "html"))
def command(
    source: str, batch: int | None, inputs: Any, dtype: str | None, train: bool, memory: bool, optimizer: str | None,
    checkpoint: bool, accumulate: int, gpu: str | None, tf32: bool | None, depth: int | None,
    columns: tuple[str, ...], sort: str | None, top: int | None, convention: str | None, plain: bool, strict: bool,
    format: str, units: str, output: str | None,
) -> None:  # fmt: skip
    """The exact account of SOURCE, layer by layer.

    Per layer: output size, parameters, multiply-accumulates and activation memory, then the breakdown by group (conv,
    fc, ...), the totals, published figures with verdicts, and what the numbers mean.
    """
    _refuse(format, memory, depth, sort, top)
    setup = setup_of(train, optimizer, checkpoint, accumulate)
    report = report_of(source, batch, inputs, dtype, train)
    roofline = roofline_of(report, gpu, tf32)
    account = None
    if memory or optimizer or checkpoint or accumulate > 1:
        from ..analysis.memory import Memory, Setup  # 20 ms that only who asks for it pays

        account = Memory(report, Setup(**setup))
    if format == "html":
        from ..pages import Subject, text_of

        not_to_a_terminal(output)
        words = option_words(batch, inputs, dtype, train, convention, gpu, tf32)
        with opened(output) as out:
            out.write(text_of([Subject(source, report, roofline)], words, convention, output=output))
    elif format == "json":
        with opened(output) as out:
            out.write(report.to_json(convention, memory=account, roofline=roofline) + "\n")
    else:
        if format == "csv":
            shown = _csv(report, columns, sort, top, roofline)
        else:
            bounds = roofline.layers if roofline else ()
            shown = document(report, depth, columns, sort, top, convention, units, plain, bounds)
            order = ranked(report, sort, top, bounds) if sort or top else None
            shown = _with_accounts(shown, account, roofline, units, depth, order, plain)
        with opened(output) as out:
            render(shown, format, out, units)
    if strict and report.coverage.unmodelled:
        raise SystemExit(1)


def _refuse(format: str, memory: bool, depth: int | None, sort: str | None, top: int | None) -> None:
    """Options that a format has no use for.

    Raises:
        UsageError: there is one.
    """
    if format == "html" and (sort or top or depth):
        raise UsageError("--depth, --sort and --top shape the table; the page sorts and folds by itself")
    if format == "json" and (sort or top or depth):
        raise UsageError("--depth, --sort and --top shape the table; the JSON always holds every layer in order")
    if format == "csv" and depth:
        raise UsageError("--depth folds the table; CSV has one row for each layer and none for blocks")
    if format == "csv" and memory:
        raise UsageError("CSV has one row for each layer; the account of memory is in the other formats")


def _with_accounts(
    shown: Document, memory: Memory | None, roofline: Roofline | None, units: str, depth: int | None,
    order: list[int] | None, plain: bool,
) -> Document:  # fmt: skip
    """The document with those of memory and time behind it."""
    parts = list(shown.parts)
    if memory is not None:
        from ..render.documents.memory import parts as of_memory

        parts += of_memory(memory, units, plain=plain)
    if roofline is not None:
        from ..render.documents.roofline import parts as of_roofline

        parts += of_roofline(roofline, units, depth, order, plain)
    return Document(tuple(parts))


def _csv(
    report: Report, columns: tuple[str, ...], sort: str | None, top: int | None, roofline: Roofline | None
) -> Document:
    """One row for each layer, with the roofline's columns behind the others."""
    bounds = roofline.layers if roofline else ()
    sheet = layer_sheet(report, None, _csv_columns(columns), sort, top, flat=True, bounds=bounds)
    if roofline is not None:
        from ..render.documents.roofline import with_bounds

        sheet = with_bounds(sheet, roofline)
    return Document((sheet,))


def _csv_columns(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Every quantity, unless columns were chosen."""
    return tuple(key for key in column_keys() if not key.endswith("%")) if columns == DEFAULT_COLUMNS else columns
