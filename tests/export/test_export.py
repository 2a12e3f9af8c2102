"""``export``: a written spec reads back as the same network, for any graph, and repetitions are written once."""

from __future__ import annotations

import json
import re
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import convcost
from convcost import Graph, Node, SourceError, Tensor, UsageError, analyze, export, load
from convcost.graph import GIVEN, OWN
from convcost.ops import generic, make, ready
from convcost.sources.load import graph_from_text, load_shipped
from support.cases import NETWORKS, cases

SHIPPED = load_shipped()


def reread(graph):
    return graph_from_text(export(graph), "written.yaml")


def figures(graph, **how):
    """Everything that ``analyze`` reports except the names and positions of layers."""
    report = analyze(graph, **how)
    return report.totals, [
        (type(layer.node.op), layer.node.op, layer.node.inputs, layer.node.owner, layer.cost) for layer in report.layers
    ]


def body(text):
    """A spec without its comments, which name its source."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("#"))


IMAGE = (("input", Tensor((1, 8, 8, 8))),)


def built(rows, inputs=IMAGE, outputs=None, **about):
    """A graph of (name, op, fields, inputs[, owner]) with bound ops."""
    nodes, values = [], []

    def tensor(reference):
        source, output = reference
        return values[source][output] if source >= 0 else inputs[-1 - source][1]

    for name, word, fields, reads, *owner in rows:
        op = make(word, fields)
        arriving = tuple(map(tensor, reads if GIVEN not in owner else reads[: op.arity[0]]))
        op = ready(op, arriving)
        values.append(op.outputs(arriving))
        nodes.append(Node(name, op, tuple(reads), *owner))
    return Graph(nodes, inputs, outputs, **about)


CONV = {"out_channels": 8, "kernel_size": 3, "padding": 1}

# --- shipped networks


@pytest.mark.parametrize("name", NETWORKS)
def test_shipped_networks_read_back_as_the_same(name):
    graph = SHIPPED[name]
    text = export(graph)
    again = graph_from_text(text, "written.yaml")
    assert [node.name for node in again] == [node.name for node in graph]
    assert figures(again) == figures(graph)
    assert figures(again, batch=3, train=True) == figures(graph, batch=3, train=True)
    assert again.about.title == graph.about.title
    assert again.about.reference == graph.about.reference
    assert again.about.published == graph.about.published
    assert body(export(again)) == body(text)


@pytest.mark.parametrize(
    ("name", "most"),
    # The shipped files have, without published figures, 45 (a family), 27, 42 (a family), 33, 100, 41 and 26 lines.
    [("resnet50", 50), ("vgg16", 40), ("densenet121", 45), ("mobilenet_v2", 50), ("inception_v3", 115), ("vit_b_16", 50),
     ("unet", 40)],
)  # fmt: skip
def test_repetition_is_found(name, most):
    lines = [line for line in body(export(SHIPPED[name])).splitlines() if "quantity:" not in line]
    assert len(lines) <= most


def test_a_residual_network_looks_like_the_table_in_its_paper():
    text = export(SHIPPED["resnet50"])
    for line in (
        "  - {bottleneck: 64, name: conv2, repeat: 3}",
        "  - {bottleneck: 128, name: conv3, repeat: 4, first: {stride: 2}}",
        "  - {bottleneck: 256, name: conv4, repeat: 6, first: {stride: 2}}",
        "  - {bottleneck: 512, name: conv5, repeat: 3, first: {stride: 2}}",
    ):
        assert line in text
    inside = [
        "conv2d: {out_channels: out_channels, kernel_size: 1, bias: false}",
        "batch_norm2d",
        "relu_",
        "conv2d: {out_channels: out_channels, kernel_size: 3, stride: stride, padding: 1, bias: false}",
        "batch_norm2d",
        "relu_",
        "conv2d: {out_channels: 4 * out_channels, kernel_size: 1, bias: false}",
        "batch_norm2d",
    ]
    assert "- residual:\n" + "".join(f"          - {line}\n" for line in inside) in text


# --- properties of graphs


def test_shared_weights():
    graph = built([
        ("first", "conv2d", CONV, [(-1, 0)]),
        ("head.a", "relu", {}, [(0, 0)]),
        ("head.b", "conv2d", CONV, [(1, 0)], 0),
        ("tail.conv", "conv2d", CONV, [(2, 0)], 0),
    ])  # fmt: skip
    again = reread(graph)
    assert [node.owner for node in again] == [OWN, OWN, 0, 0]
    assert [node.name for node in again] == [node.name for node in graph]
    assert analyze(again).totals.params == 8 * 8 * 9 + 8
    assert figures(again) == figures(graph)


def test_several_inputs_and_outputs():
    inputs = (("image", Tensor((1, 4, 6, 6))), ("words", Tensor((1, 5), "int64")))
    graph = built(
        [
            ("look", "conv2d", {"out_channels": 6, "kernel_size": 1}, [(-1, 0)]),
            ("parts", "chunk", {"chunks": 3}, [(0, 0)]),
            ("read", "embedding", {"num_embeddings": 9, "embedding_dim": 2}, [(-2, 0)]),
            ("sum", "add", {}, [(1, 2), (1, 0)]),
        ],
        inputs,
        outputs=[(3, 0), (1, 1), (2, 0), (-1, 0)],
    )
    again = reread(graph)
    assert again.inputs == inputs
    assert again.outputs == graph.outputs
    assert figures(again) == figures(graph)


def test_weights_that_are_values():
    graph = built([
        ("weight", "parameter", {"shape": [8, 8, 1, 1], "feeds": "conv"}, []),
        ("scaled", "scale", {"factor": 0.5}, [(0, 0)]),
        ("bias", "parameter", {"shape": [8]}, []),
        ("conv", "conv2d", {"out_channels": 8, "kernel_size": 1}, [(-1, 0), (1, 0), (2, 0)], GIVEN),
        ("again", "conv2d", {"out_channels": 8, "kernel_size": 1, "bias": False}, [(3, 0), (1, 0)], GIVEN),
    ])  # fmt: skip
    text = export(graph)
    again = graph_from_text(text, "written.yaml")
    assert "weights: [scaled, bias]" in text
    assert analyze(again).totals.params == 64 + 8
    assert figures(again) == figures(graph)


def test_in_place_ops_and_unused_results():
    graph = built([
        ("conv", "conv2d", CONV, [(-1, 0)]),
        ("lost", "sigmoid", {}, [(0, 0)]),
        ("act", "relu", {"inplace": True}, [(0, 0)]),
        ("sum", "add", {}, [(0, 0), (2, 0)]),
    ])  # fmt: skip
    text = export(graph)
    assert "\nrecorded: true\n" in text
    assert figures(graph_from_text(text, "written.yaml")) == figures(graph)
    with pytest.raises(convcost.SpecError, match="reaches no output"):
        graph_from_text(text.replace("recorded: true\n", ""), "written.yaml")


def test_generic_operators_with_their_arguments():
    called = {"function": "aten.masked_fill.Scalar", "arguments": ("$0", "$1", float("-inf"))}
    made = {
        "function": "aten.full.default",
        "arguments": ((8, 1), 2.0),
        "keywords": (("dtype", "torch.float32"), ("pin_memory", False), ("note", "a, b: 'c'")),
        "results": [{"shape": (8, 1), "dtype": "float32"}],
    }
    graph = built([
        ("conv", "conv2d", CONV, [(-1, 0)]),
        ("full", "create", made, []),
        ("mask", "compare", {"function": "aten.gt.Scalar", "arguments": ("$0", 0)}, [(1, 0)]),
        ("mask_2", "compare", {"function": "aten.gt.Scalar", "arguments": ("$0", 0.0)}, [(1, 0)]),
        ("fill", "elementwise", called, [(0, 0), (2, 0)]),
        ("sum", "add", {}, [(4, 0), (3, 0)]),
    ])  # fmt: skip
    again = reread(graph)
    assert figures(again) == figures(graph)
    assert isinstance(again.nodes[1].op, generic.Create)
    assert [type(node.op.arguments[1]) for node in again.nodes[2:4]] == [int, float]


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["layer.0.conv", "layer.0.act", "layer.1.conv", "layer.1.act"],
         ["layer_1.conv", "layer_1.act", "layer_2.conv", "layer_2.act"]),
        (["features.0", "features.1", "features.2", "features.3"],
         ["features.conv2d_1", "features.relu_1", "features.conv2d_2", "features.relu_2"]),
        (["0", "1", "2", "3"], ["conv2d_1", "relu_1", "conv2d_2", "relu_2"]),
        (["0.0", "0.1", "1.0", "1.1"], ["part_1.conv2d_1", "part_1.relu_1", "part_2.conv2d_1", "part_2.relu_1"]),
        (["a", "relu", "a.b", "relu_2"], ["a.conv2d_1", "relu_1", "a_2.b", "relu_2"]),
        (["x-y", "größe", "previous", "input"], ["x_y", "gr_e", "_previous", "_input"]),
        (["conv", "x" * 70, "x" * 71, "é"], ["conv", "x" * 60, "x" * 52 + "_2", "_"]),
    ],
)  # fmt: skip
def test_names_of_captures(names, wanted):
    graph = built([
        (names[0], "conv2d", CONV, [(-1, 0)]),
        (names[1], "relu", {}, [(0, 0)]),
        (names[2], "conv2d", CONV, [(1, 0)]),
        (names[3], "relu", {}, [(2, 0)]),
    ], batch_free=False)  # fmt: skip
    again = reread(graph)
    assert [node.name for node in again] == wanted
    assert figures(again) == figures(graph)


def test_a_block_that_reads_a_layer_outside():
    rows = [("stem", "conv2d", CONV, [(-1, 0)])]
    for k in range(3):
        at = len(rows)
        rows += [
            (f"up{k}.conv", "conv2d", CONV, [(at - 1, 0)]),
            (f"up{k}.norm", "batch_norm2d", {}, [(at, 0)]),
            (f"up{k}.sum", "add", {}, [(at + 1, 0), (0, 0)]),
        ]
    text = export(built(rows))
    assert "parameters: [skip]" in text
    assert "{up: stem, name: up2}" in text
    assert figures(graph_from_text(text, "written.yaml")) == figures(built(rows))


def test_batches():
    graph = built([("conv", "conv2d", CONV, [(-1, 0)])], (("x", Tensor((4, 8, 8, 8))),), batch_free=False)
    text = export(graph)
    assert text.splitlines()[1].endswith("at batch 4; analyze it with --batch 4.")
    assert figures(graph_from_text(text, "written.yaml"), batch=4) == figures(graph)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ((("x", Tensor((2, 8, 8, 8))), ("y", Tensor((1, 8, 8, 8)))), "the batch as their first dimension"),
        ((("x", Tensor((1, 8, 8, 8))), ("y", Tensor(()))), "the batch as their first dimension"),
    ],
)
def test_graphs_that_cannot_be_written(inputs, message):
    with pytest.raises(SourceError, match=message):
        export(built([("conv", "conv2d", CONV, [(-1, 0)])], inputs, batch_free=False))


def test_wrong_use():
    with pytest.raises(UsageError, match="export takes a graph"):
        export("resnet50")
    with pytest.raises(UsageError, match="did you mean 'json'"):
        export(load("lenet5"), "jsn")


# --- any graph

WORDS = [
    "a",
    "b",
    "conv",
    "layer1",
    "relu",
    "relu_2",
    "add",
    "0",
    "1",
    "2",
    "input",
    "previous",
    "conv2d_1",
    "é!",
    "skip",
]
KINDS = [
    "conv",
    "pointwise",
    "relu",
    "relu_",
    "norm",
    "add",
    "add_",
    "mul",
    "concat",
    "chunk",
    "shared",
    "given",
    "lost",
]


@st.composite
def networks(draw):
    """Graphs with skips, branches, splits, shared and computed weights, and names from a small pool that conflict."""
    rows, wide, taken = [], [(-1, 0)], set()

    def name():
        found = ".".join(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4)))
        while found in taken:
            found += "_"
        taken.add(found)
        return found

    def value():
        return draw(st.sampled_from(wide[-3:])) if draw(st.booleans()) else wide[-1]

    for kind in draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=14)):
        convs = [at for at, row in enumerate(rows) if row[1] == "conv2d" and row[2] == CONV and row[4] == OWN]
        if kind in ("conv", "lost") or (kind == "shared" and not convs):
            rows.append((name(), "conv2d", CONV, [value()], OWN))
        elif kind == "shared":
            rows.append((name(), "conv2d", CONV, [value()], draw(st.sampled_from(convs))))
        elif kind == "pointwise":
            rows.append((name(), "conv2d", {"out_channels": 8, "kernel_size": 1, "groups": 8}, [value()], OWN))
        elif kind == "given":
            rows.append((name(), "parameter", {"shape": [8, 8, 1, 1]}, [], OWN))
            fields = {"out_channels": 8, "kernel_size": 1, "bias": False}
            rows.append((name(), "conv2d", fields, [value(), (len(rows) - 1, 0)], GIVEN))
        elif kind in ("relu", "relu_"):
            rows.append((name(), "relu", {"inplace": kind == "relu_"}, [value()], OWN))
        elif kind == "norm":
            rows.append((name(), "batch_norm2d", {}, [value()], OWN))
        elif kind in ("add", "add_", "mul"):
            fields = {"inplace": True} if kind == "add_" else {}
            rows.append((name(), kind.rstrip("_"), fields, [value(), value()], OWN))
        elif kind == "concat":
            rows.append((name(), "concat", {}, [value() for _ in range(draw(st.integers(1, 3)))], OWN))
            # Its fields differ from CONV, so that it is not shared: its weights depend on what is concatenated.
            rows.append((name(), "conv2d", {**CONV, "dilation": 1}, [(len(rows) - 1, 0)], OWN))
        else:
            rows.append((name(), "chunk", {"chunks": 2}, [value()], OWN))
            halves = [(len(rows) - 1, draw(st.integers(0, 1))), (len(rows) - 1, draw(st.integers(0, 1)))]
            rows.append((name(), "concat", {}, halves, OWN))
        if kind != "lost":
            wide.append((len(rows) - 1, 0))
    outputs = draw(st.none() | st.lists(st.sampled_from(wide), min_size=1, max_size=3))
    return built(rows, outputs=outputs, batch_free=draw(st.booleans()))


@settings(deadline=None, derandomize=True, max_examples=cases(400), suppress_health_check=list(HealthCheck))
@given(networks())
def test_any_graph_reads_back_as_the_same(graph):
    text = export(graph)
    again = graph_from_text(text, "written.yaml")
    assert figures(again) == figures(graph)
    assert again.outputs == graph.outputs
    assert figures(reread(again)) == figures(graph)


@settings(deadline=None, derandomize=True, max_examples=cases(60), suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.sampled_from([4, 8, 12, 16]), st.sampled_from([1, 2]), st.booleans()), min_size=1, max_size=6)
)
def test_residual_stages_read_back_as_the_same(stages):
    """Residual blocks of any width and stride, with a projection where shapes differ."""
    rows, channels, last = [], 8, (-1, 0)
    for stage, (width, stride, pre) in enumerate(stages):
        for unit in range(2):
            step = stride if unit == 0 else 1
            at, name = len(rows), f"stage{stage}.{unit}"
            fields = {"out_channels": width, "kernel_size": 3, "stride": step, "padding": 1, "bias": False}
            rows += [(f"{name}.conv", "conv2d", fields, [last]), (f"{name}.bn", "batch_norm2d", {}, [(at, 0)])]
            skip = last
            if step != 1 or channels != width:
                short = {"out_channels": width, "kernel_size": 1, "stride": step}
                rows.append((f"{name}.short", "conv2d", short, [last]))
                skip = (at + 2, 0)
            order = [(at + 1, 0), skip]
            rows.append((f"{name}.add", "add", {}, order[::-1] if pre else order))
            last, channels = (len(rows) - 1, 0), width
    graph = built(rows, (("x", Tensor((1, 8, 64, 64))),), batch_free=False)
    assert figures(reread(graph)) == figures(graph)


def test_a_long_chain():
    rows = []
    for k in range(0, 2000, 2):
        conv = {**CONV, "out_channels": 8 + 8 * (k // 500)}
        rows += [(f"net.{k}", "conv2d", conv, [(k - 1, 0)]), (f"net.{k + 1}", "relu", {}, [(k, 0)])]
    graph = built(rows, batch_free=False)
    start = time.perf_counter()
    text = export(graph)
    assert time.perf_counter() - start < 20
    assert len(text.splitlines()) < 40
    assert figures(graph_from_text(text, "written.yaml")) == figures(graph)


# --- JSON


def test_json():
    graph = load("resnet18")
    found = json.loads(export(graph, "json"))
    assert found["schema"] == 1
    assert found["inputs"] == [{"name": "input", "shape": [1, 3, 224, 224], "dtype": "float32"}]
    assert len(found["nodes"]) == len(graph)
    first, last = found["nodes"][0], found["nodes"][-1]
    assert first["op"] == "conv2d"
    assert first["fields"]["kernel_size"] == 7
    assert first["inputs"] == [[-1, 0]]
    assert first["weights"] == [{"name": "weight", "shape": [64, 3, 7, 7], "kind": "parameter"}]
    assert first["outputs"] == [{"shape": [1, 64, 112, 112], "dtype": "float32"}]
    assert last["outputs"] == [{"shape": [1, 1000], "dtype": "float32"}]
    assert found["outputs"] == [[len(graph) - 1, 0]]
    learned = [w["shape"] for node in found["nodes"] for w in node["weights"] if w["kind"] == "parameter"]
    total = 0
    for shape in learned:
        elements = 1
        for size in shape:
            elements *= size
        total += elements
    assert total == 11_689_512  # torchvision's resnet18


def test_the_name():
    assert "\nname: mine\n" in export(load("lenet5"), name="mine")
    assert re.search(r"\nname: my_net_2\n", export(load("lenet5"), name="my net-2"))
