"""Memory over time: outlines, the peak, and a view for each way to run; of points made here."""

from __future__ import annotations

from types import SimpleNamespace

from convcost import analyze, load
from convcost.render.charts import ComparisonRecords, MemoryRun, NetworkRecords, charts_of, memory_chart


def step(layer, phase, size):
    return SimpleNamespace(layer=layer, phase=phase, bytes=size)


def test_the_memory_timeline_marks_its_peak():
    points = [step("a", "forward", 10), step("b", "forward", 30), step("b", "backward", 45), step("a", "backward", 45)]
    points.append(step("step", "optimizer", 20))
    chart = memory_chart(MemoryRun("training", points, [("weight of a", 15), ("output of b", 30)]))
    forward, backward, optimizer, peak = chart.figure["data"]
    # Each step is as wide as one, so that phases meet.
    assert (forward["x"], forward["y"]) == ([0.5, 1, 2, 2.5], [10, 10, 30, 30])
    assert (backward["x"], backward["y"]) == ([2.5, 3, 4, 4.5], [45, 45, 45, 45])
    assert (optimizer["x"], optimizer["y"]) == ([4.5, 5, 5.5], [20, 20, 20])
    assert backward["text"] == ["b", "b", "a", "a"]
    assert (peak["x"], peak["y"], peak["text"]) == ([3], [45], ["peak 45 B"])
    assert peak["customdata"] == [
        "<b>peak</b>: 45 bytes = 45 B<br>backward, b<br>30 B  output of b<br>15 B  weight of a"
    ]
    assert chart.note == "Training: peak memory 45 bytes, in the backward of b."
    assert chart.views == ()


def test_memory_has_a_view_for_each_run():
    one = MemoryRun("inference", [step("a", "forward", 10), step("b", "forward", 8)])
    other = MemoryRun("step", [step("a", "forward", 10), step("a", "backward", 5), step("step", "optimizer", 90)])
    chart = memory_chart(one, other)
    assert [view.label for view in chart.views] == ["inference", "step"]
    assert [trace["name"] for trace in chart.figure["data"]] == ["forward", "backward", "optimizer", "peak"]
    assert [trace["visible"] for trace in chart.views[0].traces] == [True, False, False, True]
    assert [trace["visible"] for trace in chart.views[1].traces] == [True] * 4
    assert chart.views[1].layout["xaxis.range"] == [0.5, 3.5]
    for trace, first in zip(chart.figure["data"], chart.views[0].traces, strict=True):
        assert {key: trace[key] for key in first} == first
    assert chart.note == (
        "Inference: peak memory 10 bytes, in the forward of a. Step: peak memory 90 bytes, in the optimizer step."
    )


def test_all_traces_of_a_view_change_in_the_same_keys():
    """A page and a notebook set each of the first trace's keys on every trace."""
    run = MemoryRun("step", [step("a", "forward", 10)])
    networks = charts_of(ComparisonRecords([analyze(load("vgg16")), analyze(load("alexnet"))]))
    for chart in (*charts_of(NetworkRecords(analyze(load("vgg16")), (run, run))), *networks):
        for view in chart.views:
            assert len({frozenset(trace) for trace in view.traces}) <= 1, chart.key


def test_phases_that_alternate_are_not_joined():
    """Two micro-batches: forward, backward, forward, backward; the line of each breaks between."""
    sizes = (("forward", 1), ("backward", 2), ("forward", 3), ("backward", 4))
    chart = memory_chart(MemoryRun("step", [step("a", phase, size) for phase, size in sizes]))
    assert chart.figure["data"][0]["y"] == [1, 1, 1, None, 3, 3, 3]
    assert chart.figure["data"][1]["x"] == [1.5, 2, 2.5, None, 3.5, 4, 4.5]


def test_runs_without_a_record_say_why():
    known, unknown = (
        MemoryRun("inference", [step("a", "forward", 10)]),
        MemoryRun("step", missing="it was captured in eval mode"),
    )
    assert memory_chart(known, unknown).note.endswith(" Not shown, step: it was captured in eval mode.")
    assert memory_chart(unknown).missing == "step: it was captured in eval mode"
    assert memory_chart(MemoryRun("inference")).missing == "inference: the memory record has no points"
    assert memory_chart().missing == "the memory over time is unknown"


def test_much_that_is_alive_is_summed_up():
    alive = [(f"t{size}", size) for size in range(1, 21)]
    (text,) = memory_chart(MemoryRun("inference", [step("a", "forward", 210)], alive)).figure["data"][-1]["customdata"]
    assert text.endswith(f"{sum(range(1, 9)):,} B  in 8 more")
