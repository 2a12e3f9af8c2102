"""The command ``convcost explain``."""

from __future__ import annotations

from typing import Any

import click

from ..analysis import analyze
from ..analysis.explain import explain, explain_op
from ..errors import UsageError
from ..render import render
from ..render.documents.explanation import document, op_fields
from .options import SOURCE, analysis_options, opened, output_options, report_of


@click.command("explain")
@click.argument("source", required=False, type=SOURCE)
@click.argument("layer", required=False)
@click.argument("fields", nargs=-1)
@click.option(
    "--op",
    "op_name",
    default=None,
    metavar="OP",
    help="Explain one op without a network: --op conv2d --input 3x227x227 out_channels=96 ...",
)
@analysis_options
@output_options(("table", "markdown", "json"))
def command(
    source: str | None, layer: str | None, fields: tuple[str, ...], op_name: str | None, batch: int | None, inputs: Any,
    dtype: str | None, format: str, units: str, output: str | None,
) -> None:  # fmt: skip
    """The arithmetic of SOURCE with the numbers filled in: one LAYER, a block, or everything.

    With --op, the arithmetic of a single op on an --input, its fields given as NAME=VALUE:

        \b
        convcost explain --op conv2d --input 3x227x227 \\
            out_channels=96 kernel_size=11 stride=4
    """  # noqa: D301 (click reads the backspace: keep these lines as they are)
    if op_name is not None:
        written = op_fields([word for word in (source, layer, *fields) if word is not None])
        if not inputs:
            raise UsageError(
                f"--op {op_name} needs --input, the size of what arrives without the batch: --input 3x224x224"
            )
        report = analyze(explain_op(op_name, written, [(batch or 1, *size) for _, size in inputs]), batch, dtype)
        layer = None
    else:
        if source is None:
            raise UsageError("explain needs a SOURCE, or --op; see convcost explain --help")
        if fields:
            raise UsageError(f"explain takes a SOURCE and one LAYER; {' '.join(fields)!r} is too much")
        report = report_of(source, batch, inputs, dtype)
    found = explain(report, layer)
    with opened(output) as out:
        if format == "json":
            import msgspec

            text = msgspec.json.encode(
                {"schema": 1, "architecture": report.about.name, "settings": report.settings, "layers": found}
            )
            out.write(msgspec.json.format(text).decode() + "\n")
        else:
            render(document(found), format, out, units)
