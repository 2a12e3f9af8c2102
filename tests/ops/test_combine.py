"""Arithmetic, concatenation, products and reductions: shapes and dtypes against PyTorch, work by hand."""

from __future__ import annotations

import itertools

import pytest

from convcost.errors import OpError
from convcost.ops import make, ready
from convcost.ops.base import GLOBAL, POINT, UNKNOWN, Reach
from convcost.tensor import ITEM_BYTES, Tensor
from ops.examples import run

BINARY = {"add": "add", "sub": "sub", "mul": "mul", "div": "div", "maximum": "maximum"}


# PyTorch promotes these with nothing else, and calculates with few of them.
BARE = {"uint16", "uint32", "uint64", "float8_e4m3fn", "float8_e5m2"}


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("ranks", [(1, 1), (1, 0), (0, 1), (0, 0)])
def test_dtypes_are_promoted_as_in_pytorch(name, ranks):
    torch = pytest.importorskip("torch")
    for pair in itertools.product(ITEM_BYTES, repeat=2):
        if (BARE & {*pair} and pair[0] != pair[1]) or (name == "sub" and "bool" in pair):
            continue  # PyTorch refuses to subtract truth values
        if name == "maximum" and any(dtype.startswith("complex") for dtype in pair):
            continue  # complex numbers have no order
        if ranks[0] != ranks[1] and "float16" in pair and any(dtype.startswith("complex") for dtype in pair):
            continue  # gives complex numbers of two bytes each, an experiment of PyTorch's
        shapes = [(2,) * rank for rank in ranks]
        tensors = [
            torch.empty(shape, dtype=getattr(torch, dtype), device="meta")
            for shape, dtype in zip(shapes, pair, strict=True)
        ]
        expected = getattr(torch, name)(*tensors).dtype
        inputs = tuple(Tensor(shape, dtype) for shape, dtype in zip(shapes, pair, strict=True))
        assert f"torch.{make(name, {}).outputs(inputs)[0].dtype}" == str(expected), pair


@pytest.mark.parametrize("name", BINARY)
def test_one_operation_per_element_for_each_input_after_the_first(name):
    op, inputs, outputs, _ = run(name, (2, 8, 5, 5), (2, 8, 1, 1), (5,))
    assert op.work(inputs, outputs, False) == {"elementwise": 2 * (2 * 8 * 5 * 5)}
    assert op.launches(inputs, False) == 2
    assert op.reads(inputs, outputs) == 4 * (2 * 8 * 5 * 5 + 2 * 8 + 5)


def test_in_place_needs_the_shape_of_the_first_input():
    found = run("add", (2, 8, 5, 5), (8, 1, 1), inplace=True)
    assert [placement.kind for placement in found.op.placement(found.inputs, False)] == ["in_place"]
    with pytest.raises(OpError, match="cannot store the result 2x8x5x5 in the first input, 8x1x1"):
        run("add", (8, 1, 1), (2, 8, 5, 5), inplace=True)
    with pytest.raises(OpError, match="cannot store a float32 result in int64"):
        ready(make("add", {"inplace": True}), (Tensor((2,), "int64"), Tensor((2,))))
    mixed = (Tensor((2,), "float16"), Tensor((2,)))
    assert ready(make("mul", {"inplace": True}), mixed).outputs(mixed)[0].dtype == "float16"
    with pytest.raises(OpError, match="no field"):
        make("maximum", {"inplace": True})


@pytest.mark.parametrize(
    ("name", "fields", "shapes", "message"),
    [
        ("add", {}, [(1, 64, 56, 56), (1, 128, 56, 56)],
         "add: 1x64x56x56 and 1x128x56x56 cannot be broadcast: dimension 1 is 64 and 128"),
        ("mul", {}, [(1, 64, 7, 7), (64,)],
         r"1x64x7x7 and 64 cannot be broadcast: dimension 3 \(of 4, aligned at the last\) is 7 and 64"),
        ("concat", {}, [(1, 64, 28, 28), (1, 32, 28, 28), (1, 32, 27, 28)],
         "concat of 1x64x28x28, 1x32x28x28, 1x32x27x28 along dimension 1: .* 28 and 27 in dimension 2"),
        ("concat", {}, [(1, 64, 28, 28), (1, 64)], "4 and 2 dimensions"),
        ("concat", {"dim": 4}, [(1, 64, 28, 28)], "no dimension 4"),
        ("matmul", {}, [(2, 3, 4), (2, 5, 4)], "2x3x4 times 2x5x4: the inner dimensions are 4 and 5"),
        ("matmul", {"transpose_b": True}, [(2, 3, 4), (2, 4, 5)], "transposed: the inner dimensions are 4 and 5"),
        ("matmul", {}, [(2, 3, 4), (3, 4, 5)],
         "leading dimensions: 2 and 3 cannot be broadcast: dimension 0 is 2 and 3"),
        ("matmul", {}, [(4,), (4, 5)], "two or more dimensions each, got 4 times 4x5"),
        ("mean", {"dim": [1, -3]}, [(2, 3, 4, 5)], "each once"),
        ("mean", {"dim": []}, [(2, 3, 4, 5)], "each once"),
        ("sum", {"dim": 4}, [(2, 3, 4, 5)], "no dimension 4"),
    ],
)  # fmt: skip
def test_refusals_name_the_numbers(name, fields, shapes, message):
    with pytest.raises(OpError, match=message):
        run(name, *shapes, **fields)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_concat_agrees_with_pytorch(dim):
    torch = pytest.importorskip("torch")
    shapes = [[2, 3, 4], [2, 3, 4], [2, 3, 4]]
    for number, shape in enumerate(shapes):
        shape[dim] += number
    expected = torch.cat([torch.empty(shape, device="meta") for shape in shapes], dim)
    op, inputs, outputs, _ = run("concat", *shapes, dim=dim)
    assert outputs[0].shape == tuple(expected.shape)
    (step,) = op.steps(inputs, outputs)
    assert step.value == sum(shape[dim] for shape in shapes)


@pytest.mark.parametrize("name", ["mean", "sum"])
def test_reductions_agree_with_pytorch(name):
    torch = pytest.importorskip("torch")
    shape = (2, 3, 4, 5)
    for count in (1, 2, 3, 4):
        for dims in itertools.combinations(range(-2, 2), count):
            for keepdim in (False, True):
                expected = getattr(torch.empty(shape, device="meta"), name)(dims, keepdim)
                op, inputs, outputs, _ = run(name, shape, dim=dims, keepdim=keepdim)
                assert outputs[0].shape == tuple(expected.shape)
                # n - 1 additions for each output; a mean divides once more.
                additions = 2 * 3 * 4 * 5 - expected.numel()
                divisions = expected.numel() if name == "mean" else 0
                assert op.work(inputs, outputs, False).get("elementwise", 0) == additions + divisions


def test_reductions_of_integers():
    assert run("sum", (2, 3), dim=1, dtype="int32").outputs[0].dtype == "int64"
    assert run("scale", (2, 3), factor=2, dtype="int64").outputs[0].dtype == "float32"
    with pytest.raises(OpError, match="mean needs floating-point values, got int64"):
        run("mean", (2, 3), dim=1, dtype="int64")


def test_reach_of_reductions():
    def reach(dim, keepdim):
        op, inputs, outputs, _ = run("mean", (2, 3, 4, 5), dim=dim, keepdim=keepdim)
        return op.reach(inputs, outputs)

    assert reach([2, 3], False) == reach([1, 2, 3], True) == GLOBAL
    assert reach(1, True) == POINT
    assert reach(1, False) == reach(2, False) == UNKNOWN
    assert reach(2, True) == Reach("window", (4, 1), (4, 1), (0, 0))


def test_matmul_of_attention_by_hand():
    """ViT-B/16: 12 heads of 64 over 197 tokens; queries by keys is 12*197*64*197 multiply-accumulates."""
    op, inputs, outputs, _ = run("matmul", (1, 12, 197, 64), (1, 12, 197, 64), transpose_b=True)
    assert outputs[0].shape == (1, 12, 197, 197)
    assert op.macs(inputs, outputs) == 12 * 197 * 64 * 197
    (step,) = op.steps(inputs, outputs)
    assert step.substitution == "1*12*197*64*197"


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize(
    ("name", "expected"), [("add", 8 + 4 + 2), ("sub", 8 - 4 - 2), ("mul", 8 * 4 * 2), ("div", 8 / 4 / 2)]
)
def test_modules_work_from_left_to_right(name, expected, inplace):
    torch = pytest.importorskip("torch")
    first = torch.full((2, 3), 8.0)
    result = make(name, {"inplace": inplace}).to_torch()(first, torch.tensor([4.0, 4, 4]), torch.tensor(2.0))
    assert result.tolist() == [[expected] * 3] * 2
    assert (result is first) == inplace


def test_modules_of_concat_matmul_and_scale():
    torch = pytest.importorskip("torch")
    x, y = torch.tensor([[1.0, 5.0]]), torch.tensor([[3.0, 2.0]])
    assert make("maximum", {}).to_torch()(x, y).tolist() == [[3, 5]]
    assert make("concat", {"dim": 0}).to_torch()(x, y).tolist() == [[1, 5], [3, 2]]
    assert make("matmul", {"transpose_b": True}).to_torch()(x, y).tolist() == [[1 * 3 + 5 * 2]]
    assert make("scale", {"factor": 3}).to_torch()(x).tolist() == [[3, 15]]
    assert make("sum", {"dim": 1}).to_torch()(x).tolist() == [6]
    assert make("mean", {"dim": [0, 1], "keepdim": True}).to_torch()(x).tolist() == [[3]]
