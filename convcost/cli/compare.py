"""The command ``convcost compare``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import click

from ..analysis import Report
from ..analysis.comparison.compare import Comparison, compare, named_apart
from ..analysis.quantities import BATCHES, quantities
from ..errors import ConvcostError, UsageError, lines
from ..pages import Series, comparison_charts, measured_document, measurements, throughput_of
from ..render import FORMATS, render
from ..render.sheet import Document
from .options import (
    GPU,
    SOURCE,
    Listing,
    OneOf,
    analysis_options,
    not_to_a_terminal,
    opened,
    option_words,
    output_options,
    profile_of,
    report_of,
)

if TYPE_CHECKING:
    from ..profiles.profile import Profile


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
    "--sort",
    cls=Listing,
    type=OneOf(lambda: (*quantities(measured=True), *BATCHES)),
    default=None,
    metavar="QUANTITY",
    help="Smallest first; without it, as given. Of {known}.",
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
@output_options((*FORMATS, "html"))
def command(
    sources: tuple[str, ...], layers: bool, batch: int | None, inputs: Any, dtype: str | None, relative_to: str,
    sort: str | None, reverse: bool, gpu: str | None, verbose: bool, format: str, units: str, output: str | None,
) -> None:  # fmt: skip
    """Networks side by side: depth, parameters, MACs, FLOPs, memory, published errors, and where they are.

    With --layers, the way from one network to another: which layers are inserted, removed, changed and moved, and what
    each of them costs. git:REV:PATH is a spec as it was in a revision:

        \b
        convcost compare git:HEAD~1:net.yaml net.yaml --layers

    --format html is a page for a file.
    """  # noqa: D301 (click reads the backspace: keep these lines as they are)
    if layers:
        if sort or reverse or gpu or relative_to != "first":
            raise UsageError("--sort, --reverse, --relative-to and --gpu are for the table, not for --layers")
        _layers(sources, batch, inputs, dtype, verbose, format, units, output)
        return
    if verbose:
        raise UsageError("--verbose goes with --layers")
    if format == "html":
        not_to_a_terminal(output)
    reports, profiles, failed = _reports(sources, batch, inputs, dtype)
    reports = named_apart(reports)
    times = measurements(profiles)
    own = [each.figures if each else {} for each in times]
    found = compare(reports, relative_to=relative_to, sort=sort, reverse=reverse, gpu=gpu, measured=own)
    with opened(output) as out:
        if format == "html":
            words = option_words(batch, inputs, dtype, False, None)
            words += [] if relative_to == "first" else ["--relative-to", relative_to]
            words += [*(["--sort", sort] if sort else []), *(["--reverse"] if reverse else [])]
            words += ["--gpu", gpu] if gpu else []
            out.write(
                _page(
                    found,
                    throughput_of(reports, profiles),
                    measured_document(reports, profiles),
                    _command(sources, words, output),
                )
            )
        elif format == "json":
            out.write(found.to_json() + "\n")
        else:
            from ..render.documents.comparison import document, flat

            shown = flat(found) if format == "csv" else document(found)
            if format != "csv":
                shown = Document((*shown.parts, *measured_document(reports, profiles).parts))
            render(shown, format, out, units)
    if failed:
        raise SystemExit(2)


def _command(sources: tuple[str, ...], words: list[str], output: str | None) -> list[str]:
    """The command that makes a page again."""
    named = os.path.basename(output) if output else "comparison.html"
    return ["convcost", "compare", *sources, *words, "--format", "html", "-o", named]


def _page(found: Comparison, throughput: Series, measured: Document, command: list[str]) -> str:
    from ..render.page import Assets, comparison_page, plotly_js
    from ..version import __version__

    charts = comparison_charts(found.reports, throughput)
    return comparison_page(
        found.reports, command, Assets(plotly=plotly_js()), __version__, None, charts, found, measured
    )  # fmt: skip


def _reports(
    sources: tuple[str, ...], batch: int | None, inputs: Any, dtype: str | None
) -> tuple[list[Report], list[Profile | None], list[str]]:
    """The report of each source, its saved profile if it is one, and the sources that have none.

    Each stops only itself, unless it is the only one.
    """
    reports, profiles, failed = [], [], []
    for source in sources:
        try:
            profile = profile_of(source)
            reports.append(report_of(source, batch, inputs, dtype, profile=profile))
            profiles.append(profile)
        except ConvcostError as error:
            failed.append(source)
            if len(failed) == len(sources):
                raise
            print(lines(error), file=sys.stderr)
    return reports, profiles, failed


def _layers(
    sources: tuple[str, ...], batch: int | None, inputs: Any, dtype: str | None, verbose: bool, format: str,
    units: str, output: str | None,
) -> None:  # fmt: skip
    from ..analysis.comparison.diff import diff

    if format == "html":
        not_to_a_terminal(output)
    if len(sources) != 2:
        raise UsageError(f"--layers takes two sources, the old one and the new one, not {len(sources)}")
    found = diff(*(report_of(source, batch, inputs, dtype) for source in sources))
    with opened(output) as out:
        if format == "html":
            from ..render.page import difference_page
            from ..version import __version__

            words = ["--layers", *option_words(batch, inputs, dtype, False, None), *(["--verbose"] if verbose else [])]
            out.write(difference_page(found, verbose, _command(sources, words, output), __version__))
        elif format == "json":
            out.write(found.to_json() + "\n")
        else:
            from ..render.documents.difference import document, flat

            render(flat(found) if format == "csv" else document(found, verbose, units), format, out, units)
