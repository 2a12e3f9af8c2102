"""The sizes of the benchmarks that measure a device's peak rates."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from convcost.measure.profiling import ceilings  # noqa: E402 - needs torch
from support.fake_bench import FakeBench  # noqa: E402

LIMIT_NS = int(1e9 * ceilings.LIMITS.seconds)


@pytest.mark.parametrize(
    ("product_ns", "side"),
    [
        (0, 64),
        (LIMIT_NS // 8**3, 64),  # 8 times the side, 8**3 times the work: just within the limit
        (LIMIT_NS // 8**3 + 1, 32),
        (LIMIT_NS // 4**3 + 1, 16),
        (LIMIT_NS, 8),
        (10 * LIMIT_NS, 8),
    ],
)
def test_matrices_are_smaller_on_a_cpu_with_slow_kernels(monkeypatch, product_ns, side):
    """A product of matrices with 8 rows takes ``product_ns``; the full size is 64."""
    monkeypatch.setattr(ceilings, "SIDE", {"cpu": 64})
    assert ceilings._side(FakeBench(tick_ns=product_ns), torch.device("cpu"), "bfloat16") == side


def test_the_rate_is_that_of_the_matrices_that_were_multiplied(monkeypatch):
    monkeypatch.setattr(ceilings, "SIDE", {"cpu": 64})
    ceiling = ceilings._matmul(FakeBench(tick_ns=LIMIT_NS), torch.device("cpu"), "bfloat16", None)
    assert ceiling.work == 2 * 8**3
    assert ceiling.shape == "8x8 by 8x8"
