"""The account of memory on networks small enough to work out by hand."""

from __future__ import annotations

import json

import pytest

import convcost
from convcost import UsageError
from convcost.analysis.memory.checkpoint_blocks import checkpointed_blocks
from convcost.analysis.memory.events import Schedule
from convcost.sources.load import graph_from_text

F = 4  # bytes of a float32

CHAIN = """
name: chain
input: [2, 8, 8]
layers:
  - conv2d: {out_channels: 4, kernel_size: 3, padding: 1, bias: false}
  - relu
  - max_pool2d: 2
  - flatten
  - {linear: 10, name: fc}
"""
X, CONV, POOL, FC = 2 * 64 * F, 4 * 64 * F, 4 * 16 * F, 10 * F
W_CONV, W_FC = 4 * 2 * 9 * F, (64 * 10 + 10) * F


def chain(**how):
    return convcost.memory(graph_from_text(CHAIN, "chain.yaml"), **how)


def test_inference_keeps_what_is_read_next():
    memory = chain(mode="inference")
    # relu: the image, the convolution's result, its own; pool: its own result and an int64 for each of it
    assert [moment.bytes - W_CONV - W_FC for moment in memory.timeline] == [
        X + CONV, X + 2 * CONV, X + CONV + POOL + 2 * POOL, X + POOL, X + POOL + FC,
    ]  # fmt: skip
    assert memory.peak_layer == "max_pool2d_1" if 3 * POOL > CONV else "relu_1"
    assert memory.peak_bytes == W_CONV + W_FC + X + 2 * CONV
    assert memory.peak_ideal_bytes == memory.peak_bytes
    assert (memory.gradient_bytes, memory.optimizer_bytes, memory.saved_for_backward_bytes) == (0, 0, 0)


def test_backward_keeps_inputs_results_and_indices():
    # conv: the image; relu: its result, which pooling keeps too; pooling: its indices; fc: its input, a view
    assert chain().saved_for_backward_bytes == X + CONV + 2 * POOL + POOL


@pytest.mark.parametrize(("optimizer", "copies"), [("none", 0), ("sgd", 0), ("momentum", 1), ("adam", 2), ("adamw", 2)])
def test_optimizers_keep_copies_of_the_parameters(optimizer, copies):
    memory = chain(optimizer=optimizer)
    assert memory.optimizer_bytes == copies * memory.weight_bytes
    assert memory.gradient_bytes == memory.weight_bytes == W_CONV + W_FC


def test_adam_of_8_bits_keeps_two_bytes_and_two_scales_for_256_values():
    graph = graph_from_text("name: big\ninput: [512]\nlayers: [linear: {out_features: 64, bias: false}]\n", "big.yaml")
    assert convcost.memory(graph, optimizer="adam8bit").optimizer_bytes == 2 * (512 * 64 + 4 * 512 * 64 // 256)
    assert chain(optimizer="adam8bit").optimizer_bytes == 2 * chain().weight_bytes  # small tensors stay in float32


def test_the_bill_adds_up_to_the_peak():
    for how in ({}, {"checkpoint": True}, {"accumulate": 4}, {"mode": "inference"}, {"dtype": "amp-bf16"}):
        memory = convcost.memory(convcost.load("resnet18"), 4, **how)
        assert sum(memory.bill.values()) == memory.peak_bytes == max(moment.bytes for moment in memory.timeline)
        assert sum(each.bytes for each in memory.alive) == memory.peak_bytes


def test_everything_is_freed_that_a_step_does_not_leave():
    for how in ({}, {"checkpoint": True}, {"dtype": "amp-fp16"}):
        memory = convcost.memory(convcost.load("googlenet"), 2, **how)
        schedule, left = memory.schedule, set()
        for event in schedule.events:
            left.add(event) if event >= 0 else left.remove(~event)
        parts = {schedule.parts[number] for number in left}
        assert parts <= {"weights", "buffers", "optimizer", "gradients", "inputs", "values", "saved"}
        output = 2 * 1000 * F
        assert sum(schedule.sizes[n] for n in left if schedule.parts[n] in ("values", "saved")) <= 2 * output


def test_gradients_of_all_parameters_are_there_in_the_end():
    memory = convcost.memory(convcost.load("resnet18"), 2)
    made = [
        size for size, part in zip(memory.schedule.sizes, memory.schedule.parts, strict=True) if part == "gradients"
    ]
    assert sum(made) == memory.weight_bytes


def test_checkpoints_trade_memory_for_work():
    plain, checkpointed = (convcost.memory(convcost.load("resnet50"), 16, checkpoint=on) for on in (False, True))
    assert checkpointed.peak_bytes < 0.6 * plain.peak_bytes
    assert checkpointed.macs.total - plain.macs.total == checkpointed.macs.recomputed > 0
    assert checkpointed.macs.recomputed <= plain.macs.forward
    # All but what is outside of blocks: the classifier.
    assert plain.macs.forward - checkpointed.macs.recomputed == 16 * 2048 * 1000


def test_blocks_are_the_outermost_ones_and_numbered_children():
    graph = convcost.load("resnet18")
    names = [graph.nodes[start].name.partition(".")[0] for start, _ in checkpointed_blocks(graph)]
    assert names == ["conv1", *(f"conv{stage}_{unit}" for stage in (2, 3, 4, 5) for unit in (1, 2))]


def test_accumulation_holds_the_gradients_all_through():
    once, more = chain(), chain(accumulate=2)
    assert more.bill["gradients"] == more.weight_bytes
    assert more.timeline[0].bytes == once.timeline[0].bytes + once.weight_bytes


def test_the_first_layer_wants_no_gradient_of_its_input():
    macs = chain().macs
    conv, fc = 64 * 4 * 2 * 9, 64 * 10
    assert (macs.forward, macs.weight_gradient, macs.input_gradient) == (conv + fc, conv + fc, fc)
    assert macs.flops == 2 * (3 * fc + 2 * conv)


def test_whole_model_in_half_precision_takes_half():
    full, half = (convcost.memory(convcost.load("vgg11"), 2, dtype) for dtype in ("float32", "bfloat16"))
    assert half.weight_bytes * 2 == full.weight_bytes
    assert half.optimizer_bytes * 2 == full.optimizer_bytes


def test_mixed_precision_keeps_weights_and_optimizer_in_float32():
    full, mixed = (convcost.memory(convcost.load("vgg11"), 2, dtype) for dtype in ("float32", "amp-bf16"))
    assert (mixed.weight_bytes, mixed.optimizer_bytes) == (full.weight_bytes, full.optimizer_bytes)


def test_memory_grows_by_the_same_for_each_sample():
    graph = convcost.load("mobilenet_v2")
    schedules = [convcost.memory(graph, batch).schedule for batch in (2, 3, 7)]
    assert schedules[0].events == schedules[1].events == schedules[2].events
    for two, three, seven in zip(*(schedule.sizes for schedule in schedules), strict=True):
        assert seven - two == 5 * (three - two)


def test_dropout_keeps_masks_of_the_kernels_that_run():
    text = "name: drop\ninput: [64]\nlayers: [linear: 64, dropout: 0.5, linear: 8]\n"
    cpu, cuda = (
        convcost.memory(graph_from_text(text, "drop.yaml"), kernels=kernels).saved_for_backward_bytes
        for kernels in ("cpu", "cuda")
    )
    assert cpu - cuda == 64 * (F - 1)  # numbers on a CPU, truth values on CUDA


def test_json_holds_raw_integers():
    plain = json.loads(json.dumps(chain().to_dict()))
    assert plain["peak_bytes"] == chain().peak_bytes
    assert plain["settings"]["optimizer"] == "adamw"
    assert len(plain["timeline"]) == len(chain().timeline)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"optimizer": "adamm"}, "unknown optimizer 'adamm'; did you mean 'adam' or 'adamw'?"),
        ({"mode": "training"}, "mode is 'training'"),
        ({"kernels": "gpu"}, "kernels is 'gpu'"),
        ({"accumulate": 0}, "1 or more, not 0"),
        ({"batch": 0}, "the batch size must be an integer from 1 to"),
    ],
)
def test_wrong_use_is_told(how, message):
    with pytest.raises(UsageError) as caught:
        chain(**how)
    assert message in str(caught.value)


def test_what_is_not_known_is_named():
    text = (
        "name: rnn\ninput: [5, 8]\nlayers: [lstm: {hidden_size: 4, batch_first: true}, {linear: 2, from: lstm_1.0}]\n"
    )
    memory = convcost.memory(graph_from_text(text, "rnn.yaml"))
    assert memory.unknown == ("lstm_1",)


def test_a_schedule_counts_what_is_allocated():
    schedule = Schedule()
    first = schedule.allocate(100, "values", "a")
    schedule.mark("one", "forward")
    second = schedule.allocate(30, "saved", "b")
    schedule.free(first)
    schedule.mark("two", "backward")
    schedule.free(second)
    schedule.mark("three", "optimizer")
    assert schedule.levels() == [100, 30, 0]
    assert schedule.levels([1, 2]) == [1, 2, 0]
    assert [(each.label, each.part, each.bytes) for each in schedule.largest(schedule.live_at(1), 9)] == [
        ("b", "saved", 30)
    ]
