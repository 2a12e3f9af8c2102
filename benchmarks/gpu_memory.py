"""Predicted peaks of memory beside those of PyTorch's CUDA allocator, on the GPU at hand.

Run: python benchmarks/gpu_memory.py [--output reports/gpu]

For each network, batch and mode a row: what convcost predicts, and ``requested_bytes.all.peak`` (tensors and
workspaces, no rounding), ``allocated_bytes.all.peak`` (rounded) and ``reserved_bytes.all.peak`` of a second pass.
Writes DEVICE/memory-NETWORK.json for each, so that a run that ends early keeps what it has; run again, it goes on. They
are slices of gpu_suite.py, whose page shows them.
"""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path
from typing import Any

import torch
from common import ROOT
from gpu import evidence
from gpu.plan import REMEMBERED as NETWORKS
from gpu.plan import REMEMBERED_BATCHES as BATCHES

import convcost


def measure(name: str, batch: int, mode: str) -> dict[str, Any]:
    """One row; the peaks are those of the device, everything counted."""
    graph = convcost.load(name)
    memory = convcost.memory(graph, batch, mode=mode)
    # A built network lets go of a value after its last reader: no frames of blocks hold any.
    predicted = memory.peak_ideal_bytes
    row: dict[str, Any] = {
        "network": name, "batch": batch, "mode": mode, "predicted_bytes": predicted,
        "predicted_allocated_bytes": memory.allocator.peak_allocated,
    }  # fmt: skip
    gc.collect()
    torch.cuda.empty_cache()
    before = torch.cuda.memory_stats().get("requested_bytes.all.current", 0)
    try:
        run(graph, batch, mode)
    except torch.cuda.OutOfMemoryError as error:
        return {**row, "error": str(error).splitlines()[0]}
    stats = torch.cuda.memory_stats()
    for key in ("requested", "allocated", "reserved"):
        row[f"{key}_bytes"] = stats[f"{key}_bytes.all.peak"]
    row["there_before_bytes"] = before
    return row


def run(graph: convcost.Graph, batch: int, mode: str) -> None:
    """Two passes or steps; the statistics are those of the second."""
    module = convcost.build(graph, device="cuda").train(mode == "train")
    inputs = [torch.zeros((batch, *x.shape[1:]), dtype=getattr(torch, x.dtype), device="cuda") for _, x in graph.inputs]
    optimizer = torch.optim.AdamW(module.parameters()) if mode == "train" else None
    for number in range(2):
        if number:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
        if optimizer is None:
            with torch.no_grad():
                result = module(*inputs)
        else:
            result = module(*inputs)
            result.backward(torch.ones_like(result))
            optimizer.step()
            optimizer.zero_grad()
        del result
    torch.cuda.synchronize()


def compared(name: str) -> dict[str, Any]:
    """All rows of one network, as its file has them."""
    rows = [measure(name, batch, mode) for mode in ("inference", "train") for batch in BATCHES]
    return {
        "kind": "gpu memory", "network": name, "device": torch.cuda.get_device_name(), "torch": torch.__version__,
        "cuda": torch.version.cuda, "rows": rows,
    }  # fmt: skip


def main() -> None:
    """Measure what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "reports" / "gpu")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("there is no CUDA device here")
    folder = options.output / evidence.slug(torch.cuda.get_device_name())
    for name in NETWORKS:
        if evidence.is_done(folder, f"memory-{name}"):
            continue
        content = compared(name)
        evidence.write(folder / f"memory-{name}.json", content)
        rows = content["rows"]
        print(name, *(f"{row.get('requested_bytes', 0) / row['predicted_bytes']:.3f}" for row in rows), flush=True)


if __name__ == "__main__":
    main()
