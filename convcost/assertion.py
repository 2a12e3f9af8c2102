"""``assert_cost``: bounds on the costs of a network, as an assertion of a test."""

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
"""Number of layers in the message of a failure."""

IMAGE = (3, 224, 224)
"""Default input size of a module."""


def assert_cost(
    network: str | os.PathLike[str] | Graph | Report | nn.Module,
    *,
    inputs: Any = None,
    input_size: Sequence[int] | None = None,
    batch: int | None = None,
    dtype: str | None = None,
    **bounds: int | str,
) -> Report:
    """Assert that the costs of a network satisfy the bounds. The message of a failure shows the largest layers.

    Args:
        network: a SOURCE as on the command line, a ``torch.nn.Module``, a graph or a report.
        inputs: for a module, the example input: a tensor, or a tuple of the arguments of ``forward``.
        input_size: without the batch; default: as declared, (3, 224, 224) for a module.
        batch, dtype: as in ``analyze``.
        bounds: by quantity (params, macs, flops, activation_bytes, weight_file_bytes, ...). An integer must be equal
            to the figure, ``"<= 4.1G"`` is a bound, and the figure must round to ``"25.6M"``.

    Returns:
        The report of the network.

    Raises:
        AssertionError: a figure violates its bound.
        UsageError: there is no bound, or a quantity or a bound is invalid.
    """
    __tracebackhide__ = True
    keys = budget_keys()
    if not bounds:
        raise UsageError(f"assert_cost needs a bound, such as params='25.6M'; the quantities are {', '.join(keys)}")
    allowed = {key: bound(written, quantity(key, keys).unit, "about") for key, written in bounds.items()}
    report = _report(network, inputs, input_size, batch, dtype)
    figures = {key: exact(key, report) for key in allowed}
    violated = [key for key, value in figures.items() if not allowed[key].holds(value)]
    if violated:
        lines = [broken(key, allowed[key], figures[key], report).message for key in violated]
        raise AssertionError(
            "\n".join([f"{report.about.name} violates its cost bounds:", *lines, "", _layers(report, violated)])
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


def _layers(report: Report, violated: Sequence[str]) -> str:
    """A table of the largest layers by the first of the quantities that layers have, else by MACs."""
    from .render import render
    from .render.documents.analysis import column_keys, layer_sheet, sortable
    from .render.sheet import Document

    keys = [key for key in violated if key in sortable()] or ["macs"]
    columns = ["op", "output", *dict.fromkeys([*keys, "params", "macs"])]
    sheet = layer_sheet(report, None, [key for key in columns if key in column_keys()], keys[0], SHOWN)
    text = io.StringIO()
    render(Document((sheet,)), "table", text)
    hidden = len(report.layers) - SHOWN
    return text.getvalue().rstrip() + (f"\n({hidden} more layers, included in the total)" if hidden > 0 else "")
