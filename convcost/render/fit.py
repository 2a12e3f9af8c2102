"""What fits a GPU, and the GPUs that ship, as documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import units
from .memory import Parts, parts, setting, size
from .sheet import Column, Document, Line, Paragraph, Sheet

if TYPE_CHECKING:
    from ..analysis.memory import Memory
    from ..analysis.memory.fit import Fit
    from ..hardware import Gpu


def fit_document(fits: Sequence[Fit], style: str = "iec") -> Document:
    """What fits each GPU; of one GPU with the bill."""
    if len(fits) == 1:
        return Document(tuple(_one(fits[0], style)))
    columns = (
        Column("gpu", "GPU"), Column("memory", "Memory", "bytes"), Column("room", "Room", "bytes"),
        Column("batch", "Batch", "plain"), Column("input", "Input", "shape"), Column("peak", "Peak", "bytes"),
        Column("margin", "Margin", "bytes"),
    )  # fmt: skip
    lines = []
    for each in fits:
        shape = next(iter(each.input_shapes.values()))[1:]
        batch = f"{each.batch:,}" if each.fits else "does not fit"
        peak, margin = each.memory.allocator.peak_allocated, each.margin_bytes if each.fits else None
        lines.append(Line((each.gpu.name, each.gpu.memory_bytes, each.room.bytes, batch, shape, peak, margin)))
    title = fits[0].memory.report.about.title
    words = Paragraph(f"{title}: the largest batch on each GPU ({_how(fits[0].memory)}).", "headline")
    return Document((words, Sheet("", columns, tuple(lines)), *map(Paragraph, _terms(fits[0], style))))


def _how(memory: Memory) -> str:
    text = setting(memory).partition(", ")[2]
    return ("training, " if memory.setup.mode == "train" else "inference, ") + text


def _one(found: Fit, style: str) -> Parts:
    gpu, memory = found.gpu, found.memory
    shapes = " and ".join(units.shape(shape[1:]) for shape in found.input_shapes.values())
    title = f"{memory.report.about.title} on {gpu.name} ({_how(memory)})"
    if found.fits:
        text = f"{title}: batch {found.batch:,} of {shapes} fits, with {size(found.margin_bytes, style)} to spare."
    else:
        missing = size(-found.margin_bytes, style) if found.margin_bytes < 0 else "a piece in one"
        batch = memory.report.settings.batch
        text = f"{title}: does NOT fit, not even batch {batch:,} of {shapes}; {missing} is missing."
    room = found.room
    columns = (Column("term", "On the GPU"), Column("bytes", "Bytes", "bytes"))
    rows = [
        ("memory", gpu.memory_bytes),
        ("CUDA context", -gpu.context_bytes),
        ("allowance for workspaces", -room.workspace_bytes),
        ("peak of the allocator", -memory.allocator.peak_allocated),
    ]
    sheet = Sheet("", columns, tuple(Line(row) for row in rows), Line(("margin", found.margin_bytes), kind="total"))
    return [Paragraph(text, "headline"), sheet, *parts(memory, style)[1:], *map(Paragraph, _terms(found, style))]


def _terms(found: Fit, style: str) -> list[str]:
    context = found.gpu.figures["context_bytes"]
    return [
        f"CUDA context: {size(context.value, style)}{', an estimate' if context.estimate else ''} ({context.source}).",
        f"Workspaces: {size(found.room.workspace_bytes, style)} are allowed for; cuDNN chooses at run time.",
    ]


def gpus_document(gpus: Sequence[Gpu]) -> Document:
    """The GPUs that ship."""
    columns = (
        Column("id", "GPU"), Column("year", "Year", "plain"), Column("memory", "Memory", "bytes"),
        Column("bandwidth", "GB/s", "word"), Column("l2", "L2", "bytes"), Column("fp32", "FP32", "word"),
        Column("bf16", "BF16", "word"), Column("power", "W", "plain"),
    )  # fmt: skip

    def tera(value: int | None) -> str:
        return "" if value is None else f"{value / 1e12:.4g}"

    lines = [
        Line(
            (
                each.id, each.year, each.figures["memory_bytes"].value,
                f"{(each.figure('memory_bandwidth_bytes_per_s') or 0) / 1e9:,.0f}", each.figure("l2_cache_bytes"),
                tera(each.figure("fp32_flops_per_s")), tera(each.figure("bf16_tensor_fp32_accumulate_flops_per_s")),
                each.figure("power_w"),
            )
        )
        for each in gpus
    ]  # fmt: skip
    note = (
        "FP32 and BF16 in TFLOP/s: dense peak rates, BF16 on tensor cores with float32 sums. -f json has every source."
    )
    return Document((Sheet("", columns, tuple(lines)), Paragraph(note)))
