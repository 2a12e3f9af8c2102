"""A chart from outside of the package: one call registers it, and records, pages and pictures show it."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

import convcost
from convcost.cli.group import cli
from convcost.errors import UsageError
from convcost.pages import Subject, page_text
from convcost.render.charts import CHARTS, Chart, ComparisonRecords, charts_of, register_chart
from convcost.render.charts.style import axis, layout
from convcost.render.charts.svg.frame import svg_text


def traffic_chart(records):
    layers = records.report.layers
    bars = {"type": "bar", "x": [layer.name for layer in layers], "y": [layer.bytes_read for layer in layers]}
    return Chart(
        "Bytes read by each layer.", {"data": [bars], "layout": layout(300, xaxis=axis(), yaxis=axis("bytes"))}
    )


def traffic_svg(title, figure):
    return svg_text(title, 100, (f'<rect width="{value}"/>' for value in figure["data"][0]["y"]))


def years_chart(records):
    return Chart(missing=f"{len(records.reports)} networks have no clock")


@pytest.fixture
def traffic():
    before = dict(CHARTS)
    register_chart("traffic", "Bytes that are read", traffic_chart, svg=traffic_svg)
    register_chart("clock", "Time of day", years_chart, of=ComparisonRecords)
    yield
    CHARTS.clear()
    CHARTS.update(before)


@pytest.fixture
def report():
    return convcost.analyze(convcost.load("lenet5"))


def invoke(words):
    return CliRunner().invoke(cli, words.split())


@pytest.mark.usefixtures("traffic")
def test_a_report_plots_it(report):
    pytest.importorskip("plotly")
    figure = report.plot("traffic")
    assert figure.layout.title.text == "Bytes that are read"
    assert figure.data[0].y == tuple(layer.bytes_read for layer in report.layers)


@pytest.mark.usefixtures("traffic")
def test_messages_name_it(report):
    with pytest.raises(UsageError, match=r"unknown chart 'trafic'; did you mean 'traffic'\? \(allowed: .*, traffic\)"):
        report.plot("trafic")
    compared = convcost.compare([report, convcost.load("alexnet")])
    with pytest.raises(UsageError, match="no chart 'clock': 2 networks have no clock"):
        compared.plot("clock")
    with pytest.raises(UsageError, match="unknown chart 'traffic'"):
        compared.plot("traffic")


@pytest.mark.usefixtures("traffic")
def test_the_page_has_a_section_for_it(report):
    pytest.importorskip("plotly")
    page = page_text([Subject("lenet5", report)], [])
    assert '<section id="traffic" aria-labelledby="h-traffic"><h2 id="h-traffic">Bytes that are read</h2>' in page
    assert 'data-chart="traffic"' in page
    several = page_text([Subject("lenet5", report), Subject("lenet5", report)], [])
    assert "Time of day: not shown, because 2 networks have no clock." in several
    assert 'data-chart="traffic"' not in several


@pytest.mark.usefixtures("traffic")
def test_it_is_a_picture_of_the_command_line(report):
    result = invoke("report lenet5 -f svg --chart traffic")
    assert result.exit_code == 0, result.output
    assert result.output.count("<rect ") == len(report.layers)
    assert 'aria-label="Bytes that are read"' in result.output
    assert "|traffic]" in "".join(invoke("report --help").output.split())
    wrong = invoke("report lenet5 -f svg --chart clock")
    assert wrong.exit_code == 2
    assert "'clock' is not one of 'layers', 'split', 'bubble', 'depth', 'totals', 'traffic'" in wrong.output
    several = CliRunner().invoke(cli, ["report", "lenet5", "alexnet", "-f", "svg", "--chart", "traffic"])
    assert str(several.exception) == (
        "there is no picture traffic of several networks (allowed: bubble, depth, totals)"
    )  # fmt: skip


def test_every_shipped_chart_has_its_key_and_title(report):
    other = convcost.analyze(convcost.load("alexnet"))
    from convcost.render.charts import NetworkRecords

    drawn = (*charts_of(NetworkRecords(report)), *charts_of(ComparisonRecords([report, other])))
    assert [chart.key for chart in drawn] == list(CHARTS)
    assert [chart.title for chart in drawn] == [kind.title for kind in CHARTS.values()]
