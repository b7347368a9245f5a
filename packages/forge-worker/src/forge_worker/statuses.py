"""Statuses of steps and tasks, sent to the API in batches. A lost update is repaired by the job's final result."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol
from uuid import UUID

from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.logging import get_logger
from forge_sdk.models.api import StatusBatch, StepStatusUpdate, TaskStatusUpdate

BATCH_INTERVAL_S = 0.1
BATCH_ROWS = 500
MAX_WAITING = 20_000
"""Updates kept while the API can't be reached; the oldest are dropped above."""
PAUSE_S = 1.0
LAST_FLUSH_S = 5.0

logger = get_logger(__name__)


class StatusSink(Protocol):
    """Where batches go: `ApiClient`."""

    async def update_statuses(self, body: StatusBatch) -> None:
        """Send one batch."""


@dataclass(frozen=True, slots=True)
class _Row:
    job_id: UUID
    token: int
    update: StepStatusUpdate | TaskStatusUpdate


class StatusReporter:
    """Collects updates and sends them while `running()`; reporting never waits and never fails."""

    def __init__(self, api: StatusSink) -> None:
        self._api = api
        self._rows: deque[_Row] = deque(maxlen=MAX_WAITING)
        self._full, self._waiting = asyncio.Event(), asyncio.Event()

    def report(self, job_id: UUID, token: int, update: StepStatusUpdate | TaskStatusUpdate) -> None:
        """Send `update` soon, under the job's fencing token."""
        if len(self._rows) == MAX_WAITING:
            logger.warning("status_update_dropped", job_id=str(self._rows[0].job_id))
        self._rows.append(_Row(job_id, token, update))
        self._waiting.set()
        if len(self._rows) >= BATCH_ROWS:
            self._full.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["StatusReporter"]:
        """Send batches until the context ends; what is left then gets a few seconds."""
        task = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._flush_last()

    async def _run(self) -> None:
        while True:
            await self._waiting.wait()
            try:
                async with asyncio.timeout(BATCH_INTERVAL_S):
                    await self._full.wait()
            except TimeoutError:
                pass
            if not await self._send():
                await asyncio.sleep(PAUSE_S)

    async def _flush_last(self) -> None:
        try:
            async with asyncio.timeout(LAST_FLUSH_S):
                while self._rows and await self._send():
                    pass
        except TimeoutError:
            logger.warning("status_updates_lost", count=len(self._rows))

    async def _send(self) -> bool:
        rows = [self._rows.popleft() for _ in range(min(BATCH_ROWS, len(self._rows)))]
        self._full.clear()
        if not self._rows:
            self._waiting.clear()
        try:
            return await self._send_rows(rows)
        except asyncio.CancelledError:
            self._put_back(rows)
            raise

    async def _send_rows(self, rows: list[_Row]) -> bool:
        rows.sort(key=lambda row: (row.job_id, row.token))
        for (job_id, token), group in groupby(rows, key=lambda row: (row.job_id, row.token)):
            batch = _batch(job_id, token, group)
            try:
                await self._api.update_statuses(batch)
            except PlatformError as error:
                if error.transient:
                    logger.warning("status_updates_delayed", error=error.message)
                    self._put_back([row for row in rows if (row.job_id, row.token) >= (job_id, token)])
                    return False
                event = "stale_worker" if error.code is ErrorCode.STALE_TOKEN else "status_updates_refused"
                logger.warning(event, job_id=str(job_id), error=error.message)
        return True

    def _put_back(self, rows: list[_Row]) -> None:
        room = MAX_WAITING - len(self._rows)
        self._rows.extendleft(reversed(rows[-room:] if room else []))
        if self._rows:
            self._waiting.set()


def _batch(job_id: UUID, token: int, rows: Iterable[_Row]) -> StatusBatch:
    updates = [row.update for row in rows]
    return StatusBatch(
        job_id=job_id,
        token=token,
        tasks=tuple(update for update in updates if isinstance(update, TaskStatusUpdate)),
        steps=tuple(update for update in updates if isinstance(update, StepStatusUpdate)),
    )
