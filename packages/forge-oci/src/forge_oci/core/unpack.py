"""Reading tar+gzip archives that may be hostile.

A reader of our own, because it must refuse rather than cope: it accepts the POSIX formats that ordinary tools write
for plain files (ustar, and pax records for long names), and names the reason for everything else.
"""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

from .archive import check_path
from .errors import ArchiveError, Reason

BLOCK = 512
_KINDS = {
    b"1": (Reason.LINK, "a hard link"),
    b"2": (Reason.LINK, "a symbolic link"),
    b"3": (Reason.DEVICE, "a character device"),
    b"4": (Reason.DEVICE, "a block device"),
    b"6": (Reason.DEVICE, "a named pipe"),
    b"S": (Reason.SPARSE, "a sparse file"),
}
_HARMLESS_PAX = {"path", "mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment"}
_MAX_PAX_BYTES = 64 * 1024


class Limits(NamedTuple):
    """What an archive may cost. The ratio counts only above `ratio_floor` unpacked bytes."""

    compressed_bytes: int = 32 * 1024 * 1024
    unpacked_bytes: int = 64 * 1024 * 1024
    file_bytes: int = 16 * 1024 * 1024
    entries: int = 10_000
    ratio: int = 200
    ratio_floor: int = 1024 * 1024


DEFAULT_LIMITS = Limits()


class _Entry(NamedTuple):
    path: str
    kind: bytes
    content: bytes


def read_archive(content: bytes, limits: Limits = DEFAULT_LIMITS) -> dict[str, bytes]:
    """Return the files of a tar+gzip archive, path to content, in the order of the archive.

    Directories are accepted and left out. Raises `ArchiveError` whose `reason` says what was refused: damaged or
    trailing data, more than `limits` allow, links, devices, sparse files, paths that are absolute, leave the archive,
    or appear twice.
    """
    files: dict[str, bytes] = {}
    folded: set[str] = set()
    for count, entry in enumerate(_entries(decompress(content, limits), limits), 1):
        if count > limits.entries:
            raise ArchiveError(Reason.TOO_MANY_ENTRIES, f"the archive has more than {limits.entries} entries")
        if entry.kind == b"5":
            check_path(entry.path.removesuffix("/"))
            continue
        check_path(entry.path)
        key = entry.path.casefold()
        if key in folded:
            raise ArchiveError(Reason.DUPLICATE_PATH, f"the archive holds {entry.path[:200]!r} twice")
        folded.add(key)
        files[entry.path] = entry.content
    _check_no_file_is_a_directory(files)
    return files


def decompress(content: bytes, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return what a gzip stream of one member holds, never more than `limits` allow."""
    if len(content) > limits.compressed_bytes:
        raise ArchiveError(
            Reason.TOO_LARGE, f"the archive has {len(content)} bytes; at most {limits.compressed_bytes} are accepted"
        )
    allowed = min(limits.unpacked_bytes, max(limits.ratio_floor, len(content) * limits.ratio))
    decompressor = zlib.decompressobj(wbits=31)
    try:
        unpacked = decompressor.decompress(content, allowed + 1)
    except zlib.error as error:
        raise ArchiveError(Reason.MALFORMED, f"the archive is not a gzip stream: {error}") from error
    if len(unpacked) > allowed:
        raise ArchiveError(
            Reason.COMPRESSION_BOMB, f"the archive unpacks to more than {allowed} bytes, out of {len(content)}"
        )
    if not decompressor.eof:
        raise ArchiveError(Reason.TRUNCATED, "the archive's gzip stream ends early")
    if decompressor.unused_data:
        raise ArchiveError(Reason.TRAILING_DATA, "the archive has data after its gzip stream")
    return unpacked


def _entries(data: bytes, limits: Limits) -> Iterator[_Entry]:
    offset, long_path = 0, None
    while True:
        header = data[offset : offset + BLOCK]
        if len(header) < BLOCK:
            raise ArchiveError(Reason.TRUNCATED, "the archive ends without its end marker")
        if not any(header):
            _check_end(data, offset)
            return
        _check_header(header)
        size, kind = _number(header[124:136]), header[156:157]
        _check_kind(kind, header)
        if size > (_MAX_PAX_BYTES if kind == b"x" else limits.file_bytes):
            raise ArchiveError(Reason.TOO_LARGE, f"an entry of the archive has {size} bytes")
        start = offset + BLOCK
        if start + size > len(data):
            raise ArchiveError(Reason.TRUNCATED, "the archive ends inside a file")
        content = data[start : start + size]
        offset = start + (size + BLOCK - 1) // BLOCK * BLOCK
        if kind == b"x":
            long_path = _pax_path(content) or long_path
            continue
        yield _Entry(long_path or _header_path(header), kind, content)
        long_path = None


def _check_kind(kind: bytes, header: bytes) -> None:
    if kind in {b"0", b"\0", b"5", b"x"}:
        return
    reason, what = _KINDS.get(kind, (Reason.UNSUPPORTED_ENTRY, f"an entry of type {kind!r}"))
    raise ArchiveError(reason, f"the archive holds {what}: {_header_path(header)[:200]!r}")


def _check_header(header: bytes) -> None:
    expected = sum(header[:148]) + 8 * 0x20 + sum(header[156:])
    if header[257:263] != b"ustar\0" or _number(header[148:156]) != expected:
        raise ArchiveError(Reason.MALFORMED, "the archive holds a damaged header")


def _check_end(data: bytes, offset: int) -> None:
    if data[offset:].strip(b"\0"):
        raise ArchiveError(Reason.TRAILING_DATA, "the archive has data after its end marker")


def _number(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not digits:
        return 0
    if digits.strip(b"01234567"):
        raise ArchiveError(Reason.MALFORMED, "the archive holds a damaged number")
    return int(digits, 8)


def _header_path(header: bytes) -> str:
    name, prefix = header[:100].split(b"\0", 1)[0], header[345:500].split(b"\0", 1)[0]
    return _text(prefix + b"/" + name if prefix else name)


def _pax_path(content: bytes) -> str | None:
    """Return the path of pax records, `<length> <key>=<value>` and a line feed each; refuse records that change what follows."""
    path, rest = None, content
    while rest:
        length, _, _ = rest.partition(b" ")
        end = int(length) if length.isdigit() and len(length) < 8 else 0  # noqa: PLR2004
        key, equals, value = rest[len(length) + 1 : end - 1].partition(b"=")
        if not equals or end > len(rest) or rest[end - 1 : end] != b"\n":
            raise ArchiveError(Reason.MALFORMED, "the archive holds damaged pax records")
        name = _text(key)
        if name.startswith("GNU.sparse"):
            raise ArchiveError(Reason.SPARSE, "the archive holds a sparse file")
        if name not in _HARMLESS_PAX:
            raise ArchiveError(Reason.UNSUPPORTED_ENTRY, f"the archive holds a pax record {name[:60]!r}")
        path = _text(value) if name == "path" else path
        rest = rest[end:]
    return path


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ArchiveError(Reason.INVALID_PATH, "the archive holds a name that is not UTF-8") from error


def _check_no_file_is_a_directory(files: dict[str, bytes]) -> None:
    for path in files:
        parent = path.rpartition("/")[0]
        while parent:
            if parent in files:
                raise ArchiveError(Reason.DUPLICATE_PATH, f"{parent[:200]!r} is a file and a directory in the archive")
            parent = parent.rpartition("/")[0]
