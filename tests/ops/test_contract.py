"""What every op keeps to, whatever it computes."""

from __future__ import annotations

import contextlib

import msgspec
import pytest

from convcost.errors import OpError
from convcost.ops import REGISTRY, Composite, Op, make, ready
from convcost.ops.base import GROUPS, Reach
from convcost.ops.flop_counts import KINDS
from convcost.tensor import ITEM_BYTES, Tensor
from ops.examples import EXAMPLES, FIXED, Example, expanded

PARAMETERS = [pytest.param(example, id=str(example)) for example in EXAMPLES]
PLAIN = [p for p in PARAMETERS if not issubclass(REGISTRY[p.values[0].op], Composite)]

# Ops whose work has a share that is the same for every batch, with that share's reason.
NOT_PROPORTIONAL = {
    "batch_norm1d": "1/sqrt(var + eps) is taken once per channel, whatever the batch",
    "batch_norm2d": "the same",
    "batch_norm3d": "the same",
    "stochastic_depth": "mode batch draws one number for the whole batch",
}


# Their last states have the batch in the second dimension, as PyTorch's have.
STATES_BEHIND = {"rnn", "gru", "lstm"}
# People seldom write any field of theirs.
NOTHING_TO_WRITE = {"class_token", "position_embedding"}
# Left out, these are filled too. A comparison shows them like all fields that somebody has chosen.
FILLED_IF_LEFT_OUT = {
    "layer_norm": {"normalized_shape"},
    "rms_norm": {"normalized_shape"},
    "relative_position_bias": {"num_heads"},
    "layer_scale": {"shape"},
    **{f"{kind}_pool{rank}d": {"stride"} for kind in ("max", "avg") for rank in (1, 2, 3)},
    "subsample2d": {"stride"},
}
# Queries, keys and values lie apart as (3, N, ...), as PyTorch copies them.
BATCH_SECOND = {("multihead_attention", "permute"), ("multihead_attention", "contiguous")}


def built(example: Example) -> Op:
    return ready(make(example.op, example.fields), example.inputs)


def doubled(inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(Tensor((2 * x.shape[0], *x.shape[1:]), x.dtype) for x in inputs)


def test_every_op_has_an_example_and_every_example_an_op():
    assert {example.op for example in EXAMPLES} == set(REGISTRY)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_class(name):
    cls = REGISTRY[name]
    assert cls.op == name
    assert cls.group in GROUPS
    assert cls.__doc__
    assert cls.__doc__.strip().endswith(".")
    assert len(cls.__doc__.split()) >= 2
    assert "__doc__" in vars(cls), "a docstring of its own"


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_no_field_hides_a_rule(name):
    assert not [field for field in REGISTRY[name].__struct_fields__ if hasattr(Op, field)]


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_json_schema_of_the_fields(name):
    cls = REGISTRY[name]
    schema = msgspec.json.schema(cls)["$defs"][cls.__name__]
    assert set(schema["properties"]) == set(cls.__struct_fields__)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_bound_and_in_place_fields_come_last(name):
    """A spec's bare value sets the first field, so that one must be what people write."""
    fields = REGISTRY[name].__struct_fields__
    assert "inplace" not in fields[:-1]
    assert not fields or fields[0] not in REGISTRY[name].inferred_fields or name in NOTHING_TO_WRITE


@pytest.mark.parametrize("example", PLAIN)
def test_rules(example):
    op = built(example)
    outputs = op.outputs(example.inputs)
    assert isinstance(outputs, tuple)
    assert outputs
    for tensor in outputs:
        assert isinstance(tensor, Tensor)
        assert tensor.dtype in ITEM_BYTES
        assert all(type(size) is int and size > 0 for size in tensor.shape)
    weights = op.weights()
    assert len({weight.name for weight in weights}) == len(weights)
    assert all(type(size) is int and size > 0 for weight in weights for size in weight.shape)
    assert {weight.kind for weight in weights} <= {"parameter", "buffer"}
    assert type(op.macs(example.inputs, outputs)) is int
    assert isinstance(op.reach(example.inputs, outputs), Reach)
    assert all(isinstance(sentence, str) for sentence in op.warnings(example.inputs))
    for step in op.steps(example.inputs, outputs):
        assert step.label
        assert step.formula
    assert type(op.connection_count(example.inputs, outputs)) is int
    for train in (False, True):
        work = op.work(example.inputs, outputs, train)
        assert set(work) <= set(KINDS)
        assert all(type(number) is int and number >= 0 for number in work.values())


@pytest.mark.parametrize("example", PLAIN)
@pytest.mark.parametrize("train", [False, True])
def test_memory(example, train):
    op = built(example)
    outputs = op.outputs(example.inputs)
    placements = op.placement(example.inputs, train)
    assert len(placements) == len(outputs)
    for placement, output in zip(placements, outputs, strict=True):
        if placement.kind == "in_place":
            assert output == example.inputs[placement.input]
        if placement.kind == "view" and placement.input >= 0:
            assert output.bytes <= example.inputs[placement.input].bytes
    launches = op.launches(example.inputs, train)
    assert type(launches) is int
    assert (launches == 0) == all(placement.kind == "view" for placement in placements)
    assert 0 <= op.reads(example.inputs, outputs) <= sum(tensor.bytes for tensor in example.inputs)
    assert 0 <= op.weights_read(example.inputs, 1000) <= max(1000, 1000 * sum(x.elements for x in example.inputs))


@pytest.mark.parametrize("example", PLAIN)
def test_in_place_only_where_it_was_asked_for(example):
    kinds = {placement.kind for placement in built(example).placement(example.inputs, True)}
    wanted = bool(example.fields.get("inplace")) or example.op in ("causal_mask", "write")
    assert ("in_place" in kinds) == wanted


@pytest.mark.parametrize("example", PARAMETERS)
def test_bind_is_idempotent_and_free_of_the_batch(example):
    op = built(example)
    assert op.bind(example.inputs) == op
    if example.op not in FIXED:
        assert ready(op, doubled(example.inputs)) == op


@pytest.mark.parametrize("example", PARAMETERS)
def test_bind_fills_the_inferred_fields_and_no_others(example):
    op = make(example.op, example.fields)
    bound = op.bind(example.inputs)
    empty = {field for field in op.__struct_fields__ if getattr(op, field) is None}
    filled = {field for field in empty if getattr(bound, field) is not None}
    assert filled - FILLED_IF_LEFT_OUT.get(example.op, set()) == set(op.inferred_fields) - set(example.fields)


@pytest.mark.parametrize("example", PARAMETERS)
def test_round_trip(example):
    op = built(example)
    assert type(op)(**msgspec.structs.asdict(op)) == op
    assert msgspec.json.decode(msgspec.json.encode(op), type=type(op)) == op
    assert make(example.op, msgspec.to_builtins(op)) == op
    assert hash(op) == hash(built(example))


@pytest.mark.parametrize("example", [p for p in PARAMETERS if p.values[0].op not in FIXED])
@pytest.mark.parametrize("train", [False, True])
def test_double_batch_doubles_the_work(example, train):
    op = built(example)
    once = expanded(op, example.inputs)
    twice = expanded(op, doubled(example.inputs))
    for (one, inputs, outputs, _), (other, more_inputs, more_outputs, _) in zip(once, twice, strict=True):
        assert one == other
        assert [x.elements for x in more_outputs] == [2 * x.elements for x in outputs]
        if example.op in STATES_BEHIND:
            assert more_outputs[0] == doubled(outputs)[0]
        elif (example.op, one.op) not in BATCH_SECOND:
            assert more_outputs == doubled(outputs)
        assert other.macs(more_inputs, more_outputs) == 2 * one.macs(inputs, outputs)
        work, more = one.work(inputs, outputs, train), other.work(more_inputs, more_outputs, train)
        if one.op in NOT_PROPORTIONAL:
            assert all(number <= more[kind] <= 2 * number + abs(number) for kind, number in work.items())
        else:
            assert more == {kind: 2 * number for kind, number in work.items()}


def test_exceptions_from_proportionality_are_needed():
    def differs(example):
        op = built(example)
        return any(
            op.work(doubled(example.inputs), op.outputs(doubled(example.inputs)), train)
            != {k: 2 * n for k, n in op.work(example.inputs, op.outputs(example.inputs), train).items()}
            for train in (False, True)
        )

    assert {e.op for e in EXAMPLES if e.op in NOT_PROPORTIONAL and differs(e)} == set(NOT_PROPORTIONAL)


@pytest.mark.parametrize("example", PARAMETERS)
def test_too_few_and_too_many_inputs_are_refused(example):
    op = make(example.op, example.fields)
    least, most = op.arity
    for number in range(least):
        with pytest.raises(OpError, match=f"{example.op} takes .* got {number}"):
            ready(op, example.inputs[:number])
    if most is not None:
        with pytest.raises(OpError, match=f"{example.op} takes .* got {most + 1}"):
            ready(op, (Tensor((2, 12, 10, 9)),) * (most + 1))


@pytest.mark.parametrize("dtype", ["float32", "int64"])
@pytest.mark.parametrize("example", PARAMETERS)
def test_any_rank_is_taken_or_refused_with_a_message(example, dtype):
    """Whatever arrives, at building or later: OpError, or outputs with positive sizes, and never another exception."""
    for op in (make(example.op, example.fields), built(example)):
        for rank in range(7):
            for size in (1, 2, 5, 12):
                inputs = tuple(Tensor((size,) * rank, dtype) for _ in example.inputs)
                try:
                    bound = ready(op, inputs)
                except OpError:
                    continue
                for one, arriving, outputs, _ in expanded(bound, inputs):
                    assert all(side > 0 for tensor in outputs for side in tensor.shape)
                    assert all(n >= 0 for n in one.work(arriving, outputs, True).values())
                    one.reach(arriving, outputs), one.steps(arriving, outputs), one.warnings(arriving)
                    one.placement(arriving, True), one.launches(arriving, True), one.reads(arriving, outputs)


@pytest.mark.parametrize("example", [p for p in PARAMETERS if len(p.values[0].inputs) > 1])
def test_inputs_of_different_rank_are_taken_or_refused(example):
    op = make(example.op, example.fields)
    for rank in range(6):
        inputs = (*example.inputs[:-1], Tensor((2, 12, 10, 9, 3)[:rank]))
        with contextlib.suppress(OpError):
            expanded(ready(op, inputs), inputs)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_unknown_and_missing_fields_are_refused(name):
    with pytest.raises(OpError, match=name):
        make(name, {"colour": 1})
    required = [field.name for field in msgspec.structs.fields(REGISTRY[name]) if field.required]
    if required:
        with pytest.raises(OpError, match=f"{name} needs {required[0]}"):
            make(name, {})
