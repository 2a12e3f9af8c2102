"""Documents (sentences, tables and curves) made from records. One module for each kind of record.

To show a new kind of record in notebooks, add a module and an entry in ``DOCUMENTS``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from ..sheet import Document


def _made_by(module: str, function: str, several: bool = False) -> Callable[[Any], Document]:
    """A function of this package, imported when it is called. ``several``: it takes a list of records."""

    def document(record: Any) -> Document:
        make: Callable[[Any], Document] = getattr(import_module(f".{module}", __name__), function)
        return make([record] if several else record)

    return document


DOCUMENTS: dict[str, Callable[[Any], Document]] = {
    "Report": _made_by("analysis", "summary_document"),
    "Comparison": _made_by("comparison", "comparison_document"),
    "Diff": _made_by("difference", "difference_document"),
    "Memory": _made_by("memory", "memory_document"),
    "Fit": _made_by("fit", "fit_document", several=True),
    "Roofline": _made_by("roofline", "roofline_document"),
    "Profile": _made_by("profile", "profile_document"),
    "Validation": _made_by("validation", "validation_document", several=True),
}
"""The function that makes the document of a record, by the name of the record's class."""


def document_of(record: Any) -> Document:
    """The document that a notebook shows for a record of the Python API."""
    return DOCUMENTS[type(record).__name__](record)
