"""``convcost.compare``: figures of several networks."""

from __future__ import annotations

import io
import json

import pytest

import convcost
from convcost import analyze, compare, fit, load, memory
from convcost.analysis.quantities import budget_keys, lock_keys, quantities, quantity
from convcost.errors import SpecError, UsageError
from convcost.render import render
from convcost.render.documents.comparison import comparison_document

REVOLUTION = ("alexnet_2012", "zfnet", "vgg19", "googlenet", "resnet152")


@pytest.fixture(scope="module")
def revolution():
    return compare([load(name) for name in REVOLUTION])


def column(comparison, key):
    return [row.figures[key] for row in comparison.networks]


def test_the_revolution_of_depth(revolution):
    """Kaiming He's slide: 8, 8, 19, 22 and 152 layers. The errors are those of single networks in their papers."""
    assert [row.name for row in revolution.networks] == list(REVOLUTION)
    assert column(revolution, "depth") == [8, 8, 19, 22, 152]
    assert column(revolution, "top5_error") == [18.2, 16.5, 8.0, 10.07, 5.71]
    assert [row.year for row in revolution.networks] == [2012, 2013, 2014, 2014, 2015]
    assert all(row.accuracy["source"] for row in revolution.networks)


def test_ratios_and_best(revolution):
    assert revolution.relative_to == "alexnet_2012"
    assert revolution.best["params"] == ("googlenet",)
    assert revolution.best["macs"] == ("alexnet_2012",)
    assert revolution.best["top5_error"] == ("resnet152",)
    assert "depth" not in revolution.best
    first, last = revolution.networks[0], revolution.networks[-1]
    assert set(first.ratios.values()) <= {1.0, None}
    # The numbers of torchvision's resnet152 and of the paper's AlexNet.
    assert last.ratios["params"] == 60_192_808 / 60_965_224


def test_ratios_to_the_best_and_to_a_named_network():
    graphs = [load(name) for name in ("vgg16", "resnet50")]
    best = compare(graphs, relative_to="best").networks
    assert best[0].ratios["params"] == 138_357_544 / 25_557_032
    assert best[1].ratios["params"] == 1
    assert best[0].ratios["depth"] is None
    named = compare(graphs, relative_to="resnet50").networks
    assert named[0].ratios["macs"] == 15_470_264_320 / 4_089_184_256


def test_sorted():
    graphs = [load(name) for name in REVOLUTION]
    assert compare(graphs, sort="params").networks[0].name == "googlenet"
    errors = [row.name for row in compare(graphs, sort="top1_error").networks]
    assert errors == ["resnet152", "vgg19", "zfnet", "alexnet_2012", "googlenet"]
    errors = [row.name for row in compare(graphs, sort="top1_error", reverse=True).networks]
    assert errors == ["alexnet_2012", "zfnet", "vgg19", "resnet152", "googlenet"], (
        "a network without a figure is last in both orders"
    )


def test_one_resolution_for_all():
    found = compare([load("resnet50"), load("squeezenet1_1")], batch=2, input_size=(3, 192, 192))
    assert {tuple(row.settings.input_shapes.values()) for row in found.networks} == {((2, 3, 192, 192),)}
    assert found.networks[0].figures["params"] == 25_557_032
    with pytest.raises(SpecError, match="was built for"):
        compare([load("vgg16")], input_size=(3, 64, 64))


def test_the_breakdown_adds_up(revolution):
    for row in revolution.networks:
        assert sum(group.params for group in row.breakdown.values()) == row.figures["params"]
        assert sum(group.macs for group in row.breakdown.values()) == row.figures["macs"]


def test_errors_on_different_data_sets_are_not_compared():
    found = compare([load("lenet5"), load("vgg16")])
    assert {row.accuracy["dataset"] for row in found.networks} == {"MNIST", "ImageNet"}
    assert "top1_error" not in found.best


def test_two_networks_with_one_name():
    found = compare([load("vgg16"), analyze(load("vgg16"), batch=8)])
    assert [row.name for row in found.networks] == ["vgg16 #1", "vgg16 #2"]


def test_reports_are_renamed_in_copies():
    """The original reports keep their names, and the copies share their costs."""
    report = analyze(load("vgg16"))
    layers = report.layers
    found = compare([report, report, load("lenet5")])
    assert [each.about.name for each in found.reports] == ["vgg16 #1", "vgg16 #2", "lenet5"]
    assert report.about.name == report.graph.about.name == "vgg16"
    for copy in found.reports[:2]:
        assert copy.costs is report.costs
        assert copy.layers is layers
        assert copy.graph.nodes is report.graph.nodes
        assert copy.about.title == report.about.title
    again = compare(found.reports, names=["a", "b", "c"])
    assert [each.about.name for each in again.reports] == [row.name for row in again.networks] == ["a", "b", "c"]
    assert [each.about.name for each in found.reports] == ["vgg16 #1", "vgg16 #2", "lenet5"]


def test_a_report_with_a_unique_name_is_not_copied():
    reports = [analyze(load("vgg16")), analyze(load("lenet5"))]
    assert all(one is other for one, other in zip(compare(reports).reports, reports, strict=True))


def test_charts_distinguish_networks_with_the_same_name():
    pytest.importorskip("plotly")
    text = compare([load("vgg16"), load("vgg16")]).plot("totals").to_json()
    assert "vgg16 #1" in text
    assert "vgg16 #2" in text


def test_the_weight_file_contains_the_state_dict():
    """138,357,544 floats for vgg16; in resnet50 also the buffers of 53 batch norms, whose counters are int64."""
    found = compare([load("vgg16"), load("resnet50")]).networks
    assert found[0].figures["weight_file_bytes"] == 4 * 138_357_544
    assert found[1].figures["weight_file_bytes"] == 4 * 25_557_032 + 4 * 2 * 26_560 + 8 * 53


def test_memory(revolution):
    """The peaks are those of ``convcost.memory``, and the weights need less memory than each peak."""
    for row in revolution.networks:
        graph = load(row.name)
        assert row.figures["peak_memory"] == memory(graph, mode="inference").peak_bytes
        assert row.figures["peak_training_memory"] == memory(graph, mode="train").peak_bytes
        assert row.figures["weight_file_bytes"] < row.figures["peak_memory"] < row.figures["peak_training_memory"]
    (small,) = compare([load("resnet50")], batch=4, dtype="bfloat16", input_size=(3, 96, 96)).networks
    expected = memory(load("resnet50"), 4, "bfloat16", "inference", input_size=(3, 96, 96)).peak_bytes
    assert small.figures["peak_memory"] == expected


def test_the_largest_batch_of_a_gpu():
    found = compare([load("vgg16"), load("googlenet")], gpu="rtx4090", sort="largest_training_batch", reverse=True)
    assert [row.name for row in found.networks] == ["googlenet", "vgg16"]
    for row in found.networks:
        assert row.figures["largest_training_batch"] == fit(load(row.name), "rtx4090").batch
        assert row.figures["largest_batch"] > row.figures["largest_training_batch"]
    assert found.best["largest_batch"] == ("googlenet",)
    with pytest.raises(UsageError, match="unknown GPU 'rtx409'; did you mean 'rtx4090'"):
        compare([load("vgg16")], gpu="rtx409")
    with pytest.raises(UsageError, match="'largest_batch'; largest_batch needs a GPU"):
        compare([load("vgg16")], sort="largest_batch")


def test_a_captured_graph_has_no_largest_batch():
    """It has a fixed batch and mode. A figure that is not known is None, not 0."""
    torch = pytest.importorskip("torch")
    graph = convcost.capture(torch.nn.Conv2d(3, 8, 3).eval(), torch.empty(1, 3, 8, 8))
    (row,) = compare([graph], gpu="rtx4090").networks
    assert row.figures["largest_batch"] is row.figures["peak_training_memory"] is None
    assert row.figures["peak_memory"] == 4 * (224 + 3 * 8 * 8 + 8 * 6 * 6)
    assert set(row.unknown) == {"largest_batch", "largest_training_batch", "peak_training_memory"}
    assert "captured for one batch" in row.unknown["largest_batch"]
    assert "captured in eval mode" in row.unknown["peak_training_memory"]


def test_unknown_figures_are_reported():
    torch = pytest.importorskip("torch")
    found = compare(
        [convcost.capture(torch.nn.Conv2d(3, 8, 3).eval(), torch.empty(1, 3, 8, 8)), load("lenet5")], gpu="t4"
    )
    out = io.StringIO()
    render(comparison_document(found), "markdown", out)
    assert out.getvalue().count("Unknown for") == 2
    assert "Peak, training (Conv2d was captured in eval mode" in out.getvalue()


def test_json(revolution):
    found = json.loads(revolution.to_json())
    assert (found["schema"], found["convcost"]) == (1, convcost.__version__)
    assert found["networks"][2]["figures"]["macs"] == 19_632_062_464
    assert type(found["networks"][2]["figures"]["params"]) is int
    assert found["networks"][3]["figures"]["top1_error"] is None
    assert list(found["networks"][0]["figures"]) == list(quantities())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"relative_to": "resnet5"}, "cannot compare with 'resnet5'; did you mean 'resnet50'?"),
        ({"sort": "parms"}, "unknown quantity 'parms'; did you mean 'params'?"),
    ],
)
def test_unknown_names(keys, message):
    with pytest.raises(UsageError) as caught:
        compare([load("resnet50")], **keys)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("wrong", [[], "vgg16", None])
def test_wrong_networks(wrong):
    with pytest.raises(UsageError, match="compare takes a list of one or more graphs or reports"):
        compare(wrong)


def test_budgets_are_exact_figures():
    assert {"params", "macs", "flops", "activation_bytes", "weight_file_bytes", "depth"} <= set(budget_keys())
    assert not {"top1_error", "top5_error"} & set(budget_keys())
    assert set(budget_keys()) - set(lock_keys()) == {"peak_memory", "peak_training_memory"}
    report = analyze(load("lenet5"))
    assert all(type(quantity(key, budget_keys()).of(report)) is int for key in budget_keys())
