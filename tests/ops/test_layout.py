"""Views, slices, padding: shapes against PyTorch; they compute nothing."""

from __future__ import annotations

import pytest

from convcost.errors import OpError
from convcost.ops import make
from convcost.ops.base import MERGE, POINT, UNKNOWN, Reach
from ops.examples import run

IMAGE = (2, 12, 10, 9)


CASES = [
    ("identity", {}, IMAGE),
    ("flatten", {}, IMAGE),
    ("flatten", {"start_dim": 2}, IMAGE),
    ("flatten", {"start_dim": -3, "end_dim": -2}, IMAGE),
    ("flatten", {"start_dim": 0, "end_dim": 1}, IMAGE),
    ("unflatten", {"dim": 1, "sizes": [3, 4]}, IMAGE),
    ("unflatten", {"dim": -1, "sizes": [3, -1, 1]}, IMAGE),
    ("reshape", {"shape": [0, -1]}, IMAGE),
    ("reshape", {"shape": [0, 0, 90]}, IMAGE),
    ("reshape", {"shape": [-1]}, IMAGE),
    ("reshape", {"shape": [4, 0, 1, 45]}, IMAGE),
    ("permute", {"dims": [0, 2, 3, 1]}, IMAGE),
    ("permute", {"dims": [-1, 0, -2, 1]}, IMAGE),
    ("transpose", {"dim0": 1, "dim1": -1}, IMAGE),
    ("transpose", {"dim0": 2, "dim1": 2}, IMAGE),
    ("channel_shuffle", {"groups": 4}, IMAGE),
    ("chunk", {"chunks": 4}, IMAGE),
    ("chunk", {"chunks": 5}, IMAGE),
    ("chunk", {"chunks": 4, "dim": -1}, IMAGE),
    ("chunk", {"chunks": 40, "dim": 2}, IMAGE),
    ("split", {"sections": 5}, IMAGE),
    ("split", {"sections": [4, 6], "dim": 2}, IMAGE),
    ("select", {"dim": 1, "index": -1}, IMAGE),
    ("narrow", {"dim": 2, "start": 3, "length": 7}, IMAGE),
    ("narrow", {"dim": -1, "start": -4, "length": 3}, IMAGE),
    ("zero_pad1d", {"padding": [1, 2]}, (2, 3, 7)),
    ("zero_pad2d", {"padding": 3}, IMAGE),
    ("zero_pad2d", {"padding": [0, 1, 2, 3]}, IMAGE),
    ("zero_pad3d", {"padding": [0, 1, 2, 3, 4, 5]}, (1, 2, 3, 4, 5)),
    ("pad", {"padding": [1, 2]}, IMAGE),
    ("pad", {"padding": [0, 1, 2, 3, 4, 5]}, IMAGE),
    ("roll", {"shifts": [-3, 40], "dims": [1, 2]}, IMAGE),
    ("crop", {"size": [4, 5], "offset": [6, 0]}, IMAGE),
]  # fmt: skip

VIEWS = {
    "identity", "flatten", "unflatten", "reshape", "permute", "transpose", "chunk", "split",
    "select", "narrow", "crop",
}  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "shape"), CASES)
def test_shapes_are_those_of_pytorch(name, fields, shape):
    torch = pytest.importorskip("torch")
    op, _, outputs, _ = run(name, shape, **fields)
    expected = op.to_torch()(torch.empty(shape, device="meta"))
    expected = expected if isinstance(expected, tuple) else (expected,)
    assert [tensor.shape for tensor in outputs] == [tuple(tensor.shape) for tensor in expected]


@pytest.mark.parametrize(("name", "fields", "shape"), CASES)
def test_they_compute_nothing_and_views_write_nothing(name, fields, shape):
    op, inputs, outputs, _ = run(name, shape, **fields)
    assert op.work(inputs, outputs, True) == {}
    assert op.macs(inputs, outputs) == 0
    assert op.weights() == ()
    kinds = {placement.kind for placement in op.placement(inputs, True)}
    assert kinds == ({"view"} if name in VIEWS else {"fresh"})
    assert op.reads(inputs, outputs) == (0 if name in VIEWS else inputs[0].bytes)
    assert (op.launches(inputs, False) == 0) == (name in VIEWS)


@pytest.mark.parametrize(
    ("name", "fields", "part"),
    [
        ("crop", {"size": 2}, lambda x: x[:, :, 4:6, 3:5]),  # (10 - 2) / 2 and floor((9 - 2) / 2)
        ("crop", {"size": [4, 5], "offset": [6, 0]}, lambda x: x[:, :, 6:10, 0:5]),
        ("crop", {"size": 3, "offset": 1}, lambda x: x[:, :, 1:4, 1:4]),
        ("select", {"dim": 1, "index": -1}, lambda x: x[:, -1]),
        ("narrow", {"dim": -1, "start": -4, "length": 3}, lambda x: x[..., -4:-1]),
        ("reshape", {"shape": [4, 0, 1, 45]}, lambda x: x.reshape(4, 12, 1, 45)),
        ("roll", {"shifts": [-3, 1], "dims": [1, 2]}, lambda x: x[:, [*range(3, 12), 0, 1, 2]][:, :, [-1, *range(9)]]),
    ],
)
def test_modules_return_the_slice_that_the_fields_describe(name, fields, part):
    torch = pytest.importorskip("torch")
    x = torch.arange(2.0 * 12 * 10 * 9).view(IMAGE)
    assert torch.equal(run(name, IMAGE, **fields).op.to_torch()(x), part(x))


def test_modules_pad_the_sides_that_the_fields_describe():
    torch = pytest.importorskip("torch")
    x = torch.ones(1, 1, 1, 1)
    padded = make("zero_pad2d", {"padding": [0, 1, 2, 3]}).to_torch()(x)  # left, right, top, bottom
    assert (tuple(padded.shape), padded.nonzero().tolist()) == ((1, 1, 6, 2), [[0, 0, 2, 0]])
    padded = make("pad", {"padding": [1, 0, 0, 2, 3, 0]}).to_torch()(x)
    assert (tuple(padded.shape), padded.nonzero().tolist()) == ((1, 4, 3, 2), [[0, 3, 0, 1]])


def test_crop_at_the_centre_and_with_the_size_of_a_second_input():
    assert run("crop", (1, 64, 568, 568), size=392).outputs[0].shape == (1, 64, 392, 392)
    crop = run("crop", (1, 64, 64, 64), (1, 512, 56, 57))
    assert crop.outputs[0].shape == (1, 64, 56, 57)
    # (64 - 56) / 2 = 4 and floor((64 - 57) / 2) = 3 are left out before.
    assert crop.op.reach(crop.inputs, crop.outputs) == Reach("window", (1, 1), (1, 1), (-4, -3))


@pytest.mark.parametrize(
    ("name", "fields", "shapes", "message"),
    [
        ("flatten", {"start_dim": 4}, [IMAGE], "no dimension 4 in 2x12x10x9, which has 4 dimensions"),
        ("flatten", {"start_dim": 2, "end_dim": 1}, [IMAGE], "start_dim 2 comes after end_dim 1"),
        ("unflatten", {"dim": 1, "sizes": [5, -1]}, [IMAGE], "dimension 1 of 2x12x10x9 has 12 elements"),
        ("unflatten", {"dim": 1, "sizes": [-1, -1]}, [IMAGE], "only one size"),
        ("reshape", {"shape": [0, 7]}, [IMAGE], r"2,160 elements, which cannot be reshaped to 2x7 \(14\)"),
        ("reshape", {"shape": [0, 0, 0, 0, 0]}, [IMAGE], "no dimension 4 to keep"),
        ("permute", {"dims": [0, 1, 2]}, [IMAGE], "each of the 4 dimensions"),
        ("channel_shuffle", {"groups": 5}, [IMAGE], "12 channels cannot be divided into 5 groups"),
        ("split", {"sections": [5, 5]}, [IMAGE], r"5 \+ 5 = 10, but dimension 1 has size 12"),
        ("select", {"dim": 1, "index": 12}, [IMAGE], "index 12 is out of range for dimension 1"),
        ("narrow", {"dim": 2, "start": 8, "length": 3}, [IMAGE], "start 8 and length 3 exceed dimension 2"),
        ("zero_pad2d", {"padding": [1, 1]}, [IMAGE], "padding has 2 entries, expected 4"),
        ("zero_pad2d", {"padding": -1}, [IMAGE], "padding is -1"),
        ("crop", {"size": 11}, [IMAGE], "dimension 2 of 2x12x10x9 is too small for a crop of 11"),
        ("crop", {"size": 5, "offset": [6, 0]}, [IMAGE], "5 from offset 6"),
        ("crop", {}, [IMAGE], "neither"),
        ("crop", {"size": 5}, [IMAGE, IMAGE], "both"),
        ("crop", {}, [IMAGE, (2, 3, 4)], "differ in the number of dimensions"),
        ("roll", {"shifts": [1, 2], "dims": 1}, [IMAGE], "got 2 for 1"),
    ],
)  # fmt: skip
def test_refusals_name_the_numbers(name, fields, shapes, message):
    with pytest.raises(OpError, match=message):
        run(name, *shapes, **fields)


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("flatten", {}, MERGE),
        ("flatten", {"start_dim": 2}, MERGE),
        ("flatten", {"start_dim": 0, "end_dim": 1}, UNKNOWN),
        ("permute", {"dims": [0, 2, 3, -3]}, Reach("permute", dims=(0, 2, 3, 1))),
        ("transpose", {"dim0": 1, "dim1": -1}, Reach("permute", dims=(0, 3, 2, 1))),
        ("reshape", {"shape": [0, -1]}, MERGE),
        ("reshape", {"shape": [-1, 24, 10, 9]}, POINT),
        ("chunk", {"chunks": 2}, POINT),
        ("chunk", {"chunks": 2, "dim": 2}, UNKNOWN),
        ("narrow", {"dim": 3, "start": -4, "length": 2}, Reach("window", (1, 1), (1, 1), (0, -5))),
        ("zero_pad2d", {"padding": [1, 2, 3, 4]}, Reach("window", (1, 1), (1, 1), (3, 1))),
        ("roll", {"shifts": 1, "dims": 2}, UNKNOWN),
    ],
)
def test_reach(name, fields, expected):
    op, inputs, outputs, _ = run(name, IMAGE, **fields)
    assert op.reach(inputs, outputs) == expected


def test_flatten_shows_the_features_that_a_linear_layer_receives():
    op, inputs, outputs, _ = run("flatten", (1, 256, 6, 6))
    (step,) = op.steps(inputs, outputs)
    assert (step.formula, step.substitution, step.value) == ("C*H*W", "256*6*6", 256 * 6 * 6)


def test_fewer_chunks_than_requested_are_a_warning():
    chunk = run("chunk", IMAGE, chunks=5)
    assert chunk.op.warnings(chunk.inputs) == ("dimension 1 of size 12 is divided into 4 chunks, not into 5",)
