"""The command ``convcost check``."""

from __future__ import annotations

import os
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any

import click

from ..analysis import Report, analyze
from ..errors import ConvcostError, UsageError, nearest
from ..gate.check import check
from ..gate.config import Config, Source, configuration
from ..gate.findings import CheckReport
from ..render import render
from ..sources.file_patterns import expand
from ..sources.load import load, load_document
from .options import opened, output_options

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..profiles.profile import Profile

FORMATS = ("table", "markdown", "json", "github", "junit")


class ReportFile(click.ParamType):  # type: ignore[type-arg]
    """``junit=FILE``: a format and where it goes."""

    name = "format=file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        shown, _, file = value.partition("=")
        if shown not in FORMATS or not file:
            self.fail(f"{value!r} is not FORMAT=FILE with a format of {', '.join(FORMATS)}", param, ctx)
        return shown, file


class Name(click.ParamType):  # type: ignore[type-arg]
    """A source of the settings; a shell completes their names."""

    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names in the settings that begin so."""
        from click.shell_completion import CompletionItem

        try:
            settings = configuration(ctx.params.get("config"), expand)
        except ConvcostError:
            return []  # no place for a message
        return [CompletionItem(x.name) for x in settings.sources if x.name.startswith(incomplete)]


@click.command("check")
@click.argument("sources", nargs=-1, metavar="[SOURCE...]", type=Name())
@click.option("--update", is_flag=True, help="Accept the figures as they are: write the lock anew.")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    default=None,
    help="The settings, in place of the nearest convcost.toml or pyproject.toml.",
)
@click.option(
    "--report",
    "reports",
    type=ReportFile(),
    multiple=True,
    metavar="FORMAT=FILE",
    help="Also write this format to a file: junit=convcost.xml (repeatable).",
)
@click.option("--verbose", "-v", is_flag=True, help="Every source and every layer that changed.")
@output_options(FORMATS)
def command(
    sources: tuple[str, ...], update: bool, config: str | None, reports: tuple[tuple[str, str], ...], verbose: bool,
    format: str, units: str, output: str | None,
) -> None:  # fmt: skip
    """Hold networks to their budgets, and to the lock of what they cost before.

    The settings name the sources and their budgets: convcost.toml, or [tool.convcost] in pyproject.toml. SOURCE checks
    only these. In a job of GitHub Actions the summary is written to the job's page too; --format github adds
    annotations to the lines of a pull request.

    Exit status: 0 if all is well, 1 if a figure is not what it may be, 2 if something could not be checked.
    """
    settings = configuration(config, expand)
    _known(sources, settings)
    if update and settings.lock is None:
        raise UsageError(f"{settings.file} says lock = false: there is nothing that --update could write")
    outcome = check(settings, _report_of, sources, update)
    if outcome.lock_text is not None and outcome.report.updated:
        with opened(outcome.report.lock) as out:
            out.write(outcome.lock_text)
    for shown, file in ((format, output), *reports):
        with opened(file) as out:
            _write(outcome.report, shown, out, units, verbose)
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


def _write(report: CheckReport, format: str, out: IO[str], units: str, verbose: bool) -> None:
    if format == "json":
        out.write(report.to_json() + "\n")
    elif format in ("github", "junit"):
        more = {"folder": _folder()} if format == "github" else {}
        import_module(f"..render.formats.{format}", __package__).render(report, out, units, **more)
    else:
        from ..render.documents.check import document

        render(document(report, verbose), format, out, units)


def _folder() -> str:
    """The current folder as seen from the top of the repository that a job of GitHub Actions has checked out."""
    top = os.environ.get("GITHUB_WORKSPACE")
    found = os.path.relpath(os.getcwd(), os.path.realpath(top)) if top else ""
    return "" if found.startswith(os.pardir) else found


def _summary(report: CheckReport, units: str) -> None:
    """The check as Markdown at the end of the page of a job of GitHub Actions."""
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if not path:
        return
    try:
        with open(path, "a", encoding="utf-8") as out:
            out.write("## convcost check\n\n")
            _write(report, "markdown", out, units, False)
            out.write("\n")
    except OSError as error:
        raise UsageError(f"cannot write GITHUB_STEP_SUMMARY, {path}: {error.strerror}") from None
