"""The command line: one thin module per command, imported when it is called."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line; a ``ConvcostError`` becomes one message and exit status 2."""
    # Objects of a command live until it ends, so garbage collection finds nothing and takes a tenth of the run.
    gc.set_threshold(100_000)
    from ..errors import ConvcostError, lines
    from .group import cli

    try:
        cli(prog_name="convcost")
    except ConvcostError as error:
        print(lines(error), file=sys.stderr)
        sys.exit(2)
    finally:
        gc.freeze()
