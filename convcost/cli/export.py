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
    help="Input size without the batch with which a PyTorch module is captured: 3x256x256, or name=3x256x256 "
    "(repeatable).",
)
@click.option("--train", is_flag=True, help="Capture a PyTorch module in training mode.")
@click.option("--name", default=None, help="The name of the network.  [default: its name]")
@click.option("--format", "-f", "format", type=click.Choice(FORMATS), default=FORMATS[0], show_default=True,
              help="A spec to read and change, or the graph as it is, for convcost and other programs.")  # fmt: skip
@click.option("--output", "-o", type=click.Path(dir_okay=False), default=None,
              help="Write the output to FILE. The file is replaced atomically.")  # fmt: skip
def command(source: str, inputs: Any, train: bool, name: str | None, format: str, output: str | None) -> None:
    """Write SOURCE as a spec file: a PyTorch module becomes a file that reads like the table in a paper.

    Equal modules become blocks with parameters, and consecutive calls a repeat. The text is parsed again before it is
    written, to make sure that it has the same layers and sizes, and so the same parameters, MACs and memory.

    --format json writes every layer under its own name. The file is a SOURCE: it can be analysed and compared without
    PyTorch.
    """
    graph = load(source, None, input_size(inputs), train)
    if graph.batch_free and (inputs or train):
        raise UsageError(
            f"{source} is not a PyTorch module: it has its own input and supports both modes; omit --input and --train"
        )
    text = export(graph, format, name)
    with opened(output) as out:
        out.write(text)
