"""The command ``convcost validate``."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from importlib.util import find_spec

import pytest
from click.testing import CliRunner

import convcost
from convcost.cli.group import cli
from convcost.errors import MissingExtraError, SourceError
from convcost.measure.validation.results import Check, Difference, Explained, Validation
from convcost.ops import REGISTRY
from convcost.render import render as written
from convcost.render.documents.validation import validation_document
from convcost.sources import shipped
from support.shown import ANSI, Terminal

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")

SPEC = """name: small
input: [3, 16, 16]
layers:
  - {conv2d: {out_channels: 8, kernel_size: 3}, name: first}
  - batch_norm2d
  - {max_pool2d: 2, name: pool}
"""


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return str(path)


# --- running


@needs_torch
def test_one(run, spec):
    result = run("validate", spec)
    assert (result.status, result.err) == (0, "")
    assert "small on meta, 1x3x16x16, float32, eval: 3 layers; torch " in result.out
    assert "Nothing differs without an explanation." in result.out
    rows = {" ".join(line.split()[:2]): line for line in result.out.splitlines()}
    assert "agrees" in rows["output shapes"]
    assert rows["params PyTorch"].split()[-2:] == [str(8 * 27 + 8 + 2 * 8)] * 2
    assert f"{8 * 14 * 14 * 27:,}" in rows["macs torch"]


@needs_torch
def test_several(run, spec):
    result = run("validate", spec, "lenet5", spec)
    assert result.status == 0
    assert "2 of 2 networks agree with PyTorch in every layer" in result.out
    rows = [line.split() for line in result.out.splitlines()]
    assert ["lenet5", "12", "ok", "ok", "ok", "ok", "(1)"] in [row[:7] for row in rows]


@needs_torch
def test_json(run, spec):
    result = run("validate", spec, "--format", "json", "--batch", "2", "--device", "cpu")
    found = json.loads(result.out)
    assert (found["schema"], found["ok"]) == (1, True)
    (validation,) = found["validations"]
    assert validation["input_shapes"] == {"input": [2, 3, 16, 16]}
    assert validation["device"] == "cpu"
    params = next(check for check in validation["checks"] if check["quantity"] == "params")
    assert (params["ours"], params["theirs"], params["status"]) == (240, 240, "agrees")


@needs_torch
def test_a_planted_error_exits_with_1(run, spec, monkeypatch):
    right = REGISTRY["conv2d"].macs
    monkeypatch.setattr(REGISTRY["conv2d"], "macs", lambda self, *args: right(self, *args) + 1)
    result = run("validate", spec)
    assert result.status == 1
    macs = 8 * 14 * 14 * 27
    text = " ".join(result.out.split())
    assert f"small, layer first (conv2d): macs {macs + 1:,}, torch flop counter {macs:,}" in text
    assert "Something differs." in text
    several = run("validate", spec, "mnist_mlp", "--format", "json")
    assert several.status == 1
    assert [found["ok"] for found in json.loads(several.out)["validations"]] == [False, True]


@needs_torch
def test_a_network_that_fails_stops_only_itself(run, spec):
    result = run("validate", "lenet6", spec)
    assert result.status == 2
    assert "1 of 2 networks agree with PyTorch in every layer" in result.out
    assert "; 1 could not be validated." in result.out
    assert "lenet6: there is no file and no architecture called 'lenet6'; did you mean 'lenet5'" in result.out


@needs_torch
def test_all(run, monkeypatch):
    monkeypatch.setattr(shipped, "shipped", lambda: iter([("lenet5", "", None), ("mnist_mlp", "", None)]))
    result = run("validate", "--all")
    assert result.status == 0
    assert "2 of 2 networks agree" in result.out
    assert result.err == "", "a bar is for terminals"


@needs_torch
def test_the_bar_is_on_standard_error_of_a_terminal(spec, monkeypatch):
    from convcost.cli import validate as command

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    with command._progress(2) as advance:
        advance("resnet50")
        advance("vgg16")
    assert "1/2" in ANSI.sub("", terminal.getvalue())
    monkeypatch.setattr(sys, "stderr", silent := Terminal())
    with command._progress(1) as advance:
        advance("resnet50")
    assert silent.getvalue() == ""


@needs_torch
def test_to_a_file(run, spec, tmp_path):
    target = tmp_path / "validation.md"
    result = run("validate", spec, "--format", "markdown", "--output", str(target))
    assert (result.status, result.out) == (0, "")
    assert "| output shapes | PyTorch | agrees |" in target.read_text(encoding="utf-8")


@needs_torch
def test_a_module_of_ones_own(run, tmp_path, monkeypatch):
    (tmp_path / "mynet.py").write_text("from torch import nn\nnet = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    result = run("validate", "mynet:net", "--input", "3x8x8")
    assert result.status == 0
    assert "your module" in result.out


# --- wrong use


@needs_torch
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "validate needs a SOURCE, or --all"),
        (["--all", "vgg16"], "--all stands for every architecture that ships; leave the names out"),
        (["vgg61"], "no architecture called 'vgg61'; did you mean 'vgg"),
        (["vgg16", "--device", "gpu"], "unknown device 'gpu'; did you mean 'cpu'"),
        (["vgg16", "--device", "cpu", "--batch", "100000"], "TiB on cpu, where"),
        (["vgg16", "--dtype", "amp-bf16"], "amp-bf16 is autocast, which has no effect on meta"),
        (["vgg16", "--input", "3x10x10"], "layer 'pool4'"),
        (["vgg16", "--input", "3x224"], "has 3 dimensions (3x224x224), not 2 (3x224)"),
        (["vgg16", "--format", "xml"], "'xml' is not one of"),
    ],
)
def test_wrong_use_exits_with_2(run, arguments, message):
    result = run("validate", *arguments)
    assert (result.status, result.out) == (2, "")
    assert message in " ".join(result.err.split())
    assert "Traceback" not in result.err


@needs_torch
def test_no_cuda(run):
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    result = run("validate", "lenet5", "--device", "cuda")
    assert (result.status, result.out) == (2, "")
    assert "CUDA" in result.err


def test_click_s_own_runner():
    wrong = CliRunner().invoke(cli, ["validate", "lenet6"])
    assert isinstance(wrong.exception, (SourceError, MissingExtraError))
    assert CliRunner().invoke(cli, ["validate", "--help"]).exit_code == 0


def test_help_needs_no_torch():
    code = (
        "import sys\nsys.modules['torch'] = None\nfrom convcost.cli import main\n"
        "sys.argv = ['convcost', 'validate', {!r}]\nmain()"
    )
    for argument, status, text in (
        ("--help", 0, "Check the figures"),
        ("lenet5", 2, 'convcost: error: convcost validate runs PyTorch, and torch is not installed: '
                      'pip install "convcost[torch]"\n'),
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", code.format(argument)], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == status
        assert text in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_the_python_side_without_torch():
    code = (
        "import sys\nsys.modules['torch'] = None\nimport convcost\n"
        "for name in ('build', 'validate'):\n"
        "    try:\n        getattr(convcost, name)\n"
        "    except convcost.MissingExtraError as error:\n        print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.count('needs torch, which is not installed: pip install "convcost[torch]"') == 2


# --- how it is shown


DIFFERENT = tuple(Difference(f"layer{number}", "conv2d", number, number + 1, "a reason") for number in range(7))
MANY = Validation(
    "net", "net.yaml", "meta", "float32", "eval", {"input": (1, 3, 8, 8)}, 7,
    (
        Check("output shapes", "PyTorch", 7, 7),
        Check("macs", "torch flop counter", 7, 0, 21, 28, differences=DIFFERENT),
        Check("macs", "fvcore", 7, 6, 21, 23, explained=(Explained("norm: 2 per element", 1, 0, 2, "layer3"),)),
    ),
    {"torch": "2.13.0"},
)  # fmt: skip
MISSING = Validation("other", "other", "meta", checks=(Check("macs", "fvcore", note="not installed: pip install it"),))
BROKEN = Validation("third", "third", "meta", error="there is no such file")


def shown(validations, format="table", verbose=False, terminal=False):
    out = Terminal() if terminal else io.StringIO()
    written(validation_document(validations, verbose), format, out)
    return ANSI.sub("", out.getvalue())


def test_details_of_disagreements_only():
    text = shown([MANY])
    assert text.count("a reason") == 5
    assert "net: macs, torch flop counter: 2 more; --verbose shows them." in text
    assert shown([MANY], verbose=True).count("a reason") == 7
    assert "net, layer layer0 (conv2d): macs 0, torch flop counter 1 (a reason)" in text
    assert "fvcore: 2 where convcost has 0 in 1 layer, such as layer3: norm: 2 per element." in text


def test_several_have_a_line_each():
    text = shown([MANY, MISSING, BROKEN])
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert rows["net"][:7] == ["7", "ok", "-", "-", "7", "diff", "ok"]
    assert rows["other"][:1] == ["-"]
    assert "third: there is no such file" in text
    assert "1 of 3 networks agree with PyTorch in every layer" in text
    assert "1 could not be validated" in text


def test_a_counter_that_is_missing_is_no_difference():
    assert MISSING.ok
    text = shown([MISSING])
    assert "macs, fvcore: not installed: pip install it." in text
    assert "Nothing differs without an explanation." in text


def test_it_fits_80_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    wide = Check("activation bytes, kept", "torch flop counter, your module", 1000, 999, 10**10, 10**10)
    found = Validation("a_very_long_name_of_a_network_indeed", "x", "meta", layers=1000, checks=(wide, *MANY.checks))
    for validations in ([found], [found, MANY, BROKEN]):
        text = shown(validations, terminal=True)
        assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("format", ["table", "markdown", "csv"])
def test_every_format(format):
    text = shown([MANY, BROKEN], format)
    assert "net" in text


def test_the_record_has_a_version():
    assert convcost.__version__
    plain = MANY.to_dict()
    assert [check["status"] for check in plain["checks"]] == ["agrees", "differs", "explained"]
    assert plain["ok"] is False
