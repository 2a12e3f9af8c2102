"""A network's memory at any batch, worked out from its schedule at one batch, or two."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property

from ...errors import UsageError
from ..settings import MANY
from .allocator import Allocator, OutOfMemoryError, rounded
from .backward_macs import TrainingMacs
from .memory import Figures, Memory


class ScaledMemory:
    """A network's memory at any batch: the size of every allocation is a constant and a number of bytes per sample.

    Args:
        at: gives the network's memory at a batch.
        batch_free: False if a graph holds for one batch only (captures) and ``at`` captures the network anew.

    Raises:
        UsageError: a capture that allocates in another order at another batch.
    """

    def __init__(self, at: Callable[[int], Memory], batch_free: bool = True) -> None:
        self.at = at
        self._known = [at(MANY)] if batch_free else [at(2), at(3)]
        self.schedule = self._known[0].schedule
        if self.schedule.events != self._known[-1].schedule.events:
            name = self._known[0].report.about.name
            raise UsageError(f"{name} allocates in another order at another batch; nothing can be scaled")
        figures = self._figures(lambda memory: memory.schedule.sizes)
        index = {figure: k for k, figure in enumerate(dict.fromkeys(figures))}  # networks repeat themselves
        self._distinct = [_line(figure) for figure in index]
        self._which = [index[figure] for figure in figures]

    @cached_property
    def slope(self) -> list[int]:
        """Bytes that each sample adds to each allocation."""
        return [self._distinct[k][1] for k in self._which]

    def _figures(self, of: Callable[[Memory], Sequence[int]]) -> Sequence[int]:
        """Figures at a batch of ``MANY``."""
        if len(self._known) == 1:
            return of(self._known[0])
        two, three = map(of, self._known)
        return [figure + (MANY - 2) * (other - figure) for figure, other in zip(two, three, strict=True)]

    def sizes(self, batch: int, of: Callable[[int], int] = int) -> list[int]:
        """Bytes of each allocation, or what ``of`` makes of them."""
        distinct = [of(constant + batch * slope) for constant, slope in self._distinct]
        return [distinct[k] for k in self._which]

    @cached_property
    def _initial(self) -> Allocator:
        """The allocator before the network runs: it holds the weights, whose sizes do not depend on the batch."""
        allocator = Allocator()
        allocator.serve(range(self.schedule.initial), self.sizes(0, rounded))
        return allocator

    @cached_property
    def peak(self) -> Counter[tuple[int, int]]:
        """The allocations at the moment when each sample takes the most: how many, by (constant, bytes per sample).

        Those from before the network runs are left out; their bytes are ``initial_bytes``.
        """
        levels = self.schedule.levels(self.slope)
        live = self.schedule.live_at(levels.index(max(levels)))[self.schedule.initial :]
        return Counter({self._distinct[k]: count for k, count in Counter([self._which[n] for n in live]).items()})

    @property
    def initial_bytes(self) -> int:
        """Bytes of weights, buffers and the optimizer's state, rounded as the allocator rounds."""
        return self._initial.allocated

    def served(self, batch: int, limit: int) -> Allocator:
        """The allocator after it has served a batch.

        Raises:
            OutOfMemoryError: the batch does not fit the limit.
        """
        if self._initial.reserved > limit:
            raise OutOfMemoryError(self._initial.allocated)
        allocator = self._initial.copy(limit)
        allocator.serve(self.schedule.events[self.schedule.initial :], self.sizes(batch, rounded))
        return allocator

    def memory(self, batch: int, allocator: Allocator) -> Memory:
        """The memory at a batch that the allocator has served."""
        known = self._known[0]
        report = known.report.at_batch(batch) if len(self._known) == 1 else self.at(batch).report

        def at_batch(of: Callable[[Memory], Sequence[int]]) -> list[int]:
            return [constant + batch * slope for constant, slope in map(_line, self._figures(of))]

        figures = Figures(
            schedule=self.schedule.resized(self.sizes(batch)),
            allocator=allocator,
            weights=known.weights,
            optimizer_bytes=known.optimizer_bytes,
            saved_for_backward_bytes=at_batch(lambda memory: [memory.saved_for_backward_bytes])[0],
            macs=TrainingMacs(*at_batch(lambda memory: memory.macs.passes)),
            unknown=known.unknown,
        )
        return Memory(report, known.setup, figures)


def _line(figure: int) -> tuple[int, int]:
    """Of a figure at a batch of ``MANY`` the part that is constant, and what each sample adds to it."""
    slope = (figure + MANY // 2) // MANY
    return figure - slope * MANY, slope
