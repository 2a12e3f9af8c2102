"""The command line: one thin file per command, imported when it is called."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line; every error convcost raises on purpose becomes one message and exit status 2."""
    # What imports make lives until the end: looking for garbage in it takes a tenth of the whole run.
    gc.disable()
    from ..errors import ConvcostError, lines
    from .group import cli

    gc.freeze()
    gc.enable()
    try:
        cli(prog_name="convcost")
    except ConvcostError as error:
        print(lines(error), file=sys.stderr)
        sys.exit(2)
