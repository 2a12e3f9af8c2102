"""The account of a network's memory as a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ... import units
from ..sheet import Column, Curve, Document, Line, Paragraph, Sheet

if TYPE_CHECKING:
    from ...analysis.memory import Memory

Parts = list[Paragraph | Sheet | Curve]

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

TOP = 5
"""Lines of what is alive at the peak."""


def _words(memory: Memory) -> dict[str, str]:
    return _WORDS if memory.setup.mode == "train" else {**_WORDS, "values": "values in use"}


def size(value: int, style: str) -> str:
    """Bytes in a sentence."""
    return units.size(value, style) + (" bytes" if style == "raw" else "")


def memory_document(memory: Memory, style: str = "iec") -> Document:
    """The account alone."""
    return Document(tuple(memory_parts(memory, style)))


def memory_parts(memory: Memory, style: str = "iec", ideal: bool = True, plain: bool = False) -> Parts:
    """Headline, the bill at the peak, the terms, the timeline, what is alive, and what the numbers mean.

    ``ideal``: with the peak of a runtime that lets go of every value after its last reader. ``plain``: no curve.
    """
    found: Parts = [Paragraph(headline(memory, style), "headline"), bill(memory), terms(memory, ideal)]
    if not plain:
        found.append(timeline(memory, style))
    found.append(alive(memory))
    found += [Paragraph(text) for text in meaning(memory, style)]
    if memory.unknown:
        shown = ", ".join(memory.unknown[:TOP]) + (", ..." if len(memory.unknown) > TOP else "")
        found.append(Paragraph(f"NOT covered: what autograd keeps of {len(memory.unknown)} layers: {shown}", "warning"))
    return found


def setting(memory: Memory) -> str:
    """Batch, dtype and how a step is made, in a few words."""
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
    in_step = memory.peak_phase == "optimizer"
    where = "the optimizer's step" if in_step else f"the {memory.peak_phase} of {memory.peak_layer}"
    title, peak = memory.report.about.title, size(memory.peak_bytes, style)
    return f"{title}, {verb} ({setting(memory)}): at most {peak} at once, in {where}."


def bill(memory: Memory) -> Sheet:
    """What the bytes of the peak are for."""
    columns = (Column("part", "At the peak"), Column("bytes", "Bytes", "bytes"), Column("share", "", "share"))
    peak = memory.peak_bytes
    words = _words(memory)
    lines = [Line((words[part], value, (value, peak))) for part, value in memory.bill.items() if value]
    return Sheet("Memory", columns, tuple(lines), Line(("total", peak, (peak, peak)), kind="total"))


def terms(memory: Memory, ideal: bool) -> Sheet:
    """Every term at its own largest; they are never all there at once."""
    rows: list[tuple[str, Any]] = [("weights", memory.weight_bytes), ("buffers", memory.buffer_bytes)]
    if memory.setup.mode == "train":
        rows += [
            ("gradients of weights", memory.gradient_bytes),
            ("optimizer state", memory.optimizer_bytes),
            ("kept for backward, without checkpoints", memory.saved_for_backward_bytes),
        ]
    if ideal:
        rows.append(("peak if values died after their last reader", memory.peak_ideal_bytes))
    rows.append(("peak as PyTorch's CUDA allocator rounds it", memory.allocator.peak_allocated))
    columns = (Column("term", "Each term by itself"), Column("bytes", "Bytes", "bytes"))
    return Sheet("", columns, tuple(Line(row) for row in rows))


def timeline(memory: Memory, style: str = "iec") -> Curve:
    """The memory over time."""
    levels = memory.levels
    return Curve("over time", tuple(levels), f"{size(min(levels), style)} to {size(max(levels), style)}")


def alive(memory: Memory) -> Sheet:
    """The largest of what is there at the peak."""
    columns = (
        Column("label", "Largest at the peak"), Column("part", "For"), Column("bytes", "Bytes", "bytes"),
    )  # fmt: skip
    words = _words(memory)
    lines = [Line((each.label, words[each.part], each.bytes)) for each in memory.largest_alive(TOP)]
    return Sheet("", columns, tuple(lines))


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
        kernels = {"cuda": "CUDA", "cpu": "CPU", "meta": "meta"}[memory.setup.kernels]
        lines.append(f"A step from the second one on, {kernels} kernels; gradients are freed after it.")
    by_rule = "Lifetimes by rule: blocks hold their arguments until they return."
    lines.append("Lifetimes as observed in a run." if memory.observed else by_rule)
    lines.append("Workspaces inside kernels and the CUDA context are not in these figures.")
    return lines
