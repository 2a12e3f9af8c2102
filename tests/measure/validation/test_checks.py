"""The comparison of records with figures that are written out here. Needs no PyTorch."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from convcost import Tensor, analyze
from convcost.measure.validation.results import Check, Difference, Validation
from convcost.measure.validation.spec_checks import against_counter, against_pytorch, shapes_text
from support.networks import chain

NET = ("conv2d: {out_channels: 6, kernel_size: 3, groups: 3}", "batch_norm2d", "relu_", "adaptive_avg_pool2d: 1")
CONV, NORM, RELU, POOL = "conv2d_1", "batch_norm2d_1", "relu_1", "adaptive_avg_pool2d_1"
MACS = 6 * 8 * 8 * 9  # groups of one channel each
MADE = (1, 6, 8, 8)


@pytest.fixture(scope="module")
def report():
    return analyze(chain((3, 10, 10), *NET))


def observed(shape, params=0, buffers=0, weight_bytes=0, fresh=None):
    bytes_made = 4 * shape[1] * shape[2] * shape[3]
    return SimpleNamespace(
        outputs=(Tensor(shape),),
        params=params,
        buffers=buffers,
        weight_bytes=weight_bytes,
        fresh_bytes=bytes_made if fresh is None else fresh,
    )


def correct():
    return {
        CONV: observed(MADE, params=6 * 9 + 6, weight_bytes=4 * 60),
        NORM: observed(MADE, params=12, buffers=13, weight_bytes=4 * (12 + 12) + 8),
        RELU: observed(MADE, fresh=0),
        POOL: observed((1, 6, 1, 1)),
    }


def checks(report, layers):
    return {check.quantity: check for check in against_pytorch(report, layers)}


def test_agreement(report):
    by_quantity = checks(report, correct())
    assert {check.status for check in by_quantity.values()} == {"agrees"}
    assert {(check.compared, check.equal) for check in by_quantity.values()} == {(4, 4)}
    assert by_quantity["params"].ours == by_quantity["params"].theirs == 72
    assert by_quantity["activation bytes"].theirs == 4 * (6 * 64 + 6 * 64 + 6)


@pytest.mark.parametrize(
    ("change", "quantity", "ours", "theirs", "reason"),
    [
        ({"outputs": (Tensor((1, 6, 8, 9)),)}, "output shapes", "1x6x8x8", "1x6x8x9",
         "dimension 3: the shape rule of conv2d gives 8, PyTorch 9"),
        ({"outputs": (Tensor((6, 8, 8)),)}, "output shapes", "1x6x8x8", "6x8x8", "the number of dimensions"),
        ({"outputs": (Tensor(MADE, "float64"),)}, "output shapes", "1x6x8x8", "1x6x8x8 float64",
         "the dtype rule of conv2d gives float32, PyTorch float64"),
        ({"outputs": (Tensor(MADE), Tensor((1,)))}, "output shapes", "1x6x8x8", "1x6x8x8, 1",
         "the number of outputs: 1 by the rule of conv2d, 2 by PyTorch"),
        ({"params": 54}, "params", 60, 54, "the difference of 6 is the size of bias, which only convcost counts"),
        ({"params": 114}, "params", 60, 114, "the difference of 54 is the size of weight, which only PyTorch counts"),
        ({"params": 61}, "params", 60, 61, "probably the weights rule of conv2d"),
        ({"fresh_bytes": 0}, "activation bytes", 1536, 0,
         "PyTorch's output shares the storage of an input or a weight; convcost's rule says new memory"),
        ({"fresh_bytes": 7}, "activation bytes", 1536, 7, "probably the bytes rule of conv2d"),
    ],
)  # fmt: skip
def test_a_difference_is_reported_with_its_reason(report, change, quantity, ours, theirs, reason):
    layers = correct()
    vars(layers[CONV]).update(change)
    by_quantity = checks(report, layers)
    assert by_quantity[quantity].differences == (Difference(CONV, "conv2d", ours, theirs, reason),)
    assert by_quantity[quantity].status == "differs"
    assert by_quantity[quantity].equal == 3
    assert {name for name, check in by_quantity.items() if check.differences} == {quantity}


def test_a_copy_where_the_rule_says_in_place(report):
    layers = correct()
    layers[RELU].fresh_bytes = 1536
    (difference,) = checks(report, layers)["activation bytes"].differences
    assert difference == Difference(
        RELU, "relu", 0, 1536, "PyTorch's output is in new memory; convcost's rule says a view or in place"
    )


# --- counters


def torch_counts(**changes):
    return {CONV: 2 * MACS, NORM: 0, RELU: 0, POOL: 0, **changes}


def fvcore_counts(**changes):
    return {CONV: MACS, NORM: 2 * 6 * 64, RELU: 0, POOL: 6 * 64, **changes}


def test_counters_agree(report):
    torch = against_counter(report, "torch", torch_counts())
    assert (torch.status, torch.equal, torch.ours, torch.theirs) == ("agrees", 4, MACS, MACS)
    fvcore = against_counter(report, "fvcore", fvcore_counts())
    assert (fvcore.status, fvcore.equal, fvcore.ours) == ("explained", 2, MACS)
    assert fvcore.theirs == MACS + 2 * 6 * 64 + 6 * 64
    assert [(part.layers, part.ours, part.theirs, part.first) for part in fvcore.explained] == [
        (1, 0, 768, NORM),
        (1, 0, 384, POOL),
    ]
    assert fvcore.explained[0].reason.startswith("batch_norm: 2 per element of the input")


@pytest.mark.parametrize(
    ("name", "counts", "layer", "theirs", "reason"),
    [
        ("torch", torch_counts(conv2d_1=0), CONV, 0, "the counter has no formula for an operator of this conv2d"),
        ("torch", torch_counts(conv2d_1=4 * MACS), CONV, 2 * MACS, "twice convcost's figure: multiplications and"),
        ("torch", torch_counts(conv2d_1=6 * MACS), CONV, 3 * MACS, "the ratio is the number of groups, 3"),
        (
            "torch",
            torch_counts(conv2d_1=2 * (MACS + 6 * 64)),
            CONV,
            MACS + 6 * 64,
            "one more per element of the output",
        ),
        ("torch", torch_counts(conv2d_1=2 * MACS + 1), CONV, f"{MACS}.5", "probably the MACs rule of conv2d"),
        ("torch", torch_counts(batch_norm2d_1=768), NORM, 384, "one more per element of the output, probably the bias"),
        # fvcore's rule is exactly 2 per element; a figure that is 1 less is not explained.
        ("fvcore", fvcore_counts(batch_norm2d_1=2 * 6 * 64 - 1), NORM, 767, "probably the MACs rule of batch_norm2d"),
        ("fvcore", fvcore_counts(batch_norm2d_1=5 * 6 * 64), NORM, 1920, "probably the MACs rule of batch_norm2d"),
    ],
)
def test_a_figure_that_no_rule_explains_is_a_difference(report, name, counts, layer, theirs, reason):
    check = against_counter(report, name, counts)
    (difference,) = check.differences
    assert (difference.layer, difference.ours, difference.theirs) == (layer, MACS if layer == CONV else 0, theirs)
    assert difference.reason.startswith(reason)
    assert check.status == "differs"


def test_fvcore_counts_more_in_training():
    report = analyze(chain((3, 10, 10), *NET), train=True)
    assert against_counter(report, "fvcore", fvcore_counts(batch_norm2d_1=5 * 6 * 64)).status == "explained"
    assert against_counter(report, "fvcore", fvcore_counts()).status == "differs"


def test_fvcore_has_no_formula_for_padding_same():
    report = analyze(chain((3, 8, 8), "conv2d: {out_channels: 4, kernel_size: 3, padding: same}"))
    check = against_counter(report, "fvcore", {CONV: 0})
    reason = "conv2d with padding 'same': the counter has no formula for this operator and counts 0"
    assert check.explained[0].reason == reason
    assert against_counter(report, "torch", {CONV: 0}).status == "differs"


# --- records


def test_statuses():
    assert Check("macs", "fvcore", note="not installed").status == "not run"
    assert Check("macs", "fvcore", 1, 1).status == "agrees"
    validation = Validation("net", "net.yaml", "meta", checks=(Check("macs", "fvcore", note="not installed"),))
    assert validation.ok
    assert not Validation("net", "net.yaml", "meta", error="no such file").ok
    assert validation.check("macs", "fvcore").note == "not installed"
    with pytest.raises(KeyError, match="macs against torch"):
        validation.check("macs", "torch")


def test_shapes_as_text():
    assert shapes_text((Tensor((2, 3)), Tensor((), "int64"))) == "2x3, scalar int64"


def test_comparing_needs_no_torch():
    modules = "convcost.measure.validation.spec_checks, convcost.measure.validation.results"
    code = f"import {modules}, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
