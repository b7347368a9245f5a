"""Locks between processes on one machine: flock(2) on files, polled so that waiting can be cancelled."""

import asyncio
import fcntl
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from forge_sdk.errors import ErrorCode, TransientError

POLL_S = 0.05


@asynccontextmanager
async def locked(path: Path, *, shared: bool = False, timeout_s: float = 900.0) -> AsyncIterator[None]:
    """Hold the lock at `path`, with others where `shared`; a `TransientError` after `timeout_s` of waiting."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + timeout_s
        while not _try(descriptor, shared=shared):
            if time.monotonic() >= deadline:
                raise TransientError(
                    f"lock {path} was held by another process for {timeout_s:.0f} s",
                    code=ErrorCode.TIMEOUT,
                    component="worker",
                )
            await asyncio.sleep(POLL_S)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def try_locked(path: Path) -> Iterator[bool]:
    """Hold the lock at `path` alone where nobody else holds it; gives whether that worked."""
    with try_locked_file(path) as descriptor:
        yield descriptor is not None


@contextmanager
def try_locked_file(path: Path) -> Iterator[int | None]:
    """As `try_locked`; gives the descriptor of the file, for what else it says, or nothing."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor if _try(descriptor, shared=False) else None
    finally:
        os.close(descriptor)


def _try(descriptor: int, *, shared: bool) -> bool:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
