"""Files: read up to a limit, and written so that they appear complete or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from .errors import SourceError, Where


def content_of(path: str, limit: int) -> bytes:
    """The bytes of a file, and one more than the limit if it is larger.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None


def decoded(content: bytes, file: str, what: str, limit: int) -> str:
    """UTF-8 text, with or without a byte order mark. ``file`` and ``what`` are how to call it in errors.

    Raises:
        SourceError: it is larger than ``limit`` bytes, or no such text; with the place.
    """
    if len(content) > limit:
        raise SourceError(f"{file}: the file is larger than {limit >> 20} MiB, the limit of {what}")
    if b"\0" in content:
        raise SourceError(f"{file} is a binary file, not {what}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        where = Where(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise SourceError(f"{where}: the file is not UTF-8 text") from None


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


def check_folder(path: str, new: bool = False) -> None:
    """Make sure that files can be made in a folder, before the work of which they are the result.

    Args:
        path: the folder. ``new``: it need not exist yet, if it can be made.

    Raises:
        OSError: they cannot.
    """
    found = os.path.abspath(path)
    while new and not os.path.lexists(found):
        found = os.path.dirname(found)
    if not os.path.isdir(found):
        code = errno.ENOTDIR if os.path.lexists(found) else errno.ENOENT
        raise OSError(code, os.strerror(code), found)
    if not os.access(found, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), found)
