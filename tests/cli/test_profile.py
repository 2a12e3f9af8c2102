"""The command ``convcost profile``, and saved profiles as sources of the others."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import convcost
from convcost.errors import MissingExtraError
from convcost.profiles import load_profile
from convcost.render.documents.profile import profile_document
from support.shown import ANSI

RECORDED = Path(__file__).parent.parent / "profiles" / "lenet5-cpu-schema1.json"
needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")


@pytest.fixture
def quick(monkeypatch):
    """Ceilings of a moment, and one thread: what is measured here is not what it says."""
    torch = pytest.importorskip("torch")
    from convcost.measure.profiling import ceilings
    from convcost.measure.profiling.timing import Limits

    monkeypatch.setattr(ceilings, "SIDE", {"cpu": 64})
    monkeypatch.setattr(ceilings, "CONVOLVED", {"cpu": (1, 4, 8)})
    monkeypatch.setattr(ceilings, "COPIED_BYTES", {"cpu": 1 << 16})
    monkeypatch.setattr(ceilings, "LIMITS", Limits(seconds=0.02, warmup_seconds=0.0))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A saved profile in an empty folder."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(RECORDED, tmp_path / "run.json")
    return "run.json"


# --- measuring


@needs_torch
def test_a_table(run, quick):
    result = run("profile", "lenet5", "--device", "cpu", "--batch", "1,4", "--seconds", "0.1")
    assert (result.status, result.err) == (0, "")
    first = result.out.splitlines()[0]
    assert first.startswith("LeNet-5 (1998) on ")
    assert re.search(r" \(CPU, 1 threads\): [0-9.,]+ samples per second at batch [14], float32\.$", first)
    assert "on the CPU with a monotonic clock" in result.out
    assert "CUDA" not in result.out
    for layer in ("C1", "scaled_tanh_1", "output"):
        assert f"\n{layer} " in result.out
    assert "Layers at batch 4, float32" in result.out
    assert "Layers at batch 1, float32" not in result.out
    assert "Convolutions: 83.0% of the parameters, 96.7% of the MACs, " in result.out


@needs_torch
@pytest.mark.parametrize(
    "arguments", [["--train", "--optimizer", "adamw"], ["--layers", "both", "--dtype", "float32,bfloat16"]]
)
def test_a_table_fits_80_columns(run, quick, monkeypatch, arguments):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = run("profile", "lenet5", "--device", "cpu", "--seconds", "0.05", "--units", "si", *arguments)
    assert result.status == 0, result.err
    assert "\x1b[" in result.out
    assert max(len(ANSI.sub("", line)) for line in result.out.splitlines()) <= 80


@needs_torch
def test_training_shows_its_phases(run, quick):
    result = run("profile", "lenet5", "--device", "cpu", "--train", "--seconds", "0.1")
    assert result.status == 0
    assert "Training step, batch" in result.out
    assert all(name in result.out for name in ("Forward", "Backward", "Optimizer"))
    assert " samples per second at batch 1, float32, training with sgd." in result.out


@needs_torch
def test_json_and_saving(run, quick, tmp_path):
    result = run(
        "profile", "lenet5", "--device", "cpu", "--seconds", "0.1", "--save", str(tmp_path / "runs"), "-f", "json"
    )
    assert result.status == 0
    (file,) = (tmp_path / "runs").iterdir()
    assert result.err == f"saved: {file}\n"
    assert file.name.startswith("lenet5-")
    assert json.loads(result.out) == json.loads(file.read_text())
    assert load_profile(file).measured


@needs_torch
def test_csv_has_every_layer(run, quick):
    result = run("profile", "lenet5", "--device", "cpu", "--batch", "1,2", "--seconds", "0.1", "-f", "csv")
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert len(rows) == 2 * (1 + 12)
    report = convcost.analyze(convcost.load("lenet5"), batch=2)
    own = [row for row in rows if row["batch"] == "2" and row["op"] != "whole"]
    assert [int(row["macs"]) for row in own] == [layer.macs for layer in report.layers]
    assert all(float(row["time_ns"]) >= 0 for row in own)


def test_csv_has_settings_that_failed_and_flops_of_the_whole_step(run, recorded):
    found = json.loads(Path(recorded).read_text())
    found["runs"][0].update(status="out of memory", phases={}, layers=[])
    found["runs"][1]["setting"].update(mode="train", optimizer="sgd")
    found["runs"][1]["static"]["step_flops"] = 3 * found["runs"][1]["static"]["flops"]
    Path(recorded).write_text(json.dumps(found))
    rows = list(csv.DictReader(io.StringIO(run("profile", recorded, "--show", "-f", "csv").out)))
    first, second = (row for row in rows if row["op"] == "whole")
    assert (first["batch"], first["status"], first["time_ns"]) == ("1", "out of memory", "")
    assert (second["batch"], second["status"]) == ("8", "measured")
    assert int(second["flops"]) == 3 * found["runs"][1]["static"]["flops"]


def test_only_nothing_is_0_percent_of_a_ceiling(run, recorded):
    found = json.loads(Path(recorded).read_text())
    parts = (0.0001, 0.123, 0.9999, 3.2)
    for layer, part in zip(found["runs"][1]["layers"], parts, strict=False):
        layer["in_place_ns"] = [10**9]
        layer["bound_ns"] = part * 10**9
    found["runs"][1]["mark_ns"] = [0]
    Path(recorded).write_text(json.dumps(found))
    out = run("profile", recorded, "--show").out
    for shown in ("<0.1%", "12.3%", "100.0%", "320.0%"):
        assert f" {shown} " in out


@needs_torch
def test_ctrl_c_keeps_what_is_done(run, quick, monkeypatch, tmp_path):
    from convcost.measure.profiling.passes import Passes

    original = Passes.forward

    def forward(self):
        if self.setting.batch == 2:
            raise KeyboardInterrupt
        return original(self)

    monkeypatch.setattr(Passes, "forward", forward)
    result = run(
        "profile", "lenet5", "--device", "cpu", "--batch", "1,2,4", "--seconds", "0.1", "--save", str(tmp_path)
    )
    assert result.status == 130
    assert "interrupted: the remaining settings were not measured" in result.out
    (file,) = tmp_path.iterdir()
    found = load_profile(file)
    assert found.interrupted
    assert [r.setting.batch for r in found.runs] == [1]


@needs_torch
def test_ctrl_c_before_anything_is_measured_has_the_same_status(run, monkeypatch, tmp_path):
    from convcost.measure.profiling import profile

    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(profile, "ceilings", stopped)
    result = run("profile", "lenet5", "--device", "cpu", "--save", str(tmp_path))
    assert (result.status, result.out) == (130, "")
    assert result.err == "convcost: interrupted before anything was measured\n"
    assert not list(tmp_path.iterdir())


@needs_torch
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--save", "file/sub"], "file: Not a directory"),
        (["-o", "none/out.txt"], "none: No such file or directory"),
    ],
)
def test_where_nothing_can_be_written_nothing_is_measured(run, monkeypatch, tmp_path, arguments, words):
    from convcost.measure.profiling import profile

    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    monkeypatch.setattr(profile, "ceilings", lambda *arguments: pytest.fail("it was measured"))
    result = run("profile", "lenet5", "--device", "cpu", *arguments)
    assert result.status == 2
    assert result.err.startswith(f"convcost: error: cannot write into {tmp_path}")
    assert words in result.err


@needs_torch
def test_no_profile_takes_the_place_of_another(run, quick, monkeypatch, tmp_path):
    from convcost.profiles import files

    monkeypatch.setattr(files, "file_name", lambda *arguments: "run.json")
    for seconds in ("0.1", "0.2"):
        result = run(
            "profile", "lenet5", "--device", "cpu", "--seconds", seconds, "--save", str(tmp_path), "-o", os.devnull
        )
        assert result.status == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run-2.json", "run.json"]


@needs_torch
def test_nothing_measured_is_an_error_of_its_own(run, quick, monkeypatch):
    from convcost.measure.profiling.passes import Passes

    def forward(self):
        raise RuntimeError("cannot allocate memory")

    monkeypatch.setattr(Passes, "forward", forward)
    result = run("profile", "lenet5", "--device", "cpu", "--seconds", "0.1")
    assert result.status == 1
    assert "nothing was measured" in result.out
    assert "warning: batch 1, float32: out of memory. RuntimeError: cannot allocate memory" in result.out


@needs_torch
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--device", "cuda:99"], "--device cpu runs the same protocol on the CPU"),
        (["--device", "meta"], "nothing runs on meta"),
        (["--device", "cpu", "--batch", "0"], "batch is 0; it must be 1 or more"),
        (["--device", "cpu", "--batch", "1,,2"], "use 32, or 1,8,64, or auto"),
        (["--device", "cpu", "--dtype", "float33"], "did you mean 'float32'"),
        (["--device", "cpu", "--execution", "jit"], "not one of 'eager', 'compile', 'cuda_graph'"),
        (["--device", "cpu", "--optimizer", "sgd"], "give --train too"),
        (["--device", "cpu", "--train", "--optimizer", "adamv"], "did you mean"),
        (["--device", "cpu", "--seconds", "0"], "0"),
        (["--device", "cpu", "--tf32"], "TF32 is a mode of CUDA devices"),
    ],
)
def test_wrong_use(run, arguments, words):
    result = run("profile", "lenet5", *arguments)
    assert result.status == 2
    assert words in result.err
    assert "Traceback" not in result.err


def test_without_torch(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "convcost.measure.profiling.profile", raising=False)
    result = run("profile", "lenet5")
    assert result.status == 2
    assert 'pip install "convcost[torch]"' in result.err


def test_the_api_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(convcost.__dict__, "profile", raising=False)
    monkeypatch.delitem(sys.modules, "convcost.measure.profiling.profile", raising=False)
    with pytest.raises(MissingExtraError, match=r"convcost\.profile needs torch"):
        _ = convcost.profile


# --- saved profiles as sources, without torch


def test_a_saved_profile_is_shown_from_its_file(run, recorded):
    """Every number of the table is that of the file: here the middle of its samples."""
    found = load_profile(recorded)
    shown = profile_document(found)
    assert shown.parts[0].text.startswith("LeNet-5 (1998) on ")
    sheet = shown.parts[1]
    medians = [line.cells[1] for line in sheet.lines]
    for value, each in zip(medians, found.runs, strict=True):
        ordered = sorted(each.phases["forward"])
        middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
        assert value == middle


def test_it_analyzes(run, recorded):
    mine = json.loads(run("analyze", recorded, "--format", "json").out)
    shipped = json.loads(run("analyze", "lenet5", "--format", "json").out)
    assert mine["totals"] == shipped["totals"]


def test_it_compares(run, recorded):
    shutil.copy(recorded, "again.json")
    result = run("compare", recorded, "again.json", "vgg16")
    assert result.status == 0
    assert "lenet5 #1" in result.out
    assert "Times of the same setting" in result.out
    assert "Unknown for vgg16: Latency, Per second (no saved profile of vgg16 with times" in result.out
    found = json.loads(run("compare", recorded, "vgg16", "-f", "json").out)
    own = load_profile(recorded).runs
    figures = found["networks"][0]["figures"]
    assert figures["latency_ns"] == round(own[0].time.median_ns)
    assert figures["samples_per_s"] == max(each.samples_per_s for each in own)
    assert found["networks"][1]["figures"]["latency_ns"] is None
    assert "latency_ns" not in json.loads(run("compare", "lenet5", "vgg16", "-f", "json").out)["networks"][0]["figures"]


def test_it_sorts_by_what_was_measured(run, recorded):
    assert run("compare", recorded, "vgg16", "--sort", "samples_per_s").status == 0
    result = run("compare", "lenet5", "vgg16", "--sort", "latency_ns")
    assert result.status == 2
    assert "latency_ns needs a saved profile" in result.err


def test_it_makes_a_page(run, recorded):
    assert run("report", recorded, "-o", "page.html").status == 0
    page = Path("page.html").read_text(encoding="utf-8")
    assert "Layers at batch 8, float32" in page
    assert 'data-chart="roofline"' in page
    assert "convolution, measured" in page
    shutil.copy(recorded, "again.json")
    assert run("report", recorded, "again.json", "-o", "two.html").status == 0
    both = Path("two.html").read_text(encoding="utf-8")
    assert "lenet5 #2, float32, " in both
    assert 'data-chart="throughput"' in both
    assert run("compare", recorded, "again.json", "-f", "html", "-o", "three.html").status == 0
    assert 'data-chart="throughput"' in Path("three.html").read_text(encoding="utf-8")
    for page in (both, Path("three.html").read_text(encoding="utf-8")):
        assert "Times of the same setting" in page
        assert "lenet5 #2: measured on " in page
    shown = run("report", recorded, "-f", "markdown").out
    assert "## Measured" in shown
    assert "### Time by group at batch 8, float32" in shown


@pytest.mark.parametrize(
    "arguments",
    [["compare", "{}", "lenet5"], ["report", "{}", "-o", "page.html"], ["report", "{}", "lenet5", "-o", "page.html"],
     ["check"]],
)  # fmt: skip
def test_its_file_is_opened_once(run, recorded, monkeypatch, arguments):
    Path("convcost.toml").write_text(
        f'sources = ["{recorded}", {{source = "{recorded}", name = "again", profile = "{recorded}"}}]\n'
        'lock = false\n[budgets]\nlatency_ns = "1s"\nsamples_per_s = 1\n'
    )
    opened = []

    def counted(file, *more, **options):
        opened.append(str(file))
        return open(file, *more, **options)

    for module in ("profiles.files", "sources.load"):
        monkeypatch.setattr(f"convcost.{module}.open", counted, raising=False)
    result = run(*[word.format(recorded) for word in arguments])
    assert result.status == 0, result.err
    assert opened.count(recorded) == 1


def check(run, text):
    Path("convcost.toml").write_text(text, encoding="utf-8")
    return run("check")


def test_budgets_of_time(run, recorded):
    latency = load_profile(recorded).runs[0].time.median_ns
    wide, tight = f"{latency * 2 / 1e6:.3f}ms", f"{latency / 2 / 1e3:.0f}us"
    fine = f'sources = ["{recorded}"]\nlock = false\n[budgets]\nlatency_ns = "{wide}"\nsamples_per_s = 1\n'
    assert check(run, fine).status == 0
    result = check(run, fine.replace(wide, tight))
    assert result.status == 1
    assert "convcost.toml:4:1:" in result.out
    assert f"latency_ns is {round(latency):,} (" in result.out
    assert f"expected at most {tight}" in result.out
    result = check(run, fine.replace("= 1\n", '= "1T"\n'))
    assert result.status == 1
    assert "expected at least 1T" in result.out
    # Between two whole numbers: not cut to the lower one, which would keep to an upper bound that it breaks.
    best = max(run.samples_per_s for run in load_profile(recorded).runs)
    whole = int(best)
    assert best > whole
    result = check(run, fine.replace("= 1\n", f'= "<= {whole}"\n'))
    assert result.status == 1
    assert f"samples_per_s is {best:,.2f}, expected at most {whole}" in result.out
    assert check(run, fine.replace("= 1\n", f'= "<= {whole + 1}"\n')).status == 0


def test_a_source_names_its_profile(run, recorded):
    text = 'sources = [{source = "lenet5", profile = "run.json"%s}]\nlock = false\n[budgets]\nlatency_ns = "10s"\n'
    assert check(run, text % "").status == 0
    assert check(run, text % ", batch = 8").status == 0
    result = check(run, text % ", batch = 3")
    assert result.status == 2
    assert "no times of batch 3; it has batch 1, float32; batch 8, float32" in result.out
    result = check(run, text.replace("lenet5", "alexnet") % "")
    assert result.status == 2
    assert "the profile is of another network, with 60,000 parameters" in result.out
    result = check(run, text.replace("run.json", "none.json") % "")
    assert result.status == 2
    assert "none.json: No such file" in result.out
    result = check(run, text.replace(', profile = "run.json"%s', ""))
    assert result.status == 2
    assert "names no profile; save one with convcost profile lenet5 --save runs" in result.out


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("soon", "not a figure; write one such as '5ms'"),
        ("5MB", "the suffix of a time is ns, us, ms, s or none"),
        ("-1", "not a figure"),
    ],
)
def test_wrong_times(run, recorded, written, words):
    result = check(run, f'sources = ["{recorded}"]\nlock = false\n[budgets]\nlatency_ns = "{written}"\n')
    assert result.status == 2
    assert words in result.out


def test_profiles_that_are_broken(run, recorded):
    Path("cut.json").write_text(Path(recorded).read_text()[:3000])
    for arguments in (["compare", "cut.json", recorded], ["report", "cut.json", "-o", "x.html"]):
        result = run(*arguments)
        assert result.status == 2
        assert "cut.json" in result.err
        assert "Traceback" not in result.err


def test_a_saved_profile_is_shown_again(run, recorded, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    result = run("profile", recorded, "--show")
    assert result.status == 0
    assert "Layers at batch 8, float32" in result.out
    assert "Layers at batch 1, float32" in run("profile", recorded, "--show", "--verbose").out
    found = json.loads(run("profile", recorded, "--show", "-f", "json").out)
    assert found["runs"] == json.loads(Path(recorded).read_text())["runs"]
    result = run("profile", "vgg16", "--show")
    assert result.status == 2
    assert "vgg16 is no saved profile" in result.err
    result = run("profile", "none.json", "--show")
    assert (result.status, result.err) == (2, "convcost: error: there is no file none.json\n")


@pytest.mark.parametrize("options", [["--batch", "2"], ["--save", "x"], ["--tf32"], ["--train"]])
def test_showing_measures_nothing(run, recorded, options):
    result = run("profile", recorded, "--show", *options)
    assert result.status == 2
    assert f"{options[0]} is about measuring, and --show measures nothing" in result.err


def test_a_profile_without_a_time_has_no_latency(run, recorded):
    found = json.loads(Path(recorded).read_text())
    found["runs"] = []
    Path("none.json").write_text(json.dumps(found))
    result = run("compare", recorded, "none.json")
    assert "no saved profile of lenet5 #2 with times)." in " ".join(result.out.split())
