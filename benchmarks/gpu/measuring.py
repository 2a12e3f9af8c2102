"""How a slice is measured, by its kind: each gives the content of its file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import torch

import convcost
from convcost.errors import ConvcostError
from convcost.measure.profiling.ceilings import ceilings
from convcost.measure.profiling.clock import Bench, CpuBench
from convcost.measure.profiling.environment import environment
from convcost.measure.profiling.passes import Passes
from convcost.measure.profiling.profile import profile, timed_device
from convcost.profiles import Profile
from convcost.profiles.runs import Setting
from gpu.plan import DTYPES, Scope, Slice
from gpu.timers import readings

ROOT = Path(__file__).resolve().parent.parent.parent


class Place(NamedTuple):
    """The device that is measured, by its name for PyTorch and for people."""

    device: str
    name: str
    bench: Bench


class Stopped(Exception):  # noqa: N818 - nothing is wrong
    """Ctrl-C in the middle of a slice; ``content`` is what was done, for its file."""

    def __init__(self, content: dict[str, Any]) -> None:
        super().__init__("stopped")
        self.content = content


def place(device: str) -> Place:
    """The device of this name.

    Raises:
        UsageError: there is none.
    """
    where = timed_device(device)
    if where.type == "cpu":
        bench: Bench = CpuBench()
    else:
        from convcost.measure.profiling.cuda_clock import CudaBench

        bench = CudaBench(where)
    return Place(device, environment(where, bench).device_name, bench)


def measure(each: Slice, where: Place, scope: Scope, say: Callable[[str], None]) -> dict[str, Any]:
    """The content of a slice's file.

    Raises:
        Stopped: by Ctrl-C, with something worth keeping. KeyboardInterrupt: with nothing.
        Exception: whatever goes wrong in PyTorch.
    """
    try:
        # Other timers, and what asks for "cuda", take the current device.
        with torch.cuda.device(where.device) if where.bench.kind == "cuda" else nullcontext():
            return KINDS[each.kind](each, where, scope, say)
    finally:
        where.bench.release()


Say = Callable[[str], None]


def _device(each: Slice, where: Place, scope: Scope, say: Say) -> dict[str, Any]:
    device = timed_device(where.device)
    dtypes = ("float32", "bfloat16") if device.type == "cpu" else ("float32", "bfloat16", "float16")
    found = ceilings(where.bench, device, dtypes, None)
    return {
        "kind": "gpu device",
        "environment": msgspec.to_builtins(environment(device, where.bench)),
        "missing": missing(where),
        "ceilings": msgspec.to_builtins(found),
    }


def missing(where: Place) -> list[str]:
    """What is not installed here, and what it would have told."""
    found = []
    sensors = getattr(where.bench, "sensors", None)
    if sensors is not None and sensors.missing:
        found.append(f"no clock, power or temperature: {sensors.missing}")
    for name, lost in (("triton", "no do_bench"), ("fvcore", "no MACs by fvcore")):
        found += [f"{lost}: {name} is not installed"] if find_spec(name) is None else []
    return found


def _profile(each: Slice, where: Place, scope: Scope, say: Say) -> dict[str, Any]:
    found = profile(
        device=where.device, batch=scope.batches, seconds=scope.seconds, **each.arguments,
        progress=lambda words, done: say(words),
    )  # fmt: skip
    content = _document(found)
    if found.interrupted:
        raise Stopped(content) if found.runs else KeyboardInterrupt
    return content


def _document(found: Profile) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(found.to_json())
    return made


def _agreement(each: Slice, where: Place, scope: Scope, say: Say) -> dict[str, Any]:
    device, name = timed_device(where.device), each.arguments["network"]
    graph = convcost.load(name)
    rows = []
    for dtype in DTYPES:
        for batch in scope.batches:
            say(f"batch {batch}, {dtype}")
            row: dict[str, Any] = {"network": name, "batch": batch, "dtype": dtype}
            try:
                passes = Passes(convcost.analyze(graph, batch, dtype), Setting(batch, dtype), device)
                row |= readings(where.bench, passes.forward, scope.seconds)
            except RuntimeError as error:
                if not where.bench.out_of_memory(error):
                    raise
                row["error"] = "out of memory"
            rows.append(row)
            passes = None
            where.bench.release()
    return _with_place("gpu agreement", where, rows)


def _repeatability(each: Slice, where: Place, scope: Scope, say: Say) -> dict[str, Any]:
    """Everything is made anew for the second run, as when the command is called again."""
    rows = []
    for name in each.arguments["networks"]:
        twice: list[Mapping[tuple[int, str], tuple[float, float | None]]] = []
        for number in (1, 2):
            say(f"{name}, run {number}")
            found = profile(
                name, where.device, scope.batches, DTYPES, layers="none", seconds=scope.seconds, bench=where.bench
            )
            if found.interrupted:
                raise KeyboardInterrupt
            twice.append({
                (run.setting.batch, run.setting.dtype): (run.time.median_ns, run.time.uncertainty)
                for run in found.measured
            })  # fmt: skip
        rows += [
            {"network": name, "batch": batch, "dtype": dtype, "first_ns": first[0], "second_ns": twice[1][key][0],
             "first_uncertainty": first[1], "second_uncertainty": twice[1][key][1]}
            for key, first in twice[0].items() if key in twice[1] for batch, dtype in (key,)
        ]  # fmt: skip
    return _with_place("gpu repeatability", where, rows)


def _validation(each: Slice, where: Place, scope: Scope, say: Say) -> dict[str, Any]:
    rows = []
    for name in each.arguments["networks"]:
        say(name)
        try:
            found = convcost.validate(name, where.device)
        except ConvcostError as error:
            rows.append({"network": name, "ok": False, "error": str(error)})
            continue
        checks = [
            {"quantity": check.quantity, "witness": check.witness, "status": check.status, "compared": check.compared,
             "equal": check.equal, "ours": check.ours, "theirs": check.theirs, "note": check.note}
            for check in found.checks
        ]  # fmt: skip
        differences = [
            f"{one.layer or 'whole'}: {one.ours} beside {one.theirs} {one.reason}".rstrip() for one in found.differences
        ]
        rows.append({
            "network": name, "ok": found.ok, "error": found.error, "layers": found.layers, "seconds": found.seconds,
            "differences": differences[:10], "checks": checks,
        })  # fmt: skip
        where.bench.release()
    return _with_place("gpu validation", where, rows)


def _memory(each: Slice, where: Place, scope: Scope, say: Say) -> dict[str, Any]:
    import gpu_memory

    return gpu_memory.compared(each.arguments["network"])


def _tests(each: Slice, where: Place, scope: Scope, say: Say) -> dict[str, Any]:
    """Their results as pytest writes them, in a process of its own."""
    if find_spec("pytest") is None:
        raise ModuleNotFoundError("pytest is not installed")
    where.bench.release()
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", f"--junitxml={results}", each.arguments["path"]]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "CUDA_VISIBLE_DEVICES": _visible(where)}
        made = subprocess.run(
            command, cwd=ROOT, env=environ, check=False, capture_output=True, text=True, timeout=3600
        )  # fmt: skip
        if not results.exists():
            raise RuntimeError(f"pytest did not run: {(made.stderr or made.stdout)[-300:]}")
        rows = [_case(case) for case in ET.parse(results).getroot().iter("testcase")]
    return _with_place("gpu tests", where, rows)


def _visible(where: Place) -> str:
    """The device that is measured alone, in the words of CUDA_VISIBLE_DEVICES."""
    number = timed_device(where.device).index or 0
    shown = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return shown.split(",")[number] if shown else str(number)


def _case(case: ET.Element) -> dict[str, Any]:
    for word in ("failure", "error", "skipped"):
        found = case.find(word)
        if found is not None:
            return {"test": case.get("name"), "result": word, "words": (found.get("message") or "")[:300]}
    return {"test": case.get("name"), "result": "passed"}


def _with_place(kind: str, where: Place, rows: list[dict[str, Any]]) -> dict[str, Any]:
    found = environment(timed_device(where.device), where.bench)
    return {"kind": kind, "environment": msgspec.to_builtins(found), "rows": rows}


KINDS: dict[str, Callable[[Slice, Place, Scope, Say], dict[str, Any]]] = {
    "device": _device,
    "profile": _profile,
    "agreement": _agreement,
    "repeatability": _repeatability,
    "validation": _validation,
    "memory": _memory,
    "tests": _tests,
}
"""Who measures a slice of this kind."""
