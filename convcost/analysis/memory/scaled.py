"""A network's memory at any batch, from one walk through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

from ...errors import UsageError
from ..backward import TrainingMacs
from ..costs import MANY
from .account import Memory
from .allocator import Allocator, OutOfMemoryError


class Scaled:
    """A network's memory at any batch: every allocation is a constant and so much for each sample.

    Args:
        at: the network's account at a batch.
        batch_free: False if it holds for one batch only (captures) and is made anew for each.

    Raises:
        UsageError: a capture that allocates in another order at another batch.
    """

    def __init__(self, at: Callable[[int], Memory], batch_free: bool = True) -> None:
        self.at = at
        self._walk = at(MANY) if batch_free else at(2)
        self._again = None if batch_free else at(3)
        self.script = self._walk.script
        if self._again is not None and self.script.events != self._again.script.events:
            name = self._walk.report.about.name
            raise UsageError(f"{name} allocates in another order at another batch; nothing can be scaled")
        self.constant, self.slope = self._lines(lambda memory: memory.script.sizes)

    def _lines(self, figures: Callable[[Memory], Sequence[int]]) -> tuple[list[int], list[int]]:
        """What figures are without samples, and what each sample adds to them."""
        found = figures(self._walk)
        if self._again is None:
            slopes = [(figure + MANY // 2) // MANY for figure in found]
            return [figure - slope * MANY for figure, slope in zip(found, slopes, strict=True)], slopes
        slopes = [b - a for a, b in zip(found, figures(self._again), strict=True)]
        return [figure - 2 * slope for figure, slope in zip(found, slopes, strict=True)], slopes

    def sizes(self, batch: int) -> list[int]:
        """Bytes of each allocation."""
        found = self.constant.copy()
        for number in self._varying:
            found[number] += batch * self.slope[number]
        return found

    @cached_property
    def _varying(self) -> list[int]:
        return [number for number, slope in enumerate(self.slope) if slope]

    @cached_property
    def _started(self) -> tuple[int, Allocator]:
        """How many events come before the first that knows the batch, and the allocator after them: weights are there.

        Nothing is freed among them.
        """
        first = min(self.script.started, self._varying[0] if self._varying else len(self.slope))
        allocator = Allocator()
        allocator.serve(range(first), self.constant)
        return first, allocator

    def served(self, batch: int, limit: int) -> Allocator | None:
        """The allocator after it has served a batch; None if that does not fit the limit."""
        first, started = self._started
        if started.reserved > limit:
            return None
        allocator = started.copy(limit)
        try:
            allocator.serve(self.script.events[first:], self.sizes(batch))
        except OutOfMemoryError:
            return None
        return allocator

    def memory(self, batch: int, allocator: Allocator) -> Memory:
        """The account of a batch that the allocator has served."""
        found = self.at(batch)
        scaled = Memory(found.report, found.setup, self.script.resized(self.sizes(batch)))
        scaled.allocator = allocator
        (constant,), (slope,) = self._lines(lambda memory: [memory.saved_for_backward_bytes])
        scaled.saved_for_backward_bytes = constant + batch * slope
        lines = zip(*self._lines(lambda memory: memory.macs.passes), strict=True)
        scaled.macs = TrainingMacs(*[constant + batch * slope for constant, slope in lines])
        scaled.unknown, scaled.weights = self._walk.unknown, self._walk.weights
        return scaled
