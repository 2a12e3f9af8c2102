"""The command ``convcost report``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import click

from ..analysis.comparison.compare import named_apart
from ..analysis.conventions import CONVENTIONS
from ..errors import UsageError
from ..pages import PICTURES, SUFFIXES, Subject, text_of
from .options import (
    SOURCE,
    analysis_options,
    not_to_a_terminal,
    opened,
    option_words,
    profile_of,
    report_of,
    roofline_of,
    roofline_options,
)


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
    reports = named_apart([subject.report for subject in subjects])
    subjects = [subject._replace(report=report) for subject, report in zip(subjects, reports, strict=True)]
    text = text_of(subjects, words, convention, format, assets, output, chart)
    with opened(output) as out:
        out.write(text)
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
