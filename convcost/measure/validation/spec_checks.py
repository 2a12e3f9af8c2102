"""Compares convcost's figures with those of PyTorch and of FLOP counters, layer by layer.

Pure functions that take records and return checks; they do not import PyTorch. A check of another quantity is one more
line in ``against_pytorch``.
"""

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
"""The name of each counter in the output, by its convention."""

Observed = Mapping[str, Any]
"""The ObservedLayer of each layer, by the layer's name."""


def against_pytorch(report: Report, observed: Observed) -> tuple[Check, ...]:
    """Compare output shapes, weights and memory of each layer with those of the module that ran."""
    return (
        _outputs(report.layers, observed),
        _figures("params", report.layers, observed, lambda x: x.params, lambda x: x.params),
        _figures("buffers", report.layers, observed, lambda x: x.buffers, lambda x: x.buffers),
        _figures("weight bytes", report.layers, observed, lambda x: x.weight_bytes + x.buffer_bytes,
                 lambda x: x.weight_bytes),
        _figures("activation bytes", report.layers, observed, lambda x: x.activation_bytes, lambda x: x.fresh_bytes),
    )  # fmt: skip


def _outputs(layers: Iterable[LayerRecord], observed: Observed) -> Check:
    differences = []
    compared = equal = 0
    for layer in layers:
        if layer.name not in observed:
            continue
        compared += 1
        ours, theirs = layer.cost.outputs, observed[layer.name].outputs
        if ours == theirs:
            equal += 1
        else:
            reason = likely_shape(layer, theirs)
            differences.append(Difference(layer.name, layer.op, shapes_text(ours), shapes_text(theirs), reason))
    return Check("output shapes", "PyTorch", compared, equal, differences=tuple(differences))


def shapes_text(tensors: Sequence[Tensor]) -> str:
    """Shapes as text, such as ``1x64x56x56``, followed by the dtype if it is not float32."""
    return ", ".join(
        ("x".join(map(str, x.shape)) or "scalar") + (f" {x.dtype}" if x.dtype != "float32" else "") for x in tensors
    )


def _figures(
    quantity: str,
    layers: Iterable[LayerRecord],
    observed: Observed,
    our: Callable[[LayerRecord], int],
    their: Callable[[Any], int],
) -> Check:
    pairs = [(layer, our(layer), their(observed[layer.name])) for layer in layers if layer.name in observed]
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
    """Compare the multiply-accumulates of each layer with a counter's figure.

    A figure that differs is explained if the counter's known rule for this layer gives exactly this figure.

    Args:
        report: convcost's figures.
        name: the convention of the counter, "torch" (2 for each multiply-accumulate) or "fvcore" (1).
        counts: the counter's figure for each layer.
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
            differences.append(Difference(layer.name, layer.op, layer.macs, counter_macs(theirs, each), reason))
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


def counter_macs(count: int, each: int) -> int | str:
    """A counter's figure in multiply-accumulates, each of which it counts ``each`` times."""
    return count // each if count % each == 0 else f"{count / each}"


def _explained(reason: str, rows: Sequence[tuple[LayerRecord, int]], each: int) -> Explained:
    return Explained(
        reason,
        len(rows),
        sum(layer.macs for layer, _ in rows),
        sum(theirs for _, theirs in rows) // each,
        rows[0][0].name,
    )
