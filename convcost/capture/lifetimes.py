"""Observing the memory of a captured module: every allocation of a forward pass on the meta device, and its release."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.modules import module as hooks
from torch.utils._python_dispatch import TorchDispatchMode

from ..errors import SourceError
from ..graph import Allocation, RecordedRun
from .rules.generic import tensors_in


class Lifetimes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the storages that operators allocate and, by weak references, when each is released.

    Args:
        given: tensors that exist before the run and are not counted: parameters and buffers.
        inputs: tensors that the caller holds all through, with their names.
    """

    def __init__(self, given: Iterable[torch.Tensor], inputs: Sequence[tuple[str, torch.Tensor]]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.paths: list[str] = []
        self._events = 0
        self._made: list[list[Any]] = []  # bytes, label, born, died
        # PyTorch gives an address to the next storage once it is free: an entry goes when its storage does.
        self._live: dict[int, Any] = {}
        for tensor in given:
            self._note(tensor, None)
        for name, tensor in inputs:
            self._note(tensor, name)

    def _note(self, tensor: torch.Tensor, label: str | None) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._live:
            return
        number = len(self._made)
        if label is not None:
            self._made.append([storage.nbytes(), label, self._events, None])
            self._events += 1

        def released(_: Any) -> None:
            del self._live[key]
            if label is not None:
                self._made[number][3] = self._events
                self._events += 1

        self._live[key] = weakref.ref(storage, released)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tensors_in(result):
            if tensor.is_meta:
                self._note(tensor, self._label(func))
        return result

    def _label(self, func: Any) -> str:
        path = self.paths[-1] if self.paths else ""
        word = str(func).split(".")[1].strip("_")
        return f"{path}.{word}" if path else word

    def allocations(self) -> tuple[Allocation, ...]:
        """What was noted, in the order in which it came."""
        return tuple(Allocation(size, label, born, died) for size, label, born, died in self._made)


class ModuleRun(NamedTuple):
    """A module on the meta device, and what it is called with."""

    module: nn.Module
    args: Sequence[Any]
    kwargs: Mapping[str, Any]


_WAITING: WeakKeyDictionary[CapturedRun, ModuleRun] = WeakKeyDictionary()
"""The modules of graphs whose allocations nobody has asked for yet. An entry goes with its graph, or after the run."""


class CapturedRun:
    """The ``Observation`` of a captured module. The module itself waits in this file, and not in the graph.

    It runs when its allocations are first asked for, since that takes as long as the capture; they are then plain data.
    """

    def __init__(self, run: ModuleRun) -> None:
        _WAITING[self] = run

    @cached_property
    def allocations(self) -> tuple[Allocation, ...]:
        """The allocations of one forward pass without gradients.

        Raises:
            SourceError: the module, which ran when it was captured, does not run again.
        """
        allocations = observe(*_WAITING[self])
        del _WAITING[self]
        return allocations

    def __reduce__(self) -> tuple[Any, ...]:
        return RecordedRun, (self.allocations,)  # a copy in another process has no module


def observe(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Allocation, ...]:
    """The allocations of one forward pass of a module on the meta device, without gradients.

    Raises:
        SourceError: the module, which ran when it was captured, does not run again.
    """
    names = [(f"input_{k + 1}", x) for k, x in enumerate(tensors_in((list(args), dict(kwargs))))]
    watch = Lifetimes((*module.parameters(), *module.buffers()), names)
    paths = {id(inner): path for path, inner in module.named_modules()}

    def before(inner: nn.Module, _: Any) -> None:
        watch.paths.append(paths.get(id(inner)) or (watch.paths[-1] if watch.paths else ""))

    def after(inner: nn.Module, _: Any, made: Any) -> None:
        watch.paths.pop()

    handles = [
        hooks.register_module_forward_pre_hook(before),
        hooks.register_module_forward_hook(after, always_call=True),
    ]
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()  # reference cycles would be collected at random points of the pass
    try:
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), watch:
            result = module(*args, **kwargs)
        allocations = watch.allocations()
        del result
    except Exception as error:
        said = f"{type(error).__name__}: {error}".splitlines()[0]
        raise SourceError(f"{type(module).__name__} ran once and not again, as its memory needs: {said}") from error
    finally:
        for handle in handles:
            handle.remove()
        if collecting:
            gc.enable()
    return allocations


__all__ = ["CapturedRun", "Lifetimes", "ModuleRun", "observe"]
