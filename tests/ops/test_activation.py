"""Activations: against PyTorch, and against arithmetic done by hand."""

from __future__ import annotations

from math import erf, exp, log, pi, sqrt, tanh

import pytest

from convcost.errors import OpError
from convcost.ops import make, ready
from convcost.ops.base import GLOBAL, POINT
from convcost.ops.flop_counts import KINDS, PER_ELEMENT
from convcost.tensor import Tensor

SHAPE = (2, 6, 5, 4)
ELEMENTS = 2 * 6 * 5 * 4


def built(word, fields, shape=SHAPE):
    inputs = (Tensor(shape, "float16"),)
    op = ready(make(word, fields), inputs)
    return op, inputs, op.outputs(inputs)


# Operations per element, counted in the formula at the end of each line.
IN_PLACE = [
    ("relu", {}, 1),  # max(x, 0)
    ("relu6", {}, 2),  # min(max(x, 0), 6)
    ("leaky_relu", {"negative_slope": 0.2}, 2),  # x > 0, a*x
    ("elu", {"alpha": 0.5}, 1 + 3),  # x > 0, a*(exp(x) - 1)
    ("selu", {}, 1 + 3 + 1),  # s*elu(x)
    ("sigmoid", {}, 3),  # 1/(1 + exp(-x))
    ("tanh", {}, 5),  # e = exp(2x): (e - 1)/(e + 1)
    ("silu", {}, 3 + 1),  # x*sigmoid(x)
    ("mish", {}, 3 + 5 + 1),  # x*tanh(log(1 + exp(x)))
    ("hardtanh", {"min_val": -2.0, "max_val": 2.0}, 2),  # min(max(x, low), high)
    ("hardsigmoid", {}, 1 + 2 + 1),  # min(max(x + 3, 0), 6)/6
    ("hardswish", {}, 4 + 1),  # x*hardsigmoid(x)
]
FRESH = [
    ("prelu", {}, 2),  # x > 0, w*x
    ("gelu", {}, 5),  # 0.5*x*(1 + erf(x/sqrt(2)))
    ("gelu", {"approximate": "tanh"}, 2 + 1 + 1 + 1 + 5 + 1 + 2),  # 0.5*x*(1 + tanh(c*(x + d*x*x*x)))
    ("softplus", {"beta": 2.0}, 5),  # log(1 + exp(b*x))/b
    ("scaled_tanh", {}, 1 + 5 + 1),  # A*tanh(S*x)
]


@pytest.mark.parametrize(("word", "fields", "each"), IN_PLACE + FRESH)
@pytest.mark.parametrize("train", [True, False])
def test_operations_per_element(word, fields, each, train):
    op, inputs, outputs = built(word, fields)
    assert outputs == inputs
    assert op.work(inputs, outputs, train) == {"activation": each * ELEMENTS}
    assert op.macs(inputs, outputs) == 0
    assert op.reach(inputs, outputs) == POINT
    assert [place.kind for place in op.placement(inputs, train)] == ["fresh"]


@pytest.mark.parametrize(("word", "fields", "each"), IN_PLACE)
def test_in_place_variants_overwrite_their_input(word, fields, each):
    op, inputs, outputs = built(word, {**fields, "inplace": True})
    assert [place.kind for place in op.placement(inputs, True)] == ["in_place"]
    assert op.work(inputs, outputs, True) == {"activation": each * ELEMENTS}


@pytest.mark.parametrize("word", ["prelu", "gelu", "softplus", "softmax", "maxout", "scaled_tanh"])
def test_others_have_no_in_place_variant(word):
    with pytest.raises(OpError, match="no field 'inplace'"):
        make(word, {"inplace": True})


VALUES = {
    "relu": lambda x: max(x, 0),
    "relu6": lambda x: min(max(x, 0), 6),
    "leaky_relu": lambda x: x if x > 0 else 0.2 * x,
    "elu": lambda x: x if x > 0 else 0.5 * (exp(x) - 1),
    "selu": lambda x: 1.0507009873554805 * (x if x > 0 else 1.6732632423543772 * (exp(x) - 1)),
    "sigmoid": lambda x: 1 / (1 + exp(-x)),
    "tanh": lambda x: (exp(2 * x) - 1) / (exp(2 * x) + 1),
    "silu": lambda x: x / (1 + exp(-x)),
    "mish": lambda x: x * tanh(log(1 + exp(x))),
    "hardtanh": lambda x: min(max(x, -2), 2),
    "hardsigmoid": lambda x: min(max(x + 3, 0), 6) / 6,
    "hardswish": lambda x: x * min(max(x + 3, 0), 6) / 6,
    "prelu": lambda x: x if x > 0 else 0.25 * x,
    "gelu": lambda x: 0.5 * x * (1 + erf(x / sqrt(2))),
    "gelu tanh": lambda x: 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x))),
    "softplus": lambda x: log(1 + exp(2 * x)) / 2,
    "scaled_tanh": lambda x: 1.7159 * tanh(2 / 3 * x),
}


@pytest.mark.parametrize(("word", "fields", "each"), IN_PLACE + FRESH)
def test_the_module_computes_the_formula(word, fields, each):
    torch = pytest.importorskip("torch")
    values = [-7.0, -2.5, -1.0, -0.25, 0.0, 0.5, 1.5, 3.0, 6.5]
    formula = VALUES[f"{word} tanh" if fields.get("approximate") else word]
    expected = torch.tensor([formula(x) for x in values], dtype=torch.float64)
    module = built(word, fields)[0].to_torch().double()
    torch.testing.assert_close(module(torch.tensor(values, dtype=torch.float64)), expected)


def test_modules_of_softmax_and_maxout():
    torch = pytest.importorskip("torch")
    x = torch.tensor([[[1.0, 5.0, 2.0, 0.0]], [[-1.0, 3.0, 3.0, 4.0]]], dtype=torch.float64)
    for word in ("softmax", "attention_softmax", "log_softmax"):
        for dim in (0, -1):
            expected = x.exp() / x.exp().sum(dim, keepdim=True)
            module = make(word, {"dim": dim}).to_torch()
            torch.testing.assert_close(module(x), expected.log() if word == "log_softmax" else expected)
    for dim in (2, -1):
        assert make("maxout", {"pieces": 2, "dim": dim}).to_torch()(x).tolist() == [[[5.0, 2.0]], [[3.0, 4.0]]]
    assert make("maxout", {"pieces": 2, "dim": 0}).to_torch()(x).tolist() == [[[1.0, 5.0, 3.0, 4.0]]]
    assert make("maxout", {"pieces": 2, "dim": -3}).to_torch()(x).tolist() == [[[1.0, 5.0, 3.0, 4.0]]]


def test_fields_are_in_pytorchs_order():
    assert make("leaky_relu", {}).__struct_fields__ == ("negative_slope", "inplace")
    assert make("hardtanh", {}).__struct_fields__ == ("min_val", "max_val", "inplace")


@pytest.mark.parametrize(("dim", "rows", "n"), [(1, 2 * 5 * 4, 6), (-1, 2 * 6 * 5, 4), (2, 2 * 6 * 4, 5)])
def test_softmax_counts_by_rows(dim, rows, n):
    maximum, shifted, exps, total, divided = n - 1, n, n, n - 1, n
    for word in ("softmax", "attention_softmax"):
        op, inputs, outputs = built(word, {"dim": dim})
        assert op.work(inputs, outputs, False) == {"activation": rows * (maximum + shifted + exps + total + divided)}
    op, inputs, outputs = built("log_softmax", {"dim": dim})
    assert op.work(inputs, outputs, False) == {"activation": rows * (maximum + shifted + exps + total + 1 + n)}


def test_softmax_of_attention_is_reported_in_attention():
    assert built("attention_softmax", {})[0].group == "attention"
    assert built("softmax", {})[0].group == "activation"


def test_reach_of_softmax_over_positions_is_global():
    for dim, shape, reach in (
        (1, SHAPE, POINT),
        (-1, SHAPE, GLOBAL),
        (-1, (2, 10), POINT),
        (-1, (2, 49, 96), POINT),
    ):
        op, inputs, outputs = built("softmax", {"dim": dim}, shape)
        assert op.reach(inputs, outputs) == reach


def test_maxout_by_hand():
    op, inputs, outputs = built("maxout", {"pieces": 3})
    assert outputs[0].shape == (2, 2, 5, 4)
    assert outputs[0].dtype == "float16"
    assert op.work(inputs, outputs, False) == {"activation": 2 * 2 * 5 * 4 * (3 - 1)}
    assert built("maxout", {"pieces": 2, "dim": -1})[2][0].shape == (2, 6, 5, 2)


@pytest.mark.parametrize(
    ("word", "fields", "complaint"),
    [
        ("maxout", {"pieces": 4}, "pieces 4 must divide dimension 1 of 2x6x5x4"),
        ("maxout", {"pieces": 2, "dim": 4}, "no dimension 4"),
        ("softmax", {"dim": -5}, "no dimension -5 in 2x6x5x4"),
        ("prelu", {"num_parameters": 5}, "5, expected 1 or 6, the number of channels"),
        ("hardtanh", {"min_val": 2.0, "max_val": 1.0}, "min_val 2 must be smaller than max_val 1"),
        ("gelu", {"approximate": "erf"}, "approximate"),
    ],
)
def test_refusals_carry_the_numbers(word, fields, complaint):
    with pytest.raises(OpError, match=complaint):
        built(word, fields)


@pytest.mark.parametrize(
    ("word", "autocast"),
    [("relu", "keep"), ("gelu", "keep"), ("softmax", "float32"), ("log_softmax", "float32"), ("softplus", "float32"),
     ("prelu", "low")],
)  # fmt: skip
def test_mixed_precision(word, autocast):
    assert make(word, {}).autocast == autocast


def test_the_table_of_counts_is_well_formed():
    assert {line.kind for line in PER_ELEMENT.values()} <= set(KINDS)
    assert all(line.total >= 0 and line.formula for line in PER_ELEMENT.values())
