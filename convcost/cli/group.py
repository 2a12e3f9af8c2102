"""The group of commands. A command's module is imported when the command is called."""

from __future__ import annotations

from importlib import import_module

import click

from ..errors import nearest
from ..version import __version__

COMMANDS = {
    "list": "List the shipped architectures with family, year, parameters and MACs, or the known GPUs.",
    "analyze": "Show output size, parameters, MACs and memory of each layer, the conv/FC breakdown and totals.",
    "report": "Write an HTML page with charts, diagram and tables, a Markdown report, or a picture.",
    "explain": "Show the arithmetic of a layer, a block or a single op with the numbers filled in.",
    "compare": "Compare networks side by side, or two networks layer by layer.",
    "check": "Check networks against budgets and a lock file, for CI.",
    "fit": "Find the largest batch, or resolution, that fits into the memory of a GPU.",
    "profile": "Time a network on a GPU or CPU, layer by layer, and compare with the static figures.",
    "validate": "Check the static figures against PyTorch and fvcore, layer by layer.",
    "export": "Write a network as a readable spec or as JSON.",
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
    """Compute what a convolutional network costs without running it.

    SOURCE is one of: the name of a shipped architecture (see convcost list); a spec file, net.yaml or
    net.yaml@variant; git:REV:PATH, a spec file in a git revision; net.json, written by convcost export --format json;
    torchvision:NAME or timm:NAME; or package.module:factory, a PyTorch module or a function that returns one.
    """
