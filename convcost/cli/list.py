"""The command ``convcost list``."""

from __future__ import annotations

import click

from ..analysis import analyze
from ..render import FORMATS, render
from ..render.catalogue import document, entry
from ..sources import load_shipped
from .options import opened, output_options


@click.command("list")
@click.argument("family", required=False)
@output_options(FORMATS)
def command(family: str | None, format: str, units: str, output: str | None) -> None:
    """Every architecture that ships, by family and year, with parameters and MACs.

    FAMILY shows only names and families that contain this text.
    """
    entries = [entry(analyze(graph)) for graph in load_shipped().values()]
    if family:
        entries = [found for found in entries if family.lower() in f"{found.family} {found.name}".lower()]
    with opened(output) as out:
        if format == "json":
            import msgspec

            out.write(msgspec.json.format(msgspec.json.encode({"schema": 1, "architectures": entries})).decode() + "\n")
        else:
            render(document(entries), format, out, units)
