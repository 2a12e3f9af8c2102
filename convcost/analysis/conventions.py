"""What other counters and the papers would print for the same network. One line in a report; never a changed field."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import UsageError, nearest
from .layers import LayerRecord
from .records import ConventionTotal

_MATRIX_PRODUCTS = ("conv", "linear", "matmul")
_RECURRENT = ("lstm", "gru", "rnn")


def _matrix_macs(layer: LayerRecord) -> int:
    """Multiply-accumulates of the operators that torch and fvcore know; LeNet-5's output is not one of them."""
    return layer.macs if layer.op.startswith(_MATRIX_PRODUCTS) else 0


def _torch(layer: LayerRecord, train: bool) -> int:
    """On the meta device it sees the matrix products inside recurrent layers; fvcore never does."""
    return 2 * (layer.macs if layer.op in _RECURRENT else _matrix_macs(layer))


def _fvcore(layer: LayerRecord, train: bool) -> int:
    """fvcore 0.1.5: one per multiply-accumulate, and its own counts for normalisation, pooling and enlargement."""
    name, op = layer.op, layer.node.op
    if isinstance(getattr(op, "padding", None), str):
        return 0  # it does not know the operator behind padding "same" and "valid"
    macs = _matrix_macs(layer)
    if macs:
        return macs
    elements = layer.cost.inputs[0].elements if layer.cost.inputs else 0
    affine = any(weight.kind == "parameter" for weight in op.weights())
    if name.startswith("batch_norm") and not train and getattr(op, "track_running_stats", True):
        return elements * (2 if affine else 1)
    if name in ("layer_norm", "group_norm") or name.startswith(("batch_norm", "instance_norm")):
        return elements * (5 if affine else 4)
    if name == "adaptive_avg_pool2d":
        return elements
    if name in ("upsample", "interpolate") and len(layer.cost.outputs[0].shape) == 4:
        # Resizing by areas is adaptive pooling there.
        factor = {"nearest": 1, "bilinear": 4}.get(getattr(op, "mode", ""), 0)
        return elements if getattr(op, "mode", "") == "area" else factor * layer.cost.outputs[0].elements
    return 0


def _paper(layer: LayerRecord, train: bool) -> int:
    return layer.macs if layer.group in ("conv", "fc") else 0


CONVENTIONS: dict[str, tuple[Callable[[LayerRecord, bool], int], str]] = {
    "torch": (
        _torch,
        "torch.utils.flop_counter: 2 per multiply-accumulate of convolutions, linear layers and matrix products",
    ),
    "fvcore": (
        _fvcore,
        "fvcore: 1 per multiply-accumulate, plus its counts for normalisation, adaptive pooling and upsampling",
    ),
    "paper": (_paper, "as in the papers' tables: multiply-adds of convolutions and linear layers"),
}
"""Name of a convention: what one layer adds to its total (in training or not), and what the total means."""


def convention_total(name: str, layers: Iterable[LayerRecord], train: bool) -> ConventionTotal:
    """The total of some layers in the convention called ``name``.

    Raises:
        UsageError: there is no such convention; the message has the nearest spelling.
    """
    if name not in CONVENTIONS:
        raise UsageError(f"unknown convention {name!r}{nearest(name, CONVENTIONS)} (allowed: {', '.join(CONVENTIONS)})")
    rule, meaning = CONVENTIONS[name]
    return ConventionTotal(name, sum(rule(layer, train) for layer in layers), meaning)
