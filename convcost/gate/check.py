"""The check: every source analysed once, held to its budgets and to the lock."""

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
"""(source, the saved profile that it is, if it is one) -> its report."""

LARGEST = 3
"""How many of the costliest layers a broken budget names."""


class Outcome(msgspec.Struct, frozen=True):
    """A check, and with an update the text that the lock should have."""

    report: CheckReport
    lock_text: str | None = None


def check(config: Config, load: Load, only: Sequence[str] = (), update: bool = False) -> Outcome:
    """Check every source of the settings, or ``only`` those.

    Args:
        load: gives the report of a source, and is handed the saved profile that the source is, if it is one; what it
            raises on purpose becomes a finding of this source.
        update: accept what there is: the lock is not looked at but written anew (by the caller, from ``lock_text``).
    """
    findings = list(config.problems)
    lock, replaceable = _lock(config, findings, update)
    names = [source.name for source in config.sources]
    chosen = [source for source in config.sources if not only or source.name in only]
    entries: dict[str, Lines] = {}
    checked = []
    profiles = Profiles()
    for source in chosen:
        found: list[Finding] = []
        figures: dict[str, int] = {}
        try:
            report = load(source, profiles.own(source))
        except ConvcostError as error:
            found += _mistakes(error, str(source.where))
        else:
            figures = _figures(report)
            found += _unmodelled(report, source)
            found += _budgets(config.budgets, source, report, figures, profiles)
            if config.lock is not None:
                entries[source.name] = entry(report)
                if lock is not None and not update:
                    found += _held(config, source, report, figures, entries[source.name], lock, names)
        checked.append(Checked(source.name, str(source.where), figures, tuple(found)))
    if lock is not None and not update and not only:
        findings += _orphans(lock, entries, names)
    result = CheckReport(config.file, config.lock, tuple(checked), tuple(findings))
    if not update or config.lock is None or not replaceable:
        return Outcome(result)
    if config.problems and lock is not None:
        names = [*lock.entries]  # a mistake in the settings may hide a source: nothing is taken out
    return _updated(result, lock, entries, names)


def _mistakes(error: ConvcostError, where: str) -> list[Finding]:
    """A finding for each mistake, at its own line if that is in a file that is there, and else at ``where``."""
    if not isinstance(error, SpecError):
        return [Finding("error", str(error), where=where)]
    return [
        Finding("error", problem_line(None, layer, message), where=str(place))
        if place is not None and os.path.isfile(place.file)
        else Finding("error", problem_line(place, layer, message), where=where)
        for place, layer, message in error.problems
    ]


def _figures(report: Report) -> dict[str, int]:
    return {key: exact(key, report) for key in lock_keys()}


def _lock(config: Config, findings: list[Finding], update: bool) -> tuple[Lock | None, bool]:
    """The lock, if there is one to read; False if an update may not replace it: a newer version wrote it."""
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
        message = f"there is no {config.lock} yet; convcost check --update writes it"
        findings.append(Finding("error", message, where=f"{config.file}:1"))
    return lock, True


def _unmodelled(report: Report, source: Source) -> list[Finding]:
    missing = report.coverage.unmodelled
    if not missing:
        return []
    names = ", ".join(f"{name} ({times})" for name, times in missing)
    return [Finding("note", f"not counted, for want of a rule: {names}", where=str(source.where))]


# --- budgets


def _budgets(
    budgets: Sequence[Budget], source: Source, report: Report, figures: Mapping[str, int], profiles: Profiles
) -> list[Finding]:
    own = {budget.quantity for budget in budgets if budget.source == source.name}
    found = []
    for budget in budgets:
        # A budget of its own stands in place of the one for all.
        if budget.source != source.name and (budget.source is not None or budget.quantity in own):
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
            found.append(Finding("error", f"{budget.quantity}: {error}", budget.quantity, where=str(budget.where)))
            continue
        if not budget.bound.holds(value):
            found.append(broken(budget.quantity, budget.bound, value, report, str(budget.where)))
    return found


def broken(quantity: str, bound: object, value: float, report: Report, where: str | None = None) -> Finding:
    """The finding of a figure that is not what it may be, with the layers that are most of it."""
    exact, shown = f"{value:,}" if isinstance(value, int) else f"{value:,.2f}", _shown(quantity, value)
    said = exact if shown.startswith(exact) else f"{exact} ({shown})"
    message = f"{quantity} is {said}, allowed is {bound}"
    of_layer = quantities(measured=True)[quantity].layer
    if of_layer is not None:
        parts = sorted(((of_layer(layer), layer) for layer in report.layers), key=lambda part: -part[0])[:LARGEST]
        costly = [(layer, size) for size, layer in parts if size]
        if costly:
            names = ", ".join(f"{layer.name} {_shown(quantity, part)}" for layer, part in costly)
            message += f"; most of it in {names}"
    return Finding("budget", message, quantity, str(bound), value, where)


def _shown(quantity: str, value: float) -> str:
    unit = quantities(measured=True)[quantity].unit
    if unit == "duration":
        return units.duration(value)
    if unit == "number":
        return f"{value:,.2f}"
    return (units.size if unit == "bytes" else units.count)(int(value))


# --- the lock


def _held(
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
    """A source without an entry: new, or an old one under another name."""
    for name, other in lock.entries.items():
        if name not in names and other.lines == lines:
            message = f"called {name} in {lock.file}, and the same; convcost check --update writes the new name"
            return Finding("note", message, where=str(source.where))
    message = f"{source.name} is not in {lock.file}; convcost check --update adds it"
    return Finding("error", message, where=str(source.where))


def _orphans(lock: Lock, entries: Mapping[str, Lines], names: Sequence[str]) -> list[Finding]:
    """Entries of the lock that belong to no source, unless the source is only called otherwise."""
    renamed = {lines for name, lines in entries.items() if name not in lock.entries}
    return [
        Finding(
            "lock", f"{name} is in {lock.file} and not among the sources; convcost check --update removes it",
            where=f"{lock.file}:{found.line}",
        )
        for name, found in lock.entries.items()
        if name not in names and found.lines not in renamed
    ]  # fmt: skip


def _differences(
    config: Config, source: Source, report: Report, figures: Mapping[str, int], lines: Lines, locked: Entry, lock: Lock
) -> list[Finding]:
    old_input, old, old_claims = values_of(locked.lines)
    new_input, _, new_claims = values_of(lines)
    layers = changes(layers_of(locked.lines), placed(report.layers)).changes
    where = _place(layers, source)
    found = []
    if old_input != new_input:
        found.append(Finding("lock", f"input {old_input} -> {new_input}", "input", old_input, None, where))
    failing = [
        key for key, tolerance in config.tolerance.items() if not tolerance.allows(old.get(key, 0), figures[key])
    ]  # fmt: skip
    # What one layer loses and another gains is a change too, where no change is allowed.
    failing += [
        key
        for key in ("params", "macs")
        if key not in failing and config.tolerance[key].exact and _moves(layers, key)
    ]  # fmt: skip
    for key in sorted(failing, key=lock_keys().index):
        message = _step(key, old.get(key, 0), figures[key])
        found.append(Finding("lock", message, key, old.get(key), figures[key], where))
    if found:
        # The layers once, behind all that they explain.
        found[-1] = msgspec.structs.replace(found[-1], changes=tuple(layers))
    found += _claims(old_claims, new_claims, source)
    if found:
        return [*found, *_written_by(lock)]
    return _harmless(layers, old, figures, where)


def _moves(layers: Sequence[Change], quantity: str) -> bool:
    return any(before != after for before, after in (getattr(change, quantity) for change in layers))


def _step(quantity: str, before: int, after: int) -> str:
    if before == after:
        return f"{quantity} {after:,} in all as before, but not in each layer"
    return f"{quantity} {before:,} -> {after:,} ({after - before:+,})"


def _place(layers: Sequence[Change], source: Source) -> str:
    """Where the first change stands, if that is a file of the user's, and else the source's line in the settings."""
    for change in layers:
        if change.where and os.path.isfile(change.where.rsplit(":", 2)[0]):
            return change.where
    return str(source.where)


def _claims(old: Sequence[str], new: Sequence[str], source: Source) -> list[Finding]:
    """Published figures that came, went, or have another verdict."""
    gone, come = Counter(old) - Counter(new), Counter(new) - Counter(old)
    texts = [f"published {text}: in the lock, and no more" for text in gone.elements()]
    texts += [f"published {text}: not in the lock" for text in come.elements()]
    return [Finding("published", text, where=str(source.where)) for text in texts]


def _written_by(lock: Lock) -> list[Finding]:
    from ..version import __version__

    if lock.convcost == __version__:
        return []
    message = (
        f"the lock was written by convcost {lock.convcost}, this is {__version__}: if the network is the same, the "
        "changelog says which figures are counted otherwise"
    )
    return [Finding("note", message, where=f"{lock.file}:3")]


def _harmless(
    layers: Sequence[Change], old: Mapping[str, int], figures: Mapping[str, int], where: str
) -> list[Finding]:  # fmt: skip
    """What is another without a change that counts: moved layers, another activation, memory."""
    other = [_step(key, old[key], figures[key]) for key in lock_keys() if key in old and old[key] != figures[key]]
    if not layers and not other:
        return []
    named = ", ".join(f"{change.name} {change.kind}" for change in layers[:LARGEST])
    more = f" and {len(layers) - LARGEST} more" if len(layers) > LARGEST else ""
    parts = [*other, *([named + more] if layers else [])]
    message = f"{'; '.join(parts)}: allowed; convcost check --update records it"
    return [Finding("note", message, where=where, changes=tuple(layers))]


def _updated(result: CheckReport, lock: Lock | None, entries: Mapping[str, Lines], keep: Sequence[str]) -> Outcome:
    """The new text of the lock. A source that could not be read, or was not asked for, keeps its entry."""
    from ..version import __version__

    before = lock.entries if lock is not None else {}
    kept = {name: before[name].lines for name in keep if name in before and not before[name].problem}
    lines = {**kept, **entries}
    changed = sorted(
        name for name in {*before, *lines} if name not in before or lines.get(name) != before[name].lines
    )  # fmt: skip
    return Outcome(msgspec.structs.replace(result, updated=tuple(changed)), locks.text(lines, __version__))
