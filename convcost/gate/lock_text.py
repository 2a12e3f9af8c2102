"""A network as an entry of the lock: readable, a line for each layer, blocks that repeat written once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from zlib import crc32

from .. import units
from ..analysis import Report
from ..analysis.comparison.layer_keys import Placed, fields_text, value_text
from ..analysis.quantities import exact, lock_keys
from ..errors import OpError
from ..graph import OWN

Lines = tuple[str, ...]

_RUN = re.compile(r" *(\S+)_([0-9]+) \.\.\. \1_([0-9]+):\Z")
_COST = re.compile(r"(?:params ([0-9]+))?(?:, )?(?:macs ([0-9]+))?\Z")


def entry(report: Report) -> Lines:
    """The lines of an entry, without its heading and its digest."""
    settings = report.settings
    inputs = ", ".join(f"{value_text(name)} {units.shape(shape)}" for name, shape in settings.input_shapes.items())
    lines = [f"input = {inputs}; {settings.dtype}; {settings.mode}"]
    lines += [f"{key} = {exact(key, report)}" for key in lock_keys()]
    lines += sorted(f"published = {text}" for text in published(report))
    return (*lines, "layers:", *_layers(report))


def published(report: Report) -> list[str]:
    """Each published figure with its verdict: ``params 25.6M agrees``."""
    found = []
    for claim in report.published:
        what = " ".join(filter(None, (claim.quantity, claim.layer and f"of {claim.layer}", claim.convention)))
        value = units.shape(claim.claimed) if isinstance(claim.claimed, tuple) else claim.claimed
        found.append(f"{what} {value} {claim.verdict}")
    return found


def digest(lines: Sequence[str]) -> str:
    """A checksum, so that an edit by hand or a merge of two entries is noticed."""
    return f"{crc32(chr(10).join(lines).encode()):08x}"


# --- layers to lines


Row = tuple[str, str]
"""A layer's name inside the block that is being written, and what stands behind it."""


def _layers(report: Report) -> list[str]:
    """A line for each layer under the heading of its block; blocks that repeat are written once."""
    texts: dict[tuple[int, int], str] = {}
    rows: list[Row] = []
    for layer in report.layers:
        node, cost = layer.node, layer.cost
        key = id(node.op), id(cost)
        text = texts.get(key) if node.owner == OWN else None
        if text is None:
            shared = None if node.owner == OWN else layer.shares or "values"
            text = _text(node.op.op, fields_text(node.op), cost.params, cost.macs, shared)
            if shared is None:
                texts[key] = text
        name = node.name if node.name.isprintable() and " " not in node.name else value_text(node.name)
        rows.append((name, text))
    return _folded(rows, "  ")


def _text(op: str, fields: dict[str, str], params: int, macs: int, shared: str | None) -> str:
    words = [op, *(f"{key}={value}" for key, value in fields.items())]
    if shared:
        words.append(f"shares={shared}")
    costs = [f"{name} {value}" for name, value in (("params", params), ("macs", macs)) if value]
    return " ".join(words) + (f" | {', '.join(costs)}" if costs else "")


def _folded(rows: Sequence[Row], indent: str) -> list[str]:
    """The lines of one level: ``conv4_2 ... conv4_6:`` stands for blocks with consecutive numbers, equal inside."""
    blocks: list[tuple[str, list[Row]]] = []
    for name, text in rows:
        block, dot, inner = name.partition(".")
        if dot and blocks and blocks[-1][0] == block:
            blocks[-1][1].append((inner, text))
        else:
            blocks.append((block if dot else "", [(inner if dot else name, text)]))
    lines: list[str] = []
    position = 0
    while position < len(blocks):
        name, inside = blocks[position]
        end = position + _run(blocks, position)
        if end > position + 1:
            lines += [f"{indent}{name} ... {blocks[end - 1][0]}:", *_folded(inside, indent + "  ")]
        elif name and indent == "  ":
            lines += [f"{indent}{name}:", *_folded(inside, indent + "  ")]
        else:
            # Further in, a heading is worth its line only for blocks that repeat.
            dot = "." if name else ""
            lines += [f"{indent}{name}{dot}{inner} {text}" for inner, text in inside]
        position = end
    return lines


def _run(blocks: Sequence[tuple[str, list[Row]]], position: int) -> int:
    """How many blocks from here on are equal inside and count upwards."""
    name, inside = blocks[position]
    stem, _, number = name.rpartition("_")
    if not stem or not number.isdigit():
        return 1
    end = position + 1
    while end < len(blocks) and blocks[end] == (f"{stem}_{int(number) + end - position}", inside):
        end += 1
    return end - position


# --- lines to layers


def layers_of(lines: Sequence[str]) -> list[Placed]:
    """The layers of an entry's lines.

    Raises:
        OpError: a line that no layer was written as.
    """
    return _unfolded(lines[lines.index("layers:") + 1 :], "")


def _unfolded(rows: Sequence[str], prefix: str) -> list[Placed]:
    found: list[Placed] = []
    position = 0
    while position < len(rows):
        line = rows[position]
        position += 1
        if not line.endswith(":") or " | " in line:
            found.append(_layer(prefix, line))
            continue
        begin, indent = position, len(line) - len(line.lstrip())
        while position < len(rows) and len(rows[position]) - len(rows[position].lstrip()) > indent:
            position += 1
        for block in _block_names(line):
            found += _unfolded(rows[begin:position], f"{prefix}{block}.")
    return found


def _block_names(line: str) -> list[str]:
    run = _RUN.match(line)
    if run is None:
        return [line.strip()[:-1]]
    return [f"{run.group(1)}_{number}" for number in range(int(run.group(2)), int(run.group(3)) + 1)]


def _layer(prefix: str, line: str) -> Placed:
    words, _, costs = line.strip().partition(" | ")
    cost = _COST.match(costs)
    parts = words.split(" ")
    if cost is None or len(parts) < 2:
        raise OpError(f"{line.strip()[:60]!r} is no layer")
    name, op, *fields = parts
    pairs = (field.partition("=") for field in fields)
    return Placed(
        prefix + name, op, {key: value for key, _, value in pairs}, int(cost.group(1) or 0), int(cost.group(2) or 0)
    )  # fmt: skip


def values_of(lines: Sequence[str]) -> tuple[str, dict[str, int], tuple[str, ...]]:
    """The settings, the totals and the published figures of an entry's lines."""
    inputs, totals, claims = "", {}, []
    for key, group in groupby(lines[: lines.index("layers:")], key=lambda line: line.partition(" = ")[0]):
        for line in group:
            value = line.partition(" = ")[2]
            if key == "input":
                inputs = value
            elif key == "published":
                claims.append(value)
            elif value.isdigit():
                totals[key] = int(value)
    return inputs, totals, tuple(claims)
