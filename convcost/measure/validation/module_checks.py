"""Compares the figures of a captured graph with the user's module, module by module.

Pure functions that take records and return checks. ``module_run.py`` runs the module.
"""

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
from .module_run import ModulePaths, ObservedModule, same_shapes
from .reasons import fvcore_reason, likely_macs, torch_reason
from .results import Check, Difference, Explained
from .spec_checks import COUNTERS, counter_macs, shapes_text

OWN = "your module"
Shapes = Sequence[tuple[int, ...]]

MAX_CHOICES = 12
"""Largest number of layers in one module whose subsets are all tried."""

UNKNOWN_TO_FVCORE: dict[str, tuple[str, type[Op]]] = {
    "aten::scaled_dot_product_attention": ("attention", Matmul),
    "aten::baddbmm": ("", Matmul),
    "aten::_convolution_mode": ("", Convolution),
}
"""Operators without a formula in fvcore, and the layers that they become: their group ("": any) and op."""


def against_module(report: Report, run: ObservedModule) -> tuple[Check, ...]:
    """Compare parameters, buffers and outputs of each module."""
    paths = ModulePaths(list(run.params))
    return (
        _weights("params", "parameter", report, run, run.params, paths),
        _weights("buffers", "buffer", report, run, run.buffers, paths),
        _outputs(report, run),
    )


def _outputs(report: Report, run: ObservedModule) -> Check:
    """Compare the outputs of each module that is one layer and was called once."""
    differences = []
    compared = 0
    for layer in report.layers:
        calls = run.outputs.get(layer.name, [])
        if len(calls) != 1 or not calls[0]:
            continue
        compared += 1
        ours = layer.cost.outputs[: len(calls[0])]
        if ours != calls[0]:
            shapes = shapes_text(ours), shapes_text(calls[0])
            differences.append(Difference(layer.name, layer.op, *shapes, "the output of the module"))
    return Check("output shapes", OWN, compared, compared - len(differences), differences=tuple(differences))


def _weights(
    quantity: str, kind: str, report: Report, run: ObservedModule, theirs: Mapping[str, Shapes], paths: ModulePaths
) -> Check:
    """Compare the tensors of each module including its submodules, for all modules that ran."""
    ours: dict[str, list[tuple[int, ...]]] = {path: [] for path in theirs}
    for layer in report.layers:
        if layer.node.owner == -1:
            shapes = [weight.shape for weight in layer.node.op.weights() if weight.kind == kind]
            for path in paths.with_parents(paths.of(layer.name)) if shapes else ():
                ours[path] += shapes
    ran = [path for path in theirs if path in run.outputs]
    differences = tuple(
        Difference(path, "", _total(ours[path]), _total(theirs[path]), _unmatched(ours[path], theirs[path]))
        for path in ran
        if not same_shapes(ours[path], theirs[path])
    )
    innermost = tuple(d for d in differences if not any(e.layer.startswith(_prefix(d.layer)) for e in differences))
    return Check(
        quantity, OWN, len(ran), len(ran) - len(differences), _total(ours[""]), _total(theirs[""]),
        differences=innermost,
    )  # fmt: skip


def _prefix(path: str) -> str:
    return f"{path}." if path else ""


def _total(shapes: Shapes) -> int:
    return sum(map(prod, shapes))


def _unmatched(ours: Shapes, theirs: Shapes) -> str:
    left = list(theirs)
    more = [shape for shape in ours if shape not in left or left.remove(shape)]  # type: ignore[func-returns-value]
    parts = [f"only in the module: {_text(left)}"] * bool(left) + [f"only in convcost: {_text(more)}"] * bool(more)
    return "; ".join(parts)


def _text(shapes: Shapes) -> str:
    return ", ".join("x".join(map(str, shape)) or "scalar" for shape in shapes[:3]) + (", ..." * (len(shapes) > 3))


# --- multiply-accumulates


def against_module_counter(
    report: Report,
    name: str,
    counts: Mapping[str, int],
    operators: Mapping[str, Collection[str]],
) -> Check:
    """Compare the multiply-accumulates of each module without its submodules with a counter's figures.

    Args:
        report: convcost's figures.
        name: the convention of the counter, "torch" (2 for each multiply-accumulate) or "fvcore" (1).
        counts: the counter's figure for each module without its submodules, by path.
        operators: the operators in each module. Those without a formula are named ``aten::...``.
    """
    each = 2 if name == "torch" else 1
    paths = ModulePaths(list(counts))
    inside: dict[str, list[LayerRecord]] = {path: [] for path in counts}
    for layer in report.layers:
        inside[paths.of(layer.name)].append(layer)
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
            differences.append(Difference(path, "", ours, counter_macs(theirs, each), _likely(layers, theirs / each)))
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
    """Why the counter gives exactly ``theirs`` for these layers; "" if no known rule gives this figure."""
    rule = CONVENTIONS[name][0]
    expected = {layer.name: rule(layer, train) for layer in layers}
    reasons = []
    if theirs != sum(expected.values()):
        for op in sorted(set(operators) & set(UNKNOWN_TO_FVCORE)):
            expected.update(dict.fromkeys(_layers_of(op, layers), 0))
            reasons.append(f"{op.removeprefix('aten::')}: fvcore has no formula for this operator and counts 0")
        gap = theirs - sum(expected.values())
        if gap and "einsum" in operators and _is_sum_of_some(gap, _rounding_errors(layers)):
            reasons.append("einsum: fvcore reads NumPy's estimate, which is printed with four digits")
        elif gap and _is_sum_of_some(gap, _norm_weights(layers)):
            reasons.append(
                "norm: fvcore counts 1 more per element for a weight, which is a separate multiplication in convcost"
            )
        elif gap:
            return ""
    reason_of: Callable[[LayerRecord, int], str] = torch_reason if name == "torch" else fvcore_reason
    each = 2 if name == "torch" else 1
    others = [layer for layer in layers if expected[layer.name] != each * layer.macs]
    reasons += [reason_of(layer, expected[layer.name]) for layer in others]
    return "; ".join(dict.fromkeys(filter(None, reasons)))


def _is_sum_of_some(gap: int, terms: Sequence[int]) -> bool:
    return any(sum(chosen) == gap for size in range(1, len(terms) + 1) for chosen in combinations(terms, size))


def _rounding_errors(layers: Sequence[LayerRecord]) -> list[int]:
    """The error in the MACs of each matrix product when its FLOPs are printed with four digits."""
    products = [layer.macs for layer in layers if isinstance(layer.node.op, Matmul)]
    return [int(float(f"{2 * macs:.3e}") / 2) - macs for macs in products[:MAX_CHOICES]]


def _norm_weights(layers: Sequence[LayerRecord]) -> list[int]:
    """For each norm without weights, what fvcore would count for its weight."""
    norms = [layer for layer in layers if layer.node.op.group == "norm" and not layer.node.op.weights()]
    return [layer.cost.inputs[0].elements for layer in norms[:MAX_CHOICES]]


def _layers_of(op: str, layers: Sequence[LayerRecord]) -> list[str]:
    group, cls = UNKNOWN_TO_FVCORE[op]
    return [layer.name for layer in layers if isinstance(layer.node.op, cls) and group in ("", layer.group)]


def _likely(layers: Sequence[LayerRecord], theirs: float) -> str:
    with_macs = [layer for layer in layers if layer.macs]
    if len(with_macs) == 1 or len(layers) == 1:
        return likely_macs((with_macs or layers)[0], theirs)
    if not with_macs:
        return "the counter counts multiply-accumulates where convcost has none"
    return f"probably one of the layers {', '.join(layer.name for layer in with_macs[:3])}"
