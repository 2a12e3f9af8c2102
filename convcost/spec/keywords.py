"""The keywords of the spec language, one row each. A new keyword is a row here and the code that implements it.

The allowed keys, the messages about them, the reserved names and the JSON Schema are derived from this table. Ops are
not keywords; their names come from the registry of ops.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import msgspec

from .expressions import CONSTANTS, FUNCTIONS, WORD_OPERATORS

Kind = Literal[
    "file", "shared", "variant", "block", "claim", "input", "structure", "companion", "adverb", "size", "reference"
]


class Keyword(msgspec.Struct, frozen=True):
    """A keyword in one kind of context.

    ``kind``: a key of a "file", of a "variant", or of both ("shared"); of a "block", a "claim" or an "input"; in a
    layer a "structure", a "companion" of a structure, or an "adverb" of any layer; in a value a "size" of the layer's
    input, or a "reference" to a layer. ``form``: the form of its value, a name in ``$defs`` of the JSON Schema.
    ``required``: the key must not be missing. ``beside``: keywords of which the same layer must have one.
    """

    name: str
    kind: Kind
    form: str
    description: str
    required: bool = False
    beside: tuple[str, ...] = ()


KEYWORDS = (
    Keyword("name", "file", "word", "Name of the network.", required=True),
    Keyword("title", "shared", "text", "Title of the network."),
    Keyword("family", "shared", "text", "Family of the network; default: name."),
    Keyword("reference", "shared", "object", "Where it was published: title, authors, year, arxiv."),
    Keyword("input", "shared", "input", "Input size without the batch dimension: [3, 224, 224]."),
    Keyword("inputs", "shared", "inputs", "Several inputs by name; the first layer reads the first one."),
    Keyword("outputs", "shared", "references", "Outputs of the network; default: the last layer."),
    Keyword("parameters", "file", "parameters", "Parameters of the file, which variants set with 'with'."),
    Keyword("with", "variant", "chosen", "Values of the file's parameters, in order or by name."),
    Keyword("let", "shared", "let", "Values computed from the parameters, in order."),
    Keyword("variants", "file", "variants", "The networks of a family."),
    Keyword("blocks", "file", "blocks", "Named lists of layers that are used like ops."),
    Keyword("layers", "file", "network", "The network, in order of execution.", required=True),
    Keyword("published", "shared", "claims", "Published figures, which are compared with the computed ones."),
    Keyword("accuracy", "shared", "object", "Published accuracy; not used in calculations."),
    Keyword("recorded", "file", "boolean", "True for a recorded run: layers that reach no output are allowed."),
    Keyword("shape", "input", "shape", "Size without the batch dimension: [128].", required=True),
    Keyword("dtype", "input", "dtype", "Element type; default: float32."),
    Keyword("parameters", "block", "parameters", "Parameters of the block, in order."),
    Keyword("let", "block", "let", "Values computed at each call, in order."),
    Keyword("layers", "block", "layers", "Layers of the block.", required=True),
    Keyword("quantity", "claim", "quantity", "Quantity of the figure.", required=True),
    Keyword("value", "claim", "figure",
            "The published value, such as 138M or 93MB; a shape is a list without the batch dimension.", required=True),
    Keyword("layer", "claim", "reference", "Layer or block of the figure; default: the whole network."),
    Keyword("convention", "claim", "convention", "What the source counts."),
    Keyword("source", "claim", "text", "Where it is published, such as table 2.", required=True),
    Keyword("note", "claim", "text", "Note for readers."),
    Keyword("layers", "structure", "layers", "A group of layers."),
    Keyword("residual", "structure", "layers", "Adds its input to its result."),
    Keyword("branches", "structure", "branches", "Lists of layers with the same input; [] returns it unchanged.",
            beside=("merge",)),
    Keyword("merge", "companion", "layer", "The op that joins the branches: concat, add, mul.",
            beside=("branches", "residual")),
    Keyword("split", "companion", "layer", "Op whose outputs are the inputs of the branches: {chunk: 2}.",
            beside=("branches",)),
    Keyword("projection", "companion", "projection",
            "Layers that are applied to the input if the shapes differ; 'none': no addition if they differ.",
            beside=("residual",)),
    Keyword("name", "adverb", "word", "Name of the layer, which is its segment of the path."),
    Keyword("from", "adverb", "sources", "Reads these earlier layers; default: previous."),
    Keyword("repeat", "adverb", "whole", "Number of repetitions; 0 omits the layer."),
    Keyword("first", "adverb", "arguments", "Arguments that differ in the first repetition.", beside=("repeat",)),
    Keyword("last", "adverb", "arguments", "Arguments that differ in the last repetition.", beside=("repeat",)),
    Keyword("when", "adverb", "truth", "Condition: the layer is omitted if it is false."),
    Keyword("shares", "adverb", "reference", "Uses the weights of this earlier layer."),
    Keyword("weights", "adverb", "references", "Uses these values as its weights."),
    Keyword("previous", "reference", "reference", "The input of a layer."),
    Keyword("in_channels", "size", "whole", "Channels of the input: its second dimension."),
    Keyword("in_features", "size", "whole", "Features of the input: its last dimension."),
)  # fmt: skip


@cache
def names(*kinds: Kind) -> tuple[str, ...]:
    """The keywords of these kinds, in the order of the table."""
    return tuple(row.name for row in KEYWORDS if row.kind in kinds)


@cache
def required(*kinds: Kind) -> tuple[str, ...]:
    """The keywords of these kinds that must not be missing."""
    return tuple(row.name for row in KEYWORDS if row.kind in kinds and row.required)


@cache
def companions(structure: str) -> tuple[str, ...]:
    """The keywords that only this structure allows besides adverbs: ``residual`` has merge and projection."""
    return tuple(row.name for row in KEYWORDS if row.kind == "companion" and structure in row.beside)


STRUCTURES = names("structure")
COMPANIONS = names("companion")
ADVERBS = names("adverb")
SIZES = names("size")
RESERVED = (
    *FUNCTIONS, *CONSTANTS, *WORD_OPERATORS, *names("structure", "companion", "adverb", "size", "reference"),
)  # fmt: skip
"""Names that parameters, blocks and values of ``let`` cannot have."""
