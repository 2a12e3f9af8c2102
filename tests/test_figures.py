"""No figure has changed: the digests of tests/figures.json, for a few sources here and for all of them every night."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest

import figures
from support.cases import few
from support.pinned import other_versions

KNOWN = json.loads(figures.DIGESTS.read_text(encoding="utf-8"))
SOME = ("lenet5", "mobilenet_v3_small", "googlenet", "vit_b_16", "torchvision:resnet18")


@pytest.mark.filterwarnings("ignore")  # those of foreign packages
@pytest.mark.parametrize("source", few(KNOWN, SOME))
def test_figures_are_what_they_were(source):
    if ":" in source or source == "captured":
        if not (find_spec("torch") and find_spec("timm") and find_spec("torchvision")):
            pytest.skip("needs torch, torchvision and timm")
        if others := other_versions("torch", "torchvision", "timm"):
            pytest.skip(f"recorded with the versions of constraints.txt: {', '.join(others)}")
    found = {name.rpartition(": ")[2]: figures.digest(content()) for name, content in figures.cases([source])}
    assert found == KNOWN[source]


def test_a_changed_number_has_another_digest():
    """Texts count with their numbers only; names and numbers count as they are."""
    assert figures.plain({"note": "2 layers of 3.5 MB", "convcost": "1.0"}) == {"note": ["2", "3.5"]}
    assert figures.digest(figures.plain({"macs": 7})) != figures.digest(figures.plain({"macs": 8}))
    assert figures.digest(figures.plain("has 7 layers")) == figures.digest(figures.plain("7 layers"))
