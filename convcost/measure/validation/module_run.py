"""A user's own module beside the graph that was captured from it, module by module."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import msgspec
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ...tensor import Tensor
from .layer_watch import counted, exact_attention, tensor_of


class Ran(msgspec.Struct):
    """What a module did in one call, by module path.

    ``outputs`` of each call; ``flops`` that PyTorch counted in a module itself, its parts not included; ``params`` and
    ``buffers`` of a module with all its parts, as shapes.
    """

    outputs: dict[str, list[tuple[Tensor, ...]]] = {}
    flops: dict[str, int] = {}
    params: dict[str, list[tuple[int, ...]]] = {}
    buffers: dict[str, list[tuple[int, ...]]] = {}


def run_module(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], gradients: bool = True) -> Ran:
    """Call a module once and write down what its parts do."""
    ran = Ran()
    counter = FlopCounterMode(display=False)
    held = [(path, list(inner.parameters()), list(inner.buffers())) for path, inner in module.named_modules()]
    with torch.set_grad_enabled(gradients), exact_attention(), _watched(module, ran, counter), counter:
        module(*args, **kwargs)
    # Their shapes only now, since a lazy module finds them in its first call; but not what else that call has set.
    for path, params, buffers in held:
        ran.params[path] = [tuple(x.shape) for x in params]
        ran.buffers[path] = [tuple(x.shape) for x in buffers]
    return ran


@contextmanager
def _watched(module: nn.Module, ran: Ran, counter: FlopCounterMode) -> Iterator[None]:
    running: list[str] = []
    mark = 0

    def settle() -> None:
        nonlocal mark
        now = counted(counter)
        if running:
            ran.flops[running[-1]] = ran.flops.get(running[-1], 0) + now - mark
        mark = now

    with ExitStack() as handles:
        for path, inner in module.named_modules():

            def enter(inner: nn.Module, inputs: Any, path: str = path) -> None:
                settle()
                running.append(path)

            def leave(inner: nn.Module, inputs: Any, made: Any, path: str = path) -> None:
                settle()
                running.pop()
                values = made if isinstance(made, tuple) else (made,)
                tensors = tuple(tensor_of(x) for x in values if isinstance(x, torch.Tensor))
                ran.outputs.setdefault(path, []).append(tensors)

            handles.callback(inner.register_forward_pre_hook(enter).remove)
            handles.callback(inner.register_forward_hook(leave, always_call=True).remove)
        yield


def positional(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[torch.Tensor, ...] | None:
    """The inputs as torch.jit takes them: tensors by position; None if they are something else."""
    try:
        bound = inspect.signature(module.forward).bind(*args, **kwargs)
    except TypeError:
        return None
    if bound.kwargs or not all(isinstance(x, torch.Tensor) for x in bound.args):
        return None
    return tuple(bound.args)


# --- from names to modules


class Places:
    """Which module each layer of a graph belongs to, by its name."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = set(paths)

    def of(self, name: str) -> str:
        """The innermost module that a layer ran in: ``fc`` of ``fc``, ``fc_2`` (its second call) and ``fc.add``."""
        path = name
        while path:
            if path in self.paths:
                return path
            first, _, number = path.rpartition("_")
            if number.isdecimal() and first in self.paths:
                return first
            path = path.rpartition(".")[0]
        return ""

    def above(self, path: str) -> Iterator[str]:
        """A module and all that it is part of, up to the whole network."""
        yield path
        while path:
            path = path.rpartition(".")[0]
            yield path

    def own(self, inclusive: Mapping[str, int]) -> dict[str, int]:
        """Figures of the modules alone, from figures that include their parts."""
        alone = dict(inclusive)
        for path, figure in inclusive.items():
            if path:
                parent = next(above for above in list(self.above(path))[1:] if above in alone)
                alone[parent] -= figure
        return alone


def same_shapes(ours: Sequence[tuple[int, ...]], theirs: Sequence[tuple[int, ...]]) -> bool:
    """Whether both hold the same tensors, in any order."""
    return Counter(ours) == Counter(theirs)
