"""Writes the text of a whole spec file, and compares a graph with the one that is read from this text."""

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
from .blocks import find_blocks, name_blocks
from .joins import enter, fold
from .layers import GraphTensors, identity, to_leaves
from .parameters import MISSING, find_parameters
from .paths import Shadow, build_tree, input_names, valid_name
from .spec_writer import Scope, SpecWriter
from .tree import Box, ExportedBlock, Item, Leaf, UnwritableError, boxes
from .yaml_text import lines, value_text


def spec_text(graph: Graph, tensors: GraphTensors, name: str, made_by: str, level: str) -> str:
    """The text of a spec.

    Args:
        graph: the graph to write.
        tensors: its tensors.
        name: the name of the network in the spec.
        made_by: program and version, for the comment in the first line.
        level: "blocks", "groups" or "flat"; see LEVELS in ``export.py``.

    Raises:
        UnwritableError: the spec language cannot express the graph in this form.
    """
    leaves = to_leaves(graph, tensors)
    names = input_names(graph)
    avoid: set[Shadow] = set()
    for _ in range(ATTEMPTS):
        root = build_tree(graph, leaves, level == "flat", avoid)
        enter(root)
        root.entry = ((-1, 0),)
        blocks = _blocks(graph, root, leaves, tensors) if level == "blocks" else []
        writer = SpecWriter(leaves, _boxes_of_layers(root), names, fold=level == "blocks")
        layers = writer.file(root)
        block_lines = [line for block in blocks for line in _block(block, writer)]
        if not writer.shadows:
            break
        avoid |= writer.shadows
    else:
        raise UnwritableError(f"two layers that are read at the same place have the name {min(writer.shadows)[1]!r}")
    header = _header(graph, tensors, name, names, made_by)
    parts = [*header, *_outputs(graph, leaves, writer, root), *_recorded(graph, tensors), ""]
    if block_lines:
        parts += ["blocks:", *block_lines, ""]
    return "\n".join([*parts, "layers:", *lines(layers, 2)]) + "\n"


ATTEMPTS = 8
"""How many times names are chosen again because a name hides another one."""


def _blocks(graph: Graph, root: Box, leaves: list[Leaf], tensors: GraphTensors) -> list[ExportedBlock]:
    """Find joins and blocks in the tree, and the names and parameters of the blocks."""
    fold(root, tensors)
    blocks = find_blocks(root, tensors)
    words = {*REGISTRY, *RESERVED, *texts(), "input"}
    taken = words | {leaf.segment for leaf in leaves} | _argument_words(graph)
    segments = {box.segment for box in boxes(root.items)}
    name_blocks(blocks, taken)
    for block in reversed(blocks):
        find_parameters(block, tensors, taken | segments)
    return blocks


def _argument_words(graph: Graph) -> set[str]:
    """Texts in the arguments of generic ops. A parameter of a block with such a name would replace them."""
    words: set[str] = set()
    pending = [
        value for node in graph for value in (getattr(node.op, "arguments", ()), getattr(node.op, "keywords", ()))
    ]
    while pending:
        value = pending.pop()
        if isinstance(value, tuple):
            pending.extend(value)
        elif isinstance(value, str):
            words.add(value)
    return words


def _boxes_of_layers(root: Box) -> dict[int, Box]:
    """The innermost box of each layer, by the layer's position."""
    box_of: dict[int, Box] = {}
    pending: list[tuple[Box, list[Item]]] = [(root, root.items)]
    while pending:
        box, items = pending.pop()
        for item in items:
            if isinstance(item, Leaf):
                box_of[item.position] = box
            elif isinstance(item, Box):
                pending.append((item, item.items))
            else:
                pending += [(box, body) for body in item.bodies]
                if item.leaf is not None:
                    box_of[item.leaf.position] = box
    return box_of


# --- the header


def _header(graph: Graph, tensors: GraphTensors, name: str, inputs: list[str], made_by: str) -> list[str]:
    about = graph.about
    source = about.source or about.name
    header = [
        f"# Written by {made_by} from {_one_line(source)}.",
        f"# {len(graph)} layers, {count(tensors.params)} parameters, {count(tensors.macs)} multiply-accumulates"
        f"{_settings(graph)}.",
        f"name: {valid_name(name)}",
    ]
    if about.title and about.title != name:
        header.append(f"title: {_yaml(about.title)}")
    if about.family and about.family != name:
        header.append(f"family: {_yaml(about.family)}")
    if about.reference:
        header.append(f"reference: {_yaml(dict(about.reference))}")
    header += _input_lines(graph, inputs)
    if about.accuracy:
        header.append(f"accuracy: {_yaml(dict(about.accuracy))}")
    if about.published:
        header.append("published:")
        header += [f"  - {_yaml(claim)}" for claim in map(_claim, about.published)]
    return header


def _settings(graph: Graph) -> str:
    """The batch, and the options with which ``convcost analyze`` gives the figures of the graph."""
    batch = graph.inputs[0][1].shape[0] if graph.inputs and graph.inputs[0][1].shape else 1
    options = f" --dtype {graph.dtype}" if graph.dtype not in (None, "float32") else ""
    options += " --train" if graph.mode == "train" else ""
    options += f" --batch {batch}" if batch != 1 else ""
    return f" at batch {batch}" + (f"; analyze it with{options}" if options else "")


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)[:200]


def _yaml(value: Any) -> str:
    text: str = yaml.safe_dump(
        value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=1 << 30, explicit_end=False
    )
    return text.strip().removesuffix("...").strip()


def _claim(claim: Any) -> dict[str, Any]:
    keys = ("quantity", "layer", "value", "convention", "source", "note")
    fields = {key: getattr(claim, key) for key in keys if getattr(claim, key) is not None}
    if isinstance(fields["value"], tuple):
        fields["value"] = list(fields["value"])
    return fields


def _input_lines(graph: Graph, names: list[str]) -> list[str]:
    if not graph.inputs:
        raise UnwritableError("a spec needs an input, and this network has none")
    batches = {tensor.shape[0] if tensor.shape else None for _, tensor in graph.inputs}
    if len(batches) > 1 or None in batches or any(0 in tensor.shape for _, tensor in graph.inputs):
        shapes = ", ".join(
            f"{name} {list(tensor.shape)}" for name, (_, tensor) in zip(names, graph.inputs, strict=True)
        )
        raise UnwritableError(
            f"all inputs of a spec must have the batch as their first dimension; the inputs are {shapes}"
        )
    texts_of_inputs = [_input(tensor) for _, tensor in graph.inputs]
    if names == ["input"]:
        return [f"input: {texts_of_inputs[0]}"]
    if len(names) == 1:
        return [f"inputs: {{{names[0]}: {texts_of_inputs[0]}}}"]
    return ["inputs:", *(f"  {name}: {text}" for name, text in zip(names, texts_of_inputs, strict=True))]


def _input(tensor: Tensor) -> str:
    shape = value_text(tensor.shape[1:])
    return shape if tensor.dtype in COMPUTABLE else f"{{shape: {shape}, dtype: {tensor.dtype}}}"


def _outputs(graph: Graph, leaves: list[Leaf], writer: SpecWriter, root: Box) -> list[str]:
    """The line ``outputs``; none if the outputs are those of the last layer."""
    last = leaves[-1]
    if graph.outputs == tuple((last.position, output) for output in range(last.count)):
        return []
    text = writer.names(graph.outputs, Scope(root, None))
    return [f"outputs: {text if text.startswith('[') else f'[{text}]'}"]


def _recorded(graph: Graph, tensors: GraphTensors) -> list[str]:
    """The line ``recorded``, which permits unused results, and in-place ops on values that are read later."""
    read = {source for node in graph for source, _ in node.inputs} | {source for source, _ in graph.outputs}
    unread = any(position not in read for position in range(len(graph)))
    if unread or overwritten(graph.nodes, tensors.outputs, tensors.inputs, graph.outputs) is not None:
        return ["recorded: true"]
    return []


def _block(block: ExportedBlock, writer: SpecWriter) -> list[str]:
    layer_lines = lines(writer.block(block), 6)
    names = [p.name for p in block.parameters if p.default is MISSING] + block.layers
    names += [f"{p.name}: {value_text(p.default)}" for p in block.parameters if p.default is not MISSING]
    if not names:
        return [f"  {block.name}:", *(line[2:] for line in layer_lines)]
    return [f"  {block.name}:", f"    parameters: [{', '.join(names)}]", "    layers:", *layer_lines]


# --- comparison of the graph with the spec


def difference(graph: Graph, reread: Graph) -> str | None:
    """The first difference between two graphs apart from names; None if there is none."""
    if [_shape(t) for _, t in graph.inputs] != [_shape(t) for _, t in reread.inputs]:
        return "the inputs"
    if len(graph) != len(reread):
        return f"the number of layers, {len(reread)} instead of {len(graph)}"
    for node, other in zip(graph, reread, strict=True):
        if identity(node.op) != identity(other.op) or type(node.op) is not type(other.op):
            return f"layer {node.name!r}, {other.op} instead of {node.op}"
        if node.inputs != other.inputs or _owner(node) != _owner(other):
            return f"the inputs or weights of layer {node.name!r}"
    return None if graph.outputs == reread.outputs else "the outputs"


def _shape(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.shape[1:], "floating" if tensor.dtype in COMPUTABLE else tensor.dtype


def _owner(node: Node) -> int:
    return node.owner if node.owner == GIVEN or node.op.weights() else -1
