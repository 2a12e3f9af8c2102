"""The settings of an analysis (batch size, input shapes, dtype, mode) and their validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ..errors import UsageError, nearest
from ..graph import Graph
from ..precision import Precision, precision_of
from ..tensor import COMPUTABLE, Tensor

MAX_SIZE = 10**9
"""The largest batch, and the largest side of an input."""

MANY = 1 << 64
"""A batch size above any figure: at it, ``divmod(figure, MANY)`` is the part per sample and the constant part."""

InputSize = Sequence[int] | Mapping[str, Sequence[int]]


class Settings(msgspec.Struct, frozen=True):
    """Batch size, shapes of the inputs (batch first), dtype as for ``analyze``, and mode ("eval" or "train")."""

    batch: int
    input_shapes: Mapping[str, tuple[int, ...]]
    dtype: str
    mode: str

    @property
    def precision(self) -> Precision:
        """The precision called ``dtype``."""
        return precision_of(self.dtype)

    @property
    def train(self) -> bool:
        """True in training mode."""
        return self.mode == "train"

    def input_tensors(self, graph: Graph) -> tuple[Tensor, ...]:
        """The inputs of ``graph`` at this batch and dtype."""
        stored = self.precision.stored
        return tuple(
            [
                Tensor(self.input_shapes[name], stored if tensor.dtype in COMPUTABLE else tensor.dtype)
                for name, tensor in graph.inputs
            ]
        )


def settings_of(
    graph: Graph, batch: int | None, dtype: str | None, input_size: InputSize | None, train: bool | None
) -> Settings:
    """Validate the arguments of ``analyze`` and fill in the defaults.

    Raises:
        UsageError: the batch, dtype or input size is invalid, or the mode is not that of the captured module.
    """
    dtype = dtype or graph.dtype or "float32"
    if train is None:
        train = graph.mode == "train"
    elif graph.mode is not None and train != (graph.mode == "train"):
        call = "module.train()" if train else "module.eval()"
        raise UsageError(f"{graph.about.name} was captured in {graph.mode} mode; capture it again after {call}")
    precision_of(dtype)
    shapes = _input_shapes(graph, batch, input_size)
    first = next(iter(shapes.values()), ())
    return Settings(first[0] if first else 1, shapes, dtype, "train" if train else "eval")


def _input_shapes(graph: Graph, batch: int | None, input_size: InputSize | None) -> dict[str, tuple[int, ...]]:
    allowed = isinstance(batch, int) and not isinstance(batch, bool) and (1 <= batch <= MAX_SIZE or batch == MANY)
    if batch is not None and not allowed:
        raise UsageError(f"the batch size must be an integer from 1 to {MAX_SIZE:,}, not {str(batch)[:40]}")
    if not graph.batch_free and (batch is not None or input_size is not None):
        raise UsageError(
            f"{graph.about.name} was captured at fixed shapes; capture it again for another batch or input size"
        )
    sizes = _sizes(graph, input_size)
    if not graph.batch_free:
        return {name: tensor.shape for name, tensor in graph.inputs}
    return {name: (batch or tensor.shape[0], *sizes.get(name, tensor.shape[1:])) for name, tensor in graph.inputs}


def _sizes(graph: Graph, input_size: InputSize | None) -> dict[str, tuple[int, ...]]:
    if input_size is None:
        return {}
    names = [name for name, _ in graph.inputs]
    if isinstance(input_size, str | int):
        raise UsageError(f"input_size must be a tuple without the batch, such as (3, 224, 224), not {input_size!r}")
    if not isinstance(input_size, Mapping):
        if len(names) != 1:
            raise UsageError(f"{graph.about.name} has {len(names)} inputs; specify sizes by name: {', '.join(names)}")
        input_size = {names[0]: input_size}
    for name, size in input_size.items():
        if name not in names:
            raise UsageError(
                f"{graph.about.name} has no input {name!r}{nearest(name, names)} (inputs: {', '.join(names)})"
            )
        declared = dict(graph.inputs)[name].shape[1:]
        if len(size) != len(declared):
            raise UsageError(
                f"the input {name!r} has {len(declared)} dimensions ({'x'.join(map(str, declared))}), "
                f"not {len(size)} ({'x'.join(map(str, size))})"
            )
        if any(not isinstance(side, int) or not 1 <= side <= MAX_SIZE for side in size):
            raise UsageError(f"the sizes of the input {name!r} must be integers from 1 to {MAX_SIZE:,}")
    return {name: tuple(size) for name, size in input_size.items()}
