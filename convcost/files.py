"""Files that appear complete or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO


@contextmanager
def written(path: str) -> Iterator[IO[str]]:
    """A text file to write to, which replaces what was there in one step when it is complete.

    Raises:
        OSError: it cannot be written; what was there is still there.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        # A device or a pipe is written to, never replaced.
        with open(path, "w", encoding="utf-8") as device:
            yield device
        return
    import tempfile  # 4 ms that only who writes a file pays

    target = os.path.realpath(path)
    # Beside the target, so that replacing it is one atomic step on one file system.
    handle, partial = tempfile.mkstemp(dir=os.path.dirname(target), prefix=".convcost-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yield file
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(partial, 0o666 & ~mask)
        os.replace(partial, target)
    except BaseException:
        os.unlink(partial)
        raise
