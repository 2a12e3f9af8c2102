"""Options and helpers that several commands share."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, TypeVar

import click

from ..analysis import Report, analyze
from ..analysis.settings import MAX_SIZE
from ..errors import MissingExtraError, UsageError, nearest
from ..files import written
from ..precision import PRECISIONS
from ..sources.load import load, load_document
from ..units import STYLES

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..analysis.roofline import Roofline
    from ..profiles.profile import Profile

F = TypeVar("F", bound=Callable[..., Any])

_SIZE = re.compile(r"[0-9]{1,10}(?:x[0-9]{1,10}){,7}\Z")


class OneOf(click.ParamType):  # type: ignore[type-arg]
    """A word of a table that may grow after the command was made: ``known`` gives the words whenever they are needed.

    ``several``: words separated by commas, as a tuple without repetitions.
    """

    name = "word"

    def __init__(self, known: Callable[[], Collection[str]], several: bool = False) -> None:
        self.known = known
        self.several = several

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        words = value
        if isinstance(value, str):
            words = tuple(dict.fromkeys(word.strip() for word in value.split(","))) if self.several else (value,)
        known = self.known()
        for word in words:
            if word not in known:
                self.fail(f"{word!r} is not one of {', '.join(known)}{nearest(word, known)}", param, ctx)
        return words if self.several else words[0]

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """``[float32|float16]``."""
        return f"[{'|'.join(self.known())}]"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The words that begin so."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(word) for word in self.known() if word.startswith(incomplete)]


class Listing(click.Option):
    """An option whose help names the words that its type knows, in place of ``{known}``."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The option's line of the help."""
        record = super().get_help_record(ctx)
        assert isinstance(self.type, OneOf)
        return record and (record[0], record[1].replace("{known}", ", ".join(self.type.known())))


class InputSize(click.ParamType):  # type: ignore[type-arg]
    """``3x224x224`` or ``name=3x224x224``: a (name or None, sizes) pair."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, tuple):
            return value
        name, _, size = value.rpartition("=")
        if not _SIZE.match(size):
            self.fail(f"{value!r} is not a size without the batch, such as 3x224x224 or image=3x224x224", param, ctx)
        return name or None, tuple(map(int, size.split("x")))


class Source(click.ParamType):  # type: ignore[type-arg]
    """A SOURCE; a shell completes the names that ship, the schemes and files."""

    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names and schemes that begin so; the shell adds files."""
        from click.shell_completion import CompletionItem

        from ..sources.shipped import completions

        known = [CompletionItem(name, help=text) for name, text in completions(incomplete)]
        # The files first: click's script for bash forgets what stands before them.
        return [CompletionItem(incomplete, type="file"), *known]


SOURCE = Source()


class GpuName(click.ParamType):  # type: ignore[type-arg]
    """The name of a GPU, or a hardware file; a shell completes the names that ship."""

    name = "gpu"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """GPUs that ship and begin so; the shell adds files."""
        from click.shell_completion import CompletionItem

        from ..hardware import shipped_gpus

        known = [CompletionItem(gpu.id, help=gpu.name) for gpu in shipped_gpus() if gpu.id.startswith(incomplete)]
        return [CompletionItem(incomplete, type="file"), *known]


GPU = GpuName()


def input_size(given: tuple[tuple[str | None, tuple[int, ...]], ...]) -> Any:
    """What ``--input`` was given, as ``analyze`` takes it: sizes, sizes by name, or None.

    Raises:
        UsageError: several sizes without names, or one name twice.
    """
    if not given:
        return None
    if len(given) == 1 and given[0][0] is None:
        return given[0][1]
    names = [name for name, _ in given]
    if None in names or len(set(names)) != len(names):
        raise UsageError("several --input need a name each, such as --input image=3x224x224 --input tokens=128")
    return dict(given)


def analysis_options(command: F) -> F:
    """``--batch``, ``--input``, ``--dtype``: what is analysed."""
    for option in (
        click.option("--dtype", type=OneOf(lambda: PRECISIONS), default=None,
                     help="Precision; amp-* is autocast.  [default: float32]"),
        click.option("--input", "inputs", type=InputSize(), multiple=True, metavar="SIZE",
                     help="Another input size without the batch: 3x256x256, or name=3x256x256 (repeatable)."),
        click.option("--batch", type=click.IntRange(1, MAX_SIZE), default=None, help="Samples at once.  [default: 1]"),
    ):  # fmt: skip
        command = option(command)
    return command


def roofline_options(command: F) -> F:
    """``--gpu``, ``--tf32``: the roofline of a GPU."""
    for option in (
        click.option("--tf32/--no-tf32", "tf32", default=None,
                     help="Whether float32 may use TF32 tensor cores.  [default: in convolutions, as PyTorch]"),
        click.option("--gpu", type=GPU, default=None, metavar="NAME",
                     help="Add the roofline: the least time of each layer on this GPU of convcost list --gpus, or "
                          "hardware file of your own."),
    ):  # fmt: skip
        command = option(command)
    return command


def roofline_of(report: Report, gpu: str | None, tf32: bool | None) -> Roofline | None:
    """The roofline that ``--gpu`` and ``--tf32`` ask for, if they do.

    Raises:
        UsageError: ``--tf32`` without a GPU, an unknown GPU, or one without a rate for the report's dtype.
    """
    if gpu is None:
        if tf32 is not None:
            raise UsageError("--tf32 and --no-tf32 are about the roofline: give --gpu NAME too")
        return None
    from ..analysis.roofline import roofline  # with the hardware files, which only who asks for it pays

    return roofline(report, gpu, tf32=tf32)


def memory_options(command: F) -> F:
    """``--optimizer``, ``--checkpoint``, ``--accumulate``: how a training step is made."""
    for option in (
        click.option("--accumulate", type=click.IntRange(1, MAX_SIZE), default=1, metavar="N",
                     help="Micro-batches whose gradients are summed up before a step."),
        click.option("--checkpoint", is_flag=True, help="Blocks keep only their inputs and run again in backward."),
        click.option("--optimizer", type=OptimizerName(), default=None, help="The optimizer.  [default: adamw]"),
    ):  # fmt: skip
        command = option(command)
    return command


class OptimizerName(click.ParamType):  # type: ignore[type-arg]
    """The name of an optimizer; the help shows those of the table, a shell completes them.

    Args:
        timed: show only those that PyTorch can run.
    """

    name = "optimizer"

    def __init__(self, timed: bool = False) -> None:
        self.timed = timed

    def names(self) -> list[str]:
        """The names to choose from."""
        from ..analysis.memory.optimizers import OPTIMIZERS, timed_optimizers

        return timed_optimizers() if self.timed else [*OPTIMIZERS]

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """``[sgd|adam|...]``; click before 8.2 gives no context."""
        return f"[{'|'.join(self.names())}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from ..analysis.memory.optimizers import optimizer_of

        try:
            optimizer_of(value)
        except UsageError as error:
            self.fail(str(error), param, ctx)
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names that begin so."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in self.names() if name.startswith(incomplete)]


def setup_of(train: bool, optimizer: str | None, checkpoint: bool, accumulate: int) -> dict[str, Any]:
    """How a network runs, as ``convcost.memory`` takes it.

    Raises:
        UsageError: options of training without ``--train``.
    """
    if not train and (optimizer or checkpoint or accumulate > 1):
        raise UsageError("--optimizer, --checkpoint and --accumulate are about training: give --train too")
    mode = "train" if train else "inference"
    return {"mode": mode, "optimizer": optimizer or "adamw", "checkpoint": checkpoint, "accumulate": accumulate}


def report_of(
    source: str, batch: int | None, inputs: Any, dtype: str | None, train: bool | None = None,
    profile: Profile | None = None,
) -> Report:  # fmt: skip
    """The account of a SOURCE as these options ask for it. A PyTorch module is captured with them.

    Args:
        profile: the saved profile that the source is, if it was read already.
    """
    size = input_size(inputs)
    if profile is None:
        graph = load(source, batch, size, bool(train))
    else:
        graph = load_document(profile.network_document(), source, batch, size, bool(train))
    if graph.batch_free:
        return analyze(graph, batch, dtype, size, train)
    return analyze(graph, dtype=dtype, train=train)


@contextmanager
def torch_needed(command: str) -> Iterator[None]:
    """What imports torch for a command that cannot do without.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError(
            f'convcost {command} runs PyTorch, and torch is not installed: pip install "convcost[torch]"'
        ) from None


def profile_of(source: str) -> Profile | None:
    """The saved profile that a SOURCE is; None for any other source."""
    if not source.endswith(".json"):
        return None
    from ..profiles.files import profile_in

    return profile_in(source)


def not_to_a_terminal(output: str | None) -> None:
    """Five megabytes of HTML on a screen help nobody.

    Raises:
        UsageError: a page would be written to a terminal.
    """
    if output is None and sys.stdout.isatty():
        raise UsageError("a page is not for a terminal; name a file for it: -o page.html")


def option_words(
    batch: int | None, inputs: Any, dtype: str | None, train: bool, convention: str | None, gpu: str | None = None,
    tf32: bool | None = None,
) -> list[str]:  # fmt: skip
    """The options as they are typed."""
    words = ["--batch", str(batch)] if batch is not None else []
    for name, size in inputs or ():
        words += ["--input", (f"{name}=" if name else "") + "x".join(map(str, size))]
    words += ["--dtype", dtype] if dtype else []
    words += ["--gpu", gpu] if gpu else []
    words += {None: [], True: ["--tf32"], False: ["--no-tf32"]}[tf32]
    words += ["--train"] if train else []
    return words + (["--convention", convention] if convention else [])


def output_options(formats: tuple[str, ...]) -> Callable[[F], F]:
    """``--format``, ``--units``, ``--output``: how it is shown, and where."""

    def add(command: F) -> F:
        for option in (
            click.option("--output", "-o", type=click.Path(dir_okay=False), default=None,
                         help="Write to this file, at once or not at all."),
            click.option("--units", type=click.Choice(STYLES), default="iec", show_default=True,
                         help="KiB and MiB, kB and MB, or every digit."),
            click.option("--format", "-f", "format", type=click.Choice(formats), default=formats[0], show_default=True,
                         help="How it is shown."),
        ):  # fmt: skip
            command = option(command)
        return command

    return add


@contextmanager
def opened(path: str | None) -> Iterator[IO[str]]:
    """Standard output, or a file that appears complete or not at all.

    Raises:
        UsageError: it cannot be written.
        SystemExit: whoever read our output has closed it (`| head`): nothing is wrong, and nobody listens.
    """
    try:
        with _standard_output() if path is None else written(path) as file:
            yield file
    except BrokenPipeError:
        raise SystemExit(0) from None
    except OSError as error:
        name = "the output" if path is None else path or "to a file without a name"
        raise UsageError(f"cannot write {name}: {error.strerror}") from None


@contextmanager
def _standard_output() -> Iterator[IO[str]]:
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        # A terminal that cannot show a letter gets its code; it is no reason to stop.
        reconfigure(errors="backslashreplace")
    try:
        yield sys.stdout
        sys.stdout.flush()
    except OSError:
        # Python would try again to write what is left when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise
