"""The quantities of networks: one table for ``compare``, for budgets and the lock, and for the columns of layers.

A new quantity is one row of ``QUANTITIES`` (or one call of ``register_quantity``). Published figures may be about some
more, see ``claims``: a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ..errors import OpError, UsageError, alternatives
from .layers import LayerRecord
from .report import Report

if TYPE_CHECKING:
    from .memory import Memory

Value = int | float | None

Table = Literal["main", "memory", "measured", "further"]
"""The tables of ``compare``."""


class Quantity(msgspec.Struct, frozen=True):
    """One quantity.

    Args:
        key: its name in JSON, CSV, budgets, the lock and options.
        heading: of its column.
        unit: "count", "bytes", "plain", "percent", "duration" (nanoseconds) or "number" (a few digits).
        about: what it is, as the end of a sentence.
        value: of a network; it may raise ``ConvcostError`` where it is not known. None for a quantity of layers only,
            which ``compare`` does not have.
        layer: what one layer adds to it, if it is a sum over the layers: it is a column of ``analyze`` then.
        best: which value is the better one; None if neither is.
        gate: "lock" if the lock holds it and budgets may bound it; "budget" if budgets may, and the lock leaves it out
            since it takes an account of its own; both need whole numbers. None for neither.
        table: the table of ``compare`` that shows it; None for JSON and CSV only.
    """

    key: str
    heading: str
    unit: Literal["count", "bytes", "plain", "percent", "duration", "number"]
    about: str
    value: Callable[[Report], Value] | None = None
    layer: Callable[[LayerRecord], int] | None = None
    best: Literal["lowest", "highest"] | None = "lowest"
    gate: Literal["lock", "budget"] | None = None
    table: Table | None = "further"

    def of(self, report: Report) -> Value:
        """The value of a network.

        Raises:
            ConvcostError: it is not known, or networks have none.
        """
        if self.value is None:
            raise OpError(f"{self.key} is known of layers only")
        return self.value(report)


def memory_of(report: Report, mode: str) -> Memory:
    """The account of memory of a report's network, at the report's batch, input and dtype."""
    from .memory import memory

    settings, graph = report.settings, report.graph
    where: dict[str, Any] = {"dtype": settings.dtype, "mode": mode}
    if graph.batch_free:
        where["batch"] = settings.batch
        where["input_size"] = {name: shape[1:] for name, shape in settings.input_shapes.items()}
    account = memory(graph, **where)
    if account.unknown:
        names = ", ".join(account.unknown[:3])
        raise OpError(f"{report.about.name}: it is not known what autograd keeps of {names}")
    return account


def _largest_batch(gpu: str, mode: str) -> Callable[[Report], Value]:
    def value(report: Report) -> Value:
        from .memory.fit import fit

        settings = report.settings
        sizes = {name: shape[1:] for name, shape in settings.input_shapes.items()}
        return fit(report.graph, gpu, settings.dtype, mode, input_size=sizes).batch

    return value


def _total(key: str, heading: str, unit: Literal["count", "bytes"], about: str, table: Table | None) -> Quantity:
    """A sum over the layers that the lock holds."""
    value, layer = attrgetter(f"totals.{key}"), attrgetter(key)
    return Quantity(key, heading, unit, about, value, layer, gate="lock", table=table)


_ALL = (
    Quantity("depth", "Depth", "plain", "weight layers on the longest path", attrgetter("totals.depth"),
             best=None, gate="lock", table="main"),
    Quantity("layers", "Layers", "plain", "operations", attrgetter("totals.layers"),
             best=None, gate="lock", table=None),
    _total("params", "Params", "count", "learnable scalars", "main"),
    _total("buffers", "Buffers", "count", "scalars that are kept and not learned", None),
    _total("macs", "MACs", "count", "multiply-accumulates", "main"),
    _total("flops", "FLOPs", "count", "2 x MACs + everything else", "main"),
    _total("activation_bytes", "Activations", "bytes", "bytes of fresh outputs", "main"),
    Quantity("weight_file_bytes", "Weight file", "bytes", "bytes of parameters and buffers, as a state_dict holds them",
             lambda x: x.totals.weight_bytes + x.totals.buffer_bytes, gate="lock", table="memory"),
    Quantity("peak_memory", "Peak", "bytes", "bytes at the worst moment of a forward pass, without gradients",
             lambda x: memory_of(x, "inference").peak_bytes, gate="budget", table="memory"),
    Quantity("peak_training_memory", "Peak, training", "bytes",
             "bytes at the worst moment of a training step with AdamW",
             lambda x: memory_of(x, "train").peak_bytes, gate="budget", table="memory"),
    Quantity("top1_error", "Top-1", "percent", "published error, best guess",
             lambda x: x.about.error("top1_error"), table="main"),
    Quantity("top5_error", "Top-5", "percent", "published error, five best guesses",
             lambda x: x.about.error("top5_error"), table="main"),
    Quantity("weight_bytes", "Weights", "bytes", "bytes of parameters", layer=attrgetter("weight_bytes")),
    Quantity("bytes_read", "Read", "bytes", "bytes read from memory", layer=attrgetter("bytes_read")),
    Quantity("bytes_written", "Written", "bytes", "bytes written to memory", layer=attrgetter("bytes_written")),
    Quantity("launches", "Launches", "plain", "kernels on CUDA", layer=attrgetter("launches")),
)  # fmt: skip

QUANTITIES: dict[str, Quantity] = {quantity.key: quantity for quantity in _ALL}
"""Every quantity by its key, those of saved profiles and of GPUs left out."""


def register_quantity(quantity: Quantity) -> None:
    """Add a quantity to ``QUANTITIES``.

    Raises:
        TypeError: the key is taken.
    """
    if quantity.key in quantities(measured=True) or quantity.key in (*QUANTITIES, *BATCHES):
        raise TypeError(f"a quantity {quantity.key!r} is registered already")
    QUANTITIES[quantity.key] = quantity


def _needs_profile(report: Report) -> Value:
    raise OpError(f"there is no saved profile of {report.about.name} with times")


MEASURED: dict[str, Quantity] = {
    quantity.key: quantity
    for quantity in (
        Quantity("latency_ns", "Latency", "duration", "median of one pass at the smallest batch that was measured",
                 _needs_profile, gate="budget", table="measured"),
        Quantity("samples_per_s", "Per second", "number", "samples in a second at the best batch that was measured",
                 _needs_profile, best="highest", gate="budget", table="measured"),
    )
}  # fmt: skip
"""What no analysis knows: figures of saved profiles, which are handed in."""

BATCHES = ("largest_batch", "largest_training_batch")
"""The quantities that a GPU adds."""


def quantities(gpu: str | None = None, measured: bool = False) -> Mapping[str, Quantity]:
    """The quantities of networks by key, with the batches that fit ``gpu`` if one is named, and those of profiles."""
    known = {key: quantity for key, quantity in QUANTITIES.items() if quantity.value is not None}
    if gpu is not None:
        for key, heading, mode in zip(BATCHES, ("Batch", "Batch, training"), ("inference", "train"), strict=True):
            value = _largest_batch(gpu, mode)
            known[key] = Quantity(
                key, heading, "plain", f"samples that fit {gpu}", value, best="highest", table="memory"
            )
    return {**known, **MEASURED} if measured else known


def additive() -> tuple[Quantity, ...]:
    """The quantities that are sums over the layers."""
    return tuple(quantity for quantity in QUANTITIES.values() if quantity.layer is not None)


def budget_keys(measured: bool = False) -> tuple[str, ...]:
    """The quantities that a budget may bound; ``measured``: those of saved profiles too."""
    return tuple(key for key, quantity in quantities(measured=measured).items() if quantity.gate)


def lock_keys() -> tuple[str, ...]:
    """The quantities that the lock holds."""
    return tuple(key for key, quantity in quantities().items() if quantity.gate == "lock")


def quantity(key: str, among: Iterable[str]) -> Quantity:
    """The quantity of this key.

    Raises:
        UsageError: there is none; the message has the nearest spelling.
    """
    known = tuple(among)
    if key not in known:
        raise UsageError(f"unknown quantity {key!r}{alternatives(key, known)}")
    return QUANTITIES[key]


def exact(key: str, report: Report) -> int:
    """The figure of a quantity that a budget may bound.

    Raises:
        OpError: this network does not have it.
    """
    value = QUANTITIES[key].of(report)
    if not isinstance(value, int):
        raise OpError(f"{report.about.name} has no {key}")
    return value
