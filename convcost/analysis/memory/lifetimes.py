"""How long storages live: until their last reader has run, or as long as PyTorch's Python frames hold them."""

from __future__ import annotations

from collections.abc import Sequence

from .storages import PERSISTENT, Storages

FOREVER = 1 << 62
"""The end of inputs and outputs, which the caller holds."""


def made_and_freed(storages: Storages, ends: Sequence[int]) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """By the position of a node: the storages that it allocates, and those that are freed after it."""
    made: dict[int, list[int]] = {}
    freed: dict[int, list[int]] = {}
    for number, (storage, end) in enumerate(zip(storages.table, ends, strict=True)):
        made.setdefault(storage.made_by, []).append(number)
        freed.setdefault(end, []).append(number)
    return made, freed


def lifetime_ends(storages: Storages, eager: bool) -> list[int]:
    """For each storage the position of the last node that runs while it is live.

    Args:
        eager: the arguments of a block live until the block returns, since a Python frame holds them. Otherwise every
            storage is freed after its last reader, which is the best that a runtime can do.
    """
    starts = [storage.made_by for storage in storages.table]
    ends = starts.copy()
    scopes = storages.graph.scopes if eager else [()] * len(storages.read)
    for position, (read, around) in enumerate(zip(storages.read, scopes, strict=True)):
        for number in read:
            if number == PERSISTENT:
                continue
            until = position
            if around and around[-2] > starts[number]:  # made outside of the innermost block
                for k in range(0, len(around), 2):
                    if around[k] > starts[number]:  # the outermost block that was given it
                        until = around[k + 1]
                        break
            ends[number] = max(ends[number], until)
    for number in (*storages.inputs, *storages.outputs):
        if number != PERSISTENT:
            ends[number] = FOREVER
    return ends
