"""Memory of a network as a document: the peak, what it consists of, and the timeline.

The labels of the parts are in ``_WORDS``; docs/memory.md has a table of them.
"""

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
    "inputs": "inputs of the network",
    "saved": "saved for the backward pass",
    "values": "activations and their gradients",
    "transient": "temporary memory of the call",
}

TOP = 5
"""Number of allocations listed."""


def _words(memory: Memory) -> dict[str, str]:
    return _WORDS if memory.setup.mode == "train" else {**_WORDS, "values": "activations"}


def size(value: int, style: str) -> str:
    """Bytes in a sentence."""
    return units.size(value, style) + (" bytes" if style == "raw" else "")


def memory_document(memory: Memory, style: str = "iec") -> Document:
    """The document of a memory record."""
    return Document(tuple(memory_parts(memory, style)))


def memory_parts(memory: Memory, style: str = "iec", ideal: bool = True, plain: bool = False) -> Parts:
    """Headline, parts of the peak, totals of each kind, timeline, largest allocations, and notes.

    ``ideal``: include the peak of a runtime that frees every tensor after its last use. ``plain``: omit the curve.
    """
    found: Parts = [Paragraph(headline(memory, style), "headline"), bill(memory), terms(memory, ideal)]
    if not plain:
        found.append(timeline(memory, style))
    found.append(alive(memory))
    found += [Paragraph(text) for text in meaning(memory, style)]
    if memory.unknown:
        shown = ", ".join(memory.unknown[:TOP]) + (", ..." if len(memory.unknown) > TOP else "")
        found.append(
            Paragraph(f"NOT included: tensors that autograd saves for {len(memory.unknown)} layers: {shown}", "warning")
        )
    return found


def setting(memory: Memory) -> str:
    """Batch, dtype and the options of a training step in a few words."""
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
    """The peak and where it occurs, in one sentence."""
    verb = "training" if memory.setup.mode == "train" else "inference"
    in_step = memory.peak_phase == "optimizer"
    where = "the optimizer step" if in_step else f"the {memory.peak_phase} of {memory.peak_layer}"
    title, peak = memory.report.about.title, size(memory.peak_bytes, style)
    return f"{title}, {verb} ({setting(memory)}): peak memory {peak}, in {where}."


def bill(memory: Memory) -> Sheet:
    """What the memory at the peak is used for."""
    columns = (Column("part", "At the peak"), Column("bytes", "Bytes", "bytes"), Column("share", "", "share"))
    peak = memory.peak_bytes
    words = _words(memory)
    lines = [Line((words[part], value, (value, peak))) for part, value in memory.bill.items() if value]
    return Sheet("Memory", columns, tuple(lines), Line(("total", peak, (peak, peak)), kind="total"))


def terms(memory: Memory, ideal: bool) -> Sheet:
    """The total of each kind of memory. These are never all allocated at the same time."""
    rows: list[tuple[str, Any]] = [("weights", memory.weight_bytes), ("buffers", memory.buffer_bytes)]
    if memory.setup.mode == "train":
        rows += [
            ("gradients of weights", memory.gradient_bytes),
            ("optimizer state", memory.optimizer_bytes),
            ("saved for backward, without checkpoints", memory.saved_for_backward_bytes),
        ]
    if ideal:
        rows.append(("peak if tensors are freed after last use", memory.peak_ideal_bytes))
    rows.append(("peak with CUDA allocator rounding", memory.allocator.peak_allocated))
    columns = (Column("term", "Total of each kind"), Column("bytes", "Bytes", "bytes"))
    return Sheet("", columns, tuple(Line(row) for row in rows))


def timeline(memory: Memory, style: str = "iec") -> Curve:
    """The memory over time."""
    levels = memory.levels
    return Curve("over time", tuple(levels), f"{size(min(levels), style)} to {size(max(levels), style)}")


def alive(memory: Memory) -> Sheet:
    """The largest allocations at the peak."""
    columns = (
        Column("label", "Largest at the peak"), Column("part", "Purpose"), Column("bytes", "Bytes", "bytes"),
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
            f"One step: {units.count(macs.total, style)} MACs (forward pass {units.count(macs.forward, style)}, "
            f"gradients of inputs {units.count(macs.input_gradient, style)}, "
            f"gradients of weights {units.count(macs.weight_gradient, style)}"
        )
        text += f", recomputation {units.count(macs.recomputed, style)})" if macs.recomputed else ")"
        lines.append(text + f" = {units.count(macs.flops, style)} FLOPs.")
        kernels = {"cuda": "CUDA", "cpu": "CPU", "meta": "meta"}[memory.setup.kernels]
        lines.append(f"Second or later step, with {kernels} kernels. Gradients are freed at the end of the step.")
    by_rule = "Lifetimes follow a rule: the arguments of a block are freed when the block returns."
    lines.append("Lifetimes were observed in a run of the module." if memory.observed else by_rule)
    lines.append("These figures do not include workspaces of kernels and the CUDA context.")
    return lines
