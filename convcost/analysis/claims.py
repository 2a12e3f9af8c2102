"""Verdicts on published figures: a claim agrees if the computed figure rounds to its printed digits.

A new quantity is a word of ``graph.CLAIM_QUANTITIES`` and, unless it is a sum over layers, a row of ``RULES``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..errors import OpError
from ..graph import Claim, Graph
from ..tensor import ITEM_BYTES
from ..units import FIGURE, SCALES, is_figure
from .layers import SUMMED, LayerRecord
from .records import Totals, Verdict
from .settings import Settings

CLAIMED_DTYPE = "float32"
"""The dtype of published figures. At other dtypes only ``_FIXED`` quantities are checked."""

_GROUPS = {"conv_and_fc": ("conv", "fc"), "conv": ("conv",), "fc": ("fc",)}
"""The groups of layers that a convention counts; other conventions count all."""

_FIXED = ("params", "weights", "depth")
"""Quantities that do not depend on batch size, input size and dtype."""


class _Analysis(NamedTuple):
    """The figures that claims are compared with."""

    graph: Graph
    settings: Settings
    layers: tuple[LayerRecord, ...]
    totals: Totals


def verdicts(graph: Graph, settings: Settings, layers: tuple[LayerRecord, ...], totals: Totals) -> tuple[Verdict, ...]:
    """A verdict on every claim of the network. Most apply only to batch 1 at the declared input size in float32."""
    analysis = _Analysis(graph, settings, layers, totals)
    return tuple(_verdict(analysis, claim) for claim in graph.about.published)


def _verdict(analysis: _Analysis, claim: Claim) -> Verdict:
    def verdict(word: str, computed: int | tuple[int, ...] | None = None, note: str | None = claim.note) -> Verdict:
        return Verdict(claim.quantity, claim.value, computed, word, claim.source, claim.layer, claim.convention, note)

    declared = {name: (1, *tensor.shape[1:]) for name, tensor in analysis.graph.inputs}
    as_claimed = dict(analysis.settings.input_shapes) == declared and analysis.settings.dtype == CLAIMED_DTYPE
    if not as_claimed and claim.quantity not in _FIXED:
        return verdict("unchecked", note=f"the claim is for batch 1 at the declared input size in {CLAIMED_DTYPE}")
    try:
        computed = _computed(analysis, claim)
    except OpError as error:
        return verdict("unchecked", note=str(error))
    if isinstance(claim.value, tuple):
        return verdict("agrees" if computed == claim.value else "differs", computed)
    word = None if isinstance(computed, tuple) else verdict_on(claim.value, computed)
    if word is None:
        return verdict("unchecked", computed, f"{claim.value!r} is not a figure")
    return verdict(word, computed)


def verdict_on(printed: str, exact: int) -> str | None:
    """Compare a printed figure with an exact one.

    Trailing zeros of an integer with a suffix are not significant: "60M" stands for 55 to 65 million, "138M" for 137.5
    to 138.5 million. Without a suffix every digit is significant: "60,000" is exact.

    Returns:
        "agrees" if ``exact`` rounds to ``printed``, "truncated" if it is ``printed`` when cut off after the printed
        digits, else "differs"; None if ``printed`` is not a number.
    """
    match = FIGURE.match(printed)
    if not match or not is_figure(printed):
        return None
    whole, fraction, suffix = match.group(1).replace(",", ""), match.group(2) or "", match.group(3)
    # All values are multiplied by 2 and by 10 ** decimals, so that the limits of rounding are integers.
    places = 10 ** len(fraction)
    digits = int(whole + fraction)
    step = 1
    if suffix and not fraction and len(whole) > 1 and digits:
        step = 10 ** (len(whole) - len(whole.rstrip("0")))
    scale = SCALES[suffix]
    low, high = (2 * digits - step) * scale, (2 * digits + step) * scale
    computed = 2 * exact * places
    if not suffix and not fraction:
        return "agrees" if exact == digits else "differs"
    if low <= computed < high:
        return "agrees"
    return "truncated" if 2 * digits * scale <= computed < 2 * (digits + step) * scale else "differs"


def _computed(analysis: _Analysis, claim: Claim) -> int | tuple[int, ...]:
    layers = analysis.layers
    if claim.layer is not None:
        positions = analysis.graph.find(claim.layer)
        layers = layers[positions.start : positions.stop]
    if claim.quantity in SUMMED and claim.quantity not in RULES:
        groups = _GROUPS.get(claim.convention or "") if claim.convention in ("conv", "fc") else None
        return sum(int(getattr(layer, claim.quantity)) for layer in layers if not groups or layer.group in groups)
    return RULES[claim.quantity](analysis, layers, claim)


Layers = tuple[LayerRecord, ...]


def _activation_bytes(analysis: _Analysis, layers: Layers, claim: Claim) -> int:
    groups = _GROUPS.get(claim.convention or "")
    size = sum(layer.activation_bytes for layer in layers if groups is None or layer.group in groups)
    if claim.convention == "with_input" and claim.layer is None:
        size += analysis.totals.input_bytes
    return size


def _elements(analysis: _Analysis, layers: Layers, claim: Claim) -> int:
    return _activation_bytes(analysis, layers, claim) // ITEM_BYTES[CLAIMED_DTYPE]


def _weights(analysis: _Analysis, layers: Layers, claim: Claim) -> int:
    return sum(w.elements for layer in layers for w in layer.node.op.weights() if w.name.endswith("weight"))


def _connections(analysis: _Analysis, layers: Layers, claim: Claim) -> int:
    return sum(layer.node.op.connection_count(layer.cost.inputs, layer.cost.outputs) for layer in layers)


def _depth(analysis: _Analysis, layers: Layers, claim: Claim) -> int:
    return analysis.totals.depth


def _output_shape(analysis: _Analysis, layers: Layers, claim: Claim) -> tuple[int, ...]:
    position, output = analysis.graph.outputs[0]
    if claim.layer is not None:
        return layers[-1].output_shapes[0][1:]
    if position < 0:
        return list(analysis.settings.input_shapes.values())[-1 - position][1:]
    return analysis.layers[position].output_shapes[output][1:]


RULES: dict[str, Callable[[_Analysis, Layers, Claim], int | tuple[int, ...]]] = {
    "activation_bytes": _activation_bytes,
    "elements": _elements,
    "weights": _weights,
    "connections": _connections,
    "depth": _depth,
    "output_shape": _output_shape,
}
"""Functions that compute a quantity of claims for some layers, unless it is a plain sum over them: every word of
``graph.CLAIM_QUANTITIES`` is in ``RULES`` or in ``layers.SUMMED``."""
