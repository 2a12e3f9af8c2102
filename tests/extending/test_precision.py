"""A precision is one row: a made-up float8, stored or in mixed precision, is known everywhere once it is registered."""

from __future__ import annotations

import json
from unittest.mock import patch

import pytest
from click.testing import CliRunner

import convcost
from convcost import UsageError
from convcost.cli.group import cli
from convcost.precision import PRECISIONS, Precision, register_precision
from support.networks import chain

FLOAT8, MIXED = "float8", "amp-fp8"
CONV = "conv2d: {out_channels: 32, kernel_size: 3, padding: 1}"
PARAMS, INPUTS, OUTPUTS = 32 * 16 * 9 + 32, 16 * 8 * 8, 32 * 8 * 8
MACS = OUTPUTS * 16 * 9
FP8, FP32, BANDWIDTH = 1979e12, 67e12, 4.8e12  # NVIDIA's datasheet of the H200; dense

LINEAR = "name: net\ninput: [10]\nlayers:\n  - linear: 5\n"
ELEMENTS = 10 + 5 + (10 * 5 + 5)


@pytest.fixture(autouse=True)
def registered():
    """Two precisions from outside the package; both are gone after each test."""
    with patch.dict(PRECISIONS):
        register_precision(Precision(FLOAT8, stored="float8_e4m3fn", compute="float8_e4m3fn"))
        register_precision(Precision(MIXED, stored="float32", compute="float8_e4m3fn"))
        yield


@pytest.fixture
def net():
    return chain((16, 8, 8), CONV)


def shell(*arguments):
    result = CliRunner().invoke(cli, arguments)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def test_analyze_stores_one_byte_for_each_scalar(net):
    totals = convcost.analyze(net, dtype=FLOAT8).totals
    assert (totals.params, totals.macs) == (PARAMS, MACS)
    assert (totals.weight_bytes, totals.activation_bytes, totals.input_bytes) == (PARAMS, OUTPUTS, INPUTS)
    assert totals.bytes_read == PARAMS + INPUTS


def test_in_mixed_precision_weights_stay_float32(net):
    """The convolution sees its input and gives its output in float8; a softmax goes back to float32."""
    mixed = chain((16, 8, 8), CONV, "softmax: 1")
    conv, softmax = convcost.analyze(mixed, dtype=MIXED).layers
    assert conv.cost.weight_bytes == 4 * PARAMS
    assert [tensor.dtype for tensor in (*conv.cost.inputs, *conv.cost.outputs)] == ["float8_e4m3fn"] * 2
    assert [tensor.dtype for tensor in (*softmax.cost.inputs, *softmax.cost.outputs)] == ["float32"] * 2
    assert (conv.activation_bytes, softmax.activation_bytes) == (OUTPUTS, 4 * OUTPUTS)


def test_the_json_names_it(net):
    found = json.loads(convcost.analyze(net, dtype=FLOAT8).to_json())
    assert found["settings"]["dtype"] == FLOAT8
    assert found["layers"][0]["output_dtypes"] == ["float8_e4m3fn"]


def test_memory(net):
    assert convcost.memory(net, dtype=FLOAT8, mode="inference").peak_bytes == PARAMS + INPUTS + OUTPUTS
    step = convcost.memory(chain((10,), "linear: 5"), dtype=FLOAT8, mode="train", optimizer="adamw")
    assert (step.weight_bytes, step.gradient_bytes, step.optimizer_bytes) == (55, 55, 2 * 55)


def test_fit():
    """Activations are nearly all of the memory, and a fourth as large as in float32."""
    net = chain((64, 64, 64), "conv2d: {out_channels: 64, kernel_size: 1}")
    single, eight = (convcost.fit(net, "t4", dtype).batch for dtype in ("float32", FLOAT8))
    assert eight == pytest.approx(4 * single, rel=0.01)


def test_the_roofline_has_the_rate_of_the_hardware_file(net):
    (conv,) = convcost.roofline(net, "h200", dtype=FLOAT8).layers
    assert conv.compute_ns == pytest.approx(1e9 * max(2 * MACS / FP8, OUTPUTS / FP32), rel=1e-12)
    assert conv.memory_ns == pytest.approx(1e9 * (PARAMS + INPUTS + OUTPUTS) / BANDWIDTH, rel=1e-12)
    mixed = convcost.roofline(net, "h200", dtype=MIXED)
    assert mixed.ceilings.conv_flops_per_s == FP8
    assert mixed.ceilings.others["float32"].matmul_flops_per_s == FP32


def test_a_gpu_without_the_rate_says_so(net):
    wanted = (
        r"Tesla T4 has no rate of float8_e4m3fn, fp8_tensor_fp32_accumulate_flops_per_s; "
        r"the file of Tesla T4 has rates for float32, float16, amp-fp16$"
    )
    for dtype in (FLOAT8, MIXED):
        with pytest.raises(UsageError, match=wanted):
            convcost.roofline(net, "t4", dtype=dtype)
    with pytest.raises(UsageError, match=r"A100.* has rates for float32, float16, bfloat16, amp-bf16, amp-fp16$"):
        convcost.roofline(net, "a100-80", dtype=FLOAT8)
    with pytest.raises(UsageError, match=r"no rate of float64; the file of H200 SXM has rates .*, float8, amp-fp8$"):
        convcost.roofline(net, "h200", dtype="float64")


def test_tf32_means_nothing_in_it(net):
    with pytest.raises(UsageError, match="TF32 is a mode of float32 and has no effect with float8"):
        convcost.roofline(net, "h200", dtype=FLOAT8, tf32=True)


def test_compare(net):
    found = json.loads(convcost.compare([net], dtype=FLOAT8).to_json())["networks"][0]
    assert found["settings"]["dtype"] == FLOAT8
    assert found["figures"]["weight_file_bytes"] == PARAMS
    assert found["figures"]["peak_memory"] == PARAMS + INPUTS + OUTPUTS


@pytest.mark.parametrize("command", ["analyze", "explain", "compare", "fit", "report", "validate", "profile"])
def test_help_lists_it(command):
    words = "".join(shell(command, "--help").output.split())
    assert "amp-fp16|float8|amp-fp8]" in words or "amp-fp16,float8,amp-fp8;" in words


def test_the_command_line(tmp_path):
    (tmp_path / "net.yaml").write_text(LINEAR)
    source = str(tmp_path / "net.yaml")
    found = json.loads(shell("analyze", source, "--dtype", FLOAT8, "--memory", "-f", "json").output)
    assert found["settings"]["dtype"] == FLOAT8
    assert found["totals"]["weight_bytes"] == 55
    assert f"10, {FLOAT8}, eval." in shell("analyze", source, "--dtype", FLOAT8).output
    assert f"Input 1x10, {FLOAT8}, eval." in shell("compare", source, source, "--dtype", FLOAT8).output
    assert json.loads(shell("fit", source, "--gpu", "t4", "--dtype", MIXED, "-f", "json").output)["fits"][0]["fits"]
    wrong = shell("analyze", source, "--dtype", "float9")
    assert wrong.exit_code == 2
    assert "'float9' is not one of 'float32', " in wrong.output
    assert "did you mean 'float8'" in wrong.output


def test_a_budget(tmp_path, monkeypatch):
    """Ten inputs, five outputs and 55 parameters: 280 bytes in float32, 70 in float8."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.yaml").write_text(LINEAR)
    assert ELEMENTS == 70
    for limit, status in ((70, 0), (69, 1)):
        (tmp_path / "convcost.toml").write_text(
            f'lock = false\nsources = [{{source = "net.yaml", dtype = "{FLOAT8}"}}]\n[budgets]\npeak_memory = {limit}\n'
        )
        assert shell("check").exit_code == status
    (tmp_path / "convcost.toml").write_text('lock = false\nsources = [{source = "net.yaml", dtype = "float9"}]\n')
    assert "expected float32 or float16" in shell("check").output
    assert FLOAT8 in shell("check").output


@pytest.mark.parametrize("dtype", [FLOAT8, MIXED])
def test_pytorch_refuses_to_run_in_it(dtype):
    pytest.importorskip("torch")
    wanted = f"PyTorch's layers do not support float8_e4m3fn, so no network can run in {dtype}; "
    for run in (
        lambda: convcost.validate("lenet5", dtype=dtype),
        lambda: convcost.validate("lenet5", "cpu", dtype=dtype),
        lambda: convcost.profile("lenet5", "cpu", dtype=dtype),
    ):
        with pytest.raises(UsageError, match=wanted):
            run()


def test_a_precision_under_another_name_runs():
    """What PyTorch computes in is a matter of the dtypes, not of the name."""
    pytest.importorskip("torch")
    register_precision(Precision("half", "float16", "float16"))
    found = convcost.validate("lenet5", dtype="half")
    assert found.ok
    assert found.dtype == "half"


def test_a_name_is_taken_once():
    with pytest.raises(TypeError, match="'float8' is registered already"):
        register_precision(Precision(FLOAT8, "float16", "float16"))
