"""The command ``convcost fit``: the largest batch or resolution that fits a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from ..analysis.memory import Memory, memory
from ..analysis.memory.batch_scaling import ScaledMemory
from ..analysis.memory.fit import WORKSPACE, Fit, Room, largest_batch, largest_size
from ..errors import UsageError
from ..graph import Graph
from ..hardware import load_gpu
from ..render.documents.fit import fit_document
from ..render.sheet import Document
from ..sources.load import load
from .options import GPU, SOURCE, analysis_options, input_size, memory_options, setup_of
from .output import output_options, write_output


class FitOutput(msgspec.Struct, frozen=True):
    """The output of the command: the result for each GPU."""

    fits: Sequence[Fit]
    units: str

    def document(self) -> Document:
        return fit_document(self.fits, self.units)

    def content(self) -> dict[str, Any]:
        return {"schema": 1, "fits": [each.to_dict() for each in self.fits]}

    rows = document


@click.command("fit")
@click.argument("source", type=SOURCE)
@click.option(
    "--gpu", "gpus", multiple=True, required=True, metavar="NAME", type=GPU,
    help="A name from convcost list --gpus, or a hardware file. Repeatable, or separated by commas.",
)  # fmt: skip
@click.option("--train", is_flag=True, help="Fit a training step instead of a forward pass.")
@memory_options
@click.option(
    "--workspace", type=click.IntRange(min=0), default=WORKSPACE >> 20, show_default=True, metavar="MIB",
    help="Memory reserved for workspaces of kernels, in MiB.",
)  # fmt: skip
@analysis_options
@output_options(FitOutput)
def command(
    source: str, gpus: tuple[str, ...], train: bool, optimizer: str | None, checkpoint: bool, accumulate: int,
    workspace: int, batch: int | None, inputs: Any, dtype: str | None, format: str, units: str, output: str | None,
) -> None:  # fmt: skip
    """Find the largest batch of SOURCE that fits into a GPU; with --batch, the largest resolution.

    The output shows what the memory consists of at that batch, and the margin. For several GPUs it is a table. Exit
    status 1 if the memory of a GPU is too small for one sample.
    """
    names = [name.strip() for each in gpus for name in each.split(",") if name.strip()]
    if not names:
        raise UsageError("--gpu needs a name; see convcost list --gpus")
    rooms = [Room(load_gpu(name), workspace << 20) for name in names]
    size = input_size(inputs)
    setup = setup_of(train, optimizer, checkpoint, accumulate)
    fixed = load(source, None, size, train)

    def at(samples: int, sides: Any = None) -> Memory:
        graph: Graph = fixed if fixed.batch_free else load(source, samples, sides or size, train)
        if graph.batch_free:
            return memory(graph, samples, dtype, input_size=sides or size, **setup)
        return memory(graph, None, dtype, **setup)

    if batch is None:
        network = ScaledMemory(at, fixed.batch_free)
        fits = [largest_batch(network, room) for room in rooms]
    else:
        fits = [largest_size(lambda sides: at(batch, sides), room, fixed, size) for room in rooms]
    write_output(FitOutput(fits, units), format, units, output)
    if not all(each.fits for each in fits):
        raise SystemExit(1)
