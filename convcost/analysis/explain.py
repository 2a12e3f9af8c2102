"""Explains a layer: the formulas for its shape, parameters, operations and bytes, with the numbers inserted.

The steps of an op's own formulas come from ``Op.steps``; this file adds the steps that are the same for all ops.
"""

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
    """The arithmetic of one layer."""

    name: str
    op: str
    fields: dict[str, object]
    """The fields of the op that are not None."""
    input_shapes: tuple[tuple[int, ...], ...]
    output_shapes: tuple[tuple[int, ...], ...]
    steps: tuple[ExplanationStep, ...]
    """The formulas in order, with the numbers inserted."""
    warnings: tuple[str, ...]


def explain(report: Report, layer: str | None = None, every: bool = False) -> tuple[Explanation, ...]:
    """Explain layers of a report.

    Args:
        report: the report of a network.
        layer: the name of a layer, or of a block to explain all its layers. None: all layers with operations,
            parameters or memory traffic, or all layers if none has any.
        every: with ``layer`` None, explain all layers.

    Raises:
        OpError: there is no such layer or block; the message suggests a similar name.
    """
    train = report.settings.mode == "train"
    if layer is not None:
        positions = report.graph.find(layer)
        return tuple(_explained(record, train) for record in report.layers[positions.start : positions.stop])
    if every:
        return tuple(_explained(record, train) for record in report.layers)
    with_cost = [record for record in report.layers if record.flops or record.params or record.bytes_written]
    return tuple(_explained(record, train) for record in with_cost or report.layers)


def explain_op(
    name: str, fields: dict[str, object], input_shapes: Sequence[Sequence[int]], dtype: str | None = None
) -> Graph:
    """Build a graph of a single op, for ``analyze`` and ``explain``. A composite op becomes several nodes.

    Args:
        name: the op, such as "conv2d", or "relu_" for the in-place variant.
        fields: its fields, such as ``{"out_channels": 8, "kernel_size": 3}``.
        input_shapes: the shapes of its inputs, with the batch as the first dimension.
        dtype: the dtype of the inputs; None: the op's usual one.

    Raises:
        OpError: the op or a field is unknown, or the op cannot take inputs of these shapes.
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
        part_inputs = tuple(inputs[-1 - n] if n < 0 else values[n][k] for n, k in sources)
        part_op = ready(part.op, part_inputs)
        position[part.name] = len(nodes)
        nodes.append(Node(part.name, part_op, sources))
        values.append(part_op.outputs(part_inputs))
    return Graph(nodes, named)


def _explained(record: LayerRecord, train: bool) -> Explanation:
    from .layers import fields_of

    op, cost = record.node.op, record.cost
    own = op.steps(cost.inputs, cost.outputs)
    steps = [*own, *_operations(record), *_bytes(record, train), *_receptive_field(record)]
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
        return [ExplanationStep("FLOPs", "none", "only moves or reinterprets values", 0)]
    names = " + ".join("2*MACs" if kind == "mac" else kind for kind in kinds)
    numbers = " + ".join(f"{number:,}" for number in kinds.values())
    return [ExplanationStep("FLOPs", names, numbers, record.flops)]


def _bytes(record: LayerRecord, train: bool) -> list[ExplanationStep]:
    cost = record.cost
    placements = record.node.op.placement(cost.inputs, train)
    steps = []
    for index, (tensor, placement) in enumerate(zip(cost.outputs, placements, strict=True)):
        label = "output memory" if len(cost.outputs) == 1 else f"output {index} memory"
        if placement.kind != "fresh":
            reason = "a view of its input" if placement.kind == "view" else "in place, on its input"
            steps.append(ExplanationStep(label, "none", reason, 0, "bytes"))
            continue
        sizes = "*".join(map(str, tensor.shape)) or "1"
        substitution = f"{sizes}*{tensor.bytes // max(1, tensor.elements)}"
        steps.append(ExplanationStep(label, "elements*bytes", substitution, tensor.bytes, "bytes"))
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


def _receptive_field(record: LayerRecord) -> list[ExplanationStep]:
    field = record.receptive_field
    if field is None:
        return []
    if field.whole:
        return [ExplanationStep("receptive field", "the whole input", "", field.size, "shape")]
    start = ", ".join(map(str, field.start))
    stride = ", ".join(map(str, field.stride))
    return [
        ExplanationStep(
            "receptive field", "end - start + 1, over all paths", f"starts at {start}", field.size, "shape"
        ),
        ExplanationStep("effective stride", "product of the strides so far", "", stride, ""),
    ]
