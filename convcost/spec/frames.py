"""Frames: what names mean in the body that is being expanded. The rules of how layers are named are changed here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from ..errors import OpError, Where
from ..graph import Reference
from .graph_builder import Refs

_NUMBER = re.compile(r"[1-9][0-9]{,5}\Z")


class LayerValue(tuple[Reference, ...]):
    """An earlier layer handed to a block as an argument."""

    __slots__ = ()


def passes_layer(value: Any) -> bool:
    """True if an argument is or holds an earlier layer."""
    return isinstance(value, LayerValue) or (isinstance(value, tuple) and any(map(passes_layer, value)))


def entries(values: tuple[Any, ...]) -> int:
    """How many entries all rows among the values have: the work of comparing them."""
    return sum(len(value) + entries(value) for value in values if isinstance(value, tuple))


class Frame(msgspec.Struct, eq=False):
    """One body being expanded: what its names mean and how many of each word it has had."""

    env: dict[str, Any]
    prefix: str
    outer: Frame | None = None
    block: str = ""
    used_at: Where | None = None
    counts: dict[str, int] = {}
    layers: dict[str, Refs] = {}

    def numbered(self, word: str) -> str:
        """``relu_1``, ``relu_2``: a name for the next layer with this word."""
        word = word.rstrip("_")
        number = self.counts.get(word, 0) + 1
        self.counts[word] = number
        name = f"{word}_{number}"
        if name in self.layers:
            raise OpError(f"two layers of this body have the name {name!r}: it is the name of an earlier one")
        return name

    def enter(self, name: str, value: Refs) -> None:
        """Let ``name`` stand for ``value`` from here on.

        Raises:
            OpError: another layer of this body is called so, by its name or by its word and number.
        """
        if self.has(name):
            raise OpError(f"two layers of this body have the name {name!r}")
        self.layers[name] = value

    def has(self, name: str) -> bool:
        """True if an earlier layer of this body is called so, by its name or by its word and number."""
        word, _, number = name.rpartition("_")
        return name in self.layers or (bool(_NUMBER.match(number)) and int(number) <= self.counts.get(word, 0))

    def chain(self) -> Iterator[Frame]:
        """The frame itself and those it lies in, from the inside out."""
        frame: Frame | None = self
        while frame is not None:
            yield frame
            frame = frame.outer
