"""The arithmetic of a layer with the numbers filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from ..graph import Graph, Node
from ..ops import REGISTRY, make, ready
from ..ops.base import Composite, ExplanationStep
from ..tensor import Tensor

if TYPE_CHECKING:
    from .layers import LayerRecord
    from .report import Report


class Explanation(msgspec.Struct, frozen=True):
    """One layer's arithmetic: ``steps`` lead from its fields to its shape, parameters, operations and bytes."""

    name: str
    op: str
    fields: dict[str, object]
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]
    steps: tuple[ExplanationStep, ...]
    warnings: tuple[str, ...]


def explain(report: Report, layer: str | None = None, every: bool = False) -> tuple[Explanation, ...]:
    """Explanations of one layer, of all layers of a block, or of all that cost something (``layer`` None).

    Where nothing costs anything, or with ``every``, all are explained.

    Raises:
        OpError: there is no such layer or block; the message has the nearest spelling.
    """
    train = report.settings.mode == "train"
    if layer is not None:
        found = report.graph.find(layer)
        return tuple(_explained(record, train) for record in report.layers[found.start : found.stop])
    if every:
        return tuple(_explained(record, train) for record in report.layers)
    costly = [record for record in report.layers if record.flops or record.params or record.bytes_written]
    return tuple(_explained(record, train) for record in costly or report.layers)


def explain_op(
    name: str, fields: dict[str, object], input_shapes: Sequence[Sequence[int]], dtype: str | None = None
) -> Graph:
    """A graph of one op, for ``analyze`` and ``explain``: what it does to inputs of the given shapes (batch first).

    ``dtype`` None: the one that the op usually reads.

    Raises:
        OpError: unknown op or field, impossible size; the message has the numbers.
    """
    if name not in REGISTRY and name[:-1] in REGISTRY and name.endswith("_"):
        name, fields = name[:-1], {**fields, "inplace": True}
    op = make(name, fields)
    inputs = tuple(Tensor(tuple(shape), dtype or op.input_dtype) for shape in input_shapes)
    op = ready(op, inputs)
    named = [("input" if len(inputs) == 1 else f"input_{k + 1}", tensor) for k, tensor in enumerate(inputs)]
    if not isinstance(op, Composite):
        return Graph([Node(name, op, tuple((-1 - k, 0) for k in range(len(inputs))))], named)
    nodes: list[Node] = []
    position: dict[str, int] = {}
    values: list[tuple[Tensor, ...]] = []
    for part in op.parts(inputs):
        sources = tuple((-1 - k, 0) if source == "input" else (position[source], k) for source, k in part.inputs)
        arriving = tuple(inputs[-1 - n] if n < 0 else values[n][k] for n, k in sources)
        bound = ready(part.op, arriving)
        position[part.name] = len(nodes)
        nodes.append(Node(part.name, bound, sources))
        values.append(bound.outputs(arriving))
    return Graph(nodes, named)


def _explained(record: LayerRecord, train: bool) -> Explanation:
    from .layers import fields_of

    op, cost = record.node.op, record.cost
    steps = [*op.steps(cost.inputs, cost.outputs), *_operations(record), *_bytes(record, train), *_field(record)]
    return Explanation(
        name=record.name,
        op=record.op,
        fields={key: value for key, value in fields_of(op).items() if value is not None},
        input_shapes=record.input_shapes,
        output_shapes=record.output_shapes,
        steps=tuple(steps),
        warnings=op.warnings(cost.inputs),
    )


def _operations(record: LayerRecord) -> list[ExplanationStep]:
    kinds = record.flops_by_kind
    if not kinds:
        return [ExplanationStep("FLOPs", "none", "moves or renames values only", 0)]
    names = " + ".join("2*MACs" if kind == "mac" else kind for kind in kinds)
    numbers = " + ".join(f"{number:,}" for number in kinds.values())
    return [ExplanationStep("FLOPs", names, numbers, record.flops)]


def _bytes(record: LayerRecord, train: bool) -> list[ExplanationStep]:
    cost = record.cost
    placed = record.node.op.placement(cost.inputs, train)
    steps = []
    for index, (tensor, placement) in enumerate(zip(cost.outputs, placed, strict=True)):
        label = "output memory" if len(cost.outputs) == 1 else f"output {index} memory"
        if placement.kind != "fresh":
            reason = "a view of its input" if placement.kind == "view" else "in place, on its input"
            steps.append(ExplanationStep(label, "none", reason, 0, "bytes"))
            continue
        sides = "*".join(map(str, tensor.shape)) or "1"
        steps.append(
            ExplanationStep(
                label,
                "elements*bytes",
                f"{sides}*{tensor.bytes // max(1, tensor.elements)}",
                tensor.bytes,
                "bytes",
            )
        )
    if record.bytes_written:
        inputs = record.node.op.reads(cost.inputs, cost.outputs)
        weights = record.bytes_read - inputs
        steps.append(
            ExplanationStep("bytes read", "inputs + weights", f"{inputs:,} + {weights:,}", record.bytes_read, "bytes")
        )
        steps.append(
            ExplanationStep("bytes written", "outputs", f"{record.bytes_written:,}", record.bytes_written, "bytes")
        )
    return steps


def _field(record: LayerRecord) -> list[ExplanationStep]:
    field = record.receptive_field
    if field is None:
        return []
    if field.whole:
        return [ExplanationStep("receptive field", "all of the input", "", field.size, "shape")]
    start = ", ".join(map(str, field.start))
    stride = ", ".join(map(str, field.stride))
    return [
        ExplanationStep(
            "receptive field",
            "end - start + 1, over all paths",
            f"starts at {start}",
            field.size,
            "shape",
        ),
        ExplanationStep("effective stride", "product of the strides before", "", stride, ""),
    ]
