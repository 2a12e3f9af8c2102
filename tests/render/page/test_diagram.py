"""The layout of diagrams: rows follow the data, lanes reach every reader."""

from __future__ import annotations

import pytest

import convcost
from convcost import analyze
from convcost.analysis.explain import explain
from convcost.render.page.data import QUANTITIES, Numbers, layer_data
from convcost.render.page.diagram import diagram

NAMES = [
    "vgg16",
    "googlenet",
    "googlenet_aux",
    "resnet50",
    "densenet121",
    "unet",
    "vit_b_16",
    "swin_t",
    "shufflenet_v2_x1_0",
]


def report(name):
    return analyze(convcost.load(name))


def levels(found):
    return [block for block in found["blocks"] if "kids" in block]


@pytest.mark.parametrize("name", NAMES)
def test_lines_go_down_one_row_at_a_time(name):
    for block in levels(diagram(report(name))):
        row_of = {item: row for row, items in enumerate(block["rows"]) for item in items}
        assert sorted(row_of) == list(range(len(block["items"]))), "every item stands in one row"
        for begin, end, _ in block["segments"]:
            assert row_of[end] == row_of[begin] + 1


@pytest.mark.parametrize("name", NAMES)
def test_every_read_is_a_line(name):
    """Followed through lanes and ports, the lines say exactly which layer reads which."""
    found = report(name)
    drawn = diagram(found)
    reads = set()
    for block in levels(drawn):
        into = {}
        for begin, end, value in block["segments"]:
            into.setdefault(end, set()).add((begin, value))
        for item, (kind, which) in enumerate(block["items"]):
            if kind == "child":
                inner = drawn["blocks"][which]
                for origin, value in into.get(item, ()):
                    begin = origin
                    while block["items"][begin][0] == "lane":
                        ((before, same),) = into[begin]
                        assert same == value
                        begin = before
                    source, where = block["items"][begin]
                    if source == "in":
                        assert where == value
                    else:
                        home = drawn["blocks"][where]
                        assert home["start"] <= value < home["stop"]
                    reads |= {(value, p) for p in range(inner["start"], inner["stop"])
                              if value in {s for s, _ in found.layers[p].node.inputs}}  # fmt: skip
    outside = {
        (source, position) for position, layer in enumerate(found.layers) for source, _ in layer.node.inputs
    }  # fmt: skip
    assert reads == outside


def test_branches_of_an_inception_stand_side_by_side():
    drawn = diagram(report("googlenet"))
    block = next(b for b in drawn["blocks"] if b["label"] == "inception_3a")
    rows = [[drawn["blocks"][block["items"][i][1]]["label"] if block["items"][i][0] == "child" else block["items"][i][0]
             for i in row] for row in block["rows"]]  # fmt: skip
    assert rows == [
        ["in"],
        ["conv_1", "conv_2", "conv_4", "max_pool2d_1"],
        ["lane", "conv_3", "conv_5", "conv_6"],
        ["concat_1"],
        ["out"],
    ]


def test_skips_of_a_unet_nest_outside():
    """The shallowest skip is the longest and runs outermost."""
    drawn = diagram(report("unet"))
    root = drawn["blocks"][0]
    bottom = next(k for k, b in enumerate(drawn["blocks"]) if b["label"] == "bottom")
    row = next(row for row in root["rows"] if root["items"][row[0]] == ["child", bottom])
    assert [root["items"][item][0] for item in row] == ["child"] + 4 * ["lane"]
    values = [next(v for a, b, v in root["segments"] if b == item) for item in row[1:]]
    assert values == sorted(values, reverse=True)


def test_a_fresh_page_shows_an_example_of_each_kind():
    drawn = diagram(report("densenet121"))
    labels = [drawn["blocks"][k]["label"] for k in drawn["open"]]
    assert labels == ["densenet121", "block1 × 6", "block1_1"]
    drawn = diagram(report("vgg16"))
    assert [drawn["blocks"][k]["label"] for k in drawn["open"]] == [
        "vgg16",
        *(f"conv{k} × {n}" for k, n in zip(range(1, 6), (2, 2, 3, 3, 3), strict=True)),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_blocks_carry_the_sums_of_their_layers(name):
    found = report(name)
    data = layer_data(found, explain(found, every=True))
    raw = data["numbers"]["raw"]
    for block in data["diagram"]["blocks"]:
        inside = found.layers[block["start"] : block["stop"]]
        sums = [sum(getattr(layer, key) for layer in inside) for key in QUANTITIES]
        assert [int(raw[place]) for place in block["sums"]] == sums


def test_numbers_sort_by_their_places():
    numbers = Numbers([10**20, 5, 5, 0, 2**60 + 1, 2**60])
    assert numbers.values == [0, 5, 2**60, 2**60 + 1, 10**20]
    assert numbers[2**60 + 1] == 3
    assert numbers.texts()["raw"][3] == str(2**60 + 1)
