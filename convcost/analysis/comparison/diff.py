"""Two networks layer by layer: what is inserted, removed, changed and moved, and what it costs."""

from __future__ import annotations

from typing import Any

import msgspec

from ...display import Shown
from ...errors import UsageError
from ...graph import Graph
from ..records import Totals
from ..report import Report, analyze
from ..settings import Settings
from .changes import Change, FieldChange, changes
from .layer_keys import placed
from .rewiring import rewired


class Side(msgspec.Struct, frozen=True):
    """One of the two networks: its names, what it was analysed with, and its totals."""

    name: str
    title: str
    source: str
    settings: Settings
    totals: Totals


class Diff(msgspec.Struct, Shown, frozen=True):
    """The way from one network to another. Their figures add up: totals before + all changes = totals after.

    ``same``: layers that are the same in both; ``renamed``: those of them that have another name.
    """

    before: Side
    after: Side
    changes: tuple[Change, ...]
    same: int
    renamed: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """The diff as in the JSON; ``"schema": 1``."""
        from ..json import versioned

        plain: dict[str, Any] = msgspec.to_builtins(versioned(msgspec.structs.asdict(self)))
        return plain

    def to_json(self, indent: int = 2) -> str:
        """The diff as JSON text."""
        from ..json import encoded

        return encoded(self.to_dict(), indent)


def diff(before: Graph | Report, after: Graph | Report) -> Diff:
    """What changes from one network to another, layer by layer.

    Layers are aligned by structure, and by name where the structure leaves a choice: another name alone is no change.

    Args:
        before, after: graphs from ``convcost.load`` or ``convcost.capture``, or reports.

    Raises:
        UsageError: neither a graph nor a report.
    """
    old, new = _report(before), _report(after)
    found = changes(placed(old.layers), placed(new.layers))
    listed, same = _with_wiring(found.changes, found.same, rewired(old.graph, new.graph, found.pairs), new)
    return Diff(_side(old), _side(new), listed, same, found.renamed)


def _report(network: Graph | Report) -> Report:
    if isinstance(network, Report):
        return network
    if not isinstance(network, Graph):
        raise UsageError(f"diff takes graphs or reports, not {network!r:.80}; convcost.load(NAME) gives a graph")
    return analyze(network)


def _side(report: Report) -> Side:
    about = report.about
    return Side(about.name, about.title, about.source, report.settings, report.totals)


def _with_wiring(
    found: tuple[Change, ...], same: int, moved: dict[int, tuple[str, str]], report: Report
) -> tuple[tuple[Change, ...], int]:
    """The changes, with what reads from elsewhere as a change of the field "from"."""
    if not moved:
        return found, same
    known = {change.after: change for change in found}
    extra: dict[str, Change] = {}
    for position, names in moved.items():
        layer = report.layers[position]
        read = FieldChange("from", *names)
        change = known.get(layer.name)
        if change is None:
            same -= 1
            where = str(layer.node.where) if layer.node.where else None
            extra[layer.name] = Change(
                "changed", layer.name, layer.name, layer.op, (read,), (layer.params, layer.params),
                (layer.macs, layer.macs), (layer.activation_bytes, layer.activation_bytes), None, where,
            )  # fmt: skip
        elif change.kind in ("changed", "resized"):
            extra[layer.name] = msgspec.structs.replace(change, kind="changed", fields=(*change.fields, read))
    order = {layer.name: position for position, layer in enumerate(report.layers)}
    # Removed layers stay where they are: behind what came before them.
    merged: list[Change] = []
    pending = dict(sorted(extra.items(), key=lambda item: order[item[0]]))
    for change in found:
        if change.after is not None:
            here = order[change.after]
            merged += [pending.pop(name) for name in list(pending) if order[name] < here]
        merged.append(pending.pop(change.after, change) if change.after else change)
    return (*merged, *pending.values()), same
