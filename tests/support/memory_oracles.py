"""PyTorch's own word on memory: what its hooks on saved tensors see, and its memory tracker. Nothing of convcost."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.distributed._tools.mem_tracker import MemTracker
from torch.nn.attention import SDPBackend, sdpa_kernel

OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "adamw": torch.optim.AdamW,
}


def key(tensor: torch.Tensor) -> int:
    """The storage that a tensor lies in."""
    return int(tensor.untyped_storage()._cdata)


def saved_storages(
    module: nn.Module, inputs: Sequence[torch.Tensor], inside: AbstractContextManager[Any] | None = None
) -> dict[int, int]:
    """Every storage that autograd keeps of a forward pass, with its bytes; parameters and buffers left out."""
    own = {key(x) for x in (*module.parameters(), *module.buffers())}
    found: dict[int, int] = {}
    alive: list[Any] = []  # an address is used again once its storage is gone

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        alive.append(tensor.untyped_storage())
        if key(tensor) not in own:
            found[key(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    hooks = torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor)
    with warnings.catch_warnings(), hooks, sdpa_kernel(SDPBackend.MATH), inside or nullcontext():
        warnings.simplefilter("ignore")
        module(*inputs)
    return found


def _peak(tracker: MemTracker) -> dict[str, int]:
    found = tracker.get_tracker_snapshot("peak")[torch.device("meta")]
    return {str(getattr(part, "value", part)): int(size) for part, size in found.items()}


def inference_peak(module: nn.Module, shapes: Sequence[Sequence[int]]) -> int:
    """Most bytes at once in a forward pass without gradients, parameters and buffers left out."""
    tracker = MemTracker()
    tracker.track_external(module)
    with tracker, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        inputs = [torch.empty(*shape, device="meta") for shape in shapes]
        module(*inputs)
    peak = _peak(tracker)
    return peak["Total"] - sum(peak.get(part, 0) for part in ("Parameter", "Param", "Buffer"))


def tensors_in(value: Any) -> Iterator[torch.Tensor]:
    """Every tensor in what a module returns."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, (tuple, list)):
        for each in value:
            yield from tensors_in(each)


def training_peak(module: nn.Module, shapes: Sequence[Sequence[int]], optimizer: str) -> int:
    """Most bytes at once in a training step whose optimizer has its state already; everything counted.

    ``optimizer`` is one of ``OPTIMIZERS``, or the name of a class of torch.optim.
    """
    chosen = OPTIMIZERS.get(optimizer, getattr(torch.optim, optimizer, None))(module.parameters())
    for parameter in module.parameters():
        parameter.grad = torch.empty_like(parameter)
    chosen.step()
    chosen.zero_grad()
    tracker = MemTracker()
    tracker.track_external(module, chosen)
    with tracker, sdpa_kernel(SDPBackend.MATH):
        inputs = [torch.empty(*shape, device="meta") for shape in shapes]
        result = module(*inputs)
        torch.stack([x.sum() for x in tensors_in(result)]).sum().backward()
        chosen.step()
    return _peak(tracker)["Total"]


def peak(allocations: Iterable[Any]) -> int:
    """Most bytes at once of allocations that say when they came and went."""
    events = [(each.born, each.bytes) for each in allocations]
    events += [(each.died, -each.bytes) for each in allocations if each.died is not None]
    live, most = 0, 0
    for _, size in sorted(events):
        live += size
        most = max(most, live)
    return most
