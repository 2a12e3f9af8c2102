"""Running a network and writing down what each layer does: its outputs, weights, memory, and PyTorch's own count."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ...tensor import Tensor
from ..build import LayerCall, Network


class Observed(msgspec.Struct, frozen=True):
    """What one layer did. Weights of a layer before are its own no more: shared ones are counted once.

    ``fresh_bytes`` are bytes of outputs that lie neither in an input nor in a weight; ``flops`` is the count of
    torch.utils.flop_counter.
    """

    outputs: tuple[Tensor, ...] = ()
    params: int = 0
    buffers: int = 0
    weight_bytes: int = 0
    fresh_bytes: int = 0
    flops: int = 0


@contextmanager
def exact_attention() -> Iterator[None]:
    """Attention as matrix products: the counter has no formula for the fused kernels, and counts 0 for them."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


def counted(counter: FlopCounterMode) -> int:
    """What the counter has counted so far."""
    return sum(counter.flop_counts["Global"].values())


class Watch:
    """Observes the layers of a network while it runs."""

    def __init__(self, network: Network, keep: bool = False) -> None:
        self.observed: dict[str, Observed] = {}
        self.running = ""
        self.kept: list[torch.Tensor] = []
        self._network = network
        self._keep = keep
        self._seen: set[int] = set()
        self._counter: FlopCounterMode | None = None
        self._before = 0

    @contextmanager
    def on(self, counter: FlopCounterMode | None) -> Iterator[None]:
        """Watch what happens meanwhile; ``counter`` is the one that is active."""
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
            self._before = counted(self._counter) if self._counter else 0

        return enter

    def _leaving(self, call: LayerCall) -> Callable[..., None]:
        def leave(module: nn.Module, inputs: Sequence[torch.Tensor], made: Any) -> None:
            flops = counted(self._counter) - self._before if self._counter else 0
            outputs = made if isinstance(made, tuple) else (made,)
            self.observed[call.name] = self._seen_in(call, inputs, outputs, flops)
            if self._keep:
                self.kept += outputs

        return leave

    def _seen_in(
        self, call: LayerCall, inputs: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor], flops: int
    ) -> Observed:
        # Weights that arrive as values are plain attributes while the module runs.
        attributes = [value for value in call.module.__dict__.values() if isinstance(value, torch.Tensor)]
        weights = call.weights()
        homes = {_home(x) for x in (*inputs, *weights, *call.module.buffers(recurse=False), *attributes)}
        fresh = sum(_bytes(y) for y in outputs if _home(y) not in homes)
        own = [x for x in weights if id(x) not in self._seen]
        self._seen |= {id(x) for x in own}
        params = [x for x in own if isinstance(x, nn.Parameter)]
        buffers = [x for x in own if not isinstance(x, nn.Parameter)]
        return Observed(
            outputs=tuple(tensor_of(y) for y in outputs),
            params=sum(x.numel() for x in params),
            buffers=sum(x.numel() for x in buffers),
            weight_bytes=sum(_bytes(x) for x in own),
            fresh_bytes=fresh,
            flops=flops,
        )


def tensor_of(x: torch.Tensor) -> Tensor:
    """Shape and dtype of a PyTorch tensor."""
    return Tensor(tuple(x.shape), str(x.dtype).removeprefix("torch."))


def _home(x: torch.Tensor) -> int:
    return int(x.untyped_storage()._cdata)


def _bytes(x: torch.Tensor) -> int:
    return x.numel() * x.element_size()


def empty_inputs(tensors: Sequence[Tensor], device: torch.device) -> list[torch.Tensor]:
    """Inputs of these shapes: zeros, which are valid indices too."""
    return [torch.zeros(x.shape, dtype=getattr(torch, x.dtype), device=device) for x in tensors]
