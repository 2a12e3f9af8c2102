"""The command ``convcost list``: the shipped architectures and GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ..analysis import analyze
from ..render.documents.catalogue import Entry, catalogue_document, entry
from ..render.sheet import Document
from ..sources.load import load_shipped
from .output import output_options, write_output

if TYPE_CHECKING:
    from ..hardware.gpu import Gpu


class CatalogueOutput(msgspec.Struct, frozen=True):
    """The output of the command: shipped architectures."""

    entries: Sequence[Entry]

    def document(self) -> Document:
        return catalogue_document(self.entries)

    def content(self) -> dict[str, Any]:
        return {"schema": 1, "architectures": self.entries}

    rows = document


class GpusOutput(msgspec.Struct, frozen=True):
    """The output with ``--gpus``: shipped GPUs."""

    gpus: Sequence[Gpu]

    def document(self) -> Document:
        from ..render.documents.gpus import gpus_document

        return gpus_document(self.gpus)

    def content(self) -> dict[str, Any]:
        return {"schema": 1, "gpus": [gpu.to_dict() for gpu in self.gpus]}

    rows = document


@click.command("list")
@click.argument("family", required=False)
@click.option("--gpus", is_flag=True, help="List GPUs instead: memory, bandwidth and peak rates.")
@output_options(CatalogueOutput)
def command(family: str | None, gpus: bool, format: str, units: str, output: str | None) -> None:
    """List the shipped architectures by family and year, with parameters and MACs.

    If FAMILY is given, only names and families that contain this text are listed.
    """
    wanted = (family or "").lower()
    shown = _gpus(wanted) if gpus else _architectures(wanted)
    write_output(shown, format, units, output)


def _architectures(wanted: str) -> CatalogueOutput:
    entries = [entry(analyze(graph)) for graph in load_shipped().values()]
    return CatalogueOutput([each for each in entries if wanted in f"{each.family} {each.name}".lower()])


def _gpus(wanted: str) -> GpusOutput:
    from ..hardware import shipped_gpus

    gpus = shipped_gpus()
    return GpusOutput(
        [gpu for gpu in gpus if wanted in " ".join((gpu.id, gpu.name, gpu.architecture, *gpu.aliases)).lower()]
    )
