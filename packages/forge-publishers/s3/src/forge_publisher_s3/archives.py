"""Bounded reading of an artifact's archive: its files land under numbers, so no name in it is ever a path on this machine."""

import bz2
import gzip
import hashlib
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from forge_publisher_s3.tar import Readable, TarError, members
from forge_sdk.errors import ErrorCode, PlatformError

CHUNK = 1 << 20
MAX_DIRECTORY = 32 * 2**20
MAX_PATH = 512
_END = b"PK\x05\x06"
_END_LENGTH = 22
_MAX_COMMENT = 65_535
_ENCRYPTED = 0x1


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what an archive may hold."""

    files: int = 20_000
    file_bytes: int = 2 * 2**30
    total_bytes: int = 4 * 2**30


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file of an archive: its name there, where it lies now, its size and digest."""

    path: str
    location: Path
    size: int
    digest: str


def unpack(archive: Path, folder: Path, limits: Limits | None = None) -> list[Entry]:
    """Write the regular files of a tar (gzip, bzip2 or plain) or zip archive to `folder` and describe them. Blocking.

    Folders are skipped, a leading `./` is dropped. Raises `PlatformError` (`output_invalid`) that names the entry for absolute paths, `..`, links,
    devices, names given twice, encryption, damage, and for what is larger than `limits`.
    """
    bounds = limits or Limits()
    opened = _zip_files(archive, bounds) if zipfile.is_zipfile(archive) else _tar_files(archive, bounds)
    found: dict[str, Entry] = {}
    left = bounds.total_bytes
    with _damage_is_told(archive.name):
        for name, stream in opened:
            path = _checked(name)
            if path in found:
                _refuse(name, "is there twice")
            if len(found) >= bounds.files:
                _refuse(name, f"is one too many: at most {bounds.files} files are unpacked")
            entry = _write(stream, path, folder / str(len(found)), min(left, bounds.file_bytes))
            left -= entry.size
            found[path] = entry
    return list(found.values())


def _tar_files(archive: Path, limits: Limits) -> Iterator[tuple[str, Readable]]:
    with archive.open("rb") as file:
        start = file.read(3)
    opener = gzip.open if start.startswith(b"\x1f\x8b") else bz2.open if start == b"BZh" else open
    with opener(archive, "rb") as stream:
        for member in members(stream, limit=4 * limits.files):
            yield member.name, member


def _zip_files(archive: Path, limits: Limits) -> Iterator[tuple[str, Readable]]:
    _check_directory(archive, limits)
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            if member.is_dir():
                continue
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in {0, stat.S_IFREG}:
                _refuse(member.filename, "is a link or a device")
            if member.flag_bits & _ENCRYPTED or member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                _refuse(member.filename, "is encrypted or packed in a way that is not unpacked")
            with opened.open(member) as stream:
                yield member.filename, stream


def _check_directory(archive: Path, limits: Limits) -> None:
    """Zipfile reads the whole directory before anything else, so its size is looked at first."""
    with archive.open("rb") as file:
        file.seek(max(0, archive.stat().st_size - _END_LENGTH - _MAX_COMMENT))
        tail = file.read(_END_LENGTH + _MAX_COMMENT)
    end = tail[tail.rfind(_END) :]
    entries, size = int.from_bytes(end[10:12], "little"), int.from_bytes(end[12:16], "little")
    if len(end) < _END_LENGTH or entries > 2 * limits.files or size > MAX_DIRECTORY:
        _refuse(archive.name, f"holds too many entries, or its directory is damaged ({entries} entries, {size} bytes)")


def _write(stream: Readable, path: str, location: Path, limit: int) -> Entry:
    digest, size = hashlib.sha256(), 0
    with location.open("xb") as target:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            if size > limit:
                _refuse(path, f"makes the content larger than is unpacked ({limit} bytes left)")
            digest.update(chunk)
            target.write(chunk)
    return Entry(path, location, size, f"sha256:{digest.hexdigest()}")


def _checked(name: str) -> str:
    path = name
    while path.startswith("./"):
        path = path[2:]
    parts = path.split("/")
    if not path.isprintable() or "\\" in path or any(part in {"", ".", ".."} for part in parts):
        _refuse(name, "has a path that is absolute, leads out, or is no plain name")
    try:
        length = len(path.encode())
    except UnicodeEncodeError:
        length = MAX_PATH + 1
    if length > MAX_PATH:
        _refuse(name, f"has a path that is no UTF-8 or longer than {MAX_PATH} bytes")
    return path


@contextmanager
def _damage_is_told(name: str) -> Iterator[None]:
    try:
        yield
    except (TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise PlatformError(
            f"archive {name} can't be read: {type(error).__name__}: {error}", code=ErrorCode.OUTPUT_INVALID
        ) from error


def _refuse(name: str, why: str) -> NoReturn:
    raise PlatformError(f"entry {name[:200]!r} of the archive {why}", code=ErrorCode.OUTPUT_INVALID)
