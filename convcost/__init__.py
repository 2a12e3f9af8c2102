"""What a convolutional network costs, before you run it: exact parameters, MACs, FLOPs and memory, layer by layer."""

from __future__ import annotations

__version__ = "0.1.0"

from .analysis import LayerRecord, Report, analyze
from .errors import ConvcostError, MissingExtraError, OpError, SourceError, SpecError, UsageError
from .graph import Graph, Node, Tensor, Weight
from .sources import load

__all__ = [
    "ConvcostError",
    "Graph",
    "LayerRecord",
    "MissingExtraError",
    "Node",
    "OpError",
    "Report",
    "SourceError",
    "SpecError",
    "Tensor",
    "UsageError",
    "Weight",
    "__version__",
    "analyze",
    "load",
]
