"""Published figures held against ours. A claim agrees if our exact figure rounds to its printed digits."""

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
"""What published figures are for: at another dtype most are not checked."""

_GROUPS = {"conv_and_fc": ("conv", "fc"), "conv": ("conv",), "fc": ("fc",)}
"""The groups of layers that a convention counts; None: all."""

_FIXED = ("params", "weights", "depth")
"""Quantities that depend on neither batch, nor input size, nor dtype."""


class _Account(NamedTuple):
    """What claims are held against."""

    graph: Graph
    settings: Settings
    layers: tuple[LayerRecord, ...]
    totals: Totals


def verdicts(graph: Graph, settings: Settings, layers: tuple[LayerRecord, ...], totals: Totals) -> tuple[Verdict, ...]:
    """A verdict on every claim of the network. Most hold for batch 1 at the declared input in float32 only."""
    account = _Account(graph, settings, layers, totals)
    return tuple(_verdict(account, claim) for claim in graph.about.published)


def _verdict(account: _Account, claim: Claim) -> Verdict:
    def verdict(word: str, computed: int | tuple[int, ...] | None = None, note: str | None = claim.note) -> Verdict:
        return Verdict(claim.quantity, claim.value, computed, word, claim.source, claim.layer, claim.convention, note)

    declared = {name: (1, *tensor.shape[1:]) for name, tensor in account.graph.inputs}
    as_claimed = dict(account.settings.input_shapes) == declared and account.settings.dtype == CLAIMED_DTYPE
    if not as_claimed and claim.quantity not in _FIXED:
        return verdict("unchecked", note=f"claimed for batch 1 at the declared input in {CLAIMED_DTYPE}")
    try:
        computed = _computed(account, claim)
    except OpError as error:
        return verdict("unchecked", note=str(error))
    if isinstance(claim.value, tuple):
        return verdict("agrees" if computed == claim.value else "differs", computed)
    word = None if isinstance(computed, tuple) else verdict_on(claim.value, computed)
    if word is None:
        return verdict("unchecked", computed, f"{claim.value!r} is not a figure")
    return verdict(word, computed)


def verdict_on(printed: str, exact: int) -> str | None:
    """Whether ``printed`` "agrees" with ``exact``, is "truncated" or "differs"; None if it is no figure.

    Zeros at the end of a whole number with a suffix may be rounding, and count as places that were not printed: "60M"
    stands for 55 to 65 million, "138M" for 137.5 to 138.5. Without a suffix every digit counts: "60,000" is exact.
    """
    match = FIGURE.match(printed)
    if not match or not is_figure(printed):
        return None
    whole, fraction, suffix = match.group(1).replace(",", ""), match.group(2) or "", match.group(3)
    # Everything in units of the last printed place, times two, to stay in whole numbers.
    places = 10 ** len(fraction)
    digits = int(whole + fraction)
    step = 1
    if suffix and not fraction and len(whole) > 1 and digits:
        step = 10 ** (len(whole) - len(whole.rstrip("0")))
    scale = SCALES[suffix]
    low, high = (2 * digits - step) * scale, (2 * digits + step) * scale
    ours = 2 * exact * places
    if not suffix and not fraction:
        return "agrees" if exact == digits else "differs"
    if low <= ours < high:
        return "agrees"
    return "truncated" if 2 * digits * scale <= ours < 2 * (digits + step) * scale else "differs"


def _computed(account: _Account, claim: Claim) -> int | tuple[int, ...]:
    layers = account.layers
    if claim.layer is not None:
        positions = account.graph.find(claim.layer)
        layers = layers[positions.start : positions.stop]
    if claim.quantity in SUMMED and claim.quantity not in RULES:
        groups = _GROUPS.get(claim.convention or "") if claim.convention in ("conv", "fc") else None
        return sum(int(getattr(layer, claim.quantity)) for layer in layers if not groups or layer.group in groups)
    return RULES[claim.quantity](account, layers, claim)


Layers = tuple[LayerRecord, ...]


def _activation_bytes(account: _Account, layers: Layers, claim: Claim) -> int:
    groups = _GROUPS.get(claim.convention or "")
    size = sum(layer.activation_bytes for layer in layers if groups is None or layer.group in groups)
    if claim.convention == "with_input" and claim.layer is None:
        size += account.totals.input_bytes
    return size


def _elements(account: _Account, layers: Layers, claim: Claim) -> int:
    return _activation_bytes(account, layers, claim) // ITEM_BYTES[CLAIMED_DTYPE]


def _weights(account: _Account, layers: Layers, claim: Claim) -> int:
    return sum(w.elements for layer in layers for w in layer.node.op.weights() if w.name.endswith("weight"))


def _connections(account: _Account, layers: Layers, claim: Claim) -> int:
    return sum(layer.node.op.connection_count(layer.cost.inputs, layer.cost.outputs) for layer in layers)


def _depth(account: _Account, layers: Layers, claim: Claim) -> int:
    return account.totals.depth


def _output_shape(account: _Account, layers: Layers, claim: Claim) -> tuple[int, ...]:
    position, output = account.graph.outputs[0]
    if claim.layer is not None:
        return layers[-1].output_shapes[0][1:]
    if position < 0:
        return list(account.settings.input_shapes.values())[-1 - position][1:]
    return account.layers[position].output_shapes[output][1:]


RULES: dict[str, Callable[[_Account, Layers, Claim], int | tuple[int, ...]]] = {
    "activation_bytes": _activation_bytes,
    "elements": _elements,
    "weights": _weights,
    "connections": _connections,
    "depth": _depth,
    "output_shape": _output_shape,
}
"""What is claimed and is no sum over the layers as they are: our figure of some layers. The words of
``graph.CLAIM_QUANTITIES`` stand here or in ``layers.SUMMED``."""
