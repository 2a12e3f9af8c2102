"""The command ``convcost check``: budgets and the lock, for CI."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ..analysis import Report, analyze
from ..errors import ConvcostError, UsageError, nearest
from ..gate.check import check
from ..gate.config import Config, Source, configuration
from ..gate.findings import CheckReport
from ..render.documents.check import check_document
from ..render.formats import formats_of, write
from ..render.sheet import Document
from ..sources.file_patterns import expand
from ..sources.load import load, load_document
from .output import opened, output_options, write_output

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..profiles.profile import Profile


class CheckOutput(msgspec.Struct, frozen=True):
    """The output of the command; ``verbose``: all sources and all changed layers."""

    report: CheckReport
    verbose: bool

    def document(self) -> Document:
        return check_document(self.report, self.verbose)

    def content(self) -> CheckReport:
        return self.report

    def findings(self) -> CheckReport:
        return self.report


class ReportFile(click.ParamType):  # type: ignore[type-arg]
    """``junit=FILE``: a format and a file."""

    name = "format=file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        shown, _, file = value.partition("=")
        formats = formats_of(CheckOutput)
        if shown not in formats or not file:
            self.fail(f"{value!r} is not FORMAT=FILE with a format of {', '.join(formats)}", param, ctx)
        return shown, file


class Name(click.ParamType):  # type: ignore[type-arg]
    """A source in the settings, with shell completion of their names."""

    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names in the settings with this prefix."""
        from click.shell_completion import CompletionItem

        try:
            settings = configuration(ctx.params.get("config"), expand)
        except ConvcostError:
            return []  # completion cannot show a message
        return [CompletionItem(x.name) for x in settings.sources if x.name.startswith(incomplete)]


@click.command("check")
@click.argument("sources", nargs=-1, metavar="[SOURCE...]", type=Name())
@click.option("--update", is_flag=True, help="Accept the current figures: rewrite the lock file.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    default=None,
    help="Read the settings from FILE.  [default: the nearest convcost.toml or pyproject.toml]",
)
@click.option(
    "--report",
    "reports",
    type=ReportFile(),
    multiple=True,
    metavar="FORMAT=FILE",
    help="Also write the result to FILE in this format, such as junit=convcost.xml (repeatable).",
)
@click.option("--verbose", "-v", is_flag=True, help="Show every source, and every layer that changed.")
@output_options(CheckOutput)
def command(
    sources: tuple[str, ...], update: bool, config: str | None, reports: tuple[tuple[str, str], ...], verbose: bool,
    format: str, units: str, output: str | None,
) -> None:  # fmt: skip
    """Check networks against their budgets and against the lock file, which records what they cost before.

    Sources and budgets are read from convcost.toml, or from [tool.convcost] in pyproject.toml. If SOURCEs are given,
    only these are checked. In GitHub Actions, a summary is also written to the job's page, and --format github
    annotates the lines of a pull request.

    Exit status: 0 if all figures are allowed, 1 if a budget is exceeded or a figure differs from the lock, 2 if
    something could not be checked.
    """
    settings = configuration(config, expand)
    _known(sources, settings)
    if update and settings.lock is None:
        raise UsageError(f"{settings.file} has lock = false, so --update has no file to write")
    outcome = check(settings, _report_of, sources, update)
    if outcome.lock_text is not None and outcome.report.updated:
        with opened(outcome.report.lock) as out:
            out.write(outcome.lock_text)
    for shown, file in ((format, output), *reports):
        write_output(CheckOutput(outcome.report, verbose), shown, units, file)
    _summary(outcome.report, units)
    raise SystemExit(outcome.report.exit_status)


def _known(sources: tuple[str, ...], settings: Config) -> None:
    names = [source.name for source in settings.sources]
    for source in sources:
        if source not in names:
            raise UsageError(f"{source!r} is not among the sources of {settings.file}{nearest(source, names)}")


def _report_of(source: Source, profile: Profile | None) -> Report:
    if profile is None:
        graph = load(source.source, source.batch, source.input_size)
    else:
        graph = load_document(profile.network_document(), source.source, source.batch, source.input_size)
    if graph.batch_free:
        return analyze(graph, source.batch, source.dtype, source.input_size)
    return analyze(graph, dtype=source.dtype)


def _summary(report: CheckReport, units: str) -> None:
    """Append the check as Markdown to the job summary of GitHub Actions."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with open(path, "a", encoding="utf-8") as out:
            out.write("## convcost check\n\n")
            write(CheckOutput(report, False), "markdown", out, units)
            out.write("\n")
    except OSError as error:
        raise UsageError(f"cannot write GITHUB_STEP_SUMMARY, {path}: {error.strerror}") from None
