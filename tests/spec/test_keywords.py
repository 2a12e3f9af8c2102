"""The table of keywords: what is derived from it, and that the documentation names every word."""

from __future__ import annotations

from pathlib import Path

import pytest

from convcost import SpecError
from convcost.sources.load import graph_from_text
from convcost.spec.json_schema import schema
from convcost.spec.keywords import ADVERBS, KEYWORDS, RESERVED, STRUCTURES, companions, names, required
from convcost.spec.nodes import LayerItem

DOCS = (Path(__file__).parents[2] / "docs" / "spec-language.md").read_text("utf-8")
FORMS = schema()["$defs"]
HEAD = "name: net\ninput: [3, 8, 8]\n"


def test_the_words_of_a_layer():
    assert STRUCTURES == ("layers", "residual", "branches")
    assert ADVERBS == ("name", "from", "repeat", "first", "last", "when", "shares", "weights")
    assert [companions(word) for word in STRUCTURES] == [(), ("merge", "projection"), ("merge", "split")]


def test_what_must_be_there():
    assert required("file", "shared") == ("name", "layers")
    assert required("claim") == ("quantity", "value", "source")


def test_no_key_stands_twice_in_one_place():
    for kinds in (("file", "shared"), ("variant", "shared"), ("structure", "companion", "adverb", "size", "reference")):
        words = names(*kinds)
        assert len(words) == len(set(words))


def test_words_that_must_stand_beside_another_are_keywords():
    layer = names("structure", "companion", "adverb")
    assert {word for row in KEYWORDS for word in row.beside} <= {*layer}


@pytest.mark.parametrize("row", KEYWORDS, ids=lambda row: f"{row.kind}-{row.name}")
def test_every_keyword_is_documented(row):
    assert row.description.endswith(".")
    assert row.name in DOCS
    assert row.form in FORMS


@pytest.mark.parametrize("word", RESERVED)
def test_a_reserved_word_is_no_name(word):
    with pytest.raises(SpecError, match=r"word of the spec language|cannot be a name|is an op"):
        graph_from_text(f"{HEAD}parameters: [{word}: 1]\nlayers: [relu]\n", "net.yaml")


@pytest.mark.parametrize("kind", ["file", "variant", "block", "claim"])
def test_an_unknown_key_is_told_with_those_allowed(kind):
    text = {
        "file": f"{HEAD}zzzz: 1\nlayers: [relu]\n",
        "variant": f"{HEAD}variants: {{a: {{zzzz: 1}}}}\nlayers: [relu]\n",
        "block": f"{HEAD}blocks: {{a: {{zzzz: 1, layers: [relu]}}}}\nlayers: [a]\n",
        "claim": f"{HEAD}published: [{{zzzz: 1, quantity: params, value: 0, source: here}}]\nlayers: [relu]\n",
    }[kind]
    keys = names(kind, "shared") if kind in ("file", "variant") else names(kind)
    with pytest.raises(SpecError) as caught:
        graph_from_text(text, "net.yaml")
    assert f"has no key 'zzzz' (allowed: {', '.join(keys)})" in str(caught.value)


def test_every_adverb_has_its_field():
    """What an adverb says is kept until the layer is expanded; ``from`` is a keyword of Python's too."""
    assert {"sources" if word == "from" else word for word in ADVERBS} <= {*LayerItem.__struct_fields__}
