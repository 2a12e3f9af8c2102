"""Profiles of real networks on the CPU, and of what goes wrong, by a device that stands in."""

from __future__ import annotations

import gc

import msgspec
import pytest

import convcost
from convcost.errors import SpecError, UsageError
from convcost.profiles.files import from_bytes
from convcost.profiles.profile import Profile
from convcost.profiles.runs import Condition, MemoryUse

torch = pytest.importorskip("torch")

from convcost.measure.build import Network, build  # noqa: E402
from convcost.measure.profiling import ceilings, layer_times, passes  # noqa: E402 - needs torch
from convcost.measure.profiling import run as measure_run  # noqa: E402
from convcost.measure.profiling.clock import CpuBench, _last_level_cache  # noqa: E402
from convcost.measure.profiling.profile import profile  # noqa: E402
from convcost.measure.profiling.tf32 import tf32_flags  # noqa: E402
from convcost.measure.profiling.timing import Limits  # noqa: E402
from support.fake_bench import FakeBench  # noqa: E402

SPEC = """name: tiny
input: [3, 16, 16]
layers:
  - {conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, name: first}
  - batch_norm2d
  - {relu: {}}
  - {conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, name: second}
  - {conv2d: {out_channels: 4, kernel_size: 3, padding: 1}, name: third}
  - flatten
  - dropout
  - linear: 10
"""


@pytest.fixture(autouse=True)
def small_ceilings(monkeypatch):
    """Ceilings of a moment: what they are is not what these tests ask."""
    monkeypatch.setattr(ceilings, "SIDE", {"cpu": 64})
    monkeypatch.setattr(ceilings, "CONVOLVED", {"cpu": (1, 4, 8)})
    monkeypatch.setattr(ceilings, "COPIED_BYTES", {"cpu": 1 << 16})
    monkeypatch.setattr(ceilings, "LIMITS", Limits(seconds=0.02, warmup_seconds=0.0))
    monkeypatch.setattr(layer_times, "ALONE", Limits(seconds=0.02, warmup_seconds=0.0))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two threads that wait for each other beside other tests take seconds, not microseconds
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return str(path)


def quick(source, **options) -> Profile:
    return profile(source, "cpu", seconds=0.1, **options)


# --- on the CPU


def test_forward_passes(tiny):
    found = quick(tiny, batch=[1, 4])
    assert [(run.setting.batch, run.status) for run in found.runs] == [(1, "measured"), (4, "measured")]
    where = found.environment
    assert (where.device, where.gpu, where.threads) == ("cpu", "", torch.get_num_threads())
    assert "monotonic" in where.clock
    assert where.versions["torch"] == str(torch.__version__)
    report = convcost.analyze(convcost.load(tiny), batch=4)
    run = found.runs[1]
    assert dict(run.input_shapes) == {"input": (4, 3, 16, 16)}
    assert (run.static.macs, run.static.activation_bytes) == (report.totals.macs, report.totals.activation_bytes)
    assert all(time > 0 for time in run.samples_ns)
    assert run.memory is None  # a processor does not count it, and nothing pretends to
    assert run.conditions == ()
    for layer, cost in zip(run.layers, report.layers, strict=True):
        assert (layer.name, layer.macs, layer.group) == (cost.name, cost.macs, cost.group)
        assert layer.bytes_moved == cost.bytes_read + cost.bytes_written
        assert len(layer.in_place_ns) >= 1
        assert layer.bound_ns is not None
        assert layer.datasheet_bound_ns is None


def test_training_steps(tiny):
    found = quick(tiny, train=True, optimizer="adamw", batch=2)
    (run,) = found.runs
    assert run.status == "measured", run.note
    assert list(run.phases) == ["forward", "backward", "optimizer"]
    assert run.time.median_ns > run.phase("backward").median_ns > 0
    assert run.layers == ()
    step = convcost.memory(convcost.load(tiny), batch=2, optimizer="adamw", kernels="cpu")
    assert (run.static.peak_bytes, run.static.step_flops) == (step.peak_bytes, step.macs.flops)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "adamw", "none"])
def test_a_step_leaves_weights_alone_and_gradients_none(tiny, optimizer):
    report = convcost.analyze(convcost.load(tiny), batch=2, train=True)
    setting = convcost.profiles.Setting(2, mode="train", optimizer=optimizer)
    found = passes.Passes(report, setting, torch.device("cpu"))
    before = [x.clone() for x in found.network.parameters()]
    for _ in range(2):
        for call in found.phases.values():
            call()
    assert all(torch.equal(old, new) for old, new in zip(before, found.network.parameters(), strict=True))
    assert all(x.grad is None for x in found.network.parameters())
    forward, backward, _ = found.phases.values()
    forward()
    backward()
    assert all(x.grad is not None for x in found.network.parameters())


@pytest.mark.parametrize("dtype", ["bfloat16", "amp-bf16", "float64"])
def test_dtypes(tiny, dtype):
    report = convcost.analyze(convcost.load(tiny), dtype=dtype)
    found = passes.Passes(report, convcost.profiles.Setting(1, dtype), torch.device("cpu"))
    seen = []
    found.network.get_submodule("second").register_forward_hook(lambda _m, _i, out: seen.append(out.dtype))
    made = found.forward()
    assert seen == [{"amp-bf16": torch.bfloat16}.get(dtype) or getattr(torch, dtype)]
    assert not made.requires_grad
    (run,) = quick(tiny, dtype=dtype).runs
    assert run.status == "measured", run.note


def test_channels_last(tiny):
    report = convcost.analyze(convcost.load(tiny), batch=2)
    setting = convcost.profiles.Setting(2, channels_last=True)
    found = passes.Passes(report, setting, torch.device("cpu"))
    assert found.inputs[0].is_contiguous(memory_format=torch.channels_last)
    assert found.network.get_submodule("second").weight.is_contiguous(memory_format=torch.channels_last)
    (run,) = quick(tiny, channels_last=True).runs
    assert run.measured
    assert "channels_last" in run.setting.words


def test_inputs_are_random_and_indices_are_in_range(tmp_path):
    path = tmp_path / "words.yaml"
    path.write_text(
        "name: words\ninput: {shape: [50], dtype: int64}\nlayers:\n"
        "  - {embedding: {num_embeddings: 7, embedding_dim: 4}}\n  - flatten\n  - linear: 2\n",
        encoding="utf-8",
    )
    report = convcost.analyze(convcost.load(str(path)), batch=4)
    (tokens,) = passes.inputs_of(report, torch.device("cpu"))
    assert (tokens.dtype, tuple(tokens.shape)) == (torch.int64, (4, 50))
    assert set(tokens.flatten().tolist()) <= set(range(7))
    assert len(set(tokens.flatten().tolist())) > 1
    (run,) = quick(str(path)).runs
    assert run.measured, run.note


def test_layers_alone_are_timed_once_where_they_are_alike(tiny):
    cache = {}
    (run,) = quick(tiny, layers="both", cache=cache).runs
    by_name = {layer.name: layer for layer in run.layers}
    assert by_name["second"].alone == by_name["third"].alone is not None
    assert by_name["first"].alone != by_name["second"].alone
    assert by_name["flatten_1"].alone is None  # a view starts nothing
    assert len(run.isolated) == len(cache) == 5  # two kinds of conv, batch norm, relu, linear; dropout does nothing
    again = quick(tiny, layers="isolated", cache=cache).runs[0]
    assert again.isolated == run.isolated  # from the cache, to the nanosecond
    assert all(layer.in_place_ns == () for layer in again.layers)


def test_the_in_place_sum_is_the_pass(tiny):
    """On a clock that counts calls: each layer takes what it takes, and nothing is lost between layers."""
    graph = convcost.load("lenet5")
    network = build(graph, "cpu")
    report = convcost.analyze(graph)
    bench = FakeBench(tick_ns=10)
    found = layer_times.in_place(bench, network, passes.inputs_of(report, torch.device("cpu")), torch.no_grad, 3)
    assert found.layers == ((10, 10, 10),) * len(graph)
    assert found.mark_ns == (10,) * 100
    assert len(bench.leads) == 5  # each pass, the one that warms up too, and the clock's own cost


def test_nothing_is_left_on_the_module(tiny):
    hooks = []
    original = Network.forward

    def spying(self, *inputs, **options):
        result = original(self, *inputs, **options)
        hooks.append([
            len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in self.modules()
        ])  # fmt: skip
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Network, "forward", spying)
        quick(tiny, layers="both")
    assert hooks
    assert not any(map(sum, hooks))


def test_a_captured_module_is_untouched():
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.LazyLinear(2))
    module.eval()(torch.zeros(1, 3, 8, 8))
    before = {name: value.clone() for name, value in module.state_dict().items()}
    graph = convcost.capture(module, torch.zeros(2, 3, 8, 8))
    (run,) = quick(graph).runs
    assert run.setting.batch == 2
    assert run.measured, run.note
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in module.modules())
    bench = FakeBench()
    with pytest.raises(UsageError, match="captured at batch 2"):
        quick(graph, batch=[2, 3], bench=bench)
    assert bench.synchronized == 0


def test_a_module_by_name_is_captured_for_each_batch(tmp_path, monkeypatch):
    (tmp_path / "own_net.py").write_text(
        "import torch\n"
        "def make():\n"
        "    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()), torch.zeros(1, 3, 8, 8)\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    found = quick("own_net:make", batch=[1, 3])
    assert [dict(run.input_shapes)["input"] for run in found.runs] == [(1, 3, 8, 8), (3, 3, 8, 8)]
    assert all(run.measured for run in found.runs)


@pytest.mark.parametrize("batch", [[1, 2, 3], "auto"])
def test_a_batch_that_a_module_refuses_is_a_run_that_failed(tmp_path, monkeypatch, batch):
    (tmp_path / "picky_net.py").write_text(
        "import torch\n"
        "class Picky(torch.nn.Conv2d):\n"
        "    def forward(self, x):\n"
        "        if len(x) == 2:\n"
        "            raise ValueError('not two')\n"
        "        return super().forward(x)\n"
        "def make():\n"
        "    return Picky(3, 4, 3), torch.zeros(1, 3, 8, 8)\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    runs = quick("picky_net:make", batch=batch).runs
    assert [run.status for run in runs] == ["measured", "failed", "measured"][: len(runs)]
    assert len(runs) == (2 if batch == "auto" else 3)
    assert "not two" in runs[1].note


def test_a_network_without_layers(tmp_path):
    graph = convcost.capture(torch.nn.Identity().eval(), torch.zeros(1, 3, 8, 8))
    (run,) = quick(graph).runs
    assert run.measured
    assert run.layers == ()
    assert run.static.peak_bytes == 3 * 8 * 8 * 4  # its input


def test_the_network_travels_with_the_profile(tiny):
    found = quick(tiny, batch=2)
    assert found.network["architecture"]["name"] == "tiny"
    assert from_bytes(found.to_json().encode(), "run.json") == found
    assert [node["name"] for node in found.network["nodes"]] == [node.name for node in convcost.load(tiny)]


# --- what goes wrong


def out_of_memory_above(monkeypatch, batch):
    original = passes.Passes.forward

    def forward(self):
        if self.setting.batch > batch:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return original(self)

    monkeypatch.setattr(passes.Passes, "forward", forward)


def test_out_of_memory_is_a_run_and_the_others_go_on(tiny, monkeypatch):
    out_of_memory_above(monkeypatch, 4)
    bench = FakeBench(tick_ns=1000)
    found = quick(tiny, batch=[2, 8, 4], bench=bench)
    assert [run.status for run in found.runs] == ["measured", "out of memory", "measured"]
    assert "Tried to allocate" in found.runs[1].note
    assert bench.released == 3  # cached memory is given back each time


def test_auto_doubles_until_memory_ends(tiny, monkeypatch):
    out_of_memory_above(monkeypatch, 16)
    found = quick(tiny, batch="auto", bench=FakeBench(tick_ns=1000))
    # The clock gives each pass the same time, so that throughput doubles with the batch for ever.
    assert [run.setting.batch for run in found.runs] == [1, 2, 4, 8, 16, 32]
    assert [run.status for run in found.runs][-2:] == ["measured", "out of memory"]


def test_auto_doubles_until_the_throughput_saturates(tiny, monkeypatch):
    bench = FakeBench()
    original = passes.Passes.forward

    def forward(self):
        # A device that does four samples at once: beyond that, twice the batch takes twice the time.
        bench.work(1_000_000 * max(1, self.setting.batch // 4))
        return original(self)

    monkeypatch.setattr(passes.Passes, "forward", forward)
    found = quick(tiny, batch="auto", bench=bench, layers="none")
    assert [run.setting.batch for run in found.runs] == [1, 2, 4, 8]
    assert [round(run.samples_per_s) for run in found.runs] == [1000, 2000, 4000, 4000]


def test_what_cannot_fit_is_not_tried(tiny):
    class Small(FakeBench):
        def free_bytes(self):
            return 100_000

    found = quick(tiny, batch=[1, 4096], bench=Small(tick_ns=1000))
    assert [run.status for run in found.runs] == ["measured", "out of memory"]
    assert found.runs[1].note.startswith("not run: it needs ")


def test_what_pytorch_refuses_is_a_run(tiny, monkeypatch):
    def forward(self):
        raise RuntimeError("no kernel for this\nand more words")

    monkeypatch.setattr(passes.Passes, "forward", forward)
    (run,) = quick(tiny).runs
    assert (run.status, run.note) == ("failed", "RuntimeError: no kernel for this")


def test_whole_passes_are_kept_where_layers_fail(tiny, monkeypatch):
    def fails(*arguments, **options):
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(measure_run, "in_place", fails)
    (run,) = quick(tiny).runs
    assert run.measured
    assert run.layers == ()
    assert run.notes == ("the layers were not timed: RuntimeError: CUDA out of memory",)


def test_ctrl_c_keeps_what_is_done(tiny, monkeypatch):
    original = passes.Passes.forward

    def forward(self):
        if self.setting.batch == 4:
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(passes.Passes, "forward", forward)
    kept: list[Profile] = []
    bench = FakeBench(tick_ns=1000)
    found = quick(tiny, batch=[1, 2, 4, 8], bench=bench, keep=kept.append)
    assert found.interrupted
    assert [run.setting.batch for run in found.runs] == [1, 2]
    assert [len(each.runs) for each in kept] == [1, 2, 2]
    assert kept[-1] == found
    assert bench.released == 3


def test_sensors_and_memory_are_kept(tiny):
    use = MemoryUse(1000, 1024, 2 << 20)
    looks = [Condition(5, clock_hz=1_980_000_000, power_w=500.0, temperature_c=60)] * 50
    (run,) = quick(tiny, bench=FakeBench(looks, use, tick_ns=1000)).runs
    assert run.memory == use
    assert run.conditions
    assert set(run.conditions) == {looks[0]}


def test_progress_is_told_and_never_goes_back(tiny):
    told = []
    quick(tiny, batch=[1, 2], layers="both", progress=lambda words, done: told.append((words, done)))
    assert told[0] == ("ceilings of the device", None)
    parts = [done for _, done in told[1:]]
    assert parts == sorted(parts)
    assert 0 <= parts[0] < 0.5 <= parts[-1] < 1
    assert any("batch 2, float32: each layer alone" in words for words, _ in told)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch": 0}, "batch is 0, expected 1 or more"),
        ({"batch": "many"}, "a number, several numbers, or auto"),
        ({"dtype": "float23"}, "did you mean 'float32'"),
        ({"execution": "lazy"}, "execution is 'lazy'"),
        ({"execution": "cuda_graph"}, "CUDA graphs need a CUDA device"),
        ({"tf32": True}, "TF32 is a mode of CUDA devices"),
        ({"layers": "inplace"}, "did you mean 'in-place'"),
        ({"train": True, "optimizer": "adamx"}, "did you mean"),
        ({"train": True, "optimizer": "adam8bit"}, "cannot be timed"),
        ({"seconds": 0}, "seconds is 0"),
        ({"seconds": "1"}, "seconds is '1'"),
        ({"batch": []}, r"batch is \[\]; it must be a number, several numbers, or auto"),
        ({"batch": 1.5}, "batch is 1.5"),
        ({"batch": [1, "2"]}, "it must be a number, several numbers, or auto"),
        ({"execution": []}, "execution is empty"),
        ({"execution": None}, "execution is None"),
    ],
)
def test_wrong_use(tiny, options, words):
    with pytest.raises(UsageError, match=words):
        profile(tiny, "cpu", **{"seconds": 0.1, **options})


@pytest.mark.parametrize("source", [torch.nn.Conv2d(3, 4, 3), None, 5])
def test_what_is_no_source(source):
    with pytest.raises(UsageError, match="profile takes a SOURCE or a graph, not "):
        profile(source, "cpu")


def test_wrong_sources_stop_before_anything_runs(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("name: bad\ninput: [3, 8, 8]\nlayers:\n  - conv2d: {out_channels: 4, kernel_size: 99}\n")
    bench = FakeBench()
    with pytest.raises(SpecError):
        quick(str(path), bench=bench)
    assert bench.synchronized == 0


def test_devices():
    with pytest.raises(UsageError, match="nothing runs on meta"):
        profile("lenet5", "meta")
    with pytest.raises(UsageError, match=r"unknown device 'gpu'.* \(allowed: cuda, cpu\)$"):
        profile("lenet5", "gpu")
    assert profile(convcost.load("lenet5"), torch.device("cpu"), seconds=0.05, layers="none").measured
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="--device cpu runs the same protocol"):
            profile("lenet5")


# --- the boundary


def test_flags_are_set_back_after_an_exception():
    matmul, cudnn = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    seen = []

    def fails():
        with tf32_flags(not matmul):
            seen.append(torch.backends.cuda.matmul.allow_tf32)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert seen == [not matmul]
    assert (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32) == (matmul, cudnn)


def test_the_processor_flushes_more_than_its_cache():
    bench = CpuBench()
    bench.flush()
    assert bench._cold.numel() * 8 >= max(64 << 20, 2 * _last_level_cache())
    before = bench._cold[0].item()
    bench.flush()
    assert bench._cold[0].item() == before + 1


def test_memory_errors_of_the_processor():
    bench = CpuBench()
    assert bench.out_of_memory(MemoryError())
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 50)
    assert bench.out_of_memory(caught.value)
    assert not bench.out_of_memory(RuntimeError("shape mismatch"))


def test_profiles_let_go_of_their_networks(tiny):
    gc.collect()
    before = sum(type(x) is Network for x in gc.get_objects())
    found = quick(tiny, batch=[1, 2], layers="both")
    gc.collect()
    assert found.measured
    assert sum(type(x) is Network for x in gc.get_objects()) == before


def test_records_are_frozen(tiny):
    found = quick(tiny, layers="none")
    with pytest.raises(AttributeError):
        found.name = "other"
    assert msgspec.structs.replace(found, name="other").name == "other"
