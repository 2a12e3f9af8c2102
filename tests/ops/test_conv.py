"""Convolution, transposed convolution and linear: against PyTorch, and against arithmetic done by hand."""

from __future__ import annotations

from math import prod

import pytest

from convcost.errors import OpError
from convcost.ops import Op, make, ready
from convcost.ops.windows import fitting_paddings, positions
from convcost.tensor import Tensor


def built(word, fields, shape):
    inputs = (Tensor(shape),)
    op = ready(make(word, fields), inputs)
    return op, inputs, op.outputs(inputs)


def parameters(op: Op) -> int:
    return sum(weight.elements for weight in op.weights() if weight.kind == "parameter")


def c(out_channels, kernel_size, **fields):
    return {"out_channels": out_channels, "kernel_size": kernel_size, **fields}


TORCH = [
    ("conv1d", c(8, 5), (2, 3, 31)),
    ("conv1d", c(8, 4, stride=3, padding=2, dilation=2, bias=False), (2, 4, 29)),
    ("conv1d", c(4, 4, padding="same", dilation=3), (1, 2, 20)),
    ("conv2d", c(64, 7, stride=2, padding=3, bias=False), (1, 3, 224, 224)),
    ("conv2d", c(6, (3, 5), stride=(2, 1), padding=(0, 2)), (2, 3, 20, 17)),
    ("conv2d", c(12, 3, groups=4, dilation=(2, 1)), (2, 8, 15, 16)),
    ("conv2d", c(16, 3, groups=16, padding=1), (1, 16, 14, 14)),
    ("conv2d", c(5, 4, padding="same"), (1, 3, 9, 10)),
    ("conv2d", c(5, (2, 3), padding="same", dilation=(3, 2)), (1, 3, 9, 10)),
    ("conv2d", c(5, 3, padding="valid", stride=2), (1, 3, 10, 9)),
    ("conv3d", c(4, (3, 3, 2), stride=2, padding=1, groups=2), (2, 6, 9, 8, 7)),
    ("conv3d", c(4, 3, padding="same", bias=False), (1, 2, 5, 6, 7)),
    ("conv_transpose1d", c(6, 5, stride=3, padding=1, output_padding=2), (2, 4, 11)),
    ("conv_transpose2d", c(21, 4, stride=2, padding=1, bias=False), (1, 21, 16, 16)),
    ("conv_transpose2d", c(8, 3, stride=2, padding=1, output_padding=1, groups=4), (2, 12, 7, 9)),
    ("conv_transpose2d", c(4, (2, 3), stride=(1, 2), output_padding=(1, 0), dilation=(2, 1)), (1, 3, 6, 5)),
    ("conv_transpose3d", c(4, 2, stride=2), (1, 6, 3, 4, 5)),
]


def agrees_with_pytorch(op, inputs, outputs):
    torch = pytest.importorskip("torch")
    flop_counter = pytest.importorskip("torch.utils.flop_counter")
    with torch.device("meta"):
        module = op.to_torch()
    counter = flop_counter.FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        y = module(torch.empty(inputs[0].shape, device="meta"))
    assert tuple(y.shape) == outputs[0].shape
    assert [(w.name, w.shape) for w in op.weights()] == [(n, tuple(p.shape)) for n, p in module.named_parameters()]
    assert 2 * op.macs(inputs, outputs) == counter.get_total_flops()


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # PyTorch's, on its speed
@pytest.mark.parametrize(("word", "fields", "shape"), TORCH)
def test_convolution_agrees_with_pytorch(word, fields, shape):
    agrees_with_pytorch(*built(word, fields, shape))


@pytest.mark.parametrize("shape", [(3, 8), (2, 197, 8), (2, 3, 4, 8)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_agrees_with_pytorch(shape, bias):
    agrees_with_pytorch(*built("linear", {"out_features": 5, "bias": bias}, shape))


@pytest.mark.parametrize(
    ("word", "fields", "shape", "numbers"),
    [
        ("conv2d", c(8, 7), (1, 3, 5, 9), ("7", "5", "height", "padding of 1")),
        ("conv2d", c(8, 3, groups=3), (1, 4, 9, 9), ("groups 3", "4 input", "8 output")),
        ("conv2d", c(8, 3, groups=4), (1, 3, 9, 9), ("groups 4", "3 input")),
        ("conv2d", c(8, 3, padding="same", stride=2), (1, 3, 9, 9), ("same", "stride 2")),
        ("conv2d", c(8, (3, 3, 3)), (1, 3, 9, 9), ("kernel_size", "3 entries", "2 spatial")),
        ("conv2d", c(8, 3), (1, 3, 9), ("conv2d", "3 dimensions", "1x3x9")),
        ("conv2d", c(8, 3, in_channels=4), (1, 3, 9, 9), ("4 input channels", "got 3")),
        (
            "conv_transpose2d",
            c(8, 3, stride=2, output_padding=2),
            (1, 3, 9, 9),
            ("output_padding 2", "stride 2"),
        ),
        ("conv_transpose2d", c(8, 3, padding=2), (1, 3, 2, 2), ("0x0", "padding 2")),
        ("linear", {"out_features": 3, "in_features": 9}, (1, 8), ("9 input features", "got 8")),
    ],
)
def test_refusals_carry_the_numbers(word, fields, shape, numbers):
    with pytest.raises(OpError) as caught:
        built(word, fields, shape)
    assert all(number in str(caught.value) for number in numbers), str(caught.value)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        (c(0, 3), "out_channels"),
        (c(8, 0), "kernel_size"),
        (c(8, 3, padding="full"), "padding"),
        (c(8, 3, stirde=2), "stride"),
        ({"out_channels": 8}, "kernel_size"),
    ],
)
def test_impossible_fields_are_refused(fields, complaint):
    with pytest.raises(OpError, match=complaint):
        make("conv2d", fields)


def test_binding_twice_changes_nothing_and_contradictions_are_refused():
    op, inputs, _ = built("conv2d", c(8, 3), (1, 3, 9, 9))
    assert op.bind(inputs) == op
    with pytest.raises(OpError, match="3 input channels, got 5"):
        op.bind((Tensor((1, 5, 9, 9)),))


# Exercises from lectures: one filter, several, padding, stride, what fits.


def test_one_filter_on_a_small_image():
    op, _, outputs = built("conv2d", c(1, 5), (1, 3, 32, 32))
    assert outputs[0].shape == (1, 1, 32 - 5 + 1, 32 - 5 + 1)
    assert [weight.elements for weight in op.weights()] == [5 * 5 * 3, 1]


def test_six_filters():
    op, inputs, outputs = built("conv2d", c(6, 5), (1, 3, 32, 32))
    assert outputs[0].shape == (1, 6, 28, 28)
    assert parameters(op) == 450 + 6
    assert op.macs(inputs, outputs) == 28 * 28 * 450 == 352_800


def test_ten_filters_with_padding_two():
    op, inputs, outputs = built("conv2d", c(10, 5, padding=2), (1, 3, 32, 32))
    assert outputs[0].elements == 10 * 32 * 32 == 10_240
    assert parameters(op) == 750 + 10
    assert op.macs(inputs, outputs) == 1024 * 750 == 768_000
    assert op.work(inputs, outputs, train=False) == {"bias": 10_240}


@pytest.mark.parametrize(("stride", "padding", "size"), [(1, 0, 5), (2, 0, 3), (3, 0, 2), (1, 1, 7)])
def test_seven_by_seven_and_a_filter_of_three(stride, padding, size):
    _, _, outputs = built("conv2d", c(1, 3, stride=stride, padding=padding), (1, 1, 7, 7))
    assert outputs[0].shape == (1, 1, size, size)


def test_a_stride_that_does_not_fit_is_a_warning():
    op, inputs, _ = built("conv2d", c(1, 3, stride=3), (1, 1, 7, 7))
    (warning,) = op.warnings(inputs)
    assert "the last row and the last column" in warning
    assert "(7 + 0 - 3) / 3 is not an integer" in warning
    assert built("conv2d", c(1, 3, stride=2), (1, 1, 7, 7))[0].warnings(inputs) == ()
    assert positions(7, 3, 3, 0, ceil_mode=True) == 3


@pytest.mark.parametrize(("kernel", "padding"), [(1, 0), (3, 1), (5, 2), (7, 3)])
def test_padding_that_keeps_the_size(kernel, padding):
    for fields in (c(1, kernel, padding=padding), c(1, kernel, padding="same")):
        assert built("conv2d", fields, (1, 1, 32, 32))[2][0].shape == (1, 1, 32, 32)


def test_a_filter_of_five_with_stride_two_fits_odd_sizes_only():
    assert fitting_paddings(7, 5, 2) == (0, 1, 2, 3, 4)
    assert fitting_paddings(8, 5, 2) == ()


def test_pointwise_convolution():
    op, inputs, outputs = built("conv2d", c(32, 1), (1, 64, 56, 56))
    assert [weight.elements for weight in op.weights()] == [2_048, 32]
    assert op.macs(inputs, outputs) == 56 * 56 * 2_048 == 6_422_528


def test_a_hundred_does_not_fit_stride_two():
    fields = c(1, 3, stride=2, padding=1)
    op, inputs, outputs = built("conv2d", fields, (1, 1, 100, 100))
    assert outputs[0].shape[2:] == (50, 50)  # (100 + 2 - 3)/2 + 1 = 50.5
    assert op.warnings(inputs) == ()  # only padding goes unread
    assert positions(100, 3, 2, 2, ceil_mode=True, before=1) == 51


@pytest.mark.parametrize(
    ("channels", "size", "filters", "padding", "side", "params", "macs"),
    [
        (3, 227, 96, 0, 55, 34_848 + 96, 105_415_200),
        (3, 224, 96, 0, 54, 34_944, 101_616_768),
        (3, 224, 64, 2, 55, 23_296, 70_276_800),
        (3, 227, 64, 2, 56, 23_232 + 64, 72_855_552),
        (1, 224, 96, 1, 54, 11_616 + 96, 33_872_256),
    ],
)
def test_the_first_layer_of_alexnet_in_its_variants(channels, size, filters, padding, side, params, macs):
    fields = c(filters, 11, stride=4, padding=padding)
    op, inputs, outputs = built("conv2d", fields, (1, channels, size, size))
    assert outputs[0].shape == (1, filters, side, side)
    assert outputs[0].bytes == 4 * filters * side * side
    assert parameters(op) == params
    assert op.macs(inputs, outputs) == macs == side * side * filters * 121 * channels
    assert op.connection_count(inputs, outputs) == macs + outputs[0].elements
    assert any(step.label == "params" and step.value == params for step in op.steps(inputs, outputs))
    assert any(step.label == "MACs" and step.value == macs for step in op.steps(inputs, outputs))


def test_the_batch_scales_the_work_but_not_the_weights():
    one, four = (built("conv2d", c(8, 3), (batch, 3, 9, 9)) for batch in (1, 4))
    assert four[0].macs(*four[1:]) == 4 * one[0].macs(*one[1:])
    assert four[0].weights() == one[0].weights()


# LeNet-5's C3: LeCun et al. 1998, table I: 60 pairs of maps, 1,516 parameters, 151,600 connections.
C3 = [
    *([i, (i + 1) % 6, (i + 2) % 6] for i in range(6)),
    *(sorted((i + k) % 6 for k in range(4)) for i in range(6)),
    [0, 1, 3, 4], [1, 2, 4, 5], [0, 2, 3, 5],
    [0, 1, 2, 3, 4, 5],
]  # fmt: skip


def test_a_table_of_connections():
    op, inputs, outputs = built("conv2d", c(16, 5, connections=C3), (1, 6, 14, 14))
    assert sum(map(len, C3)) == 60
    assert parameters(op) == 60 * 25 + 16 == 1_516
    assert op.connection_count(inputs, outputs) == 100 * 1_516 == 151_600


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        (c(2, 5, connections=[[0], [0], [1]]), "3 rows for 2 output"),
        (c(2, 5, connections=[[0], [6]]), "6 input channels 0 to 5"),
        (c(2, 5, connections=[[0], [1, 1]]), "output channel 1"),
        (c(2, 5, connections=[[0], []]), "output channel 1"),
        (c(2, 5, connections=[[0], [1]], groups=2), "groups 2"),
    ],
)
def test_impossible_connections_are_refused(fields, complaint):
    with pytest.raises(OpError, match=complaint):
        built("conv2d", fields, (1, 6, 14, 14))


def test_radial_basis_output_of_lenet():
    op, inputs, outputs = built("rbf", {"out_features": 10}, (1, 84))
    assert parameters(op) == 0
    assert prod(op.weights()[0].shape) == 840
    assert op.macs(inputs, outputs) == 840
    assert op.work(inputs, outputs, train=True) == {"elementwise": 840}


def test_radial_basis_is_the_squared_distance_to_codes():
    torch = pytest.importorskip("torch")
    module = built("rbf", {"out_features": 3}, (2, 4))[0].to_torch()
    assert {*module.codes.unique().tolist()} <= {-1, 1}
    module.codes.copy_(torch.tensor([[1.0, 1, 1, 1], [-1, -1, -1, -1], [1, -1, 1, -1]]))
    # (1 - 2)^2 + (1 - 0)^2 + 2*(1 - 1)^2 and so on.
    assert module(torch.tensor([[2.0, 0.0, 1.0, 1.0]])).tolist() == [[1 + 1, 9 + 1 + 4 + 4, 1 + 1 + 0 + 4]]
