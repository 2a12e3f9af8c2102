"""The command ``convcost report``."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ..analysis import Report
from ..analysis.conventions import CONVENTIONS
from ..errors import ConvcostError, UsageError
from .options import (
    SOURCE,
    analysis_options,
    measurements,
    named_apart,
    opened,
    profile_of,
    report_of,
    roofline_of,
    roofline_options,
)

if TYPE_CHECKING:
    from ..analysis.roofline import Roofline
    from ..profiles.records import Profile
    from ..render.charts import Chart
    from ..render.charts.memory import Run
    from ..render.page import Assets
    from ..render.sheet import Document

PICTURES = ("layers", "split", "bubble", "depth", "totals")
SUFFIXES = {"html": ".html", "markdown": ".md", "svg": ".svg"}


@click.command("report")
@click.argument("sources", nargs=-1, type=SOURCE, required=True, metavar="SOURCE...")
@analysis_options
@roofline_options
@click.option("--train", is_flag=True, help="Count as in training: dropout works, batch norm makes statistics.")
@click.option(
    "--convention",
    type=click.Choice(tuple(CONVENTIONS)),
    default=None,
    help="Add the total as others print it.",
)
@click.option("--format", "-f", "format", type=click.Choice(tuple(SUFFIXES)), default="html", show_default=True,
              help="A page; what a repository would commit; or a picture.")  # fmt: skip
@click.option("--chart", type=click.Choice(PICTURES), default=None,
              help="What the picture shows. Of one network: layers (default), split; of several: bubble (default), "
                   "depth, totals.")  # fmt: skip
@click.option("--assets", metavar="FOLDER", default=None,
              help="Keep style and scripts in this folder beside the pages, which share them.")  # fmt: skip
@click.option("--output", "-o", type=click.Path(), default=None,
              help="Write to this file, at once or not at all; in a folder, a file for each SOURCE and an index.",
              )  # fmt: skip
def command(
    sources: tuple[str, ...], batch: int | None, inputs: Any, dtype: str | None, gpu: str | None, tf32: bool | None,
    train: bool, convention: str | None, format: str, chart: str | None, assets: str | None, output: str | None,
) -> None:  # fmt: skip
    """One self-contained page about SOURCE, or about several side by side.

    The page works without a network: headline, charts, breakdown, an architecture diagram to open and click, the table
    of layers to sort and filter, published figures with verdicts, and the command that makes it again.
    """
    alone = len(sources) == 1
    subjects = [_subject(source, batch, inputs, dtype, train, gpu, tf32, alone) for source in sources]
    if assets and (output is None or format != "html"):
        raise UsageError("--assets is a folder beside an HTML page: it needs --output")
    if chart and format != "svg":
        raise UsageError("--chart chooses a picture: it needs --format svg")
    if format == "html":
        not_to_a_terminal(output)
    words = option_words(batch, inputs, dtype, train, convention, gpu, tf32)
    if output is not None and (os.path.isdir(output) or output.endswith(os.sep)):
        _into_folder(subjects, words, convention, format, assets, output, chart)
        return
    if gpu is not None and len(subjects) > 1:
        raise UsageError("--gpu adds the roofline of one network; several go into a folder: -o pages/")
    named_apart([subject.report for subject in subjects])
    text = text_of(subjects, words, convention, format, assets, output, chart)
    with opened(output) as out:
        out.write(text)
    if assets and output:
        _write_assets(os.path.join(os.path.dirname(output), assets))


class Subject(NamedTuple):
    """What a page is about: a SOURCE and its report, the roofline if one was asked for, the profile if it is one."""

    source: str
    report: Report
    roofline: Roofline | None = None
    profile: Profile | None = None


def _subject(
    source: str, batch: int | None, inputs: Any, dtype: str | None, train: bool, gpu: str | None, tf32: bool | None,
    alone: bool,
) -> Subject:  # fmt: skip
    profile = profile_of(source)
    if profile is not None and alone and not (batch or dtype or inputs):
        last = next((run.setting for run in reversed(profile.measured) if run.layers), None)
        if last is not None:  # so that the times of layers stand beside the figures of the same setting
            batch, dtype = last.batch, last.dtype
    report = report_of(source, batch, inputs, dtype, train)
    return Subject(source, report, roofline_of(report, gpu, tf32), profile)


def not_to_a_terminal(output: str | None) -> None:
    """Five megabytes of HTML on a screen help nobody.

    Raises:
        UsageError: a page would be written to a terminal.
    """
    if output is None and sys.stdout.isatty():
        raise UsageError("a page is not for a terminal; name a file for it: -o page.html")


def text_of(
    subjects: Sequence[Subject],
    words: Sequence[str],
    convention: str | None,
    format: str = "html",
    assets: str | None = None,
    output: str | None = None,
    chart: str | None = None,
) -> str:
    """The page, the Markdown or the picture about one network, or about several.

    Args:
        words: the options that the command was given, so that the page can name its own command.
        output: the file's name, for the same purpose.
        chart: what the picture shows.
    """
    named = os.path.basename(output) if output else f"report{SUFFIXES[format]}"
    sources, reports = [each.source for each in subjects], [each.report for each in subjects]
    shown = ["convcost", "report", *sources, *words, *(() if format == "html" else ("--format", format))]
    if format == "svg":
        if any(each.roofline for each in subjects):
            raise UsageError("a picture has no roofline; the page (--format html) and Markdown do")
        return _picture(reports, chart)
    if format == "markdown":
        return _markdown(subjects, [*shown, "-o", named], convention)
    from .. import __version__
    from ..render.page import Assets, comparison_page, plotly_js

    command = [*shown, *(("--assets", assets) if assets else ()), "-o", named]
    where = Assets(folder=assets) if assets else Assets(plotly=plotly_js())
    if len(subjects) > 1:
        profiles = [each.profile for each in subjects]
        charts = comparison_charts(reports, throughput_of(reports, profiles))
        measured = measured_document(reports, profiles)
        return comparison_page(reports, command, where, __version__, convention, charts, measured=measured)
    return _page(subjects[0], command, where, convention)


def _page(subject: Subject, command: Sequence[str], where: Assets, convention: str | None) -> str:
    """The page of one network; of a saved profile with what was measured."""
    from .. import __version__
    from ..analysis.explain import explain
    from ..render.page import report_page

    report, roofline, profile = subject.report, subject.roofline, subject.profile
    times: dict[str, int] = {}
    shown = None
    if profile is not None:
        from ..profiles.roof import roofline_of_run
        from ..render.profile import document

        shown = document(profile)
        found = profile.figures_at(report.settings.batch, report.settings.dtype)
        if found is not None:
            times = found.times_ns
            roofline = roofline or roofline_of_run(profile, found.run, report)
    charts = charts_of(report, roofline, times)
    explanations = explain(report, every=True)
    return report_page(report, explanations, command, where, __version__, convention, charts, roofline, shown)


def charts_of(
    report: Report, roofline: Roofline | None = None, times_ns: Mapping[str, int] | None = None
) -> Sequence[Chart]:
    """The charts on the page of one network: here records of memory, devices and time join those of the report."""
    from ..render.charts import memory_chart, report_charts, roofline_chart

    under = roofline_chart(roofline.layers, roofline.ceilings, times_ns) if roofline is not None else None
    return report_charts(report, memory_chart(*_runs(report)), under, times_ns or None)


def _runs(report: Report) -> Iterator[Run]:
    """Inference and a training step over time; the mode that was asked for first."""
    from ..analysis.quantities import memory_of
    from ..render.charts.memory import Run

    modes = {"inference": "inference", "train": "training step with AdamW"}
    for mode in sorted(modes, key=lambda mode: (mode == "train") != (report.settings.mode == "train")):
        try:
            memory = memory_of(report, mode)
        except ConvcostError as error:
            yield Run(modes[mode], missing=str(error))
        else:
            held = [(f"{each.label} ({each.part})", each.bytes) for each in memory.alive]
            yield Run(modes[mode], memory.timeline, held)


Series = Mapping[str, Sequence[tuple[int, float]]]


def comparison_charts(reports: Sequence[Report], throughput: Series | None = None) -> Sequence[Chart]:
    """The charts on the page of several networks: here measured records join those of the reports."""
    from ..render.charts import network_charts

    return network_charts(reports, throughput)


def throughput_of(reports: Sequence[Report], profiles: Sequence[Profile | None]) -> Series:
    """Throughput over batch size of each network that a profile belongs to, in each of its settings."""
    return {
        f"{report.about.name}, {words}, {each.device_name}": pairs
        for report, each in zip(reports, measurements(profiles), strict=True)
        if each is not None
        for words, pairs in each.series.items()
    }


def measured_document(reports: Sequence[Report], profiles: Sequence[Profile | None]) -> Document:
    """Where measured figures come from, and the settings that several profiles have; empty without profiles."""
    from ..render.sheet import Document, Paragraph

    pairs = zip(reports, profiles, strict=True)
    there = {report.about.name: profile for report, profile in pairs if profile is not None and profile.measured}
    if not there:
        return Document(())
    from ..profiles.measured import versus
    from ..render.profile import origin, versus_sheet

    rows = versus(tuple(there.values()))
    table = [versus_sheet(tuple(there), rows)] if rows else []
    return Document((*table, *(Paragraph(origin(name, profile)) for name, profile in there.items())))


def _picture(reports: Sequence[Report], key: str | None) -> str:
    from ..render.charts import network_charts, report_charts
    from ..render.charts.svg import picture

    several = len(reports) > 1
    charts = {chart.key: chart for chart in (network_charts(reports) if several else report_charts(reports[0]))}
    allowed = [name for name in PICTURES if name in charts]
    key = key or allowed[0]
    if key not in allowed:
        of = "several networks" if several else "one network"
        raise UsageError(f"there is no picture {key} of {of} (allowed: {', '.join(allowed)})")
    drawn = picture(charts[key])
    if drawn is None:
        raise UsageError(f"no picture of {', '.join(report.about.name for report in reports)}: {charts[key].missing}")
    return drawn + "\n"


def _markdown(subjects: Sequence[Subject], command: Sequence[str], convention: str | None) -> str:
    import io

    from ..render import render
    from ..render.committed import one, several

    if len(subjects) == 1:
        found = subjects[0]
        measured: Sequence[Any] = ()
        if found.profile is not None:
            from ..render.profile import document as document_of

            measured = document_of(found.profile).parts
        document = one(found.report, command, convention, roofline=found.roofline, measured=measured)
    else:
        document = several([each.report for each in subjects], command, convention)
    out = io.StringIO()
    render(document, "markdown", out)
    return out.getvalue()


def option_words(
    batch: int | None, inputs: Any, dtype: str | None, train: bool, convention: str | None, gpu: str | None = None,
    tf32: bool | None = None,
) -> list[str]:  # fmt: skip
    """The options as they are typed."""
    words = ["--batch", str(batch)] if batch is not None else []
    for name, size in inputs or ():
        words += ["--input", (f"{name}=" if name else "") + "x".join(map(str, size))]
    words += ["--dtype", dtype] if dtype else []
    words += ["--gpu", gpu] if gpu else []
    words += {None: [], True: ["--tf32"], False: ["--no-tf32"]}[tf32]
    words += ["--train"] if train else []
    return words + (["--convention", convention] if convention else [])


def _into_folder(
    subjects: Sequence[Subject], words: Sequence[str], convention: str | None, format: str, assets: str | None,
    folder: str, chart: str | None,
) -> None:  # fmt: skip
    from ..render.page import Assets
    from ..render.page.index import file_name, index_page

    suffix = SUFFIXES[format]
    reports = [each.report for each in subjects]
    names = [file_name(report.about.name) + suffix for report in reports]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice:
        raise UsageError(f"two of the sources would be written to {twice}; name a file for them: -o comparison{suffix}")
    _make(folder)
    for subject, name in zip(subjects, names, strict=True):
        text = text_of([subject], words, convention, format, assets, name, chart)
        with opened(os.path.join(folder, name)) as out:
            out.write(text)
    if format != "svg":
        with opened(os.path.join(folder, f"index{suffix}")) as out:
            out.write(index_page(reports, names, format, Assets(folder=assets) if assets else None))
    if assets:
        _write_assets(os.path.join(folder, assets))


def _write_assets(folder: str) -> None:
    from ..render.page import plotly_js, shared_files

    _make(folder)
    for name, text in shared_files(plotly_js()).items():
        with opened(os.path.join(folder, name)) as out:
            out.write(text)


def _make(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}") from None
