"""Logs of steps and jobs: masked, bounded, live on NATS, in segments while they grow, one object at the end."""

import asyncio
import logging
import threading
from types import TracebackType
from typing import Any, Protocol, Self
from uuid import UUID

from forge_sdk.logging import get_logger
from forge_sdk.messaging import LOG_END_HEADER, LOG_OFFSET_HEADER, LOG_TOKEN_HEADER, log_subject
from forge_sdk.secrets import Masker, StreamMasker
from forge_worker.log_store import LogStore, within

LIVE_INTERVAL_S = 0.05
LIVE_BYTES = 64 * 1024
MAX_UNSENT = 4 * 2**20
FULL_BYTES = 2**20
"""With this much unsent data the next message is not waited for."""
TAIL_BYTES = 8192
TAIL_LINES = 20
CLOSE_TIMEOUT_S = 45.0

logger = get_logger(__name__)


class LivePublisher(Protocol):
    """Sends a message on core NATS without waiting for anybody (a NATS connection is one)."""

    async def publish(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: dict[str, Any] | None = None
    ) -> None:
        """Send; nobody may listen."""


class StepLog:
    """One log; use it as an asynchronous context manager, which joins the segments at the end, whatever happened.

    A log can't fail what it logs: where object storage stays away, `stored` is false afterwards and the service's own log
    tells why. `limit` is in bytes; what is above is dropped, with a notice.
    """

    def __init__(
        self,
        *,
        store: LogStore,
        run_id: UUID,
        step_id: UUID,
        live: LivePublisher,
        masker: Masker,
        limit: int,
    ) -> None:
        self.key, self.stored = store.key, False
        self._subject, self._live, self._limit = log_subject(run_id, step_id), live, limit
        self._store = store
        self._masked = StreamMasker(masker)
        self._unsent, self._tail = bytearray(), b""
        self._size, self._truncated = 0, False
        self._changed, self._full, self._sent = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._segments: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._sender = asyncio.create_task(self._send_forever())
        self._segments = asyncio.create_task(self._store.keep_segments())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        self._append(self._masked.finish())
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._send()
                await self._publish(self._size, b"", {LOG_END_HEADER: "1"})
                await self._end_segments()
                self.stored = await self._store.close()
        except TimeoutError:
            logger.warning("log_not_stored", key=self.key, error="object storage did not answer in time")
        finally:
            self._store.discard()

    def feed(self, data: bytes) -> None:
        """Add output, without waiting."""
        self._append(self._masked.feed(data))

    async def write(self, data: bytes) -> None:
        """Add output; waits while too much of it is not sent yet, so that a chatty program is slowed down."""
        self.feed(data)
        while len(self._unsent) > MAX_UNSENT:
            self._sent.clear()
            await self._sent.wait()

    def line(self, text: str) -> None:
        """Add a line of the platform's own."""
        self.feed(text.encode(errors="replace") + b"\n")

    def tail(self, lines: int = TAIL_LINES) -> str:
        """The last lines, masked."""
        return "\n".join(self._tail.decode(errors="replace").splitlines()[-lines:])

    def _append(self, data: bytes) -> None:
        if not data:
            return
        self._tail = (self._tail + data[-TAIL_BYTES:])[-TAIL_BYTES:]
        if self._truncated:
            return
        room = self._limit - self._size
        if len(data) > room:
            self._truncated = True
            data = data[:room] + f"\n[log truncated: it is longer than {self._limit} bytes]\n".encode()
        self._size += len(data)
        self._unsent += data
        self._changed.set()
        if len(self._unsent) >= FULL_BYTES:
            self._full.set()

    async def _end_segments(self) -> None:
        self._store.stop_segments()
        if self._segments is not None:
            # Also where its own task is cancelled with the log: a segment on its way would come after the whole log.
            [outcome] = await asyncio.gather(self._segments, return_exceptions=True)
            if isinstance(outcome, Exception):
                logger.error("log_segments_failed", key=self.key, exc_info=outcome)

    async def _send_forever(self) -> None:
        while True:
            await self._changed.wait()
            await within(self._full, LIVE_INTERVAL_S)
            await self._send()

    async def _send(self) -> None:
        self._changed.clear()
        self._full.clear()
        data = bytes(self._unsent)
        offset = self._size - len(data)
        # Before the first await, so that a cancelled sender loses nothing.
        self._store.append(data)
        self._unsent.clear()
        self._sent.set()
        for start in range(0, len(data), LIVE_BYTES):
            await self._publish(offset + start, data[start : start + LIVE_BYTES], {})

    async def _publish(self, offset: int, data: bytes, headers: dict[str, str]) -> None:
        place = {LOG_TOKEN_HEADER: str(self._store.token), LOG_OFFSET_HEADER: str(offset)}
        try:
            await self._live.publish(self._subject, data, headers={**place, **headers})
        except Exception as error:  # noqa: BLE001 - live data is a courtesy: whatever the connection says, segments hold it too
            logger.debug("live_log_not_sent", key=self.key, error=type(error).__name__)


class _LogHandler(logging.Handler):
    """Records may come from threads of the plugin, the log belongs to the loop."""

    def __init__(self, log: StepLog) -> None:
        super().__init__()
        self._log, self._loop, self._thread = log, asyncio.get_running_loop(), threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        if threading.get_ident() == self._thread:
            self._log.line(text)
        else:
            self._loop.call_soon_threadsafe(self._log.line, text)


def plugin_logger(name: str, log: StepLog) -> logging.Logger:
    """A logger that writes to `log` only; it is not registered, so it ends with the call that it was made for."""
    plugin = logging.Logger(name, logging.INFO)  # noqa: LOG001 - one from the registry would be kept for ever
    handler = _LogHandler(log)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    plugin.addHandler(handler)
    return plugin
