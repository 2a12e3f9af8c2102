"""Charts as SVG: drawn to scale, and nothing breaks out of a name."""

from __future__ import annotations

import re
from math import log10
from xml.etree import ElementTree

import pytest

from convcost import Graph, Node, Tensor, analyze, load
from convcost.graph import About
from convcost.ops import make
from convcost.render.charts import CHARTS, ComparisonRecords, NetworkRecords, picture

NAMES = ["vgg16", "googlenet", "resnet50", "densenet121", "unet", "mobilenet_v2", "lenet5", "vit_b_16"]
SVG = "{http://www.w3.org/2000/svg}"


def report(name):
    return analyze(load(name))


def drawn(key, *reports):
    """The picture of one network or of several."""
    kind = CHARTS[key]
    return picture(kind.drawn(NetworkRecords(*reports) if kind.of is NetworkRecords else ComparisonRecords(reports)))


def shapes(text, kind):
    """(shape, title) of every shape of this kind that tells something."""
    found = [(shape, shape.find(f"{SVG}title")) for shape in ElementTree.fromstring(text).iter(f"{SVG}{kind}")]
    return [(shape, title.text) for shape, title in found if title is not None]


@pytest.mark.parametrize("name", NAMES)
def test_bars_of_layers_are_drawn_to_scale(name):
    """Heights are proportional to the values that their titles say."""
    found = report(name)
    scales: dict[str, list[float]] = {"parameters": [], "MACs": [], "activation bytes": []}
    sums = dict.fromkeys(scales, 0)
    for bar, title in shapes(drawn("layers", found), "rect"):
        value, unit = re.search(r"; ([0-9,]+) (parameters|MACs|activation bytes)", title).groups()
        number = int(value.replace(",", ""))
        sums[unit] += number
        if float(bar.get("height")) > 20:
            scales[unit].append(float(bar.get("height")) / number)
    assert list(sums.values()) == [found.totals.params, found.totals.macs, found.totals.activation_bytes]
    for found_scales in scales.values():
        assert max(found_scales) == pytest.approx(min(found_scales), rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_shares_are_drawn_to_scale(name):
    """Widths of a bar's pieces are shares of its length; what their titles say adds up to the total."""
    found = report(name)
    rows: dict[str, list[tuple[float, int, int]]] = {}
    for piece, title in shapes(drawn("split", found), "rect"):
        part, whole = map(
            int, re.search(r"([0-9,]+) of ([0-9,]+)", title.replace("  ", " ")).group().replace(",", "").split(" of ")
        )
        rows.setdefault(piece.get("y"), []).append((float(piece.get("width")), part, whole))
    assert len(rows) == 4
    length = sum(width for width, _, _ in next(iter(rows.values())))
    for pieces in rows.values():
        assert sum(part for _, part, _ in pieces) == pieces[0][2]
        for width, part, whole in pieces:
            assert width == pytest.approx(length * part / whole, abs=0.2)


def test_totals_are_drawn_to_scale():
    """VGG-16's bar of parameters is as much longer than AlexNet's as it has more."""
    lengths: dict[str, float] = {}
    for piece, _ in shapes(drawn("totals", report("alexnet"), report("vgg16")), "rect"):
        lengths[piece.get("y")] = lengths.get(piece.get("y"), 0) + float(piece.get("width"))
    alexnet, vgg16 = lengths.values()
    assert vgg16 / alexnet == pytest.approx(138_357_544 / 61_100_840, rel=0.01)


def test_circles_stand_where_error_and_work_are():
    """Top-1 errors as published; areas are proportional to parameters, and MACs lie on a logarithmic axis."""
    names = ("alexnet", "vgg16", "resnet50", "mobilenet_v2")
    found = {report(name).about.title: report(name) for name in names}
    circles = {
        title.split(";")[0].strip(): circle for circle, title in shapes(drawn("bubble", *found.values()), "circle")
    }
    assert set(circles) == set(found)
    vgg, resnet, alexnet, mobile = (
        circles[report(name).about.title] for name in ("vgg16", "resnet50", "alexnet", "mobilenet_v2")
    )
    assert (float(vgg.get("r")) / float(resnet.get("r"))) ** 2 == pytest.approx(138_357_544 / 25_557_032, rel=0.02)
    steps = [float(one.get("cx")) - float(mobile.get("cx")) for one in (vgg, alexnet)]
    macs = [log10(report(name).totals.macs / report("mobilenet_v2").totals.macs) for name in ("vgg16", "alexnet")]
    assert steps[0] / steps[1] == pytest.approx(macs[0] / macs[1], rel=0.01)
    heights = [float(one.get("cy")) for one in (vgg, resnet, alexnet)]
    # 25.6%, 22.85% and 43.478%: higher on the picture is worse.
    assert (heights[0] - heights[1]) / (heights[0] - heights[2]) == pytest.approx(
        (22.85 - 25.6) / (43.478 - 25.6), rel=0.02
    )


def test_depth_is_drawn_to_scale():
    text = drawn("depth", report("vgg16"), report("resnet152"))
    (first, _), (second, _) = shapes(text, "rect")
    # Top-1 errors 25.6% and 21.43%.
    assert float(first.get("height")) / float(second.get("height")) == pytest.approx(25.6 / 21.43, rel=0.01)
    bottom = float(first.get("y")) + float(first.get("height"))
    depths = [bottom - float(circle.get("cy")) for circle, _ in shapes(text, "circle")]
    assert depths[1] / depths[0] == pytest.approx(152 / 16, rel=0.02)


def test_names_are_escaped():
    conv = make("conv2d", {"out_channels": 3, "kernel_size": 1, "in_channels": 3})
    nodes = [Node("</svg><script>x", conv, ((-1, 0),)), Node('a"&b', conv, ((0, 0),))]
    odd = analyze(Graph(nodes, [("x", Tensor((1, 3, 4, 4)))], about=About(name="odd")))
    texts = [text.text for text in ElementTree.fromstring(drawn("layers", odd)).iter(f"{SVG}text")]
    assert 'a"&b' in texts
    assert any(text.startswith("</svg>") for text in texts)


@pytest.mark.parametrize("chart", ["bubble", "depth", "totals"])
def test_names_of_networks_are_escaped(chart):
    conv = make("conv2d", {"out_channels": 3, "kernel_size": 1, "in_channels": 3})
    accuracy = {"top1_error": 1.5, "dataset": "<i>&", "source": "x"}
    reports = [
        analyze(
            Graph(
                [Node("a", conv, ((-1, 0),))],
                [("x", Tensor((1, 3, 4, 4)))],
                about=About(name=name, title=name, accuracy=accuracy),
            )
        )
        for name in ('</svg>"', "a<br>b", "c" * 300)
    ]
    root = ElementTree.fromstring(drawn(chart, *reports))
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert '</svg>"' in texts
    assert root.find(f".//{SVG}script") is None
