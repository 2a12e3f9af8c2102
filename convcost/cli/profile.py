"""The command ``convcost profile``: measured times on a device."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ..analysis.settings import MAX_SIZE
from ..errors import UsageError
from ..files import check_folder
from ..precision import PRECISIONS
from ..profiles.runs import EXECUTIONS, LAYERS
from ..render.documents.profile import profile_document, profile_rows
from ..render.sheet import Document
from .choices import Listing, OneOf
from .options import SOURCE, InputSize, input_size, profile_of, torch_needed
from .output import output_options, write_output

if TYPE_CHECKING:
    from ..profiles.profile import Profile

INTERRUPTED = 130
"""Exit status of a command that Ctrl-C has stopped."""

SHOWN = ("source", "show", "depth", "plain", "verbose", "format", "units", "output")
"""Options that may be combined with ``--show``."""


class ProfileOutput(msgspec.Struct, frozen=True):
    """The output of the command; ``verbose``: the layers of all settings."""

    profile: Profile
    units: str
    depth: int | None
    plain: bool
    verbose: bool

    def document(self) -> Document:
        return profile_document(self.profile, self.units, self.depth, self.plain, self.verbose)

    def content(self) -> Profile:
        return self.profile

    def rows(self) -> Document:
        return profile_rows(self.profile)


def _timed() -> list[str]:
    from ..analysis.memory.optimizers import timed_optimizers

    return timed_optimizers()


class TimedOptimizer(OneOf):
    """An optimizer of PyTorch. Other names are refused by the profile with a reason."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value


class Batch(click.ParamType):  # type: ignore[type-arg]
    """``32``, ``1,8,64`` or ``auto``."""

    name = "batches"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        if value == "auto":
            return value
        if not re.fullmatch(r"[0-9]{1,10}(,[0-9]{1,10})*", value):
            self.fail(f"{value!r} is not a batch: use 32, or 1,8,64, or auto", param, ctx)
        batches = tuple(dict.fromkeys(map(int, value.split(","))))
        for batch in batches:
            if not 1 <= batch <= MAX_SIZE:
                self.fail(f"batch is {batch}; it must be 1 or more, and at most {MAX_SIZE:,}", param, ctx)
        return batches


@click.command("profile")
@click.argument("source", type=SOURCE)
@click.option("--device", default="cuda", show_default=True, metavar="DEVICE", help="cuda, cuda:1 or cpu.")
@click.option("--batch", type=Batch(), default="1", show_default=True, metavar="N[,N...]|auto",
              help="Batch size; several, separated by commas; or auto: doubled until the throughput saturates or "
                   "memory "
                   "runs out.")  # fmt: skip
@click.option("--input", "inputs", type=InputSize(), multiple=True, metavar="SIZE",
              help="Another input size without the batch: 3x256x256, or name=3x256x256 (repeatable).")  # fmt: skip
@click.option("--dtype", "dtypes", cls=Listing, type=OneOf(lambda: PRECISIONS, several=True), default="float32",
              show_default=True, metavar="NAME[,NAME...]",
              help="One or more precisions, separated by commas: {known}; amp-* is autocast.")  # fmt: skip
@click.option("--train", is_flag=True, help="Time training steps: forward, backward and optimizer.")
@click.option("--optimizer", type=TimedOptimizer(_timed), default=None,
              help="The optimizer of the training step.  [default: sgd]")  # fmt: skip
@click.option("--execution", type=OneOf(lambda: EXECUTIONS, several=True), default="eager", show_default=True,
              metavar="NAME[,NAME...]",
              help="How the network runs: eager, compile (torch.compile) or cuda_graph.")  # fmt: skip
@click.option("--channels-last", is_flag=True, help="Use the channels_last memory format for weights and inputs.")
@click.option("--tf32/--no-tf32", "tf32", default=None,
              help="Whether float32 convolutions and matrix products may use TF32.  [default: as PyTorch is "
                   "set]")  # fmt: skip
@click.option("--layers", type=click.Choice(LAYERS), default="in-place",
              show_default=True,
              help="Time layers within the network, each by itself, both, or not at all.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), default=3.0, show_default=True,
              help="Approximate time for each setting.")  # fmt: skip
@click.option("--save", "folder", type=click.Path(file_okay=False), default=None, metavar="FOLDER",
              help="Save the profile in this folder after each setting; compare, report and check can read "
                   "it.")  # fmt: skip
@click.option("--show", is_flag=True, help="Do not measure: show the saved profile SOURCE.")
@click.option("--depth", type=click.IntRange(min=1), default=None,
              help="Show blocks below this level as one row.  [default: so that the table has at most 60 "
                   "rows]")  # fmt: skip
@click.option("--plain", is_flag=True, help="Omit bars.")
@click.option("--verbose", "-v", is_flag=True, help="Show the layers of every setting, not only of the last one.")
@output_options(ProfileOutput)
def command(
    source: str, device: str, batch: Any, inputs: Any, dtypes: tuple[str, ...], train: bool, optimizer: str | None,
    execution: tuple[str, ...], channels_last: bool, tf32: bool | None, layers: str, seconds: float,
    folder: str | None, show: bool, depth: int | None, plain: bool, verbose: bool, format: str, units: str,
    output: str | None,
) -> None:  # fmt: skip
    """Time SOURCE on a device: whole passes, throughput, memory, and each layer next to its static cost.

    The network is built in PyTorch with random weights and runs on random inputs. After a warm-up it is timed with CUDA
    events (on a CPU, with a monotonic clock) until the median is known to 1%. The device's cache is overwritten before
    each iteration. Each layer's time is compared with the peak rates of the device, which are measured first.

    Exit status: 0; 1 if nothing could be measured; 2 for wrong use; 130 after Ctrl-C, with what had been measured.
    """
    if show:
        _check_shown(click.get_current_context())
        write_output(ProfileOutput(_saved(source), units, depth, plain, verbose), format, units, output)
        return
    if optimizer and not train:
        raise UsageError("--optimizer is about training: give --train too")
    _check_places(folder, output)
    saved: list[str] = []
    with _stoppable(), _progress() as told:
        found = _profile()(
            source, device, batch, dtypes, input_size=input_size(inputs), train=train, optimizer=optimizer or "sgd",
            execution=execution, channels_last=channels_last, tf32=tf32, layers=layers, seconds=seconds,
            progress=told, keep=_keeper(folder, saved),
        )  # fmt: skip
    write_output(ProfileOutput(found, units, depth, plain, verbose), format, units, output)
    if saved:
        print(f"saved: {saved[0]}", file=sys.stderr)
    if found.interrupted:
        raise SystemExit(INTERRUPTED)
    if not found.measured:
        raise SystemExit(1)


def _profile() -> Callable[..., Profile]:
    with torch_needed("profile"):
        from ..measure.profiling.profile import profile
    return profile


def _check_places(folder: str | None, output: str | None) -> None:
    """Refuse folders that cannot be written before minutes of work, not after them."""
    try:
        if folder is not None:
            check_folder(folder, new=True)
        if output is not None and (os.path.isfile(output) or not os.path.exists(output)):  # not a device or a pipe
            check_folder(os.path.dirname(os.path.realpath(output)))
    except OSError as error:
        raise UsageError(f"cannot write into {error.filename}: {error.strerror}") from None


@contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl-C before the first setting: nothing is kept, and the status is the same."""
    try:
        yield
    except KeyboardInterrupt:
        print("convcost: interrupted before anything was measured", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None


def _check_shown(context: click.Context) -> None:
    """Refuse options of a measurement beside ``--show``, which would be passed over."""
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is click.core.ParameterSource.COMMANDLINE
        if given and parameter.name not in SHOWN:
            raise UsageError(f"{parameter.opts[0]} is about measuring, and --show measures nothing; leave one out")


def _saved(source: str) -> Profile:
    if not os.path.exists(source) and source.endswith(".json"):
        raise UsageError(f"there is no file {source}")
    found = profile_of(source)
    if found is None:
        raise UsageError(f"{source} is no saved profile; --show shows what --save has written")
    return found


def _keeper(folder: str | None, saved: list[str]) -> Callable[[Profile], None] | None:
    """What saves the profile so far, in a file of its own."""
    if folder is None:
        return None
    from ..profiles.files import file_name, save

    def keep(found: Profile) -> None:
        if not saved:
            where = found.environment
            saved.append(_free(os.path.join(folder, file_name(found.name, where.device_name, where.started))))
        save(found, saved[0])

    return keep


def _free(path: str) -> str:
    """The path, or with a number if there is such a file: two GPUs of one name may begin in the same second."""
    stem, end = os.path.splitext(path)
    names = (path if number == 1 else f"{stem}-{number}{end}" for number in count(1))
    return next(name for name in names if not os.path.exists(name))


@contextmanager
def _progress() -> Iterator[Any]:
    """A bar on standard error with what is measured and the time left, if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description:44}"), BarColumn(20), TimeElapsedColumn(), TextColumn("left"),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def told(words: str, done: float | None) -> None:
            bar.update(task, description=words[:44], total=None if done is None else 1.0, completed=done or 0.0)

        yield told
