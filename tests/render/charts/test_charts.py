"""Charts: what they draw is what the records say."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

import convcost
from convcost import Ceilings, analyze
from convcost.errors import MissingExtraError, UsageError
from convcost.render.blocks import LayerBlock, block_tree
from convcost.render.charts import (
    ComparisonRecords,
    NetworkRecords,
    bubble_chart,
    charts_of,
    depth_chart,
    layers_chart,
    picture,
    roofline_chart,
    split_chart,
    throughput_chart,
    totals_chart,
    tree_chart,
)  # fmt: skip
from convcost.render.charts.figures import plot
from convcost.render.charts.style import COLOURS, arithmetic, ink, label
from convcost.render.formats.grid import spark
from support.networks import chain

NAMES = ["vgg16", "googlenet", "resnet50", "densenet121", "unet", "mobilenet_v2", "lenet5", "vit_b_16"]


def report(name):
    return analyze(convcost.load(name))


@pytest.mark.parametrize("name", NAMES)
def test_bars_of_layers_add_up_to_the_totals(name):
    found = report(name)
    drawn = {"y": 0, "y2": 0, "y3": 0}
    for trace in layers_chart(found).figure["data"]:
        drawn[trace["yaxis"]] += sum(trace["y"])
        assert trace["marker"]["color"] in COLOURS.values()
    totals = found.totals
    assert list(drawn.values()) == [totals.params, totals.macs, totals.activation_bytes]


def test_vgg16_shows_where_parameters_and_work_are():
    """The three fully connected layers stand last; fc6 = 4096 * 25088 + 4096 parameters."""
    figure = layers_chart(report("vgg16")).figure
    ticks = figure["layout"]["xaxis"]["ticktext"]
    assert ticks[:3] == ["conv1_1", "conv1_2", "pool1"]
    assert ticks[-3:] == ["fc6", "fc7", "fc8"]
    (params,) = (t for t in figure["data"] if t["yaxis"] == "y" and t["name"] == "fully connected")
    assert params["y"] == [4096 * 25088 + 4096, 4096 * 4096 + 4096, 1000 * 4096 + 1000]
    assert params["x"] == [19, 20, 21]
    assert params["hovertext"][0] == (
        "<b>fc6</b> linear, 1x4096<br>102,764,544 parameters<br>= weights + biases = 102,760,448 + 4,096"
    )


def test_every_name_of_a_group_is_shown_once():
    for name in NAMES:
        shown = [t["name"] for t in layers_chart(report(name)).figure["data"] if t["showlegend"]]
        assert len(shown) == len(set(shown))


@pytest.mark.parametrize("name", NAMES)
def test_shares_fill_each_bar(name):
    found = report(name)
    figure = split_chart(found).figure
    for row in range(4):
        assert sum(trace["x"][row] for trace in figure["data"]) == pytest.approx(100)
    by_name = {trace["name"]: trace for trace in figure["data"]}
    conv = found.breakdown["conv"]
    if conv.params:
        assert by_name["convolution"]["x"][0] == pytest.approx(100 * conv.params / found.totals.params)


@pytest.mark.parametrize("name", NAMES)
def test_every_block_of_the_treemap_is_the_sum_of_what_is_inside(name):
    found = report(name)
    chart = tree_chart(found, {layer.name: place for place, layer in enumerate(found.layers)})
    trace = chart.figure["data"][0]
    wholes = []
    for view in chart.views:
        values = view.traces[0]["values"]
        inside: dict[str, int] = {}
        for parent, value in zip(trace["parents"], values, strict=True):
            inside[parent] = inside.get(parent, 0) + value
        for own, value in zip(trace["ids"], values, strict=True):
            assert inside.get(own, value) == value
        wholes.append(values[0])
    totals = found.totals
    traffic = totals.bytes_read + totals.bytes_written
    count = len(found.layers)
    assert wholes == [totals.params, totals.macs, totals.activation_bytes, traffic, count * (count - 1) // 2]


def contrast(one, other):
    """Contrast as WCAG 2.1 defines it, of two colours like #0f80cc."""

    def luminance(colour):
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, deep = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (deep + 0.05)


@pytest.mark.parametrize("group", COLOURS)
def test_text_on_a_colour_can_be_read(group):
    assert contrast("#ffffff", "#000000") == pytest.approx(21)
    assert contrast(ink(COLOURS[group]), COLOURS[group]) >= 4.5


def leaves(block: LayerBlock):
    return [leaf for child in block.children for leaf in leaves(child)] if block.children else [block]


@pytest.mark.parametrize("name", NAMES)
def test_the_tree_holds_every_layer_once_in_order(name):
    found = report(name)
    assert [(b.start, b.stop) for b in leaves(block_tree(found))] == [(k, k + 1) for k in range(len(found.layers))]


def test_stages_are_gathered_and_branches_are_not():
    stages = {b.label: b.times for b in block_tree(report("resnet50")).children if b.times}
    assert stages == {"conv2": 3, "conv3": 4, "conv4": 6, "conv5": 3}
    assert {b.label: b.times for b in block_tree(report("densenet121")).children if b.times} == {
        "block1": 6, "block2": 12, "block3": 24, "block4": 16,
    }  # fmt: skip
    inception = next(b for b in block_tree(report("googlenet")).children if b.label == "inception_3a")
    assert [b.label for b in inception.children] == [
        "conv_1", "conv_2", "conv_3", "conv_4", "conv_5", "max_pool2d_1", "conv_6", "concat_1",
    ]  # fmt: skip


# --- speed, of points made here


def point(name, group, roof, flops, bytes_moved, bound_ns, limit="memory"):
    return SimpleNamespace(
        name=name, group=group, roof=roof, flops=flops, bytes_moved=bytes_moved, bound_ns=bound_ns, limit=limit
    )


def test_the_roofline_bends_where_memory_stops_being_the_limit():
    """Peaks of 100 and 40 FLOP/s and 10 bytes/s meet at 10 and 4 FLOPs per byte."""
    points = [
        point("slow", "norm", "vector", 200, 100, 10e9),
        point("fast", "conv", "conv", 5000, 100, 50e9, "compute"),
        point("copy", "other", "", 0, 100, 20e9),
        point("view", "other", "", 0, 0, 0, ""),
    ]
    chart = roofline_chart(points, Ceilings("a <b> device", 100, 40, 40, 10), {"fast": 100e9, "copy": 30e9})
    data = {t["name"]: t for t in chart.figure["data"]}
    assert chart.title == "Roofline on a <b> device"
    assert list(data)[:3] == ["memory: 10 B/s", "convolutions: 100 FLOP/s", "other operations: 40 FLOP/s"]
    assert (data["memory: 10 B/s"]["x"], data["memory: 10 B/s"]["y"]) == ([1, 10], [10, 100])
    assert (data["convolutions: 100 FLOP/s"]["x"], data["convolutions: 100 FLOP/s"]["y"]) == ([10, 100], [100, 100])
    assert data["other operations: 40 FLOP/s"]["x"] == [4, 100]
    assert (data["normalisation, bound"]["x"], data["normalisation, bound"]["y"]) == ([2], [20])
    assert (data["convolution, bound"]["x"], data["convolution, bound"]["y"]) == ([50], [100])
    assert data["convolution, bound"]["marker"]["symbol"] == "circle-open"
    assert data["convolution, bound"]["hovertext"] == [
        "<b>fast</b><br>bound: 50.0 s, limited by compute<br>5,000 FLOPs / 100 bytes = 50 FLOPs per byte<br>100 FLOP/s"
    ]
    assert data["convolution, measured"]["y"] == [50]
    assert data["convolution, measured"]["marker"]["symbol"] == "circle"
    assert len(data) == 6
    assert chart.note.endswith("Not drawn: 1 layers without FLOPs, 25.0% of the bound.")
    assert roofline_chart(points[2:], Ceilings("x", 1, 1, 1, 1)).missing == "no layer does arithmetic"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["float32", "amp-bf16"])
def test_no_layer_stands_above_its_roof_by_more_than_its_other_operations(name, dtype):
    """Tensor cores and vector units together do more than the tensor cores alone, of which a roof speaks."""
    objects = pytest.importorskip("plotly.graph_objects")
    found = convcost.roofline(convcost.load(name), "h200", dtype=dtype)
    figure = roofline_chart(found.layers, found.ceilings).figure
    objects.Figure(json.loads(json.dumps(figure)))
    drawn = [pair for t in figure["data"] if t["mode"] == "markers" for pair in zip(t["x"], t["y"], strict=True)]
    layers = [layer for layer in found.layers if layer.flops and layer.bytes_moved]
    assert sorted(drawn) == sorted((layer.intensity, layer.flops / layer.bound_ns * 1e9) for layer in layers)
    for layer in layers:
        speed = layer.flops / layer.bound_ns * 1e9
        assert speed <= layer.intensity * found.ceilings.bytes_per_s * (1 + 1e-9)
        share = 2 * layer.macs / layer.flops or 1
        assert (
            speed * share <= max(r.rate(layer.roof) for r in (found.ceilings, *found.ceilings.others.values())) * 1.001
        )


def test_throughput():
    chart = throughput_chart({"a": [(1, 10.0), (8, 60.5)], "b": []})
    assert [(t["name"], t["x"], t["y"]) for t in chart.figure["data"]] == [("a", [1, 8], [10.0, 60.5]), ("b", [], [])]
    assert throughput_chart({}).missing == "there are no saved profiles"


# --- several networks


def test_circles_stand_at_macs_and_error_with_parameters_as_area():
    reports = [report(name) for name in ("alexnet", "vgg16", "googlenet", "resnet50")]
    chart = bubble_chart(reports)
    assert [view.label for view in chart.views] == ["top-1 error on ImageNet", "top-5 error on ImageNet"]
    trace = chart.figure["data"][0]
    known = [r for r in reports if "top1_error" in r.about.accuracy]
    assert trace["x"] == [r.totals.macs for r in known]
    assert trace["y"] == [r.about.accuracy["top1_error"] for r in known]
    assert trace["marker"]["size"] == [r.totals.params for r in known]
    assert trace["marker"]["sizemode"] == "area"
    assert chart.views[1].traces[0]["text"] == ["alexnet", "vgg16", "googlenet", "resnet50"]


def test_the_revolution_of_depth_goes_by_year():
    """He et al., 2015: 8 layers, 16 (VGG-16), 22, 152."""
    chart = depth_chart([report(name) for name in ("resnet152", "googlenet", "alexnet_2012", "vgg16")])
    bars, line = chart.figure["data"]
    assert line["y"] == [8, 16, 22, 152]
    assert [name.split("<br>") for name in bars["x"]] == [
        ["alexnet_2012", "2012"], ["vgg16", "2014"], ["googlenet", "2014"], ["resnet152", "2015"],
    ]  # fmt: skip
    assert bars["y"] == [18.2, 8.1, 10.07, 5.71]


def test_networks_on_different_data_are_not_compared():
    reports = [report("vgg16"), report("resnet20_cifar")]
    assert "one dataset" in bubble_chart(reports).missing
    assert "one dataset" in depth_chart(reports).missing
    assert bubble_chart([report("vgg16")]).missing


def test_totals_by_group():
    reports = [report("alexnet"), report("vgg16")]
    for place, key in enumerate(("params", "macs", "activation_bytes")):
        traces = totals_chart(reports).views[place].traces
        sums = [sum(trace["x"][k] for trace in traces) for k in range(2)]
        assert sums == [getattr(r.totals, key) for r in reports]


# --- all of them


@pytest.mark.parametrize("name", NAMES)
def test_plotly_accepts_every_figure(name):
    """plotly's own classes check every attribute and value."""
    objects = pytest.importorskip("plotly.graph_objects")
    drawn = 0
    for chart in (
        *charts_of(NetworkRecords(report(name))),
        *charts_of(ComparisonRecords([report(name), report("vgg16"), report("alexnet")])),
    ):
        if chart.figure is not None:
            objects.Figure(json.loads(json.dumps(chart.figure)))
            drawn += 1
        else:
            assert chart.missing
    assert drawn >= 5


def test_plot_gives_figures():
    pytest.importorskip("plotly")
    found = report("vgg16")
    for key in ("layers", "split", "tree"):
        figure = found.plot(key)
        assert len(figure.data) == len(next(c for c in charts_of(NetworkRecords(found)) if c.key == key).figure["data"])
    assert found.plot().layout.title.text == "Costs by layer"
    buttons = found.plot("tree").layout.updatemenus[0].buttons
    assert [b.label for b in buttons] == ["parameters", "MACs", "activation memory", "bytes moved"]
    assert buttons[1].args[0]["values"][0][0] == found.totals.macs
    assert len(plot(convcost.compare([found, report("alexnet")]), "totals").data) == 5
    with pytest.raises(UsageError, match="unknown chart 'layer'; did you mean 'layers'"):
        found.plot("layer")
    with pytest.raises(UsageError, match="no chart 'memory': the memory over time is unknown"):
        found.plot("memory")


def test_a_roofline_plots_itself():
    pytest.importorskip("plotly")
    found = convcost.roofline(convcost.load("vgg16"), "h200")
    figure = found.plot({"fc6": 90_000.0})
    assert figure.layout.title.text == "Roofline on H200 SXM"
    (measured,) = (trace for trace in figure.data if trace.name.endswith("measured"))
    assert measured.y == (found.layers[-7].flops / 90e-6,)


def test_without_plotly_a_plot_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "plotly", None)
    with pytest.raises(MissingExtraError, match=r"pip install \"convcost\[charts\]\""):
        report("lenet5").plot()


def test_what_costs_nothing_has_no_chart():
    found = analyze(chain((3, 8, 8), "flatten"))
    charts = charts_of(NetworkRecords(found))
    assert [chart.figure for chart in charts[:2]] == [None, None]
    assert all(chart.missing for chart in charts if chart.figure is None)
    assert picture(charts[3]) is None


def test_labels_are_short_and_safe():
    assert label("conv1_1") == "conv1_1"
    assert label("<b>&%{x}") == "&lt;b&gt;&amp;%&#123;x}"
    long = "begin" + 10_000 * "n" + "the.end"
    assert len(label(long)) == 40
    assert label(long).startswith("begin")
    assert label(long).endswith("the.end")


def test_arithmetic_is_that_of_the_explanation():
    told = arithmetic()
    layer = report("vgg16").layers[0]
    assert told(layer, "params") == "weights + biases = 1,728 + 64"
    assert told(layer, "no such step") == ""


def test_sparks():
    assert spark([0, 1, 4, 8]) == " ▁▄█"
    assert spark([1, 1000]) == "▁█"
    assert spark([]) == ""
    assert spark([0, 0]) == "  "
    assert spark(range(1, 65)) == spark(range(2, 66, 2)), "each letter stands for the larger of two"


def test_a_comparison_plots_its_networks():
    pytest.importorskip("plotly")
    names = ("alexnet_2012", "vgg16", "resnet50")
    found = convcost.compare([convcost.load(name) for name in names])
    figure = found.plot("bubble")
    shown = {text for trace in figure.data for text in (trace.text if trace.text is not None else ())}
    assert len(figure.data[0].x) == 3
    assert shown
    assert set(figure.data[0].x) == {convcost.analyze(convcost.load(name)).totals.macs for name in names}
    assert [trace.name for trace in found.plot().data]
    with pytest.raises(UsageError, match="unknown chart 'total'; did you mean 'totals'"):
        found.plot("total")
    assert "reports" not in found.to_dict()
