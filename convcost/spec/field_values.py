"""Values of a spec to fields of an op: whole numbers, known texts, recorded calls. New kinds of fields come here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import OpError, as_written, nearest
from ..ops.base import Op
from ..tensor import ITEM_BYTES, Tensor
from .values import Word
from .vocabulary import ANY_TEXT, field_texts, literal_kind, takes_decimals


def field_value(cls: type[Op], key: str, value: Any, text: str | None, known: Iterable[str]) -> Any:
    """A field's value, as the op takes it; ``text`` is the expression that it comes from, ``known`` are names in scope.

    Raises:
        OpError: a text that the field does not know, or a decimal number where a whole one is wanted.
    """
    if literal_kind(cls, key):
        return _recorded(cls, key, value)
    if isinstance(value, Word):
        texts = field_texts(cls, key) if key in cls.__struct_fields__ else ()
        if texts is not ANY_TEXT and value not in texts:
            raise OpError(
                f"{cls.op}: {key} is {str(value)!r}, which is not allowed here{nearest(value, [*texts, *known])}"
            )
    elif isinstance(value, float) and not takes_decimals(cls, key):
        shown = f"{text} = {value:.6g}" if text else f"{value:.6g}"
        raise OpError(f"{cls.op}: {key} must be a whole number, not {shown}")
    return value


def _recorded(cls: type[Op], key: str, value: Any) -> Any:
    """The value of a field that holds arguments or tensors.

    Tensors are written as rows of sizes, with the dtype behind them where it does not follow the inputs.

    Raises:
        OpError: something else is written.
    """
    if literal_kind(cls, key) == "argument":
        return _plain(value)
    rows = value if isinstance(value, tuple) else (value,)
    return tuple([_tensor(cls, key, row) for row in rows])


def _plain(value: Any) -> Any:
    """An argument with its words as plain texts."""
    if isinstance(value, tuple):
        return tuple([_plain(item) for item in value])
    return str(value) if isinstance(value, str) else value


def _tensor(cls: type[Op], key: str, row: Any) -> Tensor:
    sizes: list[Any] = list(row) if isinstance(row, tuple) else [None]
    dtype = str(sizes.pop()) if sizes and isinstance(sizes[-1], str) else ""
    if (dtype and dtype not in ITEM_BYTES) or any(type(size) is not int or size < 0 for size in sizes):
        raise OpError(
            f"{cls.op}: {key} is a list of shapes, such as [[64, 56, 56], [49, int64]], not {as_written(row)}"
        )
    return Tensor(tuple(sizes), dtype)
