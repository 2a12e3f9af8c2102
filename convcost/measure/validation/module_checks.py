"""A captured graph's figures beside the module that it was captured from: pure functions from records to checks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import combinations
from math import prod

from ...analysis.conventions import CONVENTIONS
from ...analysis.layers import LayerRecord
from ...analysis.report import Report
from ...ops.base import Op
from ...ops.combine import Matmul
from ...ops.conv import Convolution
from .module_run import Places, Ran, same_shapes
from .reasons import fvcore_reason, likely_macs, torch_reason
from .results import Check, Difference, Explained
from .spec_checks import COUNTERS, macs_of, shown

OWN = "your module"
Shapes = Sequence[tuple[int, ...]]

MAX_CHOICES = 12
"""Among so many layers of one module every choice is tried."""

WHOLE_THERE: dict[str, tuple[str, type[Op]]] = {
    "aten::scaled_dot_product_attention": ("attention", Matmul),
    "aten::baddbmm": ("", Matmul),
    "aten::_convolution_mode": ("", Convolution),
}
"""Operators that fvcore has no formula for, and which layers they are here: their group ("": any) and op."""


def against_module(report: Report, ran: Ran) -> tuple[Check, ...]:
    """Weights and outputs of each module, against the module itself."""
    places = Places(list(ran.params))
    return (
        _weights("params", "parameter", report, ran, ran.params, places),
        _weights("buffers", "buffer", report, ran, ran.buffers, places),
        _outputs(report, ran),
    )


def _outputs(report: Report, ran: Ran) -> Check:
    """Layers that are a module, called once: what it gave."""
    differences = []
    compared = 0
    for layer in report.layers:
        calls = ran.outputs.get(layer.name, [])
        if len(calls) != 1 or not calls[0]:
            continue
        compared += 1
        ours = layer.cost.outputs[: len(calls[0])]
        if ours != calls[0]:
            differences.append(Difference(layer.name, layer.op, shown(ours), shown(calls[0]), "its output"))
    return Check("output shapes", OWN, compared, compared - len(differences), differences=tuple(differences))


def _weights(quantity: str, kind: str, report: Report, ran: Ran, theirs: Mapping[str, Shapes], places: Places) -> Check:
    """Tensors of each module with its parts. A part that never ran is compared as part of what holds it."""
    ours: dict[str, list[tuple[int, ...]]] = {path: [] for path in theirs}
    for layer in report.layers:
        if layer.node.owner == -1:
            shapes = [weight.shape for weight in layer.node.op.weights() if weight.kind == kind]
            for path in places.above(_home(layer, places)) if shapes else ():
                ours[path] += shapes
    paths = [path for path in theirs if path in ran.outputs]
    differences = tuple(
        Difference(path, "", _total(ours[path]), _total(theirs[path]), _missing(ours[path], theirs[path]))
        for path in paths
        if not same_shapes(ours[path], theirs[path])
    )
    innermost = tuple(d for d in differences if not any(e.layer.startswith(_inside(d.layer)) for e in differences))
    return Check(
        quantity, OWN, len(paths), len(paths) - len(differences), _total(ours[""]), _total(theirs[""]),
        differences=innermost,
    )  # fmt: skip


def _inside(path: str) -> str:
    return f"{path}." if path else ""


def _home(layer: LayerRecord, places: Places) -> str:
    """Where a layer's weights belong: a parameter that is a value is called after itself."""
    return places.of(layer.name)


def _total(shapes: Shapes) -> int:
    return sum(map(prod, shapes))


def _missing(ours: Shapes, theirs: Shapes) -> str:
    left = list(theirs)
    more = [shape for shape in ours if shape not in left or left.remove(shape)]  # type: ignore[func-returns-value]
    words = [f"only there: {_text(left)}"] * bool(left) + [f"only here: {_text(more)}"] * bool(more)
    return "; ".join(words)


def _text(shapes: Shapes) -> str:
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in shapes[:3]) + (", ..." * (len(shapes) > 3))


# --- multiply-accumulates


def against_module_counter(
    report: Report,
    name: str,
    counts: Mapping[str, int],
    operators: Mapping[str, Collection[str]],
) -> Check:
    """Multiply-accumulates of each module alone, without its parts, against a counter's figure for it.

    ``operators`` are those that the counter met in a module; one without a formula is called "aten::...".
    """
    each = 2 if name == "torch" else 1
    places = Places(list(counts))
    inside: dict[str, list[LayerRecord]] = {path: [] for path in counts}
    for layer in report.layers:
        inside[places.of(layer.name)].append(layer)
    explained: dict[str, list[tuple[str, int, int]]] = {}
    differences = []
    equal = 0
    for path, theirs in counts.items():
        layers = inside[path]
        ours = sum(layer.macs for layer in layers)
        if theirs == each * ours:
            equal += 1
        elif reason := _reason(name, layers, theirs, operators.get(path, ()), report.settings.mode == "train"):
            explained.setdefault(reason, []).append((path, ours, theirs // each))
        else:
            differences.append(Difference(path, "", ours, macs_of(theirs, each), _likely(layers, theirs / each)))
    return Check(
        "macs", f"{COUNTERS[name]}, {OWN}", len(counts), equal,
        report.totals.macs, sum(counts.values()) // each,
        tuple(
            Explained(reason, len(rows), sum(row[1] for row in rows), sum(row[2] for row in rows), rows[0][0])
            for reason, rows in explained.items()
        ),
        tuple(differences),
    )  # fmt: skip


def _reason(name: str, layers: Sequence[LayerRecord], theirs: int, operators: Collection[str], train: bool) -> str:
    rule = CONVENTIONS[name][0]
    expected = {layer.name: rule(layer, train) for layer in layers}
    words = []
    if theirs != sum(expected.values()):
        for op in sorted(set(operators) & set(WHOLE_THERE)):
            expected.update(dict.fromkeys(_covered(op, layers), 0))
            words.append(f"{op.removeprefix('aten::')}: it has no formula for this operator, and counts 0")
        gap = theirs - sum(expected.values())
        if gap and "einsum" in operators and _adds_up(gap, _rounding(layers)):
            words.append("einsum: it reads numpy's estimate, which is printed with four digits")
        elif gap and _adds_up(gap, _norm_weights(layers)):
            words.append("norm: 1 more per element for a weight, which is a multiplication of its own here")
        elif gap:
            return ""
    reason_of: Callable[[LayerRecord, int], str] = torch_reason if name == "torch" else fvcore_reason
    each = 2 if name == "torch" else 1
    others = [layer for layer in layers if expected[layer.name] != each * layer.macs]
    words += [reason_of(layer, expected[layer.name]) for layer in others]
    return "; ".join(dict.fromkeys(filter(None, words)))


def _adds_up(gap: int, gains: Sequence[int]) -> bool:
    """Whether ``gap`` is the sum of some of the gains."""
    return any(sum(chosen) == gap for size in range(1, len(gains) + 1) for chosen in combinations(gains, size))


def _rounding(layers: Sequence[LayerRecord]) -> list[int]:
    """What each matrix product gains where 2 per multiply-accumulate is written with 4 digits."""
    products = [layer.macs for layer in layers if isinstance(layer.node.op, Matmul)]
    return [int(float(f"{2 * macs:.3e}") / 2) - macs for macs in products[:MAX_CHOICES]]


def _norm_weights(layers: Sequence[LayerRecord]) -> list[int]:
    """What each norm without weights of its own would count more with them."""
    norms = [layer for layer in layers if layer.node.op.group == "norm" and not layer.node.op.weights()]
    return [layer.cost.inputs[0].elements for layer in norms[:MAX_CHOICES]]


def _covered(op: str, layers: Sequence[LayerRecord]) -> list[str]:
    group, kind = WHOLE_THERE[op]
    return [layer.name for layer in layers if isinstance(layer.node.op, kind) and group in ("", layer.group)]


def _likely(layers: Sequence[LayerRecord], theirs: float) -> str:
    counted = [layer for layer in layers if layer.macs]
    if len(counted) == 1 or len(layers) == 1:
        return likely_macs((counted or layers)[0], theirs)
    return f"the layers {', '.join(layer.name for layer in counted[:3])}" if counted else "it counts something here"
