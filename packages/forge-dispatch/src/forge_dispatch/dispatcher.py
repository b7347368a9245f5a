"""The dispatcher: publishes jobs, waits for their results, cancels them, and finds what an earlier one left."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self
from uuid import UUID

import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from pydantic import ValidationError

from forge_dispatch.admission import Admission
from forge_dispatch.batch import Batch, OnResult
from forge_dispatch.board import Board
from forge_dispatch.failures import COMPONENT, translated
from forge_dispatch.settings import DispatcherSettings
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.jobs import Job, JobResult

__all__ = ["Dispatcher", "OnResult"]
_logger = structlog.get_logger("forge_dispatch")


class Dispatcher:
    """Runs jobs on the workers: `async with Dispatcher(connection) as dispatcher: await dispatcher.run(jobs)`.

    One subscription serves any number of concurrent calls. The durable truth is the bucket of job entries, the inbox
    only wakes up: a new dispatcher that is given the same jobs finds results that are there, and never starts a job
    a second time that is queued, running or finished. The connection stays the caller's.
    """

    def __init__(self, connection: Client, settings: DispatcherSettings | None = None) -> None:
        self._connection = connection
        self._settings = settings or DispatcherSettings()
        self._inbox = connection.new_inbox()
        self._board = Board(connection, self._inbox, self._settings)
        self._batches: dict[UUID, Batch] = {}
        self._subscription: Subscription | None = None

    async def __aenter__(self) -> Self:
        with translated("subscribing to the inbox"):
            self._subscription = await self._connection.subscribe(self._inbox, cb=self._on_message)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._subscription is not None and not self._connection.is_closed:
            await self._subscription.unsubscribe()

    async def run(
        self,
        jobs: Sequence[Job],
        *,
        fail_fast: bool = True,
        on_result: OnResult | None = None,
        admission: Admission | None = None,
    ) -> list[JobResult]:
        """Publishes the jobs and returns their results, in the same order.

        With `fail_fast` the first failed job cancels the others of this call, whose results are then `cancelled`.
        `admission` says when the next job may be published; without it all are published at once. `on_result` is
        awaited once for each result, in the order in which they come. A result with `output_ref` is
        left to the caller. Cancelling this coroutine leaves the jobs as they are: a later call with the same jobs
        goes on.

        Raises `PlatformError` (`conflict`) where one of the jobs is in another call of this dispatcher, or what
        `on_result` raised; `TransientError` where NATS is away for longer than the settings allow.
        """
        batch = Batch(jobs, self._board, self._settings, admission)
        with self._registered(batch):
            return await batch.run(fail_fast=fail_fast, on_result=on_result)

    async def withdraw(self, jobs: Sequence[Job], *, on_result: OnResult | None = None) -> list[JobResult]:
        """Ends jobs that an earlier call may have published, and returns their results, in the same order.

        Those that had ended keep their results, the others are cancelled as by `fail_fast`. Nothing is published.
        """
        batch = Batch(jobs, self._board, self._settings)
        with self._registered(batch):
            return await batch.withdraw(on_result=on_result)

    async def cancel(self, run_id: UUID) -> None:
        """Cancels a run: running jobs are ended by their workers, queued ones never start.

        Their results come back as `cancelled` to the calls that wait for them. Raises `TransientError` where NATS can't
        be reached.
        """
        await self._board.cancel_run(run_id)
        for batch in set(self._batches.values()):
            await batch.cancel_run(run_id)

    @contextmanager
    def _registered(self, batch: Batch) -> Iterator[None]:
        taken = [job_id for job_id in batch.job_ids if job_id in self._batches]
        if taken or len(set(batch.job_ids)) != len(list(batch.job_ids)):
            raise PlatformError(
                f"{taken[0] if taken else 'one job'} is waited for already: give each job to one call only",
                code=ErrorCode.CONFLICT,
                component=COMPONENT,
            )
        self._batches.update(dict.fromkeys(batch.job_ids, batch))
        try:
            yield
        finally:
            for job_id in batch.job_ids:
                del self._batches[job_id]

    async def _on_message(self, message: Msg) -> None:
        try:
            result = JobResult.model_validate_json(message.data)
        except ValidationError as error:
            _logger.warning("job_reply_unreadable", problem=error.errors()[0]["msg"])
            return
        batch = self._batches.get(result.job_id)
        if batch is not None:
            batch.arrive(result)
