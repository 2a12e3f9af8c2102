"""Where people already are: pre-commit, GitHub Actions, shells; and this repository's own lock."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from convcost.sources import shipped

ROOT = Path(__file__).resolve().parent.parent
SPEC = "name: net\ninput: [3, 8, 8]\nlayers:\n  - conv2d: {out_channels: 4, kernel_size: 1}\n"


@pytest.fixture
def environment(tmp_path):
    """What a process needs so that ``convcost`` and ``python`` are these."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, arguments in (("convcost", "-m convcost "), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments}"$@"\n')
        (programs / name).chmod(0o755)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "_CONVCOST"))}
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "net.yaml").write_text(SPEC)
    (folder / "convcost.toml").write_text('sources = ["net.yaml", "lenet5"]\n')
    return folder


def bash(script, environment, folder, **more):
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=folder, env={**environment, **more},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


# --- this repository


def test_the_lock_of_this_repository(environment):
    """Every shipped network is in it, and costs what it says: the same command as in CI."""
    done = bash("convcost check", environment, ROOT)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    names = re.findall(r"^\[.*?(?:@(\w+))?\]$", (ROOT / "convcost.lock").read_text("utf-8"), re.MULTILINE)
    assert len(names) == len(list(shipped.shipped()))
    assert {name for name in names if name} <= {name for name, _, _ in shipped.shipped()}


def test_ci_checks_the_lock():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    assert {"uses": "./"} in workflow["jobs"]["lock"]["steps"]
    assert "\nconvcost check\n" in (ROOT / ".ci" / "run").read_text("utf-8")


# --- pre-commit


def test_the_hook(environment, project):
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert (hook["id"], hook["language"], hook["pass_filenames"]) == ("convcost-check", "python", False)
    for name in ("net.yaml", "nets/net.yml", "convcost.toml", "convcost.lock", "pyproject.toml", "a/model.py"):
        assert re.search(hook["files"], name), name
    assert not re.search(hook["files"], "README.md")
    assert bash(f"{hook['entry']} --update", environment, project).returncode == 0
    assert bash(hook["entry"], environment, project).returncode == 0
    (project / "net.yaml").write_text(SPEC.replace("4", "5"))
    broken = bash(hook["entry"], environment, project)
    assert broken.returncode == 1
    assert "out_channels 4 -> 5" in broken.stdout


def test_pre_commit_takes_the_manifest(environment):
    if shutil.which("pre-commit") is None:
        pytest.skip("pre-commit is not installed")
    done = bash("pre-commit validate-manifest .pre-commit-hooks.yaml", environment, ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


# --- the action


def steps():
    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    assert action["runs"]["using"] == "composite"
    return action["inputs"], {step["name"]: step for step in action["runs"]["steps"]}


def test_inputs_of_the_action_are_used():
    inputs, found = steps()
    used = set(re.findall(r"inputs\.([\w-]+)", str(found)))
    assert used == set(inputs)
    assert all(step["shell"] == "bash" for step in found.values())


def test_the_check_of_the_action(environment, project):
    """Its own script, run as GitHub runs it."""
    script = steps()[1]["convcost check"]["run"]
    bash("convcost check --update", environment, project)
    summary = project / "summary.md"
    keys = {"CONFIG": "", "JUNIT": "", "GITHUB_STEP_SUMMARY": str(summary)}
    assert bash(script, environment, project, **keys).returncode == 0
    assert "2 of 2 sources ok" in summary.read_text()
    (project / "net.yaml").write_text(SPEC.replace("kernel_size: 1", "kernel_size: 3"))
    broken = bash(script, environment, project, **{**keys, "CONFIG": "convcost.toml", "JUNIT": "out.xml"})
    assert broken.returncode == 1
    assert "::error file=net.yaml,line=4,col=5,title=convcost%3A net.yaml::params 16 -> 112 (+96)" in broken.stdout
    assert 'failures="1"' in (project / "out.xml").read_text()
    assert "| changed |" in summary.read_text()


@pytest.mark.parametrize(("version", "wanted"), [("", "HERE"), ("==0.1.0", "convcost==0.1.0")])
def test_what_the_action_installs(environment, project, version, wanted):
    script = steps()[1]["Install convcost"]["run"].replace("python -m pip", "echo")
    done = bash(script, environment, project, VERSION=version, HERE="HERE")
    assert done.stdout.split()[-1] == wanted


# --- completion


def completed(environment, folder, shell, words):
    line = " ".join(words)
    keys = {"_CONVCOST_COMPLETE": f"{shell}_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    if shell == "fish":
        keys["COMP_CWORD"] = words[-1]
    return bash("convcost", environment, folder, **keys).stdout


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["convcost", "com"], {"compare"}),
        (["convcost", "analyze", "vgg1"], {"vgg11", "vgg16", "vgg19"}),
        (["convcost", "compare", "vgg16", "resnet15"], {"resnet152"}),
        (["convcost", "explain", "torchv"], {"torchvision:"}),
        (["convcost", "compare", "gi"], {"git:"}),
        (["convcost", "analyze", "vgg16", "--format", "j"], {"json"}),
        (["convcost", "check", "--format", "j"], {"json", "junit"}),
        (["convcost", "check", "net"], {"net.yaml"}),
        (["convcost", "compare", "vgg16", "--gpu", "rtx"], {"rtx3090", "rtx4090"}),
        (["convcost", "fit", "vgg16", "--gpu", "h2"], {"h200"}),
    ],
)
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(environment, project, shell, words, expected):
    # zsh wants colons escaped.
    found = set(re.split(r"[\s,]+", completed(environment, project, shell, words).replace("\\", "")))
    assert expected <= found


def test_completion_of_variants(environment, project):
    shutil.copy(Path(shipped.folder()) / "resnet.yaml", project)
    found = completed(environment, project, "bash", ["convcost", "analyze", "resnet.yaml@resnet1"])
    assert {line.partition(",")[2] for line in found.splitlines()} >= {"resnet.yaml@resnet18", "resnet.yaml@resnet101"}


def test_completion_in_a_real_bash(environment, project):
    """The line of the documentation, and then what the Tab key does."""
    script = """
        compopt() { :; }
        eval "$(_CONVCOST_COMPLETE=bash_source convcost)"
        complete -p convcost
        COMP_WORDS=(convcost analyze resnet15); COMP_CWORD=2
        _convcost_completion convcost resnet15 analyze
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    done = bash(script.replace("\n        ", "\n"), environment, project)
    assert "resnet152" in done.stdout.split(), done.stdout + done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script(environment, project, shell):
    done = bash("convcost", environment, project, _CONVCOST_COMPLETE=f"{shell}_source")
    assert done.returncode == 0
    assert "convcost" in done.stdout


# --- the examples of the documentation


def example(marker):
    page = (ROOT / "docs" / "check.md").read_text("utf-8")
    match = re.search(rf"<!-- {marker} -->\n```yaml\n(.*?)```", page, re.DOTALL)
    assert match
    return yaml.safe_load(match.group(1))


def test_the_workflow_of_the_documentation():
    (job,) = example("workflow")["jobs"].values()
    (ours,) = [step for step in job["steps"] if "convcost" in step["uses"]]
    assert set(ours["with"]) <= set(steps()[0])
    ci = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    assert all(step["uses"] in ci for step in job["steps"] if step is not ours), "the versions that we use ourselves"


def test_the_hook_of_the_documentation():
    (repository,) = example("pre-commit")["repos"]
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    assert repository["hooks"] == [{"id": hook["id"]}]
