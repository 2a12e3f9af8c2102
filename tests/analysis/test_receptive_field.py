"""Receptive fields: by hand, by published tables, and by trying which inputs an output depends on.

Published: Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019, table 1.
"""

from __future__ import annotations

import random
from math import prod
from typing import Any

import pytest

import convcost
from convcost.analysis.receptive_field import Fields
from convcost.sources import shipped
from support.cases import few
from support.networks import chain, network, record


def field(graph, name=None, **options):
    """The field of the layer called ``name``, or of the last layer; of a block, that of its last layer."""
    layers = convcost.analyze(graph, **options).layers
    position = graph.find(name)[-1] if name else -1
    return layers[position].receptive_field


def conv(kernel, stride=1, padding=0, dilation=1, channels=1):
    fields = {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    written = ", ".join(f"{name}: {value}" for name, value in fields.items())
    return f"conv2d: {{out_channels: {channels}, {written}}}"


# --- by hand


@pytest.mark.parametrize(
    ("layers", "size", "stride", "start"),
    [
        ([], 1, 1, 0),
        ([conv(1)], 1, 1, 0),
        ([conv(3)], 3, 1, 0),
        ([conv(3, padding=1)], 3, 1, -1),
        ([conv(5, stride=2, padding=2)], 5, 2, -2),
        ([conv(3, dilation=2)], 2 * 2 + 1, 1, 0),
        ([conv(3), conv(3)], 3 + 2, 1, 0),
        ([conv(3), conv(3), conv(3)], 7, 1, 0),  # three 3x3 see what one 7x7 sees
        ([conv(3, stride=2), conv(3)], 3 + 2 * 2, 2, 0),
        ([conv(3, stride=2, padding=1), conv(3, stride=2, padding=1)], 3 + 2 * 2, 4, -1 - 2),
        ([conv(7, 2, 3), "max_pool2d: {kernel_size: 3, stride: 2, padding: 1}"], 7 + 2 * 2, 4, -3 - 2),
        ([conv(1, stride=2), conv(3)], 1 + 2 * 2, 2, 0),
        ([conv(2, stride=4), conv(3)], 2 + 4 * 2, 4, 0),
        (["avg_pool2d: 2", "batch_norm2d", "relu", "dropout"], 2, 2, 0),
    ],
)
def test_by_hand(layers, size, stride, start):
    found = field(chain((1, 64, 64), *layers, "identity"))
    assert found.size == (size, size)
    assert found.stride == (stride, stride)
    assert found.start == (start, start)
    assert not found.whole


def test_dimensions_are_independent():
    uneven = "conv2d: {out_channels: 2, kernel_size: [1, 7], stride: [2, 1], padding: [0, 3]}"
    graph = chain((1, 64, 64), uneven, conv(3))
    found = field(graph)
    assert found.size == (1 + 2 * 2, 7 + 2)
    assert found.stride == (2, 1)
    assert found.start == (0, -3)


@pytest.mark.parametrize(("op", "rank"), [("conv1d", 1), ("conv2d", 2), ("conv3d", 3)])
def test_every_rank(op, rank):
    layer = record(op, (1, *[9] * rank), out_channels=1, kernel_size=3, stride=2, padding=1)
    assert layer.receptive_field.size == (3,) * rank
    assert layer.receptive_field.start == (-1,) * rank


def test_same_padding_of_an_even_window():
    """PyTorch pads the extra position at the end: a kernel of 4 has 1 before and 2 after."""
    assert field(chain((1, 8, 8), "conv2d: {out_channels: 1, kernel_size: 4, padding: same}")).start == (-1, -1)


def test_identity_joined_with_a_window():
    """The field of a sum is the union of the fields; that of the identity is inside that of the convolutions."""
    graph = network(
        """
        name: paths
        input: [4, 32, 32]
        layers:
          - residual:
              - conv2d: {out_channels: 4, kernel_size: 3, padding: 1}
              - conv2d: {out_channels: 4, kernel_size: 3, padding: 1}
          - branches:
              - [conv2d: {out_channels: 4, kernel_size: 1}]
              - [conv2d: {out_channels: 4, kernel_size: 3, padding: 1}]
              - [conv2d: {out_channels: 4, kernel_size: 5, padding: 2}]
            merge: concat
        """
    )
    assert field(graph, "add_1").size == (5, 5)
    assert field(graph).size == (5 + 4, 5 + 4)
    assert field(graph).start == (-4, -4)


def test_union_of_overlapping_fields():
    """Neither field contains the other: 3 positions from -2 and 3 from 0 make 5."""
    graph = network(
        """
        name: beside
        input: [1, 32]
        layers:
          - branches:
              - [zero_pad1d: [2, 0], conv1d: {out_channels: 1, kernel_size: 3}]
              - [zero_pad1d: [0, 2], conv1d: {out_channels: 1, kernel_size: 3}]
            merge: concat
        """
    )
    assert field(graph).start == (-2,)
    assert field(graph).size == (5,)


def test_permuted():
    """The field of (N, H, W, C) is that of height and width, also after permuting back."""
    graph = chain(
        (3, 32, 32),
        "conv2d: {out_channels: 4, kernel_size: [3, 5]}",
        "permute: [0, 2, 3, 1]",
        "layer_norm",
        "linear: 8",
        "permute: [0, 3, 1, 2]",
        "conv2d: {out_channels: 4, kernel_size: [3, 1]}",
        "transpose: {dim0: 2, dim1: 3}",
    )
    sizes = [layer.receptive_field and layer.receptive_field.size for layer in convcost.analyze(graph).layers]
    assert sizes == [(3, 5)] * 5 + [(5, 5)] * 2
    swapped = chain((3, 32, 32), "transpose: {dim0: 2, dim1: 3}", "conv2d: {out_channels: 4, kernel_size: [3, 5]}")
    assert field(swapped).size == (5, 3), "3 rows of the turned image are 3 columns of the image"


def test_whole_input():
    graph = chain((3, 32, 24), conv(3, padding=1), "adaptive_avg_pool2d: 1", conv(1), "flatten", "linear: 10")
    for layer in convcost.analyze(graph).layers[1:3]:
        assert layer.receptive_field.whole
        assert layer.receptive_field.size == (32, 24)
    assert field(graph).whole
    assert field(chain((3, 8, 8), "flatten", "linear: 10")).whole


def test_squeeze_and_excitation_is_whole():
    graph = network(
        """
        name: squeeze
        input: [4, 8, 8]
        layers:
          - branches:
              - []
              - [adaptive_avg_pool2d: 1, conv2d: {out_channels: 4, kernel_size: 1}, sigmoid]
            merge: mul
        """
    )
    assert field(graph).whole


def test_undefined_fields_are_none():
    """Flattened positions and inputs without spatial dimensions have no field."""
    assert field(convcost.load("vit_b_16"), "conv2d_1").size == (16, 16)
    assert convcost.analyze(convcost.load("swin_t")).layers[-1].receptive_field is None
    assert field(chain((3, 8, 8), "flatten: {start_dim: 2}")) is None
    assert field(chain((12,), "linear: 4")) is None
    words = network(
        """
        name: words
        inputs: {tokens: {shape: [7], dtype: int64}}
        layers: [embedding: {num_embeddings: 10, embedding_dim: 4}, linear: 2]
        """
    )
    assert field(words) is None


def test_paths_with_different_strides_are_undefined():
    """Averaged rows added to all rows: the union is not one window with one stride."""
    graph = network(
        """
        name: rows
        input: [2, 8, 8]
        layers:
          - branches:
              - []
              - [{mean: {dim: 2, keepdim: true}}]
            merge: mul
        """
    )
    assert convcost.analyze(graph).layers[0].receptive_field.size == (8, 1)
    assert field(graph) is None


def test_independent_of_the_input_size():
    graph = convcost.load("resnet18")
    small = field(graph, "conv5_2.relu_2", input_size=(3, 64, 64))
    assert small == field(graph, "conv5_2.relu_2")


# --- published


@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [
        # 11 + 4*2 = 19, + 8*4 = 51, + 8*2 = 67, + 16*2 three times = 163, + 16*2 = 195.
        ("alexnet_cs231n", "conv5", 163),
        ("alexnet_cs231n", "pool3", 195),
        ("vgg16", "conv5_3", 196),
        ("vgg16", "pool5", 212),
        ("mobilenet_v1", "separable_13", 315),
        ("inception_v3", "Mixed_7c", 1311),
    ],
)
def test_published(name, layer, size):
    assert field(convcost.load(name), layer).size == (size, size)


def test_vgg16_by_hand():
    """Each 3x3 convolution adds twice the effective stride, each pooling layer adds it once."""
    size, jump = 1, 1
    for convolutions in (2, 2, 3, 3, 3):
        size += 2 * jump * convolutions
        conv5_3 = size
        size, jump = size + jump, 2 * jump
    assert (conv5_3, size, jump) == (196, 212, 32)
    found = field(convcost.load("vgg16"), "pool5")
    assert (found.size, found.stride) == ((212, 212), (32, 32))


def resnet_of_the_paper(name):
    """The shipped file has the stride in the 3x3 convolution as torchvision, the paper in the first 1x1."""
    text = next(shipped.text_of(path) for path in shipped.files() if path.endswith("/resnet.yaml"))
    for ours, papers in (
        ("{out_channels: width, kernel_size: 1, bias", "{out_channels: width, kernel_size: 1, stride: stride, bias"),
        ("width, kernel_size: 3, stride: stride, padding", "width, kernel_size: 3, padding"),
    ):
        assert text.count(ours) == 1
        text = text.replace(ours, papers)
    return network(text, name)


@pytest.mark.parametrize(("name", "size"), [("resnet50", 483), ("resnet101", 1027), ("resnet152", 1507)])
def test_published_resnets(name, size):
    found = field(resnet_of_the_paper(name), "conv5")
    assert found.size == (size, size)
    assert found.stride == (32, 32)


def test_resnet50_of_torchvision_by_hand():
    """The first 3x3 of a stage has the effective stride of the previous stage: 427, not 483 as in the paper."""
    size, jump = 7 + 2 * 2, 4
    size += 2 * jump * 3
    for blocks in (4, 6, 3):
        size += 2 * jump
        jump *= 2
        size += 2 * jump * (blocks - 1)
    assert (size, jump) == (427, 32)
    found = field(convcost.load("resnet50"), "conv5")
    assert (found.size, found.stride) == ((427, 427), (32, 32))


# --- compared with real dependence


def dependence(graph, *sizes):
    """For each output position, the input positions that it depends on, found by propagating one-hot inputs.

    All weights are 1 and maxima are replaced by means, so that no terms cancel.
    """
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    total = 1
    for size in sizes:
        total *= size
    channels = graph.inputs[0][1].shape[1]
    x = torch.eye(total, dtype=torch.float64).reshape(total, 1, *sizes).repeat(1, channels, *[1] * len(sizes))
    values: dict[int, Any] = {-1: x}
    for position, node in enumerate(graph.nodes):
        op, inputs = node.op, [values[source] for source, _ in node.inputs]
        rank = inputs[0].dim() - 2
        if op.op.startswith("conv_transpose"):
            weight = torch.ones(inputs[0].shape[1], op.out_channels, *[op.kernel_size] * rank, dtype=torch.float64)
            run = getattr(functional, op.op)
            y = run(inputs[0], weight, None, op.stride, op.padding, op.output_padding, 1, op.dilation)
        elif op.op.startswith("conv"):
            kernel = op.kernel_size if isinstance(op.kernel_size, tuple) else (op.kernel_size,) * rank
            weight = torch.ones(op.out_channels, inputs[0].shape[1], *kernel, dtype=torch.float64)
            y = getattr(functional, op.op)(inputs[0], weight, None, op.stride, op.padding, op.dilation)
        elif op.op.startswith("max_pool"):
            run = functional.avg_pool1d if rank == 1 else functional.avg_pool2d
            y = run(inputs[0], op.kernel_size, op.stride, op.padding)
        elif op.op == "upsample":
            y = functional.interpolate(inputs[0], scale_factor=op.scale_factor, mode=op.mode)
        elif op.op == "concat":
            y = torch.cat(inputs, 1)
        elif op.op == "add":
            y = inputs[0] + inputs[1]
        elif op.op == "permute":
            y = inputs[0].permute(op.dims)
        elif op.op.startswith("zero_pad"):
            y = functional.pad(inputs[0], (op.padding,) * (2 * rank))
        elif op.op == "crop":
            rows, columns = inputs[1].shape[2:]
            top, left = (inputs[0].shape[2] - rows) // 2, (inputs[0].shape[3] - columns) // 2
            y = inputs[0][:, :, top : top + rows, left : left + columns]
        elif op.op == "adaptive_avg_pool1d":
            y = functional.adaptive_avg_pool1d(inputs[0], op.output_size)
        else:
            raise AssertionError(op.op)
        values[position] = y
    return values[len(graph.nodes) - 1].sum(1) > 0


def enlargement(op):
    if op.op.startswith("conv_transpose"):
        return op.stride
    return int(op.scale_factor) if op.op == "upsample" else 1


def check_by_dependence(graph, *sizes):
    """Compare the field of the last layer with the real dependence: largest extent, first start, mean stride.

    Only positions whose field lies inside the input are compared, because the border cuts the others off.
    """
    found = field(graph)
    assert found is not None
    reads = dependence(graph, *sizes)
    reads = reads.reshape(*sizes, *reads.shape[1:])
    for axis, length in enumerate(sizes):
        outputs = reads.shape[len(sizes) + axis]
        others = [dim for dim in range(2 * len(sizes)) if dim not in (axis, len(sizes) + axis)]
        seen = reads.any(dim=others) if others else reads
        spans = {}
        for position in range(outputs):
            inputs = seen[:, position].nonzero().flatten().tolist()
            if inputs:
                spans[position] = (inputs[0], inputs[-1])
        # Intermediate maps have borders and padding of their own, so only positions in the middle are compared.
        middle = range(outputs // 3, outputs - outputs // 3) if outputs >= 24 else range(outputs)
        inside = {at: (a, b) for at, (a, b) in spans.items() if at in middle and a > 0 and b < length - 1}
        assert inside, "the input is too small for this network"
        assert found.size[axis] == max(end - start + 1 for start, end in inside.values())
        # After upsampling the fields are periodic, with the product of the scale factors as period.
        period = prod(enlargement(node.op) for node in graph.nodes)
        shift = round(found.stride[axis] * period)
        for position, (start, end) in inside.items():
            if position + period in inside:
                assert inside[position + period] == (start + shift, end + shift)
        for position, (start, end) in spans.items():
            if position % period == 0:
                low = found.start[axis] + position // period * shift
                assert start >= low
                assert end < low + found.size[axis]
                assert position not in inside or start == low


@pytest.mark.parametrize(
    "layers",
    [
        ["conv1d: {out_channels: 2, kernel_size: 3, stride: 2, padding: 1}"] * 2,
        [
            "conv1d: {out_channels: 1, kernel_size: 5, dilation: 2, padding: 4}",
            "max_pool1d: {kernel_size: 3, stride: 2}",
        ],
        ["max_pool1d: 2", "conv1d: {out_channels: 1, kernel_size: 5, padding: same}", "zero_pad1d: 3"],
        ["conv1d: {out_channels: 1, kernel_size: 2, stride: 3}", "conv1d: {out_channels: 1, kernel_size: 3}"],
        ["adaptive_avg_pool1d: 8", "conv1d: {out_channels: 1, kernel_size: 3}"],
    ],
)
def test_windows_by_dependence(layers):
    graph = chain((1, 48), *layers)
    check_by_dependence(graph, 48)


@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 1])
def test_transposed_convolution_by_dependence(kernel, stride, padding):
    fields = f"out_channels: 1, kernel_size: {kernel}, stride: {stride}, padding: {padding}"
    graph = chain((1, 12), f"conv_transpose1d: {{{fields}}}")
    check_by_dependence(graph, 12)


@pytest.mark.parametrize(
    "layers",
    [
        # The generator of DCGAN, an autoencoder, and bilinear enlargement.
        ["conv_transpose1d: {out_channels: 1, kernel_size: 4, stride: 2, padding: 1}"] * 3,
        [
            "conv1d: {out_channels: 1, kernel_size: 3, stride: 2, padding: 1}",
            "conv1d: {out_channels: 1, kernel_size: 3, stride: 2, padding: 1}",
            "conv_transpose1d: {out_channels: 1, kernel_size: 3, stride: 2, padding: 1, output_padding: 1}",
            "conv_transpose1d: {out_channels: 1, kernel_size: 3, stride: 2, padding: 1, output_padding: 1}",
        ],
        ["upsample: {scale_factor: 2, mode: nearest}", "conv1d: {out_channels: 1, kernel_size: 3, padding: 1}"],
        ["max_pool1d: 2", "upsample: {scale_factor: 2, mode: linear}"],
        ["upsample: {scale_factor: 3, mode: linear}", "conv1d: {out_channels: 1, kernel_size: 3, stride: 2}"],
        ["conv_transpose1d: {out_channels: 1, kernel_size: 5, stride: 2, dilation: 2}"],
    ],
)
def test_enlargements_by_dependence(layers):
    graph = chain((1, 32), *layers)
    check_by_dependence(graph, 32)


def test_unet_by_dependence():
    graph = network(
        """
        name: small_unet
        input: [1, 32]
        layers:
          - {conv1d: {out_channels: 1, kernel_size: 3, padding: 1}, name: enc}
          - max_pool1d: 2
          - {conv1d: {out_channels: 1, kernel_size: 3, padding: 1}, name: bottom}
          - {conv_transpose1d: {out_channels: 1, kernel_size: 2, stride: 2}, name: up}
          - {concat: {}, from: [enc, previous]}
          - conv1d: {out_channels: 1, kernel_size: 3, padding: 1}
        """
    )
    check_by_dependence(graph, 32)


def test_cropped_skip_by_dependence():
    graph = network(
        """
        name: cropped
        input: [1, 11, 14]
        layers:
          - {conv2d: {out_channels: 1, kernel_size: 3, padding: 1}, name: enc}
          - {conv2d: {out_channels: 1, kernel_size: 5}, name: deep}
          - {crop: {}, from: [enc, deep]}
          - {concat: {}, from: [previous, deep]}
        """
    )
    check_by_dependence(graph, 11, 14)
    assert field(graph).size == (7, 7)


def test_permuted_by_dependence():
    graph = chain(
        (1, 10, 14),
        "conv2d: {out_channels: 1, kernel_size: [3, 5], stride: [1, 2]}",
        "permute: [0, 1, 3, 2]",
        "conv2d: {out_channels: 1, kernel_size: [2, 3]}",
        "permute: [0, 1, 3, 2]",
    )
    check_by_dependence(graph, 10, 14)


@pytest.mark.parametrize("seed", few(range(40), range(12)))
def test_random_networks_by_dependence(seed):
    draw = random.Random(seed)
    size, layers = 200, []
    for _ in range(draw.randint(1, 5)):
        kernel, stride, padding = draw.randint(1, 4), draw.randint(1, 3), draw.randint(0, 1)
        kind = draw.choice(["conv", "pool", "up", "nearest", "linear"])
        fields = f"kernel_size: {kernel}, stride: {stride}, padding: {min(padding, kernel // 2)}"
        if kind == "conv":
            layers.append(f"conv1d: {{out_channels: 1, {fields}, dilation: {draw.randint(1, 2)}}}")
        elif kind == "pool":
            layers.append(f"max_pool1d: {{{fields}}}")
        elif size > 250:
            continue
        elif kind == "up":
            fields = f"kernel_size: {max(kernel, stride)}, stride: {stride}, padding: {padding * (kernel > 1)}"
            layers.append(f"conv_transpose1d: {{out_channels: 1, {fields}}}")
        else:
            layers.append(f"upsample: {{scale_factor: {stride}, mode: {kind}}}")
        size = convcost.analyze(chain((1, 200), *layers)).layers[-1].output_shapes[0][2]
        if size < 24:
            break
    check_by_dependence(chain((1, 200), *layers, "zero_pad1d: 0"), 200)


def test_fields_are_computed_on_access(monkeypatch):
    """Totals do not compute receptive fields."""
    report = convcost.analyze(chain((1, 8, 8), conv(3)))
    asked = []
    plain = Fields.all.func
    monkeypatch.setattr(Fields, "all", property(lambda self: asked.append(1) or plain(self)))
    assert report.totals.params == 10
    assert asked == []
    assert report.layers[0].receptive_field.size == (3, 3)
    assert asked == [1]
