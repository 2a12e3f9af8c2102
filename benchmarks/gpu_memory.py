"""Predicted peaks of memory beside those of PyTorch's CUDA allocator, on the GPU at hand.

Run: python benchmarks/gpu_memory.py [--output reports/gpu]

For each network, batch and mode a row: what convcost predicts, and ``requested_bytes.all.peak`` (tensors and
workspaces, no rounding), ``allocated_bytes.all.peak`` (rounded) and ``reserved_bytes.all.peak`` of a second pass.
Writes DEVICE/memory.json after each network, so that a run that ends early keeps what it has; run again, it goes on.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import torch
from common import ROOT

import convcost

NETWORKS = (
    "alexnet", "vgg16", "googlenet_bn", "inception_v3", "resnet18", "resnet50", "resnet152", "resnext50_32x4d",
    "wide_resnet50_2", "densenet121", "densenet201", "mobilenet_v1", "mobilenet_v2", "mobilenet_v3_large", "mnasnet1_0",
    "shufflenet_v2_x1_0", "squeezenet1_1", "efficientnet_b0", "convnext_tiny", "unet",
)  # fmt: skip
BATCHES = (1, 8, 32)


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


def main() -> None:
    """Measure what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=ROOT / "reports" / "gpu")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("there is no CUDA device here")
    device = torch.cuda.get_device_name()
    path = options.output / re.sub(r"\W+", "-", device).strip("-").lower() / "memory.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    done = {row["network"] for row in rows}
    for name in NETWORKS:
        if name in done:
            continue
        rows += [measure(name, batch, mode) for mode in ("inference", "train") for batch in BATCHES]
        content = {"schema": 1, "device": device, "torch": torch.__version__, "cuda": torch.version.cuda, "rows": rows}
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, path)
        print(name, *(f"{row.get('requested_bytes', 0) / row['predicted_bytes']:.3f}" for row in rows[-6:]), flush=True)


if __name__ == "__main__":
    main()
