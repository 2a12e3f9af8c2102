"""Explains why two figures differ, in words.

``torch_reason`` and ``fvcore_reason`` give the known rules of the counters; ``likely_...`` give the probable cause of
any other difference. What a counter counts for an op is declared on the op (``Op.uncounted``, ``Op.fvcore_flops``).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ...analysis.layers import LayerRecord
from ...ops.layout import View
from ...tensor import Tensor


def torch_reason(layer: LayerRecord, theirs: int) -> str:
    """Why PyTorch's counter counts something else than convcost's multiply-accumulates; "" if it should not."""
    return layer.node.op.uncounted


def fvcore_reason(layer: LayerRecord, theirs: int) -> str:
    """Why fvcore counts ``theirs`` and not convcost's multiply-accumulates; "" if it should not."""
    node, cost = layer.node, layer.cost
    if layer.macs and not node.op.fvcore_flops(node.own_inputs(cost.inputs), cost.outputs, False):
        padding = layer.fields.get("padding")
        layer_text = f"{layer.op} with padding {padding!r}" if isinstance(padding, str) else layer.op
        return node.op.uncounted or f"{layer_text}: the counter has no formula for this operator and counts 0"
    if not layer.macs and theirs:
        kind = layer.op.rstrip("123d")
        written, read = layer.cost.outputs[0].elements, layer.cost.inputs[0].elements
        side, elements = ("input", read) if theirs % read == 0 else ("output", written)
        return f"{kind}: {theirs // elements} per element of the {side}; convcost counts no multiply-accumulates"
    return torch_reason(layer, theirs)


def likely_shape(layer: LayerRecord, theirs: Sequence[Tensor]) -> str:
    """The first difference between a layer's output shapes and PyTorch's."""
    ours = layer.cost.outputs
    if len(ours) != len(theirs):
        return f"the number of outputs: {len(ours)} by the rule of {layer.op}, {len(theirs)} by PyTorch"
    for mine, other in zip(ours, theirs, strict=True):
        if len(mine.shape) != len(other.shape):
            return "the number of dimensions"
        for at, (a, b) in enumerate(zip(mine.shape, other.shape, strict=True)):
            if a != b:
                return f"dimension {at}: the shape rule of {layer.op} gives {a}, PyTorch {b}"
        if mine.dtype != other.dtype:
            return f"the dtype rule of {layer.op} gives {mine.dtype}, PyTorch {other.dtype}"
    return ""


def likely_count(layer: LayerRecord, quantity: str, ours: int, theirs: int) -> str:
    """The probable cause of a difference between two numbers of weights or bytes."""
    gap = abs(ours - theirs)
    for weight in layer.node.op.weights():
        if weight.elements == gap:
            side = "convcost" if ours > theirs else "PyTorch"
            return f"the difference of {gap:,} is the size of {weight.name}, which only {side} counts"
    if quantity == "activation bytes":
        if not theirs:
            return "PyTorch's output shares the storage of an input or a weight; convcost's rule says new memory"
        if not ours and isinstance(layer.node.op, View):
            return "PyTorch copies, because the input's strides allow no view; add a contiguous layer before this one"
        if not ours:
            return "PyTorch's output is in new memory; convcost's rule says a view or in place"
    return f"probably the {'weights' if 'bytes' not in quantity else 'bytes'} rule of {layer.op}"


def likely_macs(layer: LayerRecord, theirs: float) -> str:
    """The probable cause of a difference between two numbers of multiply-accumulates."""
    if not layer.node.op.modelled:
        return f"convcost has no rule for {layer.fields['function']}"
    if not theirs:
        return f"the counter has no formula for an operator of this {layer.op}"
    if layer.macs and theirs == 2 * layer.macs:
        return "twice convcost's figure: multiplications and additions are counted separately"
    groups = layer.fields.get("groups", 1)
    if groups > 1 and theirs in (layer.macs * groups, layer.macs / groups):
        return f"the ratio is the number of groups, {groups}"
    if layer.cost.outputs and theirs - layer.macs == prod(layer.cost.outputs[0].shape):
        return "one more per element of the output, probably the bias"
    return f"probably the MACs rule of {layer.op}"
