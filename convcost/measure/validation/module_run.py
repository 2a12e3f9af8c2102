"""Runs a user's module and records outputs, weights and FLOPs of each submodule, by its path."""

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

from ...capture.trace_records import tensor_of
from ...tensor import Tensor
from .layer_watch import exact_attention, flops_so_far


class ObservedModule(msgspec.Struct):
    """What a module did in one call, by the path of each submodule (``""`` is the module itself)."""

    outputs: dict[str, list[tuple[Tensor, ...]]] = {}
    """The outputs of each call."""
    flops: dict[str, int] = {}
    """FLOPs by PyTorch's counter, without those of submodules."""
    params: dict[str, list[tuple[int, ...]]] = {}
    """Shapes of the parameters, including those of submodules."""
    buffers: dict[str, list[tuple[int, ...]]] = {}
    """Shapes of the buffers, including those of submodules."""


def run_module(
    module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], gradients: bool = True
) -> ObservedModule:
    """Call a module once and record what its submodules do. ``gradients``: run with gradients enabled."""
    run = ObservedModule()
    counter = FlopCounterMode(display=False)
    weights = [(path, list(inner.parameters()), list(inner.buffers())) for path, inner in module.named_modules()]
    with torch.set_grad_enabled(gradients), exact_attention(), _recording(module, run, counter), counter:
        module(*args, **kwargs)
    # A lazy module sets the shapes of its weights in its first call. Tensors that the call adds are not weights.
    for path, params, buffers in weights:
        run.params[path] = [tuple(x.shape) for x in params]
        run.buffers[path] = [tuple(x.shape) for x in buffers]
    return run


@contextmanager
def _recording(module: nn.Module, run: ObservedModule, counter: FlopCounterMode) -> Iterator[None]:
    running: list[str] = []
    last = 0

    def add_flops() -> None:
        nonlocal last
        now = flops_so_far(counter)
        if running:
            run.flops[running[-1]] = run.flops.get(running[-1], 0) + now - last
        last = now

    with ExitStack() as handles:
        for path, inner in module.named_modules():

            def enter(inner: nn.Module, inputs: Any, path: str = path) -> None:
                add_flops()
                running.append(path)

            def leave(inner: nn.Module, inputs: Any, result: Any, path: str = path) -> None:
                add_flops()
                running.pop()
                values = result if isinstance(result, tuple) else (result,)
                tensors = tuple(tensor_of(x) for x in values if isinstance(x, torch.Tensor))
                run.outputs.setdefault(path, []).append(tensors)

            handles.callback(inner.register_forward_pre_hook(enter).remove)
            handles.callback(inner.register_forward_hook(leave, always_call=True).remove)
        yield


def positional(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[torch.Tensor, ...] | None:
    """The arguments as positional tensors, which torch.jit requires; None if any argument is something else."""
    try:
        bound = inspect.signature(module.forward).bind(*args, **kwargs)
    except TypeError:
        return None
    if bound.kwargs or not all(isinstance(x, torch.Tensor) for x in bound.args):
        return None
    return tuple(bound.args)


# --- paths of modules


class ModulePaths:
    """The paths of all submodules of a module."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = set(paths)

    def of(self, name: str) -> str:
        """The innermost module of a layer: ``fc`` for ``fc``, ``fc_2`` (its second call) and ``fc.add``."""
        path = name
        while path:
            if path in self.paths:
                return path
            first, _, number = path.rpartition("_")
            if number.isdecimal() and first in self.paths:
                return first
            path = path.rpartition(".")[0]
        return ""

    def with_parents(self, path: str) -> Iterator[str]:
        """The path, and the paths of all modules that contain it, up to ``""``."""
        yield path
        while path:
            path = path.rpartition(".")[0]
            yield path

    def exclusive(self, inclusive: Mapping[str, int]) -> dict[str, int]:
        """Figures of modules without their submodules, from figures that include them."""
        exclusive = dict(inclusive)
        for path, figure in inclusive.items():
            if path:
                parent = next(parent for parent in list(self.with_parents(path))[1:] if parent in exclusive)
                exclusive[parent] -= figure
        return exclusive


def same_shapes(ours: Sequence[tuple[int, ...]], theirs: Sequence[tuple[int, ...]]) -> bool:
    """True if both have the same shapes, in any order."""
    return Counter(ours) == Counter(theirs)
