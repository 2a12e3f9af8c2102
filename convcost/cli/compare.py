"""The command ``convcost compare``."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..analysis import Report
from ..analysis.compare import compare
from ..analysis.quantities import BATCHES, QUANTITIES, quantities
from ..errors import ConvcostError, UsageError, lines
from ..render import FORMATS, render
from .options import GPU, SOURCE, analysis_options, opened, output_options, report_of


@click.command("compare")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...", type=SOURCE)
@click.option(
    "--layers", is_flag=True, help="Of two networks: what changes from the first to the second, layer by layer."
)
@analysis_options
@click.option(
    "--relative-to",
    default="first",
    show_default=True,
    metavar="first|best|NAME",
    help="What ratios are taken against: the first network, the best of each figure, or one by its name.",
)
@click.option(
    "--sort", type=click.Choice((*QUANTITIES, *BATCHES)), default=None, help="Smallest first; without it, as given."
)
@click.option("--reverse", is_flag=True, help="The other way round: largest first.")
@click.option(
    "--gpu",
    type=GPU,
    default=None,
    metavar="NAME",
    help="Add the largest batches that fit this GPU of convcost list --gpus, or hardware file.",
)
@click.option("--verbose", "-v", is_flag=True, help="With --layers: the layers inside of blocks, and all that follows.")
@output_options(FORMATS)
def command(
    sources: tuple[str, ...], layers: bool, batch: int | None, inputs: Any, dtype: str | None, relative_to: str,
    sort: str | None, reverse: bool, gpu: str | None, verbose: bool, format: str, units: str, output: str | None,
) -> None:  # fmt: skip
    """Networks side by side: depth, parameters, MACs, FLOPs, memory, published errors, and where they are.

    With --layers, the way from one network to another: which layers are inserted, removed, changed and moved, and what
    each of them costs. git:REV:PATH is a spec as it was in a revision:

        \b
        convcost compare git:HEAD~1:net.yaml net.yaml --layers
    """  # noqa: D301 (click reads the backspace: keep these lines as they are)
    if layers:
        if sort or reverse or gpu or relative_to != "first":
            raise UsageError("--sort, --reverse, --relative-to and --gpu are for the table, not for --layers")
        _layers(sources, (batch, inputs, dtype), verbose, format, units, output)
        return
    if verbose:
        raise UsageError("--verbose goes with --layers")
    reports, failed = _reports(sources, batch, inputs, dtype)
    found = compare(reports, relative_to=relative_to, sort=sort, reverse=reverse, gpu=gpu)
    with opened(output) as out:
        if format == "json":
            out.write(found.to_json() + "\n")
        else:
            from ..render.comparison import document, flat

            render((flat if format == "csv" else document)(found, quantities(gpu)), format, out, units)
    if failed:
        raise SystemExit(2)


def _reports(
    sources: tuple[str, ...], batch: int | None, inputs: Any, dtype: str | None
) -> tuple[list[Report], list[str]]:
    """The report of each source, and the sources that have none: each stops only itself, unless it is the only one."""
    reports, failed = [], []
    for source in sources:
        try:
            reports.append(report_of(source, batch, inputs, dtype))
        except ConvcostError as error:
            failed.append(source)
            if len(failed) == len(sources):
                raise
            print(lines(error), file=sys.stderr)
    return reports, failed


def _layers(
    sources: tuple[str, ...], settings: tuple[Any, ...], verbose: bool, format: str, units: str, output: str | None
) -> None:
    from ..analysis.diff import diff

    if len(sources) != 2:
        raise UsageError(f"--layers takes two sources, the old one and the new one, not {len(sources)}")
    found = diff(*(report_of(source, *settings) for source in sources))
    with opened(output) as out:
        if format == "json":
            out.write(found.to_json() + "\n")
        else:
            from ..render.difference import document, flat

            render(flat(found) if format == "csv" else document(found, verbose, units), format, out, units)
