"""Our figures beside PyTorch's and the counters': pure functions from records to checks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ...analysis.conventions import CONVENTIONS
from ...analysis.layers import LayerRecord
from ...analysis.report import Report
from ...tensor import Tensor
from .reasons import fvcore_reason, likely_count, likely_macs, likely_shape, torch_reason
from .results import Check, Difference, Explained

COUNTERS = {"torch": "torch flop counter", "fvcore": "fvcore"}
"""The counters, by the name of their convention, as tables name them."""

Seen = Mapping[str, Any]
"""What was observed of each layer, by its name."""


def against_pytorch(report: Report, seen: Seen) -> tuple[Check, ...]:
    """Shapes, weights and memory of each layer, against the module that ran."""
    return (
        _outputs(report.layers, seen),
        _figures("params", report.layers, seen, lambda x: x.params, lambda x: x.params),
        _figures("buffers", report.layers, seen, lambda x: x.buffers, lambda x: x.buffers),
        _figures("weight bytes", report.layers, seen, lambda x: x.weight_bytes + x.buffer_bytes,
                 lambda x: x.weight_bytes),
        _figures("activation bytes", report.layers, seen, lambda x: x.activation_bytes, lambda x: x.fresh_bytes),
    )  # fmt: skip


def _outputs(layers: Iterable[LayerRecord], seen: Seen) -> Check:
    differences = []
    compared = equal = 0
    for layer in layers:
        if layer.name not in seen:
            continue
        compared += 1
        ours, theirs = layer.cost.outputs, seen[layer.name].outputs
        if ours == theirs:
            equal += 1
        else:
            reason = likely_shape(layer, theirs)
            differences.append(Difference(layer.name, layer.op, shown(ours), shown(theirs), reason))
    return Check("output shapes", "PyTorch", compared, equal, differences=tuple(differences))


def shown(tensors: Sequence[Tensor]) -> str:
    """Shapes as text, with the dtype where it is not float32: ``1x64x56x56``."""
    return ", ".join(
        ("x".join(map(str, x.shape)) or "scalar") + (f" {x.dtype}" if x.dtype != "float32" else "") for x in tensors
    )


def _figures(
    quantity: str,
    layers: Iterable[LayerRecord],
    seen: Seen,
    our: Callable[[LayerRecord], int],
    their: Callable[[Any], int],
) -> Check:
    pairs = [(layer, our(layer), their(seen[layer.name])) for layer in layers if layer.name in seen]
    differences = tuple(
        Difference(layer.name, layer.op, ours, theirs, likely_count(layer, quantity, ours, theirs))
        for layer, ours, theirs in pairs
        if ours != theirs
    )
    return Check(
        quantity,
        "PyTorch",
        len(pairs),
        len(pairs) - len(differences),
        sum(ours for _, ours, _ in pairs),
        sum(theirs for _, _, theirs in pairs),
        differences=differences,
    )


def against_counter(report: Report, name: str, counts: Mapping[str, int]) -> Check:
    """Multiply-accumulates of each layer, against what a counter printed for it.

    Where it counts by another rule, its figure must be what that rule gives: then the layer is explained, not equal.

    Args:
        report: ours.
        name: of the counter's convention: "torch" counts 2 for a multiply-accumulate, "fvcore" 1.
        counts: the counter's own figure for each layer.
    """
    each = 2 if name == "torch" else 1
    rule, reason_of = CONVENTIONS[name][0], torch_reason if name == "torch" else fvcore_reason
    train = report.settings.mode == "train"
    explained: dict[str, list[tuple[LayerRecord, int]]] = {}
    differences = []
    equal = 0
    pairs = [(layer, counts[layer.name]) for layer in report.layers if layer.name in counts]
    for layer, theirs in pairs:
        if theirs == each * layer.macs:
            equal += 1
        elif theirs == rule(layer, train) and (reason := reason_of(layer, theirs)):
            explained.setdefault(reason, []).append((layer, theirs))
        else:
            reason = likely_macs(layer, theirs / each)
            differences.append(Difference(layer.name, layer.op, layer.macs, macs_of(theirs, each), reason))
    return Check(
        "macs",
        COUNTERS[name],
        len(pairs),
        equal,
        sum(layer.macs for layer, _ in pairs),
        sum(theirs for _, theirs in pairs) // each,
        tuple(_explained(reason, rows, each) for reason, rows in explained.items()),
        tuple(differences),
    )


def macs_of(count: int, each: int) -> int | str:
    """A counter's figure in multiply-accumulates."""
    return count // each if count % each == 0 else f"{count / each}"


def _explained(reason: str, rows: Sequence[tuple[LayerRecord, int]], each: int) -> Explained:
    return Explained(
        reason,
        len(rows),
        sum(layer.macs for layer, _ in rows),
        sum(theirs for _, theirs in rows) // each,
        rows[0][0].name,
    )
