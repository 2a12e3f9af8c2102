"""Profiles as JSON files: saving, reading and naming. The version of the format is ``profile.SCHEMA``."""

from __future__ import annotations

import os
import re

import msgspec

from ..errors import SourceError
from ..files import atomic_write
from .consistency import mistake
from .profile import KIND, SCHEMA, Profile

MAX_BYTES = 256 << 20


def save(profile: Profile, path: str) -> None:
    """Write a profile to ``path``. The file is replaced atomically, and missing folders are created.

    Raises:
        SourceError: the file cannot be written.
    """
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with atomic_write(path) as file:
            file.write(profile.to_json())
    except OSError as error:
        raise SourceError(f"cannot write {path}: {error.strerror}") from None


def load_profile(path: str | os.PathLike[str]) -> Profile:
    """Read a saved profile. This needs neither PyTorch nor a GPU.

    Raises:
        SourceError: the file cannot be read, is not a profile, or has a newer version.
    """
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SourceError(f"{name}: {error.strerror}") from None
    return from_bytes(content, name)


_KIND = re.compile(rb'"kind"\s*:\s*"profile"')


def profile_in(path: str) -> Profile | None:
    """The profile in a file; None if its first 512 bytes are not those of a profile, or if it cannot be read.

    Raises:
        SourceError: the file is a profile that is invalid or has a newer version.
    """
    if not path.endswith(".json"):
        return None
    try:
        with open(path, "rb") as file:
            content = file.read(512)
            if not _KIND.search(content):
                return None
            content += file.read(MAX_BYTES + 1 - len(content))
    except OSError:
        return None
    return from_bytes(content, path)


def from_bytes(content: bytes, name: str) -> Profile:
    """Parse a profile; ``name`` is the file name for messages. Raises as ``load_profile``."""
    if len(content) > MAX_BYTES:
        raise SourceError(f"{name}: the file is larger than {MAX_BYTES >> 20} MiB, the limit of a profile")
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SourceError(f"{name} is not valid JSON, or is truncated: {error}") from None
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise SourceError(f"{name} is not a saved profile; convcost profile SOURCE --save FOLDER writes one")
    version = document.get("schema")
    if version != SCHEMA:
        if isinstance(version, int) and version > SCHEMA:
            raise SourceError(
                f"{name} has version {version}, which is newer than this convcost reads ({SCHEMA}); "
                "pip install -U convcost"
            )
        raise SourceError(f"{name} has version {version!r:.20}; the only version is {SCHEMA}")
    try:
        profile = msgspec.convert(document, Profile)
    except (msgspec.ValidationError, RecursionError) as error:
        raise SourceError(f"{name} is not a complete profile: {error}") from None
    problem = mistake(profile)
    if problem:
        raise SourceError(f"{name} is inconsistent: {problem}")
    return profile


def file_name(name: str, device_name: str, started: str) -> str:
    """The file name of a profile: network, device and time, in characters that every file system allows."""
    words = (name, device_name, started.replace(":", ""))
    return "-".join(_plain(word) for word in words if word) + ".json"


def _plain(word: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "-", word).strip("-.")[:60] or "network"
