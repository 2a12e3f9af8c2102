"""Records become pages, Markdown reports and pictures: what ``report``, ``analyze`` and ``compare`` share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .analysis.report import Report
from .errors import ConvcostError, UsageError
from .version import __version__

if TYPE_CHECKING:
    from .analysis.roofline import Roofline
    from .profiles.measured import Measured
    from .profiles.profile import Profile
    from .render.charts import Chart
    from .render.charts.memory import Run
    from .render.page import Assets
    from .render.sheet import Document

PICTURES = ("layers", "split", "bubble", "depth", "totals")
SUFFIXES = {"html": ".html", "markdown": ".md", "svg": ".svg"}


class Subject(NamedTuple):
    """What a page is about: a SOURCE and its report, the roofline if one was asked for, the profile if it is one."""

    source: str
    report: Report
    roofline: Roofline | None = None
    profile: Profile | None = None


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
    from .render.page import Assets, comparison_page, plotly_js

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
    from .analysis.explain import explain
    from .render.page import report_page

    report, roofline, profile = subject.report, subject.roofline, subject.profile
    times: dict[str, int] = {}
    shown = None
    if profile is not None:
        from .profiles.measured_roofline import roofline_of_run
        from .render.documents.profile import document

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
    from .render.charts import memory_chart, report_charts, roofline_chart

    under = roofline_chart(roofline.layers, roofline.ceilings, times_ns) if roofline is not None else None
    return report_charts(report, memory_chart(*_runs(report)), under, times_ns or None)


def _runs(report: Report) -> Iterator[Run]:
    """Inference and a training step over time; the mode that was asked for first."""
    from .analysis.quantities import memory_of
    from .render.charts.memory import Run

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
    from .render.charts import network_charts

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
    from .render.sheet import Document, Paragraph

    pairs = zip(reports, profiles, strict=True)
    there = {report.about.name: profile for report, profile in pairs if profile is not None and profile.measured}
    if not there:
        return Document(())
    from .profiles.measured import versus
    from .render.documents.profile import origin, versus_sheet

    rows = versus(tuple(there.values()))
    table = [versus_sheet(tuple(there), rows)] if rows else []
    return Document((*table, *(Paragraph(origin(name, profile)) for name, profile in there.items())))


def _picture(reports: Sequence[Report], key: str | None) -> str:
    from .render.charts import network_charts, report_charts
    from .render.charts.svg import picture

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

    from .render import render
    from .render.documents.markdown_report import one, several

    if len(subjects) == 1:
        found = subjects[0]
        measured: Sequence[Any] = ()
        if found.profile is not None:
            from .render.documents.profile import document as document_of

            measured = document_of(found.profile).parts
        document = one(found.report, command, convention, roofline=found.roofline, measured=measured)
    else:
        document = several([each.report for each in subjects], command, convention)
    out = io.StringIO()
    render(document, "markdown", out)
    return out.getvalue()


def measurements(profiles: Sequence[Profile | None]) -> list[Measured | None]:
    """What each profile says in a comparison; None where there is no profile, or it has no time."""
    if not any(profiles):
        return [None] * len(profiles)
    from .profiles.measured import measured

    return [measured(profile) if profile is not None and profile.measured else None for profile in profiles]
