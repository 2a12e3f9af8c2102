"""``convcost check``: the gate bites what is wrong, and lets pass what is not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import xml.etree.ElementTree as ET

import pytest

SPEC = """name: net
input: [3, 32, 32]
published:
  - {quantity: params, value: "3,626", source: a table that is wrong}

blocks:
  unit:
    - conv2d: {out_channels: 8, kernel_size: 3, padding: 1}
    - relu_

layers:
  - {conv2d: {out_channels: 8, kernel_size: 3, padding: 1}, name: conv1}
  - relu_
  - {unit: {}, repeat: 2, name: stage}
  - max_pool2d: 4
  - flatten
  - {linear: {out_features: 4, bias: true}, name: fc}
"""
PARAMS = (3 * 9 + 1) * 8 + 2 * (8 * 9 + 1) * 8 + (8 * 64 + 1) * 4
CONFIG = 'sources = ["net.yaml"]\n'


@pytest.fixture
def project(tmp_path, monkeypatch, run):
    """A folder with a spec, settings, and a lock that fits."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    (tmp_path / ".git").mkdir()  # no settings are looked for above
    (tmp_path / "net.yaml").write_text(SPEC)
    (tmp_path / "convcost.toml").write_text(CONFIG)
    assert run("check", "--update").status == 0
    return tmp_path


def change(project, *pairs, file="net.yaml"):
    path = project / file
    text = path.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)


def test_all_is_well(run, project):
    result = run("check")
    assert (result.status, result.err) == (0, "")
    assert result.out.endswith("1 of 1 source ok.\n")


# --- it bites


@pytest.mark.parametrize(
    ("pairs", "quantities", "shown"),
    [
        ([("kernel_size: 3, padding: 1}, name: conv1", "kernel_size: 5, padding: 2}, name: conv1")],
         {"params": 8 * 3 * (25 - 9), "macs": 8 * 3 * (25 - 9) * 1024}, "kernel_size 3 -> 5, padding 1 -> 2"),
        ([("{conv2d: {out_channels: 8", "{conv2d: {out_channels: 16")],
         {"params": 8 * 28 + 8 * 8 * 9, "macs": 8 * 27 * 1024 + 8 * 8 * 9 * 1024}, "out_channels 8 -> 16"),
        ([("bias: true", "bias: false")], {"params": -4}, "bias true -> false"),
        ([("repeat: 2", "repeat: 3")], {"params": 8 * 73, "macs": 8 * 72 * 1024}, "stage_3"),
        ([("repeat: 2", "repeat: 1")], {"params": -8 * 73, "macs": -8 * 72 * 1024}, "removed"),
        ([("[3, 32, 32]", "[3, 36, 36]")], {}, "input 1x3x32x32; float32; eval -> input 1x3x36x36"),
        ([("max_pool2d: 4", "max_pool2d: 2")], {"params": 4 * 8 * (256 - 64)}, "fc"),
        ([("- relu_\n  - {unit", "- {unit")], None, None),
    ],
    ids=["kernel", "width", "bias", "one block more", "one block less", "input", "pool", "no cost"],
)  # fmt: skip
def test_it_bites(run, project, pairs, quantities, shown):
    change(project, *pairs)
    result = run("check", "-f", "json")
    (source,) = json.loads(result.out)["sources"]
    found = {
        x["quantity"]: x["found"] - x["allowed"] for x in source["findings"] if x["quantity"] in ("params", "macs")
    }
    if quantities is None:
        assert (result.status, found) == (0, {})
        return
    assert result.status == 1
    assert source["status"] == "differs"
    assert quantities.items() <= found.items()
    text = run("check")
    assert text.status == 1
    assert shown in " ".join(text.out.split())
    assert "1 differs; to accept the current figures, run convcost check --update." in text.out
    updated = run("check", "--update")
    assert updated.status == 0
    assert "Wrote convcost.lock: net.yaml." in updated.out
    assert run("check").status == 0


def test_a_published_claim(run, project):
    change(project, ('"3,626"', '"3,627"'))
    result = run("check")
    assert result.status == 1
    assert "published params 3,626 differs: only in the lock" in result.out
    assert "published params 3,627 differs: not in the lock" in result.out


def test_a_claim_that_stops_to_agree(run, project):
    change(project, ('"3,626"', f'"{PARAMS}"'))
    run("check", "--update")
    assert run("check").status == 0
    change(project, ("bias: true", "bias: false"))
    out = run("check").out
    assert f"published params {PARAMS} agrees: only in the lock" in out
    assert f"published params {PARAMS} differs: not in the lock" in out


def test_what_one_layer_loses_another_gains(run, project):
    """The totals are as before, the layers are not."""
    spec = """name: net
input: [3, 8, 8]
layers:
  - {conv2d: {out_channels: 4, kernel_size: 1, bias: true}, name: a}
  - {conv2d: {out_channels: 4, kernel_size: 1, bias: false}, name: b}
"""
    (project / "net.yaml").write_text(spec)
    run("check", "--update")
    swapped = spec.replace("true", "x").replace("false", "true").replace("x}", "false}").replace("x,", "false,")
    (project / "net.yaml").write_text(swapped)
    result = run("check")
    assert result.status == 1
    assert "params 32 in total as before, but the layers differ" in result.out
    assert "bias true -> false" in result.out


def test_the_message_names_the_line_of_the_spec(run, project):
    change(project, ("{out_features: 4", "{out_features: 5"))
    line = SPEC[: SPEC.index("linear")].count("\n") + 1
    assert f"net.yaml:{line}:6: params" in run("check").out


def test_budgets(run, project):
    (project / "convcost.toml").write_text(
        CONFIG + '[budgets]\nparams = 3000\nmacs = "10M"\n[budgets."net.yaml"]\nmacs = "<= 1M"\ndepth = ">= 5"\n'
    )
    result = run("check", "-f", "json")
    assert result.status == 1
    findings = {x["quantity"]: x for x in json.loads(result.out)["sources"][0]["findings"]}
    assert set(findings) == {"params", "macs", "depth"}
    assert (findings["params"]["found"], findings["params"]["allowed"]) == (PARAMS, "at most 3,000")
    assert findings["params"]["where"] == "convcost.toml:3:1"
    assert findings["macs"]["where"] == "convcost.toml:6:1", "its own budget stands in place of the one for all"
    assert findings["params"]["message"] == (
        "params is 3,444, expected at most 3,000; largest layers: fc 2,052, stage_1.conv2d_1 584, stage_2.conv2d_1 584"
    )
    assert run("check", "--update").status == 1, "an update accepts figures, not broken budgets"


def test_a_budget_of_its_own_stands_in_place_of_the_one_for_all(run, project):
    """A looser one too; the other sources keep to the one for all."""
    own = '[budgets]\nparams = 1\n[budgets."net.yaml"]\nparams = "1M"\n'
    (project / "convcost.toml").write_text('lock = false\nsources = ["net.yaml", "lenet5"]\n' + own)
    found = json.loads(run("check", "-f", "json").out)
    assert [(x["source"], x["status"]) for x in found["sources"]] == [("net.yaml", "ok"), ("lenet5", "differs")]


def test_a_budget_of_memory(run, project):
    """Peaks are no part of the lock; a budget asks for them. 10 + 5 floats, and 55 of the linear layer."""
    (project / "net.yaml").write_text("name: net\ninput: [10]\nlayers:\n  - linear: 5\n")
    run("check", "--update")
    assert "peak" not in (project / "convcost.lock").read_text()
    (project / "convcost.toml").write_text(CONFIG + "[budgets]\npeak_memory = 280\n")
    assert run("check").status == 0
    (project / "convcost.toml").write_text(CONFIG + '[budgets]\npeak_memory = 279\npeak_training_memory = "1KiB"\n')
    result = run("check")
    assert result.status == 1
    assert "peak_memory is 280, expected at most 279" in result.out
    assert "peak_training_memory" in result.out
    (project / "convcost.toml").write_text(CONFIG + "[tolerance]\npeak_memory = 0\n")
    assert "unknown quantity 'peak_memory'" in run("check").out


# --- it lets pass


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("layers:\n  - {conv", "# a comment\nlayers:   # and another\n  - {conv"),
        lambda text: text.replace("{conv2d: {out_channels: 8, kernel_size: 3, padding: 1}, name: conv1}",
                                  "{name: conv1, conv2d: {padding: 1, kernel_size: 3, out_channels: 8}}"),
        lambda text: text.replace("name: conv1", "name: stem").replace("name: fc", "name: classifier"),
        lambda text: text.replace("name: net\n", "title: Another title\nname: other\n"),
        lambda text: "\ufeff" + text.replace("\n", "\r\n"),
    ],
    ids=["comments", "order of keys", "names of layers", "title and name", "Windows"],
)  # fmt: skip
def test_it_survives(run, project, edit):
    path = project / "net.yaml"
    path.write_text(edit(path.read_text()), newline="")
    result = run("check")
    assert result.status == 0, result.out


def test_a_renamed_file(run, project):
    (project / "net.yaml").rename(project / "network.yaml")
    (project / "convcost.toml").write_text('sources = ["network.yaml"]\n')
    result = run("check")
    assert result.status == 0
    assert "named net.yaml in convcost.lock, otherwise unchanged" in result.out
    run("check", "--update")
    assert "[network.yaml]" in (project / "convcost.lock").read_text()
    assert "[net.yaml]" not in (project / "convcost.lock").read_text()


def test_a_moved_layer_is_named_and_passes(run, project):
    """Rectifying before or after pooling costs the same parameters and MACs."""
    spec = "name: net\ninput: [3, 8, 8]\nlayers:\n  - {batch_norm2d: {}, name: norm}\n  - {hardswish: {}, name: act}\n"
    (project / "net.yaml").write_text(spec)
    run("check", "--update")
    lines = spec.splitlines()
    (project / "net.yaml").write_text("\n".join([*lines[:3], lines[4], lines[3]]) + "\n")
    result = run("check")
    assert result.status == 0
    assert "moved" in result.out
    assert "convcost check --update records it" in result.out


def test_another_activation_passes_and_is_said(run, project):
    change(project, ("- relu_\n  - {unit", "- {gelu: {}}\n  - {unit"))
    result = run("check")
    assert result.status == 0
    assert "gelu_1 changed: within the tolerance; convcost check --update records it" in " ".join(result.out.split())
    assert "op relu -> gelu" in " ".join(run("check", "--verbose").out.split())
    (project / "convcost.toml").write_text(CONFIG + "[tolerance]\nflops = 0\n")
    assert run("check").status == 1, "unless FLOPs are held too"


def test_tolerance(run, project):
    change(project, ("bias: true", "bias: false"))
    assert run("check").status == 1
    (project / "convcost.toml").write_text(CONFIG + "[tolerance]\nparams = 4\n")
    assert run("check").status == 0
    (project / "convcost.toml").write_text(CONFIG + "[tolerance]\nparams = 3\n")
    assert run("check").status == 1
    (project / "convcost.toml").write_text(CONFIG + '[tolerance]\nparams = "0.2%"\n')
    assert run("check").status == 0


# --- settings


def test_pyproject(run, project):
    (project / "convcost.toml").unlink()
    (project / "pyproject.toml").write_text(
        '[project]\nname = "x"\n\n[tool.convcost]\nsources = [\n  "vgg16",\n  "net.yaml",\n]\n\n'
        '[tool.convcost.budgets]\nparams = "10M"\n'
    )
    result = run("check", "-f", "json")
    found = {x["source"]: x for x in json.loads(result.out)["sources"]}
    assert found["net.yaml"]["status"] == "ok"
    assert {x["kind"] for x in found["vgg16"]["findings"]} == {"budget", "error"}
    assert found["vgg16"]["where"] == "pyproject.toml:6:1"
    assert result.status == 2, "vgg16 is not in the lock"


def test_settings_of_an_outer_folder(run, project, monkeypatch):
    (project / "deep" / "er").mkdir(parents=True)
    monkeypatch.chdir(project / "deep" / "er")
    assert run("check").status == 0
    assert run("check", "--config", "../../convcost.toml").status == 0


def test_patterns(run, project):
    variants = "parameters: [n]\nvariants:\n  small: {with: [4]}\n  large: {with: [8]}\n"
    (project / "family.yaml").write_text(
        f"name: family\ninput: [3, 8, 8]\n{variants}layers:\n  - conv2d: {{out_channels: n, kernel_size: 1}}\n"
    )
    (project / "convcost.toml").write_text('sources = ["*.yaml@*"]\n')
    run("check", "--update")
    names = re.findall(r"^\[(.+)\]$", (project / "convcost.lock").read_text(), re.MULTILINE)
    assert names == ["family.yaml@large", "family.yaml@small", "net.yaml"]
    assert run("check").status == 0


def test_one_network_at_two_sizes(run, project):
    (project / "convcost.toml").write_text(
        'sources = ["squeezenet1_1", '
        '{source = "squeezenet1_1", name = "small", input = "3x64x64", batch = 2, dtype = "bfloat16"}]\n'
    )
    run("check", "--update")
    lock = (project / "convcost.lock").read_text()
    assert "[small]\ninput = input 2x3x64x64; bfloat16; eval\n" in lock
    assert run("check", "small").status == 0


def test_only_some_sources(run, project):
    (project / "convcost.toml").write_text('sources = ["net.yaml", "vgg16"]\n')
    assert run("check").status == 2
    assert run("check", "net.yaml").status == 0
    assert run("check", "vgg16", "--update").status == 0
    assert run("check").status == 0
    result = run("check", "vgg61")
    assert result.status == 2
    assert "'vgg61' is not among the sources of convcost.toml; did you mean 'vgg16'?" in result.err


def test_an_update_of_one_source_trusts_no_other(run, project):
    """An entry that was edited by hand does not get a valid digest because another source was updated."""
    lock = project / "convcost.lock"
    (project / "b.yaml").write_text(SPEC)
    (project / "convcost.toml").write_text('sources = ["net.yaml", "b.yaml"]\n')
    run("check", "--update")
    head, entry = lock.read_text().split("[net.yaml]")
    lock.write_text(f"{head}[net.yaml]{entry.replace(f'params = {PARAMS}', 'params = 1')}")
    assert "was edited by hand" in run("check", "net.yaml").out
    assert run("check", "b.yaml", "--update").status == 0
    assert "params = 1\n" not in lock.read_text()
    result = run("check")
    assert result.status == 2
    assert "net.yaml is not in convcost.lock; convcost check --update adds it" in result.out


def test_without_a_lock(run, project):
    (project / "convcost.lock").unlink()
    (project / "convcost.toml").write_text("lock = false\n" + CONFIG)
    assert run("check").status == 0
    assert not (project / "convcost.lock").exists()
    result = run("check", "--update")
    assert (result.status, result.out) == (2, "")
    assert "convcost.toml has lock = false, so --update has no file to write" in result.err


def test_settings_with_a_byte_order_mark(run, project):
    """As some editors on Windows write them."""
    (project / "convcost.toml").write_text(CONFIG, encoding="utf-8-sig")
    assert run("check").status == 0


@pytest.mark.parametrize(
    ("config", "place", "message"),
    [
        ('sources = ["net.yaml"]\nbudget = {}\n', "2:1", "unknown key 'budget'; did you mean 'budgets'?"),
        (CONFIG + "[budgets]\nparms = 1\n", "3:1", "unknown quantity 'parms'; did you mean 'params'?"),
        (CONFIG + "\n[budgets]\nparams = -1\n", "4:1", "budget of params: -1 is negative"),
        (CONFIG + '[budgets]\nmacs = "5 apples"\n', "3:1", "budget of macs: '5 apples': the suffix of a count is"),
        (CONFIG + '[budgets."nett.yaml"]\nmacs = 1\n', "2:1", "'nett.yaml', which is not among the sources; did you"),
        (CONFIG + '[budgets."net.yaml"]\nmac = 1\n', "3:1", "unknown quantity 'mac'; did you mean 'macs'?"),
        (CONFIG + "budgets = 3\n", "2:1", "budgets must be a table, such as [budgets]"),
        (CONFIG + "[tolerance]\nmacs = 0.1\n", "3:1", "tolerance of macs: 0.1 is neither"),
        (CONFIG + "[tool.convcost]\n", "2:1", "convcost.toml has its keys at the top level, not in [tool.convcost]"),
        (CONFIG + "lock = 3\n", "2:1", "lock must be a file name, or false for no lock, not 3"),
        ('sources = [\n  "net.yaml",\n  "gone.yaml",\n]\n', "3:1", "there is no file gone.yaml"),
        ('sources = ["net.yaml", "no/*.yaml"]\n', "1:1", "no file matches 'no/*.yaml'"),
        ('sources = ["net.yaml", 3]\n', "1:1", "a source must be a string or {source ="),
        ('sources = ["net.yaml", "net.yaml"]\n', "1:1", "duplicate source 'net.yaml'"),
        ('sources = ["net.yaml", {source = "vgg16", inptu = "3x2x2"}]\n', "1:1", "unknown key 'inptu'; did you mean"),
        (
            'sources = ["net.yaml", {source = "vgg16", input = "3,2"}]\n',
            "1:1",
            "input is '3,2', expected \"3x224x224\"",
        ),
    ],
)
def test_mistakes_in_the_settings(run, project, config, place, message):
    """With the line; and the sources that are right are checked all the same."""
    (project / "convcost.toml").write_text(config)
    result = run("check")
    assert result.status == 2
    assert f"convcost.toml:{place}: " in result.out
    assert message in result.out
    assert re.search("^net.yaml +ok ", result.out, re.MULTILINE)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {},
            "no settings: this folder and its parents have neither convcost.toml nor pyproject.toml with",
        ),
        ({"pyproject.toml": "[project]\n"}, "no settings"),
        ({"convcost.toml": "sources = [\n"}, "convcost.toml:1:1: not valid TOML: "),
        ({"convcost.toml": "a = 1\nsources = x\n"}, "convcost.toml:2:11: not valid TOML: "),
        ({"convcost.toml": "sources = 1\nsources = 2\n"}, "convcost.toml:2:"),
        ({"convcost.toml": CONFIG, "pyproject.toml": "[tool.convcost]\n"}, "have settings; remove one"),
    ],
)
def test_no_settings(run, project, files, message):
    for name in ("convcost.toml", "convcost.lock"):
        (project / name).unlink()
    for name, text in files.items():
        (project / name).write_text(text)
    result = run("check")
    assert (result.status, result.out) == (2, "")
    assert message in result.err


@pytest.mark.parametrize("config", ["", "sources = []\n", 'sources = "net.yaml"\n'])
def test_no_sources(run, project, config):
    (project / "convcost.toml").write_text(config)
    result = run("check")
    assert result.status == 2
    assert 'sources must be a non-empty list, such as ["net.yaml", "vgg16"]' in result.out


def test_torch_is_missing(shell, project):
    """What to install, and the other sources are checked. The first entry of the path hides torch."""
    (project / "torch.py").write_text('raise ModuleNotFoundError("No module named \'torch\'", name="torch")\n')
    (project / "convcost.toml").write_text('sources = ["torchvision:resnet50", "net.yaml", "some.module:Net"]\n')
    result = shell(f'cd "{project}" && convcost check')
    assert result.status == 2
    assert result.out.count('torch is not installed: pip install "convcost[torch]"') == 2
    assert "net.yaml              ok" in result.out
    assert result.err == ""


def test_a_spec_with_mistakes(run, project):
    (project / "bad.yaml").write_text(SPEC.replace("flatten", "flaten"))
    (project / "convcost.toml").write_text('sources = ["bad.yaml", "net.yaml"]\n')
    result = run("check")
    assert result.status == 2
    assert "\nbad.yaml:16:5: unknown op or block 'flaten'; did you mean 'flatten'" in result.out
    assert "net.yaml  ok" in result.out


def test_every_mistake_of_a_spec_has_its_line(run, project, monkeypatch):
    """In the message and in the annotation; what is in no file that is there goes to the line of the settings."""
    change(project, ("flatten", "flaten"), ("relu_\n  - {unit", "rellu_\n  - {unit"))
    found = json.loads(run("check", "-f", "json").out)["sources"][0]["findings"]
    assert [finding["where"] for finding in found] == ["net.yaml:13:5", "net.yaml:16:5"]
    assert found[1]["message"].startswith("unknown op or block 'flaten'")
    notes = [line for line in run("check", "-f", "github").out.splitlines() if line.startswith("::")]
    assert notes[1].startswith("::error file=net.yaml,line=16,col=5,title=convcost%3A net.yaml::unknown op or block")
    (project / ".git").rmdir()
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "net.yaml"], [*who, "commit", "-q", "-m", "broken"]):
        subprocess.run(["git", *words], check=True, capture_output=True)
    (project / "convcost.toml").write_text('sources = ["git:HEAD:net.yaml"]\n')
    found = json.loads(run("check", "-f", "json").out)["sources"][0]["findings"]
    assert [finding["where"] for finding in found] == ["convcost.toml:1:1"] * 2
    assert found[1]["message"].startswith("git:HEAD:net.yaml:16:5: unknown op or block 'flaten'")


def test_a_captured_graph_is_a_source_without_torch(run, project):
    """What ``export --format json`` has written; a mistake in it stops only itself."""
    assert run("export", "lenet5", "-f", "json", "-o", "lenet.json").status == 0
    (project / "convcost.toml").write_text('sources = ["net.yaml", "lenet.json"]\n')
    assert run("check", "--update").status == 0
    assert "lenet.json  ok" in run("check").out
    change(project, ('"kernel_size": ', '"kernel_size": 1'), file="lenet.json")
    result = run("check")
    assert result.status == 2
    assert "net.yaml    ok" in result.out
    assert "convcost.toml:1:1: lenet.json: nodes[0]" in result.out


# --- the lock


def test_no_lock_yet(run, project):
    (project / "convcost.lock").unlink()
    result = run("check")
    assert result.status == 2
    assert "convcost.lock does not exist; convcost check --update writes it" in result.out


def test_an_entry_without_a_source(run, project):
    (project / "convcost.toml").write_text('sources = ["net.yaml", "vgg16"]\n')
    run("check", "--update")
    (project / "convcost.toml").write_text(CONFIG)
    result = run("check")
    assert result.status == 1
    assert "vgg16 is in convcost.lock but not among the sources" in result.out


def edited(project, edit):
    path = project / "convcost.lock"
    path.write_text(edit(path.read_text()))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: "", "convcost.lock:1:1: the lock is empty"),
        (lambda text: text[: len(text) // 2], "the file is truncated"),
        (lambda text: text.replace("\nend\n", "\n"), "the file is truncated: its last line must be 'end'"),
        (lambda text: text.replace("params = ", "<<<<<<< HEAD\nparams = ").replace("buffers", ">>>>>>> b\nbuffers"),
         "convcost.lock:9:1: unresolved merge conflict (<<<<<<< HEAD); merge the networks, then convcost check"),
        (lambda text: text.replace("params = 34", "params = 35"),
         "the entry of 'net.yaml' was edited by hand (its digest does not match); convcost check --update rewrites it"),
        (lambda text: text.replace("kernel_size=3", "kernel_size=5", 1), "was edited by hand"),
        (lambda text: re.sub("\ndigest = .*", "", text), "the entry of 'net.yaml' is truncated"),
        (lambda text: text.replace("version = 1", "version = 7"),
         "version 7 of the lock is newer than this convcost reads (1); pip install -U convcost"),
        (lambda text: text.replace("version = 1", "version = 0"), "version 0 of the lock is no longer supported"),
        (lambda text: text.replace("version = 1\n", ""), "a lock begins with 'version = 1', not 'convcost = "),
        (lambda text: "{}", "a lock begins with 'version = 1', not '{}'"),
    ],
    ids=["empty", "half", "no end", "conflict", "total", "layer", "no digest", "newer", "older", "no version", "json"],
)  # fmt: skip
def test_a_broken_lock(run, project, edit, message):
    edited(project, edit)
    result = run("check")
    assert result.status == 2
    assert message in " ".join(result.out.split())
    assert "Traceback" not in result.out + result.err


def test_a_mistake_in_the_lock_is_annotated_at_its_line(run, project):
    edited(
        project,
        lambda text: text.replace("params = ", "<<<<<<< HEAD\nparams = ").replace("buffers", ">>>>>>> b\nbuffers"),
    )
    assert "\nconvcost.lock:9:1: unresolved merge conflict" in run("check").out
    assert "::error file=convcost.lock,line=9,col=1,title=convcost::unresolved" in run("check", "-f", "github").out


def test_budgets_are_checked_beside_a_broken_lock(run, project):
    edited(project, lambda text: text[:200])
    (project / "convcost.toml").write_text(CONFIG + "[budgets]\nparams = 1\n")
    result = run("check", "-f", "json")
    assert result.status == 2
    assert [x["kind"] for x in json.loads(result.out)["sources"][0]["findings"]] == ["budget"]


def test_an_update_mends_a_broken_lock_but_no_newer_one(run, project):
    edited(project, lambda text: text[:200])
    assert run("check", "--update").status == 0
    assert run("check").status == 0
    edited(project, lambda text: text.replace("version = 1", "version = 7"))
    before = (project / "convcost.lock").read_text()
    assert run("check", "--update").status == 2
    assert (project / "convcost.lock").read_text() == before


def test_a_lock_of_an_older_convcost_still_checks(run, project):
    """As written by 0.1.0; what is counted otherwise since then gets a hint."""
    edited(project, lambda text: re.sub("convcost = .*", "convcost = 0.0.9", text))
    assert run("check").status == 0
    change(project, ("bias: true", "bias: false"))
    out = run("check").out
    assert "the lock was written by convcost 0.0.9, this is" in out


def test_an_interrupted_update_leaves_the_old_lock(run, project, monkeypatch):
    change(project, ("bias: true", "bias: false"))
    before = (project / "convcost.lock").read_text()

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    result = run("check", "--update")
    assert (result.status, result.out) == (1, "")
    assert "Aborted" in result.err
    assert (project / "convcost.lock").read_text() == before
    assert sorted(os.listdir(project)) == [".git", "convcost.lock", "convcost.toml", "net.yaml"]


def test_an_update_of_what_cannot_be_read_keeps_its_entry(run, project):
    before = (project / "convcost.lock").read_text()
    change(project, ("flatten", "flaten"))
    result = run("check", "--update")
    assert result.status == 2
    assert (project / "convcost.lock").read_text() == before


@pytest.mark.parametrize(
    "settings",
    ['source = ["net.yaml", "lenet5"]\n', 'sources = ["net.yaml", 5]\n', 'sources = ["net.yaml", "no/*.yaml"]\n'],
)
def test_an_update_with_mistakes_in_the_settings_takes_nothing_out(run, project, settings):
    (project / "convcost.toml").write_text('sources = ["net.yaml", "lenet5"]\n')
    assert run("check", "--update").status == 0
    before = (project / "convcost.lock").read_text()
    (project / "convcost.toml").write_text(settings)
    assert run("check", "--update").status == 2
    assert (project / "convcost.lock").read_text() == before
    (project / "convcost.toml").write_text(CONFIG)
    assert run("check", "--update").status == 0
    assert "[lenet5]" not in (project / "convcost.lock").read_text()


def test_an_update_without_a_change_writes_nothing(run, project):
    stamp = os.stat(project / "convcost.lock").st_mtime_ns
    assert "convcost.lock was up to date." in run("check", "--update").out
    assert os.stat(project / "convcost.lock").st_mtime_ns == stamp


# --- outputs


@pytest.fixture
def broken(project):
    change(project, ("{out_features: 4", "{out_features: 5"))
    (project / "convcost.toml").write_text(CONFIG + "[budgets]\nparams = 1\n")
    return project


def test_annotations(run, broken):
    result = run("check", "-f", "github")
    assert result.status == 1
    notes = [line for line in result.out.splitlines() if line.startswith("::")]
    assert notes[0].startswith("::error file=convcost.toml,line=3,col=1,title=convcost%3A net.yaml::params is ")
    line = SPEC[: SPEC.index("linear")].count("\n") + 1
    assert f"::error file=net.yaml,line={line},col=6,title=convcost%3A net.yaml::params " in result.out
    assert notes[-1].endswith("%0Achanged fc")


@pytest.mark.parametrize(
    ("top", "here", "file"), [(".", "nets", "nets/net.yaml"), (".", ".", "net.yaml"), ("nets", ".", "net.yaml")]
)
def test_annotations_count_from_the_top_of_the_repository(run, broken, monkeypatch, top, here, file):
    """GitHub looks for files there, wherever the command runs; a folder elsewhere is left as it is."""
    (broken / "nets").mkdir()
    monkeypatch.setenv("GITHUB_WORKSPACE", str(broken / top))
    if here != ".":
        for name in ("net.yaml", "convcost.toml", "convcost.lock"):
            (broken / name).rename(broken / here / name)
        monkeypatch.chdir(broken / here)
    assert f"::error file={file}," in run("check", "-f", "github").out


def test_annotations_of_settings_in_an_outer_folder(run, broken, monkeypatch):
    (broken / "nets").mkdir()
    monkeypatch.chdir(broken / "nets")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(broken))
    assert "::error file=convcost.toml,line=3" in run("check", "-f", "github").out


def test_junit(run, broken):
    root = ET.fromstring(run("check", "-f", "junit").out)
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("1", "1", "0")
    (case,) = root.iter("testcase")
    assert (case.get("name"), case.get("file"), case.get("line")) == ("net.yaml", "convcost.toml", "1")
    assert {x.get("type") for x in case.iter("failure")} == {"budget", "lock"}
    assert "changed fc: out_features 4 -> 5" in "".join(x.text or "" for x in case.iter("failure"))


def test_json(run, broken):
    found = json.loads(run("check", "-f", "json").out)
    assert (found["schema"], found["exit_status"], found["lock"]) == (1, 1, "convcost.lock")
    (source,) = found["sources"]
    assert source["figures"]["params"] == PARAMS + 8 * 64 + 1
    (locked,) = [x for x in source["findings"] if x["quantity"] == "macs" and x["kind"] == "lock"]
    assert locked["found"] - locked["allowed"] == 8 * 64
    (layer,) = locked["changes"]
    assert layer["fields"] == [{"field": "out_features", "before": "4", "after": "5"}]


def test_markdown_and_the_summary_of_a_job(run, broken, monkeypatch):
    summary = broken / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    out = run("check", "-f", "markdown").out
    assert "| changed | fc | out\\_features 4 -\\> 5 | +513 | +512 |" in out
    assert summary.read_text() == f"before\n## convcost check\n\n{out}\n"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(broken / "no" / "where"))
    assert run("check").status == 2


def test_several_reports_in_one_run(run, broken):
    result = run("check", "--report", "junit=out.xml", "--report", "json=out.json", "-o", "out.txt")
    assert (result.status, result.out) == (1, "")
    assert ET.parse(broken / "out.xml").getroot().get("failures") == "1"
    assert json.loads((broken / "out.json").read_text())["exit_status"] == 1
    assert "1 differs" in (broken / "out.txt").read_text()
    wrong = run("check", "--report", "html=x")
    assert wrong.status == 2
    assert "'html=x' is not FORMAT=FILE with a format of table, markdown, json, github, junit" in wrong.err


def test_many_sources_are_counted(run, project):
    names = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "vgg11", "vgg13", "vgg16", "vgg19",
             "alexnet", "zfnet", "googlenet", "densenet121", "densenet161", "densenet169", "densenet201", "unet",
             "squeezenet1_0", "squeezenet1_1", "mobilenet_v2", "lenet5"]  # fmt: skip
    (project / "convcost.toml").write_text(f"sources = {json.dumps(names)}\n")
    run("check", "--update")
    assert run("check").out == "21 of 21 sources ok.\n"
    assert "resnet18" in run("check", "--verbose").out
