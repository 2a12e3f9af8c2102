"""SOURCE strings that name a spec in a git revision: ``git:REV:PATH``, ``git:HEAD~1:net.yaml@variant``."""

from __future__ import annotations

import os
import subprocess

from ..errors import SourceError, nearest


def committed(source: str) -> tuple[bytes, str, str]:
    """The content of a file in a revision, what to call it in messages, and the variant or "".

    REV and PATH are git's own: PATH counts from the top of the repository, ``./PATH`` from the current folder.

    Raises:
        SourceError: git is not installed, this is not a repository, or it has no such revision or file.
    """
    _, _, rest = source.partition(":")
    revision, colon, path = rest.partition(":")
    if not (revision and colon and path):
        raise SourceError(f"{source}: a spec in a revision is written git:REV:PATH, such as git:HEAD~1:net.yaml")
    if revision.startswith("-"):
        raise SourceError(f"{source}: {revision!r} is an option of git, not a revision")
    _git(source, "rev-parse", "--git-dir", failed="the current folder is not in a git repository")
    _git(
        source, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}",
        failed=f"git knows no revision {revision!r} here (a shallow clone has only the latest)",
    )  # fmt: skip
    variant = ""
    if "@" in path and not _exists(revision, path):
        path, _, variant = path.rpartition("@")
    if not _exists(revision, path):
        folder = os.path.dirname(path)
        listed = _run("ls-tree", "--name-only", f"{revision}:{folder}").stdout.decode(errors="replace").splitlines()
        near = nearest(os.path.basename(path), listed)
        raise SourceError(f"{source}: there is no file {path} in {revision}{near}")
    content = _git(source, "cat-file", "blob", f"{revision}:{path}", failed=f"{path} is no file in {revision}")
    return content, f"git:{revision}:{path}", variant


def _exists(revision: str, path: str) -> bool:
    return _run("cat-file", "-e", f"{revision}:{path}").returncode == 0


def _git(source: str, *arguments: str, failed: str) -> bytes:
    try:
        done = _run(*arguments)
    except FileNotFoundError:
        raise SourceError(f"{source}: git: sources need git, and git is not installed") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        # Git has reasons of its own, such as a folder that belongs to someone else: pass them on.
        more = f" (git: {said[0]})" if said and "not a git repository" not in said[0] else ""
        raise SourceError(f"{source}: {failed}{more}")
    return done.stdout


def _run(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], capture_output=True, check=False, stdin=subprocess.DEVNULL)
