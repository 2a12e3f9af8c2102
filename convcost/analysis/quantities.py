"""The figures that networks are compared by and held to: one table for ``compare``, budgets and the lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from ..errors import UsageError, nearest
from .records import Report

Figure = int | float | None


class Quantity(msgspec.Struct, frozen=True):
    """One figure of a network.

    ``unit``: "count", "bytes", "plain" or "percent". ``best``: which value is the better one, None if neither is.
    ``about`` says what it is in a sentence's end.
    """

    key: str
    heading: str
    unit: Literal["count", "bytes", "plain", "percent"]
    about: str
    value: Callable[[Report], Figure]
    best: Literal["lowest", "highest"] | None = "lowest"

    @property
    def budgeted(self) -> bool:
        """True if a budget can bound it: an exact whole number that a change of the network changes."""
        return self.unit in ("count", "bytes") or self.key in ("depth", "layers")


def _accuracy(key: str) -> Callable[[Report], Figure]:
    def value(report: Report) -> Figure:
        found = report.about.accuracy.get(key)
        return found if isinstance(found, (int, float)) else None

    return value


_ALL = (
    Quantity("depth", "Depth", "plain", "weight layers on the longest path", lambda x: x.totals.depth, best=None),
    Quantity("layers", "Layers", "plain", "operations", lambda x: x.totals.layers, best=None),
    Quantity("params", "Params", "count", "learnable scalars", lambda x: x.totals.params),
    Quantity("buffers", "Buffers", "count", "scalars that are kept and not learned", lambda x: x.totals.buffers),
    Quantity("macs", "MACs", "count", "multiply-accumulates", lambda x: x.totals.macs),
    Quantity("flops", "FLOPs", "count", "2 x MACs + everything else", lambda x: x.totals.flops),
    Quantity("activation_bytes", "Activations", "bytes", "bytes of fresh outputs", lambda x: x.totals.activation_bytes),
    Quantity(
        "weight_file_bytes", "Weight file", "bytes", "bytes of parameters and buffers, as a state_dict holds them",
        lambda x: x.totals.weight_bytes + x.totals.buffer_bytes,
    ),
    Quantity("top1_error", "Top-1", "percent", "published error, best guess", _accuracy("top1_error")),
    Quantity("top5_error", "Top-5", "percent", "published error, five best guesses", _accuracy("top5_error")),
)  # fmt: skip

QUANTITIES: dict[str, Quantity] = {quantity.key: quantity for quantity in _ALL}
"""Every figure by its key. What is added here is a column of ``compare`` and, if exact, a budget of ``check``."""

BUDGETED = tuple(key for key, quantity in QUANTITIES.items() if quantity.budgeted)


def quantity(key: str, among: Iterable[str] = QUANTITIES) -> Quantity:
    """The quantity of this key.

    Raises:
        UsageError: there is none; the message has the nearest spelling.
    """
    known = tuple(among)
    if key not in known:
        raise UsageError(f"unknown quantity {key!r}{nearest(key, known)} (allowed: {', '.join(known)})")
    return QUANTITIES[key]
