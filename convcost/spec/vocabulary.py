"""The words of the spec language: which are ops, which are reserved, which texts a field takes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from ..ops import REGISTRY
from ..ops.base import GROUPS, Op

STRUCTURES = ("layers", "residual", "branches")
RESERVED = (
    *STRUCTURES, "name", "from", "repeat", "first", "last", "when", "shares", "weights", "merge", "split", "projection",
    "previous", "in_channels", "in_features",
)  # fmt: skip
ANY_TEXT: tuple[str, ...] = ("any text",)


def is_op(word: str) -> bool:
    """True for ``relu``, ``relu_`` and every other registered op, with a trailing underscore if it works in place."""
    if word in REGISTRY:
        return True
    return word.endswith("_") and word[:-1] in REGISTRY and "inplace" in REGISTRY[word[:-1]].__struct_fields__


def op_class(word: str) -> type[Op]:
    """The class behind an op's word, in place or not."""
    return REGISTRY[word] if word in REGISTRY else REGISTRY[word[:-1]]


def in_place_ops() -> Iterable[str]:
    """Names of the ops that have an in-place form."""
    return [name for name, cls in REGISTRY.items() if "inplace" in cls.__struct_fields__]


@cache
def _annotations(cls: type[Op]) -> dict[str, str]:
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        # The annotations as written: `inspect.get_annotations` would import inspect and add nothing.
        found.update(base.__dict__.get("__annotations__", {}))  # noqa: RUF063
    return found


def field_texts(cls: type[Op], field: str) -> tuple[str, ...]:
    """The texts that a field takes: ``padding`` of a convolution takes "same" and "valid"."""
    annotation = str(_annotations(cls).get(field, ""))
    if annotation == "Group":
        return GROUPS
    if "Literal[" in annotation:
        inside = annotation.partition("Literal[")[2].partition("]")[0]
        return tuple(re.findall(r"['\"](\w+)['\"]", inside))
    return ANY_TEXT if "str" in annotation and re.search(r"\bstr\b", annotation) else ()


@cache
def literal_kind(cls: type[Op], field: str) -> str:
    """What a field holds of a call of an operator, as it was: "argument" or "tensor"; "" for all other fields."""
    found = re.search(r"\b(Argument|Tensor)\b", str(_annotations(cls).get(field, "")))
    return found.group().lower() if found else ""


def is_operator(word: str) -> bool:
    """True for ops that hold an operator as it was called: a file may give such a word a meaning of its own."""
    return word in REGISTRY and literal_kind(REGISTRY[word], "arguments") != ""


@cache
def texts() -> frozenset[str]:
    """Every text that some field of some op takes; a block may hand one on."""
    return frozenset(
        word for cls in REGISTRY.values() for field in cls.__struct_fields__ for word in field_texts(cls, field)
    )


@cache
def takes_decimals(cls: type[Op], field: str) -> bool:
    """True for fields that need not come out whole, such as a probability."""
    return bool(re.search(r"\bfloat\b|Probability", str(_annotations(cls).get(field, "float"))))
