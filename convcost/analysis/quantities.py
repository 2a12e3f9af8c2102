"""The figures that networks are compared by and held to: one table for ``compare``, budgets and the lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ..errors import OpError, UsageError, nearest
from .report import Report

if TYPE_CHECKING:
    from .memory import Memory

Figure = int | float | None


class Quantity(msgspec.Struct, frozen=True):
    """One figure of a network.

    ``unit``: "count", "bytes", "plain", "percent", "duration" (nanoseconds) or "number" (a few digits). ``best``: which
    value is the better one, None if neither is. ``about`` says what it is in a sentence's end. ``locked``: False if it
    takes an account of its own, which is made only where somebody asks for it: a budget can hold it, the lock does not
    have it. ``value`` may raise ``ConvcostError`` where the figure is not known.
    """

    key: str
    heading: str
    unit: Literal["count", "bytes", "plain", "percent", "duration", "number"]
    about: str
    value: Callable[[Report], Figure]
    best: Literal["lowest", "highest"] | None = "lowest"
    locked: bool = True

    @property
    def budgeted(self) -> bool:
        """True if a budget can bound it: an exact whole number that a change of the network changes."""
        return self.unit in ("count", "bytes") or self.key in ("depth", "layers")


def memory_of(report: Report, mode: str) -> Memory:
    """The account of memory of a report's network, at the report's batch, input and dtype."""
    from .memory import memory

    settings, graph = report.settings, report.graph
    where: dict[str, Any] = {"dtype": settings.dtype, "mode": mode}
    if graph.batch_free:
        where["batch"] = settings.batch
        where["input_size"] = {name: shape[1:] for name, shape in settings.input_shapes.items()}
    found = memory(graph, **where)
    if found.unknown:
        names = ", ".join(found.unknown[:3])
        raise OpError(f"{report.about.name}: it is not known what autograd keeps of {names}")
    return found


def _largest_batch(gpu: str, mode: str) -> Callable[[Report], Figure]:
    def value(report: Report) -> Figure:
        from .memory.fit import fit

        settings = report.settings
        sizes = {name: shape[1:] for name, shape in settings.input_shapes.items()}
        return fit(report.graph, gpu, settings.dtype, mode, input_size=sizes).batch

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
    Quantity(
        "peak_memory", "Peak", "bytes", "bytes at the worst moment of a forward pass, without gradients",
        lambda x: memory_of(x, "inference").peak_bytes, locked=False,
    ),
    Quantity(
        "peak_training_memory", "Peak, training", "bytes", "bytes at the worst moment of a training step with AdamW",
        lambda x: memory_of(x, "train").peak_bytes, locked=False,
    ),
    Quantity("top1_error", "Top-1", "percent", "published error, best guess", lambda x: x.about.error("top1_error")),
    Quantity(
        "top5_error", "Top-5", "percent", "published error, five best guesses", lambda x: x.about.error("top5_error")
    ),
)  # fmt: skip

QUANTITIES: dict[str, Quantity] = {quantity.key: quantity for quantity in _ALL}
"""Every figure by its key. What is added here is a column of ``compare`` and, if exact, a budget of ``check``."""

BUDGETED = tuple(key for key, quantity in QUANTITIES.items() if quantity.budgeted)
LOCKED = tuple(key for key in BUDGETED if QUANTITIES[key].locked)
BATCHES = ("largest_batch", "largest_training_batch")
"""The quantities that a GPU adds."""


def _not_here(report: Report) -> Figure:
    raise OpError(f"there is no saved profile of {report.about.name} with times")


MEASURED: dict[str, Quantity] = {
    quantity.key: quantity
    for quantity in (
        Quantity("latency_ns", "Latency", "duration", "median of one pass at the smallest batch that was measured",
                 _not_here, locked=False),
        Quantity("samples_per_s", "Per second", "number", "samples in a second at the best batch that was measured",
                 _not_here, best="highest", locked=False),
    )
}  # fmt: skip
"""What no analysis knows: figures of saved profiles, which are handed in."""


def quantities(gpu: str | None = None, measured: bool = False) -> Mapping[str, Quantity]:
    """The quantities by key, with the largest batches that fit ``gpu`` if one is named, and ``measured`` ones."""
    if measured:
        return {**quantities(gpu), **MEASURED}
    if gpu is None:
        return QUANTITIES
    batches = [
        Quantity(
            key, heading, "plain", f"samples that fit {gpu}", _largest_batch(gpu, mode), best="highest", locked=False
        )
        for key, heading, mode in zip(BATCHES, ("Batch", "Batch, training"), ("inference", "train"), strict=True)
    ]
    return {**QUANTITIES, **{quantity.key: quantity for quantity in batches}}


def quantity(key: str, among: Iterable[str] = QUANTITIES) -> Quantity:
    """The quantity of this key.

    Raises:
        UsageError: there is none; the message has the nearest spelling.
    """
    known = tuple(among)
    if key not in known:
        raise UsageError(f"unknown quantity {key!r}{nearest(key, known)} (allowed: {', '.join(known)})")
    return QUANTITIES[key]


def exact(key: str, report: Report) -> int:
    """The figure of a quantity that a budget can bound.

    Raises:
        OpError: this network does not have it.
    """
    value = QUANTITIES[key].value(report)
    if not isinstance(value, int):
        raise OpError(f"{report.about.name} has no {key}")
    return value
