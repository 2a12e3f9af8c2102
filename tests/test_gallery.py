"""The gallery under reports/ is what the code makes now."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from convcost import analyze
from convcost.sources.load import load_shipped

ROOT = Path(__file__).resolve().parent.parent
REPORTS = ROOT / "reports"


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("reports_generate", REPORTS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_is_fresh(generator, capsys):
    assert generator.main(["--check"]) == 0, capsys.readouterr().err


def test_a_stale_file_is_noticed(generator, monkeypatch, capsys):
    real = dict(generator.gallery())
    page = REPORTS / "networks" / "vgg16.md"
    monkeypatch.setattr(generator, "gallery", lambda: iter({**real, page: real[page] + "!"}.items()))
    assert generator.main(["--check"]) == 1
    assert capsys.readouterr().err == "stale: reports/networks/vgg16.md (python reports/generate.py writes it)\n"
    assert generator.main(["--wrong"]) == 2


def test_it_holds_every_architecture():
    names = {graph.about.name for graph in load_shipped().values()}
    assert {path.stem for path in (REPORTS / "networks").iterdir()} == names
    text = (REPORTS / "README.md").read_text("utf-8")
    assert set(re.findall(r"\(networks/(.+?)\.md\)", text)) == names


def test_what_the_readme_says_of_vgg16():
    """Nine tenths of the parameters, almost none of the work; two convolutions with over two fifths of the memory."""
    report = analyze(load_shipped()["vgg16"])
    fc = report.breakdown["fc"]
    assert round(10 * fc.params / report.totals.params) == 9
    assert fc.macs / report.totals.macs < 0.01
    first = sum(layer.activation_bytes for layer in report.layers if layer.name.startswith("conv1_"))
    assert 0.4 < first / report.totals.activation_bytes < 0.5
    page = (REPORTS / "networks" / "vgg16.md").read_text("utf-8")
    assert "| activation\\_bytes (with input) | 93MB | 60,950,432 | differs |" in page
    assert "the rows of the table add up to 15.2M" in page


def test_pages_of_the_canon_share_plotly_js(generator):
    for name in (*generator.CANON, "comparison"):
        text = (REPORTS / f"{name}.html").read_text("utf-8")
        assert '<script src="assets/plotly.min.js"></script>' in text
    assert generator.PLOTLY.stat().st_size > 10**6
    whole = sum(path.stat().st_size for path in REPORTS.rglob("*") if path.is_file())
    assert whole < 12 * 10**6
