"""A cache of small immutable entries on a volume that several runs share.

An entry is a file `<name of its key>` that holds a header line with the SHA-256 of key and body, then the body. What is
torn, or does not match its checksum, counts as absent and is written again. Writes are atomic; the least recently used
entries go when the whole is larger than its bound.
"""

import hashlib
import os
import stat
import time

FOLDER = "forge-cmp-1"
_HEADER_LENGTH = 65
_STALE_S = 3600.0


class Cache:
    """The cache below `directory`, at most `limit` bytes; without a directory nothing is kept.

    A folder that belongs to somebody else, or that others may write to, is not used. No method raises for a cache that
    can't be read or written: the run costs more then, and is right all the same.
    """

    def __init__(self, directory: str | None, limit: int) -> None:
        self._folder = _private_folder(directory) if directory else None
        self._limit = limit

    def get(self, *key: bytes) -> bytes | None:
        """The body that was put under `key`, `None` where there is none or it is damaged."""
        if self._folder is None:
            return None
        path = os.path.join(self._folder, _name(key))  # noqa: PTH118 - pathlib costs a warm run too much
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as stream:
                content = stream.read(self._limit + 1)
                os.utime(descriptor)
        except OSError:
            return None
        header, body = content[:_HEADER_LENGTH], content[_HEADER_LENGTH:]
        return body if header == _header(key, body) else None

    def put(self, body: bytes, *key: bytes) -> None:
        """Keep `body` under `key`."""
        if self._folder is None or len(body) + _HEADER_LENGTH > self._limit:
            return
        temporary = os.path.join(self._folder, f".{os.getpid()}-{os.urandom(8).hex()}")  # noqa: PTH118
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(_header(key, body))
                stream.write(body)
            os.replace(temporary, os.path.join(self._folder, _name(key)))  # noqa: PTH105, PTH118
            self._evict()
        except OSError:
            _remove(temporary)

    def _evict(self) -> None:
        assert self._folder is not None  # noqa: S101 - only called once a folder was written to
        found, now = [], time.time()
        with os.scandir(self._folder) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                if not entry.name.startswith("."):
                    found.append((status.st_mtime, status.st_size, entry.path))
                elif now - status.st_mtime > _STALE_S:
                    _remove(entry.path)
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._limit:
                return
            _remove(path)
            total -= size


def _private_folder(directory: str) -> str | None:
    folder = os.path.join(directory, FOLDER)  # noqa: PTH118 - see above
    try:
        os.makedirs(directory, exist_ok=True)  # noqa: PTH103
        if not os.path.lexists(folder):
            _make(folder)
        status = os.lstat(folder)
    except OSError:
        return None
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022
    return folder if is_ours else None


def _make(folder: str) -> None:
    try:
        os.mkdir(folder, 0o700)  # noqa: PTH102 - see above
    except FileExistsError:
        return  # another run was faster


def _name(key: tuple[bytes, ...]) -> str:
    return hashlib.sha256(_joined(key)).hexdigest()


def _header(key: tuple[bytes, ...], body: bytes) -> bytes:
    digest = hashlib.sha256(_joined(key))
    digest.update(body)
    return digest.hexdigest().encode() + b"\n"


def _joined(key: tuple[bytes, ...]) -> bytes:
    return b"".join(len(part).to_bytes(8, "big") + part for part in key)


def _remove(path: str) -> None:
    try:
        os.unlink(path)  # noqa: PTH108 - see above
    except OSError:
        return
