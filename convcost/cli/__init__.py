"""The command line: one thin file per command, imported when it is called."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line; every error convcost raises on purpose becomes one message and exit status 2."""
    # What a command makes lives until its end: looking for garbage in it, also at the end, takes a tenth of the run.
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
