"""Totals under the conventions of other counters and of the papers.

A new convention is one row of ``CONVENTIONS``. The counts of PyTorch's counter and of fvcore are methods of the ops,
``torch_flops`` and ``fvcore_flops``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import UsageError, alternatives
from .layers import LayerRecord
from .records import ConventionTotal


def _torch(layer: LayerRecord, train: bool) -> int:
    node, cost = layer.node, layer.cost
    return node.op.torch_flops(node.own_inputs(cost.inputs), cost.outputs)


def _fvcore(layer: LayerRecord, train: bool) -> int:
    node, cost = layer.node, layer.cost
    return node.op.fvcore_flops(node.own_inputs(cost.inputs), cost.outputs, train)


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
    "paper": (_paper, "as in the tables of papers: multiply-accumulates of convolutions and linear layers"),
}
"""By name: function from a layer, and True in training, to its count; and the description of the convention."""


def convention_total(name: str, layers: Iterable[LayerRecord], train: bool) -> ConventionTotal:
    """The total of the layers under the convention called ``name``; ``train`` as in the settings.

    Raises:
        UsageError: there is no such convention; the message suggests the nearest name.
    """
    if name not in CONVENTIONS:
        raise UsageError(f"unknown convention {name!r}{alternatives(name, CONVENTIONS)}")
    rule, meaning = CONVENTIONS[name]
    return ConventionTotal(name, sum(rule(layer, train) for layer in layers), meaning)
