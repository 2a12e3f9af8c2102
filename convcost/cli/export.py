"""The command ``convcost export``: a network as a spec or as JSON."""

from __future__ import annotations

from typing import Any

import click

from ..errors import UsageError
from ..export.export import FORMATS, export
from ..sources.load import load
from .options import SOURCE, InputSize, input_size
from .output import opened


@click.command("export")
@click.argument("source", type=SOURCE)
@click.option(
    "--input",
    "inputs",
    type=InputSize(),
    multiple=True,
    metavar="SIZE",
    help="Capture a PyTorch module at this size without the batch: 3x256x256, or name=3x256x256 (repeatable).",
)
@click.option("--train", is_flag=True, help="Capture a PyTorch module as it trains.")
@click.option("--name", default=None, help="Call the network so.  [default: its name]")
@click.option("--format", "-f", "format", type=click.Choice(FORMATS), default=FORMATS[0], show_default=True,
              help="A spec to read and change, or the graph as it is, for convcost and other programs.")  # fmt: skip
@click.option("--output", "-o", type=click.Path(dir_okay=False), default=None,
              help="Write the output to FILE. The file is replaced atomically.")  # fmt: skip
def command(source: str, inputs: Any, train: bool, name: str | None, format: str, output: str | None) -> None:
    """SOURCE as a spec: a PyTorch module becomes a file that reads like the table in a paper.

    Modules that are alike become blocks with parameters, and calls in a row a repeat. The file is read again before it
    is written: it has the same layers with the same sizes, and so the same parameters, MACs and memory.

    --format json writes the network as it is, under its own names. The file is a SOURCE: a captured module can be
    looked at and compared where there is no PyTorch.
    """
    graph = load(source, None, input_size(inputs), train)
    if graph.batch_free and (inputs or train):
        raise UsageError(
            f"{source} is no PyTorch module: it has its own input and serves both modes; leave --input and --train out"
        )
    text = export(graph, format, name)
    with opened(output) as out:
        out.write(text)
