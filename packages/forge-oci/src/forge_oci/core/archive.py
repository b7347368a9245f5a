"""Deterministic tar+gzip archives of rendered files: writing them.

Reading them, with the defences against hostile images, is in `forge_oci.core.unpack`.
"""

import zlib
from collections.abc import Mapping

from .errors import ArchiveError, Reason

# Fixed gzip header: deflate, no flags, no time, maximum compression, unknown operating system.
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
FILE_MODE = 0o644
MAX_PATH_BYTES = 1024


def write_archive(files: Mapping[str, bytes]) -> bytes:
    """Return a tar+gzip archive of `files` (relative path to content).

    Paths are sorted; times, owners and modes are fixed, so equal files give equal bytes (with one zlib
    implementation). Raises `ArchiveError` for paths that a reader would refuse.
    """
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(files):
            check_path(path)
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(files[path]), FILE_MODE
            archive.addfile(entry, io.BytesIO(files[path]))
    return _gzip(buffer.getvalue())


def check_path(path: str) -> None:
    """Refuse paths that leave the directory they are unpacked to, or that file systems read differently.

    Raises `ArchiveError`: `absolute_path`, `path_traversal` or `invalid_path`.
    """
    if path.startswith("/") or path[1:2] == ":":
        raise ArchiveError(Reason.ABSOLUTE_PATH, f"the archive holds an absolute path: {path[:200]!r}")
    parts = path.split("/")
    if ".." in parts:
        raise ArchiveError(Reason.PATH_TRAVERSAL, f"the archive holds a path that leaves it: {path[:200]!r}")
    odd = any(part in {"", "."} for part in parts) or "\\" in path or not path.isprintable()
    if odd or len(path.encode(errors="replace")) > MAX_PATH_BYTES:
        raise ArchiveError(Reason.INVALID_PATH, f"the archive holds a path that is not accepted: {path[:200]!r}")


def _gzip(content: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = compressor.compress(content) + compressor.flush()
    trailer = zlib.crc32(content).to_bytes(4, "little") + (len(content) & 0xFFFFFFFF).to_bytes(4, "little")
    return _GZIP_HEADER + body + trailer
