"""A server's directory: files only the owner reads, and the lock that all processes of a running server hold."""

import fcntl
import os
import secrets
import signal
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from .errors import DirectoryInUseError, ServerError
from .procfs import Holder, holders

POLL = 0.02
ORPHAN_GRACE = 2.0


class DirectoryLock:
    """An exclusive lock on a file that is inherited by the server and its children (flock(2)).

    It is free again when the last of them is gone, also after kill -9: what a dead server left behind (pid files,
    sockets) can be removed by who holds the lock. Children of a killed server that don't end by themselves are killed.

    `timeout`: how long to wait for a server that is just ending. `DirectoryInUseError` after that.
    """

    def __init__(self, path: Path, title: str, timeout: float) -> None:
        self._path = path
        self._title = title
        self.descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._acquire(time.monotonic() + timeout)
        except BaseException:
            os.close(self.descriptor)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.descriptor)

    def record(self, pid: int) -> None:
        """Notes the server's process, to name it to whoever finds the directory in use."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, str(pid).encode(), 0)

    def _acquire(self, deadline: float) -> None:
        orphans_since: float | None = None
        while not self._try():
            others = [holder for holder in holders(str(self._path.resolve())) if holder.pid != os.getpid()]
            leader = next((holder for holder in others if holder.pid == self._recorded()), None)
            now = time.monotonic()
            if leader is None and others:
                orphans_since = orphans_since or now
                if now - orphans_since > ORPHAN_GRACE:
                    _kill(others)
            elif now > deadline:
                raise DirectoryInUseError(
                    f"{self._title} already runs on {self._path.parent} as {leader or 'a process that is just starting'}: "
                    "stop it, or use another directory"
                )
            time.sleep(POLL)

    def _try(self) -> bool:
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _recorded(self) -> int:
        text = os.pread(self.descriptor, 20, 0)
        return int(text) if text.isdigit() else 0


def make_private(folder: Path) -> None:
    """Makes a folder (and those above it) that only the owner may read."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ServerError(f"{folder} can't be made: {error.strerror}; use another directory") from error


def write_private(path: Path, text: str) -> None:
    """Writes a file of mode 0600 completely or not at all."""
    new = path.with_name(f".{path.name}.new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def kept_secret(path: Path) -> str:
    """The secret in a file, made at the first call."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(24))
    return path.read_text(encoding="utf-8").strip()


def _kill(orphans: list[Holder]) -> None:
    for orphan in orphans:
        try:
            os.kill(orphan.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
