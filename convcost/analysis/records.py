"""What an analysis gives: frozen records with raw integers."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Totals(msgspec.Struct, frozen=True):
    """Sums over a network's layers. ``input_bytes`` are the bytes of its inputs, which no layer allocates."""

    params: int
    buffers: int
    macs: int
    flops: int
    flops_by_kind: Mapping[str, int]
    activation_bytes: int
    weight_bytes: int
    buffer_bytes: int
    bytes_read: int
    bytes_written: int
    launches: int
    input_bytes: int
    layers: int
    depth: int
    """Weight layers (convolutions and linear layers) on the longest path from an input."""


class GroupTotals(msgspec.Struct, frozen=True):
    """Sums over the layers of one group, and how many there are."""

    params: int = 0
    macs: int = 0
    flops: int = 0
    activation_bytes: int = 0
    layers: int = 0


class ConventionTotal(msgspec.Struct, frozen=True):
    """The total as another counter or the papers would print it."""

    name: str
    total: int
    meaning: str


class Verdict(msgspec.Struct, frozen=True):
    """A published figure beside ours.

    ``verdict``: "agrees" (ours rounds to its printed digits), "truncated" (ours begins with its digits, cut off and not
    rounded), "differs", or "unchecked" (the reason is in ``note``).
    """

    quantity: str
    claimed: str | tuple[int, ...]
    computed: int | tuple[int, ...] | None
    verdict: str
    source: str
    layer: str | None = None
    convention: str | None = None
    note: str | None = None


class Coverage(msgspec.Struct, frozen=True):
    """How much of the network the figures cover. ``unmodelled`` names each operator without a rule, with its count."""

    nodes: int
    modelled: int
    unmodelled: tuple[tuple[str, int], ...] = ()
