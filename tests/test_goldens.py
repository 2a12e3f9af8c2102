"""Every network that ships, held against numbers from outside: torchvision, timm, papers, arithmetic."""

from __future__ import annotations

import ast
import csv
import operator
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import convcost
from convcost.analysis.layers import SUMMED
from convcost.graph import Graph
from convcost.ops.base import GROUPS
from convcost.sources import shipped
from convcost.sources.load import load_shipped
from convcost.spec.parse import compile_spec
from convcost.yaml_reader import read

HERE = Path(__file__).parent
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}


def arithmetic(text: str) -> int:
    """The value of sums, differences and products of whole numbers; anything else is an error."""

    def value(node: ast.expr) -> int:
        if isinstance(node, ast.BinOp):
            return OPERATORS[type(node.op)](value(node.left), value(node.right))
        if isinstance(node, ast.Constant) and type(node.value) is int:
            return node.value
        raise ValueError(f"{text!r} is not arithmetic of whole numbers")

    return value(ast.parse(text.strip(), mode="eval").body)


def rows() -> list[dict[str, str]]:
    found = []
    for path in sorted(HERE.glob("golden_*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            found += list(csv.DictReader(file, strict=True))
    return found


ROWS = rows()
GOLDEN = {row["name"]: row for row in ROWS}
FILES = [pytest.param(Path(path), id=Path(path).stem) for path in shipped.files()]


@cache
def graphs() -> dict[str, Graph]:
    return load_shipped()


@cache
def report(name: str) -> convcost.Report:
    return convcost.analyze(graphs()[name])


NAMES = sorted(name for name, _, _ in shipped.shipped())


@pytest.mark.parametrize(("text", "expected"), [("7", 7), ("2*(3 + 4)", 14), ("10 - 2*3", 4)])
def test_arithmetic(text, expected):
    assert arithmetic(text) == expected


@pytest.mark.parametrize("text", ["2.0", "2**8", "len('a')", "a", "7/2", "True"])
def test_arithmetic_is_of_whole_numbers_only(text):
    with pytest.raises((ValueError, KeyError)):
        arithmetic(text)


def test_every_network_has_one_row_and_every_row_a_network():
    assert {name: times for name, times in Counter(row["name"] for row in ROWS).items() if times > 1} == {}
    assert sorted(GOLDEN) == NAMES


def test_every_row_has_a_source():
    assert [row["name"] for row in ROWS if len((row["source"] or "").strip()) < 10] == []
    assert [row["name"] for row in ROWS if None in row or None in row.values()] == []


@pytest.mark.parametrize("name", NAMES)
def test_params_and_macs(name):
    totals = report(name).totals
    assert totals.params == arithmetic(GOLDEN[name]["params"])
    assert totals.macs == arithmetic(GOLDEN[name]["macs"])


@pytest.mark.parametrize("name", NAMES)
def test_totals_are_sums(name):
    found = report(name)
    for quantity in SUMMED:
        assert getattr(found.totals, quantity) == sum(getattr(layer, quantity) for layer in found.layers)
    for quantity in ("params", "macs", "flops", "activation_bytes", "layers"):
        whole = getattr(found.totals, quantity)
        assert whole == sum(getattr(group, quantity) for group in found.breakdown.values())
    assert tuple(found.breakdown) == GROUPS
    kinds: Counter[str] = Counter()
    for layer in found.layers:
        assert layer.flops == sum(layer.flops_by_kind.values())
        assert layer.flops_by_kind.get("mac", 0) == 2 * layer.macs
        kinds.update(layer.flops_by_kind)
    assert dict(kinds) == found.totals.flops_by_kind


@pytest.mark.parametrize("name", NAMES)
def test_integers_are_int(name):
    """Neither a float that happens to be whole, nor a bool, nor numpy's."""
    found = report(name)
    for layer in found.layers:
        assert {type(getattr(layer, quantity)) for quantity in SUMMED} == {int}
        assert {type(number) for number in layer.flops_by_kind.values()} <= {int}
        assert {type(side) for shape in (*layer.input_shapes, *layer.output_shapes) for side in shape} == {int}
    fields = found.totals.__struct_fields__
    assert {type(getattr(found.totals, field)) for field in fields if field != "flops_by_kind"} == {int}
    assert all(min(getattr(layer, quantity) for layer in found.layers) >= 0 for quantity in SUMMED)


@pytest.mark.parametrize("name", NAMES)
def test_every_claim_has_a_verdict(name):
    for verdict in report(name).published:
        assert verdict.verdict in ("agrees", "truncated", "differs"), (verdict.quantity, verdict.layer, verdict.note)
        assert verdict.source
        assert verdict.computed is not None


@pytest.mark.parametrize("name", NAMES)
def test_reference(name):
    about = graphs()[name].about
    assert about.name == name
    assert about.title
    assert isinstance(about.reference.get("title"), str)
    assert about.reference["title"]
    year = about.reference.get("year")
    assert type(year) is int
    assert 1989 <= year <= 2026


@pytest.mark.parametrize("path", FILES)
def test_names_are_found_without_yaml(path):
    """``shipped.names_in`` reads names by a regular expression; the real reader must find the same ones."""
    text = path.read_text(encoding="utf-8")
    spec = compile_spec(read(text, path.name), path.name)
    assert shipped.names_in(text) == (tuple(spec.variants) or (spec.name,))
    assert ("\nvariants:" in text) == bool(spec.variants)


@pytest.mark.parametrize("name", NAMES)
def test_every_network_loads_by_its_name(name):
    graph = convcost.load(name)
    assert graph.about == graphs()[name].about
    assert [node.name for node in graph] == [node.name for node in graphs()[name]]


def test_names_are_unique():
    assert len(set(NAMES)) == len(NAMES)
