"""Other people's timers on the same pass: triton.testing.do_bench and torch.utils.benchmark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils.benchmark import Timer

from convcost.measure.profiling.clock import Bench
from convcost.measure.profiling.timing import Limits, timed
from convcost.profiles.statistics import summary

WARM_UP_MS, MEASURED_MS = 300, 1500


def readings(bench: Bench, call: Callable[[], object], seconds: float) -> dict[str, Any]:
    """Medians of one pass in nanoseconds by every timer; None where there is no such timer, and ``missing`` says why.

    Ours with the cache overwritten before each pass, as do_bench does it, and as it is, as torch.utils.benchmark does.
    """
    found: dict[str, Any] = {}
    for key, flush in (("flushed_ns", True), ("unflushed_ns", False)):
        made = summary(timed(bench, [call], Limits(seconds=seconds), flush).phases[0])
        found[key], found[key.replace("_ns", "_uncertainty")] = made.median_ns, made.uncertainty
    found["do_bench_ns"], missing = do_bench_ns(call, bench.kind)
    found["timer_ns"] = timer_ns(call, seconds / 2)
    return {**found, "missing": missing} if missing else found


def do_bench_ns(call: Callable[[], object], kind: str) -> tuple[float | None, str]:
    """The median by triton, which overwrites the cache before each pass; or why there is none."""
    if kind != "cuda":
        return None, "triton times CUDA devices only"
    try:
        from triton.testing import do_bench
    except ImportError:
        return None, "triton is not installed"
    found = do_bench(call, warmup=WARM_UP_MS, rep=MEASURED_MS, return_mode="median")
    return 1e6 * float(found), ""


def timer_ns(call: Callable[[], object], seconds: float) -> float:
    """The median by torch.utils.benchmark, which waits for the device only after a block of passes."""
    # It sets the number of threads, by default to one; ours is what everybody else ran with.
    timer = Timer("call()", globals={"call": call}, num_threads=torch.get_num_threads())
    return 1e9 * float(timer.blocked_autorange(min_run_time=seconds).median)
