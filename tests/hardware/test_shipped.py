"""The GPUs that ship: every file is complete, and its numbers agree with each other and with NVIDIA's tables."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from convcost.hardware import DEFAULT_CONTEXT, KEYS, load_gpu, shipped_gpus
from convcost.hardware.files import FOLDER

GPUS = {gpu.id: gpu for gpu in shipped_gpus()}
EVERY = pytest.mark.parametrize("gpu", GPUS.values(), ids=GPUS)

# CUDA programming guide, throughput of native arithmetic instructions: 32-bit floating-point multiply-adds per clock
# cycle and multiprocessor, by compute capability.
CORES = {"7.5": 64, "8.0": 64, "8.6": 128, "8.7": 128, "8.9": 128, "9.0": 128, "10.0": 128, "12.0": 128}
# The architecture whitepapers: float16 multiply-adds per clock cycle and multiprocessor on tensor cores, dense.
TENSOR = {"7.5": 512, "8.0": 1024, "8.6": 512, "8.7": 1024, "8.9": 512, "12.0": 512}


def test_what_ships():
    assert set(GPUS) == {
        "rtx3090", "rtx4090", "rtx5090", "rtx-pro-6000", "t4", "a10", "l4", "l40s", "a100-40", "a100-80", "h100-pcie",
        "h100-sxm", "h200", "b200", "jetson-agx-orin",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "id"),
    [
        ("h100", "h100-sxm"), ("a100", "a100-80"), ("orin", "jetson-agx-orin"), ("4090", "rtx4090"),
        ("RTX_4090".replace("_", ""), "rtx4090"), ("GeForce RTX 5090", "rtx5090"), ("H100_SXM", "h100-sxm"),
        ("Tesla T4", "t4"), ("rtx-pro-6000", "rtx-pro-6000"), ("A100-80GB", "a100-80"),
    ],
)  # fmt: skip
def test_names_that_people_write(typed, id):
    assert load_gpu(typed).id == id


def test_no_name_means_two_gpus():
    words = [word for gpu in GPUS.values() for word in {gpu.id, gpu.name.lower().replace(" ", "-"), *gpu.aliases}]
    assert sorted(words) == sorted(set(words))
    assert all(load_gpu(word).id == gpu.id for gpu in GPUS.values() for word in gpu.aliases)


@EVERY
def test_it_is_complete(gpu):
    required = {
        "memory_bytes", "usable_memory_bytes", "memory_bandwidth_bytes_per_s", "l2_cache_bytes", "fp32_flops_per_s",
        "fp16_tensor_fp32_accumulate_flops_per_s", "int8_tensor_ops_per_s", "streaming_multiprocessors", "power_w",
        "context_bytes",
    }  # fmt: skip
    assert required <= set(gpu.figures) <= set(KEYS)
    assert gpu.name
    assert gpu.aliases
    assert gpu.architecture in ("Turing", "Ampere", "Ada Lovelace", "Hopper", "Blackwell")
    assert gpu.compute_capability in CORES
    assert 2018 <= gpu.year <= 2026


@EVERY
def test_every_number_has_its_source_and_its_words(gpu):
    for key, figure in gpu.figures.items():
        assert len(figure.source) > 20, f"{key}: a document, not a word"
        assert figure.says, key


@EVERY
def test_every_document_is_referred_to(gpu):
    text = Path(FOLDER, f"{gpu.id}.yaml").read_text(encoding="utf-8")
    declared = re.findall(r"^  (\w+): ", text, re.MULTILINE)
    assert set(declared) == set(re.findall(r"source: (\w+)", text))


@EVERY
def test_the_words_have_the_number(gpu):
    """A number in the words, scaled by a power of 1000 or 1024 or halved for sparsity, is the value."""
    for key, figure in gpu.figures.items():
        if figure.estimate:
            continue
        printed = [float(word.replace(",", "")) for word in re.findall(r"\d[\d,]*(?:\.\d+)?", figure.says)]
        factors = [1000**n for n in range(6)] + [1024**n for n in range(4)]
        halves = (1, 2) if re.search("sparsity|Sparse", figure.says) else (1,)
        transfers = 2 if re.search(r"two transfers|\bDDR\b", figure.says) else 1
        close = 0.01 if key == "usable_memory_bytes" else 0.003
        assert any(
            abs(number * factor * transfers / half / figure.value - 1) < close
            for number in printed
            for factor in factors
            for half in halves
        ), (key, figure)


# --- arithmetic


@EVERY
def test_fp32_rate_is_cores_times_clock(gpu):
    clock = gpu.figure("boost_clock_hz")
    if clock is None:
        pytest.skip("no document has its clock")
    rate = gpu.figure("streaming_multiprocessors") * CORES[gpu.compute_capability] * 2 * clock
    assert gpu.figure("fp32_flops_per_s") == pytest.approx(rate, rel=0.01)


@EVERY
def test_tensor_rate_is_tensor_cores_times_clock(gpu):
    if gpu.compute_capability not in TENSOR:
        pytest.skip("Hopper and datacenter Blackwell: tensor rates are given for another clock than the highest")
    rate = gpu.figure("streaming_multiprocessors") * TENSOR[gpu.compute_capability] * 2 * gpu.figure("boost_clock_hz")
    full = gpu.figure("fp16_tensor_fp16_accumulate_flops_per_s") or gpu.figure(
        "fp16_tensor_fp32_accumulate_flops_per_s"
    )
    assert full == pytest.approx(rate, rel=0.015)


@pytest.mark.parametrize(("id", "clock"), [("h100-sxm", 1.83e9), ("h100-pcie", 1.62e9)])
def test_hopper_s_tensor_rate(id, clock):
    """2048 multiply-adds per clock and multiprocessor, at the clock that the whitepaper's tensor rates are for."""
    gpu = load_gpu(id)
    rate = gpu.figure("streaming_multiprocessors") * 2048 * 2 * clock
    assert gpu.figure("bf16_tensor_fp32_accumulate_flops_per_s") == pytest.approx(rate, rel=0.01)


@EVERY
def test_bandwidth_is_bus_times_data_rate(gpu):
    bus = gpu.figure("memory_bus_bits")
    if bus is None:
        assert gpu.id == "h200", "no document has its bus"
        return
    rate = bus / 8 * gpu.figure("memory_data_rate_bits_per_s")
    assert gpu.figure("memory_bandwidth_bytes_per_s") == pytest.approx(rate, rel=0.005)


@EVERY
def test_rates_of_one_tensor_core_are_powers_of_two_apart(gpu):
    bf16 = gpu.figure("bf16_tensor_fp32_accumulate_flops_per_s")
    fp16 = gpu.figure("fp16_tensor_fp32_accumulate_flops_per_s")
    assert bf16 in (None, fp16)
    if (tf32 := gpu.figure("tf32_tensor_flops_per_s")) is not None:
        assert fp16 / tf32 == pytest.approx(2, rel=0.03)
    if (fp8 := gpu.figure("fp8_tensor_fp32_accumulate_flops_per_s")) is not None:
        assert fp8 / fp16 == pytest.approx(2, rel=0.015)
    halved = 2 if gpu.name.startswith("GeForce") else 1
    assert gpu.figure("int8_tensor_ops_per_s") / fp16 == pytest.approx(2 * halved, rel=0.015)


def test_geforce_sums_float16_in_float32_at_half_the_rate():
    for gpu in GPUS.values():
        half = gpu.figure("fp16_tensor_fp16_accumulate_flops_per_s")
        if half is not None:
            factor = 2 if gpu.name.startswith("GeForce") else 1
            assert half == pytest.approx(factor * gpu.figure("fp16_tensor_fp32_accumulate_flops_per_s"), rel=0.001)


@EVERY
def test_drivers_keep_a_little_of_the_memory(gpu):
    """ECC in GDDR6 takes a sixteenth; the driver takes less than a gigabyte and a bit."""
    kept = gpu.figures["memory_bytes"].value - gpu.figures["usable_memory_bytes"].value
    assert 0 < kept < gpu.figures["memory_bytes"].value / 16 + (5 << 28)
    assert gpu.memory_bytes == gpu.figures["usable_memory_bytes"].value


def test_the_context_is_an_allowance_held_in_one_place():
    assert DEFAULT_CONTEXT.estimate
    assert 300e6 < DEFAULT_CONTEXT.value < 600 << 20
    assert not any("context_bytes" in path.read_text(encoding="utf-8") for path in Path(FOLDER).glob("*.yaml"))
    assert all(gpu.context_bytes == DEFAULT_CONTEXT.value for gpu in GPUS.values())
