"""The command ``convcost explain``: the formulas of layers with their values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import msgspec

from ..analysis import Report, analyze
from ..analysis.explain import Explanation, explain, explain_op
from ..errors import UsageError
from ..render.documents.explanation import explanation_document, op_fields
from ..render.sheet import Document
from .options import SOURCE, analysis_options, report_of
from .output import output_options, write_output


class ExplanationOutput(msgspec.Struct, frozen=True):
    """The output of the command: the explanations of some layers."""

    report: Report
    explanations: Sequence[Explanation]

    def document(self) -> Document:
        return explanation_document(self.explanations)

    def content(self) -> dict[str, Any]:
        name, settings = self.report.about.name, self.report.settings
        return {"schema": 1, "architecture": name, "settings": settings, "layers": self.explanations}


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
@output_options(ExplanationOutput)
def command(
    source: str | None, layer: str | None, fields: tuple[str, ...], op_name: str | None, batch: int | None, inputs: Any,
    dtype: str | None, format: str, units: str, output: str | None,
) -> None:  # fmt: skip
    """Show the arithmetic of SOURCE with the numbers filled in: of one LAYER, of a block, or of all layers.

    With --op, show the arithmetic of a single op on an --input. Its fields are given as NAME=VALUE:

        \b
        convcost explain --op conv2d --input 3x227x227 \\
            out_channels=96 kernel_size=11 stride=4
    """  # noqa: D301 (click reads the backspace: keep these lines as they are)
    if op_name is not None:
        written = op_fields([word for word in (source, layer, *fields) if word is not None])
        if not inputs:
            raise UsageError(f"--op {op_name} needs --input, the input size without the batch: --input 3x224x224")
        report = analyze(explain_op(op_name, written, [(batch or 1, *size) for _, size in inputs]), batch, dtype)
        layer = None
    else:
        if source is None:
            raise UsageError("explain needs a SOURCE, or --op; see convcost explain --help")
        if fields:
            raise UsageError(f"explain takes a SOURCE and one LAYER; unexpected: {' '.join(fields)!r}")
        report = report_of(source, batch, inputs, dtype)
    write_output(ExplanationOutput(report, explain(report, layer)), format, units, output)
