"""Recurrent layers and nn.Bilinear: shapes and MACs against PyTorch, work by hand."""

from __future__ import annotations

import pytest

from convcost.errors import OpError
from ops.examples import run


def test_lstm_by_hand():
    """3 steps of 2 sequences, 5 inputs, a state of 4: 4 gates of 4*(5 + 4) weights and two biases each."""
    op, inputs, outputs, _ = run("lstm", (3, 2, 5), hidden_size=4)
    assert sum(weight.elements for weight in op.weights()) == 4 * 4 * (5 + 4) + 2 * 16
    assert op.macs(inputs, outputs) == 6 * 4 * 4 * (5 + 4)
    assert [x.shape for x in outputs] == [(3, 2, 4), (1, 2, 4), (1, 2, 4)]
    # A sigmoid takes 3 operations and a tanh 5; per number three and two of them, 8 biases, 4 + 3 + 1 others.
    cells = 6 * 4
    assert op.work(inputs, outputs, False) == {
        "activation": cells * (3 * 3 + 2 * 5), "elementwise": cells * 8, "bias": cells * 8,
    }  # fmt: skip


def test_dropout_is_between_layers_in_training():
    op, inputs, outputs, _ = run("gru", (3, 2, 5), hidden_size=4, num_layers=3, dropout=0.5)
    before, after = (op.work(inputs, outputs, train)["elementwise"] for train in (False, True))
    assert after - before == 2 * (2 * 3 * 2 * 4)  # a comparison and a product, behind two of three layers


@pytest.mark.parametrize("op", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"num_layers": 3, "bias": False},
        {"bidirectional": True, "num_layers": 2},
        {"batch_first": True, "bidirectional": True},
        {"proj_size": 3, "num_layers": 2, "bidirectional": True},
    ],
    ids=str,
)
def test_shapes_and_macs_are_those_of_pytorch(op, fields):
    torch = pytest.importorskip("torch")
    from torch.utils.flop_counter import FlopCounterMode

    if "proj_size" in fields and op != "lstm":
        with pytest.raises(OpError, match="proj_size"):
            run(op, (7, 2, 5), hidden_size=6, **fields)
        return
    built, inputs, outputs, _ = run(op, (7, 2, 5), hidden_size=6, **fields)
    with torch.device("meta"):
        module = built.to_torch()
        with FlopCounterMode(display=False) as counter:
            found = module(torch.empty(7, 2, 5))
    assert [tuple(x.shape) for x in found] == [x.shape for x in outputs]
    assert 2 * built.macs(inputs, outputs) == counter.get_total_flops()
    assert [(name, tuple(x.shape)) for name, x in module.named_parameters()] == [
        (weight.name, weight.shape) for weight in built.weights()
    ]


def test_bilinear_by_hand():
    op, inputs, outputs, _ = run("bilinear", (2, 7, 4), (2, 7, 5), out_features=3)
    assert outputs[0].shape == (2, 7, 3)
    assert sum(weight.elements for weight in op.weights()) == 3 * 4 * 5 + 3
    assert op.macs(inputs, outputs) == 14 * 3 * (4 * 5 + 5)


@pytest.mark.parametrize(
    ("op", "shapes", "fields", "message"),
    [
        ("lstm", [(2, 5)], {"hidden_size": 4}, r"lstm needs \(L, N, features\), got 2x5"),
        ("lstm", [(3, 2, 5), (1, 2, 4)], {"hidden_size": 4}, "takes no initial states or two"),
        ("lstm", [(3, 2, 5)], {"hidden_size": 4, "proj_size": 4}, "proj_size 4 must be below hidden_size 4"),
        ("gru", [(3, 2, 5), (2, 2, 4)], {"hidden_size": 4}, "an initial state has the shape 2x2x4, expected 1x2x4"),
        ("rnn", [(3, 2, 5)], {"hidden_size": 4, "input_size": 6}, "built for 6 input features, got 5"),
        ("bilinear", [(2, 4), (3, 4)], {"out_features": 3}, "all dimensions but the last must be equal"),
    ],
)
def test_refusals_name_the_numbers(op, shapes, fields, message):
    with pytest.raises(OpError, match=message):
        run(op, *shapes, **fields)
