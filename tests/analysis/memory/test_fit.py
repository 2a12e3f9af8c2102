"""The largest batch, against trying every batch."""

from __future__ import annotations

import pytest

import convcost
from convcost import UsageError
from convcost.analysis.memory.allocator import Allocator, OutOfMemoryError
from convcost.analysis.memory.batch_scaling import ScaledMemory
from convcost.analysis.memory.fit import WORKSPACE, Room, largest_batch, last
from convcost.analysis.settings import MANY
from convcost.hardware import load_gpu
from convcost.sources.load import graph_from_text, load_shipped
from support.cases import NETWORKS


@pytest.mark.parametrize("name", ["vgg16", "resnet50", "densenet121", "googlenet", "unet"])
@pytest.mark.parametrize("how", [{"mode": "inference"}, {}, {"checkpoint": True, "dtype": "amp-bf16"}], ids=str)
def test_the_batch_fits_and_the_next_does_not(name, how):
    graph = convcost.load(name)
    found = convcost.fit(graph, "t4", **how)
    assert found.fits
    for batch, fits in ((found.batch, True), (found.batch + 1, False)):
        schedule = convcost.memory(graph, batch, **how).schedule
        assert Allocator(found.room.bytes).serves(schedule) is fits


@pytest.mark.parametrize("how", [{}, {"checkpoint": True}, {"mode": "inference"}], ids=str)
def test_the_scaled_account_is_that_of_the_batch(how):
    graph = convcost.load("efficientnet_b0")
    scaled = convcost.fit(graph, "t4", **how)
    found = convcost.memory(graph, scaled.batch, **how)
    assert scaled.memory.timeline == found.timeline
    assert scaled.memory.bill == found.bill
    assert scaled.memory.saved_for_backward_bytes == found.saved_for_backward_bytes
    assert scaled.memory.allocator.peak_allocated == found.allocator.peak_allocated


@pytest.mark.parametrize("mode", ["inference", "train"])
def test_every_allocation_at_any_batch_is_known_from_one(mode):
    graphs = load_shipped()
    for name in NETWORKS:
        graph = graphs[name]
        accounts = {batch: convcost.memory(graph, batch, mode=mode) for batch in (MANY, 5, 64)}
        scaled = ScaledMemory(accounts.__getitem__)
        for batch in (5, 64):
            assert scaled.schedule.events == accounts[batch].schedule.events, name
            assert scaled.sizes(batch) == accounts[batch].schedule.sizes, name


def test_two_batches_know_what_one_does():
    """Captures cannot be made at a batch beyond any."""
    graph = convcost.load("resnet18")
    batches = []

    def at(batch):
        batches.append(batch)
        return convcost.memory(graph, batch)

    twice, once = ScaledMemory(at, batch_free=False), ScaledMemory(at)
    assert batches == [2, 3, MANY]
    assert (twice.sizes(0), twice.slope) == (once.sizes(0), once.slope)
    room = Room(load_gpu("t4"))
    assert largest_batch(twice, room).to_dict() == largest_batch(once, room).to_dict()


def test_another_order_at_another_batch_is_told():
    graphs = {2: convcost.load("resnet18"), 3: convcost.load("resnet34")}
    with pytest.raises(UsageError, match="resnet18 allocates in another order"):
        ScaledMemory(lambda batch: convcost.memory(graphs[batch], batch), batch_free=False)


def test_the_room_is_memory_without_context_and_workspaces():
    gpu = load_gpu("rtx4090")
    assert Room(gpu).bytes == gpu.memory_bytes - gpu.context_bytes - WORKSPACE
    assert Room(gpu, 10**12).bytes == 0


def test_the_margin_is_what_the_allocators_peak_leaves():
    found = convcost.fit(convcost.load("resnet18"), "t4")
    allocator = Allocator()
    allocator.replay(found.memory.schedule)
    assert found.margin_bytes == found.room.bytes - allocator.peak_allocated >= 0


def test_more_memory_holds_more():
    graph = convcost.load("resnet50")
    batches = [convcost.fit(graph, gpu).batch for gpu in ("t4", "rtx4090", "l40s", "h100", "b200")]
    assert batches == sorted(batches)
    assert len(set(batches)) == 5


def test_what_does_not_fit_is_told_with_the_bill_of_one_sample():
    found = convcost.fit(convcost.load("unet"), "t4", input_size=(1, 9996, 9996))
    assert (found.fits, found.batch, found.memory.report.settings.batch) == (False, 0, 1)
    assert found.margin_bytes < 0


def test_the_largest_resolution_of_a_batch():
    graph = convcost.load("resnet50")
    found = convcost.fit(graph, "rtx4090", batch=32)
    (shape,) = found.input_shapes.values()
    side = shape[2]
    assert (shape, side % 32) == ((32, 3, side, side), 0)
    for size, fits in ((side, True), (side + 32, False)):
        schedule = convcost.memory(graph, 32, input_size=(3, size, size)).schedule
        assert Allocator(found.room.bytes).serves(schedule) is fits


def test_a_network_of_one_resolution_says_so():
    with pytest.raises(convcost.SpecError, match="fc6"):
        convcost.fit(convcost.load("vgg16"), "t4", batch=8)
    flat = graph_from_text("name: flat\ninput: [784]\nlayers: [linear: 10]\n", "flat.yaml")
    with pytest.raises(UsageError, match="one input, an image"):
        convcost.fit(flat, "t4", batch=8)


def test_unknown_words_are_told():
    with pytest.raises(UsageError, match="unknown GPU 'rtx4009'; did you mean 'rtx4090'"):
        convcost.fit(convcost.load("vgg16"), "rtx4009")
    with pytest.raises(UsageError, match="unknown optimizer"):
        convcost.fit(convcost.load("vgg16"), "t4", optimizer="lion")


@pytest.mark.parametrize("most", [0, 1, 7, 99, 100])
@pytest.mark.parametrize("guess", [None, 0, 1, 6, 7, 8, 50, 99, 100])
@pytest.mark.parametrize("off", [1, 3, 1000])
def test_the_last_number_that_holds(most, guess, off):
    tries = []

    def tried(number):
        tries.append(number)
        return number if number <= most else number - off

    assert last(tried, 100, guess) == most
    assert len(tries) == len(set(tries)) <= 2 * (100).bit_length()
    assert all(1 <= number <= 100 for number in tries)


def test_a_good_guess_leaves_two_tries():
    for most in range(1, 100):
        tries = []
        last(lambda number: tries.append(number) or (number if number <= most else number - 1), 100, most)  # noqa: B023
        assert tries == [most, most + 1]


def test_fragments_are_counted():
    memory = convcost.memory(convcost.load("resnet50"), 32)
    with pytest.raises(OutOfMemoryError):
        Allocator(memory.peak_bytes).replay(memory.schedule)
