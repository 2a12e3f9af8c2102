"""Makes HTML pages, Markdown reports and SVG pictures for ``report``, ``analyze`` and ``compare``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from .analysis.report import Report
from .errors import ConvcostError, UsageError
from .version import __version__

if TYPE_CHECKING:
    from .analysis.comparison.compare import Comparison
    from .analysis.roofline import Roofline
    from .profiles.measured import Measured
    from .profiles.profile import Profile
    from .render.charts import MemoryRun, NetworkRecords
    from .render.page import Assets
    from .render.sheet import Document

Series = Mapping[str, Sequence[tuple[int, float]]]
"""Measured throughput: under the name of each line its (batch, samples per second) pairs."""


class Subject(NamedTuple):
    """The subject of a page: a SOURCE, its report, and optionally a roofline and a saved profile."""

    source: str
    report: Report
    roofline: Roofline | None = None
    profile: Profile | None = None


# --- pages, Markdown and pictures


def page_text(
    subjects: Sequence[Subject],
    words: Sequence[str],
    convention: str | None = None,
    assets: str | None = None,
    output: str | None = None,
) -> str:
    """The HTML page about one network, or about several side by side.

    Args:
        words: the options on the command line, for the command that the page prints.
        convention: of ``CONVENTIONS``, also print the total in this convention.
        assets: the folder in which pages share their style and scripts; None: they are in the page.
        output: the path of the file, for the same purpose; None: report.html.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    more = ["--assets", assets] if assets else []
    command = _command(subjects, [*words, *more], output, "report.html")
    if len(subjects) == 1:
        return _network_page(subjects[0], command, _assets(assets), convention)
    reports, profiles = [each.report for each in subjects], [each.profile for each in subjects]
    return comparison_page_text(reports, profiles, command, convention, assets)


def comparison_page_text(
    reports: Sequence[Report],
    profiles: Sequence[Profile | None],
    command: Sequence[str],
    convention: str | None = None,
    assets: str | None = None,
    compared: Comparison | None = None,
) -> str:
    """The HTML page about several networks. Arguments as for ``page_text``.

    Args:
        profiles: the saved profile of each network, None where there is none.
        command: the words of the command that generates the page.
        compared: adds the tables of ``convcost compare``; the networks are then in its order.
    """
    from .render.charts import ComparisonRecords, charts_of
    from .render.page import comparison_page

    shown = compared.reports if compared else reports  # in the requested order
    charts = charts_of(ComparisonRecords(shown, throughput_of(reports, profiles)))
    measured = measured_document(reports, profiles)
    return comparison_page(shown, command, _assets(assets), __version__, convention, charts, compared, measured)


def report_document(
    subjects: Sequence[Subject], words: Sequence[str], convention: str | None = None, output: str | None = None
) -> Document:
    """The Markdown report of one network, or of several. Arguments as for ``page_text``.

    Args:
        words: with the format, such as ``--format markdown``. ``output``: the path of its file; None: report.md.
    """
    from .render.documents.markdown_report import comparison_report, network_report

    command = _command(subjects, words, output, "report.md")
    if len(subjects) > 1:
        return comparison_report([each.report for each in subjects], command, convention)
    report, roofline, profile = subjects[0].report, subjects[0].roofline, subjects[0].profile
    measured: Document | None = None
    if profile is not None:
        from .render.documents.profile import profile_document

        measured = profile_document(profile)
    return network_report(report, command, convention, roofline=roofline, measured=measured.parts if measured else ())


def picture_text(reports: Sequence[Report], chart: str | None = None) -> str:
    """A chart of one network, or of several, as an SVG picture; ``chart``: its key; None: the first chart.

    Raises:
        UsageError: an unknown chart for this number of networks, or one whose records are missing.
    """
    from .render.charts import CHARTS, ComparisonRecords, NetworkRecords, picture, pictured

    several = len(reports) > 1
    records = ComparisonRecords(reports) if several else NetworkRecords(reports[0])
    allowed = pictured(type(records))
    key = chart or allowed[0]
    if key not in allowed:
        of = "several networks" if several else "one network"
        raise UsageError(f"there is no picture {key} of {of} (allowed: {', '.join(allowed)})")
    drawn = CHARTS[key].drawn(records)
    text = picture(drawn)
    if text is None:
        raise UsageError(f"no picture of {', '.join(report.about.name for report in reports)}: {drawn.missing}")
    return text + "\n"


def _command(subjects: Sequence[Subject], words: Sequence[str], output: str | None, default: str) -> list[str]:
    """The words of the command that generates this page or report."""
    sources = [each.source for each in subjects]
    return ["convcost", "report", *sources, *words, "-o", os.path.basename(output) if output else default]


def _assets(folder: str | None) -> Assets:
    from .render.page import Assets, plotly_js

    return Assets(folder=folder) if folder else Assets(plotly=plotly_js())


def _network_page(subject: Subject, command: Sequence[str], assets: Assets, convention: str | None) -> str:
    """The page of one network; for a saved profile with the measured times."""
    from .analysis.explain import explain
    from .render.charts import charts_of
    from .render.page import report_page

    report, roofline, profile = subject.report, subject.roofline, subject.profile
    times: Mapping[str, int] = {}
    measured = None
    if profile is not None:
        from .profiles.measured_roofline import roofline_of_run
        from .render.documents.profile import profile_document

        measured = profile_document(profile)
        figures = profile.figures_at(report.settings.batch, report.settings.dtype)
        if figures is not None:
            times = figures.times_ns
            roofline = roofline or roofline_of_run(profile, figures.run, report)
    charts = charts_of(network_records(report, roofline, times))
    explanations = explain(report, every=True)
    return report_page(report, explanations, command, assets, __version__, convention, charts, roofline, measured)


# --- further records


def network_records(
    report: Report, roofline: Roofline | None = None, times_ns: Mapping[str, int] | None = None
) -> NetworkRecords:
    """The records for the charts of one network: report, memory over time, roofline and measured times."""
    from .render.charts import NetworkRecords

    return NetworkRecords(report, tuple(_memory_runs(report)), roofline, times_ns or {})


def _memory_runs(report: Report) -> Iterator[MemoryRun]:
    """Memory over time of inference and of a training step; the requested mode first."""
    from .analysis.quantities import memory_of
    from .render.charts import MemoryRun

    modes = {"inference": "inference", "train": "training step with AdamW"}
    for mode in sorted(modes, key=lambda mode: (mode == "train") != (report.settings.mode == "train")):
        try:
            memory = memory_of(report, mode)
        except ConvcostError as error:
            yield MemoryRun(modes[mode], missing=str(error))
        else:
            alive = [(f"{each.label} ({each.part})", each.bytes) for each in memory.alive]
            yield MemoryRun(modes[mode], memory.timeline, alive)


def throughput_of(reports: Sequence[Report], profiles: Sequence[Profile | None]) -> Series:
    """Throughput over batch size of each network that a profile belongs to, in each of its settings."""
    return {
        f"{report.about.name}, {words}, {each.device_name}": pairs
        for report, each in zip(reports, measurements(profiles), strict=True)
        if each is not None
        for words, pairs in each.series.items()
    }


def measured_document(reports: Sequence[Report], profiles: Sequence[Profile | None]) -> Document:
    """Origin of measured figures, and times of settings that several profiles share; empty without profiles."""
    from .render.sheet import Document, Paragraph

    pairs = zip(reports, profiles, strict=True)
    profiled = {report.about.name: profile for report, profile in pairs if profile is not None and profile.measured}
    if not profiled:
        return Document(())
    from .profiles.measured import versus
    from .render.documents.profile import origin, versus_sheet

    rows = versus(tuple(profiled.values()))
    table = [versus_sheet(tuple(profiled), rows)] if rows else []
    return Document((*table, *(Paragraph(origin(name, profile)) for name, profile in profiled.items())))


def measurements(profiles: Sequence[Profile | None]) -> list[Measured | None]:
    """The measured figures of each profile; None if there is no profile or it has no times."""
    if not any(profiles):
        return [None] * len(profiles)
    from .profiles.measured import measured

    return [measured(profile) if profile is not None and profile.measured else None for profile in profiles]
