"""The function ``compare``: figures of several networks, ratios to one of them, and the best of each quantity.

The quantities are defined in ``analysis/quantities.py``; a new one appears here without changes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ...display import Shown, plotted
from ...errors import ConvcostError, UsageError, alternatives, nearest
from ...graph import Graph
from ..json import encoded, versioned
from ..quantities import BATCHES, MEASURED, Quantity, Value, quantities
from ..records import GroupTotals
from ..report import Report, analyze
from ..settings import InputSize, Settings

REFERENCES = ("first", "best")
"""The references for ratios, besides the name of a network."""


class Compared(msgspec.Struct, frozen=True):
    """One network of a comparison. The mappings have the quantities as keys."""

    name: str
    title: str
    source: str
    year: int | None
    settings: Settings
    figures: Mapping[str, Value]
    """The figure of each quantity; None if it is not known."""
    ratios: Mapping[str, float | None]
    """Each figure divided by that of the reference; None if one of them is not known."""
    breakdown: Mapping[str, GroupTotals]
    """Totals by group of layers."""
    accuracy: Mapping[str, object]
    """Published error rates, with their source."""
    unknown: Mapping[str, str]
    """Why a figure is not known."""


class Comparison(msgspec.Struct, Shown, frozen=True):
    """A comparison of networks."""

    relative_to: str
    """The reference of the ratios: the name of a network, or "best"."""
    networks: tuple[Compared, ...]
    best: Mapping[str, tuple[str, ...]]
    """The names of the best networks for each quantity of which less or more is better."""
    reports: tuple[Report, ...] = ()
    """The reports, in the order of ``networks``; not part of the JSON output."""
    quantities: Mapping[str, Quantity] = {}
    """The quantities by key; not part of the JSON output."""

    def to_dict(self) -> dict[str, Any]:
        """The comparison as in the JSON output, which begins with ``"schema": 1``."""
        content = msgspec.structs.asdict(self)
        del content["reports"], content["quantities"]
        record: dict[str, Any] = msgspec.to_builtins(versioned(content))
        return record

    def plot(self, chart: str = "totals") -> Any:
        """A plotly figure.

        Args:
            chart: "totals", "bubble" or "depth".

        Raises:
            MissingExtraError: plotly is not installed.
        """
        return plotted(self, chart)

    def to_json(self, indent: int = 2) -> str:
        """The comparison as JSON text, indented by ``indent`` spaces; 0 gives a single line."""
        return encoded(self.to_dict(), indent)


def compare(
    networks: Sequence[Graph | Report],
    batch: int | None = None,
    dtype: str | None = None,
    input_size: InputSize | None = None,
    relative_to: str = "first",
    sort: str | None = None,
    reverse: bool = False,
    names: Sequence[str] | None = None,
    gpu: str | None = None,
    measured: Sequence[Mapping[str, Value]] = (),
) -> Comparison:
    """Compare networks.

    Args:
        networks: graphs from ``convcost.load`` or ``convcost.capture``, or reports.
        batch, dtype, input_size: settings for all graphs, as for ``analyze``; None: the defaults of each graph.
        relative_to: the reference of the ratios: "first", "best" (for each quantity), or the name of a network.
        sort: a quantity to sort by, in ascending order. Networks whose figure is not known come last.
        reverse: sort in descending order.
        names: names of the networks in the comparison; default: their own.
        gpu: a GPU of ``convcost list --gpus``, or a hardware file; adds the largest batches that fit its memory.
        measured: for each network its measured figures, ``latency_ns`` and ``samples_per_s``; an empty mapping if
            there are none.

    Raises:
        UsageError: there is no network, a quantity or a GPU is unknown, or the reference is not one of the networks.
        SpecError: a layer cannot take its inputs at this input size.
    """
    if isinstance(networks, (str, Graph, Report)) or not networks:
        raise UsageError("compare takes a list of one or more graphs or reports")
    known = quantities(gpu, any(measured))
    if sort is not None and sort not in known:
        more = f"; {sort} needs a GPU" if sort in BATCHES else nearest(sort, known)
        more = f"; {sort} needs a saved profile" if sort in MEASURED else more
        raise UsageError(f"unknown quantity {sort!r}{more} (allowed: {', '.join(known)})")
    if gpu is not None:
        from ...hardware import load_gpu

        load_gpu(gpu)  # raises for an unknown name; below, errors only make a figure unknown
    reports = named_apart(
        [x if isinstance(x, Report) else analyze(x, batch, dtype, input_size) for x in networks], names
    )
    names = [report.about.name for report in reports]
    unknown: dict[str, dict[str, str]] = {name: {} for name in names}
    figures = {
        name: _figures(report, known, unknown[name], more)
        for name, report, more in zip(names, reports, measured or [{}] * len(reports), strict=True)
    }
    best = _best(reports, figures, known)
    reference = _reference(relative_to, figures, best)
    rows = [
        _row(name, report, figures[name], _ratios(figures[name], reference, known), unknown[name])
        for name, report in zip(names, reports, strict=True)
    ]
    ordered = tuple(_sorted(rows, sort, reverse))
    report_of = dict(zip(names, reports, strict=True))
    reference_name = names[0] if relative_to == "first" else relative_to
    return Comparison(reference_name, ordered, best, tuple(report_of[row.name] for row in ordered), known)


def _row(
    name: str, report: Report, figures: Mapping[str, Value], ratios: Mapping[str, float | None],
    unknown: Mapping[str, str],
) -> Compared:  # fmt: skip
    about = report.about
    return Compared(
        name, about.title, about.source, about.year, report.settings, figures, ratios, report.breakdown,
        about.accuracy, unknown,
    )  # fmt: skip


def named_apart(reports: Sequence[Report], names: Sequence[str] | None = None) -> list[Report]:
    """Give reports different names, so that tables and charts can distinguish them.

    Args:
        reports: the reports.
        names: their names; default: their own. A name that occurs more than once gets numbers: "vgg16 #1", "vgg16 #2".

    Returns:
        Each report itself if its name does not change, otherwise a renamed copy.
    """
    wanted = list(names or [report.about.name for report in reports])
    times = Counter(wanted)
    numbered = [f"{name} #{wanted[:k].count(name) + 1}" if times[name] > 1 else name for k, name in enumerate(wanted)]
    return [
        report if report.about.name == name else report.renamed(name)
        for report, name in zip(reports, numbered, strict=True)
    ]


def _figures(
    report: Report, known: Mapping[str, Quantity], unknown: dict[str, str], measured: Mapping[str, Value]
) -> dict[str, Value]:
    """The figures of a network. One that cannot be computed is None, and the reason is entered in ``unknown``."""
    figures: dict[str, Value] = {}
    for key, quantity in known.items():
        try:
            figures[key] = measured[key] if key in measured else quantity.of(report)
        except ConvcostError as error:
            figures[key], unknown[key] = None, str(error)
    return figures


def _best(
    reports: Sequence[Report], figures: Mapping[str, Mapping[str, Value]], known: Mapping[str, Quantity]
) -> dict[str, tuple[str, ...]]:
    """The best networks for each quantity that is known for two or more of them."""
    best = {}
    datasets = {str(report.about.accuracy["dataset"]) for report in reports if "dataset" in report.about.accuracy}
    for key, quantity in known.items():
        values = {name: value for name, row in figures.items() if (value := row[key]) is not None}
        # Error rates on different data sets cannot be compared.
        if quantity.best is None or len(values) < 2 or (quantity.unit == "percent" and len(datasets) > 1):
            continue
        winner = (min if quantity.best == "lowest" else max)(values.values())
        best[key] = tuple(name for name, value in values.items() if value == winner)
    return best


def _reference(
    relative_to: str, figures: Mapping[str, Mapping[str, Value]], best: Mapping[str, tuple[str, ...]]
) -> Mapping[str, Value]:
    """The figures of the reference."""
    if relative_to == "best":
        return {key: figures[names[0]][key] for key, names in best.items()}
    if relative_to == "first":
        return next(iter(figures.values()))
    if relative_to not in figures:
        known = [*REFERENCES, *figures]
        raise UsageError(f"cannot compare with {relative_to!r}{alternatives(relative_to, known)}")
    return figures[relative_to]


def _ratios(
    figures: Mapping[str, Value], reference: Mapping[str, Value], known: Mapping[str, Quantity]
) -> dict[str, float | None]:
    ratios: dict[str, float | None] = {}
    for key, quantity in known.items():
        if quantity.unit != "percent":
            value, reference_value = figures[key], reference.get(key)
            ratios[key] = value / reference_value if value is not None and reference_value else None
    return ratios


def _sorted(rows: list[Compared], sort: str | None, reverse: bool) -> list[Compared]:
    if sort is None:
        return rows[::-1] if reverse else rows
    known = [row for row in rows if row.figures[sort] is not None]
    known.sort(key=lambda row: row.figures[sort] or 0, reverse=reverse)
    return known + [row for row in rows if row.figures[sort] is None]
