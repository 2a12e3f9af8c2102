"""Where graphs come from: shipped names, spec files, graphs as JSON, and PyTorch modules."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import MissingExtraError, SourceError, UsageError, Where, nearest
from ..graph import Graph
from ..spec.build import compiled_text, graph_from_spec, graph_from_text
from ..spec.nodes import Spec
from ..yaml_reader import MAX_BYTES
from . import shipped

__all__ = ["graph_from_text", "load", "load_shipped"]

SUFFIXES = (".yaml", ".yml")
JSON = ".json"
InputSize = Sequence[int] | Mapping[str, Sequence[int]]
_SCHEMES = ("torchvision:", "timm:")
_FACTORY = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*\Z")


def load(
    source: str | os.PathLike[str],
    batch: int | None = None,
    input_size: InputSize | None = None,
    train: bool = False,
) -> Graph:
    """The graph of a SOURCE.

    Args:
        source: ``torchvision:NAME``, ``timm:NAME``, ``git:REV:PATH`` (a spec in a git revision); an existing spec
            file (``net.yaml``, ``net.yaml@variant``); a graph's JSON as ``export`` writes it, or a file that holds one
            as its ``network`` (``net.json``); the name of a shipped network (``vgg16``); ``package.module:factory``,
            a PyTorch module or what makes one.
        batch, input_size, train: what a PyTorch module is captured with, since a capture holds for one input in one
            mode. A graph from a spec holds for all: give these to ``analyze``.

    Raises:
        SourceError: there is no such file, network or module; the message has the nearest spelling.
        SpecError: the file has mistakes; the message has the place of each.
        UsageError: the JSON of a module that was captured with another batch or input, or not as it trains.
        MissingExtraError: the source is a PyTorch module, and torch (or torchvision, timm) is not installed.
    """
    text = os.fspath(source)
    path, variant = text, ""
    if text.startswith(_SCHEMES):
        return _captured(text, batch, input_size, train)
    if text.startswith("git:"):
        from .git import committed

        committed_bytes, file, variant = committed(text)
        if is_json(file):
            return _from_json(committed_bytes, file, variant, batch, input_size, train)
        return graph_from_text(_decoded(committed_bytes, file), file, variant or None)
    if "@" in text and not os.path.exists(text):
        path, _, variant = text.rpartition("@")
    if os.path.exists(path) and not os.path.isdir(path):
        if is_json(path):
            from .graph_json import MAX_JSON_BYTES

            return _from_json(_bytes(path, MAX_JSON_BYTES), path, variant, batch, input_size, train)
        return graph_from_text(_read(path), path, variant or None)
    if os.sep not in text and not path.endswith((*SUFFIXES, JSON)):
        found = shipped.find(text)
        if found is not None:
            content, file, chosen = found
            return graph_from_text(content, os.path.basename(file), chosen)
    if _FACTORY.match(text):
        return _captured(text, batch, input_size, train)
    if os.path.isdir(path):
        raise SourceError(f"{path} is a directory; name a spec file in it")
    raise SourceError(_not_found(text, path))


def load_document(
    document: Mapping[str, Any], file: str, batch: int | None = None, input_size: InputSize | None = None,
    train: bool = False,
) -> Graph:  # fmt: skip
    """The graph in a JSON document that was read already, such as a saved profile.

    Args:
        file: how to call it in errors.
        batch, input_size, train: as for ``load``.

    Raises:
        SourceError, SpecError, UsageError: as for ``load``.
    """
    from .graph_json import graph_of

    return _as_captured(graph_of(document, file), file, batch, input_size, train)


def is_json(source: str) -> bool:
    """True for what is read as JSON, whatever made the graph in it."""
    return source.endswith(JSON)


def _from_json(
    content: bytes, file: str, variant: str, batch: int | None, input_size: InputSize | None, train: bool
) -> Graph:
    """The graph of a JSON text."""
    from .graph_json import graph_from_json, holds_spec

    if holds_spec(content):
        return graph_from_text(_decoded(content, file), file, variant or None)
    if variant:
        raise SourceError(f"{file}: a graph's JSON has no variants, so @{variant} means nothing")
    return _as_captured(graph_from_json(content, file), file, batch, input_size, train)


def _as_captured(graph: Graph, file: str, batch: int | None, input_size: InputSize | None, train: bool) -> Graph:
    """The graph, if it is free or was captured as it is asked for: at this batch, with this input, in this mode."""
    if graph.batch_free:
        return graph
    if train and graph.mode == "eval":
        raise UsageError(f"{file} was captured in eval mode; capture the module again to see how it trains")
    shapes = {name: tensor.shape for name, tensor in graph.inputs}
    own = next(iter(shapes.values()), ())
    sizes = input_size if isinstance(input_size, Mapping) else dict.fromkeys([*shapes][:1], input_size)
    other = batch not in (None, *own[:1]) or any(
        size is not None and tuple(size) != shapes.get(name, ())[1:] for name, size in sizes.items()
    )
    if other:
        shown = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
        raise UsageError(
            f"{file} holds a module as it was captured, for {shown}; capture the module again for another batch "
            "or input"
        )
    return graph


def _captured(source: str, batch: int | None, input_size: InputSize | None, train: bool) -> Graph:
    try:
        from .model_zoo import capture_source
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError(
            f'{source} is a PyTorch module, and torch is not installed: pip install "convcost[torch]"'
        ) from None
    return capture_source(source, batch, input_size, train)


def load_shipped() -> dict[str, Graph]:
    """Every shipped network by name; each file is read once."""
    graphs: dict[str, Graph] = {}
    for path in shipped.files():
        name = os.path.basename(path)
        spec = compiled_text(shipped.text_of(path), name)
        for variant in spec.variants or (None,):
            graphs[variant or spec.name] = graph_from_spec(spec, variant)
    return graphs


def compiled(path: str) -> Spec:
    """A spec file, read once however many of its variants are asked for.

    Raises:
        SourceError: it cannot be read.
        SpecError: it has mistakes.
    """
    return compiled_text(_read(path), path)


def _read(path: str) -> str:
    return _decoded(_bytes(path, MAX_BYTES), path)


def _bytes(path: str, limit: int) -> bytes:
    """A file, and one byte more than the limit if it is larger."""
    try:
        with open(path, "rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None


def _decoded(content: bytes, path: str) -> str:
    if len(content) > MAX_BYTES:
        raise SourceError(f"{path}: the file is larger than 1 MiB, the limit of a spec")
    if b"\0" in content:
        raise SourceError(f"{path} is a binary file, not a spec")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        where = Where(path, before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise SourceError(f"{where}: the file is not UTF-8 text") from None


def _not_found(text: str, path: str) -> str:
    if os.sep in text or path.endswith((*SUFFIXES, JSON)):
        beside = os.path.dirname(path) or "."
        try:
            near = nearest(os.path.basename(path), os.listdir(beside))
        except OSError:
            near = ""
        return f"there is no file {path}{near}"
    known = [name for name, _, _ in shipped.shipped()]
    return f"there is no file and no architecture called {text!r}{nearest(text, known)} (convcost list shows them all)"
