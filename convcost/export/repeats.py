"""Layers that repeat: equal calls in a row are one with ``repeat``."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set

from .yaml_text import Arguments, Call, lines

LONGEST = 24
"""Layers in the longest group that is looked for."""


def folded(calls: list[Call], names: Set[str]) -> list[Call]:
    """The same layers, with repetitions written once; ``names`` are those of the box that they lie in."""
    return _groups(_rows(calls, names))


def _rows(calls: list[Call], names: Set[str]) -> list[Call]:
    """Calls of one block whose names count, or which have none, and that differ in the first at most."""
    found: list[Call] = []
    at = 0
    while at < len(calls):
        end = _row_end(calls, at)
        if _stem(calls[at], 1) in names:
            end = at + 1  # a repetition has its name without a number, too
        if end - at > 1:
            found.append(_repeated(calls[at:end]))
        else:
            found.append(calls[at])
        at = max(end, at + 1)
    return found


def _row_end(calls: Sequence[Call], at: int) -> int:
    first = calls[at]
    stem = _stem(first, 1)
    if first.bodies or not set(first.adverbs) <= {"name", "from"} or ("name" in first.adverbs and stem is None):
        return at + 1
    end = at + 1
    while end < len(calls) and _follows(calls, at, end, stem):
        end += 1
    return end


def _follows(calls: Sequence[Call], at: int, end: int, stem: str | None) -> bool:
    call, first = calls[end], calls[at]
    if call.verb != first.verb or call.bodies or set(call.adverbs) - {"name"}:
        return False
    if ("name" in call.adverbs) != ("name" in first.adverbs):
        return False
    if "name" in call.adverbs and _stem(call, end - at + 1) != stem:
        return False
    if end == at + 1:
        differing = _difference(first, call)
        # Two calls that differ in a size each are plainer as two lines; an argument that only the first has is not.
        third = end + 1 < len(calls) and calls[end + 1].arguments == call.arguments
        return call.arguments == first.arguments or (
            differing is not None and (third or not set(differing) & set(call.arguments or ()))
        )
    return bool(call.arguments == calls[at + 1].arguments)


def _stem(call: Call, number: int) -> str | None:
    """``layer1`` of ``layer1_2``, if 2 is the number."""
    stem, _, counted = call.adverbs.get("name", "").rpartition("_")
    return stem if stem and counted == str(number) else None


def _difference(first: Call, other: Call) -> dict[str, str] | None:
    """The arguments by name that the first call has and the other one has not, or in another value."""
    if not isinstance(first.arguments, Arguments) or not isinstance(other.arguments, Arguments | type(None)):
        return None
    rest: dict[str, str] = other.arguments or {}
    if set(rest) - set(first.arguments):
        return None
    return {key: value for key, value in first.arguments.items() if rest.get(key) != value}


def _repeated(calls: Sequence[Call]) -> Call:
    first, second = calls[0], calls[1]
    made = Call(first.verb, second.arguments, first.adverbs)
    made.segment = calls[-1].segment
    if "name" in made.adverbs:
        made.adverbs["name"] = made.adverbs["name"].rpartition("_")[0]
    if first.arguments != second.arguments:
        made.first = _difference(first, second) or {}
    made.adverbs["repeat"] = str(len(calls))
    return made


def _groups(calls: list[Call]) -> list[Call]:
    """Groups of layers without names that follow each other."""
    texts = [_text(call) for call in calls]
    found: list[Call] = []
    at = 0
    while at < len(calls):
        length, count = _tandem(texts, at)
        if count > 1:
            group = Call("layers", None, {"repeat": str(count)})
            group.bodies = [calls[at : at + length]]
            found.append(group)
            at += length * count
        else:
            found.append(calls[at])
            at += 1
    return found


def _text(call: Call) -> str | None:
    """What a layer is written as; None if it has a name or reads layers by name, and so is not like any other."""
    text = "\n".join(lines([call], 0))
    return None if re.search(r"\b(name|from|shares|weights|repeat): ", text) else text


def _tandem(texts: Sequence[str | None], at: int) -> tuple[int, int]:
    """The length and number of the equal groups that begin here: those that save most."""
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
