"""A SOURCE string to a graph: a scheme, a file, a shipped name or a factory, tried in this order.

A new scheme is a row in ``schemes``; what a file may hold is decided in ``_from_content``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import MissingExtraError, SourceError, UsageError, nearest
from ..files import content_of, decoded
from ..graph import Graph
from ..spec.build import compiled_text, graph_from_spec, graph_from_text
from ..spec.nodes import Spec
from ..yaml_reader import MAX_BYTES
from . import shipped
from .schemes import SCHEMES, module_of, scheme_of

__all__ = ["graph_from_text", "load", "load_shipped"]

SUFFIXES = (".yaml", ".yml")
JSON = ".json"
InputSize = Sequence[int] | Mapping[str, Sequence[int]]
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
    scheme = scheme_of(text)
    if scheme is not None:
        if scheme.content is None:
            return _captured(text, batch, input_size, train)
        return _from_content(*scheme.content(text), batch, input_size, train)
    if "@" in text and not os.path.exists(text):
        path, _, variant = text.rpartition("@")
    if os.path.exists(path) and not os.path.isdir(path):
        return _from_content(_bytes(path), path, variant, batch, input_size, train)
    if os.sep not in text and not path.endswith((*SUFFIXES, JSON)):
        ships = shipped.find(text)
        if ships is not None:
            content, file, chosen = ships
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


def _from_content(
    content: bytes, file: str, variant: str, batch: int | None, input_size: InputSize | None, train: bool
) -> Graph:
    """The graph of a spec, or of a JSON text."""
    if is_json(file):
        from .graph_json import graph_from_json, holds_spec
    if not is_json(file) or holds_spec(content):
        return graph_from_text(decoded(content, file, "a spec", MAX_BYTES), file, variant or None)
    if variant:
        raise SourceError(f"{file}: a graph's JSON has no variants, so @{variant} means nothing")
    return _as_captured(graph_from_json(content, file), file, batch, input_size, train)


def _as_captured(graph: Graph, file: str, batch: int | None, input_size: InputSize | None, train: bool) -> Graph:
    """The graph, after making sure that a captured module is asked for as it was captured: batch, input, mode."""
    if graph.batch_free:
        return graph
    if train and graph.mode == "eval":
        raise UsageError(f"{file} was captured in eval mode; capture it again with module.train()")
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
        from .pytorch_module import capture_source
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError(
            f'{source} is a PyTorch module, and torch is not installed: pip install "convcost[torch]"'
        ) from None
    return capture_source(module_of(source), batch, input_size, train)


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
    return compiled_text(decoded(_bytes(path), path, "a spec", MAX_BYTES), path)


def completions(begun: str) -> Iterator[tuple[str, str]]:
    """(word, what it is) for every SOURCE that begins so and is no file: shipped names, schemes, variants of a file."""
    path, at, _ = begun.rpartition("@")
    if at and os.path.isfile(path):
        words = [(f"{path}@{name}", "variant") for name in shipped.names_in(shipped.text_of(path))]
    else:
        words = [(name, os.path.basename(file)) for name, file, _ in shipped.shipped()]
        words += [(f"{word}:", f"{scheme.about}: {scheme.form}") for word, scheme in SCHEMES.items()]
    return (each for each in words if each[0].startswith(begun))


def _bytes(path: str) -> bytes:
    if not is_json(path):
        return content_of(path, MAX_BYTES)
    from .graph_json import MAX_JSON_BYTES

    return content_of(path, MAX_JSON_BYTES)


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
