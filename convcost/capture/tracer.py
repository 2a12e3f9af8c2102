"""Records a forward pass: each operator as PyTorch dispatches it, its inputs and outputs, and the running module.

Under ``torch.inference_mode()`` composite operators (linear, conv2d, matmul, lstm, scaled_dot_product_attention) are
dispatched whole. An operator with a rule in ``rules/`` becomes a typed op. Without a rule, PyTorch decomposes a
composite operator into its parts, and any other operator becomes a generic op (``rules/generic.py``). To support
another operator, add a rule there; this file does not change.
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
from .trace_records import CONST, PARAM, ModuleCall, Ref, TraceStep, TypedOperator, tensor_of

_IGNORED_NAMESPACES = ("prim",)
_TO_DEVICE = frozenset((torch.ops.aten.to.device, torch.ops.aten.to.dtype_layout, torch.ops.aten._to_copy.default))
"""Operators that move a tensor to a device."""
_INCREMENT = frozenset((torch.ops.aten.add_.Tensor, torch.ops.aten.add_.Scalar))
_READ_SCALAR = torch.ops.aten._local_scalar_dense.default
_DATA_DEPENDENT = "its result depends on data, which shapes alone do not give"


class Trace(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records each operator on meta tensors as a step. Operators on CPU tensors run normally and are not recorded.

    Args:
        state: the number of each parameter and buffer, by ``id(tensor)``.
        counters: ``id(tensor)`` of each batch norm's ``num_batches_tracked``.
        train: True if the network is in training mode.
    """

    def __init__(self, state: dict[int, int], counters: frozenset[int], train: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.state = state
        self.counters = counters
        self.train = train
        self.steps: list[TraceStep] = []
        self.calls: list[ModuleCall] = [ModuleCall("", 0, -1)]
        self.stack: list[int] = [0]  # numbers of the running module calls, the innermost last
        self.refs: dict[int, Ref] = {}
        self.constants: list[Tensor] = []
        self.data_dependent: str | None = None  # the message, once an operator could not run on the meta device
        self.failed_in: str | None = None  # the path of the module that raised
        self.last = ""
        # Python reuses the id of a deleted object, so tensors that are known by their id are kept alive.
        self._keep: list[torch.Tensor] = []
        self._host: dict[int, torch.Tensor] = {}
        self._ops: dict[Op, Op] = {}
        self._results: dict[tuple[Any, ...], list[tuple[Any, ...]] | None] = {}

    # --- modules

    def enter(self, path: str) -> None:
        """Begin the call of the module at ``path``."""
        self.calls.append(ModuleCall(path, len(self.steps), self.stack[-1]))
        self.stack.append(len(self.calls) - 1)

    def leave(self) -> None:
        """End the innermost module call."""
        self.stack.pop()

    @property
    def path(self) -> str:
        """The path of the module that runs."""
        return self.calls[self.stack[-1]].path

    def fold(self, op: Op, inputs: Sequence[torch.Tensor], output: torch.Tensor) -> None:
        """Replace all steps of the innermost module call by one op."""
        refs = [self.ref(x) for x in inputs]
        if output is inputs[0] and len(self.steps) > self.calls[self.stack[-1]].start:
            return  # the module works in place: without its steps, input and output would be one value
        del self.steps[self.calls[self.stack[-1]].start :]
        self._finish(self.add(self.intern(op), refs), output)

    # --- values

    def adopt(self, tensor: torch.Tensor, ref: Ref) -> None:
        """Set the reference of a tensor."""
        self.refs[id(tensor)] = ref
        self._keep.append(tensor)

    def ref(self, tensor: torch.Tensor) -> Ref:
        """The reference of a tensor. A tensor that nothing in the trace produced becomes a constant."""
        known = self.refs.get(id(tensor))
        if known is not None:
            return known
        number = self.state.get(id(tensor))
        if number is None:
            self.constants.append(tensor_of(tensor))
            ref = (CONST, len(self.constants) - 1)
        else:
            ref = (PARAM, number)
        self.adopt(tensor, ref)
        return ref

    def add(self, op: Op, inputs: Iterable[Ref], weights: Sequence[Ref] = (), label: str = "") -> int:
        """Add a step and return its number."""
        self.steps.append(TraceStep(op, tuple(inputs), tuple(weights), self.stack[-1], label))
        return len(self.steps) - 1

    def intern(self, op: Op) -> Op:
        """Return one shared object for all equal ops."""
        return self._ops.setdefault(op, op)

    # --- operators

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func.namespace in _IGNORED_NAMESPACES:
            return func(*args, **kwargs)
        tensors = list(generic.tensors_in((args, kwargs.values()) if kwargs else args))
        if not any(tensor.is_meta for tensor in tensors):
            return self._on_host(func, args, kwargs, tensors)
        if func in _INCREMENT and id(args[0]) in self.counters:
            return self._run(func, args, kwargs)  # part of batch norm, which is one op
        if func is _READ_SCALAR and id(args[0]) in self.counters:
            return 1  # batch norm with momentum=None divides by this count; any number will do
        self.last = str(func)
        if any(not tensor.is_meta for tensor in tensors):
            args, kwargs = generic.mapped((args, kwargs), self._to_meta)
        if func in _TO_DEVICE or "device" in kwargs:
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
        if made and made[0].is_meta:  # a tensor created on the meta device or copied to it
            self._generic_step(func, args if not tensors else (), kwargs, result)
        return result

    def _to_meta(self, tensor: torch.Tensor) -> Any:
        if tensor.is_meta or id(tensor) in self.state:
            return tensor
        if tensor.dim() == 0:
            return tensor.item()  # PyTorch, too, accepts a zero-dimensional CPU tensor with tensors on another device
        if id(tensor) not in self._host:
            self._host[id(tensor)] = tensor.to("meta")
            self._keep.append(tensor)
        return self._host[id(tensor)]

    def _typed(self, func: Any, typed: TypedOperator, args: Any, kwargs: Any) -> Any:
        op = self.intern(typed.op)
        key = (id(op), *[(x.shape, x.stride(), x.dtype) for x in typed.inputs])
        if key not in self._results:
            result = self._run(func, args, kwargs)
            verified = self._verified(op, typed, result)
            if verified is None:
                self._generic_step(func, args, kwargs, result)
                return result
            self._results[key] = verified[0]
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

    def _weighted(self, op: Op, typed: TypedOperator) -> int:
        return self.add(op, map(self.ref, typed.inputs), [self.ref(x) for x in typed.weights])

    def _verified(self, op: Op, typed: TypedOperator, result: Any) -> tuple[list[tuple[Any, ...]] | None] | None:
        """Compare the op's outputs with PyTorch's; None if they differ.

        If they agree: a tuple with the shape, strides and dtype of each output, from which equal calls are answered
        without running the operator, or with None if the output is the first input itself.
        """
        outputs = list(generic.tensors_in(result))
        inputs = tuple(map(tensor_of, typed.inputs))
        try:
            if typed.outputs is None:
                op.check(inputs)
            predicted = typed.outputs or op.outputs(inputs)
        except OpError:
            return None
        # PyTorch may return more than the op has: adaptive max pooling always returns indices.
        if tuple(map(tensor_of, outputs))[: len(predicted)] != predicted:
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
            if generic.same_view(x, result):
                self.adopt(result, self.ref(x))
                return result
            source = self.ref(x)
            if not generic.share_storage(x, result):
                source = (self.add(self.intern(generic.CONTIGUOUS), [source]), 0)
                if result.shape == x.shape:
                    return self._finish(source[0], result)
            op = layout(x, result, *args[1:], **kwargs)
            if op is not None:
                return self._finish(self.add(self.intern(op), [source]), result)
            if source != self.ref(x):
                self.steps.pop()
        elif all(generic.share_storage(x, part) for part in result):
            op = layout(x, result, *args[1:], **kwargs)
            if isinstance(op, list):  # unbind becomes one op per output
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
        if not made and not generic.is_mutating(func):
            return  # an operator such as an assertion
        inputs = list(generic.tensors_in((args, list(kwargs.values()))))
        if len(made) == 1 and inputs and not generic.is_mutating(func) and generic.same_view(inputs[0], made[0]):
            self.adopt(made[0], self.ref(inputs[0]))
            return
        op = generic.op_for(func, args, kwargs, inputs, made)
        step = self.add(self.intern(op), map(self.ref, inputs))
        for number, tensor in enumerate(made):
            self.adopt(tensor, (step, number))

    def _run(self, func: Any, args: Any, kwargs: Any) -> Any:
        if generic.depends_on_data(func):
            self.data_dependent = f"{func}: {_DATA_DEPENDENT}"
            raise SourceError(self.data_dependent)
        try:
            return func(*args, **kwargs)
        except NotImplementedError as error:
            if "data-independent" not in str(error):
                raise
            self.data_dependent = f"{func}: {_DATA_DEPENDENT}"  # such as indexing with a boolean mask
            raise SourceError(self.data_dependent) from None


def _device_to_meta(device: torch.device) -> torch.device:
    return torch.device("meta")
