"""Options shared by several commands (SOURCE, analysis, GPU, memory), and functions that evaluate them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..analysis import Report, analyze
from ..analysis.settings import MAX_SIZE
from ..errors import MissingExtraError, UsageError
from ..precision import PRECISIONS
from ..sources.load import completions, load, load_document
from .choices import OneOf

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..analysis.roofline import Roofline
    from ..profiles.profile import Profile

F = TypeVar("F", bound=Callable[..., Any])

_SIZE = re.compile(r"[0-9]{1,10}(?:x[0-9]{1,10}){,7}\Z")


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


class SourceType(click.ParamType):  # type: ignore[type-arg]
    """A SOURCE; with shell completion of shipped names, schemes and files."""

    name = "source"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Names and schemes with this prefix; the shell adds files."""
        from click.shell_completion import CompletionItem

        known = [CompletionItem(name, help=text) for name, text in completions(incomplete)]
        # Files first: click's script for bash drops the items before them.
        return [CompletionItem(incomplete, type="file"), *known]


SOURCE = SourceType()


class GpuName(click.ParamType):  # type: ignore[type-arg]
    """The name of a GPU, or a hardware file; with shell completion of shipped names."""

    name = "gpu"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Shipped GPUs with this prefix; the shell adds files."""
        from click.shell_completion import CompletionItem

        from ..hardware import shipped_gpus

        known = [CompletionItem(gpu.id, help=gpu.name) for gpu in shipped_gpus() if gpu.id.startswith(incomplete)]
        return [CompletionItem(incomplete, type="file"), *known]


GPU = GpuName()


def input_size(given: tuple[tuple[str | None, tuple[int, ...]], ...]) -> Any:
    """The values of ``--input`` as ``analyze`` takes them: a size, sizes by name, or None.

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
                     help="Data type; amp-* is mixed precision (autocast).  [default: float32]"),
        click.option("--input", "inputs", type=InputSize(), multiple=True, metavar="SIZE",
                     help="Input size without the batch: 3x256x256, or name=3x256x256 (repeatable)."),
        click.option("--batch", type=click.IntRange(1, MAX_SIZE), default=None, help="Batch size.  [default: 1]"),
    ):  # fmt: skip
        command = option(command)
    return command


def roofline_options(command: F) -> F:
    """``--gpu``, ``--tf32``: the roofline of a GPU."""
    for option in (
        click.option("--tf32/--no-tf32", "tf32", default=None,
                     help="Whether float32 may use TF32 tensor cores.  [default: in convolutions only, as PyTorch "
                          "does]"),
        click.option("--gpu", type=GPU, default=None, metavar="NAME",
                     help="Add the roofline: a lower bound of the time of each layer on this GPU (a name from convcost "
                          "list "
                          "--gpus, or a hardware file)."),
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
            raise UsageError("--tf32 and --no-tf32 apply to the roofline and need --gpu NAME")
        return None
    from ..analysis.roofline import roofline  # imported here because it loads the hardware files

    return roofline(report, gpu, tf32=tf32)


def memory_options(command: F) -> F:
    """``--optimizer``, ``--checkpoint``, ``--accumulate``: the options of a training step."""
    for option in (
        click.option("--accumulate", type=click.IntRange(1, MAX_SIZE), default=1, metavar="N",
                     help="Number of micro-batches whose gradients are accumulated before an optimizer step."),
        click.option("--checkpoint", is_flag=True,
                     help="Checkpoint every block: store its inputs only, and recompute it in the backward pass."),
        click.option("--optimizer", type=OneOf(optimizers), default=None,
                     help="Optimizer of the training step.  [default: adamw]"),
    ):  # fmt: skip
        command = option(command)
    return command


def optimizers() -> list[str]:
    """The names of all optimizers."""
    from ..analysis.memory.optimizers import OPTIMIZERS  # imported here because it loads the memory analysis

    return [*OPTIMIZERS]


def setup_of(train: bool, optimizer: str | None, checkpoint: bool, accumulate: int) -> dict[str, Any]:
    """How a network runs, as ``convcost.memory`` takes it.

    Raises:
        UsageError: options of training without ``--train``.
    """
    if not train and (optimizer or checkpoint or accumulate > 1):
        raise UsageError("--optimizer, --checkpoint and --accumulate apply to training and need --train")
    mode = "train" if train else "inference"
    return {"mode": mode, "optimizer": optimizer or "adamw", "checkpoint": checkpoint, "accumulate": accumulate}


def report_of(
    source: str, batch: int | None, inputs: Any, dtype: str | None, train: bool | None = None,
    profile: Profile | None = None,
) -> Report:  # fmt: skip
    """The report of a SOURCE with these options. A PyTorch module is captured with them.

    Args:
        profile: the saved profile that the source is, if it was already read.
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
    """Context in which a missing torch becomes an error message.

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
    """The saved profile at a SOURCE; None for other sources."""
    if not source.endswith(".json"):
        return None
    from ..profiles.files import profile_in

    return profile_in(source)


def option_words(
    batch: int | None, inputs: Any, dtype: str | None, train: bool, convention: str | None, gpu: str | None = None,
    tf32: bool | None = None,
) -> list[str]:  # fmt: skip
    """The options as command-line words, for the command that a page prints."""
    words = ["--batch", str(batch)] if batch is not None else []
    for name, size in inputs or ():
        words += ["--input", (f"{name}=" if name else "") + "x".join(map(str, size))]
    words += ["--dtype", dtype] if dtype else []
    words += ["--gpu", gpu] if gpu else []
    words += {None: [], True: ["--tf32"], False: ["--no-tf32"]}[tf32]
    words += ["--train"] if train else []
    return words + (["--convention", convention] if convention else [])
