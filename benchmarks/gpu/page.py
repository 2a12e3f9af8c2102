"""The page over the evidence: what was measured on each device, and what was not. Figures come from the files alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from convcost import units
from convcost.errors import ConvcostError
from convcost.profiles import Profile, load_profile
from convcost.profiles.runs import Ceiling, Environment
from gpu import evidence, profile_tables, tables
from gpu.plan import Scope, Slice, slices

INTRODUCTION = """\
# Measurements on GPUs

`python benchmarks/gpu_suite.py --budget 540` makes the measurements in steps ("slices"). If it is interrupted, the next
call continues with the first missing slice. It then writes this page from the JSON files in the folder of each device;
`--summary` only writes the page. Times are medians. The JSON files of measured networks are saved profiles, which
`convcost compare`, `convcost report` and `convcost profile --show` can read.
"""
NOTHING = "\nNothing has been measured yet.\n"


class Found(NamedTuple):
    """The evidence of one device."""

    folder: Path
    profiles: dict[str, Profile]
    others: dict[str, dict[str, Any]]
    log: dict[str, dict[str, Any]]

    @property
    def names(self) -> set[str]:
        """Slices that are there as a whole."""
        names = {*self.profiles, *self.others}
        return {name for name in names if evidence.is_done(self.folder, name)}

    def of_kind(self, kind: str) -> Iterator[dict[str, Any]]:
        """Files of this kind, by name."""
        return (content for content in self.others.values() if content.get("kind") == kind)

    def rows(self, kind: str) -> list[dict[str, Any]]:
        """The rows of all files of this kind."""
        return [row for content in self.of_kind(kind) for row in content["rows"]]

    @property
    def environment(self) -> Environment | None:
        """The device and its software, as one of the files says."""
        for content in self.others.values():
            if "environment" in content:
                return msgspec.convert(content["environment"], Environment)
        return next((one.environment for one in self.profiles.values()), None)

    @property
    def ceilings(self) -> tuple[Ceiling, ...]:
        """The device at its best, by the slice of that name."""
        return msgspec.convert(self.others.get("device", {}).get("ceilings", []), tuple[Ceiling, ...])


def page(output: Path, scope: Scope) -> str:
    """README.md over everything below a folder."""
    folders = [path for path in sorted(output.iterdir()) if path.is_dir() and any(path.glob("*.json"))]
    devices = [found(folder) for folder in folders]
    parts = [INTRODUCTION]
    for one in devices:
        parts += ["\n".join(_device(one, scope)) + "\n"]
    if not devices:
        parts += [NOTHING, "\n".join(_missing(slices(scope), set(), {}, 2)) + "\n"]
    return "\n".join(part.strip("\n") + "\n" for part in parts)


def found(folder: Path) -> Found:
    """The evidence in a folder; a file that cannot be read is left out, and so counts as not measured."""
    made = Found(folder, {}, {}, evidence.Log(folder).slices)
    for path in sorted(folder.glob("*.json")):
        content = evidence.read(path)
        if content is None or path.name == evidence.LOG:
            continue
        if content.get("kind") != "profile":
            made.others[path.stem] = content
            continue
        try:
            made.profiles[path.stem] = load_profile(path)
        except ConvcostError:
            continue
    return made


def _device(one: Found, scope: Scope) -> Iterator[str]:
    where = one.environment
    kind = where.device if where else "cuda"
    yield f"## {where.device_name if where else one.folder.name}"
    yield ""
    if where is not None:
        yield from _conditions(one, where)
    yield from _ceilings(one)
    yield from tables.checks(_judged(one))
    yield from profile_tables.all_of(one.profiles)
    yield from tables.agreement(one.rows("gpu agreement"))
    yield from tables.repeatability(one.rows("gpu repeatability"))
    yield from tables.memory(one.rows("gpu memory"))
    yield from tables.validation(one.rows("gpu validation"))
    yield from tables.tests(one.rows("gpu tests"))
    yield from profile_tables.doubts(one.profiles)
    yield from _missing(slices(scope, kind), one.names, one.log, 3)


def _conditions(one: Found, where: Environment) -> Iterator[str]:
    if where.device == "cpu":
        yield "**A trial of the script on a CPU. These are not measurements of a GPU.**"
        yield ""
    said = [f"{name} {version}" for name, version in where.versions.items()]
    said += [units.size(where.memory_bytes) + " of memory"] if where.memory_bytes else []
    said += [f"{where.threads} threads"] if where.threads else []
    started = sorted(each.environment.started for each in one.profiles.values() if each.environment.started)
    said += [f"measured from {started[0]} to {started[-1]}"] if started else []
    commits = sorted({each.environment.commit for each in one.profiles.values() if each.environment.commit})
    said += [f"commit {', '.join(commits)}"] if commits else []
    yield "; ".join(said) + "."
    for words in one.others.get("device", {}).get("missing", []):
        yield f"Not available: {words}."
    looks = [each for saved in one.profiles.values() for run in saved.runs for each in run.conditions]
    clocks = [each.clock_hz for each in looks if each.clock_hz]
    power = [each.power_w for each in looks if each.power_w]
    if clocks:
        yield (
            f"Clock {min(clocks) / 1e6:,.0f} to {max(clocks) / 1e6:,.0f} MHz"
            f"{f', up to {max(power):,.0f} W' if power else ''}, in {len(looks):,} sensor readings."
        )
    yield ""


def _ceilings(one: Found) -> Iterator[str]:
    rows = []
    for top in one.ceilings:
        if top.what == "launch":
            rows.append(("launch of a trivial kernel", units.duration(top.best_ns), top.shape))
            continue
        mode = "" if top.tf32 is None else ", TF32" if top.tf32 else ", no TF32"
        what = {"matmul": "matrix product", "conv": "convolution"}.get(top.what)
        words = f"{what}, {top.dtype}{mode}" if what else "copy in memory"
        rows.append((words, units.rate(int(top.per_s)) + (" FLOP/s" if what else " B/s"), top.shape))
    yield from tables.table("Measured peak rates", ("operation", "best", "size"), "lrl", rows)


def _judged(one: Found) -> list[tables.Bar]:
    bars = [
        tables.agreement_bar(one.rows("gpu agreement")),
        tables.repeatability_bar(one.rows("gpu repeatability")),
        *profile_tables.closing_bars(one.profiles),
        tables.validation_bar(one.rows("gpu validation")),
        tables.tests_bar(one.rows("gpu tests")),
    ]
    return [bar for bar in bars if bar.of]


# --- what is missing


def _missing(known: Sequence[Slice], done: Iterable[str], log: dict[str, dict[str, Any]], level: int) -> Iterator[str]:
    left = [each for each in known if each.name not in set(done)]
    if not left:
        return
    groups: dict[tuple[str, str], list[str]] = {}
    for each in left:
        groups.setdefault((each.prefix, each.words), []).append(each.name)
    yield f"{'#' * level} Not measured"
    yield ""
    yield "`python benchmarks/gpu_suite.py --only SLICE` measures one slice, `--only 'PREFIX-*'` several."
    yield ""
    rows = [(words, ", ".join(names)) for (_, words), names in groups.items()]
    yield from tables.lines(("measurement", "slices"), "ll", rows)
    for each in left:
        tried = log.get(each.name, {})
        if tried.get("status") in ("failed", "interrupted"):
            error = f": {_plain(tried['error'])}" if tried.get("error") else ""
            yield f"- {each.name}: {tried['status']}{error}"
    yield ""


def _plain(text: str) -> str:
    return text.replace("|", "/").replace("\n", " ")[:160]
