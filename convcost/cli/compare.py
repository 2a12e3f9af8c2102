"""The command ``convcost compare``: networks side by side, or the changes between two."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ..analysis import Report
from ..analysis.comparison.compare import Comparison, compare, named_apart
from ..analysis.quantities import BATCHES, quantities
from ..errors import ConvcostError, UsageError, lines
from ..pages import comparison_page_text, measured_document, measurements
from ..render.documents.comparison import comparison_document, comparison_rows
from ..render.sheet import Document
from .choices import Listing, OneOf
from .options import GPU, SOURCE, analysis_options, option_words, profile_of, report_of
from .output import not_to_a_terminal, output_options, write_output

if TYPE_CHECKING:
    from ..analysis.comparison.diff import Diff
    from ..profiles.profile import Profile


class ComparisonOutput(msgspec.Struct, frozen=True):
    """The output of the command; ``command``: the words of the command that generates the page."""

    comparison: Comparison
    reports: Sequence[Report]
    profiles: Sequence[Profile | None]
    command: Sequence[str]

    def document(self) -> Document:
        measured = measured_document(self.reports, self.profiles)
        return Document((*comparison_document(self.comparison).parts, *measured.parts))

    def content(self) -> Comparison:
        return self.comparison

    def rows(self) -> Document:
        return comparison_rows(self.comparison)

    def page(self) -> str:
        return comparison_page_text(self.reports, self.profiles, self.command, compared=self.comparison)


class DifferenceOutput(msgspec.Struct, frozen=True):
    """The output with ``--layers``; ``verbose``: one line per layer."""

    diff: Diff
    verbose: bool
    units: str
    command: Sequence[str]

    def document(self) -> Document:
        from ..render.documents.difference import difference_document

        return difference_document(self.diff, self.verbose, self.units)

    def content(self) -> Diff:
        return self.diff

    def rows(self) -> Document:
        from ..render.documents.difference import difference_rows

        return difference_rows(self.diff)

    def page(self) -> str:
        from ..render.page import difference_page
        from ..version import __version__

        return difference_page(self.diff, self.verbose, self.command, __version__)


@click.command("compare")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...", type=SOURCE)
@click.option("--layers", is_flag=True, help="Compare two networks layer by layer.")
@analysis_options
@click.option(
    "--relative-to",
    default="first",
    show_default=True,
    metavar="first|best|NAME",
    help="The reference for ratios: the first network, the best value of each figure, or the network of this name.",
)
@click.option(
    "--sort",
    cls=Listing,
    type=OneOf(lambda: (*quantities(measured=True), *BATCHES)),
    default=None,
    metavar="QUANTITY",
    help="Sort by this quantity, smallest first: {known}.  [default: the order of the SOURCEs]",
)
@click.option("--reverse", is_flag=True, help="Sort in reverse order, largest first.")
@click.option(
    "--gpu",
    type=GPU,
    default=None,
    metavar="NAME",
    help="Add the largest batches that fit into this GPU (a name from convcost list --gpus, or a hardware file).",
)
@click.option(
    "--verbose",
    "-v",
    is_flag=True,
    help="With --layers: also show the layers inside blocks, and all layers that change as a consequence.",
)
@output_options(ComparisonOutput)
def command(
    sources: tuple[str, ...], layers: bool, batch: int | None, inputs: Any, dtype: str | None, relative_to: str,
    sort: str | None, reverse: bool, gpu: str | None, verbose: bool, format: str, units: str, output: str | None,
) -> None:  # fmt: skip
    """Compare networks side by side: depth, parameters, MACs, FLOPs, memory and published errors.

    With --layers, compare two networks layer by layer: which layers were inserted, removed, changed or moved, and what
    each costs. git:REV:PATH is a spec file in a git revision:

        \b
        convcost compare git:HEAD~1:net.yaml net.yaml --layers

    --format html writes a page; it needs --output.
    """  # noqa: D301 (click reads the backspace: keep these lines as they are)
    not_to_a_terminal(format, output)
    words = option_words(batch, inputs, dtype, False, None)
    if layers:
        if sort or reverse or gpu or relative_to != "first":
            raise UsageError("--sort, --reverse, --relative-to and --gpu are for the table, not for --layers")
        difference = _difference([report_of(source, batch, inputs, dtype) for source in _two(sources)])
        made_by = _command(sources, ["--layers", *words, *(["--verbose"] if verbose else [])], output)
        write_output(DifferenceOutput(difference, verbose, units, made_by), format, units, output)
        return
    if verbose:
        raise UsageError("--verbose goes with --layers")
    reports, profiles, failed = _reports(sources, batch, inputs, dtype)
    reports = named_apart(reports)
    measured = [each.figures if each else {} for each in measurements(profiles)]
    comparison = compare(reports, relative_to=relative_to, sort=sort, reverse=reverse, gpu=gpu, measured=measured)
    words += [] if relative_to == "first" else ["--relative-to", relative_to]
    words += [*(["--sort", sort] if sort else []), *(["--reverse"] if reverse else [])]
    words += ["--gpu", gpu] if gpu else []
    shown = ComparisonOutput(comparison, reports, profiles, _command(sources, words, output))
    write_output(shown, format, units, output)
    if failed:
        raise SystemExit(2)


def _command(sources: tuple[str, ...], words: list[str], output: str | None) -> list[str]:
    """The command that makes a page again."""
    named = os.path.basename(output) if output else "comparison.html"
    return ["convcost", "compare", *sources, *words, "--format", "html", "-o", named]


def _two(sources: tuple[str, ...]) -> tuple[str, ...]:
    if len(sources) != 2:
        raise UsageError(f"--layers takes two sources, the old one and the new one, not {len(sources)}")
    return sources


def _difference(reports: Sequence[Report]) -> Diff:
    from ..analysis.comparison.diff import diff

    before, after = reports
    return diff(before, after)


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
