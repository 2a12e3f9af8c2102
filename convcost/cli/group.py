"""The group of commands. A command's module is imported when the command is called."""

from __future__ import annotations

from importlib import import_module

import click

from ..errors import nearest
from ..version import __version__

COMMANDS = {
    "list": "What ships: every architecture with family, year, parameters and MACs.",
    "analyze": "The per-layer account of a network, its conv/FC breakdown and totals.",
    "report": "One self-contained HTML page with charts, diagram and tables; or Markdown.",
    "explain": "The arithmetic of a layer, a block or a single op with the numbers filled in.",
    "compare": "Networks side by side, or what changes from one to another, layer by layer.",
    "check": "Budgets and the lock: networks held to what they may cost, for CI.",
    "fit": "The largest batch, or resolution, that fits a GPU, with the bill of its memory.",
    "profile": "Real passes timed on a GPU or CPU, layer by layer, beside the static figures.",
    "validate": "The figures held against PyTorch and fvcore, layer by layer.",
    "export": "A network as a spec that people read and change, or as JSON.",
}
"""Each command with its one-line help, so that ``convcost --help`` imports none of them."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f".{cmd_name}", __package__).command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"No such command {args[0]!r}{nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="convcost %(version)s")
def cli() -> None:
    """What a convolutional network costs, before you run it.

    SOURCE is the name of an architecture that ships with convcost (see convcost list); a spec file of your own,
    net.yaml, with @variant where it has variants; git:REV:PATH, a spec in a git revision; net.json, a network that
    convcost export --format json has written; torchvision:NAME or timm:NAME; or a PyTorch module of your own,
    package.module:factory.
    """
