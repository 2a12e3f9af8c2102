"""``assert_cost``: what a network may cost, as a line of a test."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .analysis import Report, analyze
from .analysis.quantities import budget_keys, exact, quantity
from .errors import UsageError
from .gate.bounds import bound
from .gate.check import broken
from .graph import Graph

if TYPE_CHECKING:
    from torch import nn

SHOWN = 10
"""Layers that a failure shows."""

IMAGE = (3, 224, 224)
"""What a module is given if the test does not say."""


def assert_cost(
    network: str | os.PathLike[str] | Graph | Report | nn.Module,
    *,
    inputs: Any = None,
    input_size: Sequence[int] | None = None,
    batch: int | None = None,
    dtype: str | None = None,
    **bounds: int | str,
) -> Report:
    """Fail unless a network costs what the test says; the message shows its layers.

    Args:
        network: a SOURCE as on the command line, a ``torch.nn.Module``, a graph or a report.
        inputs: for a module: an example tensor, or a tuple of what its ``forward`` takes.
        input_size: without the batch; a module is given images of (3, 224, 224) if nothing else is said.
        batch, dtype: as in ``analyze``.
        bounds: quantities (params, macs, flops, activation_bytes, weight_file_bytes, ...): a whole number is exact,
            ``"<= 4.1G"`` a bound, and ``"25.6M"`` holds to the digits that are written.

    Returns:
        The report, for further questions.

    Raises:
        AssertionError: a figure is not what it may be.
        UsageError: no bound, an unknown quantity, or a bound that is no figure.
    """
    __tracebackhide__ = True
    known = budget_keys()
    if not bounds:
        raise UsageError(f"assert_cost needs something to hold to, such as params='25.6M'; of {', '.join(known)}")
    allowed = {key: bound(written, quantity(key, known).unit, "about") for key, written in bounds.items()}
    report = _report(network, inputs, input_size, batch, dtype)
    found = {key: exact(key, report) for key in allowed}
    wrong = [key for key, value in found.items() if not allowed[key].holds(value)]
    if wrong:
        lines = [broken(key, allowed[key], found[key], report).message for key in wrong]
        raise AssertionError(
            "\n".join([f"{report.about.name} costs something else:", *lines, "", _layers(report, wrong)])
        )
    return report


def _report(
    network: Any, inputs: Any, input_size: Sequence[int] | None, batch: int | None, dtype: str | None
) -> Report:
    if isinstance(network, Report):
        return network
    if isinstance(network, (str, os.PathLike)):
        from .sources.load import load

        network = load(network, batch, input_size)
    elif not isinstance(network, Graph):
        return analyze(_captured(network, inputs, input_size or IMAGE, batch or 1), dtype=dtype)
    if network.batch_free:
        return analyze(network, batch, dtype, input_size)
    return analyze(network, dtype=dtype)


def _captured(module: Any, inputs: Any, input_size: Sequence[int], batch: int) -> Graph:
    if not hasattr(module, "named_modules"):
        raise UsageError(f"assert_cost takes a SOURCE, a torch.nn.Module, a graph or a report, not {module!r:.80}")
    import torch

    from .capture.capture import capture

    if inputs is None:
        inputs = torch.empty((batch, *input_size), device="meta")
    return capture(module, *(inputs if isinstance(inputs, (tuple, list)) else (inputs,)))


def _layers(report: Report, wrong: Sequence[str]) -> str:
    """The layers that are most of the first broken quantity that layers have."""
    from .render import render
    from .render.documents.analysis import column_keys, layer_sheet, sortable
    from .render.sheet import Document

    keys = [key for key in wrong if key in sortable()] or ["macs"]
    columns = ["op", "output", *dict.fromkeys([*keys, "params", "macs"])]
    sheet = layer_sheet(report, None, [key for key in columns if key in column_keys()], keys[0], SHOWN)
    text = io.StringIO()
    render(Document((sheet,)), "table", text)
    more = len(report.layers) - SHOWN
    return text.getvalue().rstrip() + (f"\n({more} more layers, all in the total)" if more > 0 else "")
