"""Networks side by side: the figures of each, ratios to one of them, and which is best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ...display import Shown, plotted
from ...errors import ConvcostError, UsageError, nearest
from ...graph import Graph
from ..json import encoded, versioned
from ..quantities import BATCHES, MEASURED, Quantity, Value, quantities
from ..records import GroupTotals
from ..report import Report, analyze
from ..settings import InputSize, Settings

REFERENCES = ("first", "best")
"""What ratios are taken against, besides a network's name."""


class Compared(msgspec.Struct, frozen=True):
    """One network of a comparison.

    ``ratios``: each figure over the reference's; None where there is none. ``unknown``: of figures that cannot be
    worked out, why.
    """

    name: str
    title: str
    source: str
    year: int | None
    settings: Settings
    figures: Mapping[str, Value]
    ratios: Mapping[str, float | None]
    breakdown: Mapping[str, GroupTotals]
    accuracy: Mapping[str, object]
    unknown: Mapping[str, str]


class Comparison(msgspec.Struct, Shown, frozen=True):
    """Networks side by side. ``best``: for each quantity that has a better end, the names of the best networks.

    ``reports`` are what it was made of, in the order of the networks, and ``quantities`` what the figures' keys mean;
    they are not in the JSON.
    """

    relative_to: str
    networks: tuple[Compared, ...]
    best: Mapping[str, tuple[str, ...]]
    reports: tuple[Report, ...] = ()
    quantities: Mapping[str, Quantity] = {}

    def to_dict(self) -> dict[str, Any]:
        """The comparison as in the JSON; ``"schema": 1``."""
        found = msgspec.structs.asdict(self)
        del found["reports"], found["quantities"]
        plain: dict[str, Any] = msgspec.to_builtins(versioned(found))
        return plain

    def plot(self, chart: str = "totals") -> Any:
        """A plotly figure: "totals", "bubble" or "depth"; an error says if plotly is not installed."""
        return plotted(self, chart)

    def to_json(self, indent: int = 2) -> str:
        """The comparison as JSON text."""
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
    """Networks side by side.

    Args:
        networks: graphs from ``convcost.load`` or ``convcost.capture``, or reports.
        batch, dtype, input_size: what every graph is analysed with; None: its own.
        relative_to: "first", "best" (of each quantity), or a network's name.
        sort: order by this quantity, smallest first; ``reverse``: largest first. Networks without it come last.
        names: what they are called in the comparison; default: their own names.
        gpu: a GPU of ``convcost list --gpus``, or a hardware file: adds the largest batches that fit it.
        measured: for each network its measured figures, ``latency_ns`` and ``samples_per_s``, {} without any.

    Raises:
        UsageError: no network, an unknown quantity or GPU, a reference that is not among them.
        SpecError: a layer cannot take what arrives at this size.
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

        load_gpu(gpu)  # a wrong name is an error, not a figure that nobody knows
    reports = named_apart(
        [x if isinstance(x, Report) else analyze(x, batch, dtype, input_size) for x in networks], names
    )
    called = [report.about.name for report in reports]
    unknown: dict[str, dict[str, str]] = {name: {} for name in called}
    own = measured or [{}] * len(reports)
    found = {
        name: _figures(report, known, unknown[name], more)
        for name, report, more in zip(called, reports, own, strict=True)
    }
    best = _best(reports, found, known)
    reference = _reference(relative_to, found, best)
    rows = [
        _row(name, report, found[name], _ratios(found[name], reference, known), unknown[name])
        for name, report in zip(called, reports, strict=True)
    ]
    ordered = tuple(_sorted(rows, sort, reverse))
    of = dict(zip(called, reports, strict=True))
    against = called[0] if relative_to == "first" else relative_to
    return Comparison(against, ordered, best, tuple(of[row.name] for row in ordered), known)


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
    """The reports under different names, so that tables and charts tell them apart.

    Args:
        names: what the networks are to be called; default: their own names. One that occurs several times gets
            numbers, "vgg16 #1" and "vgg16 #2".

    Returns:
        A report that keeps its name is returned itself; of any other a renamed copy.
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
    """The figures; what cannot be worked out is None, and goes to ``unknown``: a capture holds for one batch only."""
    figures: dict[str, Value] = {}
    for key, quantity in known.items():
        try:
            figures[key] = measured[key] if key in measured else quantity.of(report)
        except ConvcostError as error:
            figures[key], unknown[key] = None, str(error)
    return figures


def _best(
    reports: Sequence[Report], found: Mapping[str, Mapping[str, Value]], known: Mapping[str, Quantity]
) -> dict[str, tuple[str, ...]]:
    """The best networks by quantity, where there are two or more to choose from."""
    best = {}
    datasets = {str(report.about.accuracy["dataset"]) for report in reports if "dataset" in report.about.accuracy}
    for key, quantity in known.items():
        values = {name: value for name, figures in found.items() if (value := figures[key]) is not None}
        # An error on one data set says nothing about an error on another.
        if quantity.best is None or len(values) < 2 or (quantity.unit == "percent" and len(datasets) > 1):
            continue
        winner = (min if quantity.best == "lowest" else max)(values.values())
        best[key] = tuple(name for name, value in values.items() if value == winner)
    return best


def _reference(
    relative_to: str, found: Mapping[str, Mapping[str, Value]], best: Mapping[str, tuple[str, ...]]
) -> Mapping[str, Value]:
    """The figures that ratios are taken against."""
    if relative_to == "best":
        return {key: found[names[0]][key] for key, names in best.items()}
    if relative_to == "first":
        return next(iter(found.values()))
    if relative_to not in found:
        known = [*REFERENCES, *found]
        raise UsageError(
            f"cannot compare with {relative_to!r}{nearest(relative_to, known)} (allowed: {', '.join(known)})"
        )
    return found[relative_to]


def _ratios(
    figures: Mapping[str, Value], reference: Mapping[str, Value], known: Mapping[str, Quantity]
) -> dict[str, float | None]:
    ratios: dict[str, float | None] = {}
    for key, quantity in known.items():
        if quantity.unit != "percent":
            value, against = figures[key], reference.get(key)
            ratios[key] = value / against if value is not None and against else None
    return ratios


def _sorted(rows: list[Compared], sort: str | None, reverse: bool) -> list[Compared]:
    if sort is None:
        return rows[::-1] if reverse else rows
    have = [row for row in rows if row.figures[sort] is not None]
    have.sort(key=lambda row: row.figures[sort] or 0, reverse=reverse)
    return have + [row for row in rows if row.figures[sort] is None]
