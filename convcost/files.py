"""Reads files up to a size limit, writes files atomically, and checks that a folder is writable."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from .errors import SourceError, Where


def content_of(path: str, limit: int) -> bytes:
    """Read a file, up to ``limit`` bytes and one more, from which ``decoded`` recognises a file that is too large.

    Raises:
        SourceError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read(limit + 1)
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None


def decoded(content: bytes, file: str, what: str, limit: int) -> str:
    """Decode UTF-8 text, with or without a byte order mark.

    Args:
        content: the bytes, from ``content_of``.
        file: the name of the file, for messages.
        what: what the file should contain, for messages, such as "a spec".
        limit: the largest size in bytes.

    Raises:
        SourceError: the content is larger than the limit, or is not UTF-8; the message has the position.
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
def atomic_write(path: str) -> Iterator[IO[str]]:
    """Open a text file (UTF-8) that replaces ``path`` atomically when the block ends without an exception.

    A device or a pipe at ``path`` is written to directly.

    Raises:
        OSError: the file cannot be written. An existing file is left unchanged.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "w", encoding="utf-8") as device:
            yield device
        return
    import tempfile  # imported here because it takes 4 ms, and most commands write no file

    target = os.path.realpath(path)
    # In the folder of the target, because os.replace is atomic only within one file system.
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
    """Check that files can be created in a folder, before the long computation whose results they hold.

    Args:
        path: the folder.
        new: the folder may be missing if it can be created.

    Raises:
        OSError: files cannot be created there.
    """
    folder = os.path.abspath(path)
    while new and not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        code = errno.ENOTDIR if os.path.lexists(folder) else errno.ENOENT
        raise OSError(code, os.strerror(code), folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), folder)
