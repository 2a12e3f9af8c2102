"""Options whose values are the names of a table. The table is read when an option is parsed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any

import click

from ..errors import nearest

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class OneOf(click.ParamType):  # type: ignore[type-arg]
    """A name from a table that may grow at run time: ``known()`` returns the names.

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
                self.fail(f"{word!r} is not one of {', '.join(map(repr, known))}{nearest(word, known)}", param, ctx)
        return words if self.several else words[0]

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """``[float32|float16]``."""
        return f"[{'|'.join(self.known())}]"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names with this prefix."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(word) for word in self.known() if word.startswith(incomplete)]


class Listing(click.Option):
    """An option whose help lists the names of its type in place of ``{known}``."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The help entry of the option."""
        record = super().get_help_record(ctx)
        assert isinstance(self.type, OneOf)
        return record and (record[0], record[1].replace("{known}", ", ".join(self.type.known())))
