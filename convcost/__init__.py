"""What a convolutional network costs, before you run it: exact parameters, MACs, FLOPs and memory, layer by layer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .display import Hooks
from .version import __version__

if TYPE_CHECKING:
    from .analysis import LayerRecord, Report, analyze
    from .analysis.comparison.compare import Comparison, compare
    from .analysis.comparison.diff import Diff, diff
    from .analysis.memory import Memory, memory
    from .analysis.memory.fit import Fit, fit
    from .analysis.roofline import Ceilings, Roofline, roofline
    from .assertion import assert_cost
    from .capture.capture import capture
    from .capture.custom_operators import OperatorCost, operator_rule
    from .errors import ConvcostError, MissingExtraError, OpError, SourceError, SpecError, UsageError
    from .export.export import export
    from .graph import Graph, Node
    from .measure.build import build
    from .measure.profiling.profile import profile
    from .measure.validation.validate import validate
    from .profiles import Profile, load_profile
    from .sources.load import load
    from .tensor import Tensor, Weight

_HOMES = {
    "analysis": ("LayerRecord", "Report", "analyze"),
    "analysis.comparison.compare": ("Comparison", "compare"),
    "analysis.comparison.diff": ("Diff", "diff"),
    "assertion": ("assert_cost",),
    "analysis.memory": ("Memory", "memory"),
    "analysis.memory.fit": ("Fit", "fit"),
    "analysis.roofline": ("Ceilings", "Roofline", "roofline"),
    "errors": ("ConvcostError", "MissingExtraError", "OpError", "SourceError", "SpecError", "UsageError"),
    "graph": ("Graph", "Node"),
    "tensor": ("Tensor", "Weight"),
    "measure.build": ("build",),
    "measure.profiling.profile": ("profile",),
    "measure.validation.validate": ("validate",),
    "profiles": ("Profile", "load_profile"),
    "sources.load": ("load",),
    "export.export": ("export",),
    "capture.capture": ("capture",),
    "capture.custom_operators": ("OperatorCost", "operator_rule"),
}
"""Which module each public name lives in: a name is imported when it is first used."""

__all__ = [
    "Ceilings",
    "Comparison",
    "ConvcostError",
    "Diff",
    "Fit",
    "Graph",
    "LayerRecord",
    "Memory",
    "MissingExtraError",
    "Node",
    "OpError",
    "OperatorCost",
    "Profile",
    "Report",
    "Roofline",
    "SourceError",
    "SpecError",
    "Tensor",
    "UsageError",
    "Weight",
    "__version__",
    "analyze",
    "assert_cost",
    "build",
    "capture",
    "compare",
    "diff",
    "export",
    "fit",
    "load",
    "load_profile",
    "memory",
    "operator_rule",
    "profile",
    "roofline",
    "validate",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            try:
                value = getattr(import_module(f".{home}", __name__), name)
            except ModuleNotFoundError as error:
                if error.name != "torch":
                    raise
                from .errors import MissingExtraError

                message = f'convcost.{name} needs torch, which is not installed: pip install "convcost[torch]"'
                raise MissingExtraError(message) from None
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _html(record: Any) -> str:
    from .render.notebook import html

    return html(record)


def _plot(record: Any, chart: str, **options: Any) -> Any:
    from .render.charts.figures import plot

    return plot(record, chart, **options)


Hooks.html, Hooks.plot = _html, _plot

# The packages ``capture`` and ``export`` have the names of public functions. Python would put a package in the place of
# its function when something in it is imported for the first time; so both are imported now, and their names freed.
for _package in ("capture", "export"):
    import_module(f".{_package}", __name__)
    del globals()[_package]
