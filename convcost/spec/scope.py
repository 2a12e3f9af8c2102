"""Names in a spec file: what each means where it is read, and which are free. The rules of scope are changed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..errors import nearest
from ..ops import REGISTRY
from ..yaml_reader import Mapping, Mark, Row, Value
from . import vocabulary
from .expressions import CONSTANTS, FUNCTIONS
from .header import HeaderChecks
from .keywords import COMPANIONS, RESERVED, SIZES, STRUCTURES
from .values import Term, term, words
from .vocabulary import is_op, is_operator

MAX_NAMES = 1_000


class NameChecks(HeaderChecks):
    """Knows the names that can be read where the compiler stands: ``known`` values, ``local`` layers, blocks."""

    def __init__(self, file: str) -> None:
        super().__init__(file)
        self.known: set[str] = set()
        self.local: frozenset[str] = frozenset()
        self.block_names: dict[str, None] = {}
        self.in_head = True

    def free_names(self, names: dict[str, Mark], taken: set[str]) -> set[str]:
        """Refuse names that mean something else already: one set of names for everything but layers."""
        fresh: set[str] = set()
        for name, mark in names.items():
            if len(taken) + len(fresh) >= MAX_NAMES:
                self.fail(mark, f"more than {MAX_NAMES:,} parameters, blocks and names of 'let:'")
                raise self.error()
            if not self.is_name(name, mark):
                pass
            elif is_op(name) and not is_operator(name):
                self.fail(mark, f"{name!r} is an op; choose another name")
            elif name in RESERVED:
                self.fail(mark, f"{name!r} is a keyword of the spec language; choose another name")
            elif name in taken:
                self.fail(mark, f"{name!r} is already used in this file; choose another name")
            # Refused or not, it counts as known: one mistake is reported once.
            fresh.add(name)
        return taken | fresh

    def parameters(self, holder: Mapping, known: set[str]) -> tuple[dict[str, Term | None], dict[str, Mark]]:
        """``[width, stride: 1]``: names, those with a default as mappings of one key; and their places."""
        found: dict[str, Term | None] = {}
        marks: dict[str, Mark] = {}
        readable = set(known)
        if "parameters" not in holder:
            return found, marks
        row = self.row(holder["parameters"], holder.marks["parameters"], "parameters")
        for item, mark in zip(row, row.marks, strict=True):
            default = None
            if isinstance(item, str):
                name = item
            elif isinstance(item, Mapping) and len(item) == 1:
                name, given = next(iter(item.items()))
                default = self.term(given, item.marks[name])
                self.check_names(default, item.marks[name], readable, vocabulary.texts)
            else:
                self.fail(mark, "a parameter is a name, or 'name: default'")
                continue
            if name in found:
                self.fail(mark, f"the parameter {name!r} is defined twice")
            found[name] = default
            marks[name] = mark
            readable.add(name)
        return found, marks

    def let(self, holder: Mapping, taken: set[str]) -> tuple[dict[str, Term], set[str]]:
        """The terms of ``let:``, each of which may read those above it; and all names that are now taken."""
        found: dict[str, Term] = {}
        inner = self.mapping(holder, "let")
        known = self.free_names(inner.key_marks, taken)
        readable = set(taken)
        for name, value in inner.items():
            found[name] = self.term(value, inner.marks[name])
            self.check_names(found[name], inner.marks[name], readable, vocabulary.texts)
            readable.add(name)
        return found, known

    def term(self, value: Value, mark: Mark) -> Term:
        return term(value, lambda message: self.fail(mark, message))

    def check_names(self, value: Term, mark: Mark, known: set[str], texts: Callable[[], Iterable[str]] = tuple) -> None:
        """Report names that nothing in the file defines. A word alone may also be an op, a block, a layer or a text.

        ``texts`` is called where no other meaning is found: those of all ops take a millisecond.
        """
        alone = set(words(value))
        for name in value.names:
            if name in SIZES:
                if self.in_head:
                    self.fail(mark, f"{name} is only available in layers and blocks, which have an input")
                continue
            if name in known:
                continue
            stem = name.rstrip("0123456789").rstrip("_")
            if name in alone and (is_op(name) or name in self.block_names or name in self.local or name in texts()):
                continue
            if name in alone and stem != name and (stem in self.local or stem in self.block_names):
                continue  # a repetition, or a layer by its word and number
            candidates = [*CONSTANTS, *FUNCTIONS, *SIZES, *texts(), *known]
            if name in alone:
                candidates += [*self.block_names, *REGISTRY]
            self.fail(mark, f"unknown name {name!r}{nearest(name, candidates)}")

    def local_names(self, layers: Value) -> frozenset[str]:
        """Names that a body's layers may be referred to by: those given, and a word for each verb."""
        found: set[str] = {"previous", *self.input_names}
        pending: list[Value] = [layers]
        while pending:
            value = pending.pop()
            if isinstance(value, str):
                found.add(value.rstrip("_"))
            elif isinstance(value, Row):
                pending.extend(value)
            else:
                name = value.get("name")
                if isinstance(name, str):
                    found.add(name)
                for key, inner in value.items():
                    found.add("add" if key == "residual" else key.rstrip("_"))
                    if key == "branches" and isinstance(inner, Mapping):
                        found.update(inner)
                        pending.extend(inner.values())
                    elif key in STRUCTURES or key in COMPANIONS:
                        pending.append(inner)
        return frozenset(found)
