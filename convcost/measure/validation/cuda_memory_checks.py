"""Memory on CUDA: what PyTorch's allocator hands out while the network runs, against the static figures."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...analysis.report import Report
from ...tensor import Tensor
from ..build import Network
from .layer_watch import Watch, empty_inputs, exact_attention
from .results import Check, Difference

REQUESTED = "requested_bytes.all.current"
"""Bytes that tensors asked for; what is allocated is rounded up, 512 bytes and more."""


def checks(report: Report, network: Network, inputs: Sequence[Tensor], device: torch.device) -> tuple[Check, ...]:
    """Activation bytes, by keeping every output until the end, and the peak beside them.

    The network must be on a CUDA device.
    """
    with torch.no_grad(), exact_attention(), torch.cuda.device(device):
        given = empty_inputs(inputs, device)
        network(*given)  # cuBLAS and cuDNN take their workspaces at the first call, and keep them
        torch.cuda.synchronize()
        before = torch.cuda.memory_stats()[REQUESTED]
        resident = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        watch = Watch(network, keep=True)
        with watch.on(None):
            network(*given)
        torch.cuda.synchronize()
        requested = torch.cuda.memory_stats()[REQUESTED] - before
        peak = torch.cuda.max_memory_allocated() - resident
        watch.kept.clear()
    return activation_checks(report.totals.activation_bytes, requested, peak)


def activation_checks(ours: int, requested: int, peak: int) -> tuple[Check, ...]:
    """The sum of all outputs against what they asked for, and against the allocator's peak, which rounds up.

    The peak of a run in which every value dies after its last reader belongs beside these.
    """
    different = Difference(
        "", "", ours, requested, "outputs that PyTorch allocates and convcost does not, or the reverse"
    )
    below = Difference("", "", ours, peak, "the peak with every output alive cannot be below their sum")
    return (
        Check("activation bytes, kept", "torch.cuda", 1, int(ours == requested), ours, requested,
              differences=() if ours == requested else (different,)),
        Check("activation bytes, peak", "torch.cuda", 1, int(peak >= ours), ours, peak,
              differences=() if peak >= ours else (below,),
              note="rounded up, with workspaces"),
    )  # fmt: skip
