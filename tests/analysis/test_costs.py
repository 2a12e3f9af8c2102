"""Costs of graphs: batch, size, dtype and mode, views and in-place results, shared weights, memory traffic."""

from __future__ import annotations

import pytest

import convcost
from convcost import Graph, Node, Tensor, analyze
from convcost.errors import OpError, SpecError, UsageError
from convcost.graph import About
from convcost.ops import make
from support.networks import chain, network, record, single

CONV = "conv2d: {out_channels: 8, kernel_size: 3, padding: 1}"
RELU = make("relu", {})
INPUTS = [("input", Tensor((1, 3, 16, 16)))]


def bound(name, shape, **fields):
    return make(name, fields).bind((Tensor(shape),))


# --- batch, size


@pytest.mark.parametrize("batch", [1, 2, 7, 1000])
def test_batch_multiplies_work_and_memory_but_not_weights(batch):
    graph = chain((3, 16, 16), CONV, "batch_norm2d", "relu", "flatten", "linear: 10")
    one, many = analyze(graph).totals, analyze(graph, batch=batch).totals
    assert many.macs == batch * one.macs == batch * (16 * 16 * 8 * 27 + 16 * 16 * 8 * 10)
    assert many.activation_bytes == batch * one.activation_bytes
    assert many.input_bytes == batch * 3 * 16 * 16 * 4
    for same in ("params", "buffers", "weight_bytes", "buffer_bytes", "launches", "depth", "layers"):
        assert getattr(many, same) == getattr(one, same)
    # In evaluation 1/sqrt(var + eps) is computed once per channel at any batch size: add, square root, divide.
    assert many.flops - 8 * 3 == batch * (one.flops - 8 * 3)
    weights = one.weight_bytes + one.buffer_bytes
    assert many.bytes_read - weights == batch * (one.bytes_read - weights)


def test_batch_is_the_first_dimension():
    report = analyze(chain((3, 16, 16), CONV, "flatten"), batch=5)
    assert report.settings.batch == 5
    assert report.settings.input_shapes == {"input": (5, 3, 16, 16)}
    assert [layer.output_shapes for layer in report.layers] == [((5, 8, 16, 16),), ((5, 2048),)]


@pytest.mark.parametrize("batch", [0, -1, 1.0, True, "2"])
def test_invalid_batch(batch):
    with pytest.raises(UsageError, match="the batch size must be an integer from 1 to"):
        analyze(chain((3, 16, 16), CONV), batch=batch)


def test_input_size():
    graph = chain((3, 16, 16), CONV, "max_pool2d: 2", "adaptive_avg_pool2d: 1", "flatten", "linear: 10")
    larger = analyze(graph, input_size=(3, 32, 24))
    assert larger.layers[0].output_shapes == ((1, 8, 32, 24),)
    assert larger.layers[0].macs == 32 * 24 * 8 * 27
    assert larger.layers[1].output_shapes == ((1, 8, 16, 12),)
    assert larger.totals.params == analyze(graph).totals.params
    assert analyze(graph, input_size={"input": [3, 32, 24]}).totals == larger.totals
    assert analyze(graph, input_size=(3, 16, 16)).totals == analyze(graph).totals


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((3, 32), r"has 3 dimensions \(3x16x16\), not 2 \(3x32\)"),
        ((3, 0, 16), "must be integers from 1 to"),
        ((3, -4, 16), "must be integers from 1 to"),
        ({"inputs": (3, 16, 16)}, r"no input 'inputs'; did you mean 'input'\?"),
    ],
)
def test_invalid_size(size, message):
    with pytest.raises(UsageError, match=message):
        analyze(chain((3, 16, 16), CONV), input_size=size)


def test_size_that_a_layer_cannot_process():
    graph = chain((3, 16, 16), CONV, "flatten", "linear: 10")
    with pytest.raises(SpecError, match=r"linear_1.*built for 2048 input features, got 8192"):
        analyze(graph, input_size=(3, 32, 32))
    with pytest.raises(SpecError, match=r"net\.yaml:4:\d+: layer 'conv2d_1'.*built for 3 input channels, got 4"):
        analyze(graph, input_size=(4, 16, 16))


def test_several_inputs():
    graph = network(
        """
        name: two
        inputs: {image: [3, 8, 8], mask: [1, 8, 8]}
        layers:
          - {concat: {}, from: [image, mask]}
          - conv2d: {out_channels: 2, kernel_size: 1, bias: false}
        """
    )
    report = analyze(graph, batch=3, input_size={"image": (3, 4, 4), "mask": (1, 4, 4)})
    assert report.settings.input_shapes == {"image": (3, 3, 4, 4), "mask": (3, 1, 4, 4)}
    assert report.layers[0].inputs == ("image", "mask")
    assert report.totals.macs == 3 * 4 * 4 * 4 * 2
    assert report.totals.input_bytes == 3 * (3 + 1) * 4 * 4 * 4
    with pytest.raises(UsageError, match="2 inputs; specify sizes by name: image, mask"):
        analyze(graph, input_size=(3, 4, 4))
    with pytest.raises(SpecError, match="concat"):
        analyze(graph, input_size={"image": (3, 4, 4)})


def test_captured_graph_keeps_its_shapes():
    op = bound("relu", (2, 3, 16, 16))
    graph = Graph([Node("relu", op, ((-1, 0),))], [("x", Tensor((2, 3, 16, 16)))], batch_free=False)
    assert analyze(graph).layers[0].output_shapes == ((2, 3, 16, 16),)
    assert analyze(graph).settings.batch == 2
    for option in ({"batch": 2}, {"input_size": (3, 16, 16)}):
        with pytest.raises(UsageError, match="captured at fixed shapes"):
            analyze(graph, **option)


# --- dtypes


@pytest.mark.parametrize(("dtype", "size"), [("float32", 4), ("float16", 2), ("bfloat16", 2), ("float64", 8)])
def test_dtype_changes_bytes_only(dtype, size):
    graph = chain((3, 16, 16), CONV, "batch_norm2d", "relu")
    totals = analyze(graph, dtype=dtype).totals
    plain = analyze(graph).totals
    assert totals.activation_bytes == 3 * (8 * 16 * 16) * size
    assert totals.input_bytes == 3 * 16 * 16 * size
    assert totals.weight_bytes == (8 * 27 + 8 + 8 + 8) * size
    assert totals.buffer_bytes == (8 + 8) * size + 8, "num_batches_tracked is int64 in every precision"
    for same in ("params", "buffers", "macs", "flops", "flops_by_kind", "launches"):
        assert getattr(totals, same) == getattr(plain, same)


@pytest.mark.parametrize(("dtype", "low"), [("amp-bf16", "bfloat16"), ("amp-fp16", "float16")])
def test_mixed_precision(dtype, low):
    """Autocast: convolutions and linear layers run in low precision, layer norm and softmax in float32."""
    graph = network(
        """
        name: mixed
        input: [3, 16, 16]
        layers:
          - relu
          - conv2d: {out_channels: 8, kernel_size: 3, padding: 1}
          - batch_norm2d
          - relu
          - flatten: {start_dim: 2}
          - permute: [0, 2, 1]
          - layer_norm
          - linear: 8
          - softmax
        """
    )
    report = analyze(graph, dtype=dtype)
    dtypes = {layer.name: layer.cost.outputs[0].dtype for layer in report.layers}
    assert dtypes == {
        "relu_1": "float32", "conv2d_1": low, "batch_norm2d_1": low, "relu_2": low, "flatten_1": low, "permute_1": low,
        "layer_norm_1": "float32", "linear_1": low, "softmax_1": "float32",
    }  # fmt: skip
    assert report.totals.weight_bytes == 4 * report.totals.params, "weights stay in float32"
    assert report.totals.input_bytes == 4 * 3 * 16 * 16
    values = 8 * 16 * 16
    assert report.totals.activation_bytes == 4 * 3 * 16 * 16 + values * (2 + 2 + 2 + 4 + 2 + 4)
    for same in ("params", "macs", "flops"):
        assert getattr(report.totals, same) == getattr(analyze(graph).totals, same)


def test_mixed_precision_differs_from_low_precision():
    graph = chain((9, 12), "layer_norm", "linear: 12")
    assert analyze(graph, dtype="bfloat16").totals.activation_bytes == 2 * 9 * 12 * 2
    assert analyze(graph, dtype="amp-bf16").totals.activation_bytes == 9 * 12 * (4 + 2)


def test_integer_inputs_keep_their_dtype():
    graph = network(
        """
        name: words
        inputs: {tokens: {shape: [7], dtype: int64}}
        layers:
          - embedding: {num_embeddings: 100, embedding_dim: 16}
        """
    )
    for dtype, size in (("float32", 4), ("bfloat16", 2)):
        totals = analyze(graph, dtype=dtype).totals
        assert totals.input_bytes == 7 * 8
        assert totals.activation_bytes == 7 * 16 * size
        assert totals.params == 100 * 16


def test_indices_are_int64_in_every_precision():
    fields = {"kernel_size": 2, "return_indices": True}
    graph = convcost.analysis.explain.explain_op("max_pool2d", fields, [(1, 4, 8, 8)])
    for dtype, size in (("float32", 4), ("float16", 2)):
        assert analyze(graph, dtype=dtype).totals.activation_bytes == 4 * 4 * 4 * (size + 8)


@pytest.mark.parametrize(
    ("dtype", "near"), [("float", "float32"), ("bf16", ""), ("int8", ""), ("amp-bf32", "amp-bf16")]
)
def test_unknown_dtype(dtype, near):
    with pytest.raises(UsageError, match=f"unknown dtype '{dtype}'.*{near}.*allowed: float32"):
        analyze(chain((3, 16, 16), CONV), dtype=dtype)


# --- mode


def test_training_mode():
    graph = chain((3, 16, 16), CONV, "batch_norm2d", "dropout: 0.25", "stochastic_depth: 0.0")
    evaluated, trained = analyze(graph, batch=2), analyze(graph, batch=2, train=True)
    assert (evaluated.settings.mode, trained.settings.mode) == ("eval", "train")
    values = 2 * 8 * 16 * 16
    norm, dropout, depth = (
        next(layer for layer in report.layers if layer.op == op)
        for report, op in ((trained, "batch_norm2d"), (trained, "dropout"), (trained, "stochastic_depth"))
    )
    # Per value: subtract, multiply, multiply by gamma, add beta; the statistics take 2 additions, a subtraction and a
    # multiplication more. Per channel: eps, root, division; 2 divisions less 2 additions; 4 + 2 for the running ones.
    assert evaluated.layers[1].flops == 4 * values + 3 * 8
    assert norm.flops == 8 * values + (3 + 0 + 6) * 8
    assert dropout.flops == 2 * values
    assert dropout.activation_bytes == 4 * values
    assert evaluated.layers[2].flops == evaluated.layers[2].activation_bytes == 0
    assert (depth.flops, depth.activation_bytes, depth.launches) == (0, 0, 0), "dropout with p = 0 does nothing"
    assert trained.totals.params == evaluated.totals.params
    assert trained.totals.macs == evaluated.totals.macs


# --- memory: fresh, view, in place


def test_in_place_and_views_take_no_memory():
    graph = chain((3, 16, 16), CONV, "relu_", "flatten: {start_dim: 2}", "permute: [0, 2, 1]", "dropout")
    conv, relu, *views = analyze(graph).layers
    assert conv.activation_bytes == conv.bytes_written == 8 * 16 * 16 * 4
    assert relu.activation_bytes == 0
    assert relu.bytes_written == relu.bytes_read == 8 * 16 * 16 * 4, "an in-place op saves memory, not traffic"
    for layer in views:
        assert (layer.activation_bytes, layer.bytes_read, layer.bytes_written) == (0, 0, 0)
        assert (layer.flops, layer.launches) == (0, 0)


@pytest.mark.parametrize(("add", "fresh"), [("add", 1), ("add_", 0)])
def test_addition_in_place(add, fresh):
    graph = network(
        f"""
        name: skip
        input: [8, 16, 16]
        layers:
          - residual: [conv2d: {{out_channels: 8, kernel_size: 3, padding: 1}}]
            merge: {add}
        """
    )
    values = 8 * 16 * 16
    conv, addition = analyze(graph).layers
    assert addition.activation_bytes == fresh * values * 4
    assert addition.flops == values
    assert addition.bytes_read == 2 * values * 4
    assert addition.bytes_written == values * 4
    assert conv.inputs == ("input",)
    assert addition.inputs == ("conv2d_1", "input")


def test_concatenation_of_a_skip():
    """As in U-Net: a skip connection is concatenated with the upsampled features, which copies both."""
    graph = network(
        """
        name: small_unet
        input: [1, 32, 32]
        layers:
          - {conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, name: enc}
          - max_pool2d: 2
          - {conv2d: {out_channels: 8, kernel_size: 3, padding: 1}, name: bottom}
          - {conv_transpose2d: {out_channels: 4, kernel_size: 2, stride: 2}, name: up}
          - {concat: {}, from: [enc, previous]}
          - {conv2d: {out_channels: 2, kernel_size: 1}, name: out}
        """
    )
    report = analyze(graph)
    layers = {layer.name: layer for layer in report.layers}
    concat = layers["concat_1"]
    assert concat.inputs == ("enc", "up")
    assert concat.input_shapes == ((1, 4, 32, 32), (1, 4, 32, 32))
    assert concat.output_shapes == ((1, 8, 32, 32),)
    assert concat.bytes_read == concat.bytes_written == concat.activation_bytes == 8 * 32 * 32 * 4
    assert concat.flops == 0
    assert layers["up"].macs == 16 * 16 * 8 * 4 * 2 * 2, "over the input's positions"
    assert report.totals.macs == (32 * 32 * 4 * 9 + 16 * 16 * 8 * 4 * 9 + 16 * 16 * 8 * 4 * 4 + 32 * 32 * 2 * 8)
    assert report.totals.depth == 4


# --- traffic and launches


def test_traffic_of_a_convolution():
    report = single("conv2d", (3, 32, 32), batch=2, out_channels=8, kernel_size=5, stride=2)
    (layer,) = report.layers
    assert layer.output_shapes == ((2, 8, 14, 14),)
    image, kernels, result = 2 * 3 * 32 * 32, 8 * 3 * 5 * 5 + 8, 2 * 8 * 14 * 14
    assert layer.bytes_read == 4 * (image + kernels)
    assert layer.bytes_written == 4 * result
    assert layer.launches == 2, "the convolution and its bias"
    plain = record("conv2d", (3, 32, 32), out_channels=8, kernel_size=5, bias=False)
    assert plain.launches == 1
    assert plain.bytes_read == 4 * (3 * 32 * 32 + 8 * 3 * 5 * 5)


def test_traffic_of_a_batch_norm():
    """Weight, bias and both running statistics are read, and the counter of batches (int64)."""
    layer = record("batch_norm2d", (8, 16, 16))
    assert layer.bytes_read == 4 * (8 * 16 * 16 + 4 * 8) + 8
    assert layer.bytes_written == 4 * 8 * 16 * 16


def test_sum_of_launches():
    graph = chain((3, 16, 16), CONV, "batch_norm2d", "relu", "max_pool2d: 2", "flatten", "dropout", "linear: 10")
    report = analyze(graph)
    assert [layer.launches for layer in report.layers] == [2, 1, 1, 1, 0, 0, 1]
    assert report.totals.launches == 6


# --- shared weights


def test_shared_weights_count_once_and_compute_at_each_use():
    graph = network(
        """
        name: twins
        inputs: {left: [3, 16, 16], right: [3, 16, 16]}
        layers:
          - {conv2d: {out_channels: 8, kernel_size: 3}, name: one}
          - {conv2d: {out_channels: 8, kernel_size: 3}, name: two, from: right, shares: one}
          - {add: {}, from: [one, two]}
        """
    )
    report = analyze(graph)
    one, two, _ = report.layers
    assert (one.params, two.params) == (8 * 27 + 8, 0)
    assert (one.weight_bytes, two.weight_bytes) == (4 * (8 * 27 + 8), 0)
    assert one.macs == two.macs == 14 * 14 * 8 * 27
    assert one.bytes_read == two.bytes_read, "each use reads the weights"
    assert (one.shares, two.shares) == (None, "one")
    assert report.totals.params == 8 * 27 + 8
    assert report.totals.macs == 2 * 14 * 14 * 8 * 27
    assert set(graph.weights) == {"one.weight", "one.bias"}


def test_the_same_op_owned_and_shared():
    """One op object at two nodes: only the node that owns the weights counts them."""
    op = bound("conv2d", (1, 3, 16, 16), out_channels=3, kernel_size=3, padding=1)
    nodes = [
        Node("a", op, ((-1, 0),)),
        Node("b", op, ((0, 0),), owner=0),
        Node("c", op, ((1, 0),)),
    ]
    report = analyze(Graph(nodes, INPUTS))
    assert [layer.params for layer in report.layers] == [84, 0, 84]
    assert report.totals.params == 2 * (3 * 27 + 3)


# --- graphs built in Python


def test_graph_in_python():
    conv = bound("conv2d", (1, 3, 16, 16), out_channels=4, kernel_size=3)
    halves = make("chunk", {"chunks": 2})
    nodes = [
        Node("conv", conv, ((-1, 0),)),
        Node("halves", halves, ((0, 0),)),
        Node("sum", make("add", {}), ((1, 1), (1, 0))),
    ]
    report = analyze(Graph(nodes, INPUTS, about=About(name="mine", title="Mine")), batch=2)
    assert report.layers[1].output_shapes == ((2, 2, 14, 14), (2, 2, 14, 14))
    assert report.layers[2].inputs == ("halves.1", "halves")
    assert report.layers[2].output_shapes == ((2, 2, 14, 14),)
    assert report.totals.params == 4 * 27 + 4
    assert report.about.title == "Mine"
    assert repr(report) == f"<Report 'mine': 112 params, {2 * 14 * 14 * 4 * 27:,} MACs>"


def test_negative_positions_are_inputs():
    relu = make("relu", {})
    nodes = [Node("a", relu, ((-2, 0),)), Node("b", relu, ((-1, 0),))]
    inputs = [("x", Tensor((1, 2))), ("y", Tensor((1, 5)))]
    report = analyze(Graph(nodes, inputs, [(0, 0), (1, 0)]))
    assert [layer.output_shapes[0] for layer in report.layers] == [(1, 5), (1, 2)]
    assert [layer.inputs for layer in report.layers] == [("y",), ("x",)]


@pytest.mark.parametrize(
    ("nodes", "outputs", "message"),
    [
        ([Node("a", RELU, ((1, 0),)), Node("b", RELU, ((-1, 0),))], None, "does not come before"),
        ([Node("a", RELU, ((0, 0),))], None, "does not come before"),
        ([Node("a", RELU, ((-2, 0),))], None, "does not come before"),
        ([Node("a", RELU, ((-1, 0),))] * 2, None, "two layers have the name 'a'"),
        ([Node("a", RELU, ((-1, 0),))], [(1, 0)], "the output refers to node 1; there are 1 nodes"),
    ],
)
def test_invalid_graphs(nodes, outputs, message):
    with pytest.raises(OpError, match=message):
        Graph(nodes, INPUTS, outputs)


def test_deep_network():
    op = bound("conv2d", (1, 3, 16, 16), out_channels=3, kernel_size=3, padding=1)
    nodes = [Node(f"conv{n}", op, ((n - 1, 0),)) for n in range(1000)]
    report = analyze(Graph(nodes, INPUTS))
    assert report.totals.params == 1000 * (3 * 27 + 3)
    assert report.totals.macs == 1000 * 16 * 16 * 3 * 27
    assert report.totals.activation_bytes == 1000 * 3 * 16 * 16 * 4
    assert report.totals.depth == 1000
    assert report.layers[-1].receptive_field.size == (2001, 2001)
    assert len(report.to_dict()["layers"]) == 1000


def test_large_batch_is_exact():
    report = analyze(convcost.load("vgg16"), batch=10**9)
    assert report.totals.macs == 15_470_264_320 * 10**9
    assert type(report.totals.macs) is int


def test_results_do_not_depend_on_the_order_of_calls():
    graph = convcost.load("resnet18")
    first = analyze(graph).to_json()
    analyze(graph, batch=8, dtype="amp-bf16", train=True, input_size=(3, 64, 64))
    assert analyze(graph).to_json() == first
    assert analyze(convcost.load("resnet18")).to_json() == first


# --- depth, warnings, coverage


def test_depth_is_the_longest_path():
    graph = network(
        """
        name: fork
        input: [4, 8, 8]
        layers:
          - branches:
              - [conv2d: {out_channels: 4, kernel_size: 1}]
              - [conv2d: {out_channels: 4, kernel_size: 1}, relu, conv2d: {out_channels: 4, kernel_size: 1}]
            merge: concat
          - global_avg_pool
          - flatten
          - linear: 2
        """
    )
    assert analyze(graph).totals.depth == 2 + 1


def test_warnings_have_the_name_of_the_layer():
    graph = chain((3, 8, 8), CONV, "{max_pool2d: 3, name: odd}")
    (warning,) = analyze(graph).warnings
    assert warning.startswith("odd: the last 2 rows and the last 2 columns of the input are never read")


def test_coverage():
    report = analyze(chain((3, 16, 16), CONV, "relu"))
    assert (report.coverage.nodes, report.coverage.modelled, report.coverage.unmodelled) == (2, 2, ())
