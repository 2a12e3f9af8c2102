"""Views, parts, padding: shapes against PyTorch, and what they cost (nothing)."""

from __future__ import annotations

import random

import pytest

from convcost.errors import OpError
from convcost.ops.base import MERGE, POINT, UNKNOWN, Reach
from ops.examples import run

IMAGE = (2, 12, 10, 9)


def module(name, *arguments):
    def call(x):
        torch = pytest.importorskip("torch")
        return getattr(torch.nn, name)(*arguments)(x)

    return call


def functional(name, *arguments):
    def call(x):
        torch = pytest.importorskip("torch")
        return getattr(torch.nn.functional, name)(x, *arguments)

    return call


CASES = [
    ("identity", {}, IMAGE, lambda x: x),
    ("flatten", {}, IMAGE, lambda x: x.flatten(1)),
    ("flatten", {"start_dim": 2}, IMAGE, lambda x: x.flatten(2)),
    ("flatten", {"start_dim": -3, "end_dim": -2}, IMAGE, lambda x: x.flatten(-3, -2)),
    ("flatten", {"start_dim": 0, "end_dim": 1}, IMAGE, lambda x: x.flatten(0, 1)),
    ("unflatten", {"dim": 1, "sizes": [3, 4]}, IMAGE, lambda x: x.unflatten(1, (3, 4))),
    ("unflatten", {"dim": -1, "sizes": [3, -1, 1]}, IMAGE, lambda x: x.unflatten(-1, (3, -1, 1))),
    ("reshape", {"shape": [0, -1]}, IMAGE, lambda x: x.reshape(2, -1)),
    ("reshape", {"shape": [0, 0, 90]}, IMAGE, lambda x: x.reshape(2, 12, 90)),
    ("reshape", {"shape": [-1]}, IMAGE, lambda x: x.reshape(-1)),
    ("reshape", {"shape": [4, 0, 1, 45]}, IMAGE, lambda x: x.reshape(4, 12, 1, 45)),
    ("permute", {"dims": [0, 2, 3, 1]}, IMAGE, lambda x: x.permute(0, 2, 3, 1)),
    ("permute", {"dims": [-1, 0, -2, 1]}, IMAGE, lambda x: x.permute(-1, 0, -2, 1)),
    ("transpose", {"dim0": 1, "dim1": -1}, IMAGE, lambda x: x.transpose(1, -1)),
    ("transpose", {"dim0": 2, "dim1": 2}, IMAGE, lambda x: x.transpose(2, 2)),
    ("channel_shuffle", {"groups": 4}, IMAGE, module("ChannelShuffle", 4)),
    ("chunk", {"chunks": 4}, IMAGE, lambda x: x.chunk(4, 1)),
    ("chunk", {"chunks": 5}, IMAGE, lambda x: x.chunk(5, 1)),
    ("chunk", {"chunks": 4, "dim": -1}, IMAGE, lambda x: x.chunk(4, -1)),
    ("chunk", {"chunks": 40, "dim": 2}, IMAGE, lambda x: x.chunk(40, 2)),
    ("split", {"sections": 5}, IMAGE, lambda x: x.split(5, 1)),
    ("split", {"sections": [4, 6], "dim": 2}, IMAGE, lambda x: x.split([4, 6], 2)),
    ("select", {"dim": 1, "index": -1}, IMAGE, lambda x: x.select(1, -1)),
    ("narrow", {"dim": 2, "start": 3, "length": 7}, IMAGE, lambda x: x.narrow(2, 3, 7)),
    ("narrow", {"dim": -1, "start": -4, "length": 3}, IMAGE, lambda x: x.narrow(-1, -4, 3)),
    ("zero_pad1d", {"padding": [1, 2]}, (2, 3, 7), module("ZeroPad1d", (1, 2))),
    ("zero_pad2d", {"padding": 3}, IMAGE, module("ZeroPad2d", 3)),
    ("zero_pad2d", {"padding": [0, 1, 2, 3]}, IMAGE, module("ZeroPad2d", (0, 1, 2, 3))),
    ("zero_pad3d", {"padding": [0, 1, 2, 3, 4, 5]}, (1, 2, 3, 4, 5), module("ZeroPad3d", (0, 1, 2, 3, 4, 5))),
    ("pad", {"padding": [1, 2]}, IMAGE, functional("pad", (1, 2))),
    ("pad", {"padding": [0, 1, 2, 3, 4, 5]}, IMAGE, functional("pad", (0, 1, 2, 3, 4, 5))),
    ("roll", {"shifts": [-3, 40], "dims": [1, 2]}, IMAGE, lambda x: x.roll((-3, 40), (1, 2))),
    ("crop", {"size": [4, 5], "offset": [6, 0]}, IMAGE, lambda x: x[:, :, 6:10, 0:5]),
]  # fmt: skip

VIEWS = {
    "identity", "flatten", "unflatten", "reshape", "permute", "transpose", "chunk", "split",
    "select", "narrow", "crop",
}  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "shape", "reference"), CASES)
def test_shapes_are_those_of_pytorch(name, fields, shape, reference):
    torch = pytest.importorskip("torch")
    expected = reference(torch.empty(shape, device="meta"))
    expected = expected if isinstance(expected, tuple) else (expected,)
    found = run(name, shape, **fields)
    assert tuple(tensor.shape for tensor in found.outputs) == tuple(tuple(tensor.shape) for tensor in expected)


@pytest.mark.parametrize(("name", "fields", "shape", "reference"), CASES)
def test_nothing_is_calculated_and_views_write_nothing(name, fields, shape, reference):
    op, inputs, outputs, _ = run(name, shape, **fields)
    assert op.work(inputs, outputs, True) == {}
    assert op.macs(inputs, outputs) == 0
    assert op.weights() == ()
    kinds = {placement.kind for placement in op.placement(inputs, True)}
    assert kinds == ({"view"} if name in VIEWS else {"fresh"})
    assert op.reads(inputs, outputs) == (0 if name in VIEWS else inputs[0].bytes)
    assert (op.launches(inputs, False) == 0) == (name in VIEWS)


def a_view(dice):
    one, two, three = (dice.randint(-5, 5) for _ in range(3))
    sizes = (abs(two) or -1, abs(three) or -1)
    count = abs(three) + 1
    return dice.choice(
        [
            ("flatten", {"start_dim": one, "end_dim": two}, lambda x: x.flatten(one, two)),
            ("transpose", {"dim0": one, "dim1": two}, lambda x: x.transpose(one, two)),
            ("select", {"dim": one, "index": two}, lambda x: x.select(one, two)),
            ("narrow", {"dim": one, "start": two, "length": count}, lambda x: x.narrow(one, two, count)),
            ("chunk", {"chunks": count, "dim": one}, lambda x: x.chunk(count, one)),
            ("split", {"sections": count, "dim": one}, lambda x: x.split(count, one)),
            ("unflatten", {"dim": one, "sizes": sizes}, lambda x: x.unflatten(one, sizes)),
            ("reshape", {"shape": sizes}, lambda x: x.reshape(sizes)),
            ("permute", {"dims": [one, two, three]}, lambda x: x.permute(one, two, three)),
        ]
    )


def test_random_views_agree_with_pytorch_or_both_refuse():
    torch = pytest.importorskip("torch")
    dice = random.Random(0)
    agreed = refused = 0
    for _ in range(3000):
        shape = tuple(dice.randint(1, 6) for _ in range(dice.randint(1, 4)))
        name, fields, reference = a_view(dice)
        try:
            expected = reference(torch.empty(shape, device="meta"))
        except (RuntimeError, IndexError):
            with pytest.raises(OpError, match=name):
                run(name, shape, **fields)
            refused += 1
            continue
        expected = expected if isinstance(expected, tuple) else (expected,)
        found = [tensor.shape for tensor in run(name, shape, **fields).outputs]
        assert found == [tuple(tensor.shape) for tensor in expected], (name, fields, shape)
        agreed += 1
    assert min(agreed, refused) > 500


def test_crop_takes_the_middle_or_the_size_of_a_second_input():
    assert run("crop", (1, 64, 568, 568), size=392).outputs[0].shape == (1, 64, 392, 392)
    found = run("crop", (1, 64, 64, 64), (1, 512, 56, 57))
    assert found.outputs[0].shape == (1, 64, 56, 57)
    # (64 - 56) / 2 = 4 and floor((64 - 57) / 2) = 3 are left out before.
    assert found.op.reach(found.inputs, found.outputs) == Reach("window", (1, 1), (1, 1), (-4, -3))


@pytest.mark.parametrize(
    ("name", "fields", "shapes", "message"),
    [
        ("flatten", {"start_dim": 4}, [IMAGE], "no dimension 4 in 2x12x10x9, which has 4"),
        ("flatten", {"start_dim": 2, "end_dim": 1}, [IMAGE], "start_dim 2 comes after end_dim 1"),
        ("unflatten", {"dim": 1, "sizes": [5, -1]}, [IMAGE], "dimension 1 of 2x12x10x9 holds 12"),
        ("unflatten", {"dim": 1, "sizes": [-1, -1]}, [IMAGE], "only one size"),
        ("reshape", {"shape": [0, 7]}, [IMAGE], r"2,160 elements, which do not fill 2x7 \(14\)"),
        ("reshape", {"shape": [0, 0, 0, 0, 0]}, [IMAGE], "no dimension 4 to keep"),
        ("permute", {"dims": [0, 1, 2]}, [IMAGE], "each of the 4 dimensions"),
        ("channel_shuffle", {"groups": 5}, [IMAGE], "12 channels cannot be divided into 5 groups"),
        ("split", {"sections": [5, 5]}, [IMAGE], r"5 \+ 5 = 10, but dimension 1 has 12"),
        ("select", {"dim": 1, "index": 12}, [IMAGE], "index 12 is not in dimension 1"),
        ("narrow", {"dim": 2, "start": 8, "length": 3}, [IMAGE], "start 8 and length 3 leave dimension 2"),
        ("zero_pad2d", {"padding": [1, 1]}, [IMAGE], "padding has 2 entries, it needs 4"),
        ("zero_pad2d", {"padding": -1}, [IMAGE], "padding is -1"),
        ("crop", {"size": 11}, [IMAGE], "dimension 2 of 2x12x10x9 has 10, 11 cannot be cut"),
        ("crop", {"size": 5, "offset": [6, 0]}, [IMAGE], "5 from 6 on"),
        ("crop", {}, [IMAGE], "neither"),
        ("crop", {"size": 5}, [IMAGE, IMAGE], "both"),
        ("crop", {}, [IMAGE, (2, 3, 4)], "another number of dimensions"),
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


def test_warnings_where_pytorch_is_silent():
    found = run("chunk", IMAGE, chunks=5)
    assert found.op.warnings(found.inputs) == ("12 gives only 4 of the 5 chunks asked for",)
