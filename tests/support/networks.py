"""Small networks for tests: specs written in the test, and single ops."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import dedent
from typing import Any

from convcost import Graph, LayerRecord, Report, analyze
from convcost.analysis.explain import explain_op
from convcost.sources.load import graph_from_text


def network(text: str, variant: str | None = None) -> Graph:
    """The graph of a spec that is written out in a test."""
    return graph_from_text(dedent(text), "net.yaml", variant)


def chain(size: Sequence[int], *layers: str, **keys: str) -> Graph:
    """A network of these layers, each written as in a spec: ``chain((3, 32, 32), "conv2d: {...}", "relu")``."""
    lines = [f"{key}: {value}" for key, value in {"name": "net", "input": list(size), **keys}.items()]
    return graph_from_text("\n".join([*lines, "layers:", *(f"  - {layer}" for layer in layers)]), "net.yaml")


def single(op: str, size: Sequence[int], /, batch: int = 1, **fields: Any) -> Report:
    """The report of one op on an input of this size."""
    return analyze(explain_op(op, fields, [(batch, *size)]))


def record(op: str, size: Sequence[int], /, batch: int = 1, **fields: Any) -> LayerRecord:
    """The record of one op that is not a composite."""
    (layer,) = single(op, size, batch, **fields).layers
    return layer
