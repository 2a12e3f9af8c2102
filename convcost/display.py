"""The two hooks by which records show themselves: as HTML in a notebook, and as a plotly figure.

Records lie below renderers and import none. The package ``convcost`` fills the hooks when it is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Hooks:
    """How records are shown. ``html(record)`` gives HTML; ``plot(record, chart, **options)`` gives a plotly figure."""

    html: Callable[[Any], str]
    plot: Callable[..., Any]


def plotted(record: Any, chart: str, **options: Any) -> Any:
    """A chart of a record as a ``plotly.graph_objects.Figure``.

    Raises:
        UsageError: there is no such chart of this kind of record.
        MissingExtraError: plotly is not installed.
    """
    return Hooks.plot(record, chart, **options)


class Shown:
    """A record that a notebook shows as tables."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return Hooks.html(self)
