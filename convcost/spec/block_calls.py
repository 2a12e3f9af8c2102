"""Checks of calls of blocks: their arguments, and that blocks do not call each other in a circle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .. import yaml_reader
from ..yaml_reader import Mark
from .nodes import BlockDefinition, LayerItem
from .problems import SpecProblems
from .values import Constant, Items, NameTerm, words


class Calls:
    """Every call of a block in a file, held against the blocks when all of them are known."""

    def __init__(self, problems: SpecProblems) -> None:
        self.problems = problems
        self.calls: list[tuple[LayerItem, Mark]] = []
        self.arguments: list[tuple[LayerItem, yaml_reader.Mapping]] = []
        self.unclear: set[str] = set()
        """Blocks whose own parameters have mistakes: what their calls lack would only be an echo."""

    def check(self, blocks: Mapping[str, BlockDefinition]) -> None:
        """Report arguments that no parameter takes and parameters without one, where no expansion is needed to tell."""
        blocks = {name: block for name, block in blocks.items() if name not in self.unclear}
        for layer, written in self.arguments:
            block = blocks.get(layer.verb)
            for key, mark in written.key_marks.items():
                if block is not None and key not in block.parameters:
                    self.problems.fail(mark, block.unknown(key))
        for layer, mark in self.calls:
            block, given = blocks.get(layer.verb), layer.argument
            if block is None or isinstance(given, NameTerm):
                continue  # a name may stand for a whole row
            row = given.items if isinstance(given, Items) else given.fixed if isinstance(given, Constant) else None
            count = len(row) if isinstance(row, tuple) else 0 if given is None else 1
            if count > len(block.parameters):
                self.problems.fail(mark, block.too_many(count))
            told = {*(layer.named or ()), *(layer.first or ()), *(layer.last or ())}
            for parameter, default in list(block.parameters.items())[count:]:
                if default is None and parameter not in told:
                    self.problems.fail(layer.mark, block.missing(parameter))

    def check_circles(self, blocks: Mapping[str, BlockDefinition]) -> None:
        """Report the first circle of blocks that call each other."""
        calls = {name: set(_verbs(block.layers)) & set(blocks) for name, block in blocks.items()}
        done: set[str] = set()
        for start, called in calls.items():
            if start in done:
                continue
            # Depth first on an explicit list: a chain of blocks may be long.
            stack: list[tuple[str, list[str]]] = [(start, sorted(called))]
            path = [start]
            while stack:
                name, rest = stack[-1]
                if not rest:
                    done.add(name)
                    stack.pop()
                    path.pop()
                    continue
                following = rest.pop()
                if following in path:
                    circle = " -> ".join([*path[path.index(following) :], following])
                    self.problems.fail(blocks[following].mark, f"blocks call each other in a circle: {circle}")
                    return
                if following not in done:
                    stack.append((following, sorted(calls[following])))
                    path.append(following)


def _verbs(layers: Iterable[LayerItem]) -> Iterable[str]:
    for layer in layers:
        yield layer.verb
        yield from _words_in(layer)
        for _, body in layer.bodies:
            yield from _verbs(body)
        yield from _verbs([inner for inner in (layer.merge, layer.split) if inner])
        yield from _verbs(layer.projection or ())


def _words_in(layer: LayerItem) -> Iterable[str]:
    """Blocks that are handed on as arguments are called, too."""
    if layer.argument is not None:
        yield from words(layer.argument)
    for given in (layer.named or {}).values():
        yield from words(given)
