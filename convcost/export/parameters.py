"""Finds the parameters of a block, as few as possible: equal sizes share one, and multiples become expressions."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from ..ops.generic import Elementwise
from ..spec.vocabulary import literal_kind
from ..tensor import Tensor
from .blocks import Part, parts
from .keys import parameter_fields
from .layers import GraphTensors, same
from .tree import Box, ExportedBlock, Leaf, Parameter
from .yaml_text import value_text

MISSING = object()
"""The value in a call without the layer, such as a missing projection; also the default of a required parameter."""

Vector = list[Any]
"""The value of one field in each call of the block."""

FACTORS = (2, 3, 4, 6, 8)
MIN_MULTIPLE = 4
"""Smaller sizes are not written as multiples of others, because such a relation is accidental."""


def find_parameters(block: ExportedBlock, tensors: GraphTensors, taken: set[str]) -> None:
    """Set the parameters of a block and the texts of all fields in it.

    Args:
        block: the block. The blocks that it calls must have their parameters already.
        tensors: the tensors of the graph.
        taken: words that cannot be names of parameters.
    """
    _ParameterSearch(block, tensors, taken).run()


class _ParameterSearch:
    def __init__(self, block: ExportedBlock, tensors: GraphTensors, taken: set[str]) -> None:
        self.block = block
        self.tensors = tensors
        self.taken = taken
        self.calls = [dict(parts(box.items)) for box in block.calls]

    def run(self) -> None:
        for place, part in parts(self.block.representative.items):
            column = [inside.get(place) for inside in self.calls]
            if isinstance(part, Leaf):
                self.leaf(part, column)
            else:
                self.call(part, column)
        for parameter in self.block.parameters:
            present = [value for value in parameter.values if value is not MISSING]
            most_common = Counter(present).most_common(1)[0][0]
            if not same(most_common, parameter.default):
                parameter.default = MISSING
            fill = present[0] if parameter.default is MISSING else parameter.default
            parameter.values = [fill if value is MISSING else value for value in parameter.values]
        self.block.parameters.sort(key=lambda parameter: parameter.default is not MISSING)
        for number, _ in enumerate(self.block.representative.externals):
            self.block.layers.append(self.free("skip" if number == 0 else f"skip_{number + 1}"))

    def leaf(self, leaf: Leaf, column: Sequence[Part | None]) -> None:
        present = [each for each in column if isinstance(each, Leaf)]
        varying = set(parameter_fields(leaf))
        defaults = {field.name: field.default for field in msgspec.structs.fields(type(leaf.op))}
        for field in leaf.op.__struct_fields__:
            if not any(field in each.fields for each in present):
                continue
            vector = [getattr(each.op, field) if isinstance(each, Leaf) else MISSING for each in column]
            text = value_text(getattr(leaf.op, field), type(leaf.op), field)
            if literal_kind(type(leaf.op), field):
                if any(value not in (MISSING, vector[0]) for value in vector):
                    text = self.text([as_lists(value) for value in vector], "size", MISSING, None)
            elif field in varying:
                text = self.text(vector, field, defaults[field], self.input_sizes(column))
            self.block.texts[id(leaf), field] = text

    def call(self, call: Box, column: Sequence[Part | None]) -> None:
        inner = call.block
        assert inner is not None
        for parameter in inner.parameters:
            vector = [inner.argument(each, parameter) if isinstance(each, Box) else MISSING for each in column]
            field = re.sub(r"_[0-9]+\Z", "", parameter.name)
            text = self.text(vector, field, parameter.default, self.input_sizes(column))
            self.block.texts[id(call), parameter.name] = text

    def input_sizes(self, column: Sequence[Part | None]) -> dict[str, Vector]:
        """The values of ``in_channels`` and ``in_features`` at this layer, in each call."""
        shapes = []
        for part in column:
            refs = () if part is None else part.reads if isinstance(part, Leaf) else part.entry
            shapes.append(self.tensors.tensor(refs[0]).shape if refs else None)
        sizes: dict[str, Vector] = {}
        for name, dimension in (("in_channels", 1), ("in_features", -1)):
            if all(shape is None or len(shape) > 1 for shape in shapes):
                sizes[name] = [MISSING if shape is None else shape[dimension] for shape in shapes]
        return sizes

    # --- texts

    def text(self, vector: Vector, field: str, default: Any, sizes: dict[str, Vector] | None) -> str:
        """The text of a field: its value if it is the same in all calls, an expression, or a parameter.

        Args:
            vector: the value in each call.
            field: the name for a new parameter.
            default: the default of a new parameter.
            sizes: the input sizes, for expressions; None if the field cannot be an expression.
        """
        present = [value for value in vector if value is not MISSING]
        if all(_equal(value, present[0]) for value in present):
            return value_text(present[0], Elementwise, "arguments" if sizes is None else "")
        known = next((p for p in self.block.parameters if _agree(p.values, vector)), None)
        if known is not None:
            known.values = [b if a is MISSING else a for a, b in zip(known.values, vector, strict=True)]
            return known.name
        lengths = {len(value) if isinstance(value, tuple) else -1 for value in present}
        if len(lengths) == 1 and lengths != {-1}:
            columns = [[v if v is MISSING else v[k] for v in vector] for k in range(lengths.pop())]
            return f"[{', '.join(self.text(column, field, MISSING, sizes) for column in columns)}]"
        expression = self.expression(vector, present, field, sizes) if sizes is not None else None
        return expression or self.new_parameter(vector, field, default)

    def expression(self, vector: Vector, present: Vector, field: str, sizes: dict[str, Vector]) -> str | None:
        """An expression of input sizes or parameters that has these values; None if there is none."""
        if any(type(value) is not int for value in present):
            return None
        sources = {**sizes, **{p.name: p.values for p in self.block.parameters}}
        if field == "padding":
            return next(
                (f"{n} // 2" for n, v in sources.items() if "kernel" in n and _agree(_over(v, 2), vector)), None
            )
        if min(present) < MIN_MULTIPLE:
            return None
        for name, values in sizes.items():
            if _agree(values, vector):
                return name
        parameters = [p.name for p in self.block.parameters]
        for name in (*parameters, *sizes):
            for factor in FACTORS:
                if _agree(_times(sources[name], factor), vector):
                    return f"{factor} * {name}"
                if _agree(_times(vector, factor), sources[name]):
                    return f"{name} // {factor}"
        return None

    def new_parameter(self, vector: Vector, field: str, default: Any) -> str:
        """Add a parameter and return its name."""
        name = self.free(field)
        self.block.parameters.append(Parameter(name, list(vector), default))
        return name

    def free(self, wanted: str) -> str:
        """A name that is not used in this block."""
        used = {*self.taken, *(p.name for p in self.block.parameters), *self.block.layers}
        name, number = wanted, 2
        while name in used:
            name, number = f"{wanted}_{number}", number + 1
        return name


def _agree(values: Vector, vector: Vector) -> bool:
    """True if two vectors are equal where neither is MISSING, in at least one call."""
    both = [(a, b) for a, b in zip(values, vector, strict=True) if a is not MISSING and b is not MISSING]
    return bool(both) and all(_equal(a, b) for a, b in both)


def _equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a == b


def as_lists(value: Any) -> Any:
    """A field of a generic op with each tensor as a tuple of its sizes and its dtype, as a spec writes it."""
    if isinstance(value, Tensor):
        return (*value.shape, value.dtype) if value.dtype else value.shape
    return tuple(map(as_lists, value)) if isinstance(value, tuple) else value


def _times(vector: Vector, factor: int) -> Vector:
    return [value if value is MISSING or not _whole(value) else value * factor for value in vector]


def _over(vector: Vector, divisor: int) -> Vector:
    return [value if value is MISSING or not _whole(value) else value // divisor for value in vector]


def _whole(value: Any) -> bool:
    return type(value) is int
