"""Embeddings, tokens, layer scale and dropout: against PyTorch, and by hand."""

from __future__ import annotations

import pytest

from convcost.errors import OpError
from convcost.ops import make, ready
from convcost.ops.base import Placement
from convcost.tensor import Tensor
from ops.examples import run


@pytest.mark.parametrize("item", [2, 4])
def test_embedding_reads_the_rows_that_are_selected(item):
    op, inputs, outputs, _ = run("embedding", (2, 9), dtype="int64", num_embeddings=1000, embedding_dim=64)
    assert op.reads(inputs, outputs) == 2 * 9 * 8
    assert op.weights_read(inputs, 1000 * 64 * item) == 2 * 9 * 64 * item


def test_embedding_needs_integers():
    with pytest.raises(OpError, match=r"integers .* got float32"):
        run("embedding", (2, 9), num_embeddings=10, embedding_dim=4)


def test_parameter_is_its_weight():
    op, inputs, outputs, _ = run("parameter", shape=[1, 197, 768])
    assert outputs == (Tensor((1, 197, 768)),)
    assert [weight.shape for weight in op.weights()] == [(1, 197, 768)]
    assert op.placement(inputs, True) == (Placement("view", -1),)
    assert (op.reads(inputs, outputs), op.weights_read(inputs, 4), op.launches(inputs, True)) == (0, 0, 0)


def test_vit_tokens_by_hand():
    token = run("class_token", (2, 196, 768))
    assert token.outputs[0].shape == (2, 196 + 1, 768)
    assert [weight.shape for weight in token.op.weights()] == [(1, 1, 768)]
    position = run("position_embedding", (2, 197, 768))
    assert [weight.shape for weight in position.op.weights()] == [(1, 197, 768)]
    assert position.op.work(position.inputs, position.outputs, False) == {"elementwise": 2 * 197 * 768}


@pytest.mark.parametrize(
    ("shape", "dim", "expected"),
    [
        ((2, 96, 56, 56), 1, (96, 1, 1)),
        ((2, 197, 384), -1, (384,)),
        ((2, 5, 6, 7, 8), 2, (6, 1, 1)),
        ((2, 96), 1, (96,)),
    ],
)
def test_layer_scale_has_a_factor_for_each_channel(shape, dim, expected):
    op, inputs, outputs, _ = run("layer_scale", shape, dim=dim)
    assert [weight.shape for weight in op.weights()] == [expected]
    assert op.work(inputs, outputs, False) == {"elementwise": outputs[0].elements}


@pytest.mark.parametrize(
    ("name", "fields", "built_for", "shape", "message"),
    [
        ("class_token", {}, (1, 196, 768), (1, 196, 384), "built for width 768, got 384"),
        ("class_token", {}, (1, 196, 768), (1, 768, 14, 14), "4 dimensions: 1x768x14x14"),
        ("position_embedding", {}, (1, 197, 768), (1, 257, 768), "built for 197 tokens, got 257"),
        ("position_embedding", {}, (1, 197, 768), (1, 197, 384), "built for width 768, got 384"),
        ("layer_scale", {}, (1, 96, 7, 7), (1, 192, 7, 7), "factors of shape 96x1x1, the input needs 192x1x1"),
    ],
)
def test_inputs_of_another_size_than_at_building_are_refused(name, fields, built_for, shape, message):
    op = run(name, built_for, **fields).op
    with pytest.raises(OpError, match=message):
        op.bind((Tensor(shape),))
    with pytest.raises(OpError, match=message):
        op.check((Tensor(shape),))


def test_layer_scale_does_not_scale_the_batch():
    with pytest.raises(OpError, match="the batch"):
        run("layer_scale", (2, 96, 7, 7), dim=0)


SHAPE = (2, 8, 5, 6)
ELEMENTS = 2 * 8 * 5 * 6


@pytest.mark.parametrize(
    ("name", "fields", "work"),
    [
        ("dropout", {"p": 0.5}, 2 * ELEMENTS),  # a comparison and a multiplication
        ("dropout2d", {"p": 0.5}, ELEMENTS + 2 * 8),  # one comparison for each channel of an image
        ("stochastic_depth", {"p": 0.5}, ELEMENTS + 2),  # one for each image
        ("stochastic_depth", {"p": 0.5, "mode": "batch"}, ELEMENTS + 1),
    ],
)
def test_dropout_is_work_in_training_only(name, fields, work):
    op, inputs, outputs, _ = run(name, SHAPE, **fields)
    assert outputs == inputs
    assert op.work(inputs, outputs, True) == {"elementwise": work}
    assert op.work(inputs, outputs, False) == {}
    assert [op.placement(inputs, train)[0].kind for train in (False, True)] == ["view", "fresh"]
    assert op.launches(inputs, False) == 0


@pytest.mark.parametrize("name", ["dropout", "dropout2d", "stochastic_depth"])
def test_probability_zero_is_no_work(name):
    op, inputs, outputs, _ = run(name, SHAPE, p=0.0)
    assert op.work(inputs, outputs, True) == {}
    assert op.placement(inputs, True)[0].kind == "view"
    assert op.launches(inputs, True) == 0


def test_launches_of_dropout():
    """PyTorch's kernels: native_dropout is one; all others draw, divide and multiply."""
    inputs = (Tensor(SHAPE),)
    assert make("dropout", {}).launches(inputs, True) == 1
    assert make("dropout", {"inplace": True}).launches(inputs, True) == 3
    assert make("dropout", {"p": 1.0}).launches(inputs, True) == 3
    assert make("dropout2d", {}).launches(inputs, True) == 3
    assert make("stochastic_depth", {"p": 0.1}).launches(inputs, True) == 3
    assert make("stochastic_depth", {"p": 1.0}).launches(inputs, True) == 2


def test_dropout_of_channels_needs_its_rank():
    with pytest.raises(OpError, match=r"dropout2d needs \(N, C, H, W\), got 3 dimensions"):
        ready(make("dropout2d", {}), (Tensor((2, 8, 5)),))
    with pytest.raises(OpError, match=r"p is 1\.5"):
        make("dropout", {"p": 1.5})


def test_modules_add_or_multiply_their_weights():
    torch = pytest.importorskip("torch")
    x = torch.ones(2, 3, 4)
    token = run("class_token", (2, 3, 4)).op.to_torch()
    position = run("position_embedding", (2, 3, 4)).op.to_torch()
    scale = run("layer_scale", (2, 3, 4), init=0.5).op.to_torch()
    with torch.no_grad():
        token.weight.fill_(7)
        position.weight.copy_(torch.arange(12.0).view(1, 3, 4))
        assert token(x)[1].tolist() == [[7] * 4, *[[1] * 4] * 3]
        assert position(x)[1].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]]
        assert scale(x).tolist() == (0.5 * x).tolist()
        scale.weight.copy_(torch.tensor([[1.0], [2.0], [3.0]]))
        assert scale(x)[0, :, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("mode", ["row", "batch"])
def test_stochastic_depth_keeps_the_mean(mode):
    """Kept values are divided by their probability, 3/4; an image (row) or the batch is dropped as a whole."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = make("stochastic_depth", {"p": 0.25, "mode": mode}).to_torch()
    values = torch.cat([module(torch.ones(4, 2, 3)) for _ in range(1000)]).flatten(1)
    assert torch.equal(values, values[:, :1].expand_as(values))
    assert {round(value, 4) for value in values.unique().tolist()} == {0, 1.3333}
    assert abs(values.mean() - 1) < 0.05
    batches = values.view(1000, 4, -1)[..., 0]
    assert torch.equal(batches, batches[:, :1].expand_as(batches)) == (mode == "batch")
    assert not make("stochastic_depth", {"p": 1.0}).to_torch()(torch.ones(4, 2, 3)).any()
