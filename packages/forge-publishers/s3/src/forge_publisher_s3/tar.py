"""A strict reader of tar streams (POSIX ustar and pax, GNU long names): regular files and folders, nothing else.

Python's own reader keeps extension headers in memory whatever their size; here each is bounded.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

BLOCK = 512
MAX_EXTENSION = 1 << 20
_FILES = {b"0", b"\0", b"7"}
_FOLDER = b"5"
_PAX, _PAX_GLOBAL, _GNU_NAME = b"x", b"g", b"L"


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes more, empty at the end."""


class TarError(Exception):
    """The stream is damaged or holds something else than files and folders."""


@dataclass(slots=True)
class Member:
    """A regular file; read it with `read` before going on to the next one."""

    name: str
    stream: Readable
    left: int

    def read(self, size: int) -> bytes:
        """At most `size` bytes more, empty at the end; `TarError` where the stream ends before the file does."""
        data = self.stream.read(min(size, self.left))
        if self.left and not data:
            raise TarError("ends within a file")
        self.left -= len(data)
        return data


def members(stream: Readable, *, limit: int) -> Iterator[Member]:
    """The regular files of the stream in their order; `TarError` above `limit` headers."""
    name, pax = "", dict[str, str]()
    for number, header in enumerate(_headers(stream)):
        if number >= limit:
            raise TarError(f"has more than {limit} headers")
        kind, size = header[156:157], int(pax.get("size", "")) if pax.get("size", "").isdecimal() else _size(header)
        if kind in {_PAX, _PAX_GLOBAL, _GNU_NAME}:
            content = _extension(stream, _size(header))
            if kind == _PAX:
                pax = _records(content)
            elif kind == _GNU_NAME:
                name = _text(content.rstrip(b"\0"))
            continue
        path = pax.get("path") or name or _name(header)
        if any(key.startswith("GNU.sparse") for key in pax) or kind not in {*_FILES, _FOLDER}:
            raise TarError(f"entry {path[:200]!r} is a link, a device, sparse, or of an unknown kind")
        if kind != _FOLDER:
            member = Member(path, stream, size)
            yield member
            _skip(stream, member.left + -size % BLOCK)
        name, pax = "", {}


def _headers(stream: Readable) -> Iterator[bytes]:
    while (header := _exactly(stream, BLOCK)).strip(b"\0"):
        unsigned = sum(header[:148]) + 8 * 0x20 + sum(header[156:])
        if _octal(header[148:156]) != unsigned:
            raise TarError("has a damaged header")
        yield header


def _size(header: bytes) -> int:
    field = header[124:136]
    return int.from_bytes(field[1:], "big") if field[0] == 0x80 else _octal(field)  # noqa: PLR2004 - GNU's mark of binary numbers


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise TarError("has a damaged number")
    return int(digits or b"0", 8)


def _name(header: bytes) -> str:
    name = header[:100].split(b"\0", 1)[0]
    prefix = header[345:500].split(b"\0", 1)[0] if header[257:263] == b"ustar\0" else b""
    return _text(prefix + b"/" + name if prefix else name)


def _extension(stream: Readable, size: int) -> bytes:
    if size > MAX_EXTENSION:
        raise TarError(f"has an extension header of {size} bytes")
    content = _exactly(stream, size)
    _skip(stream, -size % BLOCK)
    return content


def _records(content: bytes) -> dict[str, str]:
    """Pax records: `<length> <key>=<value>` and a line feed each, the length counting itself."""
    found = {}
    while content:
        digits, _, _ = content[:20].partition(b" ")
        end = int(digits) if digits.isdigit() else 0
        key, separator, value = content[len(digits) + 1 : end - 1].partition(b"=")
        if not separator or content[end - 1 : end] != b"\n":
            raise TarError("has damaged pax records")
        found[_text(key)] = _text(value) if key in {b"path", b"size"} else ""
        content = content[end:]
    return found


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise TarError("has a name that is not UTF-8") from error


def _exactly(stream: Readable, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise TarError("is cut off")
    return data


def _skip(stream: Readable, size: int) -> None:
    while size:
        size -= len(_exactly(stream, min(size, MAX_EXTENSION)))
