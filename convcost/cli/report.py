"""The command ``convcost report``: HTML pages, Markdown reports and SVG pictures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import click
import msgspec

from ..analysis.comparison.compare import named_apart
from ..analysis.conventions import CONVENTIONS
from ..errors import UsageError
from ..pages import Subject, page_text, picture_text, report_document
from ..render.charts import pictured
from ..render.formats import FORMATS
from ..render.sheet import Document
from .choices import OneOf
from .options import (
    SOURCE,
    analysis_options,
    option_words,
    profile_of,
    report_of,
    roofline_of,
    roofline_options,
)
from .output import form_of, format_option, not_to_a_terminal, opened, write_output


class ReportOutput(msgspec.Struct, frozen=True):
    """What the command shows: a page, a document or a picture about one network or several.

    ``words`` and ``output`` are what was typed, by which a page names its own command.
    """

    subjects: Sequence[Subject]
    words: Sequence[str]
    convention: str | None
    assets: str | None
    output: str | None
    chart: str | None

    def page(self) -> str:
        return page_text(self.subjects, self.words, self.convention, self.assets, self.output)

    def document(self) -> Document:
        return report_document(self.subjects, self.words, self.convention, self.output)

    def picture(self) -> str:
        if any(each.roofline for each in self.subjects):
            raise UsageError("a picture has no roofline; the page (--format html) and Markdown do")
        return picture_text([each.report for each in self.subjects], self.chart)


@click.command("report")
@click.argument("sources", nargs=-1, type=SOURCE, required=True, metavar="SOURCE...")
@analysis_options
@roofline_options
@click.option("--train", is_flag=True, help="Analyse the networks in training mode.")
@click.option(
    "--convention",
    type=click.Choice(tuple(CONVENTIONS)),
    default=None,
    help="Also print the total under another tool's convention.",
)
@format_option(ReportOutput, help="An HTML page, a Markdown report, or an SVG picture.", files=True)
@click.option("--chart", type=OneOf(pictured), default=None,
              help="The chart in the picture: bubble, depth and totals show several networks.  [default: layers for "
                   "one network, bubble for several]")  # fmt: skip
@click.option("--assets", metavar="FOLDER", default=None,
              help="Write style sheet and scripts once into this folder, next to the pages, instead of into each "
                   "page.")  # fmt: skip
@click.option("--output", "-o", type=click.Path(), default=None,
              help="Write the output to PATH. A file is replaced atomically. If PATH is a folder, it gets one file for "
                   "each SOURCE and an index.")  # fmt: skip
def command(
    sources: tuple[str, ...], batch: int | None, inputs: Any, dtype: str | None, gpu: str | None, tf32: bool | None,
    train: bool, convention: str | None, format: str, chart: str | None, assets: str | None, output: str | None,
) -> None:  # fmt: skip
    """Write a self-contained page about SOURCE, or one page that compares several.

    The page works offline. It has the headline, charts, the breakdown by group, an interactive architecture diagram, a
    table of layers that can be sorted and filtered, published figures, and the command that produced it.
    """
    alone = len(sources) == 1
    subjects = [_subject(source, batch, inputs, dtype, train, gpu, tf32, alone) for source in sources]
    form = form_of(format)
    if assets and (output is None or form != "page"):
        raise UsageError("--assets is a folder beside an HTML page: it needs --output")
    if chart and form != "picture":
        raise UsageError("--chart chooses a picture: it needs --format svg")
    not_to_a_terminal(format, output)
    words = option_words(batch, inputs, dtype, train, convention, gpu, tf32)
    words += [] if format == "html" else ["--format", format]
    shown = ReportOutput(subjects, words, convention, assets, output, chart)
    if output is not None and (os.path.isdir(output) or output.endswith(os.sep)):
        _into_folder(shown, format, output)
        return
    if gpu is not None and len(subjects) > 1:
        raise UsageError("--gpu adds the roofline of one network; several go into a folder: -o pages/")
    reports = named_apart([subject.report for subject in subjects])
    subjects = [subject._replace(report=report) for subject, report in zip(subjects, reports, strict=True)]
    write_output(msgspec.structs.replace(shown, subjects=subjects), format, "iec", output)
    if assets and output:
        _write_assets(os.path.join(os.path.dirname(output), assets))


def _subject(
    source: str, batch: int | None, inputs: Any, dtype: str | None, train: bool, gpu: str | None, tf32: bool | None,
    alone: bool,
) -> Subject:  # fmt: skip
    profile = profile_of(source)
    if profile is not None and alone and not (batch or dtype or inputs):
        last = next((run.setting for run in reversed(profile.measured) if run.layers), None)
        if last is not None:  # so that the times of layers stand beside the figures of the same setting
            batch, dtype = last.batch, last.dtype
    report = report_of(source, batch, inputs, dtype, train, profile)
    return Subject(source, report, roofline_of(report, gpu, tf32), profile)


def _into_folder(shown: ReportOutput, format: str, folder: str) -> None:
    """A file for each network, and an index of pages or of documents."""
    from ..render.page.index import file_name, html_index, markdown_index

    suffix, form = FORMATS[format].suffix, form_of(format)
    reports = [each.report for each in shown.subjects]
    names = [file_name(report.about.name) + suffix for report in reports]
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice:
        raise UsageError(f"two of the sources would be written to {twice}; name a file for them: -o comparison{suffix}")
    _make(folder)
    for subject, name in zip(shown.subjects, names, strict=True):
        one = msgspec.structs.replace(shown, subjects=[subject], output=name)
        write_output(one, format, "iec", os.path.join(folder, name))
    if form == "page":
        _write(folder, "index.html", html_index(reports, names, shown.assets))
    elif form == "document":
        _write(folder, "index.md", markdown_index(reports, names))
    if shown.assets:
        _write_assets(os.path.join(folder, shown.assets))


def _write(folder: str, name: str, text: str) -> None:
    with opened(os.path.join(folder, name)) as out:
        out.write(text)


def _write_assets(folder: str) -> None:
    from ..render.page import plotly_js, shared_files

    _make(folder)
    for name, text in shared_files(plotly_js()).items():
        _write(folder, name, text)


def _make(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make the folder {folder}: {error.strerror}") from None
