"""The account of a network's memory, and what fits a GPU, as documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import units
from .sheet import Column, Document, Line, Paragraph, Sheet

if TYPE_CHECKING:
    from ..analysis.memory import Memory
    from ..analysis.memory.fit import Fit

Parts = list[Paragraph | Sheet]

_WORDS = {
    "weights": "weights",
    "buffers": "buffers",
    "optimizer": "optimizer state",
    "gradients": "gradients of weights",
    "inputs": "network's inputs",
    "saved": "kept for backward",
    "values": "values and gradients in use",
    "transient": "given back after the call",
}
SPARK = 60
"""Characters of a timeline."""
TOP = 5
"""Lines of what is alive at the peak."""


def size(value: int, style: str) -> str:
    """Bytes in a sentence."""
    return units.size(value, style) + (" bytes" if style == "raw" else "")


def document(memory: Memory, style: str = "iec") -> Document:
    """The account alone."""
    return Document(tuple(parts(memory, style)))


def parts(memory: Memory, style: str = "iec") -> Parts:
    """Headline, the bill at the peak, the terms, the timeline, what is alive, and what the numbers mean."""
    found: Parts = [Paragraph(headline(memory, style), "headline"), bill(memory), terms(memory)]
    found += timeline(memory, style)
    found.append(alive(memory))
    found += [Paragraph(text) for text in meaning(memory, style)]
    if memory.unknown:
        shown = ", ".join(memory.unknown[:TOP]) + (", ..." if len(memory.unknown) > TOP else "")
        found.append(Paragraph(f"NOT covered: what autograd keeps of {len(memory.unknown)} layers: {shown}", "warning"))
    return found


def _setting(memory: Memory) -> str:
    setup, settings = memory.setup, memory.report.settings
    text = f"batch {settings.batch:,}, {settings.dtype}"
    if setup.mode == "train":
        text += f", {setup.optimizer}"
    if setup.checkpoint:
        text += ", checkpointed"
    if setup.accumulate > 1:
        text += f", {setup.accumulate} micro-batches"
    return text


def headline(memory: Memory, style: str = "iec") -> str:
    """The peak and its place, in one sentence."""
    verb = "training" if memory.setup.mode == "train" else "inference"
    where = (
        "the optimizer's step" if memory.peak_phase == "optimizer" else f"{memory.peak_phase} of {memory.peak_layer}"
    )
    return (
        f"{memory.report.about.title}, {verb} ({_setting(memory)}): at most {size(memory.peak_bytes, style)} at once, "
        f"in the {where}." if memory.peak_phase != "optimizer" else
        f"{memory.report.about.title}, {verb} ({_setting(memory)}): at most {size(memory.peak_bytes, style)} at once, "
        f"in {where}."
    )  # fmt: skip


def bill(memory: Memory) -> Sheet:
    """What the bytes of the peak are for."""
    columns = (Column("part", "At the peak"), Column("bytes", "Bytes", "bytes"), Column("share", "", "share"))
    peak = memory.peak_bytes
    lines = [Line((_WORDS[part], value, (value, peak))) for part, value in memory.bill.items() if value]
    return Sheet("Memory", columns, tuple(lines), Line(("total", peak, (peak, peak)), kind="total"))


def terms(memory: Memory) -> Sheet:
    """Every term at its own largest; they are never all there at once."""
    rows: list[tuple[str, Any]] = [("weights", memory.weight_bytes), ("buffers", memory.buffer_bytes)]
    if memory.setup.mode == "train":
        rows += [
            ("gradients of weights", memory.gradient_bytes),
            ("optimizer state", memory.optimizer_bytes),
            ("kept for backward, without checkpoints", memory.saved_for_backward_bytes),
        ]
    rows += [
        ("peak if values died after their last reader", memory.peak_ideal_bytes),
        ("peak as PyTorch's CUDA allocator rounds it", memory.allocator.peak_allocated),
    ]
    columns = (Column("term", "Each term by itself"), Column("bytes", "Bytes", "bytes"))
    return Sheet("", columns, tuple(Line(row) for row in rows))


def timeline(memory: Memory, style: str = "iec") -> Parts:
    """The memory over time, drawn in a line of blocks."""
    levels = [moment.bytes for moment in memory.timeline]
    if len(levels) < 2:
        return []
    drawn = spark(levels, SPARK)
    phases = [moment.phase for moment in memory.timeline]
    turn = phases.index("backward") * len(drawn) // len(phases) if "backward" in phases else 0
    text = f"Over time: {drawn} {size(min(levels), style)} to {size(max(levels), style)}"
    if turn:
        text += f"; backward begins after {turn} of {len(drawn)} blocks"
    return [Paragraph(text + ".")]


def spark(levels: Sequence[int], width: int) -> str:
    """Levels as blocks of eight heights, each block the largest of its share of them."""
    count = min(width, len(levels))
    edges = [k * len(levels) // count for k in range(count + 1)]
    tops = [max(levels[a:b]) for a, b in zip(edges, edges[1:], strict=False)]
    high = max(levels) or 1
    return "".join("▁▂▃▄▅▆▇█"[min(7, 8 * top // (high + 1))] for top in tops)


def alive(memory: Memory) -> Sheet:
    """The largest of what is there at the peak."""
    columns = (
        Column("label", "Largest at the peak"), Column("part", "For"), Column("bytes", "Bytes", "bytes"),
    )  # fmt: skip
    return Sheet("", columns, tuple(Line((each.label, _WORDS[each.part], each.bytes)) for each in memory.alive[:TOP]))


def meaning(memory: Memory, style: str = "iec") -> list[str]:
    """What the numbers mean."""
    macs, training = memory.macs, memory.setup.mode == "train"
    lines = []
    if training:
        text = (
            f"A step: {units.count(macs.total, style)} MACs ({units.count(macs.forward, style)} forward, "
            f"{units.count(macs.input_gradient, style)} for gradients of inputs, "
            f"{units.count(macs.weight_gradient, style)} of weights"
        )
        text += f", {units.count(macs.recomputed, style)} run again)" if macs.recomputed else ")"
        lines.append(text + f" = {units.count(macs.flops, style)} FLOPs.")
        lines.append(
            f"A step from the second one on, {memory.setup.kernels.upper() if memory.setup.kernels != 'meta' else 'meta'} "
            "kernels; gradients are freed after it."
        )
    lines.append(
        "Lifetimes as observed in a run."
        if memory.observed
        else "Lifetimes by rule: blocks hold their arguments until they return."
    )
    lines.append("Workspaces inside kernels and the CUDA context are not in these figures.")
    return lines


# --- fit


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
        lines.append(
            Line(
                (each.gpu.name, each.gpu.memory_bytes, each.room.bytes, batch, shape, each.memory.allocator.peak_allocated,
                 each.margin_bytes if each.fits else None),
            )
        )  # fmt: skip
    title = fits[0].memory.report.about.title
    words = Paragraph(f"{title}: the largest batch on each GPU ({_how(fits[0].memory)}).", "headline")
    return Document((words, Sheet("", columns, tuple(lines)), *map(Paragraph, _terms(fits[0], style))))


def _how(memory: Memory) -> str:
    text = _setting(memory).partition(", ")[2]
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
        ("memory", gpu.memory_bytes), ("CUDA context", -gpu.context_bytes),
        ("allowance for workspaces", -room.workspace_bytes), ("peak of the allocator", -memory.allocator.peak_allocated),
    ]  # fmt: skip
    sheet = Sheet("", columns, tuple(Line(row) for row in rows), Line(("margin", found.margin_bytes), kind="total"))
    return [Paragraph(text, "headline"), sheet, *parts(memory, style)[1:], *map(Paragraph, _terms(found, style))]


def _terms(found: Fit, style: str) -> list[str]:
    context = found.gpu.figures["context_bytes"]
    lines = [
        f"CUDA context: {size(context.value, style)}{', an estimate' if context.estimate else ''} ({context.source}).",
        f"Workspaces: {size(found.room.workspace_bytes, style)} are allowed for; cuDNN chooses at run time.",
    ]
    return lines
