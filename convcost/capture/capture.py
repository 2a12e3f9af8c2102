"""The function ``capture``: converts any PyTorch module to a graph.

The module runs once on the meta device, where tensors have shapes but no data. ``tracer.py`` records the operators,
``rules/`` says which op each operator becomes, and ``to_graph.py`` builds the graph.
"""

from __future__ import annotations

import gc
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from itertools import chain
from typing import Any

import torch
from torch import nn
from torch.nn.modules import module as hooks
from torch.utils._pytree import tree_map_only

from ..errors import ConvcostError, SourceError, UsageError
from ..graph import About, Graph
from ..tensor import Tensor
from .lifetimes import CapturedRun, ModuleRun
from .meta_copy import meta_copy
from .rules.modules import folded
from .to_graph import ModuleState, assemble
from .trace_records import INPUT, Ref, tensor_of
from .tracer import Trace


def capture(module: nn.Module, *args: Any, about: About | None = None, **kwargs: Any) -> Graph:
    """Capture a module as a graph, by one forward pass on the meta device without allocating memory for tensors.

    Args:
        module: any nn.Module; it is captured in its current mode (train or eval). A copy runs; the module, its
            parameters, buffers, hooks and gradients do not change.
        args, kwargs: the arguments of ``forward``. Tensors on any device give shapes and dtypes; other values are
            passed on unchanged.
        about: name and description of the network; default: the name of the class.

    Returns:
        A graph for these shapes. For another batch or input size, capture the module again.

    Raises:
        UsageError: ``module`` is not an nn.Module.
        SourceError: the module raises an exception, or its control flow depends on the values of tensors.
    """
    if not isinstance(module, nn.Module):
        raise UsageError(f"capture takes a torch.nn.Module, not {module!r:.80}")
    if isinstance(module, torch.jit.ScriptModule):
        raise SourceError(
            f"{type(module).__name__} is TorchScript, whose operators cannot be recorded: capture the Python module "
            "that it was compiled from"
        )
    return record(meta_copy(getattr(module, "_orig_mod", module)), args, kwargs, about)


def record(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], about: About | None = None) -> Graph:
    """Capture a module that is already on the meta device. It is not copied, and the pass may change it."""
    if any(map(nn.parameter.is_lazy, chain(module.parameters(), module.buffers()))):
        _materialise(module, args, kwargs)
    state = ModuleState(module)
    trace = Trace(state.numbers, state.counters, module.training)
    inputs: list[tuple[str, Tensor]] = []
    moved: dict[int, torch.Tensor] = {}

    def to_meta(name: str, value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            if id(value) not in moved:
                meta = value if value.is_meta else value.detach().to("meta")
                # A tensor passed twice, or a parameter passed as an input, becomes an input of its own.
                meta = meta.view_as(meta) if id(meta) in trace.refs or id(meta) in state.numbers else meta
                moved[id(value)] = meta
                trace.adopt(meta, (INPUT, len(inputs)))
                inputs.append((name, tensor_of(meta)))
            return moved[id(value)]
        if isinstance(value, Mapping):
            return type(value)({key: to_meta(f"{name}.{key}", each) for key, each in value.items()})  # type: ignore[call-arg]
        if isinstance(value, (tuple, list)):
            converted = [to_meta(f"{name}.{number}", each) for number, each in enumerate(value)]
            return type(value)(*converted) if hasattr(value, "_fields") else type(value)(converted)
        return value

    names = _argument_names(module, args, kwargs)
    moved_args = [to_meta(name, value) for name, value in zip(names, args, strict=True)]
    moved_kwargs = {name: to_meta(name, value) for name, value in kwargs.items()}
    result = _run(module, trace, moved_args, moved_kwargs)
    outputs: list[Ref] = [trace.ref(x) for x in _tensors(result)]
    about = about or About(type(module).__name__, type(module).__name__, source="PyTorch module")
    observation = None if trace.train else CapturedRun(ModuleRun(module, moved_args, moved_kwargs))
    return assemble(trace, state, inputs, outputs, about, observation)


def _materialise(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Initialise lazy modules in a separate pass, so that the operators of the initialisation are not recorded."""
    try:
        with torch.no_grad():
            module(*tree_map_only(torch.Tensor, _meta, tuple(args)), **tree_map_only(torch.Tensor, _meta, dict(kwargs)))
    except Exception as error:
        raise SourceError(f"{type(module).__name__}: {type(error).__name__}: {error}") from error


def _meta(x: torch.Tensor) -> torch.Tensor:
    return x.detach().to("meta")


def _argument_names(module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[str]:
    """The parameter names of ``forward`` for the positional arguments."""
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names += [f"input_{number + 1}" for number in range(len(names), len(args))]
    return names[: len(args)]


def _run(module: nn.Module, trace: Trace, args: list[Any], kwargs: dict[str, Any]) -> Any:
    # Garbage collection of reference cycles would run at arbitrary points of the pass.
    collecting = gc.isenabled()
    gc.disable()
    try:
        with torch.inference_mode(), _module_hooks(module, trace), trace:
            return module(*args, **kwargs)
    except ConvcostError as error:
        raise SourceError(_failure_message(module, trace, str(error))) from None
    except Exception as error:
        raise SourceError(_failure_message(module, trace, f"{type(error).__name__}: {error}")) from error
    finally:
        if collecting:
            gc.enable()


def _failure_message(module: nn.Module, trace: Trace, problem: str) -> str:
    path = trace.failed_in
    where = f"{type(module).__name__}.{path}" if path else type(module).__name__
    if trace.data_dependent is not None:
        return (
            f"{where}: {trace.data_dependent}. A capture runs on the meta device, where tensors have shapes and no "
            "values, so control flow that depends on values cannot be captured"
        )
    last = f" (last operator: {trace.last})" if trace.last else ""
    return f"{where}: {problem.splitlines()[0] if problem else 'failed'}{last}"


@contextmanager
def _module_hooks(module: nn.Module, trace: Trace) -> Iterator[None]:
    """Report to the trace which module runs, by global hooks that are removed at the end."""
    paths = {id(inner): path for path, inner in module.named_modules()}
    running: list[Any] = []  # for each running module, the op that it is folded to, or None

    def before(inner: nn.Module, args: Any) -> None:
        if id(inner) == id(module):
            path = ""
        else:
            # A module that was created during the pass is named after its class.
            path = paths.get(id(inner)) or ".".join(filter(None, (trace.path, type(inner).__name__)))
        trace.enter(path)
        running.append(folded(inner, args))

    def after(inner: nn.Module, args: Any, output: Any) -> None:
        op = running.pop()
        if trace.failed_in is None and sys.exc_info()[0] is not None:
            trace.failed_in = trace.path
        if op is not None and isinstance(output, torch.Tensor):
            trace.fold(op, args, output)
        trace.leave()

    handles = [
        hooks.register_module_forward_pre_hook(before),
        hooks.register_module_forward_hook(after, always_call=True),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """All tensors in the return value of a module, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _tensors(each)
    elif isinstance(value, (tuple, list, set)):
        for each in value:
            yield from _tensors(each)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from _tensors(getattr(value, field.name))


__all__ = ["capture", "record"]
