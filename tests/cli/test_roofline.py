"""``analyze --gpu`` and ``report --gpu``: what a user types and reads."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from pathlib import Path

import pytest

import convcost

LEAST = "memory_bytes: 12_884_901_888\nmemory_bandwidth_bytes_per_s: 360e9\nfp32_flops_per_s: 12.7e12\n"


@pytest.fixture
def roofline():
    return convcost.roofline(convcost.load("vgg16"), "h200")


def words(text):
    return " ".join(text.split())


def test_the_usual_output_and_then_the_roofline(run, roofline):
    usual, result = run("analyze", "vgg16"), run("analyze", "vgg16", "--gpu", "h200")
    assert result.status == 0
    assert result.out.startswith(usual.out)
    rest = result.out.removeprefix(usual.out)
    assert "VGG-16 (D) on H200 SXM (batch 1, float32): a forward pass takes at least 197 us" in rest
    assert "This is a bound, not a prediction." in rest
    assert "Fully connected layers: 89.4% of the parameters, 0.8% of the MACs, 52.2% of the bound." in words(rest)
    for text in (*roofline.assumptions, "tf32_tensor_flops_per_s", "https://www.nvidia.com/en-us/data-center/h200/"):
        assert text in words(rest)


def test_it_can_be_read_at_80_columns(shell):
    pytest.importorskip("pty")
    code = "import pty, sys; pty.spawn([sys.executable, '-m', 'convcost', *sys.argv[1:]])"
    for name in ("vgg16", "resnet50", "vit_b_16"):
        done = shell(f'COLUMNS=80 TERM=dumb NO_COLOR=1 {sys.executable} -c "{code}" analyze {name} --gpu h200')
        lines = done.out.replace("\r", "").splitlines()
        start = next(number for number, line in enumerate(lines) if line.startswith("Roofline"))
        assert max(map(len, lines[start:])) <= 80
        assert "FLOPs/B" in lines[start + 1]


def test_blocks_add_up_to_the_total(run):
    """At depth 1, in raw nanoseconds with one decimal: 26 lines are off by half a tenth each at most."""
    out = run("analyze", "vgg16", "--gpu", "h200", "--depth", "1", "--units", "raw").out
    table = out[out.index("\nRoofline") : out.index("The bound by group")]
    rows = [re.findall(r"([0-9,]+\.[0-9]) ns", line) for line in table.splitlines()]
    *lines, total = [[float(cell.replace(",", "")) for cell in row] for row in rows if row]
    assert len(lines) == 26
    for column, whole in enumerate(total):
        assert sum(line[column] for line in lines) == pytest.approx(whole, abs=0.05 * (len(lines) + 1))


def test_json_has_it_under_one_key(run, roofline):
    plain = json.loads(run("analyze", "vgg16", "--gpu", "h200", "-f", "json").out)
    assert plain.pop("roofline") == json.loads(json.dumps(roofline.to_dict()))
    assert plain == json.loads(run("analyze", "vgg16", "-f", "json").out)


def test_csv_gets_columns(run, roofline):
    rows = list(csv.DictReader(io.StringIO(run("analyze", "vgg16", "--gpu", "h200", "-f", "csv").out)))
    assert [row["name"] for row in rows] == [layer.name for layer in roofline.layers]
    assert [float(row["bound_ns"]) for row in rows] == [layer.bound_ns for layer in roofline.layers]
    assert [row["limit"] for row in rows] == [layer.limit for layer in roofline.layers]
    assert [row["intensity"] for row in rows if row["name"] == "flatten_1"] == [""]
    plain = csv.DictReader(io.StringIO(run("analyze", "vgg16", "-f", "csv").out))
    assert "bound_ns" not in plain.fieldnames


def test_layers_are_sorted_by_their_bound(run, roofline):
    largest = sorted(roofline.layers, key=lambda layer: -layer.bound_ns)[:3]
    result = run("analyze", "vgg16", "--gpu", "h200", "--sort", "bound_ns", "--top", "3", "-f", "csv")
    assert [line.split(",")[0] for line in result.out.splitlines()[1:]] == [layer.name for layer in largest]
    table = run("analyze", "vgg16", "--gpu", "h200", "--sort", "bound_ns", "--top", "3").out
    assert [table.count(f"\n{layer.name} ") for layer in largest] == [2, 2, 2]
    by_macs = run("analyze", "vgg16", "--gpu", "h200", "--top", "1").out
    assert by_macs.count("\nconv1_2.conv2d_1 ") == 2


def test_tf32_is_a_choice(run):
    def compute(*options):
        plain = json.loads(run("analyze", "vit_b_16", "--gpu", "h200", "-f", "json", *options).out)["roofline"]
        return plain["by_group"]["fc"]["compute_ns"]

    assert compute("--no-tf32") == compute() == pytest.approx(compute("--tf32") * 494.5 / 67, rel=1e-2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gpu", "h20O"], "unknown GPU 'h20O'; did you mean 'h200'"),
        (["--gpu", ""], "unknown GPU ''"),
        (["--gpu", "t4", "--dtype", "bfloat16"], "Tesla T4 has no rate of bfloat16"),
        (["--gpu", "t4", "--dtype", "amp-bf16"], "the file of Tesla T4 has rates for float32, float16, amp-fp16"),
        (["--gpu", "h200", "--dtype", "float64"], "hardware files have no rate of float64"),
        (["--gpu", "jetson-agx-orin"], "use --no-tf32 (tf32=False)"),
        (["--gpu", "h200", "--dtype", "float16", "--tf32"], "TF32 is a mode of float32"),
        (["--gpu", "nowhere.yaml"], "nowhere.yaml: No such file"),
        (["--tf32"], "--tf32 and --no-tf32 apply to the roofline and need --gpu NAME"),
        (["--no-tf32"], "need --gpu NAME"),
        (["--sort", "bound_ns"], "--sort bound_ns needs a GPU: --gpu NAME"),
    ],
)
@pytest.mark.parametrize("format", ["table", "csv"])
def test_wrong_use(run, options, message, format):
    result = run("analyze", "lenet5", *options, "-f", format)
    assert result.status == 2
    assert message in result.err
    assert result.out == ""


def test_a_file_of_ones_own(run, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(LEAST, "utf-8")
    plain = json.loads(run("analyze", "lenet5", "--gpu", str(path), "-f", "json").out)["roofline"]
    assert plain["ceilings"]["device"] == "mine"
    assert plain["ceilings"]["conv_flops_per_s"] == plain["ceilings"]["matmul_flops_per_s"] == 12.7e12
    path.write_text(LEAST.replace("360e9", "360"), "utf-8")
    result = run("analyze", "lenet5", "--gpu", str(path))
    assert result.status == 2
    assert f"{path}:2:31: memory_bandwidth_bytes_per_s is 360; no GPU has that" in result.err


def test_a_page_has_the_roofline(run, tmp_path, roofline):
    pytest.importorskip("plotly", reason="pages need plotly")
    page, other = tmp_path / "page.html", tmp_path / "folder" / "page.html"
    other.parent.mkdir()
    assert run("report", "vgg16", "--gpu", "h200", "--no-tf32", "-o", str(page)) == (0, "", "")
    text = page.read_text("utf-8")
    assert "Roofline on H200 SXM" in text
    assert "convcost report vgg16 --gpu h200 --no-tf32 -o page.html" in text
    assert 'data-missing="roofline"' not in text
    assert "This is a bound, not a prediction." in text
    assert run("analyze", "vgg16", "--gpu", "h200", "--no-tf32", "-f", "html", "-o", str(other)) == (0, "", "")
    assert other.read_text("utf-8") == text


def test_other_reports(run, tmp_path):
    markdown = run("report", "vgg16", "--gpu", "h200", "-f", "markdown").out
    assert "### Roofline" in markdown
    assert markdown.index("### Roofline") < markdown.index("This report is generated by:")
    folder = f"{tmp_path}/pages/"
    assert run("report", "vgg16", "lenet5", "--gpu", "t4", "-f", "markdown", "-o", folder).status == 0
    assert "LeNet-5 (1998) on Tesla T4" in Path(folder, "lenet5.md").read_text("utf-8")
    both = run("report", "vgg16", "lenet5", "--gpu", "t4", "-f", "markdown")
    assert (both.status, "several go into a folder" in both.err) == (2, True)
    picture = run("report", "vgg16", "--gpu", "t4", "-f", "svg")
    assert (picture.status, "a picture has no roofline" in picture.err) == (2, True)
