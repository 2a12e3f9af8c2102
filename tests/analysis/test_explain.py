"""The arithmetic of ``explain``: every substitution evaluates to the stated value."""

from __future__ import annotations

import ast
import math
import operator
from functools import cache

import pytest

import convcost
from convcost import analyze
from convcost.analysis.explain import explain, explain_op
from convcost.errors import OpError
from convcost.ops import REGISTRY
from convcost.sources.load import load_shipped
from support.cases import NETWORKS
from support.networks import chain, network, single

OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}
FUNCTIONS = {"floor": math.floor, "ceil": math.ceil}


def value_of(text):
    """The value of a substitution; None if it is text and not arithmetic."""

    def value(node):
        if isinstance(node, ast.BinOp):
            return OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.UnaryOp):
            return OPERATORS[type(node.op)](value(node.operand))
        if isinstance(node, ast.Call):
            return FUNCTIONS[node.func.id](*map(value, node.args))
        return node.value

    try:
        return value(ast.parse(text.replace(",", "").replace("^", "**"), mode="eval").body)
    except (SyntaxError, KeyError, AttributeError):
        return None


def test_value_of():
    assert value_of("floor((7 + 2*0 - 3) / 3) + 1") == 2
    assert value_of("1*55*55*34,848") == 105_415_200
    assert value_of("(2*7 - 1)^2*3") == 507
    assert value_of("in place, on its input") is None


def check(step, where):
    """Check that every part between equal signs evaluates to the value. True if the first one is arithmetic."""
    if not isinstance(step.value, (int, float)) or not step.substitution:
        return False
    parts = step.substitution.split(" = ")
    values = [value_of(part) for part in parts]
    for found in values:
        # The tolerance also accepts rounded intermediate results such as floor(1.333) + 1.
        assert found is None or found == pytest.approx(step.value, rel=1e-12), (*where, step)
    return values[0] is not None


@cache
def graphs():
    return load_shipped()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_step_of_every_network(name):
    graph = graphs()[name]
    report = analyze(graph)
    seen = set()
    for layer in report.layers:
        key = (layer.op, layer.input_shapes, layer.node.op)
        if key in seen:
            continue
        seen.add(key)
        (found,) = explain(report, layer.name)
        checked = {step.label for step in found.steps if check(step, (name, layer.name))}
        words = {step.label: step.value for step in found.steps}
        if layer.flops:
            assert "FLOPs" in checked
        if layer.macs:
            assert "MACs" in checked
        if layer.params:
            assert {"params", "weights"} & checked
        if layer.activation_bytes and len(layer.output_shapes) == 1:
            assert "output memory" in checked
        assert words["FLOPs"] == layer.flops
        assert words.get("MACs", layer.macs) == layer.macs
        if "params" in words:
            assert words["params"] == layer.params
        memory = [value for label, value in words.items() if label.endswith(" memory")]
        assert sum(memory) == layer.activation_bytes
        assert words.get("bytes read", 0) == layer.bytes_read
        assert words.get("bytes written", 0) == layer.bytes_written


SINGLE = [
    ("conv2d", (3, 9, 11), {"out_channels": 6, "kernel_size": [3, 5], "stride": 2, "padding": 1, "groups": 3}),
    ("conv2d", (3, 9, 9), {"out_channels": 2, "kernel_size": 3, "dilation": 2, "bias": False}),
    ("conv2d", (4, 9, 9), {"out_channels": 2, "kernel_size": 2, "padding": "same"}),
    ("conv2d", (3, 9, 9), {"out_channels": 2, "kernel_size": 3, "connections": [[0, 1], [2]]}),
    ("conv_transpose2d", (4, 5, 5), {"out_channels": 6, "kernel_size": 3, "stride": 2, "output_padding": 1}),
    ("conv_transpose2d", (4, 5, 5), {"out_channels": 6, "kernel_size": 3, "groups": 2, "bias": False}),
    ("conv1d", (2, 30), {"out_channels": 3, "kernel_size": 7, "stride": 3}),
    ("conv3d", (1, 5, 6, 7), {"out_channels": 2, "kernel_size": [1, 2, 3]}),
    ("max_pool2d", (3, 8, 8), {"kernel_size": 3, "stride": 2, "ceil_mode": True}),
    ("max_pool2d", (3, 7, 7), {"kernel_size": 2, "stride": 4, "ceil_mode": True}),
    ("avg_pool2d", (3, 8, 9), {"kernel_size": 3}),
    ("linear", (5, 7), {"out_features": 4}),
    ("linear", (7,), {"out_features": 4, "bias": False}),
    ("batch_norm2d", (4, 5, 5), {}),
    ("layer_norm", (4, 6), {}),
    ("upsample", (2, 5, 5), {"scale_factor": 2, "mode": "bilinear"}),
    ("flatten", (2, 3, 4), {}),
    ("rbf", (84,), {"out_features": 10}),
]  # fmt: skip


@pytest.mark.parametrize(("op", "size", "fields"), SINGLE)
@pytest.mark.parametrize("batch", [1, 4])
def test_every_step_of_single_ops(op, size, fields, batch):
    report = single(op, size, batch, **fields)
    for found in explain(report):
        for step in found.steps:
            check(step, (op,))
        labels = [step.label for step in found.steps]
        assert len(labels) == len(set(labels)), "each label once"
        assert all(step.label and step.formula for step in found.steps)
    assert report.layers[0].input_shapes == ((batch, *size),)


def test_convolution_step_by_step():
    report = single("conv2d", (3, 227, 227), out_channels=96, kernel_size=11, stride=4)
    (found,) = explain(report)
    assert found.op == found.name == "conv2d"
    assert found.fields == {
        "out_channels": 96, "kernel_size": 11, "stride": 4, "padding": 0, "dilation": 1, "groups": 1, "bias": True,
        "in_channels": 3,
    }  # fmt: skip
    assert (found.input_shapes, found.output_shapes) == (((1, 3, 227, 227),), ((1, 96, 55, 55),))
    lines = {step.label: (step.substitution, step.value) for step in found.steps}
    assert lines["output height and width"] == ("((227 + 2*0 - 11) / 4) + 1", 55)
    assert lines["weights"] == ("96*3*11*11", 34_848)
    assert lines["params"] == ("34,848 + 96", 34_944)
    assert lines["MACs"] == ("1*55*55*34,848", 105_415_200)
    assert lines["FLOPs"] == ("210,830,400 + 290,400", 211_120_800)
    assert lines["output memory"] == ("1*96*55*55*4", 1_161_600)
    assert lines["bytes read"] == (f"{3 * 227 * 227 * 4:,} + {34_944 * 4:,}", 758_124)
    assert lines["receptive field"][1] == (11, 11)
    assert lines["effective stride"][1] == "4, 4"


def test_batch_and_dtype():
    graph = chain((3, 8, 8), "{conv2d: {out_channels: 4, kernel_size: 3}, name: conv}")
    (found,) = explain(analyze(graph, batch=5, dtype="float16"), "conv")
    lines = {step.label: step for step in found.steps}
    assert lines["MACs"].substitution == "5*6*6*108"
    assert lines["output memory"].substitution == "5*4*6*6*2"


def test_training():
    graph = chain((3, 8, 8), "{dropout: 0.5, name: drop}")
    for train, value in ((False, 0), (True, 3 * 8 * 8 * 4)):
        report = analyze(graph, train=train)
        (found,) = explain(report, "drop")
        (memory,) = [step for step in found.steps if step.label == "output memory"]
        assert memory.value == report.layers[0].activation_bytes == value


def test_layers_without_costs_are_omitted_unless_all_are():
    graph = chain((3, 8, 8), "{relu: {}, name: act}", "{dropout: 0.5, name: drop}", "{flatten: {}, name: flat}")
    assert [found.name for found in explain(analyze(graph))] == ["act"]
    assert [found.name for found in explain(analyze(graph, train=True))] == ["act", "drop"]
    idle = chain((3, 8, 8), "{dropout: 0.5, name: drop}", "{flatten: {}, name: flat}")
    assert [found.name for found in explain(analyze(idle))] == ["drop", "flat"]


def test_shared_weights_are_read_at_each_use():
    graph = network(
        """
        name: twice
        input: [3, 8, 8]
        layers:
          - {conv2d: {out_channels: 3, kernel_size: 1, bias: false}, name: one}
          - {conv2d: {out_channels: 3, kernel_size: 1, bias: false}, name: two, shares: one}
        """
    )
    report = analyze(graph)
    for name in ("one", "two"):
        (found,) = explain(report, name)
        (read,) = [step for step in found.steps if step.label == "bytes read"]
        assert read.substitution == f"{3 * 64 * 4} + {9 * 4}"


def test_embedding_reads_only_the_indexed_rows():
    graph = explain_op("embedding", {"num_embeddings": 1000, "embedding_dim": 8}, [(1, 5)], "int64")
    (found,) = explain(analyze(graph))
    (read,) = [step for step in found.steps if step.label == "bytes read"]
    assert read.substitution == f"{5 * 8} + {5 * 8 * 4}"


# --- which layers


def test_selection_of_layers():
    report = analyze(convcost.load("resnet18"))
    (one,) = explain(report, "conv2_1.conv_bn_1.conv2d_1")
    assert one.op == "conv2d"
    block = explain(report, "conv2_1")
    assert [found.op for found in block] == [
        "conv2d", "batch_norm2d", "relu", "conv2d", "batch_norm2d", "add", "relu",
    ]  # fmt: skip
    stage = explain(report, "conv2")
    assert [found.name.partition(".")[0] for found in stage] == ["conv2_1"] * 7 + ["conv2_2"] * 7
    everything = explain(report)
    assert len(everything) == len(report.layers) - 1, "flatten costs nothing"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("conv9", "vgg16 has no layer 'conv9'; did you mean 'conv5_3'"),
        ("fc", "vgg16 has no layer 'fc'"),
        ("conv3_1.conv2d_9", "did you mean 'conv3_1.conv2d_1'"),
        ("", "vgg16 has no layer ''"),
        ("conv1_1.", "vgg16 has no layer 'conv1_1.'"),
    ],
)
def test_unknown_layer(name, message):
    with pytest.raises(OpError) as error:
        explain(analyze(convcost.load("vgg16")), name)
    assert message in str(error.value)


# --- a single op


def test_several_inputs():
    report = analyze(explain_op("concat", {}, [(2, 3, 4, 4), (2, 5, 4, 4)]))
    (found,) = explain(report)
    assert found.input_shapes == ((2, 3, 4, 4), (2, 5, 4, 4))
    assert found.output_shapes == ((2, 8, 4, 4),)
    assert report.layers[0].inputs == ("input_1", "input_2")


def test_composite_op():
    report = analyze(explain_op("multihead_attention", {"num_heads": 3}, [(2, 9, 12)]))
    names = [found.name for found in explain(report)]
    assert names[0] == "in_proj"
    assert names[-1] == "out_proj"
    assert report.totals.params == 12 * 36 + 36 + 12 * 12 + 12
    # Projections of queries, keys and values, the output's, and two products of 9 x 9 positions.
    assert report.totals.macs == 2 * (9 * 12 * 36 + 9 * 12 * 12 + 2 * 9 * 9 * 12)


@pytest.mark.parametrize(
    ("op", "fields", "shapes", "message"),
    [
        ("conv", {}, [(1, 3, 8, 8)], "unknown op 'conv'; did you mean 'conv"),
        ("conv2d", {"kernel_size": 3}, [(1, 3, 8, 8)], "conv2d needs out_channels"),
        ("conv2d", {"out_channels": 0, "kernel_size": 3}, [(1, 3, 8, 8)], "out_channels is 0, expected a whole number"),
        ("conv2d", {"out_channels": 1, "kernel": 3}, [(1, 3, 8, 8)], "no field 'kernel'; did you mean 'kernel_size'"),
        ("conv2d", {"out_channels": 1, "kernel_size": 9}, [(1, 3, 8, 8)], "the window is 9 and the padded input"),
        ("add", {}, [(1, 3)], "add takes 2 or more inputs, got 1"),
        ("relu", {}, [(1, 3), (1, 3)], "relu takes 1 input, got 2"),
    ],
)  # fmt: skip
def test_invalid_op(op, fields, shapes, message):
    with pytest.raises(OpError) as error:
        explain_op(op, fields, shapes)
    assert message in str(error.value)
    assert "`" not in str(error.value)


def test_registry_has_common_ops():
    assert {"conv2d", "linear", "max_pool2d", "batch_norm2d"} <= set(REGISTRY)
