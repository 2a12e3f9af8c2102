"""An op is one class: a made-up matrix product, registered from outside the package, is known everywhere."""

from __future__ import annotations

import json
from typing import Any, Literal, NewType
from unittest.mock import patch

import msgspec
import pytest
from click.testing import CliRunner

import convcost
from convcost.analysis.comparison.diff import diff
from convcost.analysis.comparison.layer_keys import placed
from convcost.analysis.explain import explain
from convcost.cli.group import cli
from convcost.errors import OpError
from convcost.gate.lock_text import entry
from convcost.ops import REGISTRY
from convcost.ops.base import INPUT, UNKNOWN, Counts, ExplanationStep, Op, Positive, Reach, Tensors, register
from convcost.spec import json_schema
from convcost.tensor import Tensor, Weight
from support.networks import network
from test_docs import generator

Factor = float
Ratio = NewType("Ratio", float)
Order = Literal["before", "after"]


class MixTokens(Op, frozen=True):
    """Every output token is a weighted sum of all tokens: (N, L, C) -> (N, out_tokens, C). Source: made up."""

    op = "mix_tokens"
    group = "fc"
    autocast = "low"
    keeps = INPUT
    inferred_fields = ("in_tokens",)
    abbreviation = "mix"

    out_tokens: Positive
    factor: Factor = 1.0
    ratio: Ratio | None = None
    order: Order = "before"
    in_tokens: Positive | None = None

    def bind(self, inputs: Tensors) -> Op:
        self.check(inputs)
        return msgspec.structs.replace(self, in_tokens=inputs[0].shape[1])

    def check(self, inputs: Tensors) -> None:
        if len(inputs[0].shape) != 3 or self.in_tokens not in (None, inputs[0].shape[1]):
            raise OpError(f"{self.op} needs (N, {self.in_tokens or 'tokens'}, width), got {inputs[0].shape}")

    def outputs(self, inputs: Tensors) -> Tensors:
        batch, _, width = inputs[0].shape
        return (Tensor((batch, self.out_tokens, width), inputs[0].dtype),)

    def weights(self) -> tuple[Weight, ...]:
        return (Weight("weight", (self.out_tokens, self.in_tokens or 0)),)

    def macs(self, inputs: Tensors, outputs: Tensors) -> int:
        return inputs[0].elements * self.out_tokens

    def work(self, inputs: Tensors, outputs: Tensors, train: bool) -> Counts:
        return {}

    def reach(self, inputs: Tensors, outputs: Tensors) -> Reach:
        return UNKNOWN

    def steps(self, inputs: Tensors, outputs: Tensors) -> tuple[ExplanationStep, ...]:
        filled = "*".join(map(str, (*inputs[0].shape, self.out_tokens)))
        return (ExplanationStep("MACs", "N*L*C*out_tokens", filled, self.macs(inputs, outputs)),)

    def to_torch(self) -> Any:
        import torch

        class Mix(torch.nn.Module):
            def __init__(self, rows: int, columns: int) -> None:
                super().__init__()
                self.weight = torch.nn.Parameter(torch.ones(rows, columns))

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return self.weight @ x

        return Mix(self.out_tokens, self.in_tokens or 0)


WEIGHTS, MACS = 16 * 8, 16 * 8 * 48
assert MACS == 6_144
SPEC = """
    name: mixed
    input: [8, 48]
    layers:
      - mix_tokens: {out_tokens: 16, factor: 0.5, ratio: 0.25, order: after}
"""


@pytest.fixture(autouse=True)
def _registered():
    """The op from outside the package is gone after each test."""
    with patch.dict(REGISTRY):
        register(MixTokens)
        yield


@pytest.fixture
def report():
    return convcost.analyze(network(SPEC))


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mixed.yaml").write_text(SPEC)

    def run(*arguments):
        result = CliRunner().invoke(cli, arguments)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_a_spec_calls_it(report):
    (layer,) = report.layers
    assert (layer.name, layer.op, layer.output_shapes) == ("mix_tokens_1", "mix_tokens", ((1, 16, 48),))
    assert (report.totals.params, report.totals.macs, report.totals.flops) == (WEIGHTS, MACS, 2 * MACS)


def test_fields_of_aliased_types(report):
    (layer,) = report.layers
    assert layer.fields == {"out_tokens": 16, "factor": 0.5, "ratio": 0.25, "order": "after", "in_tokens": 8}
    with pytest.raises(convcost.SpecError, match=r"out_tokens must be a whole number, not 1\.5"):
        network(SPEC.replace("out_tokens: 16", "out_tokens: 1.5"))
    with pytest.raises(convcost.SpecError, match="did you mean 'before'"):
        network(SPEC.replace("order: after", "order: befor"))


def test_a_block_hands_its_texts_on():
    spec = """
        name: mixed
        input: [8, 48]
        blocks:
          twice: {parameters: [order], layers: [mix_tokens: {out_tokens: 16, order: order}, mix_tokens: 4]}
        layers:
          - twice: after
    """
    first, second = convcost.analyze(network(spec)).layers
    assert (first.fields["order"], second.fields["order"]) == ("after", "before")
    assert second.macs == 16 * 4 * 48


@pytest.mark.parametrize(("name", "total"), [("torch", 2 * MACS), ("fvcore", MACS), ("paper", MACS)])
def test_other_conventions_count_it(run, report, name, total):
    assert report.convention(name).total == total
    found = json.loads(run("analyze", "mixed.yaml", "--convention", name, "--format", "json"))
    assert found["convention"]["total"] == total


def test_an_op_says_that_nobody_else_counts_it(monkeypatch, report):
    monkeypatch.setattr(MixTokens, "uncounted", "an operator without a formula")
    assert [report.convention(name).total for name in ("torch", "fvcore", "paper")] == [0, 0, MACS]


def test_pytorch_counts_the_same():
    pytest.importorskip("torch")
    found = convcost.validate(network(SPEC))
    assert found.ok
    assert found.check("macs", "torch flop counter").theirs == MACS


def test_the_explanation_and_the_json(run, report):
    (found,) = explain(report)
    assert found.steps[0] == ExplanationStep("MACs", "N*L*C*out_tokens", "1*8*48*16", MACS)
    assert "1 * 8 * 48 * 16" in run("explain", "mixed.yaml", "mix_tokens_1")
    (layer,) = json.loads(run("analyze", "mixed.yaml", "--format", "json"))["layers"]
    assert (layer["op"], layer["macs"], layer["params"]) == ("mix_tokens", MACS, WEIGHTS)


def test_the_schema_and_the_list_of_ops():
    definition = json_schema.schema()["$defs"]["op_mix_tokens"]
    fields = definition["then"]["properties"]
    assert set(fields) == {"out_tokens", "factor", "ratio", "order", "in_tokens"}
    assert fields["factor"] == {"$ref": "#/$defs/number", "default": 1.0}
    assert fields["order"]["anyOf"][0] == {"enum": ["after", "before"]}
    (row,) = [line for line in generator().ops().splitlines() if line.startswith("| `mix_tokens` |")]
    assert "Every output token is a weighted sum of all tokens" in row
    assert "**`out_tokens`**: positive" in row


def test_the_breakdown_and_the_coverage(report):
    assert report.breakdown["fc"].macs == MACS
    assert (report.coverage.nodes, report.coverage.modelled) == (1, 1)


def test_a_difference_in_what_it_infers_comes_from_elsewhere():
    """With more tokens before it the layer is resized; with more tokens behind it, it is changed."""
    before = network(SPEC)
    (longer,) = diff(before, network(SPEC.replace("[8, 48]", "[9, 48]"))).changes
    (other,) = diff(before, network(SPEC.replace("out_tokens: 16", "out_tokens: 17"))).changes
    assert (longer.kind, [change.field for change in longer.fields]) == ("resized", ["in_tokens"])
    assert (other.kind, [change.field for change in other.fields]) == ("changed", ["out_tokens"])


def test_a_lock_outlives_it(report):
    assert any("mix_tokens out_tokens=16 factor=0.5" in line for line in entry(report))
    (layer,) = placed(report.layers)
    assert (layer.group, "in_tokens" in layer.own) == ("fc", False)
    del REGISTRY["mix_tokens"]
    assert (layer.group, "out_tokens" in layer.own) == ("other", True)


def test_a_written_spec_calls_it(report):
    text = convcost.export(report.graph)
    assert "mix_tokens: {out_tokens: 16, factor: 0.5, ratio: 0.25, order: after}" in text
    assert convcost.analyze(network(text)).totals == report.totals


def test_what_it_infers_must_be_fields_of_its_own():
    class Wrong(MixTokens, frozen=True):
        op = "wrong"
        inferred_fields = ("in_channels",)

    with pytest.raises(TypeError, match="Wrong has no field for some of its inferred_fields"):
        register(Wrong)
