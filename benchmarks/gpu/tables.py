"""Tables over rows that are no profiles, and the bars that they are held to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from convcost import units

AGREE, AGREE_FROM_BATCH = 0.02, 32
REPEAT = 0.02
Row = dict[str, Any]


class Bar(NamedTuple):
    """What is promised, and how many of the cases keep it."""

    words: str
    kept: int
    of: int


def table(title: str, head: Sequence[str], align: str, rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A titled Markdown table; nothing where there are no rows."""
    made = list(rows)
    if made:
        yield f"### {title}"
        yield ""
        yield from lines(head, align, made)


def lines(head: Sequence[str], align: str, rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A Markdown table and an empty line; ``align`` has l or r for each column."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "|".join("--:" if side == "r" else "---" for side in align) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


def checks(bars: Sequence[Bar]) -> Iterator[str]:
    """The promises, and how often they are kept."""
    rows = [(bar.words, f"{bar.kept} of {bar.of}", "" if bar.kept == bar.of else "not met") for bar in bars]
    yield from table("Checks", ("check", "passed", ""), "lrl", rows)


def percent(value: float) -> str:
    """A difference with its sign."""
    return f"{100 * value:+.1f}%"


def _time(value: float | None) -> str:
    return "-" if value is None else units.duration(value)


# --- other timers


def _off(row: Row, theirs: str, ours: str = "flushed_ns") -> float | None:
    return row[theirs] / row[ours] - 1 if row.get(theirs) and row.get(ours) else None


def agreement_bar(rows: Sequence[Row]) -> Bar:
    """Both other timers within 2% of ours, from batch 32 up."""
    found = [
        off
        for row in rows
        if row["batch"] >= AGREE_FROM_BATCH
        for theirs in ("do_bench_ns", "timer_ns")
        if (off := _off(row, theirs)) is not None
    ]
    words = f"other timers within {AGREE:.0%} of convcost, batch {AGREE_FROM_BATCH} or more"
    return Bar(words, sum(abs(off) <= AGREE for off in found), len(found))


def agreement(rows: Sequence[Row]) -> Iterator[str]:
    """Ours beside theirs."""
    made = []
    for row in rows:
        first = (row["network"], row["dtype"], f"{row['batch']:,}")
        if "error" in row:
            made.append((*first, row["error"], *[""] * 6))
            continue
        cells = []
        for theirs in ("do_bench_ns", "timer_ns"):
            off = _off(row, theirs)
            cells += [_time(row[theirs]), "-" if off is None else percent(off)]
        same = _off(row, "timer_ns", "unflushed_ns")
        made.append((*first, _time(row["flushed_ns"]), *cells, _time(row["unflushed_ns"]),
                     "-" if same is None else percent(same)))  # fmt: skip
    head = ("network", "dtype", "batch", "convcost", "do_bench", "difference", "benchmark.Timer", "difference",
            "convcost, cache not flushed", "difference of Timer")  # fmt: skip
    yield from table("Other timers on the same module", head, "llrrrrrrrr", made)


# --- twice


def repeatability_bar(rows: Sequence[Row]) -> Bar:
    """Two runs within 2% in the median."""
    kept = sum(abs(row["second_ns"] / row["first_ns"] - 1) <= REPEAT for row in rows)
    return Bar(f"medians of two runs within {REPEAT:.0%}", kept, len(rows))


def repeatability(rows: Sequence[Row]) -> Iterator[str]:
    """Both runs."""
    made = [
        (row["network"], row["dtype"], f"{row['batch']:,}", _time(row["first_ns"]), _time(row["second_ns"]),
         percent(row["second_ns"] / row["first_ns"] - 1))
        for row in rows
    ]  # fmt: skip
    yield from table("Repeated runs", ("network", "dtype", "batch", "first", "second", "difference"), "llrrrr", made)


# --- memory


def memory(rows: Sequence[Row]) -> Iterator[str]:
    """What was requested over what is predicted, for each network."""
    batches = sorted({row["batch"] for row in rows})
    modes = list(dict.fromkeys(row["mode"] for row in rows))
    cells = {(row["network"], row["mode"], row["batch"]): row for row in rows}
    made = [
        (network, *(_requested(cells.get((network, mode, batch))) for mode in modes for batch in batches))
        for network in dict.fromkeys(row["network"] for row in rows)
    ]
    head = ("network", *(f"{mode}, batch {batch}" for mode in modes for batch in batches))
    yield from table("Requested memory / computed memory", head, "l" + "r" * (len(head) - 1), made)


def _requested(row: Row | None) -> str:
    if row is None:
        return "-"
    return "out of memory" if "error" in row else f"{row['requested_bytes'] / row['predicted_bytes']:.3f}"


# --- validation and tests


def validation_bar(rows: Sequence[Row]) -> Bar:
    """Networks on which nothing differs."""
    return Bar("shipped networks agree with PyTorch on the device", sum(row["ok"] for row in rows), len(rows))


def validation(rows: Sequence[Row]) -> Iterator[str]:
    """Checks over all networks, and the networks that differ."""
    ran: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        for check in row.get("checks", []):
            ran.setdefault((check["quantity"], check["witness"]), []).append(check["status"])
    made = [
        (quantity, witness, *(f"{states.count(state)}" for state in ("agrees", "explained", "differs", "not run")))
        for (quantity, witness), states in ran.items()
    ]
    head = ("quantity", "compared with", "agrees", "differs by a known rule", "differs", "not run")
    yield from table(f"Validation of {len(rows)} shipped networks on the device", head, "llrrrr", made)
    wrong = [row for row in rows if not row["ok"]]
    for row in wrong:
        yield f"- {row['network']}: {row.get('error') or '; '.join(row['differences'])}"
    yield from [""] if wrong else []


def tests_bar(rows: Sequence[Row]) -> Bar:
    """Tests that ran and passed."""
    ran = [row for row in rows if row["result"] != "skipped"]
    return Bar("GPU tests pass", sum(row["result"] == "passed" for row in ran), len(ran))


def tests(rows: Sequence[Row]) -> Iterator[str]:
    """What did not pass."""
    made = [(row["test"], row["result"], row["words"].replace("|", "/").replace("\n", " ")) for row in rows
            if row["result"] != "passed"]  # fmt: skip
    yield from table("GPU tests that did not pass", ("test", "result", "message"), "lll", made)
