"""Document of the shipped GPUs (``convcost list --gpus``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..sheet import Column, Document, Line, Paragraph, Sheet

if TYPE_CHECKING:
    from ...hardware.gpu import Gpu


def gpus_document(gpus: Sequence[Gpu]) -> Document:
    """One line for each GPU."""
    columns = (
        Column("gpu", "GPU", "word"), Column("year", "Year", "plain"), Column("memory_bytes", "Memory", "bytes"),
        Column("memory_bandwidth_bytes_per_s", "Bytes/s", "rate"), Column("l2_cache_bytes", "L2", "bytes"),
        Column("bf16_tensor_fp32_accumulate_flops_per_s", "BF16", "rate"), Column("fp32_flops_per_s", "FP32", "rate"),
        Column("power_w", "Watts", "plain"),
    )  # fmt: skip
    lines = tuple(Line((gpu.id, gpu.year, *(gpu.figure(column.key) for column in columns[2:]))) for gpu in gpus)
    count = (
        f"{len(lines)} GPU{'' if len(lines) == 1 else 's'}. BF16 and FP32: dense peak rates in FLOP/s, BF16 on tensor "
        "cores with accumulation in float32. Memory: installed memory; less is available to programs. -f json writes "
        "all figures with their sources."
    )
    return Document((Sheet("", columns, lines), Paragraph(count)))
