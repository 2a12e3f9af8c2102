"""How long storages live: until their last reader, or as long as PyTorch's Python frames hold them."""

from __future__ import annotations

from .storages import PERSISTENT, Storages

FOREVER = 1 << 62
"""When inputs and outputs die: the caller holds them."""


def by_position(storages: Storages, last: list[int]) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """The storages that a node makes, and those that are there for the last time at it, by the node's position."""
    born: dict[int, list[int]] = {}
    dying: dict[int, list[int]] = {}
    for k, (storage, end) in enumerate(zip(storages.table, last, strict=True)):
        born.setdefault(storage.born, []).append(k)
        dying.setdefault(end, []).append(k)
    return born, dying


def deaths(storages: Storages, eager: bool) -> list[int]:
    """For each storage the position of the last node at which it is there.

    Args:
        eager: arguments of a block live until the block returns, as a Python frame holds them. Otherwise every storage
            dies after its last reader: what a good runtime reaches.
    """
    births = [storage.born for storage in storages.table]
    last = births.copy()
    scopes = storages.graph.scopes if eager else [()] * len(storages.read)
    for position, (read, around) in enumerate(zip(storages.read, scopes, strict=True)):
        for number in read:
            if number == PERSISTENT:
                continue
            until = position
            if around and around[-2] > births[number]:  # made outside of the innermost block
                for k in range(0, len(around), 2):
                    if around[k] > births[number]:  # the outermost block that it was handed to
                        until = around[k + 1]
                        break
            last[number] = max(last[number], until)
    for number in (*storages.inputs, *storages.outputs):
        if number != PERSISTENT:
            last[number] = FOREVER
    return last
