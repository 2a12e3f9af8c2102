"""How records show themselves in a notebook."""

from __future__ import annotations


class Shown:
    """A record that a notebook shows as tables.

    The one look back from records to a renderer, since notebooks ask the record itself.
    """

    __slots__ = ()

    def _repr_html_(self) -> str:
        from .render.notebook import html

        return html(self)
