"""The results of an analysis as frozen records of integers. A field that is added is a key in the JSON."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class Totals(msgspec.Struct, frozen=True):
    """Sums over the layers of a network; fields as in ``Cost``. ``input_bytes``: bytes of the network's inputs."""

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
    """Sums over the layers of one group, and the number of these layers."""

    params: int = 0
    macs: int = 0
    flops: int = 0
    activation_bytes: int = 0
    layers: int = 0


class ConventionTotal(msgspec.Struct, frozen=True):
    """The total under the convention of another counter or of the papers; see ``conventions``."""

    name: str
    total: int
    meaning: str


class Verdict(msgspec.Struct, frozen=True):
    """A published figure and the computed one.

    ``verdict`` is "agrees" (the computed figure rounds to the printed digits), "truncated" (it was cut off after the
    printed digits, not rounded), "differs", or "unchecked" (``note`` has the reason).
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
    """The part of the network that the figures cover. ``unmodelled``: operators without a rule, with their counts."""

    nodes: int
    modelled: int
    unmodelled: tuple[tuple[str, int], ...] = ()
