"""The command ``convcost validate``: static figures checked against PyTorch and fvcore."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ..errors import ConvcostError, UsageError
from ..render.documents.validation import validation_document
from ..render.sheet import Document
from ..sources import shipped
from ..version import __version__
from .options import SOURCE, analysis_options, input_size, torch_needed
from .output import output_options, write_output

if TYPE_CHECKING:
    from ..measure.validation.results import Validation


class ValidationOutput(msgspec.Struct, frozen=True):
    """What the command shows: the validation of each network; ``verbose``: every check and every difference."""

    validations: Sequence[Validation]
    verbose: bool

    @property
    def ok(self) -> bool:
        """Whether nothing differs without an explanation."""
        return all(each.ok for each in self.validations)

    def document(self) -> Document:
        return validation_document(self.validations, self.verbose)

    def content(self) -> dict[str, Any]:
        plain = [each.to_dict() for each in self.validations]
        return {"schema": 1, "convcost": __version__, "ok": self.ok, "validations": plain}

    rows = document


@click.command("validate")
@click.argument("sources", nargs=-1, metavar="SOURCE...", type=SOURCE)
@click.option("--all", "everything", is_flag=True, help="Validate every shipped architecture.")
@click.option("--device", default="meta", show_default=True, metavar="DEVICE",
              help="The device to run on: meta (shapes only), cpu, cuda or cuda:1.")  # fmt: skip
@analysis_options
@click.option("--train", is_flag=True, help="Run the network in training mode.")
@click.option("--verbose", "-v", is_flag=True, help="Show every check of every network, and every difference.")
@output_options(ValidationOutput)
def command(
    sources: tuple[str, ...], everything: bool, device: str, batch: int | None, inputs: Any, dtype: str | None,
    train: bool, verbose: bool, format: str, units: str, output: str | None,
) -> None:  # fmt: skip
    """Check the figures of each SOURCE against PyTorch, layer by layer.

    The network is built in PyTorch and run. Output shapes, parameters, buffers and memory of each layer must equal
    PyTorch's. Multiply-accumulates must equal those of torch.utils.flop_counter and fvcore, or differ exactly as their
    counting rules explain. If SOURCE is a PyTorch module, the module itself is run too and compared module by module.

    Exit status: 0 if nothing differs without an explanation, 1 otherwise.
    """
    names = _names(sources, everything)
    validations = _validated(names, device, batch, input_size(inputs), dtype, train)
    shown = ValidationOutput(validations, verbose)
    write_output(shown, format, units, output)
    if not shown.ok:
        raise SystemExit(2 if any(each.error for each in validations) else 1)


def _names(sources: tuple[str, ...], everything: bool) -> list[str]:
    if everything and sources:
        raise UsageError("--all stands for every architecture that ships; leave the names out")
    if not everything and not sources:
        raise UsageError("validate needs a SOURCE, or --all")
    return [name for name, _, _ in shipped.shipped()] if everything else list(dict.fromkeys(sources))


def _validated(
    names: Sequence[str], device: str, batch: int | None, size: Any, dtype: str | None, train: bool
) -> list[Validation]:
    """The record of each network. One that cannot be validated stops only itself, unless it is the only one."""
    with torch_needed("validate"):
        from ..measure.devices import device_of
        from ..measure.validation.validate import failed, validate
    device_of(device)
    found = []
    with _progress(len(names)) as advance:
        for name in names:
            advance(name)
            try:
                found.append(validate(name, device, batch, size, dtype, train))
            except ConvcostError as error:
                if len(names) == 1:
                    raise
                found.append(failed(name, device, error))
    return found


@contextmanager
def _progress(total: int) -> Iterator[Any]:
    """A bar on standard error while several networks run, if that is a terminal."""
    if total < 2 or not sys.stderr.isatty():
        yield lambda name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description:24}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        started = False

        def advance(name: str) -> None:
            nonlocal started
            bar.update(task, description=name[:24], advance=int(started))
            started = True

        yield advance
