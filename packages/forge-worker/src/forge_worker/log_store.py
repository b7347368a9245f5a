"""A log in object storage: segments while it grows, one object when it has ended."""

import asyncio
import contextlib
import os
import tempfile
import time
from pathlib import Path

from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.logging import get_logger
from forge_sdk.object_storage import ObjectStore
from forge_sdk.storage_keys import LOG_OWNER, log_segment_key, log_segments_prefix

SEGMENT_BYTES = 256 * 1024
LARGEST_SEGMENT = 8 * 2**20
"""Of a program that prints faster than segments are stored, what has come meanwhile goes into one."""
SEGMENT_AGE_S = 2.0
SEGMENT_PAUSE_S = 0.25
"""Between two segments, so that storing them leaves time for reading what a program prints quickly."""
SMALL_BYTES = 2**20
"""A log up to this size is sent in one piece, from memory."""
CONTENT_TYPE = "text/plain; charset=utf-8"

logger = get_logger(__name__)


class LogStore:
    """What is stored of one log by the job with the fencing token `token`.

    All of it is in a file of its own first, so that what is logged never waits for object storage. Until
    `alone_until` (of the monotonic clock) no other worker can have the job, nor had one before.
    """

    def __init__(self, storage: ObjectStore, key: str, token: int, *, alone_until: float) -> None:
        self.key, self.token = key, token
        self._storage, self._alone_until = storage, alone_until
        self._spool = tempfile.NamedTemporaryFile(prefix="forge-log-", buffering=0)  # noqa: SIM115 - closed by `discard`
        self._size = self._segmented = 0
        self._begun, self._grown, self._stopped = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._closing = self._full = False

    def append(self, data: bytes) -> None:
        """Take over `data`; `keep_segments` and `close` store it."""
        if not data or self._full:
            return
        left = memoryview(data)
        try:
            while left:
                written = self._spool.write(left)
                self._size, left = self._size + written, left[written:]
        except OSError as error:
            self._cut(error)
        self._begun.set()
        if self._size - self._segmented >= SEGMENT_BYTES:
            self._grown.set()

    async def keep_segments(self) -> None:
        """Store segments as the log grows, until `stop_segments`: what has come since the last one, at once where it is much."""
        while True:
            await self._begun.wait()
            await within(self._grown, SEGMENT_AGE_S)
            if self._closing:
                return
            await self._write_segment()
            await within(self._stopped, SEGMENT_PAUSE_S)

    def stop_segments(self) -> None:
        """Let `keep_segments` end with the segment that is on its way: the whole log comes next."""
        self._closing = True
        for event in (self._begun, self._grown, self._stopped):
            event.set()

    async def close(self) -> bool:
        """Store the whole log under its key and delete all segments; whether that worked.

        A job that was taken over by another worker meanwhile (a higher token) leaves everything but its own segments to
        that one.
        """
        try:
            return await self._store_first() or await self._store_over()
        except PlatformError as error:
            logger.warning("log_not_stored", key=self.key, error=error.message)
            return False

    def discard(self) -> None:
        """Remove the file."""
        self._spool.close()

    async def _store_first(self) -> bool:
        """Store a small log where nothing is, which needs no look before it; whether that was so."""
        if time.monotonic() >= self._alone_until or self._segmented or self._size > SMALL_BYTES:
            return False
        data = os.pread(self._spool.fileno(), self._size, 0)
        return await self._storage.put_new(self.key, data, content_type=CONTENT_TYPE, metadata=self._owner)

    async def _store_over(self) -> bool:
        segments = await self._storage.list(log_segments_prefix(self.key))
        highest = max(map(_token, segments), default=0)
        if max(highest, await self._stored_token()) > self.token:
            logger.warning("log_taken_over", key=self.key)
            await self._storage.delete([segment for segment in segments if _token(segment) == self.token])
            return False
        await self._storage.put_file(self.key, Path(self._spool.name), content_type=CONTENT_TYPE, metadata=self._owner)
        await self._storage.delete(segments)
        return True

    @property
    def _owner(self) -> dict[str, str]:
        return {LOG_OWNER: str(self.token)}

    async def _stored_token(self) -> int:
        """The token of who stored the whole log already."""
        try:
            text = (await self._storage.metadata(self.key)).get(LOG_OWNER, "")
        except PlatformError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            return 0
        return int(text) if text.isdigit() else 0

    async def _write_segment(self) -> None:
        # A log that was cut may end before what is in segments already.
        length, offset = min(max(0, self._size - self._segmented), LARGEST_SEGMENT), self._segmented
        data = os.pread(self._spool.fileno(), length, offset)
        self._segmented += len(data)
        if self._segmented >= self._size:
            self._begun.clear()
        if self._size - self._segmented < SEGMENT_BYTES:
            self._grown.clear()
        if not data:
            return
        try:
            await self._storage.put(
                log_segment_key(self.key, self.token, offset), data, content_type="application/octet-stream"
            )
        except PlatformError as error:
            logger.warning("log_segment_not_stored", key=self.key, offset=offset, error=error.message)

    def _cut(self, error: OSError) -> None:
        """No room for more: what is there is kept, its end gives way to a notice."""
        logger.warning("log_cut", key=self.key, error=error.strerror)
        self._full = True
        notice = f"\n[log cut: the worker could not keep more of it: {error.strerror}]\n".encode()
        self._size = self._spool.seek(max(0, self._size - len(notice)))
        self._spool.truncate()
        with contextlib.suppress(OSError):
            self._size += self._spool.write(notice)


async def within(event: asyncio.Event, seconds: float | None) -> None:
    """Wait for the event, `seconds` at most."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


def _token(segment_key: str) -> int:
    token = segment_key.split("/")[-2]
    return int(token) if token.isdigit() else 0
