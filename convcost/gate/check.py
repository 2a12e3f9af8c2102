"""``convcost check``: analyse every source once and compare its figures with its budgets and with the lock.

A new kind of comparison is a function that returns findings, called in ``check``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from .. import units
from ..analysis import Report
from ..analysis.comparison.changes import Change, changes
from ..analysis.comparison.layer_keys import placed
from ..analysis.quantities import MEASURED, exact, lock_keys, quantities
from ..errors import ConvcostError, OpError, SpecError, problem_line
from . import lock as locks
from .config import Budget, Config, Source
from .findings import Checked, CheckReport, Finding
from .lock import Entry, Lock
from .lock_text import Lines, entry, layers_of, values_of
from .measured import Profiles

if TYPE_CHECKING:
    from ..profiles.profile import Profile

Load = Callable[[Source, "Profile | None"], Report]
"""Function from a source, and the saved profile if the source is one, to the report of the source."""

LARGEST = 3
"""Number of layers that a message names: the largest ones of a broken budget, or the first changed ones."""


class Outcome(msgspec.Struct, frozen=True):
    """The report of a check and, after an update, the new text of the lock."""

    report: CheckReport
    lock_text: str | None = None


def check(config: Config, load: Load, only: Sequence[str] = (), update: bool = False) -> Outcome:
    """Check the sources of a configuration.

    Args:
        config: the settings.
        load: returns the report of a source. A ``ConvcostError`` that it raises becomes a finding of the source.
        only: names of the sources to check; default: all.
        update: do not compare with the lock but return its new text in ``lock_text``; the caller writes the file.
    """
    findings = list(config.problems)
    lock, replaceable = _lock(config, findings, update)
    names = [source.name for source in config.sources]
    entries: dict[str, Lines] = {}
    checked = []
    profiles = Profiles()
    for source in config.sources:
        if only and source.name not in only:
            continue
        of_source: list[Finding] = []
        figures: dict[str, int] = {}
        try:
            report = load(source, profiles.own(source))
        except ConvcostError as error:
            of_source += _mistakes(error, str(source.where))
        else:
            figures = {key: exact(key, report) for key in lock_keys()}
            of_source += _unmodelled(report, source)
            of_source += _budgets(config.budgets, source, report, figures, profiles)
            if config.lock is not None:
                entries[source.name] = entry(report)
                if lock is not None and not update:
                    of_source += _locked(config, source, report, figures, entries[source.name], lock, names)
        checked.append(Checked(source.name, str(source.where), figures, tuple(of_source)))
    if lock is not None and not update and not only:
        findings += _orphans(lock, entries, names)
    result = CheckReport(config.file, config.lock, tuple(checked), tuple(findings))
    if not update or config.lock is None or not replaceable:
        return Outcome(result)
    if config.problems and lock is not None:
        names = [*lock.entries]  # a mistake in the settings may hide a source, so no entry is removed
    return _updated(result, lock, entries, names)


def _mistakes(error: ConvcostError, where: str) -> list[Finding]:
    """One finding per mistake, located at the line of the mistake if that file exists, else at ``where``."""
    if not isinstance(error, SpecError):
        return [Finding("error", str(error), where=where)]
    return [
        Finding("error", problem_line(None, layer, message), where=str(place))
        if place is not None and os.path.isfile(place.file)
        else Finding("error", problem_line(place, layer, message), where=where)
        for place, layer, message in error.problems
    ]


def _lock(config: Config, findings: list[Finding], update: bool) -> tuple[Lock | None, bool]:
    """The lock, or None; and whether an update may replace the file, which it may not if a newer version wrote it."""
    if config.lock is None:
        return None, False
    try:
        lock = locks.read(config.lock)
    except ConvcostError as error:
        newer = isinstance(error, locks.NewerLockError)
        if not update or newer:
            findings += _mistakes(error, f"{config.lock}:1")
        return None, not newer
    if lock is None and not update:
        message = f"{config.lock} does not exist; convcost check --update writes it"
        findings.append(Finding("error", message, where=f"{config.file}:1"))
    return lock, True


def _unmodelled(report: Report, source: Source) -> list[Finding]:
    missing = report.coverage.unmodelled
    if not missing:
        return []
    names = ", ".join(f"{name} ({times})" for name, times in missing)
    return [Finding("note", f"not counted, because convcost has no rule for it: {names}", where=str(source.where))]


# --- budgets


def _budgets(
    budgets: Sequence[Budget], source: Source, report: Report, figures: Mapping[str, int], profiles: Profiles
) -> list[Finding]:
    specific = {budget.quantity for budget in budgets if budget.source == source.name}
    findings = []
    for budget in budgets:
        # A budget of this source replaces the common budget of the same quantity.
        if budget.source != source.name and (budget.source is not None or budget.quantity in specific):
            continue
        try:
            value: float
            if budget.quantity in figures:
                value = figures[budget.quantity]
            elif budget.quantity in MEASURED:
                value = profiles.figure(budget.quantity, source, report)
            else:
                value = exact(budget.quantity, report)
        except ConvcostError as error:
            findings.append(Finding("error", f"{budget.quantity}: {error}", budget.quantity, where=str(budget.where)))
            continue
        if not budget.bound.holds(value):
            findings.append(broken(budget.quantity, budget.bound, value, report, str(budget.where)))
    return findings


def broken(quantity: str, bound: object, value: float, report: Report, where: str | None = None) -> Finding:
    """The finding of a figure that violates a bound; for a sum over layers it names the largest layers."""
    full, rounded = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}", _rounded(quantity, value)
    figure = full if rounded.startswith(full) else f"{full} ({rounded})"
    message = f"{quantity} is {figure}, expected {bound}"
    of_layer = quantities(measured=True)[quantity].layer
    if of_layer is not None:
        parts = sorted(((of_layer(layer), layer) for layer in report.layers), key=lambda part: -part[0])[:LARGEST]
        largest = ", ".join(f"{layer.name} {_rounded(quantity, part)}" for part, layer in parts if part)
        if largest:
            message += f"; largest layers: {largest}"
    return Finding("budget", message, quantity, str(bound), value, where)


def _rounded(quantity: str, value: float) -> str:
    unit = quantities(measured=True)[quantity].unit
    if unit == "duration":
        return units.duration(value)
    if unit == "number":
        return f"{value:,.2f}"
    return (units.size if unit == "bytes" else units.count)(int(value))


# --- the lock


def _locked(
    config: Config, source: Source, report: Report, figures: Mapping[str, int], lines: Lines, lock: Lock,
    names: Sequence[str],
) -> list[Finding]:  # fmt: skip
    locked = lock.entries.get(source.name)
    if locked is None:
        return [_missing(source, lines, lock, names)]
    place = f"{lock.file}:{locked.line}"
    if locked.problem is not None:
        return [Finding("error", f"{locked.problem}; {locks.UPDATE}", where=place)]
    if locked.lines == lines:
        return []
    try:
        return _differences(config, source, report, figures, lines, locked, lock)
    except (OpError, ValueError) as error:
        return [Finding("error", f"the entry of {source.name!r} cannot be read: {error}; {locks.UPDATE}", where=place)]


def _missing(source: Source, lines: Lines, lock: Lock, names: Sequence[str]) -> Finding:
    """The finding of a source without an entry: it is new, or its entry has another name."""
    for name, other in lock.entries.items():
        if name not in names and other.lines == lines:
            message = f"named {name} in {lock.file}, otherwise unchanged; convcost check --update renames it"
            return Finding("note", message, where=str(source.where))
    message = f"{source.name} is not in {lock.file}; convcost check --update adds it"
    return Finding("error", message, where=str(source.where))


def _orphans(lock: Lock, entries: Mapping[str, Lines], names: Sequence[str]) -> list[Finding]:
    """Findings of the entries that belong to no source; renamed sources are left out."""
    renamed = {lines for name, lines in entries.items() if name not in lock.entries}
    return [
        Finding(
            "lock", f"{name} is in {lock.file} but not among the sources; convcost check --update removes it",
            where=f"{lock.file}:{locked.line}",
        )
        for name, locked in lock.entries.items()
        if name not in names and locked.lines not in renamed
    ]  # fmt: skip


def _differences(
    config: Config, source: Source, report: Report, figures: Mapping[str, int], lines: Lines, locked: Entry, lock: Lock
) -> list[Finding]:
    old_input, old, old_claims = values_of(locked.lines)
    new_input, _, new_claims = values_of(lines)
    layers = changes(layers_of(locked.lines), placed(report.layers)).changes
    where = _place(layers, source)
    findings = []
    if old_input != new_input:
        findings.append(Finding("lock", f"input {old_input} -> {new_input}", "input", old_input, None, where))
    failing = [
        key for key, tolerance in config.tolerance.items() if not tolerance.allows(old.get(key, 0), figures[key])
    ]  # fmt: skip
    # With a tolerance of 0, changes of layers that cancel in the total count too.
    failing += [
        key
        for key in ("params", "macs")
        if key not in failing and config.tolerance[key].exact and _moves(layers, key)
    ]  # fmt: skip
    for key in sorted(failing, key=lock_keys().index):
        message = _change(key, old.get(key, 0), figures[key])
        findings.append(Finding("lock", message, key, old.get(key), figures[key], where))
    if findings:
        # The changed layers are listed once, after the last figure that they explain.
        findings[-1] = msgspec.structs.replace(findings[-1], changes=tuple(layers))
    findings += _claims(old_claims, new_claims, source)
    if findings:
        return [*findings, *_written_by(lock)]
    return _tolerated(layers, old, figures, where)


def _moves(layers: Sequence[Change], quantity: str) -> bool:
    return any(before != after for before, after in (getattr(change, quantity) for change in layers))


def _change(quantity: str, before: int, after: int) -> str:
    if before == after:
        return f"{quantity} {after:,} in total as before, but the layers differ"
    return f"{quantity} {before:,} -> {after:,} ({after - before:+,})"


def _place(layers: Sequence[Change], source: Source) -> str:
    """The location of the first change if it is in an existing file, else the source's line in the settings."""
    for change in layers:
        if change.where and os.path.isfile(change.where.rsplit(":", 2)[0]):
            return change.where
    return str(source.where)


def _claims(old: Sequence[str], new: Sequence[str], source: Source) -> list[Finding]:
    """Findings of published figures that were added, removed, or have a new verdict."""
    removed, added = Counter(old) - Counter(new), Counter(new) - Counter(old)
    texts = [f"published {text}: only in the lock" for text in removed.elements()]
    texts += [f"published {text}: not in the lock" for text in added.elements()]
    return [Finding("published", text, where=str(source.where)) for text in texts]


def _written_by(lock: Lock) -> list[Finding]:
    from ..version import __version__

    if lock.convcost == __version__:
        return []
    message = (
        f"the lock was written by convcost {lock.convcost}, this is {__version__}: if the network is unchanged, see "
        "the changelog for figures that are counted differently"
    )
    return [Finding("note", message, where=f"{lock.file}:3")]


def _tolerated(
    layers: Sequence[Change], old: Mapping[str, int], figures: Mapping[str, int], where: str
) -> list[Finding]:  # fmt: skip
    """A note on differences within the tolerances, such as moved layers or another activation function."""
    totals = [_change(key, old[key], figures[key]) for key in lock_keys() if key in old and old[key] != figures[key]]
    if not layers and not totals:
        return []
    first = ", ".join(f"{change.name} {change.kind}" for change in layers[:LARGEST])
    rest = f" and {len(layers) - LARGEST} more" if len(layers) > LARGEST else ""
    parts = [*totals, *([first + rest] if layers else [])]
    message = f"{'; '.join(parts)}: within the tolerance; convcost check --update records it"
    return [Finding("note", message, where=where, changes=tuple(layers))]


def _updated(result: CheckReport, lock: Lock | None, entries: Mapping[str, Lines], keep: Sequence[str]) -> Outcome:
    """The outcome of an update. A source that could not be read, or was not selected, keeps its valid entry."""
    from ..version import __version__

    before = lock.entries if lock is not None else {}
    unchanged = {name: before[name].lines for name in keep if name in before and not before[name].problem}
    lines = {**unchanged, **entries}
    changed = sorted(
        name for name in {*before, *lines} if name not in before or lines.get(name) != before[name].lines
    )  # fmt: skip
    return Outcome(msgspec.structs.replace(result, updated=tuple(changed)), locks.text(lines, __version__))
