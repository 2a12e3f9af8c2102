"""What a spec file is once it is compiled: its blocks and layers, every word of them classified."""

from __future__ import annotations

from typing import Any

from ..errors import nearest
from ..yaml_reader import Mapping, Mark
from .values import Term


class Layer:
    """One item of a list of layers, compiled.

    ``kind``: op, block, choice (the verb is a parameter), layers, residual or branches. ``argument`` is the verb's
    value if it was one value, ``named`` its values by name; a structure has ``bodies`` (branch name or None, layers).
    """

    __slots__ = (
        "argument", "bodies", "first", "fixed", "kind", "last", "mark", "merge", "name", "named", "projection",
        "repeat", "shares", "size", "sources", "split", "verb", "weights", "when",
    )  # fmt: skip

    def __init__(self, kind: str, verb: str, mark: Mark) -> None:
        self.kind = kind
        self.verb = verb
        self.mark = mark
        self.argument: Term | None = None
        self.named: dict[str, Term] | None = None
        self.bodies: tuple[tuple[str | None, tuple[Layer, ...]], ...] = ()
        self.name: str | None = None
        self.sources: tuple[str, ...] | None = None
        self.repeat: Term | None = None
        self.first: dict[str, Term] | None = None
        self.last: dict[str, Term] | None = None
        self.when: Term | None = None
        self.shares: str | None = None
        self.weights: tuple[str, ...] | None = None
        self.merge: Layer | None = None
        self.split: Layer | None = None
        self.projection: tuple[Layer, ...] | None = None
        self.fixed: dict[str, Any] | None = None
        self.size = 0


class Block:
    """A named list of layers with parameters. A default of None in ``parameters`` says: must be given."""

    __slots__ = ("layers", "let", "mark", "name", "parameters")

    def __init__(self, name: str, mark: Mark) -> None:
        self.name = name
        self.mark = mark
        self.parameters: dict[str, Term | None] = {}
        self.let: dict[str, Term] = {}
        self.layers: tuple[Layer, ...] = ()

    def unknown(self, parameter: str) -> str:
        """The message for an argument that is no parameter of this block."""
        names = tuple(self.parameters)
        allowed = f"it has {', '.join(names)}" if names else "it has none"
        return f"block {self.name!r} has no parameter {parameter!r}{nearest(parameter, names)} ({allowed})"

    def too_many(self, count: int) -> str:
        """The message for a row of more arguments than parameters."""
        takes = f"takes {len(self.parameters)}: {', '.join(self.parameters)}" if self.parameters else "takes none"
        return f"block {self.name!r} is given {count} argument{'' if count == 1 else 's'} and {takes}"

    def missing(self, parameter: str) -> str:
        """The message for a parameter that is given no value."""
        needs = ", ".join(name for name, default in self.parameters.items() if default is None)
        return f"block {self.name!r} needs {parameter!r} (it needs {needs})"


class Spec:
    """A compiled file. ``head`` holds the keys that are not layers, as they were written."""

    def __init__(self, root: Mapping, file: str) -> None:
        self.file = file
        self.root = root
        self.name = ""
        self.blocks: dict[str, Block] = {}
        self.parameters: dict[str, Term | None] = {}
        self.let: dict[str, Term] = {}
        self.layers: tuple[Layer, ...] = ()
        self.variants: dict[str, Mapping] = {}
