"""The words of ops in the spec language: which word calls which op, and which texts a field takes."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Annotated, Any, get_args, get_origin

from ..ops import REGISTRY
from ..ops.base import Op
from ..tensor import Tensor

ANY_TEXT: tuple[str, ...] = ("any text",)
ALIAS = ("__value__", "__supertype__")
"""Where ``type Factor = float`` and ``NewType("Factor", float)`` hold what they stand for."""


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


def _types(cls: type[Op], field: str) -> tuple[object, ...]:
    """The declared type of a field and all that it is made of; () if there is no such field.

    Read one by one: ``msgspec.structs.fields`` and ``typing.get_type_hints`` take a millisecond for each class.
    """
    for base in cls.__mro__:
        declared = getattr(base, "__annotations__", {}).get(field)
        if declared is not None:
            return _named(declared, base.__module__) if isinstance(declared, str) else tuple(_parts(declared))
    return ()


@cache
def _named(annotation: str, module: str) -> tuple[object, ...]:
    """The same for an annotation that stands in a module as text."""
    return tuple(_parts(eval(annotation, vars(sys.modules[module]))))


def _parts(kind: Any) -> Iterator[object]:
    """A type with the types inside a union, a tuple, an alias or an Annotated, and the texts of a Literal."""
    yield kind
    if isinstance(kind, type) and not get_args(kind):
        return
    inside = get_args(kind) or tuple([getattr(kind, name) for name in ALIAS if hasattr(kind, name)])
    for part in inside[:1] if get_origin(kind) is Annotated else inside:
        yield from _parts(part)


@cache
def field_texts(cls: type[Op], field: str) -> tuple[str, ...]:
    """The texts that a field takes: ``padding`` of a convolution takes "same" and "valid"."""
    types = _types(cls, field)
    return tuple([part for part in types if isinstance(part, str)]) or (ANY_TEXT if str in types else ())


@cache
def literal_kind(cls: type[Op], field: str) -> str:
    """What a field holds of a call of an operator, as it was: "argument" or "tensor"; "" for all other fields."""
    types = _types(cls, field)
    return "argument" if Any in types else "tensor" if Tensor in types else ""


def is_operator(word: str) -> bool:
    """True for ops that hold an operator as it was called: a file may give such a word a meaning of its own."""
    return word in REGISTRY and literal_kind(REGISTRY[word], "arguments") != ""


def texts() -> frozenset[str]:
    """Every text that some field of some op takes; a block may hand one on."""
    return _texts(tuple(REGISTRY.values()))


@cache
def _texts(ops: tuple[type[Op], ...]) -> frozenset[str]:
    return frozenset(word for cls in ops for field in cls.__struct_fields__ for word in field_texts(cls, field))


@cache
def takes_decimals(cls: type[Op], field: str) -> bool:
    """True for fields that need not come out whole, such as a probability."""
    types = _types(cls, field)
    return not types or float in types
