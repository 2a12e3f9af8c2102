"""Compares activation bytes with the memory that PyTorch's CUDA allocator reports while the network runs."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...analysis.report import Report
from ...tensor import Tensor
from ..build import Network
from .layer_watch import LayerWatch, exact_attention, zero_inputs
from .results import Check, Difference

REQUESTED = "requested_bytes.all.current"
"""The statistic for the bytes that tensors requested. The allocator rounds each request up to 512 bytes or more."""


def checks(report: Report, network: Network, inputs: Sequence[Tensor], device: torch.device) -> tuple[Check, ...]:
    """Run the network with all outputs kept alive, and compare the sum and the peak of the allocated bytes.

    Args:
        report: the static figures.
        network: the network, on a CUDA device.
        inputs: shapes and dtypes of its inputs.
        device: the CUDA device.
    """
    with torch.no_grad(), exact_attention(), torch.cuda.device(device):
        tensors = zero_inputs(inputs, device)
        network(*tensors)  # cuBLAS and cuDNN allocate their workspaces in the first call, and keep them
        torch.cuda.synchronize()
        before = torch.cuda.memory_stats()[REQUESTED]
        resident = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        watch = LayerWatch(network, keep=True)
        with watch.on(None):
            network(*tensors)
        torch.cuda.synchronize()
        requested = torch.cuda.memory_stats()[REQUESTED] - before
        peak = torch.cuda.max_memory_allocated() - resident
        watch.kept.clear()
    return activation_checks(report.totals.activation_bytes, requested, peak)


def activation_checks(ours: int, requested: int, peak: int) -> tuple[Check, ...]:
    """Compare activation bytes with the bytes requested, which must be equal, and the peak, which cannot be lower."""
    different = Difference(
        "", "", ours, requested, "an output that only one of PyTorch and convcost allocates memory for"
    )
    below = Difference("", "", ours, peak, "with every output alive, the peak cannot be below the sum of the outputs")
    return (
        Check("activation bytes, kept", "torch.cuda", 1, int(ours == requested), ours, requested,
              differences=() if ours == requested else (different,)),
        Check("activation bytes, peak", "torch.cuda", 1, int(peak >= ours), ours, peak,
              differences=() if peak >= ours else (below,),
              note="PyTorch's figure is rounded up and includes workspaces"),
    )  # fmt: skip
