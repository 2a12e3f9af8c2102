"""The command ``convcost list``."""

from __future__ import annotations

import click

from ..analysis import analyze
from ..render import FORMATS, render
from ..render.documents.catalogue import document, entry
from ..sources.load import load_shipped
from .options import opened, output_options


@click.command("list")
@click.argument("family", required=False)
@click.option("--gpus", is_flag=True, help="GPUs in place of architectures: memory, bandwidth and peak rates.")
@output_options(FORMATS)
def command(family: str | None, gpus: bool, format: str, units: str, output: str | None) -> None:
    """Every architecture that ships, by family and year, with parameters and MACs.

    FAMILY shows only names and families that contain this text.
    """
    if gpus:
        _gpus(family, format, units, output)
        return
    entries = [entry(analyze(graph)) for graph in load_shipped().values()]
    if family:
        entries = [found for found in entries if family.lower() in f"{found.family} {found.name}".lower()]
    with opened(output) as out:
        if format == "json":
            import msgspec

            out.write(msgspec.json.format(msgspec.json.encode({"schema": 1, "architectures": entries})).decode() + "\n")
        else:
            render(document(entries), format, out, units)


def _gpus(family: str | None, format: str, units: str, output: str | None) -> None:
    from ..hardware import shipped_gpus
    from ..render.documents.gpus import document as gpus_document

    wanted = (family or "").lower()
    shown = [
        gpu for gpu in shipped_gpus() if wanted in " ".join((gpu.id, gpu.name, gpu.architecture, *gpu.aliases)).lower()
    ]
    with opened(output) as out:
        if format == "json":
            import msgspec

            plain = {"schema": 1, "gpus": [gpu.to_dict() for gpu in shown]}
            out.write(msgspec.json.format(msgspec.json.encode(plain)).decode() + "\n")
        else:
            render(gpus_document(shown), format, out, units)
