"""Shortens a list of layers: equal layers in a row become one layer with ``repeat``."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set

from .yaml_text import Arguments, YamlLayer, lines

LONGEST = 24
"""The largest number of layers in a group whose repetitions are found."""


def fold_repeats(layers: list[YamlLayer], names: Set[str]) -> list[YamlLayer]:
    """The same layers with repetitions written once. ``names``: all names in their box."""
    return _groups(_rows(layers, names))


def _rows(layers: list[YamlLayer], names: Set[str]) -> list[YamlLayer]:
    """Fold rows of the same block or op with numbered names, or without names. Only the first layer may differ."""
    folded: list[YamlLayer] = []
    at = 0
    while at < len(layers):
        end = _row_end(layers, at)
        if _stem(layers[at], 1) in names:
            end = at + 1  # a layer with ``repeat`` also takes the name without a number, which is not free
        if end - at > 1:
            folded.append(_repeated(layers[at:end]))
        else:
            folded.append(layers[at])
        at = max(end, at + 1)
    return folded


def _row_end(layers: Sequence[YamlLayer], at: int) -> int:
    """The index after the row that begins at ``at``."""
    first = layers[at]
    stem = _stem(first, 1)
    if first.bodies or not set(first.keywords) <= {"name", "from"} or ("name" in first.keywords and stem is None):
        return at + 1
    end = at + 1
    while end < len(layers) and _follows(layers, at, end, stem):
        end += 1
    return end


def _follows(layers: Sequence[YamlLayer], at: int, end: int, stem: str | None) -> bool:
    layer, first = layers[end], layers[at]
    if layer.kind != first.kind or layer.bodies or set(layer.keywords) - {"name"}:
        return False
    if ("name" in layer.keywords) != ("name" in first.keywords):
        return False
    if "name" in layer.keywords and _stem(layer, end - at + 1) != stem:
        return False
    if end == at + 1:
        differing = _difference(first, layer)
        # Two layers with different sizes are easier to read as two lines, unless a third one is equal to the second.
        third = end + 1 < len(layers) and layers[end + 1].arguments == layer.arguments
        return layer.arguments == first.arguments or (
            differing is not None and (third or not set(differing) & set(layer.arguments or ()))
        )
    return bool(layer.arguments == layers[at + 1].arguments)


def _stem(layer: YamlLayer, number: int) -> str | None:
    """The name without its number, such as ``layer1`` for ``layer1_2`` and the number 2; otherwise None."""
    stem, _, suffix = layer.keywords.get("name", "").rpartition("_")
    return stem if stem and suffix == str(number) else None


def _difference(first: YamlLayer, other: YamlLayer) -> dict[str, str] | None:
    """The arguments that only the first call has, or with another value; None if the calls cannot be compared."""
    if not isinstance(first.arguments, Arguments) or not isinstance(other.arguments, Arguments | type(None)):
        return None
    rest: dict[str, str] = other.arguments or {}
    if set(rest) - set(first.arguments):
        return None
    return {key: value for key, value in first.arguments.items() if rest.get(key) != value}


def _repeated(layers: Sequence[YamlLayer]) -> YamlLayer:
    first, second = layers[0], layers[1]
    repeated = YamlLayer(first.kind, second.arguments, first.keywords)
    repeated.segment = layers[-1].segment
    if "name" in repeated.keywords:
        repeated.keywords["name"] = repeated.keywords["name"].rpartition("_")[0]
    if first.arguments != second.arguments:
        repeated.first = _difference(first, second) or {}
    repeated.keywords["repeat"] = str(len(layers))
    return repeated


def _groups(layers: list[YamlLayer]) -> list[YamlLayer]:
    """Fold equal groups of several layers without names."""
    texts = [_text(layer) for layer in layers]
    folded: list[YamlLayer] = []
    at = 0
    while at < len(layers):
        length, count = _repetition(texts, at)
        if count > 1:
            group = YamlLayer("layers", None, {"repeat": str(count)})
            group.bodies = [layers[at : at + length]]
            folded.append(group)
            at += length * count
        else:
            folded.append(layers[at])
            at += 1
    return folded


def _text(layer: YamlLayer) -> str | None:
    """The text of a layer; None if it has a name or reads layers by name, so that it equals no other layer."""
    text = "\n".join(lines([layer], 0))
    return None if re.search(r"\b(name|from|shares|weights|repeat): ", text) else text


def _repetition(texts: Sequence[str | None], at: int) -> tuple[int, int]:
    """The length and the number of equal groups that begin at ``at`` and shorten the text most."""
    best = (1, 1)
    for length in range(1, LONGEST + 1):
        group = texts[at : at + length]
        if None in group or len(group) < length:
            break
        count = 1
        while texts[at + count * length : at + (count + 1) * length] == group:
            count += 1
        if count > 1 and length * (count - 1) > best[0] * (best[1] - 1):
            best = (length, count)
    return best
