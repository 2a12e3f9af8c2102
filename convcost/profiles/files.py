"""Profiles as files: JSON with a version of its own."""

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
    """Write a profile, at once or not at all.

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
    """A profile that was saved, on any machine; it needs neither torch nor a GPU.

    Raises:
        SourceError: the file cannot be read, is no profile, or is of a newer version.
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
    """The profile in a file; None for any other file, by its first lines, and for one that cannot be read.

    Raises:
        SourceError: it is a profile with mistakes, or of a newer version.
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
    """A profile from a file's content; ``name`` is for errors."""
    if len(content) > MAX_BYTES:
        raise SourceError(f"{name}: the file is larger than {MAX_BYTES >> 20} MiB, the limit of a profile")
    try:
        found = msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SourceError(f"{name} is no JSON, or was cut off: {error}") from None
    if not isinstance(found, dict) or found.get("kind") != KIND:
        raise SourceError(f"{name} is no saved profile; convcost profile SOURCE --save FOLDER writes one")
    version = found.get("schema")
    if version != SCHEMA:
        if isinstance(version, int) and version > SCHEMA:
            raise SourceError(
                f"{name} has version {version}, which is newer than this convcost reads ({SCHEMA}); "
                "pip install -U convcost"
            )
        raise SourceError(f"{name} has version {version!r:.20}; there is only {SCHEMA}")
    try:
        profile = msgspec.convert(found, Profile)
    except (msgspec.ValidationError, RecursionError) as error:
        raise SourceError(f"{name} is not a complete profile: {error}") from None
    wrong = mistake(profile)
    if wrong:
        raise SourceError(f"{name} is not a complete profile: {wrong}")
    return profile


def file_name(name: str, device_name: str, started: str) -> str:
    """What a saved profile is called: the network, the device and the time, in letters that every system takes."""
    words = (name, device_name, started.replace(":", ""))
    return "-".join(_plain(word) for word in words if word) + ".json"


def _plain(word: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "-", word).strip("-.")[:60] or "network"
