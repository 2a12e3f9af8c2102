"""Layers as a pandas DataFrame."""

from __future__ import annotations

import builtins

import pytest

import convcost
from convcost import analyze
from convcost.analysis.layers import SUMMED
from convcost.errors import MissingExtraError


@pytest.fixture
def report():
    return analyze(convcost.load("resnet18"))


def test_frame(report):
    pandas = pytest.importorskip("pandas")
    frame = report.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns) == list(report.layers[0].to_dict())
    assert len(frame) == len(report.layers)
    assert list(frame["name"]) == [layer.name for layer in report.layers]
    for quantity in SUMMED:
        assert frame[quantity].dtype == "int64"
        assert frame[quantity].sum() == getattr(report.totals, quantity)
    by_group = frame.groupby("group")["macs"].sum()
    assert by_group["conv"] == report.breakdown["conv"].macs
    assert frame.loc[0, "output_shapes"] == ((1, 64, 112, 112),)


def test_without_pandas(report, monkeypatch):
    plain = builtins.__import__

    def refuse(name, *arguments, **options):
        if name.partition(".")[0] == "pandas":
            raise ImportError("No module named 'pandas'")
        return plain(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(MissingExtraError, match=r"to_frame needs pandas: .* convcost\[charts\]") as error:
        report.to_frame()
    assert error.value.__cause__ is None
    assert error.value.__suppress_context__, "the traceback has no second exception"
