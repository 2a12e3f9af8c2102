"""A whole spec file, and the proof that it says the same."""

from __future__ import annotations

from typing import Any

import yaml

from ..aliasing import overwritten
from ..graph import GIVEN, Graph, Node
from ..ops import REGISTRY
from ..spec.keywords import RESERVED
from ..spec.vocabulary import texts
from ..tensor import COMPUTABLE, Tensor
from ..units import count
from .blocks import choose, name_blocks
from .emit import Scope, Writer
from .joins import enter, fold
from .layers import Values, calls, identity
from .parameters import MISSING, settle
from .paths import Shadow, grow, input_names, word
from .tree import Block, Box, Item, Leaf, UnwritableError, boxes
from .yaml_text import lines, value_text


def spec_text(graph: Graph, values: Values, name: str, made_by: str, level: str) -> str:
    """The spec of a graph. ``level``: "blocks", "groups" or "flat", from the shortest to the plainest."""
    leaves = calls(graph, values)
    names = input_names(graph)
    avoid: set[Shadow] = set()
    for _ in range(ATTEMPTS):
        root = grow(graph, leaves, level == "flat", avoid)
        enter(root)
        root.entry = ((-1, 0),)
        found = _blocks(graph, root, leaves, values) if level == "blocks" else []
        writer = Writer(leaves, _homes(root), names, fold=level == "blocks")
        written = writer.file(root)
        blocks = [line for block in found for line in _block(block, writer)]
        if not writer.shadows:
            break
        avoid |= writer.shadows
    else:
        raise UnwritableError(f"{min(writer.shadows)[1]!r} is the name of two layers that are read at one place")
    head = _head(graph, values, name, names, made_by)
    parts = [*head, *_outputs(graph, leaves, writer, root), *_recorded(graph, values), ""]
    if blocks:
        parts += ["blocks:", *blocks, ""]
    return "\n".join([*parts, "layers:", *lines(written, 2)]) + "\n"


ATTEMPTS = 8
"""How often names are chosen anew because one hid another."""


def _blocks(graph: Graph, root: Box, leaves: list[Leaf], values: Values) -> list[Block]:
    """Fold the tree; the blocks that its boxes are calls of, ready to be written."""
    fold(root, values)
    found = choose(root, values)
    words = {*REGISTRY, *RESERVED, *texts(), "input"}
    taken = words | {leaf.segment for leaf in leaves} | _called_with(graph)
    segments = {box.segment for box in boxes(root.items)}
    name_blocks(found, taken)
    for block in reversed(found):
        settle(block, values, taken | segments)
    return found


def _called_with(graph: Graph) -> set[str]:
    """Words among the arguments of operators: in a block, a parameter would take their place."""
    found: set[str] = set()
    pending = [
        value for node in graph for value in (getattr(node.op, "arguments", ()), getattr(node.op, "keywords", ()))
    ]
    while pending:
        value = pending.pop()
        if isinstance(value, tuple):
            pending.extend(value)
        elif isinstance(value, str):
            found.add(value)
    return found


def _homes(root: Box) -> dict[int, Box]:
    """The box that each layer lies in."""
    found: dict[int, Box] = {}
    pending: list[tuple[Box, list[Item]]] = [(root, root.items)]
    while pending:
        box, items = pending.pop()
        for item in items:
            if isinstance(item, Leaf):
                found[item.position] = box
            elif isinstance(item, Box):
                pending.append((item, item.items))
            else:
                pending += [(box, body) for body in item.bodies]
                if item.leaf is not None:
                    found[item.leaf.position] = box
    return found


# --- the head


def _head(graph: Graph, values: Values, name: str, inputs: list[str], made_by: str) -> list[str]:
    about = graph.about
    source = about.source or about.name
    found = [
        f"# Written by {made_by} from {_one_line(source)}.",
        f"# {len(graph)} layers, {count(values.params)} parameters, {count(values.macs)} multiply-accumulates"
        f"{_settings(graph)}.",
        f"name: {word(name)}",
    ]
    if about.title and about.title != name:
        found.append(f"title: {_yaml(about.title)}")
    if about.family and about.family != name:
        found.append(f"family: {_yaml(about.family)}")
    if about.reference:
        found.append(f"reference: {_yaml(dict(about.reference))}")
    found += _input_lines(graph, inputs)
    if about.accuracy:
        found.append(f"accuracy: {_yaml(dict(about.accuracy))}")
    if about.published:
        found.append("published:")
        found += [f"  - {_yaml(claim)}" for claim in map(_claim, about.published)]
    return found


def _settings(graph: Graph) -> str:
    """At which batch, and what analyze must be told to count the same."""
    batch = graph.inputs[0][1].shape[0] if graph.inputs and graph.inputs[0][1].shape else 1
    told = f" --dtype {graph.dtype}" if graph.dtype not in (None, "float32") else ""
    told += " --train" if graph.mode == "train" else ""
    told += f" --batch {batch}" if batch != 1 else ""
    return f" at batch {batch}" + (f"; analyze it with{told}" if told else "")


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)[:200]


def _yaml(value: Any) -> str:
    written: str = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=1 << 30, explicit_end=False
    )
    return written.strip().removesuffix("...").strip()


def _claim(claim: Any) -> dict[str, Any]:
    keys = ("quantity", "layer", "value", "convention", "source", "note")
    found = {key: getattr(claim, key) for key in keys if getattr(claim, key) is not None}
    if isinstance(found["value"], tuple):
        found["value"] = list(found["value"])
    return found


def _input_lines(graph: Graph, names: list[str]) -> list[str]:
    if not graph.inputs:
        raise UnwritableError("a spec has an input; this network has none")
    batches = {tensor.shape[0] if tensor.shape else None for _, tensor in graph.inputs}
    if len(batches) > 1 or None in batches or any(0 in tensor.shape for _, tensor in graph.inputs):
        shapes = ", ".join(
            f"{name} {list(tensor.shape)}" for name, (_, tensor) in zip(names, graph.inputs, strict=True)
        )
        raise UnwritableError(f"the inputs of a spec have the batch as their first dimension; here they are {shapes}")
    written = [_input(tensor) for _, tensor in graph.inputs]
    if names == ["input"]:
        return [f"input: {written[0]}"]
    if len(names) == 1:
        return [f"inputs: {{{names[0]}: {written[0]}}}"]
    return ["inputs:", *(f"  {name}: {text}" for name, text in zip(names, written, strict=True))]


def _input(tensor: Tensor) -> str:
    shape = value_text(tensor.shape[1:])
    return shape if tensor.dtype in COMPUTABLE else f"{{shape: {shape}, dtype: {tensor.dtype}}}"


def _outputs(graph: Graph, leaves: list[Leaf], writer: Writer, root: Box) -> list[str]:
    last = leaves[-1]
    found = []
    if graph.outputs != tuple((last.position, output) for output in range(last.count)):
        text = writer.names(graph.outputs, Scope(root, None))
        found.append(f"outputs: {text if text.startswith('[') else f'[{text}]'}")
    return found


def _recorded(graph: Graph, values: Values) -> list[str]:
    """A run may do what a spec must not: compute what nobody reads, overwrite what is read later."""
    read = {source for node in graph for source, _ in node.inputs} | {source for source, _ in graph.outputs}
    unread = any(position not in read for position in range(len(graph)))
    if unread or overwritten(graph.nodes, values.outputs, values.inputs, graph.outputs) is not None:
        return ["recorded: true"]
    return []


def _block(block: Block, writer: Writer) -> list[str]:
    written = lines(writer.block(block), 6)
    names = [p.name for p in block.parameters if p.default is MISSING] + block.layers
    names += [f"{p.name}: {value_text(p.default)}" for p in block.parameters if p.default is not MISSING]
    if not names:
        return [f"  {block.name}:", *(line[2:] for line in written)]
    return [f"  {block.name}:", f"    parameters: [{', '.join(names)}]", "    layers:", *written]


# --- the proof


def difference(graph: Graph, again: Graph) -> str | None:
    """What differs between two graphs apart from names; None if they say the same."""
    if [_shape(t) for _, t in graph.inputs] != [_shape(t) for _, t in again.inputs]:
        return "the inputs"
    if len(graph) != len(again):
        return f"{len(again)} layers in place of {len(graph)}"
    for node, other in zip(graph, again, strict=True):
        if identity(node.op) != identity(other.op) or type(node.op) is not type(other.op):
            return f"layer {node.name!r}: {other.op} in place of {node.op}"
        if node.inputs != other.inputs or _owner(node) != _owner(other):
            return f"layer {node.name!r}: what it reads"
    return None if graph.outputs == again.outputs else "the outputs"


def _shape(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.shape[1:], "floating" if tensor.dtype in COMPUTABLE else tensor.dtype


def _owner(node: Node) -> int:
    return node.owner if node.owner == GIVEN or node.op.weights() else -1
