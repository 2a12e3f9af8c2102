"""TF32's switches: PyTorch has two sets of them from 2.9 on, and refuses to read the first once the second was used."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from convcost.measure.profiling.tf32 import flags, tf32_flags  # noqa: E402

MATMUL = "torch.backends.cuda.matmul.allow_tf32"
BEFORE = (
    "pass",
    "torch.set_float32_matmul_precision('high')",
    "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
    "torch.backends.cudnn.conv.fp32_precision = 'ieee'",
    "torch.backends.fp32_precision = 'tf32'",
)
# In a process of its own, since the switches hold for all that follows.
SCRIPT = """
import torch
from convcost.measure.profiling.tf32 import flags, tf32_flags

def tf32():
    return tuple(flags()[key] for key in ("torch.backends.cuda.matmul.allow_tf32", "torch.backends.cudnn.allow_tf32"))

{before}
first = tf32()
for allowed in (True, False):
    with tf32_flags(allowed):
        assert tf32() == (str(allowed),) * 2, (allowed, tf32())
        if hasattr(torch.backends.cudnn, "conv"):
            kinds = torch.backends.cuda.matmul.fp32_precision, torch.backends.cudnn.conv.fp32_precision
            assert [kind == "tf32" for kind in kinds] == [allowed] * 2, kinds
    assert tf32() == first
with tf32_flags(None):
    assert tf32() == first
"""


@pytest.mark.parametrize("before", BEFORE)
def test_switches_come_back_however_they_were_set(before):
    if "fp32_precision" in before and not hasattr(torch.backends.cuda.matmul, "fp32_precision"):
        pytest.skip(f"torch {torch.__version__} has one set of switches")
    made = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT.format(before=before)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr


def test_an_error_sets_them_back_too():
    def fails():
        with tf32_flags(before[MATMUL] != "True"):
            inside.update(flags())
            raise ZeroDivisionError

    before, inside = flags(), {}
    with pytest.raises(ZeroDivisionError):
        fails()
    assert inside[MATMUL] != before[MATMUL]
    assert flags() == before
