"""Document of a report: headline, layers, sums by group, published figures, warnings and conventions.

Columns that describe a layer are added to ``_BEFORE`` or ``_BEHIND``; columns of numbers are quantities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ... import units
from ...analysis.quantities import QUANTITIES, additive
from ...errors import UsageError, alternatives
from ..sheet import Column, Curve, Document, Line, Paragraph, Sheet
from .fold import folded

if TYPE_CHECKING:
    from ...analysis.layers import LayerRecord
    from ...analysis.records import Verdict
    from ...analysis.report import Report
    from ...analysis.roofline import LayerBound

MAX_NAME = 22
"""Maximum length of a name beside a curve; of a longer name, the enclosing blocks are printed."""

Getter = Callable[["LayerRecord"], Any]


def _stride(layer: LayerRecord) -> str | None:
    field = layer.receptive_field
    return None if field is None or field.whole else "x".join(map(str, field.stride))


def _field(layer: LayerRecord) -> str | None:
    field = layer.receptive_field
    return None if field is None else ("all" if field.whole else "x".join(map(str, field.size)))


def short_fields(layer: LayerRecord) -> str:
    """The fields that differ from their defaults: ``out_channels=64, kernel_size=3x3``."""
    op = layer.node.op
    defaults = dict(zip(op.__struct_fields__[::-1], op.__struct_defaults__[::-1], strict=False))
    pairs = [(name, getattr(op, name)) for name in op.__struct_fields__]
    return ", ".join(f"{k}={_short(v)}" for k, v in pairs if v is not None and (k not in defaults or v != defaults[k]))


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return ("x" if all(isinstance(item, int) for item in value) else " ").join(map(_short, value))
    return str(value)


# key: heading, unit, value of a layer
_BEFORE: dict[str, tuple[str, str, Getter]] = {
    "op": ("Op", "text", lambda x: x.op),
    "group": ("Group", "text", lambda x: x.group),
    "fields": ("Fields", "text", short_fields),
    "inputs": ("Inputs", "text", lambda x: ", ".join(x.inputs)),
    "input": ("Input", "shape", lambda x: x.input_shapes[0][1:] if x.input_shapes else None),
    "output": ("Output", "shape", lambda x: x.output_shapes[0][1:]),
}
_BEHIND: dict[str, tuple[str, str, Getter]] = {
    "receptive_field": ("Rec. field", "text", _field),
    "stride": ("Stride", "text", _stride),
}
_DESCRIPTIONS = {**_BEFORE, **_BEHIND}
"""The columns that describe a layer. All others are the quantities that are sums over layers."""
SHARES = {f"{key}%": key for key in ("params", "macs", "flops", "activation_bytes")}
DEFAULT_COLUMNS = ("output", "params", "params%", "macs", "macs%", "activation_bytes")
TIMES = ("bound_ns", "compute_ns", "memory_ns")
"""Further sort keys, available with a roofline."""


def sortable() -> tuple[str, ...]:
    """Columns that layers can be sorted by. A block shows the sum over its layers."""
    return tuple(quantity.key for quantity in additive())


def column_keys() -> tuple[str, ...]:
    """All columns of the table of layers."""
    return (*_BEFORE, *sortable(), *_BEHIND, *SHARES)


def analysis_document(
    report: Report,
    depth: int | None = None,
    columns: Sequence[str] = DEFAULT_COLUMNS,
    sort: str | None = None,
    top: int | None = None,
    convention: str | None = None,
    style: str = "iec",
    plain: bool = False,
    bounds: Sequence[LayerBound] = (),
) -> Document:
    """The output of ``convcost analyze``.

    Args:
        depth: collapse blocks below this level; None: the deepest level with at most 60 lines.
        columns: names from ``column_keys()``.
        sort: sort layers by this quantity, largest first, without nesting. ``top``: number of layers shown.
        convention: also print the total in this convention. ``style``: one of ``units.STYLES``.
        plain: percentages instead of bars, and no curves. ``bounds``: the layers of a roofline, to sort by time.

    Raises:
        UsageError: an unknown column or quantity.
    """
    parts: list[Paragraph | Sheet | Curve] = [Paragraph(headline(report, style), "headline")]
    parts.append(layer_sheet(report, depth, columns, sort, top, plain=plain, bounds=bounds))
    parts += () if plain or sort or top else curves(report)
    parts.append(breakdown_sheet(report))
    parts += claims(report)
    parts += [Paragraph(text, "warning") for text in report.warnings]
    parts += [Paragraph(text) for text in conventions(report, convention, style)]
    return Document(tuple(parts))


def summary_document(report: Report) -> Document:
    """The headline, the sums by group and the layers, as shown in a notebook."""
    sheets = (breakdown_sheet(report), layer_sheet(report, None, DEFAULT_COLUMNS))
    return Document((Paragraph(headline(report), "headline"), *sheets))


def headline(report: Report, style: str = "iec") -> str:
    """Totals, with the shares of convolutions and fully connected layers, in one sentence."""
    totals, groups = report.totals, report.breakdown
    parts = [f"{report.about.title}: {units.count(totals.params, style)} parameters"]
    parts[0] += _where(totals.params, {name: group.params for name, group in groups.items()})
    parts.append(
        f"{units.count(totals.macs, style)} MACs" + _where(totals.macs, {name: g.macs for name, g in groups.items()})
    )
    memory = {name: group.activation_bytes for name, group in groups.items()}
    parts.append(f"{_bytes(totals.activation_bytes, style)} of activations" + _where(totals.activation_bytes, memory))
    return "; ".join(parts) + "."


def _bytes(value: int, style: str) -> str:
    return units.size(value, style) + (" bytes" if style == "raw" else "")


_PLACES = {"conv": "convolutions", "fc": "fully connected layers", "attention": "attention", "norm": "normalisation",
           "activation": "activations", "pool": "pooling", "other": "other layers"}  # fmt: skip


def _where(whole: int, parts: dict[str, int]) -> str:
    if not whole:
        return ""
    name = max(parts, key=lambda group: parts[group])
    said = f" ({units.share(parts[name], whole)} in {_PLACES[name]}"
    other = {"conv": "fc", "fc": "conv"}.get(name)
    if other and 1000 * parts[other] >= whole:
        said += f", {units.share(parts[other], whole)} in {_PLACES[other]}"
    return said + ")"


# --- layers


def layer_sheet(
    report: Report,
    depth: int | None,
    columns: Sequence[str],
    sort: str | None = None,
    top: int | None = None,
    flat: bool = False,
    plain: bool = False,
    bounds: Sequence[LayerBound] = (),
) -> Sheet:
    """The table of layers: nested by block, sorted, or (``flat``) in order of execution with full names."""
    allowed = column_keys()
    for key in columns:
        if key not in allowed:
            raise UsageError(f"unknown column {key!r}{alternatives(key, allowed)}")
    headings = (Column("name", "Layer"), *(_column(key, not plain) for key in columns))
    if sort is not None or top is not None:
        lines = [_line(report, report.layers[place], columns) for place in ranked(report, sort, top, bounds)]
    elif flat:
        lines = [_line(report, layer, columns) for layer in report.layers]
    else:
        lines = _nested_lines(report, columns, depth)
    total = Line(("total", *(_total(report, report.layers, key) for key in columns)), kind="total")
    return Sheet("", headings, tuple(lines), total)


def _column(key: str, bar: bool) -> Column:
    if key in SHARES:
        return Column(key, "", "share", bar)
    if key in _DESCRIPTIONS:
        return Column(key, *_DESCRIPTIONS[key][:2])
    return Column(key, QUANTITIES[key].heading, QUANTITIES[key].unit)


def _cell(report: Report, layers: Sequence[LayerRecord], key: str) -> Any:
    """The value of a layer. For a block: the sum over its layers, or the output of its last layer."""
    if key in SHARES:
        quantity = SHARES[key]
        return sum(getattr(layer, quantity) for layer in layers), getattr(report.totals, quantity)
    if key not in _DESCRIPTIONS:
        of_layer = QUANTITIES[key].layer
        assert of_layer is not None
        return sum(map(of_layer, layers))
    value = _DESCRIPTIONS[key][2]
    if len(layers) == 1 or key in ("output", "receptive_field", "stride"):
        return value(layers[-1])
    return None


def _total(report: Report, layers: Sequence[LayerRecord], key: str) -> Any:
    return _cell(report, layers, key) if key not in _DESCRIPTIONS else None


def ranked(
    report: Report, sort: str | None = None, top: int | None = None, bounds: Sequence[LayerBound] = ()
) -> list[int]:
    """Positions of the layers, largest first; arguments as in ``analysis_document``; default of ``sort``: MACs.

    Raises:
        UsageError: an unknown quantity.
    """
    sort = sort or "macs"
    if sort in TIMES and not bounds:
        raise UsageError(f"--sort {sort} needs a GPU: --gpu NAME")
    allowed = sortable()
    if sort not in (*allowed, *TIMES):
        raise UsageError(f"cannot sort by {sort!r}{alternatives(sort, allowed)}")
    if top is not None and top < 1:
        raise UsageError(f"--top must be 1 or more, not {top}")
    of_layer = None if sort in TIMES else QUANTITIES[sort].layer
    values = [getattr(bound, sort) for bound in bounds] if of_layer is None else list(map(of_layer, report.layers))
    return sorted(range(len(values)), key=lambda place: -values[place])[:top]


def _line(report: Report, layer: LayerRecord, columns: Sequence[str]) -> Line:
    return Line((layer.name, *(_cell(report, [layer], key) for key in columns)), 0, layer.group)


def _nested_lines(report: Report, columns: Sequence[str], depth: int | None) -> list[Line]:
    lines = []
    for fold in folded([layer.path for layer in report.layers], depth):
        inside = report.layers[fold.start : fold.stop]
        kind = inside[0].group if fold.leaf else "block"
        lines.append(Line((fold.segment, *(_cell(report, inside, key) for key in columns)), fold.level, kind))
    return lines


# --- the rest


def curves(report: Report) -> list[Curve]:
    """Parameters, MACs and activations over the layers that have any of them."""
    shown = [layer for layer in report.layers if layer.params or layer.macs or layer.activation_bytes]
    drawn = []
    for key, name in (("params", "params"), ("macs", "MACs"), ("activation_bytes", "activations")):
        values = tuple(getattr(layer, key) for layer in shown)
        if any(values):
            largest = shown[values.index(max(values))]
            names = [".".join(largest.path[:end]) for end in range(1, len(largest.path) + 1)]
            fits = [text for text in names if len(text) <= MAX_NAME]
            said = f"largest in {fits[-1]}" if fits else ""
            drawn.append(Curve(name, values, said))
    return drawn if len(shown) > 1 else []


def breakdown_sheet(report: Report) -> Sheet:
    """Parameters, MACs, FLOPs and activation memory by group."""
    totals = report.totals
    columns = (
        Column("group", "Group"), Column("layers", "Layers", "plain"), Column("params", "Params", "count"),
        Column("params%", "", "share"), Column("macs", "MACs", "count"), Column("macs%", "", "share"),
        Column("flops", "FLOPs", "count"), Column("flops%", "", "share"),
        Column("activation_bytes", "Memory", "bytes"), Column("activation_bytes%", "", "share"),
    )  # fmt: skip

    def line(name: str, row: Any, layers: int, kind: str) -> Line:
        cells: list[Any] = [name, layers]
        for quantity in ("params", "macs", "flops", "activation_bytes"):
            cells += [getattr(row, quantity), (getattr(row, quantity), getattr(totals, quantity))]
        return Line(tuple(cells), kind=kind)

    lines = [line(name, group, group.layers, name) for name, group in report.breakdown.items() if group.layers]
    return Sheet("By group", columns, tuple(lines), line("total", totals, totals.layers, "total"))


def claims(report: Report) -> list[Paragraph | Sheet]:
    """Published figures with verdicts, and notes on those that differ."""
    checked = [claim for claim in report.published if claim.verdict != "unchecked"]
    parts: list[Paragraph | Sheet] = []
    if checked:
        parts.append(_claims_sheet(checked))
    noted = [claim for claim in checked if claim.note and claim.verdict != "agrees"]
    parts += [Paragraph(f"Note on {claim.quantity} {_claimed(claim)}: {claim.note}.") for claim in noted]
    reasons: dict[str, int] = {}
    for claim in report.published:
        if claim.verdict == "unchecked":
            reasons[claim.note or ""] = reasons.get(claim.note or "", 0) + 1
    for reason, times in reasons.items():
        parts.append(Paragraph(f"{times} published figure{'' if times == 1 else 's'} not checked: {reason}."))
    return parts


def quantity_of(claim: Verdict) -> str:
    """The quantity of a published figure: ``macs of conv1``, ``activation_bytes (with input)``."""
    what = claim.quantity + (f" of {claim.layer}" if claim.layer else "")
    return f"{what} ({claim.convention.replace('_', ' ')})" if claim.convention else what


def _claimed(claim: Verdict) -> str:
    return units.shape(claim.claimed) if isinstance(claim.claimed, tuple) else claim.claimed


def _claims_sheet(checked: Sequence[Verdict]) -> Sheet:
    columns = (
        Column("quantity", "Quantity"), Column("claimed", "Published", "word"), Column("computed", "Computed", "word"),
        Column("verdict", "Verdict", "word"), Column("source", "Source"),
    )  # fmt: skip
    lines = []
    for claim in checked:
        what = quantity_of(claim)
        computed = claim.computed
        exact = "" if computed is None else units.shape(computed) if isinstance(computed, tuple) else f"{computed:,}"
        lines.append(Line((what, _claimed(claim), exact, claim.verdict, claim.source), kind=claim.verdict))
    return Sheet("Published figures", columns, tuple(lines))


def conventions(report: Report, convention: str | None, style: str = "iec") -> list[str]:
    """Sentences that explain what the numbers mean."""
    settings, totals = report.settings, report.totals
    named = {name: units.shape(shape) for name, shape in settings.input_shapes.items()}
    several = ", ".join(f"{name} {shape}" for name, shape in named.items())
    inputs = f"Inputs {several}" if len(named) > 1 else f"Input {''.join(named.values()) or 'none'}"
    kinds = ", ".join(
        f"{kind} {units.count(number, style)}" for kind, number in totals.flops_by_kind.items() if kind != "mac"
    )
    lines = [
        f"{inputs}, {settings.dtype}, {settings.mode}. Weights {_bytes(totals.weight_bytes, style)}, "
        f"buffers {totals.buffers:,}, depth {totals.depth}.",
        f"FLOPs = 2 x MACs + other operations, {units.count(totals.flops, style)} in total"
        + (f" ({kinds})." if kinds else "."),
        "Activations: bytes of the allocated outputs, summed over layers; views and in-place operations add nothing.",
        _covered(report),
    ]
    if convention is not None:
        total = report.convention(convention)
        lines.append(f"In the convention {total.name}: {total.total:,} ({total.meaning}).")
    return lines


def _covered(report: Report) -> str:
    coverage = report.coverage
    if not coverage.unmodelled:
        operations = "the one operation has" if coverage.nodes == 1 else f"all {coverage.nodes} operations have"
        return f"Coverage: {operations} a cost rule."
    missing = ", ".join(f"{name} ({times})" for name, times in coverage.unmodelled)
    return f"Coverage: {coverage.modelled} of {coverage.nodes} operations have a cost rule; NOT counted: {missing}."
