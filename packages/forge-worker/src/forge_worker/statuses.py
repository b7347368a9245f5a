"""Statuses of steps and tasks, sent to the API in batches. A lost update is repaired by the job's final result."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from forge_sdk.cancellation import pause
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.logging import get_logger
from forge_sdk.models.api import JobStatuses, StatusAnswer, StatusBatch, StepStatusUpdate, TaskStatusUpdate

BATCH_INTERVAL_S = 0.1
BATCH_ROWS = 500
MAX_WAITING = 20_000
"""Updates kept while the API can't be reached; the oldest are dropped above."""
PAUSE_S = 1.0
LAST_FLUSH_S = 5.0

logger = get_logger(__name__)


class StatusSink(Protocol):
    """Where batches go: `ApiClient`."""

    async def update_statuses(self, body: StatusBatch) -> StatusAnswer:
        """Send one batch; the answer names the jobs that were refused."""


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
            await pause(0 if await self._send() else PAUSE_S)

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
            answer = await self._api.update_statuses(_batch(rows))
        except asyncio.CancelledError:
            self._put_back(rows)
            raise
        except PlatformError as error:
            if error.transient:
                logger.warning("status_updates_delayed", error=error.message)
                self._put_back(rows)
                return False
            logger.warning("status_updates_refused", count=len(rows), error=error.message)
            return True
        for refused in answer.refused:
            event = "stale_worker" if refused.code == ErrorCode.STALE_TOKEN else "status_updates_refused"
            logger.warning(event, job_id=str(refused.job_id), error=refused.message)
        return True

    def _put_back(self, rows: list[_Row]) -> None:
        room = MAX_WAITING - len(self._rows)
        self._rows.extendleft(reversed(rows[-room:] if room else []))
        if self._rows:
            self._waiting.set()


def _batch(rows: Iterable[_Row]) -> StatusBatch:
    """The rows by job; of a job that this worker took twice meanwhile the later claim counts."""
    tokens: dict[UUID, int] = {}
    updates: dict[UUID, list[StepStatusUpdate | TaskStatusUpdate]] = {}
    for row in rows:
        if row.token > tokens.get(row.job_id, -1):
            tokens[row.job_id], updates[row.job_id] = row.token, []
        if row.token == tokens[row.job_id]:
            updates[row.job_id].append(row.update)
    return StatusBatch(
        jobs=tuple(
            JobStatuses(
                job_id=job_id,
                token=token,
                tasks=tuple(update for update in updates[job_id] if isinstance(update, TaskStatusUpdate)),
                steps=tuple(update for update in updates[job_id] if isinstance(update, StepStatusUpdate)),
            )
            for job_id, token in tokens.items()
        )
    )
