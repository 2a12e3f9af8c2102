"""The recorder of a forward pass: operators as they are dispatched, their values, and the modules they ran in.

It works under ``torch.inference_mode()``, where operators that PyTorch composes of others (linear, conv2d, matmul,
lstm, scaled_dot_product_attention) are still whole when they are dispatched. What has a typed op becomes one; what
has none and is a composite is taken apart by PyTorch; the rest becomes one of the generic ops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ..errors import OpError, SourceError
from ..ops.base import Op
from ..tensor import Tensor
from .rules import LAYOUT, RULES, generic
from .trace_records import CONST, PARAM, Call, Ref, TraceStep, Typed, tensor_of

_NAMESPACES_PASSED = ("prim",)
_MOVING = frozenset((torch.ops.aten.to.device, torch.ops.aten.to.dtype_layout, torch.ops.aten._to_copy.default))
"""Operators that send a value to a device."""
_COUNTING = frozenset((torch.ops.aten.add_.Tensor, torch.ops.aten.add_.Scalar))
_READING = torch.ops.aten._local_scalar_dense.default
_UNFOLLOWED = "its value depends on data, which shapes alone do not give"


class Trace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every operator on meta tensors as a step. Host tensors are computed for real and not recorded.

    Args:
        state: parameters and buffers by identity, each with its number.
        counters: identities of the batch norms' counts of batches.
        train: whether the network is in training mode.
    """

    def __init__(self, state: dict[int, int], counters: frozenset[int], train: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.state = state
        self.counters = counters
        self.train = train
        self.steps: list[TraceStep] = []
        self.calls: list[Call] = [Call("", 0, -1)]
        self.stack: list[int] = [0]
        self.refs: dict[int, Ref] = {}
        self.constants: list[Tensor] = []
        self.unfollowed: str | None = None
        self.failed_in: str | None = None
        self.last = ""
        # Identities are reused once a tensor is gone: everything that is known by its identity stays alive.
        self._keep: list[torch.Tensor] = []
        self._host: dict[int, torch.Tensor] = {}
        self._ops: dict[Op, Op] = {}
        self._results: dict[tuple[Any, ...], list[tuple[Any, ...]] | None] = {}

    # --- what modules do

    def enter(self, path: str) -> None:
        """A module begins."""
        self.calls.append(Call(path, len(self.steps), self.stack[-1]))
        self.stack.append(len(self.calls) - 1)

    def leave(self) -> None:
        """The innermost module ends."""
        self.calls[self.stack.pop()].end = len(self.steps)

    @property
    def path(self) -> str:
        """The module that runs."""
        return self.calls[self.stack[-1]].path

    def fold(self, op: Op, inputs: Sequence[torch.Tensor], output: torch.Tensor) -> None:
        """Let one op stand for all steps of the innermost module."""
        refs = [self.ref(x) for x in inputs]
        if output is inputs[0] and len(self.steps) > self.calls[self.stack[-1]].start:
            return  # written in place: the steps are all that tells its input from its output
        del self.steps[self.calls[self.stack[-1]].start :]
        self._finish(self.add(self.intern(op), refs), output)

    # --- values

    def adopt(self, tensor: torch.Tensor, ref: Ref) -> None:
        """Let ``ref`` be what is known as this tensor."""
        self.refs[id(tensor)] = ref
        self._keep.append(tensor)

    def ref(self, tensor: torch.Tensor) -> Ref:
        """Where a tensor comes from; one that comes from nowhere is a constant."""
        found = self.refs.get(id(tensor))
        if found is not None:
            return found
        number = self.state.get(id(tensor))
        if number is None:
            self.constants.append(tensor_of(tensor))
            ref = (CONST, len(self.constants) - 1)
        else:
            ref = (PARAM, number)
        self.adopt(tensor, ref)
        return ref

    def add(self, op: Op, inputs: Iterable[Ref], weights: Sequence[Ref] = (), label: str = "") -> int:
        """One more step; its number."""
        self.steps.append(TraceStep(op, tuple(inputs), tuple(weights), self.stack[-1], label))
        return len(self.steps) - 1

    def intern(self, op: Op) -> Op:
        """The one object for equal ops."""
        return self._ops.setdefault(op, op)

    # --- operators

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.namespace in _NAMESPACES_PASSED:
            return func(*args, **kwargs)
        tensors = list(generic.tensors_in((args, kwargs.values()) if kwargs else args))
        if not any(tensor.is_meta for tensor in tensors):
            return self._on_host(func, args, kwargs, tensors)
        if func in _COUNTING and id(args[0]) in self.counters:
            return self._run(func, args, kwargs)  # batch norm's count of batches, which its op stands for
        if func is _READING and id(args[0]) in self.counters:
            return 1  # batch norm without a momentum divides by its count: any number will do
        self.last = str(func)
        if any(not tensor.is_meta for tensor in tensors):
            args, kwargs = generic.mapped((args, kwargs), self._to_meta)
        if func in _MOVING or "device" in kwargs:
            args, kwargs = generic.mapped((args, kwargs), _device_to_meta, torch.device)
        rule = RULES.get(func)
        if rule is not None:
            typed = rule(self, *args, **kwargs)
            if typed is not None:
                return self._typed(func, typed, args, kwargs)
        layout = LAYOUT.get(func)
        if layout is not None:
            return self._layout(func, layout, args, kwargs)
        if generic.is_composite(func):
            with self:
                return func.decompose(*args, **kwargs)
        return self._generic(func, args, kwargs)

    def _on_host(self, func: Any, args: Any, kwargs: Any, tensors: list[torch.Tensor]) -> Any:
        result = func(*args, **kwargs)
        made = list(generic.tensors_in(result))
        if made and made[0].is_meta:  # a factory, or a copy to where the network is
            self._generic_step(func, args if not tensors else (), kwargs, result)
        return result

    def _to_meta(self, tensor: torch.Tensor) -> Any:
        if tensor.is_meta or id(tensor) in self.state:
            return tensor
        if tensor.dim() == 0:
            return tensor.item()  # as PyTorch does with one number among tensors of another device
        if id(tensor) not in self._host:
            self._host[id(tensor)] = tensor.to("meta")
            self._keep.append(tensor)
        return self._host[id(tensor)]

    def _typed(self, func: Any, typed: Typed, args: Any, kwargs: Any) -> Any:
        op = self.intern(typed.op)
        key = (id(op), *[(x.shape, x.stride(), x.dtype) for x in typed.inputs])
        if key not in self._results:
            result = self._run(func, args, kwargs)
            known = self._verified(op, typed, result)
            if known is None:
                self._generic_step(func, args, kwargs, result)
                return result
            self._results[key] = known[0]
            if typed.parts:
                return self._finish(typed.parts(self), result)
            return self._finish(self._weighted(op, typed), result)
        layouts = self._results[key]
        if layouts is None:
            result = typed.inputs[0]
        else:
            made = [torch.empty_strided(size, stride, dtype=dtype, device="meta") for size, stride, dtype in layouts]
            result = made[0] if typed.single else tuple(made)
        return self._finish(typed.parts(self) if typed.parts else self._weighted(op, typed), result)

    def _weighted(self, op: Op, typed: Typed) -> int:
        return self.add(op, map(self.ref, typed.inputs), [self.ref(x) for x in typed.weights])

    def _verified(self, op: Op, typed: Typed, result: Any) -> tuple[list[tuple[Any, ...]] | None] | None:
        """What the operator gave, to be given again; None if the typed op says something else."""
        outputs = list(generic.tensors_in(result))
        inputs = tuple(map(tensor_of, typed.inputs))
        try:
            if typed.outputs is None:
                op.check(inputs)
            said = typed.outputs or op.outputs(inputs)
        except OpError:
            return None
        # PyTorch's adaptive max pooling also gives indices that few ask for.
        if tuple(map(tensor_of, outputs))[: len(said)] != said:
            return None
        if typed.parts is None and any(place.kind != "fresh" for place in op.placement(inputs, self.train)):
            return (None,) if outputs[0] is typed.inputs[0] else None
        return ([(x.shape, x.stride(), x.dtype) for x in outputs],)

    def _finish(self, step: int, result: Any) -> Any:
        for number, tensor in enumerate(generic.tensors_in(result)):
            self.adopt(tensor, (step, number))
        return result

    def _layout(self, func: Any, layout: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        x = args[0]
        result = self._run(func, args, kwargs)
        if isinstance(result, torch.Tensor):
            if generic.same_place(x, result):
                self.adopt(result, self.ref(x))
                return result
            before = self.ref(x)
            if not generic.shares(x, result):
                before = (self.add(self.intern(generic.CONTIGUOUS), [before]), 0)
                if result.shape == x.shape:
                    return self._finish(before[0], result)
            op = layout(x, result, *args[1:], **kwargs)
            if op is not None:
                return self._finish(self.add(self.intern(op), [before]), result)
            if before != self.ref(x):
                self.steps.pop()
        elif all(generic.shares(x, part) for part in result):
            op = layout(x, result, *args[1:], **kwargs)
            if isinstance(op, list):  # one op for each output
                for each, part in zip(op, result, strict=True):
                    self._finish(self.add(self.intern(each), [self.ref(x)]), part)
                return result
            if op is not None:
                return self._finish(self.add(self.intern(op), [self.ref(x)]), result)
        self._generic_step(func, args, kwargs, result)
        return result

    def _generic(self, func: Any, args: Any, kwargs: Any) -> Any:
        result = self._run(func, args, kwargs)
        self._generic_step(func, args, kwargs, result)
        return result

    def _generic_step(self, func: Any, args: Any, kwargs: Any, result: Any) -> None:
        made = list(generic.tensors_in(result))
        if not made and not generic.writes(func):
            return  # an assertion
        inputs = list(generic.tensors_in((args, list(kwargs.values()))))
        if len(made) == 1 and inputs and not generic.writes(func) and generic.same_place(inputs[0], made[0]):
            self.adopt(made[0], self.ref(inputs[0]))
            return
        op = generic.op_for(func, args, kwargs, inputs, made)
        step = self.add(self.intern(op), map(self.ref, inputs))
        for number, tensor in enumerate(made):
            self.adopt(tensor, (step, number))

    def _run(self, func: Any, args: Any, kwargs: Any) -> Any:
        if generic.depends_on_data(func):
            self.unfollowed = f"{func}: {_UNFOLLOWED}"
            raise SourceError(self.unfollowed)
        try:
            return func(*args, **kwargs)
        except NotImplementedError as error:
            if "data-independent" not in str(error):
                raise
            self.unfollowed = f"{func}: {_UNFOLLOWED}"  # such as a choice by truth values, whose number is unknown
            raise SourceError(self.unfollowed) from None


def _device_to_meta(device: torch.device) -> torch.device:
    return torch.device("meta")
