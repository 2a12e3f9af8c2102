"""The result of an analysis for each layer: frozen records of integers.

A new cost is a field of ``Cost``, which ``costs`` computes, and a property and a JSON key of ``LayerRecord``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..graph import Graph, Node
from ..ops.base import Group, Op
from ..tensor import Tensor


class Cost(msgspec.Struct, frozen=True, gc=False):
    """The costs of one op on its inputs; equal layers share one record.

    Args:
        group: conv, fc, attention, norm, activation, pool or other.
        inputs, outputs: shapes (batch first) and dtypes.
        params, buffers: learnable scalars, and scalars of buffers.
        macs: multiply-accumulates.
        flops: 2 * macs + all other operations; by kind in ``flops_by_kind``.
        activation_bytes: bytes of the outputs that the op allocates; views and in-place results add 0.
        weight_bytes, buffer_bytes: bytes of the parameters and of the buffers.
        bytes_read, bytes_written: memory traffic without any caching, weights included.
        launches: kernels that eager PyTorch launches on CUDA.
    """

    group: Group
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    params: int
    buffers: int
    macs: int
    flops: int
    flops_by_kind: Mapping[str, int]
    activation_bytes: int
    weight_bytes: int
    buffer_bytes: int
    bytes_read: int
    bytes_written: int
    launches: int


SUMMED = tuple(key for key, kind in Cost.__annotations__.items() if kind == "int")
"""Fields whose sum over the layers is the total of the same name."""


class ReceptiveField(msgspec.Struct, frozen=True):
    """The input positions that one output position depends on, per spatial dimension.

    Args:
        size: number of input positions; after upsampling, where positions differ, that of the largest field.
        stride: distance between the fields of adjacent output positions (the effective stride); after upsampling the
            mean distance, which need not be an integer.
        start: first position of the field of output position 0; negative inside padding.
        whole: True if every output position depends on the whole input.
    """

    size: tuple[int, ...]
    stride: tuple[int | float, ...]
    start: tuple[int, ...]
    whole: bool = False


class LayerRecord(msgspec.Struct, frozen=True, gc=False):
    """One layer: its node in the graph, and its costs. ``position`` is its index in ``graph.nodes``."""

    node: Node
    cost: Cost
    position: int
    graph: Graph
    receptive_fields: Any

    @property
    def name(self) -> str:
        """The full name, such as ``conv3_1.conv_bn_2.conv2d_1``."""
        return self.node.name

    @property
    def path(self) -> tuple[str, ...]:
        """The segments of the name."""
        return tuple(self.node.name.split("."))

    @property
    def op(self) -> str:
        """The name of the op, such as ``conv2d``."""
        return self.node.op.op

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of the op by name, with inferred values."""
        return fields_of(self.node.op)

    @property
    def group(self) -> Group:
        """conv, fc, attention, norm, activation, pool or other."""
        return self.cost.group

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the layers and inputs that it reads; ``name.1`` is the second output of ``name``."""
        return tuple(self._reference(position, output) for position, output in self.node.inputs)

    def _reference(self, position: int, output: int) -> str:
        name = self.graph.nodes[position].name if position >= 0 else self.graph.inputs[-1 - position][0]
        return f"{name}.{output}" if output else name

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the inputs, batch first."""
        return tuple(tensor.shape for tensor in self.cost.inputs)

    @property
    def output_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the outputs, batch first."""
        return tuple(tensor.shape for tensor in self.cost.outputs)

    @property
    def params(self) -> int:
        """Learnable scalars; 0 if the layer shares the weights of another layer, which counts them."""
        return self.cost.params

    @property
    def buffers(self) -> int:
        """Scalars of buffers, which are not learned."""
        return self.cost.buffers

    @property
    def macs(self) -> int:
        """Multiply-accumulates."""
        return self.cost.macs

    @property
    def flops(self) -> int:
        """2 * macs + all other operations."""
        return self.cost.flops

    @property
    def flops_by_kind(self) -> Mapping[str, int]:
        """The operations by kind; "mac" holds 2 * macs."""
        return self.cost.flops_by_kind

    @property
    def activation_bytes(self) -> int:
        """Bytes of the outputs that the layer allocates."""
        return self.cost.activation_bytes

    @property
    def weight_bytes(self) -> int:
        """Bytes of the learnable parameters."""
        return self.cost.weight_bytes

    @property
    def buffer_bytes(self) -> int:
        """Bytes of the buffers."""
        return self.cost.buffer_bytes

    @property
    def bytes_read(self) -> int:
        """Bytes read from memory: inputs and weights."""
        return self.cost.bytes_read

    @property
    def bytes_written(self) -> int:
        """Bytes written to memory."""
        return self.cost.bytes_written

    @property
    def launches(self) -> int:
        """Kernels that eager PyTorch launches on CUDA."""
        return self.cost.launches

    @property
    def shares(self) -> str | None:
        """The name of the layer whose weights this layer shares; None if it has its own."""
        return self.graph.nodes[self.node.owner].name if self.node.owner >= 0 else None

    @property
    def receptive_field(self) -> ReceptiveField | None:
        """The receptive field in the first input; None if it is not defined."""
        field: ReceptiveField | None = self.receptive_fields[self.position]
        return field

    def to_dict(self) -> dict[str, Any]:
        """The layer as plain data, as in the JSON."""
        cost, op, field = self.cost, self.node.op, self.receptive_field
        return {
            "name": self.node.name,
            "path": self.path,
            "op": op.op,
            "group": cost.group,
            "fields": fields_of(op),
            "inputs": self.inputs,
            "input_shapes": self.input_shapes,
            "output_shapes": self.output_shapes,
            "output_dtypes": tuple(tensor.dtype for tensor in cost.outputs),
            "params": cost.params,
            "buffers": cost.buffers,
            "macs": cost.macs,
            "flops": cost.flops,
            "flops_by_kind": cost.flops_by_kind,
            "activation_bytes": cost.activation_bytes,
            "weight_bytes": cost.weight_bytes,
            "buffer_bytes": cost.buffer_bytes,
            "bytes_read": cost.bytes_read,
            "bytes_written": cost.bytes_written,
            "launches": cost.launches,
            "shares": self.shares,
            "receptive_field": msgspec.structs.asdict(field) if field else None,
            "where": str(self.node.where) if self.node.where else None,
        }


def fields_of(op: Op) -> dict[str, Any]:
    """The fields of an op by name, with inferred values."""
    return {name: getattr(op, name) for name in op.__struct_fields__}
