"""Saved profiles: round trips, files of older versions, and error messages for invalid files."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

import convcost
from convcost.errors import SourceError
from convcost.profiles.files import file_name, from_bytes, load_profile, save
from convcost.profiles.profile import Profile

RECORDED = Path(__file__).parent / "lenet5-cpu-schema1.json"
"""A measured profile in the first version of the schema, which must stay readable."""


@pytest.fixture
def recorded() -> Profile:
    return load_profile(RECORDED)


def test_first_version_is_readable(recorded):
    assert recorded.name == "lenet5"
    assert recorded.environment.device == "cpu"
    assert [run.setting.batch for run in recorded.measured] == [1, 8]
    static = recorded.runs[0].static
    report = convcost.analyze(convcost.load("lenet5"))
    assert (static.params, static.macs, static.flops) == (
        report.totals.params, report.totals.macs, report.totals.flops,
    )  # fmt: skip
    assert [layer.name for layer in recorded.runs[0].layers] == [layer.name for layer in report.layers]
    assert all(len(layer.in_place_ns) > 3 for layer in recorded.runs[0].layers)


def test_round_trip(recorded, tmp_path):
    path = tmp_path / "new" / "run.json"
    save(recorded, str(path))
    assert load_profile(path) == recorded
    assert [entry.name for entry in path.parent.iterdir()] == ["run.json"]


def test_text_is_json_with_one_line_per_run(recorded):
    written = recorded.to_json()
    found = json.loads(written)
    assert (found["schema"], found["kind"], found["convcost"]) == (1, "profile", convcost.__version__)
    middle = found["runs"][1]["summary"]["median_ns"]
    samples = sorted(found["runs"][1]["phases"]["forward"])
    assert samples[0] <= middle <= samples[-1]
    assert found["runs"][1]["summary"]["samples_per_s"] == pytest.approx(8e9 / middle)
    assert len(written.splitlines()) == len(found["runs"]) + 3


def test_without_runs(recorded):
    none = msgspec.structs.replace(recorded, runs=())
    assert from_bytes(none.to_json().encode(), "x") == none


def test_unknown_fields_are_ignored(recorded):
    found = json.loads(recorded.to_json())
    found["later"] = 1
    found["runs"][0]["later"] = [2]
    assert from_bytes(json.dumps(found).encode(), "x") == recorded


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is not valid JSON, or is truncated"),
        (b"\xff\xfe", "is not valid JSON"),
        (b'{"schema": 1, "kind": "profile", "name": "x"', "is truncated"),
        (b"[" * 100_000, "is not valid JSON"),
        (b"[]", "is not a saved profile"),
        (b'{"schema": 1}', "is not a saved profile"),
        (b'{"schema": 2, "kind": "profile"}', "has version 2, which is newer than this convcost reads (1)"),
        (b'{"schema": "one", "kind": "profile"}', "has version 'one'"),
        (b'{"schema": 1, "kind": "profile", "name": 5}', "Expected `str`, got `int` - at `$.name`"),
        (b'{"schema": 1, "kind": "profile", "name": "x"}', "missing required field `title`"),
    ],
)
def test_invalid_files(content, words):
    with pytest.raises(SourceError, match=r"^broken\.json") as caught:
        from_bytes(content, "broken.json")
    assert words in str(caught.value)


def test_invalid_time_is_located(recorded):
    found = json.loads(recorded.to_json())
    found["runs"][1]["phases"]["forward"][3] = "soon"
    with pytest.raises(SourceError, match=r"runs\[1\]\.phases\[\.\.\.\]\[3\]|runs\[1\].phases"):
        from_bytes(json.dumps(found).encode(), "run.json")


def phases(run, row):
    run["phases"] = {"forward": row}


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda run: run["setting"].update(batch=0), r"batch is 0, expected 1 or more - at `\$\.runs\[0\]"),
        (lambda run: phases(run, []), r"the status is measured, but there are no times - at `\$\.runs\[0\]\.phases`"),
        (lambda run: phases(run, [0, 5]), r"the time of an iteration is 0"),
        (lambda run: phases(run, [-7, 5]), r"a time is -7 ns, which is negative - at .*phases\.forward`"),
        (lambda run: run["phases"].update(backward=[1]), r"phases have 1 and \d+ times"),
        (lambda run: run["layers"][2].update(in_place_ns=[3, -4]), r"a time is -4 ns.*layers\[2\]\.in_place_ns`"),
        (lambda run: run["layers"][2].update(alone=99), r"alone is 99, but there are \d+ isolated.*layers\[2\]"),
        (lambda run: run["layers"][2].update(alone=-1), r"alone is -1"),
        (lambda run: run["layers"][2].update(macs=-3), r"macs is -3, expected 0 or more"),
        (lambda run: run.update(isolated=[[]]), r"no times - at `\$\.runs\[0\]\.isolated\[0\]`"),
    ],
)
def test_inconsistent_runs(recorded, edit, words):
    found = json.loads(recorded.to_json())
    for layer in found["runs"][0]["layers"]:
        layer["alone"] = None
    edit(found["runs"][0])
    with pytest.raises(SourceError, match=f"^run.json is inconsistent: {words}"):
        from_bytes(json.dumps(found).encode(), "run.json")


@pytest.mark.parametrize(
    ("edit", "words"), [({"samples_ns": []}, "no times"), ({"samples_ns": [0]}, "is 0 ns"), ({"work": 0}, "work is 0")]
)
def test_inconsistent_ceilings(recorded, edit, words):
    found = json.loads(recorded.to_json())
    found["ceilings"][1].update(edit)
    with pytest.raises(SourceError, match=rf"{words}.* at `\$\.ceilings\[1\]"):
        from_bytes(json.dumps(found).encode(), "run.json")


def test_missing_file(tmp_path):
    with pytest.raises(SourceError, match="No such file"):
        load_profile(tmp_path / "none.json")


def test_unwritable_folder(recorded, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="cannot write"):
        save(recorded, str(tmp_path / "file" / "run.json"))


def test_file_names():
    assert file_name("vgg16", "NVIDIA H100 80GB HBM3", "2026-11-25T08:00:00Z") == (
        "vgg16-NVIDIA-H100-80GB-HBM3-2026-11-25T080000Z.json"
    )
    assert file_name("../x y", "a/b", "") == "x-y-a-b.json"


def test_repr_and_dict(recorded):
    assert repr(recorded).startswith("<Profile 'lenet5' on ")
    assert recorded.to_dict()["kind"] == "profile"
    assert recorded.to_json() == recorded.to_json()
