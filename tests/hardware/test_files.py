"""A user's hardware file: what it may say, and every mistake with its place."""

from __future__ import annotations

import subprocess
import sys

import pytest

from convcost import ConvcostError, SourceError, SpecError, UsageError
from convcost.hardware import DEFAULT_CONTEXT, Figure, gpu_of_device, load_gpu, shipped_gpus

LEAST = "memory_bytes: 25769803776\nmemory_bandwidth_bytes_per_s: 1.008e12\nfp32_flops_per_s: 82_600_000_000_000\n"


def loaded(folder, text):
    path = folder / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return load_gpu(str(path))


def test_the_least_that_a_file_needs(tmp_path):
    gpu = loaded(tmp_path, LEAST)
    assert (gpu.id, gpu.name, gpu.aliases, gpu.year) == ("mine", "mine", (), None)
    assert gpu.memory_bytes == 24 << 30
    assert gpu.figures["memory_bandwidth_bytes_per_s"] == Figure(1_008_000_000_000)
    assert gpu.figure("fp32_flops_per_s") == 82_600_000_000_000
    assert gpu.figure("l2_cache_bytes") is None
    assert gpu.figures["context_bytes"] is DEFAULT_CONTEXT


def test_all_that_it_may_say(tmp_path):
    gpu = loaded(
        tmp_path,
        LEAST
        + "name: My card\naliases: [card]\ncompute_capability: 8.9\nyear: 2022\nsources: {sheet: The data sheet}\n"
        + "usable_memory_bytes: {value: 25_000_000_000, source: sheet, says: '25 GB'}\n"
        + "l2_cache_bytes: {value: 75497472, source: what I was told, says: a guess, estimate: true}\n"
        + "context_bytes: 300000000\n",
    )
    assert (gpu.name, gpu.aliases, gpu.compute_capability, gpu.year) == ("My card", ("card",), "8.9", 2022)
    assert gpu.memory_bytes == 25_000_000_000
    assert gpu.context_bytes == 300_000_000
    assert gpu.figures["usable_memory_bytes"] == Figure(25_000_000_000, "The data sheet", "25 GB")
    assert gpu.figures["l2_cache_bytes"] == Figure(75_497_472, "what I was told", "a guess", True)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (f"memory: 24\n{LEAST}", "1:1", "memory: did you mean memory_bytes? The unit is part of the key"),
        (f"{LEAST}power: 450\n", "4:1", "power: did you mean power_w? The unit is part of the key"),
        (f"{LEAST}l2_cache: 6\n", "4:1", "l2_cache: did you mean l2_cache_bytes?"),
        (f"{LEAST}boost_clock: 2.5\n", "4:1", "boost_clock: did you mean boost_clock_hz?"),
        (f"{LEAST}fp8_tensor: 5\n", "4:1", "fp8_tensor: did you mean fp8_tensor_fp16_accumulate_flops_per_s or fp8"),
        (f"{LEAST}l2_cache_byte: 6\n", "4:1", "unknown key 'l2_cache_byte'; did you mean 'l2_cache_bytes'"),
        (f"{LEAST}zzz: 6\n", "4:1", "unknown key 'zzz' (allowed: name, aliases, devices, architecture"),
        ("memory_bytes: 25769803776\n", "1:1", "memory_bandwidth_bytes_per_s and fp32_flops_per_s are missing"),
        (LEAST.replace("25769803776", "24GiB"), "1:15", "memory_bytes is '24GiB'; it must be a number in the unit"),
        (LEAST.replace("25769803776", "24"), "1:15", "memory_bytes is 24; no GPU has that: 134,217,728 to"),
        (LEAST.replace("25769803776", "-5"), "1:15", "memory_bytes is '-5'; it must be a number"),
        (LEAST.replace("25769803776", "[1]"), "1:15", "memory_bytes is a list; it must be a number"),
        (LEAST.replace("25769803776", ""), "1:14", "memory_bytes is ''; it must be a number"),
        (LEAST.replace("25769803776", "9" * 5000), "1:15", "it must be a number"),
        (LEAST.replace("25769803776", "25769803776.5"), "1:15", "is 25769803776.5; it must be a whole number"),
        (LEAST.replace("1.008e12", "1e99"), "2:31", "memory_bandwidth_bytes_per_s is 1e99; no GPU has that"),
        (LEAST.replace("1.008e12", "1.008"), "2:31", "it must be a whole number"),
        (LEAST.replace("1.008e12", "{sauce: 5}"), "2:32", "has no key 'sauce'; did you mean 'source' or 'value'?"),
        (LEAST.replace("1.008e12", "{value: [1]}"), "2:39", "value must be a string"),
        (LEAST.replace("1.008e12", "{value: 1e12, estimate: maybe}"), "2:55", "estimate is 'maybe'; it must be true"),
        (
            f"sources: {{sheet: The data sheet}}\n{LEAST}power_w: {{value: 5, source: shet}}\n", "5:29",
            "unknown source 'shet'; did you mean 'sheet'? (allowed: sheet)",
        ),
        (f"{LEAST}sources: sheet\n", "4:10", "sources must give each short word a text"),
        (f"{LEAST}aliases: h100\n", "4:10", "aliases must be a list of names"),
        (f"{LEAST}year: soon\n", "4:7", "year is 'soon'; it must be such as 2022"),
        (f"{LEAST}compute_capability: 89\n", "4:21", "compute_capability is '89'; it must be such as 8.6"),
        (f"{LEAST}name: [a]\n", "4:7", "name must be a string"),
        (f"{LEAST}usable_memory_bytes: 25769803777\n", "4:22", "usable_memory_bytes is 25,769,803,777, more than the"),
        (f"{LEAST}memory_bytes: 5\n", "4:1", "the key 'memory_bytes' stands here twice"),
        (f"{LEAST}power_w: &x 5\n", "4:10", "an anchor is not part of a hardware file"),
        ("", "1:1", "the file is empty; a hardware file needs at least memory_bytes, memory_bandwidth_bytes_per_s and"),
        ("- 5\n", "1:1", "a hardware file is a mapping: 'memory_bytes: ', 'memory_bandwidth_bytes_per_s: ', 'fp32_"),
        (f"{LEAST}power_w: 'x\n", "5:1", "this is not YAML: a quote is not closed"),
    ],
)  # fmt: skip
def test_a_mistake_and_its_place(tmp_path, monkeypatch, text, place, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_gpu("mine.yaml")
    lines = str(caught.value).splitlines()
    assert any(line.startswith(f"mine.yaml:{place}: ") and message in line for line in lines), lines


def test_every_mistake_at_once(tmp_path):
    with pytest.raises(SpecError) as caught:
        loaded(tmp_path, f"memory: 24\npower: 450\n{LEAST}l2_cache_bytes: 6 MB\n")
    assert [where.line for where, _, _ in caught.value.problems] == [1, 2, 6]


def test_an_unknown_gpu():
    with pytest.raises(UsageError, match=r"unknown GPU 'rtx4099'; did you mean 'rtx4090'.*\(there are a10, a100-40, "):
        load_gpu("rtx4099")
    for name in ("", "yaml", "gpu", "../data/t4", "x" * 10_000):
        with pytest.raises(UsageError, match="unknown GPU"):
            load_gpu(name)


def test_a_word_of_a_file_is_no_name():
    with pytest.raises(UsageError):
        load_gpu("datasheet")


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(SourceError, match=r"none\.yaml: No such file"):
        load_gpu(str(tmp_path / "none.yaml"))
    (tmp_path / "bytes.yml").write_bytes(b"\xff\xfe")
    with pytest.raises(SourceError, match="not UTF-8"):
        load_gpu(str(tmp_path / "bytes.yml"))
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(ConvcostError, match=r"folder\.yaml"):
        load_gpu(str(tmp_path / "folder.yaml"))


def test_loading_takes_less_than_five_milliseconds():
    """The best of five fresh interpreters, imports left out; an alias is found without reading every file."""
    code = (
        "import time; from convcost.hardware import load_gpu; start = time.perf_counter(); load_gpu('orin'); "
        "print(time.perf_counter() - start)"
    )
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for _ in range(5)
    ]
    assert min(times) < 0.005


def test_a_device_finds_its_file():
    """By what drivers print, to the letter: NVIDIA H100 PCIe and NVIDIA H100 80GB HBM3 have other rates."""
    assert gpu_of_device("NVIDIA H200").id == "h200"
    assert gpu_of_device("NVIDIA H100 80GB HBM3").id == "h100-sxm"
    assert gpu_of_device("NVIDIA H100 PCIe").id == "h100-pcie"
    assert gpu_of_device("NVIDIA GeForce RTX 4090 Laptop GPU") is None
    names = [name for gpu in shipped_gpus() for name in gpu.devices]
    assert len(set(names)) == len(names)
    assert all(gpu.devices for gpu in shipped_gpus())
