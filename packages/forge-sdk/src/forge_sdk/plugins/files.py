"""Helpers for plugins that handle files: confined paths, sizes and digests."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Size in bytes and digest (`sha256:<hex>`) of a file."""

    size: int
    digest: str


def file_facts(path: Path) -> FileFacts:
    """Size and digest of `path`, read in pieces; blocking, so call it in a thread."""
    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return FileFacts(size, f"sha256:{digest.hexdigest()}")


def confined(base: Path, relative: str) -> Path:
    """The path `relative` below `base`, both free of links that lead out of `base`.

    Raises `ConfigurationError` for absolute paths, `..` and links that leave `base`.
    """
    path = PurePosixPath(relative)
    if path.is_absolute() or ".." in path.parts or "\x00" in relative:
        raise ConfigurationError(f"path {relative!r} must be relative and stay inside its folder")
    base = base.resolve()
    resolved = (base / path).resolve() if path.parts else base
    if not resolved.is_relative_to(base):
        raise ConfigurationError(f"path {relative!r} leads out of its folder through a link")
    return resolved


def copy_into(source: Path, staging: Path, name: str) -> Path:
    """Copy a regular file into the staging directory under `name`; raises `PlatformError` where it is none or the name is taken."""
    target = staging / name
    if not source.is_file():
        raise PlatformError(f"{source.name} was declared as an output but was not built", code=ErrorCode.OUTPUT_INVALID)
    if target.exists():
        raise PlatformError(f"two outputs are named {name!r}: give them different names", code=ErrorCode.OUTPUT_INVALID)
    shutil.copy2(source, target)
    return target
