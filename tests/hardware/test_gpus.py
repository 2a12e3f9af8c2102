"""The GPUs that ship, and files of one's own."""

from __future__ import annotations

import pytest

from convcost.errors import ConvcostError, SpecError, UsageError
from convcost.hardware import FIGURES, load_gpu, shipped_gpus
from convcost.hardware.records import REQUIRED, UNITS

GPUS = {gpu.id: gpu for gpu in shipped_gpus()}
NAMED = ("rtx3090", "rtx4090", "rtx5090", "rtx-pro-6000", "t4", "a10", "l4", "l40s", "a100-40", "a100-80", "h100-pcie",
         "h100-sxm", "h200", "b200", "jetson-agx-orin")  # fmt: skip
# CUDA cores of a multiprocessor by compute capability. Source: CUDA C++ Programming Guide, arithmetic throughput.
CORES = {"7.5": 64, "8.0": 64, "8.6": 128, "8.7": 128, "8.9": 128, "9.0": 128, "10.0": 128, "12.0": 128}


def test_these_gpus_ship():
    assert set(NAMED) == set(GPUS)


@pytest.mark.parametrize("gpu", GPUS.values(), ids=GPUS)
def test_every_number_has_a_unit_and_a_source(gpu):
    for key, figure in gpu.figures.items():
        assert key in FIGURES
        assert key.endswith(UNITS) or key == "streaming_multiprocessors"
        assert type(figure.value) is int
        assert len(figure.source) > 10, key
    assert set(REQUIRED) <= set(gpu.figures)
    assert gpu.architecture
    assert gpu.year


@pytest.mark.parametrize("gpu", GPUS.values(), ids=GPUS)
def test_the_float32_rate_is_cores_times_clock_times_two(gpu):
    cores = gpu.figure("streaming_multiprocessors") * CORES[gpu.compute_capability]
    assert 2 * cores * gpu.figure("boost_clock_hz") == pytest.approx(gpu.figure("fp32_flops_per_s"), rel=0.01)


@pytest.mark.parametrize("gpu", GPUS.values(), ids=GPUS)
def test_memory_that_programs_can_have_is_no_more_than_there_is(gpu):
    usable = gpu.figure("usable_memory_bytes")
    if usable is not None:
        assert 0.9 * gpu.figure("memory_bytes") < usable < gpu.figure("memory_bytes")
    assert 0 < gpu.context_bytes < gpu.memory_bytes / 10


@pytest.mark.parametrize("gpu", GPUS.values(), ids=GPUS)
def test_rates_are_dense_and_in_order(gpu):
    rate = {key: gpu.figure(key) for key in FIGURES if key.endswith(("flops_per_s", "ops_per_s"))}
    wide, narrow = rate["bf16_tensor_fp32_accumulate_flops_per_s"], rate["fp8_tensor_fp32_accumulate_flops_per_s"]
    if wide and narrow:
        assert narrow == pytest.approx(2 * wide, rel=0.02)
    if wide and rate["tf32_tensor_flops_per_s"]:
        assert wide == pytest.approx(2 * rate["tf32_tensor_flops_per_s"], rel=0.02)


def test_names_and_aliases_mean_one_gpu():
    words = [word for gpu in GPUS.values() for word in (gpu.id, *gpu.aliases)]
    assert len(words) == len(set(words))
    for gpu in GPUS.values():
        for word in (gpu.id, gpu.id.upper(), gpu.name, *gpu.aliases):
            assert load_gpu(word) == gpu


MINE = """
name: My GPU
memory_bytes: 8_589_934_592
memory_bandwidth_bytes_per_s: 448e9
fp32_flops_per_s: {value: 10e12, source: measured}
context_bytes: 400000000
"""


def test_a_file_of_ones_own_works(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    gpu = load_gpu(str(path))
    assert (gpu.id, gpu.name, gpu.memory_bytes) == ("mine", "My GPU", 8 << 30)
    assert gpu.figures["fp32_flops_per_s"].source == "measured"


@pytest.mark.parametrize(
    ("change", "line", "message"),
    [
        (
            ("memory_bytes:", "memory:"),
            3,
            "'memory' does not say its unit; did you mean memory_bytes or memory_bandwidth",
        ),
        (("context_bytes: 400000000\n", ""), 2, "context_bytes is missing"),
        (("context_bytes", "contxt_bytes"), 6, "unknown key 'contxt_bytes'; did you mean 'context_bytes'?"),
        (("448e9", "448 GB/s"), 4, "memory_bandwidth_bytes_per_s is '448 GB/s'; it must be a whole number above 0"),
        (("8_589_934_592", "-1"), 3, "memory_bytes is '-1'; it must be a whole number above 0"),
        (("source: measured", "sauce: measured"), 5, "fp32_flops_per_s has value, source and estimate, not 'sauce'"),
        (("name: My GPU", "name: [a]"), 2, "name is a text"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path, change, line, message):
    path = tmp_path / "mine.yaml"
    path.write_text(MINE.replace(*change))
    with pytest.raises(SpecError) as caught:
        load_gpu(str(path))
    assert f"mine.yaml:{line}:" in str(caught.value)
    assert message in str(caught.value)


def test_an_unknown_gpu_is_told_with_the_nearest():
    with pytest.raises(UsageError, match="unknown GPU 'h20'; did you mean 'h200'"):
        load_gpu("h20")
    with pytest.raises(ConvcostError, match=r"nothing\.yaml"):
        load_gpu("nothing.yaml")
