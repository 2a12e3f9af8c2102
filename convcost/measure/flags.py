"""PyTorch's global switches, set for a while and set back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def tf32_flags(allowed: bool | None) -> Iterator[None]:
    """Let float32 matrix products and convolutions use TF32, or forbid it, meanwhile; None leaves both as they are."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    if allowed is not None:
        matmul.allow_tf32 = cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def flags() -> dict[str, str]:
    """The switches that change how fast things run, as they are."""
    return {
        "torch.backends.cuda.matmul.allow_tf32": str(torch.backends.cuda.matmul.allow_tf32),
        "torch.backends.cudnn.allow_tf32": str(torch.backends.cudnn.allow_tf32),
        "torch.backends.cudnn.benchmark": str(torch.backends.cudnn.benchmark),
        "torch.backends.cudnn.deterministic": str(torch.backends.cudnn.deterministic),
    }
