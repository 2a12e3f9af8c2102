"""Everything that only a GPU can show, measured in slices and written as evidence with a page over it.

Run: python benchmarks/gpu_suite.py [--budget SECONDS] [--only SLICE] [--again] [--list] [--summary]

Each slice is one JSON file in reports/gpu/DEVICE/, in the order of usefulness: the device's ceilings, the canon layer
by layer, other timers, repeatability, other ways to run, training, validation of every network that ships, memory, the
tests for GPUs. What is there is left as it is, so that a run goes on where the last one stopped. After each slice
reports/gpu/README.md is written anew from the files alone. PyTorch, msgspec and PyYAML are enough; nothing is
downloaded. Exit status: 0; 1 if a slice failed; 2 for wrong use; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]

from gpu import evidence  # noqa: E402
from gpu.page import page  # noqa: E402
from gpu.plan import BATCHES, NETWORKS, Scope, Slice, slices  # noqa: E402

from convcost.errors import ConvcostError, nearest  # noqa: E402
from convcost.files import atomic_write  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "reports" / "gpu"
BROKEN = "CUDA error"
"""In the words of an error after which a process cannot use the device any more."""


class Outcome(NamedTuple):
    """How a run of slices ended."""

    failed: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    interrupted: bool = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is not there yet. Returns the exit status."""
    options = _options(arguments)
    scope = Scope(options.networks, options.batches, options.seconds)
    if options.summary:
        write_page(options.output, scope)
        return 0
    chosen = _chosen(slices(scope, options.device.partition(":")[0]), options.only)
    if options.list and not options.output.is_dir():
        return _listed(chosen, None)
    try:
        from gpu.measuring import place
    except ModuleNotFoundError as error:
        sys.exit(f"gpu_suite: {error.name} is not installed; torch, msgspec and PyYAML are needed")
    try:
        where = place(options.device)
    except ConvcostError as error:
        if options.list:
            return _listed(chosen, None)
        print(f"gpu_suite: {error}", file=sys.stderr)
        return 2
    folder = options.output / evidence.slug(where.name)
    if options.list:
        return _listed(chosen, folder)
    outcome = run(chosen, folder, where, scope, options.budget, options.again, options.output)
    if outcome.left_out:
        print(f"{len(outcome.left_out)} slices are left, for which the budget had no time: the same command goes on")
    if outcome.interrupted:
        return 130
    return 1 if outcome.failed else 0


def run(
    chosen: Sequence[Slice], folder: Path, where: object, scope: Scope, budget: float, again: bool, output: Path
) -> Outcome:
    """Measure slices until they or the budget come to an end; those that failed before come last."""
    from gpu.measuring import Stopped, measure

    log, start = evidence.Log(folder), time.monotonic()
    waiting = [each for each in chosen if again or not evidence.is_done(folder, each.name)]
    failed: list[str] = []
    left_out: list[str] = []
    for each in sorted(waiting, key=lambda each: log.failed(each.name)):
        needed = each.estimate_s * log.factor(each.kind)
        if time.monotonic() - start + needed > budget:
            left_out.append(each.name)
            continue
        begun = time.monotonic()
        print(f"{each.name}: about {needed:,.0f} s", flush=True)
        status, error, content = "failed", "", None
        try:
            content = measure(each, where, scope, _told)  # type: ignore[arg-type]
            error = evidence.failure(content)
            status = "failed" if error else "done"
        except Stopped as stopped:
            status, content = "interrupted", stopped.content
        except KeyboardInterrupt:
            status = "interrupted"
        except Exception as problem:  # noqa: BLE001 - whatever PyTorch raises, the other slices go on
            error = f"{type(problem).__name__}: {problem}"[:500]
        if content is not None:
            evidence.write(folder / f"{each.name}.json", content)
        spent = time.monotonic() - begun
        log.add(each.name, each.kind, status, spent, each.estimate_s, error)
        print(f"{each.name}: {status} after {spent:,.1f} s {error}".rstrip(), flush=True)
        write_page(output, scope)
        if status == "interrupted":
            return Outcome(tuple(failed), tuple(left_out), True)
        failed += [each.name] if status == "failed" else []
        if BROKEN in error:
            print("the device cannot be used by this process any more: call the script again to go on")
            break
    return Outcome(tuple(failed), tuple(left_out))


def write_page(output: Path, scope: Scope) -> None:
    """The page over all evidence that is there."""
    output.mkdir(parents=True, exist_ok=True)
    with atomic_write(str(output / "README.md")) as file:
        file.write(page(output, scope))


def _told(words: str) -> None:
    print(f"    {words}", flush=True)


def _chosen(known: Sequence[Slice], only: Sequence[str]) -> list[Slice]:
    """The slices that are named, by patterns such as profile-*; all where none is."""
    names = [each.name for each in known]
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            print(f"gpu_suite: no slice {pattern!r}{nearest(pattern, names)}; --list has them", file=sys.stderr)
            raise SystemExit(2)
    return [each for each in known if not only or any(fnmatchcase(each.name, pattern) for pattern in only)]


def _listed(chosen: Sequence[Slice], folder: Path | None) -> int:
    log = evidence.Log(folder) if folder is not None else None
    for each in chosen:
        done = folder is not None and evidence.is_done(folder, each.name)
        state = "done" if done else "failed" if log is not None and log.failed(each.name) else "-"
        needed = each.estimate_s * (log.factor(each.kind) if log is not None else 1.0)
        print(f"{state:7}{needed:6,.0f} s  {each.name}: {each.words}")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gpu_suite", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--budget", type=float, default=float("inf"), metavar="SECONDS",
                        help="begin no slice that would end later than this")  # fmt: skip
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1; cpu, to try the script")
    parser.add_argument("--output", type=Path, default=None, help="default: reports/gpu")
    parser.add_argument("--only", action="append", default=[], metavar="SLICE",
                        help="a slice, or a pattern such as 'profile-*' (repeatable)")  # fmt: skip
    parser.add_argument("--again", action="store_true", help="also what is there already")
    parser.add_argument("--list", action="store_true", help="name the slices, and what became of them")
    parser.add_argument("--summary", action="store_true", help="write README.md from the files, and measure nothing")
    trial = parser.add_argument_group("to try the script", "each needs an --output of its own")
    trial.add_argument("--networks", type=_words, default=NETWORKS, metavar="NAME[,NAME...]")
    trial.add_argument("--batches", type=_numbers, default=BATCHES, metavar="N[,N...]")
    trial.add_argument("--seconds", type=float, default=Scope().seconds, help="of one setting, about")
    options = parser.parse_args(arguments)
    kind = options.device.partition(":")[0]
    if kind not in ("cuda", "cpu"):
        parser.error(f"--device is {options.device!r}; it is cuda, cuda:1 or cpu")
    trying = kind == "cpu" or (options.networks, options.batches, options.seconds) != tuple(Scope())
    if trying and (options.output is None or options.output.resolve() == OUTPUT):
        parser.error("a trial is no evidence: give an --output other than reports/gpu")
    if not options.budget > 0 or not options.seconds > 0:
        parser.error("--budget and --seconds must be more than 0")
    options.output = options.output or OUTPUT
    return options


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(word) for word in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
