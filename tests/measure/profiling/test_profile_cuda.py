"""What only a GPU can say of profiles: times beside other timers, sums of layers, and a process that stays healthy."""

from __future__ import annotations

import gc
import shutil
from importlib.util import find_spec

import pytest

import convcost
from convcost.profiles.layer_summary import LayerSummary
from convcost.sources import shipped

torch = pytest.importorskip("torch")

from gpu.profile_tables import BUSY, CLOSED  # noqa: E402
from gpu.tables import AGREE, REPEAT  # noqa: E402
from gpu.timers import readings  # noqa: E402

from convcost.measure.profiling.cuda_clock import CudaBench  # noqa: E402
from convcost.measure.profiling.layer_times import in_place, isolated  # noqa: E402
from convcost.measure.profiling.passes import Passes  # noqa: E402
from convcost.measure.profiling.profile import profile  # noqa: E402
from convcost.measure.profiling.tf32 import flags  # noqa: E402
from convcost.profiles.runs import Setting  # noqa: E402

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
# At batch 32 they keep the device busy. Where launches take longer than kernels, timers differ by the head start that
# each gives the host while the cache is overwritten.
NETWORKS = ("resnet50", "vgg16", "unet")
SMALL = "lenet5_d2l"


@pytest.fixture
def bench():
    made = CudaBench(torch.device("cuda"))
    yield made
    made.release()


@pytest.fixture
def four_gibibytes():
    """No more memory than that, for a while."""
    gc.collect()
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(4 * 2**30 / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    gc.collect()
    torch.cuda.empty_cache()


def passes_of(name, batch, dtype="float32"):
    report = convcost.analyze(convcost.load(name), batch, dtype)
    return report, Passes(report, Setting(batch, dtype), torch.device("cuda"))


# --- static figures


@pytest.mark.parametrize("name", [name for name, _, _ in shipped.shipped()])
def test_what_ships_agrees_on_the_device(name):
    found = convcost.validate(name, "cuda")
    assert found.differences == ()
    assert found.ok
    assert found.check("output shapes", "PyTorch").equal == found.layers
    assert found.check("activation bytes, kept", "torch.cuda").status == "agrees"
    gc.collect()
    torch.cuda.empty_cache()


# --- times


@pytest.mark.parametrize("name", NETWORKS)
def test_other_timers_agree_from_batch_32_up(name, bench):
    _, passes = passes_of(name, 32)
    found = readings(bench, passes.forward, 3.0)
    assert found["timer_ns"] == pytest.approx(found["flushed_ns"], rel=AGREE)
    if found["do_bench_ns"] is None:
        pytest.skip(found["missing"])
    assert found["do_bench_ns"] == pytest.approx(found["flushed_ns"], rel=AGREE)


@pytest.mark.parametrize("name", NETWORKS)
def test_two_runs_agree(name):
    first, second = (profile(name, "cuda", 32, layers="none").runs[0].time.median_ns for _ in range(2))
    assert second == pytest.approx(first, rel=REPEAT)


@pytest.mark.parametrize("batch", [1, 32])
@pytest.mark.parametrize("name", ["resnet50", "vgg16", "mobilenet_v2", "densenet121"])  # the last fills the queue
def test_layers_add_up(name, batch):
    found = profile(name, "cuda", batch)
    sums = LayerSummary(found.runs[0], found.ceilings).closing
    assert sums is not None
    assert sums.busy is not None
    if sums.busy >= BUSY:
        assert sums.layers_ns == pytest.approx(sums.whole_ns, rel=CLOSED)
    else:
        assert sums.layers_ns + sums.launch_gap_ns == pytest.approx(sums.whole_ns, rel=CLOSED)


def test_a_graph_takes_no_longer_than_launching_one_by_one():
    eager, graph = profile("mobilenet_v2", "cuda", 1, execution=("eager", "cuda_graph"), layers="none").runs
    assert graph.measured
    assert graph.time.median_ns < 1.02 * eager.time.median_ns
    # The memory of a replay is what its capture took: as much as the pass itself, or it would be that of nothing.
    assert graph.memory.requested_bytes >= 0.97 * eager.memory.requested_bytes


@pytest.mark.skipif(
    find_spec("triton") is None or not (shutil.which("gcc") or shutil.which("cc") or shutil.which("clang")),
    reason="torch.compile needs triton and a C compiler",
)
def test_compiled_networks_run_in_more_batches_than_one_piece_of_code_is_compiled_for():
    found = profile(SMALL, "cuda", tuple(range(1, 11)), execution="compile", layers="none", seconds=0.5)
    assert [run.status for run in found.runs] == ["measured"] * 10


@pytest.mark.parametrize("options", [
    {"channels_last": True, "dtype": ("float32", "bfloat16")}, {"dtype": ("amp-bf16", "amp-fp16", "float16")},
])  # fmt: skip
def test_layouts_and_precisions_run_with_every_layer_in_place_and_alone(options):
    for run in profile("resnet18", "cuda", 8, layers="both", seconds=1.0, **options).runs:
        assert run.status == "measured", run.note
        assert run.notes == ()
        assert all(layer.in_place_ns for layer in run.layers)
        assert all(layer.alone is not None for layer in run.layers if layer.launches)


@pytest.mark.parametrize("dtype", ["float32", "amp-bf16"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_training_steps_run(dtype, optimizer):
    (run,) = profile("resnet18", "cuda", 8, dtype, train=True, optimizer=optimizer, seconds=1.0).runs
    assert run.status == "measured", run.note
    assert set(run.phases) == {"forward", "backward", "optimizer"}
    assert all(min(samples) > 0 for samples in run.phases.values())


def test_sensors_are_looked_at_where_the_library_is():
    pytest.importorskip("pynvml")
    (run,) = profile("vgg16", "cuda", 32, layers="none").runs
    assert run.conditions
    assert all(each.clock_hz and each.clock_hz > 10**8 for each in run.conditions)


# --- memory


def test_memory_that_ends_is_a_result_and_the_process_goes_on(four_gibibytes):
    # 1024 x 64 x 112 x 112 x 4 bytes are 3 GiB: the first convolution's output, which its normalisation doubles.
    switches = flags()
    tried, after = profile("resnet50", "cuda", (1024, 1), layers="none", seconds=0.5, tf32=True).runs
    assert tried.status == "out of memory"
    assert not tried.note.startswith("not run")
    assert after.status == "measured"
    assert flags() == switches
    assert float(torch.ones(2, 2, device="cuda").sum()) == 4


def test_what_cannot_fit_is_not_tried():
    (run,) = profile("resnet50", "cuda", 1 << 20, layers="none").runs
    assert run.status == "out of memory"
    assert run.note.startswith("not run")


def test_the_automatic_batch_comes_to_an_end(four_gibibytes):
    runs = profile("resnet50", "cuda", "auto", layers="none", seconds=0.3).runs
    assert [run.setting.batch for run in runs] == [2**number for number in range(len(runs))]
    assert len(runs) > 3
    assert all(run.measured for run in runs[:-1])
    assert not runs[-1].measured or runs[-1].samples_per_s < 1.05 * runs[-2].samples_per_s


def test_what_is_left_over_does_not_count_as_memory():
    """Neither the buffer that flushes the cache, nor the ceilings' matrices, nor workspaces of captures."""
    first = profile(SMALL, "cuda", 1, layers="both", seconds=0.3).runs[0].memory
    again = profile(SMALL, "cuda", 1, layers="none", seconds=0.3).runs[0].memory
    assert again.requested_bytes == first.requested_bytes
    assert first.reserved_bytes < 128 << 20


# --- nothing is left behind


def test_no_hooks_are_left_and_no_streams(bench):
    report, passes = passes_of("resnet18", 2)
    stream = torch.cuda.current_stream()
    in_place(bench, passes.network, passes.inputs, passes.around, passes=3)
    ops, launches = [node.op for node in report.graph], [layer.launches for layer in report.layers]
    found = isolated(bench, passes.network, ops, launches, passes.inputs, passes.around, (), {})
    assert found.notes == ()
    for module in passes.network.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    assert torch.cuda.current_stream() == stream
    assert torch.is_grad_enabled()
    assert torch.is_autocast_cache_enabled()


@pytest.mark.parametrize("tf32", [True, False, None])
def test_switches_are_set_back(tf32):
    before = flags()
    profile(SMALL, "cuda", 1, tf32=tf32, layers="none", seconds=0.3)
    assert flags() == before


def test_a_capture_that_fails_leaves_the_device_as_it_was(bench):
    x, stream = torch.ones(1000, device="cuda"), torch.cuda.current_stream()
    with pytest.raises(RuntimeError):
        bench.replayed(x.nonzero)  # its size must be known on the host, which a graph cannot wait for
    assert torch.cuda.current_stream() == stream
    assert torch.randn(10, device="cuda").shape == (10,)
    held = bench.replayed(lambda: x.add_(1))
    before = float(x[0])
    held()
    torch.cuda.synchronize()
    assert float(x[0]) == before + 1


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_another_device_than_the_current_one():
    held = torch.cuda.memory_allocated(0)
    (run,) = profile("resnet18", "cuda:1", 8, layers="both", seconds=1.0).runs
    assert run.status == "measured", run.note
    assert torch.cuda.current_device() == 0
    assert torch.cuda.memory_allocated(0) == held
    (first,) = profile("resnet18", "cuda:0", 8, layers="none", seconds=1.0).runs
    assert run.time.median_ns == pytest.approx(first.time.median_ns, rel=0.2)
