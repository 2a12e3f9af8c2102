"""Why figures differ, in words: rules of counters that are known, and guesses at what is not."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ...analysis.layers import LayerRecord
from ...ops.layout import View
from ...tensor import Tensor


def torch_reason(layer: LayerRecord, theirs: int) -> str:
    """Why PyTorch's counter gives what its convention says, and not our multiply-accumulates; "" if it should not."""
    return layer.node.op.uncounted


def fvcore_reason(layer: LayerRecord, theirs: int) -> str:
    """The same for fvcore, whose figure is ``theirs``."""
    node, cost = layer.node, layer.cost
    if layer.macs and not node.op.fvcore_flops(node.own_inputs(cost.inputs), cost.outputs, False):
        padding = layer.fields.get("padding")
        call = f"{layer.op} with padding {padding!r}" if isinstance(padding, str) else layer.op
        return node.op.uncounted or f"{call}: an operator that it has no formula for"
    if not layer.macs and theirs:
        word = layer.op.rstrip("123d")
        made, read = layer.cost.outputs[0].elements, layer.cost.inputs[0].elements
        side, elements = ("input", read) if theirs % read == 0 else ("output", made)
        return f"{word}: {theirs // elements} per element of the {side}, and no multiply-accumulates here"
    return torch_reason(layer, theirs)


def likely_shape(layer: LayerRecord, theirs: Sequence[Tensor]) -> str:
    """Where two shapes part."""
    ours = layer.cost.outputs
    if len(ours) != len(theirs):
        return f"{len(ours)} outputs by the rule, {len(theirs)} by PyTorch"
    for mine, other in zip(ours, theirs, strict=True):
        if len(mine.shape) != len(other.shape):
            return "another number of dimensions"
        for at, (a, b) in enumerate(zip(mine.shape, other.shape, strict=True)):
            if a != b:
                return f"dimension {at}: the shape rule of {layer.op} gives {a}, PyTorch {b}"
        if mine.dtype != other.dtype:
            return f"the dtype rule of {layer.op} gives {mine.dtype}, PyTorch {other.dtype}"
    return ""


def likely_count(layer: LayerRecord, quantity: str, ours: int, theirs: int) -> str:
    """What the gap between two counts of weights or bytes might be."""
    gap = abs(ours - theirs)
    for weight in layer.node.op.weights():
        if weight.elements == gap:
            side = "only in the rule" if ours > theirs else "only in PyTorch's module"
            return f"{gap:,} is the size of {weight.name}: {side}"
    if quantity == "activation bytes":
        if not theirs:
            return "PyTorch's output lies in an input or a weight, and the rule says fresh memory"
        if not ours and isinstance(layer.node.op, View):
            return (
                "PyTorch copies, since the input's order in memory allows no view: a contiguous before it would say so"
            )
        if not ours:
            return "PyTorch's output is in fresh memory, and the rule says a view or in place"
    return f"the {'weights' if 'bytes' not in quantity else 'bytes'} rule of {layer.op}"


def likely_macs(layer: LayerRecord, theirs: float) -> str:
    """What the gap between two counts of multiply-accumulates might be."""
    if not layer.node.op.modelled:
        return f"convcost has no rule for {layer.fields['function']}"
    if not theirs:
        return f"the counter does not know an operator of this {layer.op}"
    if layer.macs and theirs == 2 * layer.macs:
        return "twice ours: multiplications and additions counted apart"
    groups = layer.fields.get("groups", 1)
    if groups > 1 and theirs in (layer.macs * groups, layer.macs / groups):
        return f"a factor of {groups}: the groups"
    if layer.cost.outputs and theirs - layer.macs == prod(layer.cost.outputs[0].shape):
        return "one more per element of the output: the bias"
    return f"the macs rule of {layer.op}"
