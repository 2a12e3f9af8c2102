"""Document of a profile: throughput, phases, layers, shares of time and of MACs, and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ... import units
from ..sheet import Column, Curve, Document, Line, Paragraph, Sheet
from .fold import folded

if TYPE_CHECKING:
    from ...profiles.layer_summary import LayerSummary, Span
    from ...profiles.measured import Versus
    from ...profiles.profile import Profile
    from ...profiles.runs import Environment, Run

Parts = list[Paragraph | Sheet | Curve]

_GROUPS = ("conv", "fc")


def profile_document(
    profile: Profile, style: str = "iec", depth: int | None = None, plain: bool = False, every: bool = False
) -> Document:
    """The output of ``convcost profile``.

    Args:
        depth: collapse blocks below this level; None: as deep as fits. ``plain``: percentages instead of bars.
        every: show the layers of all runs that have times of layers, not only of the last one.
    """
    parts: Parts = [Paragraph(headline(profile), "headline"), runs_sheet(profile)]
    training = [run for run in profile.measured if len(run.phases) > 1]
    parts += [phases_sheet(training)] if training else []
    remembered = [run for run in profile.measured if run.memory is not None]
    parts += [memory_sheet(remembered)] if remembered else []
    timed = [found for found in profile.figures if found.run.measured and found.run.layers]
    for found in timed if every else timed[-1:]:
        parts += _layers(found, depth, plain, style)
    parts += [ceilings_sheet(profile)] if profile.ceilings else []
    parts += [Paragraph(text) for text in meaning(profile)]
    parts += [
        Paragraph(f"{run.setting.words}: {'; '.join(said)}.", "warning")
        for run, said in zip(profile.runs, profile.doubts, strict=True)
        if said
    ]
    parts += [
        Paragraph(f"{run.setting.words}: {run.status}. {run.note}", "warning")
        for run in profile.runs
        if not run.measured
    ]
    if profile.interrupted:
        parts.append(Paragraph("interrupted: the remaining settings were not measured", "warning"))
    return Document(tuple(parts))


def headline(profile: Profile) -> str:
    """The best throughput in one sentence."""
    where = profile.environment
    threads = f", {where.threads} threads" if where.threads else ""
    place = f"{profile.title or profile.name} on {where.device_name} ({where.device.upper()}{threads})"
    if not profile.measured:
        return f"{place}: nothing was measured."
    best = max(profile.measured, key=lambda run: run.samples_per_s)
    return f"{place}: {_speed(best.samples_per_s)} samples per second at {best.setting.words}."


def _speed(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else units.number(value)


# --- whole passes


def runs_sheet(profile: Profile) -> Sheet:
    """All settings with their times and throughput."""
    several = _what_varies(profile.runs)
    columns = [
        Column("batch", "Batch", "plain"), *([Column("setting", "Setting")] if several else []),
        Column("median_ns", "Median", "duration"), Column("p5_ns", "p5", "duration"),
        Column("p95_ns", "p95", "duration"), Column("samples", "Samples", "plain"),
        Column("samples_per_s", "Per second", "number"), Column("flops_per_s", "FLOPs/s", "rate"),
    ]  # fmt: skip
    lines = [Line(_run_cells(run, several), kind="" if run.measured else "differs") for run in profile.runs]
    return Sheet("", tuple(columns), tuple(lines))


def _what_varies(runs: Sequence[Run]) -> bool:
    return len({run.setting.without_batch for run in runs}) > 1


def _run_cells(run: Run, several: bool) -> tuple[Any, ...]:
    cells: list[Any] = [run.setting.batch, *([run.setting.without_batch] if several else [])]
    if run.measured and run.static is not None:
        time = run.time
        speed = run.samples_per_s
        work = run.static.step_flops
        cells += [time.median_ns, time.p5_ns, time.p95_ns, time.samples, round(speed) if speed >= 1000 else speed]
        cells += [int(1e9 * work / time.median_ns)]
    else:
        cells += [None, None, None, None, None, None]
    return tuple(cells)


def phases_sheet(runs: Sequence[Run]) -> Sheet:
    """Times of forward pass, backward pass and optimizer step."""
    names = list(dict.fromkeys(name for run in runs for name in run.phases))
    columns = [Column("batch", "Training step, batch", "plain")]
    for name in names:
        columns += [Column(name, name.capitalize(), "duration"), Column(f"{name}%", "", "share")]
    lines = []
    for run in runs:
        whole = run.time.median_ns
        cells: list[Any] = [run.setting.batch]
        for name in names:
            middle = run.phase(name).median_ns
            cells += [middle, (middle, whole)]
        lines.append(Line(tuple(cells)))
    return Sheet("", tuple(columns), tuple(lines))


def memory_sheet(runs: Sequence[Run]) -> Sheet:
    """Measured peak memory beside the predicted one."""
    columns = (
        Column("setting", "Memory"), Column("predicted", "Predicted", "bytes"),
        Column("requested", "Requested", "bytes"), Column("part", "", "share"),
        Column("allocated", "Allocated", "bytes"), Column("reserved", "Reserved", "bytes"),
    )  # fmt: skip
    lines = []
    for run in runs:
        use, predicted = run.memory, run.static.peak_bytes if run.static else None
        if use is not None:
            part = (predicted, use.requested_bytes) if predicted is not None else None
            cells = (predicted, use.requested_bytes, part, use.allocated_bytes, use.reserved_bytes)
            lines.append(Line((run.setting.words, *cells)))
    return Sheet("", columns, tuple(lines))


# --- layers


def _layers(found: LayerSummary, depth: int | None, plain: bool, style: str) -> Parts:
    words = found.run.setting.words
    parts: Parts = [layer_sheet(found, depth, plain, f"Layers at {words}"), group_sheet(found, words)]
    parts += [Paragraph(contrast(found), "headline")] if found.totals.time_ns else []
    return parts + [Paragraph(text) for text in closing(found, style)]


def layer_sheet(found: LayerSummary, depth: int | None, plain: bool, title: str) -> Sheet:
    """Time and rates of each layer, and the share of the measured peak rate that it reaches."""
    both = found.in_place and found.alone
    sheets = found.totals.datasheet_bound_ns is not None
    columns = [
        Column("name", "Layer"), Column("time_ns", "Time", "duration"), Column("time%", "", "share", not plain),
        *([Column("alone_ns", "Alone", "duration")] if both else []),
        Column("flops_per_s", "FLOPs/s", "rate"), Column("bytes_per_s", "B/s", "rate"),
        Column("of_ceiling", "Ceiling", "percent"),
        *([Column("of_datasheet", "Datasheet", "percent")] if sheets else []),
        Column("limit", "Limit", "word"),
    ]  # fmt: skip

    def line(name: str, span: Span, level: int = 0, kind: str = "") -> Line:
        cells = [
            name, span.time_ns, (span.time_ns, found.totals.time_ns) if span.time_ns is not None else None,
            *([span.alone_ns] if both else []), _whole(span.flops_per_s), _whole(span.bytes_per_s),
            _percent(span.of_ceiling), *([_percent(span.of_datasheet)] if sheets else []), span.limit,
        ]  # fmt: skip
        return Line(tuple(cells), level, kind)

    lines = []
    for fold in folded(found.run.path_of_layers, depth):
        inside = found.layers[fold.start : fold.stop]
        kind = found.run.layers[fold.start].group if fold.leaf else "block"
        lines.append(line(fold.segment, found.summed(inside), fold.level, kind))
    return Sheet(title, tuple(columns), tuple(lines), line("total", found.totals, kind="total"))


def _percent(value: float | None) -> str | None:
    """With one decimal; only zero is shown as 0.0."""
    return None if value is None else units.share(value, 1).removesuffix("%") if value < 0.5 else f"{100 * value:.1f}"


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def group_sheet(found: LayerSummary, words: str) -> Sheet:
    """Shares of parameters, MACs and time by group."""
    columns = (
        Column("group", "Group"), Column("layers", "Layers", "plain"), Column("params%", "Params", "share"),
        Column("macs%", "MACs", "share"), Column("bytes%", "Traffic", "share"), Column("time_ns", "Time", "duration"),
        Column("time%", "", "share"), Column("of_ceiling", "Ceiling", "percent"),
    )  # fmt: skip
    totals = found.totals

    def line(name: str, span: Span, kind: str) -> Line:
        time = (span.time_ns, totals.time_ns) if span.time_ns is not None else None
        cells = (
            name, span.layers, (span.params, totals.params), (span.macs, totals.macs),
            (span.bytes_moved, totals.bytes_moved), span.time_ns, time, _percent(span.of_ceiling),
        )  # fmt: skip
        return Line(cells, kind=kind)

    lines = [line(group, span, group) for group, span in found.by_group.items()]
    return Sheet(f"Time by group at {words}", columns, tuple(lines), line("total", totals, "total"))


def contrast(found: LayerSummary) -> str:
    """Shares of parameters, MACs and time by group. They are usually in different layers."""
    totals, said = found.totals, []
    names = {"conv": "convolutions", "fc": "fully connected layers"}
    for group in (*_GROUPS, "other"):
        if group == "other":
            rest = [span for key, span in found.by_group.items() if key not in _GROUPS]
            span = found.summed(rest) if rest else None
        else:
            span = found.by_group.get(group)
        if span is not None and span.time_ns is not None:
            said.append(
                f"{names.get(group, 'everything else')}: {units.share(span.params, totals.params) or '0%'} of the "
                f"parameters, {units.share(span.macs, totals.macs) or '0%'} of the MACs, "
                f"{units.share(span.time_ns, totals.time_ns or 0)} of the time"
            )
    text = "; ".join(said)
    return text[:1].upper() + text[1:] + "."


def closing(found: LayerSummary, style: str) -> list[str]:
    """Whether the times of the layers add up to the whole pass."""
    sums = found.closing
    if sums is None:
        return ["Each layer was timed by itself with a cold cache; the times need not add up to the whole pass."]

    def time(value: float) -> str:
        return units.duration(value, style)

    text = (
        f"The times of the layers add up to {time(sums.layers_ns)}, "
        f"{units.share(sums.layers_ns, sums.whole_ns)} of the {time(sums.whole_ns)} of a pass"
    )
    if sums.launch_gap_ns is not None and sums.busy is not None:
        text += f"; launch gap {time(sums.launch_gap_ns)} (the device is busy {sums.busy:.1%} of a pass)"
    text += f"; difference {time(sums.rest_ns)} ({units.share(sums.rest_ns, sums.whole_ns)})."
    lines = [text]
    lines.append(f"Reading the clock between layers took {time(sums.marks_ns)} in total, which is subtracted.")
    return lines


# --- the rest


def ceilings_sheet(profile: Profile) -> Sheet:
    """The highest rates measured on the device."""
    columns = (
        Column("ceiling", "Measured peak rate"), Column("rate", "Per second", "rate"), Column("how", "Measured with"),
    )  # fmt: skip
    lines = []
    for top in profile.ceilings:
        if top.what == "launch":
            continue
        mode = "" if top.tf32 is None else " (TF32)" if top.tf32 else " (no TF32)"
        what = {"matmul": "matrix products", "conv": "convolutions"}.get(top.what, "")
        name = "memory, bytes" if top.what == "copy" else f"{what}, FLOPs, {top.dtype}{mode}"
        lines.append(Line((name, int(top.per_s), top.shape)))
    return Sheet("", columns, tuple(lines))


def meaning(profile: Profile) -> list[str]:
    """How the times were measured."""
    where = profile.environment
    versions = ", ".join(f"{name} {version}" for name, version in where.versions.items())
    clock = "with CUDA events" if where.device == "cuda" else "on the CPU with a monotonic clock"
    lines = [f"Measured {clock}, {where.started}. {versions}."]
    cold = all(run.flushed for run in profile.runs)
    cache = "The cache is overwritten before each iteration." if cold else "The cache is not overwritten."
    lines.append(f"Medians over iterations with random inputs and weights. {cache}")
    if where.device == "cpu":
        lines.append("Memory was not measured, because PyTorch does not record it on a CPU.")
    seen = [each for run in profile.runs for each in run.conditions]
    clocks = [each.clock_hz for each in seen if each.clock_hz]
    power = [each.power_w for each in seen if each.power_w]
    warm = [each.temperature_c for each in seen if each.temperature_c]
    if clocks and power and warm:
        lines.append(
            f"Clock {min(clocks) / 1e6:,.0f} to {max(clocks) / 1e6:,.0f} MHz, up to {max(power):,.0f} W and "
            f"{max(warm)} degrees Celsius, in {len(seen)} readings."
        )
    if any(run.layers for run in profile.runs):
        lines.append(
            "Ceiling: the least time at the measured peak rates, divided by the measured time. It exceeds 100% if "
            "inputs were in a cache or a convolution used fewer multiplications. Limit: the largest lower bound; "
            "launches if launching the kernels takes longer than running them."
        )
    return lines


# --- in a comparison


def versus_sheet(names: Sequence[str], rows: Sequence[Versus]) -> Sheet:
    """Settings that several profiles share: median times, and ratios to the first profile that has a time."""
    columns = [Column("setting", "Setting")]
    for name in names:
        columns += [Column(name, name, "duration"), Column(f"{name}_ratio", "", "ratio")]
    lines = []
    for row in rows:
        first = next(value for value in row.median_ns if value is not None)
        cells: list[Any] = [row.setting]
        for value in row.median_ns:
            cells += [value, value / first if value is not None else None]
        lines.append(Line(tuple(cells)))
    return Sheet("Times of the same setting", tuple(columns), tuple(lines))


def origin(name: str, profile: Profile) -> str:
    """Device, clock and date of a profile, in one sentence."""
    where = profile.environment
    return f"{name}: measured on {where.device_name} with {where.clock}, {where.started}, torch {_torch(where)}."


def _torch(where: Environment) -> str:
    return where.versions.get("torch", "of an unknown version")


def profile_rows(profile: Profile) -> Document:
    """One row per setting and one per layer of each setting, for CSV; without a time if the run failed.

    FLOPs and time of a training step are those of the whole step.
    """
    columns = (
        Column("setting", "Setting"), Column("batch", "Batch", "plain"), Column("name", "Layer"),
        Column("op", "Op"), Column("group", "Group"), Column("params", "Params", "count"),
        Column("macs", "MACs", "count"), Column("flops", "FLOPs", "count"), Column("bytes_moved", "Bytes", "bytes"),
        Column("time_ns", "Time", "plain"), Column("alone_ns", "Alone", "plain"),
        Column("bound_ns", "Bound", "plain"), Column("datasheet_bound_ns", "Datasheet", "plain"),
        Column("limit", "Limit", "word"), Column("status", "Status", "word"),
    )  # fmt: skip
    lines = []
    for found in profile.figures:
        run, setting, static = found.run, found.run.setting, found.run.static
        first = (setting.words, setting.batch)
        work = (static.params, static.macs, static.step_flops, static.bytes_moved) if static else (None,) * 4
        median = run.time.median_ns if run.measured else None
        lines.append(Line((*first, "", "whole", "", *work, median, None, None, None, "", run.status)))
        for layer, span in zip(run.layers, found.layers, strict=True):
            own = (layer.name, layer.op, layer.group, span.params, span.macs, span.flops, span.bytes_moved)
            times = (span.time_ns, span.alone_ns, span.bound_ns, span.datasheet_bound_ns)
            lines.append(Line((*first, *own, *times, span.limit, run.status)))
    return Document((Sheet("", columns, tuple(lines)),))
