"""What a convolutional network costs, before you run it: exact parameters, MACs, FLOPs and memory, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .analysis import LayerRecord, Report, analyze
    from .analysis.compare import Comparison, compare
    from .analysis.diff import Diff, diff
    from .analysis.memory import Memory, memory
    from .analysis.memory.fit import Fit, fit
    from .analysis.roofline import Ceilings, Roofline, roofline
    from .assertion import assert_cost
    from .errors import ConvcostError, MissingExtraError, OpError, SourceError, SpecError, UsageError
    from .graph import Graph, Node, Tensor, Weight
    from .measure.build import build
    from .measure.profile import profile
    from .measure.validate import validate
    from .profiles import Profile, load_profile
    from .sources import load
    from .sources.export import export
    from .sources.torch_capture import capture
    from .sources.torch_custom import OperatorCost, operator_rule

_HOMES = {
    "analysis": ("LayerRecord", "Report", "analyze"),
    "analysis.compare": ("Comparison", "compare"),
    "analysis.diff": ("Diff", "diff"),
    "assertion": ("assert_cost",),
    "analysis.memory": ("Memory", "memory"),
    "analysis.memory.fit": ("Fit", "fit"),
    "analysis.roofline": ("Ceilings", "Roofline", "roofline"),
    "errors": ("ConvcostError", "MissingExtraError", "OpError", "SourceError", "SpecError", "UsageError"),
    "graph": ("Graph", "Node", "Tensor", "Weight"),
    "measure.build": ("build",),
    "measure.profile": ("profile",),
    "measure.validate": ("validate",),
    "profiles": ("Profile", "load_profile"),
    "sources": ("load",),
    "sources.export": ("export",),
    "sources.torch_capture": ("capture",),
    "sources.torch_custom": ("OperatorCost", "operator_rule"),
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
            from importlib import import_module

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
