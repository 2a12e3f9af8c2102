"""Normalisation: against PyTorch, and against arithmetic done by hand."""

from __future__ import annotations

import pytest

from convcost.errors import OpError
from convcost.ops import make, ready
from convcost.tensor import Tensor


def built(word, fields, shape, dtype="float32"):
    inputs = (Tensor(shape, dtype),)
    op = ready(make(word, fields), inputs)
    return op, inputs, op.outputs(inputs)


def operations(word, fields, shape, train):
    op, inputs, outputs = built(word, fields, shape)
    work = op.work(inputs, outputs, train)
    assert set(work) == {"normalisation"}
    assert op.macs(inputs, outputs) == 0
    return work["normalisation"]


SHAPES = {1: (4, 6, 10), 2: (4, 6, 5, 7), 3: (4, 6, 3, 4, 5)}
STATES = [{"affine": affine, "track_running_stats": track} for affine in (True, False) for track in (True, False)]
TORCH = [
    *(
        (f"{word}{rank}d", fields, shape)
        for word in ("batch_norm", "instance_norm")
        for rank, shape in SHAPES.items()
        for fields in ({}, *STATES)
    ),
    ("batch_norm1d", {"momentum": None, "eps": 1e-3}, (4, 6)),
    ("layer_norm", {}, (2, 5, 8)),
    ("layer_norm", {"normalized_shape": (5, 8), "bias": False}, (2, 5, 8)),
    ("layer_norm", {"normalized_shape": 8, "elementwise_affine": False}, (2, 5, 8)),
    ("rms_norm", {}, (2, 5, 8)),
    ("rms_norm", {"normalized_shape": (5, 8), "eps": 1e-6}, (2, 5, 8)),
    ("rms_norm", {"normalized_shape": 8, "elementwise_affine": False}, (2, 5, 8)),
    ("group_norm", {"num_groups": 3}, (2, 6, 5, 7)),
    ("group_norm", {"num_groups": 2, "affine": False}, (2, 6)),
    *(("local_response_norm", {"size": 5}, shape) for shape in SHAPES.values()),
    ("local_response_norm", {"size": 2}, SHAPES[2]),
]  # fmt: skip


@pytest.mark.parametrize(("word", "fields", "shape"), TORCH)
def test_normalisation_agrees_with_pytorch(word, fields, shape):
    torch = pytest.importorskip("torch")
    op, inputs, outputs = built(word, fields, shape)
    module = op.to_torch()
    assert outputs == inputs
    assert tuple(module(torch.zeros(shape)).shape) == shape
    for kind, tensors in (("parameter", module.named_parameters()), ("buffer", module.named_buffers())):
        ours = [(weight.name, weight.shape) for weight in op.weights() if weight.kind == kind]
        assert ours == [(name, tuple(tensor.shape)) for name, tensor in tensors]


def test_num_batches_tracked_is_an_integer():
    op, _, _ = built("batch_norm2d", {}, (1, 64, 8, 8))
    assert [weight.dtype for weight in op.weights()] == [None, None, None, None, "int64"]


@pytest.mark.parametrize(
    ("word", "fields", "first", "second", "complaint"),
    [
        ("batch_norm2d", {}, (1, 64, 8, 8), (1, 128, 8, 8), "batch_norm2d was built for 64 channels, got 128"),
        ("batch_norm2d", {"num_features": 3}, None, (1, 4, 8, 8), "3 channels, got 4"),
        ("batch_norm2d", {}, None, (1, 64, 8), "3 dimensions: 1x64x8"),
        ("instance_norm2d", {}, None, (1, 64, 1, 1), "more than one position per channel, got 1x64x1x1"),
        ("layer_norm", {}, (1, 49, 96), (1, 49, 192), "last dimensions 96, got 1x49x192"),
        ("layer_norm", {"normalized_shape": (4, 4)}, None, (1, 3, 4, 5), "last dimensions 4x4, got 1x3x4x5"),
        ("layer_norm", {"normalized_shape": ()}, None, (1, 8), "got 1x8"),
        ("rms_norm", {"normalized_shape": (2, 4, 8)}, None, (4, 8), "2x4x8, got 4x8"),
        ("group_norm", {"num_groups": 3}, None, (1, 64, 8, 8), "num_groups 3 must divide the 64 channels"),
        ("group_norm", {"num_groups": 2}, (1, 4, 8), (1, 6, 8), "4 channels, got 6"),
        ("local_response_norm", {"size": 5}, None, (1, 64), "got 1x64"),
    ],
)  # fmt: skip
def test_refusals_carry_the_numbers(word, fields, first, second, complaint):
    op = make(word, fields)
    if first is not None:
        op = ready(op, (Tensor(first),))
        assert ready(op, (Tensor(first),)) == op
    with pytest.raises(OpError, match=complaint):
        ready(op, (Tensor(second),))


def test_batch_norm_cannot_be_trained_on_one_value_per_channel():
    op, inputs, _ = built("batch_norm2d", {}, (1, 64, 1, 1))
    (warning,) = op.training_warnings(inputs)
    assert "1x64x1x1" in warning
    assert op.training_warnings((Tensor((2, 64, 1, 1)),)) == ()
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        op.to_torch()(torch.zeros(1, 64, 1, 1))


def test_instance_norm_cannot_be_trained_on_one_position_per_channel():
    op, inputs, _ = built("instance_norm2d", {"track_running_stats": True}, (2, 64, 1, 1))
    (warning,) = op.training_warnings(inputs)
    assert "2x64x1x1" in warning
    assert op.training_warnings((Tensor((2, 64, 1, 2)),)) == ()
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        op.to_torch()(torch.zeros(2, 64, 1, 1))
    assert op.to_torch().eval()(torch.zeros(2, 64, 1, 1)).shape == (2, 64, 1, 1)


def test_batch_norm_with_running_statistics():
    elements = 2 * 16 * 5 * 7
    # Subtract the mean, multiply by 1/sqrt(var + eps), gamma, beta; once per channel add, square root, divide.
    assert operations("batch_norm2d", {}, (2, 16, 5, 7), False) == 4 * elements + 3 * 16
    assert operations("batch_norm2d", {"affine": False}, (2, 16, 5, 7), False) == 2 * elements + 3 * 16


def test_batch_norm_with_the_statistics_of_the_batch():
    m = 2 * 5 * 7
    mean = (m - 1) + 1
    variance = m + m + (m - 1) + 1
    running = 2 * (2 + 1)
    per_channel = mean + variance + 3 + 4 * m
    assert operations("batch_norm2d", {}, (2, 16, 5, 7), True) == 16 * (per_channel + running)
    # Where none are tracked, evaluation takes the statistics too, and nothing is updated.
    for train in (True, False):
        fields = {"track_running_stats": False}
        assert operations("batch_norm2d", fields, (2, 16, 5, 7), train) == 16 * per_channel


def test_instance_norm_computes_statistics_per_image():
    m = 5 * 7
    per_map = (4 * m) + 3 + 2 * m
    assert operations("instance_norm2d", {}, (2, 16, 5, 7), False) == 2 * 16 * per_map
    fields = {"affine": True, "track_running_stats": True}
    assert operations("instance_norm2d", fields, (2, 16, 5, 7), False) == 2 * 16 * (3 + 4 * m)
    # Training also moves the running values of each map, and averages both over the batch: 1 addition, 1 division.
    update = 2 * 16 * 6 + 16 * 2 * (1 + 1)
    assert operations("instance_norm2d", fields, (2, 16, 5, 7), True) == 2 * 16 * (4 * m + 3 + 4 * m) + update


@pytest.mark.parametrize("train", [True, False])
def test_norms_without_running_statistics(train):
    tokens, width = 2 * 49, 96
    statistics, root = 4 * width, 3
    assert operations("layer_norm", {}, (2, 49, width), train) == tokens * (statistics + root + 4 * width)
    assert operations("layer_norm", {"bias": False}, (2, 49, width), train) == tokens * (7 * width + 3)
    assert operations("layer_norm", {"elementwise_affine": False}, (2, 49, width), train) == tokens * (6 * width + 3)
    m = 32 // 8 * 5 * 7
    assert operations("group_norm", {"num_groups": 8}, (2, 32, 5, 7), train) == 2 * 8 * (4 * m + 3 + 4 * m)
    # n squares, n - 1 additions, divide, add eps, square root, divide; then n products, and n with gamma.
    row = width + (width - 1) + 4 + width
    assert operations("rms_norm", {}, (2, 49, width), train) == tokens * (row + width)
    assert operations("rms_norm", {"elementwise_affine": False}, (2, 49, width), train) == tokens * row


def test_local_response_norm_of_alexnet():
    # Square, 4 additions and a division over 5 channels, times alpha, plus k, power, division.
    per_element = 1 + 4 + 1 + 1 + 1 + 1 + 1
    assert operations("local_response_norm", {"size": 5, "k": 2.0}, (1, 96, 55, 55), False) == 290_400 * per_element
    op, inputs, outputs = built("local_response_norm", {"size": 5}, (1, 96, 55, 55))
    assert op.weights() == ()
    assert outputs == inputs


@pytest.mark.parametrize(
    ("word", "fields", "shape", "eval_", "train"),
    [
        ("batch_norm2d", {}, (2, 4, 5, 5), 1, 2),
        ("batch_norm2d", {"track_running_stats": False}, (2, 4, 5, 5), 1, 1),
        ("instance_norm2d", {}, (2, 4, 5, 5), 1, 1),
        ("instance_norm2d", {"affine": True}, (2, 4, 5, 5), 3, 3),
        ("instance_norm2d", {"affine": True, "track_running_stats": True}, (2, 4, 5, 5), 5, 9),
        ("local_response_norm", {"size": 5}, (2, 4, 5, 5), 8, 8),
    ],
)
def test_launches_are_the_kernels_that_pytorch_dispatches(word, fields, shape, eval_, train):
    """The calls are those of PyTorch's dispatcher; views launch no kernel, padding fills and copies."""
    op, inputs, _ = built(word, fields, shape)
    assert (op.launches(inputs, False), op.launches(inputs, True)) == (eval_, train)
    torch = pytest.importorskip("torch")
    modes = pytest.importorskip("torch.utils._python_dispatch")

    class Calls(modes.TorchDispatchMode):
        def __init__(self):
            super().__init__()
            self.kernels = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            name = function.overloadpacket.__name__
            self.kernels += {"view": 0, "alias": 0, "squeeze": 0, "empty": 0, "constant_pad_nd": 2}.get(name, 1)
            return function(*args, **(kwargs or {}))

    module = op.to_torch()
    for training, expected in ((False, eval_), (True, train)):
        module.train(training)
        x = torch.zeros(shape)
        with torch.no_grad(), Calls() as calls:
            module(x)
        assert calls.kernels == expected


@pytest.mark.parametrize(
    ("word", "fields", "autocast"),
    [
        ("batch_norm1d", {}, "keep"),
        ("layer_norm", {}, "float32"),
        ("rms_norm", {}, "float32"),
        ("group_norm", {"num_groups": 1}, "float32"),
        ("local_response_norm", {"size": 5}, "float32"),
    ],
)
def test_mixed_precision(word, fields, autocast):
    assert make(word, fields).autocast == autocast
