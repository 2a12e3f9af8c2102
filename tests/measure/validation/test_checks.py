"""The comparison apart from running: our records beside figures that are written out here. Needs no PyTorch."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from convcost import Tensor, analyze
from convcost.measure.validation.results import Check, Difference, Validation
from convcost.measure.validation.spec_checks import against_counter, against_pytorch, shown
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


def right():
    return {
        CONV: observed(MADE, params=6 * 9 + 6, weight_bytes=4 * 60),
        NORM: observed(MADE, params=12, buffers=13, weight_bytes=4 * (12 + 12) + 8),
        RELU: observed(MADE, fresh=0),
        POOL: observed((1, 6, 1, 1)),
    }


def checks(report, seen):
    return {check.quantity: check for check in against_pytorch(report, seen)}


def test_agreement(report):
    found = checks(report, right())
    assert {check.status for check in found.values()} == {"agrees"}
    assert {(check.compared, check.equal) for check in found.values()} == {(4, 4)}
    assert found["params"].ours == found["params"].theirs == 72
    assert found["activation bytes"].theirs == 4 * (6 * 64 + 6 * 64 + 6)


@pytest.mark.parametrize(
    ("change", "quantity", "ours", "theirs", "reason"),
    [
        ({"outputs": (Tensor((1, 6, 8, 9)),)}, "output shapes", "1x6x8x8", "1x6x8x9",
         "dimension 3: the shape rule of conv2d gives 8, PyTorch 9"),
        ({"outputs": (Tensor((6, 8, 8)),)}, "output shapes", "1x6x8x8", "6x8x8", "another number of dimensions"),
        ({"outputs": (Tensor(MADE, "float64"),)}, "output shapes", "1x6x8x8", "1x6x8x8 float64",
         "the dtype rule of conv2d gives float32, PyTorch float64"),
        ({"outputs": (Tensor(MADE), Tensor((1,)))}, "output shapes", "1x6x8x8", "1x6x8x8, 1",
         "1 outputs by the rule, 2 by PyTorch"),
        ({"params": 54}, "params", 60, 54, "6 is the size of bias: only in the rule"),
        ({"params": 114}, "params", 60, 114, "54 is the size of weight: only in PyTorch's module"),
        ({"params": 61}, "params", 60, 61, "the weights rule of conv2d"),
        ({"fresh_bytes": 0}, "activation bytes", 1536, 0,
         "PyTorch's output lies in an input or a weight, and the rule says fresh memory"),
        ({"fresh_bytes": 7}, "activation bytes", 1536, 7, "the bytes rule of conv2d"),
    ],
)  # fmt: skip
def test_what_differs_is_named(report, change, quantity, ours, theirs, reason):
    seen = right()
    vars(seen[CONV]).update(change)
    found = checks(report, seen)
    assert found[quantity].differences == (Difference(CONV, "conv2d", ours, theirs, reason),)
    assert found[quantity].status == "differs"
    assert found[quantity].equal == 3
    assert {name for name, check in found.items() if check.differences} == {quantity}


def test_a_copy_where_the_rule_says_in_place(report):
    seen = right()
    seen[RELU].fresh_bytes = 1536
    (difference,) = checks(report, seen)["activation bytes"].differences
    assert difference == Difference(
        RELU, "relu", 0, 1536, "PyTorch's output is in fresh memory, and the rule says a view or in place"
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
        ("torch", torch_counts(conv2d_1=0), CONV, 0, "the counter does not know an operator of this conv2d"),
        ("torch", torch_counts(conv2d_1=4 * MACS), CONV, 2 * MACS, "twice ours: multiplications and additions counted"),
        ("torch", torch_counts(conv2d_1=6 * MACS), CONV, 3 * MACS, "a factor of 3: the groups"),
        (
            "torch",
            torch_counts(conv2d_1=2 * (MACS + 6 * 64)),
            CONV,
            MACS + 6 * 64,
            "one more per element of the output",
        ),
        ("torch", torch_counts(conv2d_1=2 * MACS + 1), CONV, f"{MACS}.5", "the macs rule of conv2d"),
        ("torch", torch_counts(batch_norm2d_1=768), NORM, 384, "one more per element of the output: the bias"),
        # Its rule says 2 per element; one less is no explanation.
        ("fvcore", fvcore_counts(batch_norm2d_1=2 * 6 * 64 - 1), NORM, 767, "the macs rule of batch_norm2d"),
        ("fvcore", fvcore_counts(batch_norm2d_1=5 * 6 * 64), NORM, 1920, "the macs rule of batch_norm2d"),
    ],
)
def test_a_count_that_no_rule_gives_is_a_difference(report, name, counts, layer, theirs, reason):
    check = against_counter(report, name, counts)
    (difference,) = check.differences
    assert (difference.layer, difference.ours, difference.theirs) == (layer, MACS if layer == CONV else 0, theirs)
    assert difference.reason.startswith(reason)
    assert check.status == "differs"


def test_training_has_another_rule():
    report = analyze(chain((3, 10, 10), *NET), train=True)
    assert against_counter(report, "fvcore", fvcore_counts(batch_norm2d_1=5 * 6 * 64)).status == "explained"
    assert against_counter(report, "fvcore", fvcore_counts()).status == "differs"


def test_padding_by_a_word_is_unknown_to_fvcore():
    report = analyze(chain((3, 8, 8), "conv2d: {out_channels: 4, kernel_size: 3, padding: same}"))
    check = against_counter(report, "fvcore", {CONV: 0})
    assert check.explained[0].reason == "conv2d with padding 'same': an operator that it has no formula for"
    assert against_counter(report, "torch", {CONV: 0}).status == "differs"


# --- records


def test_statuses():
    assert Check("macs", "fvcore", note="not installed").status == "not run"
    assert Check("macs", "fvcore", 1, 1).status == "agrees"
    fine = Validation("net", "net.yaml", "meta", checks=(Check("macs", "fvcore", note="not installed"),))
    assert fine.ok
    assert not Validation("net", "net.yaml", "meta", error="no such file").ok
    assert fine.check("macs", "fvcore").note == "not installed"
    with pytest.raises(KeyError, match="macs against torch"):
        fine.check("macs", "torch")


def test_shown():
    assert shown((Tensor((2, 3)), Tensor((), "int64"))) == "2x3, scalar int64"


def test_comparing_needs_no_torch():
    modules = "convcost.measure.validation.spec_checks, convcost.measure.validation.results"
    code = f"import {modules}, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
