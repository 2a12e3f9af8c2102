"""What every command keeps to: help, exit statuses, messages, files, pipes."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner

import convcost
from convcost.cli.group import COMMANDS, cli
from convcost.errors import SourceError
from convcost.render.formats import FORMATS, Format

BAD_SPEC = """name: bad
input: [3, 8, 8]
layers:
  - conv2d: {out_channels: 4, kernel_size: 3}
  - linear: 5
  - conv2d: {out_channels: 4, kernel_size: 3, strid: 2}
  - rlu
"""


# --- help


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(run, command, option):
    result = run(*command, option)
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith(f"Usage: convcost {' '.join(command)}".rstrip())
    for name in () if command else COMMANDS:
        assert f"  {name} " in result.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name):
    command = cli.get_command(None, name)
    assert command.help
    assert command.help.splitlines()[0].endswith(".")
    for parameter in command.params:
        if parameter.param_type_name == "option":
            assert parameter.help, parameter.name
            assert parameter.help.rstrip()[-1] in ".)]", parameter.help


def test_version(run):
    for option in ("--version", "-V"):
        assert run(option) == (0, f"convcost {convcost.__version__}\n", "")


def test_no_command_shows_help(run):
    result = run()
    assert result.status == 2
    assert "Usage: convcost" in result.out + result.err


# --- exit status and messages


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["analyse", "vgg16"], "No such command 'analyse'; did you mean 'analyze'?"),
        (["analyze"], "Missing argument 'SOURCE'"),
        (["analyze", "vgg61"], "no architecture called 'vgg61'; did you mean 'vgg"),
        (["analyze", "VGG16"], "did you mean 'vgg16'"),
        (["analyze", "no.yaml"], "there is no file no.yaml"),
        (["analyze", "."], ". is a directory; name a spec file in it"),
        (["analyze", "vgg16", "extra"], "unexpected extra argument"),
        (["analyze", "vgg16", "--btach", "2"], "No such option"),
        (["analyze", "vgg16", "--batch", "0"], "0 is not in the range 1<=x"),
        (["analyze", "vgg16", "--batch", "two"], "'two' is not a valid integer"),
        (["analyze", "vgg16", "--input", "3x"], "'3x' is not a size without the batch, such as 3x224x224"),
        (["analyze", "vgg16", "--input", "3,224,224"], "is not a size without the batch"),
        (["analyze", "vgg16", "--input", "3x224"], "has 3 dimensions (3x224x224), not 2 (3x224)"),
        (["analyze", "vgg16", "--input", "3x0x224"], "must be integers from 1 to"),
        (["analyze", "vgg16", "--input", "image=3x224x224"], "vgg16 has no input 'image' (inputs: input)"),
        (["analyze", "vgg16", "--input", "3x8x8", "--input", "3x9x9"], "several --input need a name each"),
        (["analyze", "vgg16", "--input", "3x10x10"], "layer 'pool4'"),
        (["analyze", "vgg16", "--columns", "macs,parms"], "did you mean 'params'"),
        (["analyze", "vgg16", "--columns", ""], "'' is not one of 'op', 'group'"),
        (["analyze", "vgg16", "--depth", "0"], "0 is not in the range x>=1"),
        (["analyze", "vgg16", "--top", "0"], "0 is not in the range x>=1"),
        (["analyze", "vgg16", "--sort", "mac"], "'mac' is not one of"),
        (["analyze", "vgg16", "--dtype", "int8"], "'int8' is not one of"),
        (["analyze", "vgg16", "--format", "xml"], "'xml' is not one of 'table', 'markdown', 'json', 'csv'"),
        (["analyze", "vgg16", "--units", "metric"], "'metric' is not one of 'iec', 'si', 'raw'"),
        (["analyze", "vgg16", "--convention", "mine"], "'mine' is not one of 'torch', 'fvcore', 'paper'"),
        (["analyze", "vgg16", "--format", "json", "--top", "3"], "--depth, --sort and --top apply to the table"),
        (["explain"], "explain needs a SOURCE, or --op"),
        (["explain", "vgg16", "conv9"], "vgg16 has no layer 'conv9'; did you mean 'conv"),
        (["explain", "vgg16", "conv1_1", "conv1_2"], "unexpected: 'conv1_2'"),
        (["explain", "--op", "conv2d"], "--op conv2d needs --input"),
        (["explain", "--op", "conv", "--input", "3x8x8"], "unknown op 'conv'"),
        (["explain", "--op", "conv2d", "--input", "3x8x8", "kernel_size=3"], "conv2d needs out_channels"),
        (["explain", "--op", "relu", "--input", "3x8x8", "inplace"], "'inplace' is not a field; write NAME=VALUE"),
        (["explain", "--op", "relu", "--input", "3x8x8", "inplace=1", "inplace=0"], "'inplace' is given twice"),
        (["explain", "vgg16", "--format", "csv"], "'csv' is not one of 'table', 'markdown', 'json'"),
        (["list", "--format", "yaml"], "'yaml' is not one of"),
    ],
)  # fmt: skip
def test_wrong_use_exits_with_2(run, arguments, message):
    """One message on standard error, nothing on standard output, no traceback."""
    result = run(*arguments)
    assert result.status == 2
    assert result.out == ""
    assert message in " ".join(result.err.split()) or message in result.err
    assert "Traceback" not in result.err


def test_every_mistake_of_a_spec_is_told_with_its_place(run, tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(BAD_SPEC, encoding="utf-8")
    result = run("analyze", str(path))
    assert (result.status, result.out) == (2, "")
    lines = result.err.splitlines()
    assert all(line.startswith(f"convcost: error: {path}:") for line in lines)
    assert len(lines) == 2, "the unknown field and the unknown op; what arrives is seen later"
    assert f"{path}:6:" in lines[0]
    assert "strid" in lines[0]
    assert "did you mean 'stride'" in lines[0]
    assert f"{path}:7:" in lines[1]
    assert "did you mean 'relu'" in lines[1]


def test_click_s_own_runner():
    """Without our ``main`` the errors are exceptions, which other programs can catch."""
    runner = CliRunner()
    fine = runner.invoke(cli, ["analyze", "lenet5", "--format", "csv"])
    assert fine.exit_code == 0
    assert fine.output.startswith("name,op,group")
    wrong = runner.invoke(cli, ["analyze", "lenet6"])
    assert isinstance(wrong.exception, SourceError)


def test_process_exit_statuses(shell):
    assert shell("convcost analyze lenet5").status == 0
    wrong = shell("convcost analyze lenet6")
    assert (wrong.status, wrong.out) == (2, "")
    assert wrong.err.startswith("convcost: error: there is no file and no architecture called 'lenet6'; did you mean")
    assert wrong.err.count("\n") == 1


# --- files


@pytest.mark.parametrize("format", ["table", "markdown", "json", "csv"])
def test_output_is_what_would_be_printed(run, tmp_path, format):
    printed = run("analyze", "lenet5", "--format", format)
    target = tmp_path / "report.txt"
    written = run("analyze", "lenet5", "--format", format, "--output", str(target))
    assert written == (0, "", "")
    assert target.read_text(encoding="utf-8") == printed.out
    assert os.listdir(tmp_path) == ["report.txt"]


@pytest.mark.parametrize("command", [["explain", "lenet5", "C1"], ["list", "lenet"]])
def test_other_commands_write_files(run, tmp_path, command):
    target = tmp_path / "out.md"
    assert run(*command, "-f", "markdown", "-o", str(target)) == (0, "", "")
    assert target.read_text(encoding="utf-8") == run(*command, "-f", "markdown").out


def test_nothing_is_left_when_the_analysis_fails(run, tmp_path):
    target = tmp_path / "report.txt"
    target.write_text("before", encoding="utf-8")
    result = run("analyze", "vgg16", "--input", "3x10x10", "--output", str(target))
    assert result.status == 2
    assert target.read_text(encoding="utf-8") == "before"
    assert os.listdir(tmp_path) == ["report.txt"]


def test_nothing_is_left_when_writing_fails(run, tmp_path, monkeypatch):
    """The disk is full half way: the old file stands, and no part of the new one."""
    target = tmp_path / "report.txt"
    target.write_text("before", encoding="utf-8")

    def full(document, out, units):
        out.write("half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(FORMATS, "table", Format("table", "document", full))
    result = run("analyze", "lenet5", "--output", str(target))
    assert (result.status, result.err) == (2, f"convcost: error: cannot write {target}: No space left on device\n")
    assert target.read_text(encoding="utf-8") == "before"
    assert os.listdir(tmp_path) == ["report.txt"]


def test_folders_that_cannot_be_written(run, tmp_path):
    missing = tmp_path / "no" / "report.txt"
    result = run("analyze", "lenet5", "-o", str(missing))
    assert (result.status, result.err) == (2, f"convcost: error: cannot write {missing}: No such file or directory\n")
    assert not missing.parent.exists()
    folder = run("analyze", "lenet5", "-o", str(tmp_path))
    assert folder.status == 2
    assert "is a directory" in folder.err
    if os.geteuid():
        tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
        denied = run("analyze", "lenet5", "-o", str(tmp_path / "report.txt"))
        assert denied.status == 2
        assert denied.err.endswith("Permission denied\n")


def test_a_written_file_has_the_usual_rights(run, tmp_path):
    target = tmp_path / "report.txt"
    mask = os.umask(0o027)
    try:
        run("analyze", "lenet5", "-o", str(target))
    finally:
        os.umask(mask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_links_and_devices_stay_what_they_are(run, tmp_path):
    """A link's target is replaced, not the link; a device is written to."""
    real, link, fifo = tmp_path / "real.csv", tmp_path / "link.csv", tmp_path / "pipe"
    real.write_text("before", encoding="utf-8")
    link.symlink_to(real)
    assert run("analyze", "lenet5", "-f", "csv", "-o", str(link)).status == 0
    assert link.is_symlink()
    assert real.read_text(encoding="utf-8").startswith("name,op")
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert run("analyze", "lenet5", "-f", "csv", "-o", str(fifo)).status == 0
        assert os.read(reader, 7) == b"name,op"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(fifo.stat().st_mode)


# --- pipes and terminals


@pytest.mark.parametrize(
    "command",
    [
        "analyze resnet1202_cifar --depth 3",
        "analyze resnet1202_cifar --depth 4 --format markdown",
        "analyze resnet1202_cifar --format json",
        "analyze resnet1202_cifar --format csv",
        "explain resnet152",
    ],
)
def test_a_closed_pipe_is_no_error(shell, command):
    """``| head -1``: more is printed than a pipe holds; no message, and no status that says something is wrong."""
    result = shell(f"convcost {command} | head -n 1")
    assert (result.status, result.err) == (0, "")
    assert len(result.out.splitlines()) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("where", ["> /dev/full", "--output /dev/full"])
def test_a_full_disk_is_one_message(shell, where):
    result = shell(f"convcost analyze lenet5 {where}")
    assert result.status == 2
    assert result.err.count("\n") == 1
    assert result.err.endswith("No space left on device\n")
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


def test_no_colour_when_piped(shell):
    assert "\x1b" not in shell("convcost analyze vgg16").out
    assert "\x1b" in shell("convcost analyze vgg16", FORCE_COLOR="1").out


def test_the_width_of_a_terminal_does_not_cut_what_is_piped(shell):
    assert shell("convcost analyze vgg16", COLUMNS="40").out == shell("convcost analyze vgg16").out


def test_results_and_messages_stay_apart(shell):
    result = shell("convcost analyze lenet5 --format json")
    assert result.err == ""
    assert json.loads(result.out)["schema"] == 1


def test_without_utf8(shell):
    """A terminal that knows only ASCII gets bars of #, and no traceback."""
    result = shell("convcost analyze lenet5", PYTHONIOENCODING="ascii", LC_ALL="C")
    assert (result.status, result.err) == (0, "")
    assert result.out.isascii()
    assert "#" in result.out


def test_a_title_beyond_the_terminal_s_letters(shell, tmp_path):
    path = tmp_path / "net.yaml"
    path.write_text("name: net\ntitle: Réseau → α\ninput: [3]\nlayers: [relu]\n", encoding="utf-8")
    for name in ("table", "markdown", "csv", "json"):
        result = shell(f"convcost analyze {path} -f {name}", PYTHONIOENCODING="ascii", LC_ALL="C")
        assert result.status == 0, result.err
        assert result.err == ""


def test_from_another_folder(shell, tmp_path):
    result = shell(f"cd {tmp_path} && convcost analyze lenet5 -f csv")
    assert result.status == 0
    assert result.out.startswith("name,op")


def test_a_file_beats_a_shipped_name(shell, tmp_path):
    """An existing file is tried first."""
    (tmp_path / "vgg16").write_text("name: mine\ninput: [3]\nlayers: [relu]\n", encoding="utf-8")
    result = shell(f"cd {tmp_path} && convcost analyze vgg16 -f json")
    assert json.loads(result.out)["architecture"]["name"] == "mine"


def test_readme_names_every_command():
    readme = (Path(convcost.__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    for name in COMMANDS:
        assert f"convcost {name}" in readme
