"""Records what each layer of a network does while it runs: outputs, weights, new memory, and PyTorch's FLOP count."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ...capture.trace_records import tensor_of
from ...tensor import Tensor
from ..build import LayerCall, Network


class ObservedLayer(msgspec.Struct, frozen=True):
    """What one layer did in a run. Weights shared with an earlier layer are not counted again."""

    outputs: tuple[Tensor, ...] = ()
    params: int = 0
    buffers: int = 0
    weight_bytes: int = 0
    """Bytes of the parameters and buffers."""
    fresh_bytes: int = 0
    """Bytes of the outputs that do not share the storage of an input or a weight."""
    flops: int = 0
    """The count of ``torch.utils.flop_counter``, 2 for a multiply-accumulate."""


@contextmanager
def exact_attention() -> Iterator[None]:
    """Run attention as matrix products, because PyTorch's counter counts 0 for fused attention kernels."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def flops_so_far(counter: FlopCounterMode) -> int:
    """The total FLOPs that an active counter has counted."""
    return sum(counter.flop_counts["Global"].values())


class LayerWatch:
    """Observes the layers of a network while it runs.

    Args:
        network: the network.
        keep: keep all outputs alive, in ``kept``.
    """

    def __init__(self, network: Network, keep: bool = False) -> None:
        self.observed: dict[str, ObservedLayer] = {}
        self.running = ""
        self.kept: list[torch.Tensor] = []
        self._network = network
        self._keep = keep
        self._seen: set[int] = set()
        self._counter: FlopCounterMode | None = None
        self._before = 0

    @contextmanager
    def on(self, counter: FlopCounterMode | None) -> Iterator[None]:
        """Observe the layers that run in this block. ``counter``: the active FLOP counter, or None to count nothing."""
        self._counter = counter
        with ExitStack() as handles:
            for call in self._network.calls:
                before = call.module.register_forward_pre_hook(self._entering(call))
                after = call.module.register_forward_hook(self._leaving(call))
                handles.callback(before.remove)
                handles.callback(after.remove)
            yield

    def _entering(self, call: LayerCall) -> Callable[..., None]:
        def enter(module: nn.Module, inputs: Any) -> None:
            self.running = call.name
            self._before = flops_so_far(self._counter) if self._counter else 0

        return enter

    def _leaving(self, call: LayerCall) -> Callable[..., None]:
        def leave(module: nn.Module, inputs: Sequence[torch.Tensor], result: Any) -> None:
            flops = flops_so_far(self._counter) - self._before if self._counter else 0
            outputs = result if isinstance(result, tuple) else (result,)
            self.observed[call.name] = self._observe(call, inputs, outputs, flops)
            if self._keep:
                self.kept += outputs

        return leave

    def _observe(
        self, call: LayerCall, inputs: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor], flops: int
    ) -> ObservedLayer:
        # Weights that are inputs of the layer are plain attributes of the module while it runs.
        attributes = [value for value in call.module.__dict__.values() if isinstance(value, torch.Tensor)]
        weights = call.weights()
        existing = {_storage(x) for x in (*inputs, *weights, *call.module.buffers(recurse=False), *attributes)}
        own = [x for x in weights if id(x) not in self._seen]
        self._seen |= {id(x) for x in own}
        return ObservedLayer(
            outputs=tuple(tensor_of(y) for y in outputs),
            params=sum(x.numel() for x in own if isinstance(x, nn.Parameter)),
            buffers=sum(x.numel() for x in own if not isinstance(x, nn.Parameter)),
            weight_bytes=sum(x.nbytes for x in own),
            fresh_bytes=sum(y.nbytes for y in outputs if _storage(y) not in existing),
            flops=flops,
        )


def _storage(x: torch.Tensor) -> int:
    return int(x.untyped_storage()._cdata)


def zero_inputs(tensors: Sequence[Tensor], device: torch.device) -> list[torch.Tensor]:
    """Tensors of zeros with these shapes and dtypes; zeros are valid indices of embeddings, too."""
    return [torch.zeros(x.shape, dtype=getattr(torch, x.dtype), device=device) for x in tensors]
