"""A log in object storage: segments while it grows, one object when it has ended."""

import asyncio
import tempfile
from pathlib import Path
from typing import IO

from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.logging import get_logger
from forge_sdk.object_storage import ObjectStore
from forge_sdk.storage_keys import log_segment_key, log_segments_prefix

SEGMENT_BYTES = 256 * 1024
LARGEST_SEGMENT = 8 * 2**20
"""Of a program that prints faster than segments are stored, what has come meanwhile goes into one."""
SEGMENT_AGE_S = 2.0
OWNER = "forge-token"
"""Metadata of a whole log: the fencing token of the job that stored it."""
CONTENT_TYPE = "text/plain; charset=utf-8"

logger = get_logger(__name__)


class LogStore:
    """What is stored of one log by the job with the fencing token `token`."""

    def __init__(self, storage: ObjectStore, key: str, token: int) -> None:
        self._storage, self._key, self._token = storage, key, token
        self._pending = bytearray()
        self._written = 0
        self._since: float | None = None
        self._spool: IO[bytes] | None = None

    def append(self, data: bytes) -> None:
        """Take over `data`; `flush` and `close` store it."""
        self._pending += data

    def due_in(self, now: float) -> float | None:
        """Seconds until a segment has to be written although it is small; `None` where nothing waits."""
        return None if self._since is None else max(0.0, self._since + SEGMENT_AGE_S - now)

    async def flush(self, now: float) -> None:
        """Write a segment where enough has come together or it has waited long enough."""
        if self._pending and self._since is None:
            self._since = now
        old = self._since is not None and now - self._since >= SEGMENT_AGE_S
        while len(self._pending) >= SEGMENT_BYTES or (self._pending and old):
            await self._write_segment()
            self._since = now if self._pending else None

    async def close(self) -> bool:
        """Store the whole log under its key and delete all segments; whether that worked.

        A job that was taken over by another worker meanwhile (a higher token) leaves everything but its own segments to
        that one.
        """
        try:
            segments = await self._storage.list(log_segments_prefix(self._key))
            highest = max(map(_token, segments), default=0)
            if max(highest, await self._stored_token()) > self._token:
                logger.warning("log_taken_over", key=self._key)
                await self._storage.delete([segment for segment in segments if _token(segment) == self._token])
                return False
            await self._join()
            await self._storage.delete(segments)
        except PlatformError as error:
            logger.warning("log_not_stored", key=self._key, error=error.message)
            return False
        finally:
            if self._spool is not None:
                self._spool.close()
        return True

    async def _stored_token(self) -> int:
        """The token of who stored the whole log already."""
        try:
            text = (await self._storage.metadata(self._key)).get(OWNER, "")
        except PlatformError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
            return 0
        return int(text) if text.isdigit() else 0

    async def _join(self) -> None:
        owner = {OWNER: str(self._token)}
        if self._spool is None:
            await self._storage.put(self._key, bytes(self._pending), content_type=CONTENT_TYPE, metadata=owner)
            return
        await asyncio.to_thread(_write, self._spool, bytes(self._pending))
        await self._storage.put_file(self._key, Path(self._spool.name), content_type=CONTENT_TYPE, metadata=owner)

    async def _write_segment(self) -> None:
        data, offset = bytes(memoryview(self._pending)[:LARGEST_SEGMENT]), self._written
        # Bookkeeping before the first await: a cancelled flush must not write the same bytes twice.
        del self._pending[: len(data)]
        self._written += len(data)
        if self._spool is None:
            self._spool = tempfile.NamedTemporaryFile(prefix="forge-log-")  # noqa: SIM115 - closed by `close`
        _write(self._spool, data)
        try:
            await self._storage.put(
                log_segment_key(self._key, self._token, offset), data, content_type="application/octet-stream"
            )
        except PlatformError as error:
            logger.warning("log_segment_not_stored", key=self._key, offset=offset, error=error.message)


def _write(spool: IO[bytes], data: bytes) -> None:
    spool.write(data)
    spool.flush()


def _token(segment_key: str) -> int:
    token = segment_key.split("/")[-2]
    return int(token) if token.isdigit() else 0
