"""The keywords of the spec language, one row each: a new keyword is a row here and the code that gives it meaning.

The allowed keys, the messages about them, the names that a file must not take, and the JSON Schema are derived from
this table. Ops are no keywords: their words come from the registry of ops.
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
    """A word that has a meaning of its own at one kind of place.

    ``kind``: a key of a "file", of a "variant", or of both ("shared"); of a "block", a "claim" or an "input"; in a
    layer a "structure", a "companion" of a structure, or an "adverb" of any layer; in a value a "size" of what arrives,
    or a "reference" to a layer. ``form``: what its value looks like, by its name in ``$defs`` of the JSON Schema.
    ``required``: the key must be there. ``beside``: words of which one must stand in the same layer.
    """

    name: str
    kind: Kind
    form: str
    description: str
    required: bool = False
    beside: tuple[str, ...] = ()


KEYWORDS = (
    Keyword("name", "file", "word", "What the network is called.", required=True),
    Keyword("title", "shared", "text", "Its name for people."),
    Keyword("family", "shared", "text", "What related networks share; default: name."),
    Keyword("reference", "shared", "object", "Where it was published: title, authors, year, arxiv."),
    Keyword("input", "shared", "input", "The size of the input without the batch: [3, 224, 224]."),
    Keyword("inputs", "shared", "inputs", "Several inputs by name; the layers start at the first."),
    Keyword("outputs", "shared", "references", "Layers whose values the network gives; default: the last."),
    Keyword("parameters", "file", "parameters", "Values that variants set with 'with'."),
    Keyword("with", "variant", "chosen", "Values of the file's parameters, in order or by name."),
    Keyword("let", "shared", "let", "Values worked out once from the parameters, in order."),
    Keyword("variants", "file", "variants", "The networks of a family."),
    Keyword("blocks", "file", "blocks", "Lists of layers with a name, called like an op."),
    Keyword("layers", "file", "network", "The network, in order of execution.", required=True),
    Keyword("published", "shared", "claims", "Published figures, as printed; compared with the computed ones."),
    Keyword("accuracy", "shared", "object", "Published accuracy; shown, never used."),
    Keyword("recorded", "file", "boolean", "True for a record of a run: layers that reach no output stay."),
    Keyword("shape", "input", "shape", "Its size without the batch: [128].", required=True),
    Keyword("dtype", "input", "dtype", "Its dtype; default: float32."),
    Keyword("parameters", "block", "parameters", "What the block takes, in order."),
    Keyword("let", "block", "let", "Values worked out at each call, in order."),
    Keyword("layers", "block", "layers", "What it consists of.", required=True),
    Keyword("quantity", "claim", "quantity", "Which quantity it is a figure of.", required=True),
    Keyword("value", "claim", "figure", "As printed, such as 138M or 93MB; a shape as a list.", required=True),
    Keyword("layer", "claim", "reference", "Of this layer or block; default: of the whole network."),
    Keyword("convention", "claim", "convention", "What the source counted."),
    Keyword("source", "claim", "text", "Where it is printed: table 2.", required=True),
    Keyword("note", "claim", "text", "What a reader must know about it."),
    Keyword("layers", "structure", "layers", "A group of layers."),
    Keyword("residual", "structure", "layers", "Adds its input to its result."),
    Keyword("branches", "structure", "branches", "Lists of layers side by side; [] passes the input on.",
            beside=("merge",)),
    Keyword("merge", "companion", "layer", "The op that joins the branches: concat, add, mul.",
            beside=("branches", "residual")),
    Keyword("split", "companion", "layer", "The op that gives each branch its own part: {chunk: 2}.",
            beside=("branches",)),
    Keyword("projection", "companion", "projection",
            "What the skip goes through where shapes differ; 'none' leaves it out there.", beside=("residual",)),
    Keyword("name", "adverb", "word", "What the layer is called; its segment of the path."),
    Keyword("from", "adverb", "sources", "Reads these earlier layers; default: previous."),
    Keyword("repeat", "adverb", "whole", "So many times; 0 leaves it out."),
    Keyword("first", "adverb", "arguments", "Arguments that differ in the first repetition.", beside=("repeat",)),
    Keyword("last", "adverb", "arguments", "Arguments that differ in the last repetition.", beside=("repeat",)),
    Keyword("when", "adverb", "truth", "The layer is there only if this is true."),
    Keyword("shares", "adverb", "reference", "Uses the weights of this earlier layer."),
    Keyword("weights", "adverb", "references", "Uses these values as its weights."),
    Keyword("previous", "reference", "reference", "What arrives at a layer."),
    Keyword("in_channels", "size", "whole", "Channels of what arrives: its second dimension."),
    Keyword("in_features", "size", "whole", "Features of what arrives: its last dimension."),
)  # fmt: skip


@cache
def names(*kinds: Kind) -> tuple[str, ...]:
    """The keywords of these kinds, in the order of the table."""
    return tuple(row.name for row in KEYWORDS if row.kind in kinds)


@cache
def required(*kinds: Kind) -> tuple[str, ...]:
    """Those that must be there."""
    return tuple(row.name for row in KEYWORDS if row.kind in kinds and row.required)


@cache
def companions(structure: str) -> tuple[str, ...]:
    """The words that a structure has beside the adverbs: ``residual`` has merge and projection."""
    return tuple(row.name for row in KEYWORDS if row.kind == "companion" and structure in row.beside)


STRUCTURES = names("structure")
COMPANIONS = names("companion")
ADVERBS = names("adverb")
SIZES = names("size")
RESERVED = (
    *FUNCTIONS, *CONSTANTS, *WORD_OPERATORS, *names("structure", "companion", "adverb", "size", "reference"),
)  # fmt: skip
"""Words that no parameter, block or name of ``let`` can be called."""
