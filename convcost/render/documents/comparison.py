"""Document of a comparison of networks: figures, ratios, and shares of convolutions and linear layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ... import units
from ..sheet import Column, Document, Line, Paragraph, Sheet

if TYPE_CHECKING:
    from ...analysis.comparison.compare import Compared, Comparison

RATIOS = ("params", "macs", "flops", "activation_bytes", "weight_file_bytes")
SPLIT = ("params", "macs", "activation_bytes")


def comparison_document(comparison: Comparison) -> Document:
    """The output of ``convcost compare``."""
    sheets = (_figures("", "main", comparison), *further(comparison).values())
    return Document((*sheets, *(Paragraph(text) for text in notes(comparison))))


def further(comparison: Comparison) -> dict[str, Sheet]:
    """The tables after the first one: memory, measured figures, ratios, convolutions and linear layers."""
    sheets = {"memory": _figures("Memory", "memory", comparison)}
    for table in ("measured", "further"):
        if any(quantity.table == table for quantity in comparison.quantities.values()):
            sheets[table] = _figures(table.capitalize(), table, comparison)
    if len(comparison.networks) > 1:
        sheets["ratios"] = _ratios(comparison)
    return {**sheets, "shares": _split(comparison.networks)}


def comparison_rows(comparison: Comparison) -> Document:
    """Everything in one sheet, for CSV."""
    keys = tuple(comparison.quantities)
    groups = [(quantity, group) for quantity in SPLIT for group in ("conv", "fc")]
    columns = [Column("name", ""), Column("title", ""), Column("year", ""), Column("source", "")]
    columns += [Column(key, "", "plain") for key in keys]
    columns += [Column(f"{group}_{quantity}", "", "plain") for quantity, group in groups]
    columns += [Column(f"{key}_ratio", "", "plain") for key in RATIOS]
    columns += [Column(f"accuracy_{key}", "") for key in ("dataset", "source")]
    lines = []
    for row in comparison.networks:
        cells: list[Any] = [row.name, row.title, row.year, row.source]
        cells += [row.figures[key] for key in keys]
        cells += [getattr(row.breakdown[group], quantity) for quantity, group in groups]
        cells += [row.ratios[key] for key in RATIOS]
        cells += [row.accuracy.get(key) for key in ("dataset", "source")]
        lines.append(Line(tuple(cells)))
    return Document((Sheet("", tuple(columns), tuple(lines)),))


def _figures(title: str, table: str, comparison: Comparison) -> Sheet:
    """The quantities of a table that at least one network has; the best value of each is highlighted."""
    networks, quantities = comparison.networks, comparison.quantities
    keys = [key for key, each in quantities.items() if each.table == table]
    keys = [key for key in keys if any(row.figures[key] is not None for row in networks)]
    columns = [Column("name", "Network", "word")]
    columns += [Column(key, quantities[key].heading, quantities[key].unit) for key in keys]
    lines = []
    for row in networks:
        best = tuple(k for k, key in enumerate(keys, 1) if row.name in comparison.best.get(key, ()))
        lines.append(Line((row.name, *(row.figures[key] for key in keys)), best=best))
    return Sheet(title, tuple(columns), tuple(lines))


def _ratios(comparison: Comparison) -> Sheet:
    columns = [Column("name", "Network", "word")]
    columns += [Column(key, comparison.quantities[key].heading, "ratio") for key in RATIOS]
    lines = [Line((row.name, *(row.ratios[key] for key in RATIOS))) for row in comparison.networks]
    against = "the best" if comparison.relative_to == "best" else comparison.relative_to
    return Sheet(f"Relative to {against}", tuple(columns), tuple(lines))


def _split(networks: Sequence[Compared]) -> Sheet:
    """Shares as text, because share columns are dropped on a narrow terminal."""
    headings = {"params": "Params", "macs": "MACs", "activation_bytes": "Memory"}
    columns = [Column("name", "Network", "word")]
    columns += [
        Column(f"{group}_{key}", f"{headings[key]} conv" if group == "conv" else "fc", "plain")
        for key in SPLIT
        for group in ("conv", "fc")
    ]
    lines = []
    for row in networks:
        whole = {key: sum(getattr(group, key) for group in row.breakdown.values()) for key in SPLIT}
        cells = [
            units.share(getattr(row.breakdown[group], key), whole[key]) for key in SPLIT for group in ("conv", "fc")
        ]
        lines.append(Line((row.name, *cells)))
    return Sheet("In convolutions and fully connected layers", tuple(columns), tuple(lines))


def notes(comparison: Comparison) -> list[str]:
    """Sources of published errors, settings, definitions of the figures, and reasons for missing figures."""
    networks, quantities = comparison.networks, comparison.quantities
    found = []
    for row in networks:
        if row.accuracy:
            dataset = f" on {row.accuracy['dataset']}" if "dataset" in row.accuracy else ""
            found.append(f"Published errors of {row.name}{dataset}: {row.accuracy.get('source', 'source not given')}.")
    settings: dict[str, list[str]] = {}
    for row in networks:
        shapes = ", ".join(units.shape(shape) for shape in row.settings.input_shapes.values()) or "none"
        settings.setdefault(f"{shapes}, {row.settings.dtype}, {row.settings.mode}", []).append(row.name)
    if len(settings) == 1:
        found.append(f"Input {next(iter(settings))}.")
    else:
        found += [f"Input of {', '.join(names)}: {text}." for text, names in settings.items()]
    found.append("FLOPs = 2 x MACs + other operations. Activations: bytes of the allocated outputs.")
    peak, training = quantities["peak_memory"], quantities["peak_training_memory"]
    found.append(f"{peak.heading}: {peak.about}. {training.heading}: {training.about}.")
    found += [f"{each.heading}: {each.about}." for each in quantities.values() if each.table in ("measured", "further")]
    if batch := quantities.get("largest_batch"):
        found.append(f"{batch.heading}: {batch.about}.")
    for row in networks:
        reasons: dict[str, list[str]] = {}
        for key, reason in row.unknown.items():
            reasons.setdefault(reason, []).append(quantities[key].heading)
        found += [f"Unknown for {row.name}: {', '.join(names)} ({reason})." for reason, names in reasons.items()]
    return found
