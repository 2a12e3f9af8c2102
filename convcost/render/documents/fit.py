"""The largest batch or resolution that fits into GPUs, as a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ... import units
from ..sheet import Column, Document, Line, Paragraph, Sheet
from .memory import Parts, memory_parts, setting, size

if TYPE_CHECKING:
    from ...analysis.memory import Memory
    from ...analysis.memory.fit import Fit


def fit_document(fits: Sequence[Fit], style: str = "iec") -> Document:
    """The answer for each GPU; for one GPU, also what its memory is used for."""
    if len(fits) == 1:
        return Document(tuple(_one(fits[0], style)))
    columns = (
        Column("gpu", "GPU"), Column("memory", "Memory", "bytes"), Column("room", "Available", "bytes"),
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
    what = "resolution" if fits[0].of_resolution else "batch"
    words = Paragraph(f"{title}: the largest {what} on each GPU ({_how(fits[0].memory)}).", "headline")
    return Document((words, Sheet("", columns, tuple(lines)), *map(Paragraph, _terms(fits[0], style))))


def _how(memory: Memory) -> str:
    text = setting(memory).partition(", ")[2]
    return ("training, " if memory.setup.mode == "train" else "inference, ") + text


def _one(found: Fit, style: str) -> Parts:
    gpu, memory = found.gpu, found.memory
    shapes = " and ".join(units.shape(shape[1:]) for shape in found.input_shapes.values())
    title = f"{memory.report.about.title} on {gpu.name} ({_how(memory)})"
    if found.fits:
        text = f"{title}: batch {found.batch:,} of {shapes} fits; {size(found.margin_bytes, style)} remain free."
    else:
        missing = size(-found.margin_bytes, style) if found.margin_bytes < 0 else "a contiguous piece"
        batch = memory.report.settings.batch
        text = f"{title}: does NOT fit, not even batch {batch:,} of {shapes}; {missing} is missing."
    room = found.room
    columns = (Column("term", "On the GPU"), Column("bytes", "Bytes", "bytes"))
    rows = [
        ("memory", gpu.memory_bytes),
        ("CUDA context", -gpu.context_bytes),
        ("reserved for workspaces", -room.workspace_bytes),
        ("peak of the allocator", -memory.allocator.peak_allocated),
    ]
    sheet = Sheet("", columns, tuple(Line(row) for row in rows), Line(("margin", found.margin_bytes), kind="total"))
    return [
        Paragraph(text, "headline"),
        sheet,
        *memory_parts(memory, style, ideal=False)[1:],
        *map(Paragraph, _terms(found, style)),
    ]


def _terms(found: Fit, style: str) -> list[str]:
    context = found.gpu.figures["context_bytes"]
    return [
        f"CUDA context: {size(context.value, style)}{', an estimate' if context.estimate else ''} ({context.source}).",
        f"Workspaces: {size(found.room.workspace_bytes, style)} are reserved; cuDNN chooses the size at run time.",
    ]
