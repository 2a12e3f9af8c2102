"""What the calls of a block differ in, as few parameters as will do: equal sizes are one, multiples are expressions."""

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
from .layers import Values, same
from .tree import Block, Box, Leaf, Parameter
from .yaml_text import value_text

MISSING = object()
"""Stands for the value of a call that does not have the layer, such as a projection that is not there."""

Vector = list[Any]

FACTORS = (2, 3, 4, 6, 8)
LEAST = 4
"""Sizes from this on may be written as multiples of others; below, such a relation is chance."""


def settle(block: Block, values: Values, taken: set[str]) -> None:
    """Find the parameters of a block and the text of each field in it. The blocks that it calls are settled."""
    _Settling(block, values, taken).run()


class _Settling:
    def __init__(self, block: Block, values: Values, taken: set[str]) -> None:
        self.block = block
        self.values = values
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
            common = Counter(present).most_common(1)[0][0]
            if not same(common, parameter.default):
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
                    text = self.text([rows(value) for value in vector], "size", MISSING, None)
            elif field in varying:
                text = self.text(vector, field, defaults[field], self.arriving(column))
            self.block.texts[id(leaf), field] = text

    def call(self, call: Box, column: Sequence[Part | None]) -> None:
        inner = call.block
        assert inner is not None
        for parameter in inner.parameters:
            vector = [inner.argument(each, parameter) if isinstance(each, Box) else MISSING for each in column]
            field = re.sub(r"_[0-9]+\Z", "", parameter.name)
            text = self.text(vector, field, parameter.default, self.arriving(column))
            self.block.texts[id(call), parameter.name] = text

    def arriving(self, column: Sequence[Part | None]) -> dict[str, Vector]:
        """What ``in_channels`` and ``in_features`` are here, in each call."""
        shapes = []
        for part in column:
            refs = () if part is None else part.reads if isinstance(part, Leaf) else part.entry
            shapes.append(self.values.tensor(refs[0]).shape if refs else None)
        found: dict[str, Vector] = {}
        for name, dimension in (("in_channels", 1), ("in_features", -1)):
            if all(shape is None or len(shape) > 1 for shape in shapes):
                found[name] = [MISSING if shape is None else shape[dimension] for shape in shapes]
        return found

    # --- texts

    def text(self, vector: Vector, field: str, default: Any, arriving: dict[str, Vector] | None) -> str:
        """The value that a field has in every call, as an expression if it differs; a new parameter if it must be.

        ``arriving`` is None where no expression can stand.
        """
        present = [value for value in vector if value is not MISSING]
        if all(_equal(value, present[0]) for value in present):
            return value_text(present[0], Elementwise, "arguments" if arriving is None else "")
        known = next((p for p in self.block.parameters if _agree(p.values, vector)), None)
        if known is not None:
            known.values = [b if a is MISSING else a for a, b in zip(known.values, vector, strict=True)]
            return known.name
        lengths = {len(value) if isinstance(value, tuple) else -1 for value in present}
        if len(lengths) == 1 and lengths != {-1}:
            columns = [[v if v is MISSING else v[k] for v in vector] for k in range(lengths.pop())]
            return f"[{', '.join(self.text(column, field, MISSING, arriving) for column in columns)}]"
        found = self.expression(vector, present, field, arriving) if arriving is not None else None
        return found or self.fresh(vector, field, default)

    def expression(self, vector: Vector, present: Vector, field: str, arriving: dict[str, Vector]) -> str | None:
        if any(type(value) is not int for value in present):
            return None
        sources = {**arriving, **{p.name: p.values for p in self.block.parameters}}
        if field == "padding":
            return next(
                (f"{n} // 2" for n, v in sources.items() if "kernel" in n and _agree(_over(v, 2), vector)), None
            )
        if min(present) < LEAST:
            return None
        for name, values in arriving.items():
            if _agree(values, vector):
                return name
        parameters = [p.name for p in self.block.parameters]
        for name in (*parameters, *arriving):
            for factor in FACTORS:
                if _agree(_times(sources[name], factor), vector):
                    return f"{factor} * {name}"
                if _agree(_times(vector, factor), sources[name]):
                    return f"{name} // {factor}"
        return None

    def fresh(self, vector: Vector, field: str, default: Any) -> str:
        name = self.free(field)
        self.block.parameters.append(Parameter(name, list(vector), default))
        return name

    def free(self, wanted: str) -> str:
        """A name that nothing else has in this block."""
        used = {*self.taken, *(p.name for p in self.block.parameters), *self.block.layers}
        name, number = wanted, 2
        while name in used:
            name, number = f"{wanted}_{number}", number + 1
        return name


def _agree(values: Vector, vector: Vector) -> bool:
    """True if two rows are equal wherever both have a value, and have one in common."""
    both = [(a, b) for a, b in zip(values, vector, strict=True) if a is not MISSING and b is not MISSING]
    return bool(both) and all(_equal(a, b) for a, b in both)


def _equal(a: Any, b: Any) -> bool:
    return type(a) is type(b) and a == b


def rows(value: Any) -> Any:
    """What an operator was called with or gave, as rows: a tensor is its sizes and its dtype."""
    if isinstance(value, Tensor):
        return (*value.shape, value.dtype) if value.dtype else value.shape
    return tuple(map(rows, value)) if isinstance(value, tuple) else value


def _times(vector: Vector, factor: int) -> Vector:
    return [value if value is MISSING or not _whole(value) else value * factor for value in vector]


def _over(vector: Vector, divisor: int) -> Vector:
    return [value if value is MISSING or not _whole(value) else value // divisor for value in vector]


def _whole(value: Any) -> bool:
    return type(value) is int
