"""Document of a diff: the changes with their costs, and the totals before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from ... import units
from ..sheet import Column, Document, Line, Paragraph, Sheet

if TYPE_CHECKING:
    from ...analysis.comparison.changes import Change, Kind
    from ...analysis.comparison.diff import Diff, Side

MANY = 60
"""Maximum number of changes shown without ``verbose``."""
ALIKE = 3
"""At least this many equal consecutive blocks are shown as one line."""

KINDS: tuple[Kind, ...] = ("inserted", "removed", "changed", "moved", "resized")
_QUANTITIES = ("params", "macs", "activation_bytes")

Group = tuple["Change", ...]
"""Changes shown as one line: a layer, or a block with all of its layers."""


def difference_document(diff: Diff, verbose: bool = False, style: str = "iec") -> Document:
    """The output of ``convcost compare A B --layers``; ``verbose``: one line per layer."""
    parts: list[Paragraph | Sheet] = [Paragraph(headline(diff, style), "headline")]
    if diff.changes:
        parts.append(changes_sheet(diff.changes, verbose))
    parts.append(totals_sheet(diff))
    parts += [Paragraph(text) for text in notes(diff, verbose)]
    return Document(tuple(parts))


def difference_rows(diff: Diff) -> Document:
    """All changes in one sheet, for CSV."""
    keys = ("kind", "before", "after", "block", "op", "fields", "where")
    columns = [Column(key, "") for key in keys]
    columns += [Column(f"{key}_{side}", "", "plain") for key in _QUANTITIES for side in ("before", "after")]
    lines = []
    for change in diff.changes:
        cells = [change.kind, change.before, change.after, change.block, change.op, fields_text(change), change.where]
        pairs = [pair for key in _QUANTITIES for pair in (getattr(change, key) or (None, None))]
        lines.append(Line((*cells, *pairs)))
    return Document((Sheet("", tuple(columns), tuple(lines)),))


def headline(diff: Diff, style: str) -> str:
    """The two networks and their difference in one sentence."""
    before, after = diff.before, diff.after
    names = f"{before.title} -> {after.title}" if before.title != after.title else _sides(before, after)
    if not diff.changes:
        return f"{names}: no layer differs."
    counts = Counter(change.kind for change in diff.changes)
    said = ", ".join(f"{times} {kind}" for kind in KINDS if (times := counts[kind]))
    totals = (
        f"params {_step(before.totals.params, after.totals.params, style)}; "
        f"MACs {_step(before.totals.macs, after.totals.macs, style)}"
    )
    return f"{names}: {said} of {after.totals.layers} layers; {totals}."


def _sides(before: Side, after: Side) -> str:
    return f"{before.title} ({before.source} -> {after.source})" if before.source != after.source else before.title


def _step(before: int, after: int, style: str) -> str:
    if before == after:
        return f"{units.count(before, style)} as before"
    return (
        f"{units.count(before, style)} -> {units.count(after, style)} ({units.delta(after - before, style)})"
    )  # fmt: skip


def _follows(change: Change) -> bool:
    """True for a layer whose input size changed but whose number of parameters did not."""
    return change.kind == "resized" and change.params[0] == change.params[1]


# --- the table of changes


def changes_sheet(changes: Sequence[Change], verbose: bool) -> Sheet:
    """One line per changed layer or block, with the change of each quantity; the last line is the sum."""
    known = all(change.activation_bytes is not None for change in changes)
    quantities = _QUANTITIES if known else _QUANTITIES[:2]
    columns = (
        Column("kind", "Change", "word"), Column("name", "Layer"), Column("what", "Details"),
        Column("params", "Params", "delta"), Column("macs", "MACs", "delta"),
        *((Column("activation_bytes", "Activations", "delta_bytes"),) if known else ()),
    )  # fmt: skip

    def line(kind: str, name: str, what: str, group: Sequence[Change]) -> Line:
        return Line((kind, name, what, *(_delta(group, quantity) for quantity in quantities)), kind=kind)

    groups = list(_groups([change for change in changes if verbose or not _follows(change)], verbose))
    shown = groups if verbose else groups[:MANY]
    lines = [line(group[0].kind, _name(group), _what(group), group) for group in shown]
    if len(groups) > len(shown):
        rest = [change for group in groups[len(shown) :] for change in group]
        lines.append(line("...", _layers(len(rest)), "shown with --verbose", rest))
    following = [] if verbose else [change for change in changes if _follows(change)]
    if following:
        lines.append(line("resized", _layers(len(following)), "unchanged, with other input sizes", following))
    return Sheet("", columns, tuple(lines), line("total", "", "", changes))


def _delta(changes: Sequence[Change], quantity: str) -> int:
    return sum(after - before for before, after in (getattr(change, quantity) for change in changes))


def _groups(changes: Sequence[Change], verbose: bool) -> Iterator[Group]:
    """Group the layers of a block, and then equal consecutive blocks."""
    if verbose:
        yield from ((change,) for change in changes)
        return
    blocks = [
        tuple(inside)
        for _, inside in groupby(changes, key=lambda change: (change.kind, change.block or change.name))
    ]  # fmt: skip
    for _, alike in groupby(blocks, key=_likeness):
        run = list(alike)
        if len(run) >= ALIKE and run[0][0].block is not None:
            yield tuple(change for group in run for change in group)
        else:
            yield from run


def _likeness(group: Group) -> tuple[object, ...]:
    return tuple(
        (change.kind, change.op, change.own, change.block is None and change.name, change.params, change.macs)
        for change in group
    )


def _name(group: Group) -> str:
    blocks = list(dict.fromkeys(change.block for change in group if change.block))
    if len(blocks) > 1:
        return f"{blocks[0]} ... {blocks[-1]}"
    change = group[0]
    if blocks:
        return blocks[0] if len(group) > 1 else change.name
    if change.before and change.after and change.before != change.after:
        return f"{change.before} -> {change.after}"
    return change.name


def _what(group: Group) -> str:
    change = group[0]
    if len(group) == 1:
        if change.kind in ("inserted", "removed"):
            return f"{change.op} {change.own}".rstrip()
        return fields_text(change) or change.op
    blocks = list(dict.fromkeys(change.block for change in group))
    inside = Counter(change.op for change in group if change.block == blocks[0])
    text = ", ".join(f"{times} {op}" if times > 1 else op for op, times in inside.items())
    return f"{len(blocks)} blocks, each {text}" if len(blocks) > 1 else text


def fields_text(change: Change) -> str:
    """The fields that changed, ``kernel_size 11 -> 7, stride 4 -> 2``."""
    return ", ".join(f"{field.field} {field.before} -> {field.after}" for field in change.fields)


# --- totals and notes


def totals_sheet(diff: Diff) -> Sheet:
    """The totals of both networks."""
    before, after = diff.before.totals, diff.after.totals
    columns = (
        Column("quantity", "Total"), Column("before", "Before", "word"), Column("after", "After", "word"),
        Column("delta", "Change", "word"), Column("ratio", "Ratio", "ratio"),
    )  # fmt: skip
    rows = (
        ("depth", before.depth, after.depth, False), ("layers", before.layers, after.layers, False),
        ("params", before.params, after.params, False), ("MACs", before.macs, after.macs, False),
        ("FLOPs", before.flops, after.flops, False),
        ("activations", before.activation_bytes, after.activation_bytes, True),
    )  # fmt: skip
    lines = [
        Line((name, _exact(old, memory), _exact(new, memory), f"{new - old:+,}" if new != old else "0",
              new / old if old else None))
        for name, old, new, memory in rows
    ]  # fmt: skip
    return Sheet("", columns, tuple(lines))


def _exact(value: int, memory: bool) -> str:
    return f"{value:,} B" if memory else f"{value:,}"


def notes(diff: Diff, verbose: bool) -> Iterator[str]:
    """The number of identical layers, and the inputs if they differ."""
    same = f"{_layers(diff.same)} {'is' if diff.same == 1 else 'are'} identical"
    if not diff.renamed:
        yield f"{same}."
    elif verbose:
        yield f"{same}, under other names: {', '.join(f'{old} -> {new}' for old, new in diff.renamed)}."
    else:
        yield f"{same}; {len(diff.renamed)} under another name."
    old, new = (
        ", ".join(units.shape(shape) for shape in side.settings.input_shapes.values())
        for side in (diff.before, diff.after)
    )
    if old != new:
        yield f"Input {old} -> {new}."


def _layers(number: int) -> str:
    return f"{number} layer{'' if number == 1 else 's'}"
