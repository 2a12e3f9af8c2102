"""Lock entries as text: totals, then one line per layer; consecutive equal blocks are written once.

A change of the text changes every user's lock: it raises ``lock.VERSION``.
"""

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
    """The lines of an entry, without heading and digest."""
    settings = report.settings
    inputs = ", ".join(f"{value_text(name)} {units.shape(shape)}" for name, shape in settings.input_shapes.items())
    lines = [f"input = {inputs}; {settings.dtype}; {settings.mode}"]
    lines += [f"{key} = {exact(key, report)}" for key in lock_keys()]
    lines += sorted(f"published = {text}" for text in published(report))
    return (*lines, "layers:", *_layers(report))


def published(report: Report) -> list[str]:
    """Each published figure with its verdict: ``params 25.6M agrees``."""
    texts = []
    for claim in report.published:
        words = " ".join(filter(None, (claim.quantity, claim.layer and f"of {claim.layer}", claim.convention)))
        value = units.shape(claim.claimed) if isinstance(claim.claimed, tuple) else claim.claimed
        texts.append(f"{words} {value} {claim.verdict}")
    return texts


def digest(lines: Sequence[str]) -> str:
    """CRC-32 of the lines in hexadecimal. It detects edits by hand and merges of two entries."""
    return f"{crc32(chr(10).join(lines).encode()):08x}"


# --- layers to lines


Row = tuple[str, str]
"""A layer's name relative to the enclosing block, and the rest of its line."""


def _layers(report: Report) -> list[str]:
    """One line per layer under the heading of its block; consecutive equal blocks are written once."""
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
    return _level(rows, "  ")


def _text(op: str, fields: dict[str, str], params: int, macs: int, shared: str | None) -> str:
    words = [op, *(f"{key}={value}" for key, value in fields.items())]
    if shared:
        words.append(f"shares={shared}")
    costs = [f"{name} {value}" for name, value in (("params", params), ("macs", macs)) if value]
    return " ".join(words) + (f" | {', '.join(costs)}" if costs else "")


def _level(rows: Sequence[Row], indent: str) -> list[str]:
    """The lines of one level. Equal blocks with consecutive numbers share a heading, ``conv4_2 ... conv4_6:``."""
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
        name, content = blocks[position]
        end = position + _equal_blocks(blocks, position)
        if end > position + 1:
            lines += [f"{indent}{name} ... {blocks[end - 1][0]}:", *_level(content, indent + "  ")]
        elif name and indent == "  ":
            lines += [f"{indent}{name}:", *_level(content, indent + "  ")]
        else:
            # On inner levels only repeated blocks have a heading, which keeps the entry short.
            dot = "." if name else ""
            lines += [f"{indent}{name}{dot}{inner} {text}" for inner, text in content]
        position = end
    return lines


def _equal_blocks(blocks: Sequence[tuple[str, list[Row]]], position: int) -> int:
    """The number of blocks from ``position`` on that have equal content and consecutive numbers."""
    name, content = blocks[position]
    stem, _, number = name.rpartition("_")
    if not stem or not number.isdigit():
        return 1
    end = position + 1
    while end < len(blocks) and blocks[end] == (f"{stem}_{int(number) + end - position}", content):
        end += 1
    return end - position


# --- lines to layers


def layers_of(lines: Sequence[str]) -> list[Placed]:
    """Parse the layers of an entry.

    Raises:
        OpError: a line is not a layer.
    """
    return _parsed(lines[lines.index("layers:") + 1 :], "")


def _parsed(rows: Sequence[str], prefix: str) -> list[Placed]:
    layers: list[Placed] = []
    position = 0
    while position < len(rows):
        line = rows[position]
        position += 1
        if not line.endswith(":") or " | " in line:
            layers.append(_layer(prefix, line))
            continue
        begin, indent = position, len(line) - len(line.lstrip())
        while position < len(rows) and len(rows[position]) - len(rows[position].lstrip()) > indent:
            position += 1
        for block in _block_names(line):
            layers += _parsed(rows[begin:position], f"{prefix}{block}.")
    return layers


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
        raise OpError(f"{line.strip()[:60]!r} is not a layer")
    name, op, *fields = parts
    pairs = (field.partition("=") for field in fields)
    return Placed(
        prefix + name, op, {key: value for key, _, value in pairs}, int(cost.group(1) or 0), int(cost.group(2) or 0)
    )  # fmt: skip


def values_of(lines: Sequence[str]) -> tuple[str, dict[str, int], tuple[str, ...]]:
    """Parse the settings, the totals and the published figures of an entry."""
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
