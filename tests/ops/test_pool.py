"""Pooling: against PyTorch, and against arithmetic done by hand."""

from __future__ import annotations

import pytest

from convcost.errors import OpError
from convcost.ops import make, ready
from convcost.ops.base import GLOBAL, UNKNOWN, Reach
from convcost.tensor import Tensor


def built(word, fields, shape, dtype="float32"):
    inputs = (Tensor(shape, dtype),)
    op = ready(make(word, fields), inputs)
    return op, inputs, op.outputs(inputs)


def k(kernel_size, **fields):
    return {"kernel_size": kernel_size, **fields}


SHAPES = {1: (2, 3, 13), 2: (2, 3, 13, 10), 3: (2, 3, 9, 7, 8)}
WINDOWS = [
    k(2),
    k(3, stride=2),
    k(3, stride=2, padding=1),
    k(3, stride=2, padding=1, ceil_mode=True),
    k(2, stride=3, ceil_mode=True),
    k(5, stride=4, padding=2, ceil_mode=True),
]
MAX_ONLY = [
    k(2, dilation=3),
    k(3, stride=1, padding=1, dilation=2, ceil_mode=True),
    k(2, return_indices=True),
]
TORCH = [
    *((f"max_pool{rank}d", fields) for rank in SHAPES for fields in WINDOWS + MAX_ONLY),
    *((f"avg_pool{rank}d", fields) for rank in SHAPES for fields in WINDOWS),
    ("avg_pool2d", k(3, padding=1, count_include_pad=False)),
    ("max_pool2d", k((3, 2), stride=(1, 2), padding=(1, 0), dilation=(2, 1))),
    *(
        (f"adaptive_{kind}_pool{rank}d", {"output_size": size})
        for kind in ("avg", "max")
        for rank in SHAPES
        for size in (1, 4, 11)
    ),
    ("adaptive_avg_pool2d", {"output_size": (7, 1)}),
]


@pytest.mark.parametrize(("word", "fields"), TORCH)
def test_pooling_agrees_with_pytorch(word, fields):
    torch = pytest.importorskip("torch")
    shape = SHAPES[int(word[-2])]
    op, _, outputs = built(word, fields, shape)
    y = op.to_torch()(torch.zeros(shape))
    tensors = y if isinstance(y, tuple) else (y,)
    assert [output.shape for output in outputs] == [tuple(tensor.shape) for tensor in tensors]
    assert [output.dtype for output in outputs] == [str(tensor.dtype).removeprefix("torch.") for tensor in tensors]
    assert op.weights() == ()


@pytest.mark.parametrize("shape", [(2, 3, 5), (2, 3, 5, 4), (2, 3, 5, 4, 6)])
@pytest.mark.parametrize("keepdim", [True, False])
def test_global_pooling_agrees_with_pytorch(shape, keepdim):
    torch = pytest.importorskip("torch")
    spatial = tuple(range(2, len(shape)))
    for word, function in (("global_avg_pool", torch.mean), ("global_max_pool", torch.amax)):
        y = function(torch.zeros(shape), dim=spatial, keepdim=keepdim)
        assert built(word, {"keepdim": keepdim}, shape)[2][0].shape == tuple(y.shape)


REFUSED = [
    ("max_pool2d", k(3, padding=2), (1, 1, 9, 9), ("padding 2", "kernel size 3", "at most 1")),
    ("max_pool2d", k(3, padding=2, dilation=2), (1, 1, 9, 9), ("padding 2", "kernel size 3")),
    ("avg_pool1d", k(2, padding=2), (1, 1, 9), ("padding 2", "kernel size 2")),
    ("max_pool2d", k(3), (1, 1, 2, 9), ("3", "2", "height", "padding of 1")),
    ("avg_pool3d", k(3, padding=1), (1, 1, 2, 9, 9), ("3x3x3", "2x9x9")),
    ("max_pool2d", k((3, 3, 3)), (1, 1, 9, 9), ("3 entries", "2 spatial")),
    ("max_pool2d", k(3), (1, 1, 9), ("max_pool2d", "1x1x9")),
    ("adaptive_avg_pool2d", {"output_size": 1}, (1, 8), ("adaptive_avg_pool2d", "1x8")),
]


@pytest.mark.parametrize(("word", "fields", "shape", "numbers"), REFUSED)
def test_refusals_carry_the_numbers(word, fields, shape, numbers):
    with pytest.raises(OpError) as caught:
        built(word, fields, shape)
    assert all(number in str(caught.value) for number in numbers), str(caught.value)


@pytest.mark.parametrize(("word", "fields", "shape", "numbers"), REFUSED[:5])
def test_pytorch_refuses_the_same(word, fields, shape, numbers):
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError):
        make(word, fields).to_torch()(torch.zeros(shape))


def test_global_pooling_needs_positions():
    with pytest.raises(OpError, match="1x8"):
        built("global_avg_pool", {}, (1, 8))


def test_ceil_mode_allows_a_window_larger_than_the_input():
    torch = pytest.importorskip("torch")
    fields = k(3, stride=2, ceil_mode=True)
    assert tuple(torch.nn.MaxPool2d(**fields)(torch.zeros(1, 1, 2, 2)).shape) == (1, 1, 1, 1)
    assert built("max_pool2d", fields, (1, 1, 2, 2))[2][0].shape == (1, 1, 1, 1)


def test_seven_with_stride_three_rounded_down_and_up():
    floor, inputs, outputs = built("max_pool2d", k(3, stride=3), (1, 1, 7, 7))
    assert outputs[0].shape[2:] == (2, 2)
    assert "the last row and the last column" in floor.warnings(inputs)[0]
    ceil, inputs, outputs = built("max_pool2d", k(3, stride=3, ceil_mode=True), (1, 1, 7, 7))
    assert outputs[0].shape[2:] == (3, 3)
    assert ceil.warnings(inputs) == ()


def test_max_pooling_compares_within_each_window():
    op, inputs, outputs = built("max_pool2d", k(3, stride=2), (1, 96, 55, 55))
    assert outputs[0].shape == (1, 96, 27, 27)
    assert op.work(inputs, outputs, train=False) == {"pooling": 96 * 27 * 27 * (9 - 1)}
    assert op.macs(inputs, outputs) == 0
    assert op.reach(inputs, outputs) == Reach("window", (3, 3), (2, 2), (0, 0))
    (step,) = op.steps(inputs, outputs)
    assert (step.substitution, step.value) == ("((55 + 2*0 - 3) / 2) + 1", 27)


def test_average_pooling_adds_and_divides():
    op, inputs, outputs = built("avg_pool2d", k((2, 3)), (2, 4, 8, 9))
    assert op.work(inputs, outputs, train=True) == {"pooling": 2 * 4 * 4 * 3 * ((6 - 1) + 1)}


def test_dilated_windows_reach_further():
    op, inputs, outputs = built("max_pool1d", k(3, stride=1, padding=1, dilation=2), (1, 1, 9))
    assert op.reach(inputs, outputs) == Reach("window", (5,), (1,), (1,))


def test_indices_are_integers_of_eight_bytes():
    op, inputs, (y, indices) = built("max_pool2d", k(2, return_indices=True), (1, 2, 4, 4), "float16")
    assert (y.dtype, y.bytes) == ("float16", 2 * 2 * 2 * 2)
    assert (indices.dtype, indices.bytes) == ("int64", 8 * 2 * 2 * 2)
    assert [place.kind for place in op.placement(inputs, True)] == ["fresh", "fresh"]


def test_adaptive_windows_overlap_where_sizes_do_not_divide():
    # 5 positions to 3: [0, 2), [1, 4), [3, 5), seven values together.
    op, inputs, outputs = built("adaptive_max_pool1d", {"output_size": 3}, (2, 4, 5))
    assert op.work(inputs, outputs, train=False) == {"pooling": 2 * 4 * (7 - 3)}
    op, inputs, outputs = built("adaptive_avg_pool2d", {"output_size": (3, 2)}, (2, 4, 5, 4))
    assert op.work(inputs, outputs, train=False) == {"pooling": 2 * 4 * (7 * 4 - 6 + 6)}
    assert op.reach(inputs, outputs) == UNKNOWN


def test_reach_of_adaptive_pooling_is_its_window():
    op, inputs, outputs = built("adaptive_avg_pool2d", {"output_size": 1}, (1, 8, 7, 7))
    assert op.reach(inputs, outputs) == GLOBAL
    op, inputs, outputs = built("adaptive_avg_pool2d", {"output_size": (7, 2)}, (1, 8, 14, 14))
    assert op.reach(inputs, outputs) == Reach("window", (2, 7), (2, 7), (0, 0))


def test_global_pooling_counts_every_value():
    op, inputs, outputs = built("global_avg_pool", {}, (2, 512, 7, 7))
    assert op.work(inputs, outputs, train=False) == {"pooling": 2 * 512 * (48 + 1)}
    op, inputs, outputs = built("global_max_pool", {}, (2, 512, 7, 7))
    assert op.work(inputs, outputs, train=False) == {"pooling": 2 * 512 * 48}


@pytest.mark.parametrize(("channels", "size", "params", "links"), [(6, 28, 12, 5_880), (16, 10, 32, 2_000)])
def test_subsampling_of_lenet(channels, size, params, links):
    """LeCun et al. 1998: S2 has 12 parameters and 5,880 connections, S4 has 32 and 2,000."""
    op, inputs, outputs = built("subsample2d", k(2), (1, channels, size, size))
    assert sum(weight.elements for weight in op.weights()) == params
    assert op.connection_count(inputs, outputs) == links
    each = channels * (size // 2) ** 2
    assert op.work(inputs, outputs, train=False) == {"pooling": each * (3 + 1), "bias": each}
    assert op.bind(inputs) == op
    with pytest.raises(OpError, match=f"{channels} channels, got 3"):
        op.bind((Tensor((1, 3, size, size)),))


def test_subsampling_sums_scales_and_shifts():
    torch = pytest.importorskip("torch")
    module = built("subsample2d", k(2), (1, 2, 4, 4))[0].to_torch()
    with torch.no_grad():
        module.weight.copy_(torch.tensor([1.0, 0.5]))
        module.bias.copy_(torch.tensor([0.0, 3.0]))
        y = module(torch.arange(32.0).view(1, 2, 4, 4))
    # The first window of the second map holds 16, 17, 20 and 21.
    assert y[0, :, 0, 0].tolist() == [0 + 1 + 4 + 5, 0.5 * (16 + 17 + 20 + 21) + 3]
