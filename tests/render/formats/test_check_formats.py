"""A check as annotations and as JUnit XML, where their limits are: many changed layers, control characters."""

from __future__ import annotations

import io
from xml.etree import ElementTree as ET

import pytest

from convcost.analysis.comparison.changes import changes
from convcost.analysis.comparison.layer_keys import Placed
from convcost.gate.findings import Checked, CheckReport, Finding
from convcost.render.formats import github, junit


def inserted(number):
    return changes([], [Placed(f"layer{k}", "relu", {}, 0, 0) for k in range(number)]).changes


@pytest.mark.parametrize(("number", "more"), [(9, None), (10, None), (12, "and 2 more layers")])
def test_an_annotation_names_ten_layers(number, more):
    text = github.annotation(Finding("lock", "params is 1, locked is 2", changes=inserted(number)))
    assert text.count("%0Ainserted layer") == min(number, 10)
    assert (text.rstrip().rpartition("%0A")[2] if "more layers" in text else None) == more


def test_junit_keeps_tabs_and_drops_what_xml_cannot_hold():
    message = "a\tb\vc\x1bd\ne"
    report = CheckReport("convcost.toml", None, (Checked("net\t1\x00", None, {}, (Finding("budget", message),)),), ())
    out = io.StringIO()
    junit.render(report, out)
    (case,) = ET.fromstring(out.getvalue()).iter("testcase")
    assert case.get("name") == "net\t1"
    (failure,) = case.iter("failure")
    assert failure.get("message") == "a\tbcd\ne"
    assert "a\tbcd\ne" in failure.text
