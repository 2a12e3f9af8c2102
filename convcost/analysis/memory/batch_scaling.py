"""A network's memory at any batch, from one walk through it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property

from ...errors import UsageError
from ..settings import MANY
from .allocator import Allocator, OutOfMemoryError, rounded
from .backward_macs import TrainingMacs
from .memory import Memory


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
        self._walks = [at(MANY)] if batch_free else [at(2), at(3)]
        self.script = self._walks[0].script
        if self.script.events != self._walks[-1].script.events:
            name = self._walks[0].report.about.name
            raise UsageError(f"{name} allocates in another order at another batch; nothing can be scaled")
        figures = self._figures(lambda memory: memory.script.sizes)
        index = {figure: k for k, figure in enumerate(dict.fromkeys(figures))}  # networks repeat themselves
        self._distinct = [_line(figure) for figure in index]
        self._which = [index[figure] for figure in figures]

    @cached_property
    def slope(self) -> list[int]:
        """Bytes that each sample adds to each allocation."""
        return [self._distinct[k][1] for k in self._which]

    def _figures(self, of: Callable[[Memory], Sequence[int]]) -> Sequence[int]:
        """Figures as they are at a batch of ``MANY``."""
        if len(self._walks) == 1:
            return of(self._walks[0])
        two, three = map(of, self._walks)
        return [figure + (MANY - 2) * (other - figure) for figure, other in zip(two, three, strict=True)]

    def sizes(self, batch: int, of: Callable[[int], int] = int) -> list[int]:
        """Bytes of each allocation; with ``of``, what that makes of them."""
        distinct = [of(constant + batch * slope) for constant, slope in self._distinct]
        return [distinct[k] for k in self._which]

    @cached_property
    def _started(self) -> Allocator:
        """The allocator before the network runs: weights are there, which do not know the batch."""
        allocator = Allocator()
        allocator.serve(range(self.script.before), self.sizes(0, rounded))
        return allocator

    @cached_property
    def peak(self) -> Counter[tuple[int, int]]:
        """What is there when each sample takes the most: how often, by (constant, bytes of each sample).

        What was there before the network runs is left out; ``before_bytes`` has it.
        """
        levels = self.script.levels(self.slope)
        there = self.script.there(levels.index(max(levels)))[self.script.before :]
        return Counter({self._distinct[k]: count for k, count in Counter([self._which[n] for n in there]).items()})

    @property
    def before_bytes(self) -> int:
        """What weights, buffers and the optimizer's state take, rounded as the allocator rounds."""
        return self._started.allocated

    def served(self, batch: int, limit: int) -> Allocator:
        """The allocator after it has served a batch.

        Raises:
            OutOfMemoryError: it does not fit the limit.
        """
        if self._started.reserved > limit:
            raise OutOfMemoryError(self._started.allocated)
        allocator = self._started.copy(limit)
        allocator.serve(self.script.events[self.script.before :], self.sizes(batch, rounded))
        return allocator

    def memory(self, batch: int, allocator: Allocator) -> Memory:
        """The account of a batch that the allocator has served."""
        walk = self._walks[0]
        report = walk.report.at_batch(batch) if len(self._walks) == 1 else self.at(batch).report
        scaled = Memory(report, walk.setup, self.script.resized(self.sizes(batch)))
        scaled.allocator = allocator

        def at_batch(of: Callable[[Memory], Sequence[int]]) -> list[int]:
            return [constant + batch * slope for constant, slope in map(_line, self._figures(of))]

        (scaled.saved_for_backward_bytes,) = at_batch(lambda memory: [memory.saved_for_backward_bytes])
        scaled.macs = TrainingMacs(*at_batch(lambda memory: memory.macs.passes))
        scaled.unknown, scaled.walks.weights = walk.unknown, walk.weights
        return scaled


def _line(figure: int) -> tuple[int, int]:
    """What a figure at a batch of ``MANY`` is without samples, and what each sample adds to it."""
    slope = (figure + MANY // 2) // MANY
    return figure - slope * MANY, slope
