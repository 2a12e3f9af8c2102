"""The tree of blocks in a network's layer names: what diagrams and treemaps draw."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from ..analysis.layers import LayerRecord
    from ..analysis.report import Report

_NUMBERED = re.compile(r"(.+)_([0-9]{1,9})\Z")


class LayerBlock(msgspec.Struct, frozen=True):
    """Layers ``start`` to ``stop`` under one ``label``; without ``children`` it is a single layer.

    ``times``: how many equal-named, numbered blocks in a row this one gathers (``conv2_1``, ``conv2_2``, ...); 0 for a
    block that the network itself names.
    """

    label: str
    start: int
    stop: int
    children: tuple[LayerBlock, ...] = ()
    times: int = 0

    @property
    def title(self) -> str:
        """The label with the number of blocks that it stands for: ``conv2 × 3``."""
        return f"{self.label} × {self.times}" if self.times else self.label


def block_tree(report: Report) -> LayerBlock:
    """The whole network as a block."""
    return LayerBlock(report.about.name, 0, len(report.layers), tuple(_children(report.layers, 0, 0)))


def _children(layers: Sequence[LayerRecord], first: int, level: int) -> list[LayerBlock]:
    """The runs of layers with the same segment at ``level``; ``first`` is the position of the first layer."""
    found = []
    start = 0
    while start < len(layers):
        path = layers[start].path
        segment = path[level]
        end = start + 1
        while end < len(layers) and len(layers[end].path) > level and layers[end].path[level] == segment:
            end += 1
        leaf = len(path) == level + 1
        inside = () if leaf else tuple(_children(layers[start:end], first + start, level + 1))
        found.append(LayerBlock(segment, first + start, first + end, inside))
        start = end
    return _gathered(layers, first, found)


def _gathered(layers: Sequence[LayerRecord], first: int, blocks: list[LayerBlock]) -> list[LayerBlock]:
    """Numbered siblings in a row, each fed by the one before it, become one block: the stages of a network."""
    found: list[LayerBlock] = []
    start = 0
    while start < len(blocks):
        base = _base(blocks[start])
        end = start + 1
        while end < len(blocks) and base is not None and _base(blocks[end]) == base:
            end += 1
        members = blocks[start:end]
        whole = len(members) == len(blocks)
        if base is not None and len(members) > 1 and not whole and _is_chain(layers, first, members):
            found.append(LayerBlock(base, members[0].start, members[-1].stop, tuple(members), len(members)))
        else:
            found += members
        start = end
    return found


def main_group(layers: Sequence[LayerRecord]) -> str:
    """The group of the layer with the most multiply-accumulates, then parameters: it colours the whole block."""
    return max(layers, key=lambda layer: (layer.macs, layer.params)).group if layers else "other"


def is_wrapper(layers: Sequence[LayerRecord]) -> bool:
    """Whether a block's layers are one convolution or linear layer with what belongs to it, one after another."""
    weighty = sum(1 for layer in layers if layer.group in ("conv", "fc"))
    chained = all(len(layer.node.inputs) == 1 and layer.node.inputs[0][0] == layer.position - 1 for layer in layers[1:])
    return weighty == 1 and chained


def _base(block: LayerBlock) -> str | None:
    match = _NUMBERED.match(block.label) if block.children else None
    return match.group(1) if match else None


def _is_chain(layers: Sequence[LayerRecord], first: int, members: Sequence[LayerBlock]) -> bool:
    for before, block in pairwise(members):
        for position in range(block.start, block.stop):
            for source, _ in layers[position - first].node.inputs:
                if source < block.start and not before.start <= source < before.stop:
                    return False
    return True
