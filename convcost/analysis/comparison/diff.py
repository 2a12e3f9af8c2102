"""The function ``diff``: the differences between two networks, layer by layer."""

from __future__ import annotations

from typing import Any

import msgspec

from ...display import Shown
from ...errors import UsageError
from ...graph import Graph
from ..json import encoded, versioned
from ..records import Totals
from ..report import Report, analyze
from ..settings import Settings
from .changes import Change, FieldChange, changes
from .layer_keys import placed
from .rewiring import rewired


class Side(msgspec.Struct, frozen=True):
    """One of the two networks."""

    name: str
    title: str
    source: str
    settings: Settings
    totals: Totals


class Diff(msgspec.Struct, Shown, frozen=True):
    """The differences between two networks. The totals of ``before`` plus all changes are the totals of ``after``."""

    before: Side
    after: Side
    changes: tuple[Change, ...]
    """All changes, in the order of the second network."""
    same: int
    """The number of layers that are the same in both networks."""
    renamed: tuple[tuple[str, str], ...]
    """The old and the new name of layers that are otherwise the same or resized."""

    def to_dict(self) -> dict[str, Any]:
        """The diff as in the JSON output, which begins with ``"schema": 1``."""
        record: dict[str, Any] = msgspec.to_builtins(versioned(msgspec.structs.asdict(self)))
        return record

    def to_json(self, indent: int = 2) -> str:
        """The diff as JSON text, indented by ``indent`` spaces; 0 gives a single line."""
        return encoded(self.to_dict(), indent)


def diff(before: Graph | Report, after: Graph | Report) -> Diff:
    """Compare two networks layer by layer.

    Layers are aligned by structure, and by name if the structure leaves a choice. A layer that has only another name is
    not a change.

    Args:
        before, after: graphs from ``convcost.load`` or ``convcost.capture``, or reports.

    Raises:
        UsageError: an argument is neither a graph nor a report.
    """
    old, new = _report(before), _report(after)
    aligned = changes(placed(old.layers), placed(new.layers))
    listed, same = _with_rewiring(aligned.changes, aligned.same, rewired(old.graph, new.graph, aligned.pairs), new)
    return Diff(_side(old), _side(new), listed, same, aligned.renamed)


def _report(network: Graph | Report) -> Report:
    if isinstance(network, Report):
        return network
    if not isinstance(network, Graph):
        raise UsageError(f"diff takes graphs or reports, not {network!r:.80}; convcost.load(NAME) returns a graph")
    return analyze(network)


def _side(report: Report) -> Side:
    about = report.about
    return Side(about.name, about.title, about.source, report.settings, report.totals)


def _with_rewiring(
    listed: tuple[Change, ...], same: int, rewired_layers: dict[int, tuple[str, str]], report: Report
) -> tuple[tuple[Change, ...], int]:
    """Add the layers that read other layers than before, as a change of the field "from".

    Returns:
        All changes, and the number of layers that are the same.
    """
    if not rewired_layers:
        return listed, same
    known = {change.after: change for change in listed}
    extra: dict[str, Change] = {}
    for position, names in rewired_layers.items():
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
    # Insert the new changes in the order of the second network. Removed layers keep their place.
    merged: list[Change] = []
    pending = dict(sorted(extra.items(), key=lambda item: order[item[0]]))
    for change in listed:
        if change.after is not None:
            here = order[change.after]
            merged += [pending.pop(name) for name in list(pending) if order[name] < here]
        merged.append(pending.pop(change.after, change) if change.after else change)
    return (*merged, *pending.values()), same
