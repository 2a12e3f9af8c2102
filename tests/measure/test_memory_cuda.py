"""What only a GPU can say of memory: its kernels' saved tensors, its allocator, and whether a batch fits."""

from __future__ import annotations

import gc
import itertools

import pytest

import convcost
from convcost.analysis.memory.batch_scaling import ScaledMemory
from convcost.analysis.memory.fit import WORKSPACE, Room, largest_batch
from convcost.hardware import Figure, Gpu

torch = pytest.importorskip("torch")

from gpu_memory import BATCHES, NETWORKS, measure, run  # noqa: E402

from support.allocator_by_hand import Hand  # noqa: E402
from support.memory_oracles import saved_storages  # noqa: E402

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
SMALL = ("lenet5_d2l", "alexnet", "resnet18", "googlenet", "mobilenet_v2", "shufflenet_v2_x1_0")


@pytest.mark.parametrize("name", SMALL)
def test_cuda_kernels_keep_what_their_rules_say_but_for_cudnns_reserve(name):
    graph = convcost.load(name)
    memory = convcost.memory(graph, 2, kernels="cuda")
    module = convcost.build(graph, device="cuda").train()
    inputs = [torch.zeros((2, *x.shape[1:]), device="cuda") for _, x in graph.inputs]
    kept = saved_storages(module, inputs)
    reserve = sum(size for size in kept.values()) - memory.saved_for_backward_bytes
    assert 0 <= reserve <= 0.05 * memory.saved_for_backward_bytes


@pytest.mark.parametrize(("name", "batch", "mode"), list(itertools.product(NETWORKS, BATCHES, ("inference", "train"))))
def test_predicted_peaks_beside_requested_bytes(name, batch, mode):
    row = measure(name, batch, mode)
    if "error" in row:
        pytest.skip(row["error"])
    # Workspaces come on top of the prediction, so that it is no more than what was requested.
    assert row["predicted_bytes"] <= 1.03 * row["requested_bytes"]
    assert row["requested_bytes"] - row["predicted_bytes"] <= max(WORKSPACE, 0.1 * row["predicted_bytes"])


def test_the_allocator_is_reproduced_block_by_block():
    gc.collect()
    torch.cuda.empty_cache()
    if torch.cuda.memory_allocated():
        pytest.skip("something else is allocated")
    model, held = Hand(), []
    sizes = [100, 700 * 1024, 3 << 20, 512, 12 << 20, 900 * 1024, 5 << 20, 40 << 20, 1 << 20, 1000]
    for number, size in enumerate(sizes * 3):
        held.append((torch.empty(size, dtype=torch.uint8, device="cuda"), model.allocate(size)))
        if number % 3 == 2:
            tensor, block = held.pop(number % len(held))
            del tensor
            model.free(block)
        assert torch.cuda.memory_allocated() == model.allocated
        assert torch.cuda.memory_reserved() == model.reserved
    blocks = sorted(block["size"] for segment in torch.cuda.memory_snapshot() for block in segment["blocks"]
                    if block["state"] == "active_allocated")  # fmt: skip
    assert blocks == sorted(block.size for _, block in held)


@pytest.mark.parametrize("gibibytes", [8, 16])
@pytest.mark.parametrize("name", ["resnet50", "vgg16", "mobilenet_v2"])
def test_the_batch_of_fit_runs_and_a_larger_one_does_not(name, gibibytes):
    graph = convcost.load(name)
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(gibibytes * 2**30 / total)
    try:
        limit = Gpu("limited", "limited", {"memory_bytes": Figure(gibibytes << 30, "set here"),
                                           "context_bytes": Figure(0, "outside of the fraction")})  # fmt: skip
        found = largest_batch(ScaledMemory(lambda batch: convcost.memory(graph, batch)), Room(limit))
        run(graph, found.batch, "train")
        torch.cuda.empty_cache()
        with pytest.raises(torch.cuda.OutOfMemoryError):
            run(graph, max(found.batch + 1, int(1.15 * found.batch)), "train")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        gc.collect()
        torch.cuda.empty_cache()
