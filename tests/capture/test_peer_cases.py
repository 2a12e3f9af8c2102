"""Layers that other FLOP counters count incorrectly. benchmarks/peers.py compares the counters."""

from __future__ import annotations

import pytest

from convcost import analyze

torch = pytest.importorskip("torch")
from peer_cases import ATTENTION, CASES  # noqa: E402

from convcost import capture  # noqa: E402 - needs torch


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_multiply_accumulates_agree_with_the_arithmetic(case):
    module = case.make().eval()
    report = analyze(capture(module, torch.rand(case.shape)))
    assert report.totals.macs == case.macs
    assert report.totals.params == sum(x.numel() for x in module.parameters())
    assert report.coverage.unmodelled == ()


def test_there_are_sixteen_cases():
    assert len(CASES) == 16


def test_the_arithmetic_of_attention():
    """197 tokens of width 768: 464,781,312 MACs for the projections and 59,610,624 for the products."""
    assert ATTENTION == 464_781_312 + 59_610_624
