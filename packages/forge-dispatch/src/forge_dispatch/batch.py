"""The jobs of one call: published, watched, cancelled together, and their results collected."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any
from uuid import UUID

import structlog

from forge_dispatch.admission import Admission
from forge_dispatch.board import Board
from forge_dispatch.concurrency import for_each
from forge_dispatch.settings import DispatcherSettings
from forge_dispatch.watch import OpenJob
from forge_sdk.cancellation import pause
from forge_sdk.errors import TransientError, single
from forge_sdk.models.jobs import Job, JobResult

OnResult = Callable[[JobResult], Awaitable[None]]
_logger = structlog.get_logger("forge_dispatch")


class Batch:
    """One call of `Dispatcher.run`."""

    def __init__(
        self, jobs: Sequence[Job], board: Board, settings: DispatcherSettings, admission: Admission | None = None
    ) -> None:
        self._board = board
        self._admission = admission
        self._admitted: set[UUID] = set()
        self._settings = settings
        self._jobs = jobs
        self._open = {job.id: OpenJob(job, held=admission is not None) for job in jobs}
        self._results: dict[UUID, JobResult] = {}
        self._arrived: asyncio.Queue[JobResult] = asyncio.Queue()
        self._reached_at = time.monotonic()

    @property
    def job_ids(self) -> Iterable[UUID]:
        """The ids of all jobs, open or not."""
        return [job.id for job in self._jobs]

    def arrive(self, result: JobResult) -> None:
        """Takes a result from the inbox; one that is known already changes nothing.

        The job's place is free at once: the next job need not wait until those who are told of results have done their part.
        """
        self._leave(result.job_id)
        self._arrived.put_nowait(result)

    async def run(self, *, fail_fast: bool, on_result: OnResult | None) -> list[JobResult]:
        """All results, in the order of the jobs."""
        return await self._carry_out(self._publish_all(), fail_fast=fail_fast, on_result=on_result)

    async def withdraw(self, *, on_result: OnResult | None) -> list[JobResult]:
        """All results, after the jobs that are open were cancelled."""
        return await self._carry_out(self._cancel_rest(), fail_fast=False, on_result=on_result)

    async def _carry_out(
        self, first: Coroutine[Any, Any, None], *, fail_fast: bool, on_result: OnResult | None
    ) -> list[JobResult]:
        failure: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                background = [
                    tasks.create_task(first),
                    tasks.create_task(self._sweep_forever()),
                ]
                await self._collect(tasks, fail_fast=fail_fast, on_result=on_result)
                for task in background:
                    task.cancel()
        except BaseExceptionGroup as group:
            failure = single(group)
        finally:
            for job_id in list(self._admitted):
                self._leave(job_id)
        # Outside the handler, so that the error's own chain of causes is left as it is.
        if failure is not None:
            raise failure
        return [self._results[job.id] for job in self._jobs]

    async def cancel_run(self, run_id: UUID) -> None:
        """Ends the open jobs of that run; the run's cancel key is there already."""
        concerned = self._note_cancel(run_id)
        await for_each(concerned, self._look_patiently, self._settings.publish_concurrency)

    def _note_cancel(self, run_id: UUID) -> list[OpenJob]:
        concerned = [found for found in self._open.values() if found.job.run_id == run_id]
        for found in concerned:
            found.cancel()
        return concerned

    async def _collect(self, tasks: asyncio.TaskGroup, *, fail_fast: bool, on_result: OnResult | None) -> None:
        cancelling = not fail_fast
        while self._open:
            result = await self._arrived.get()
            if self._open.pop(result.job_id, None) is None:
                continue
            self._leave(result.job_id)
            self._results[result.job_id] = result
            if result.status == "failed" and not cancelling:
                cancelling = True
                tasks.create_task(self._cancel_rest())
            if on_result is not None:
                await on_result(result)

    async def _cancel_rest(self) -> None:
        rest = list(self._open.values())
        for found in rest:
            found.cancel()
        await for_each(rest, self._cancel_one, self._settings.publish_concurrency)

    async def _cancel_one(self, found: OpenJob) -> None:
        await self._board.cancel_job(found.job)
        await self._look_patiently(found)

    async def _publish_all(self) -> None:
        if len(self._jobs) == 1:
            # Nothing has to be put in order: the entry is read while the job is published.
            await for_each((self._publish_in_order, self._sweep_tolerantly), lambda part: part(), 2)
            return
        await self._find_known()
        await self._publish_in_order()

    async def _find_known(self) -> None:
        """Read the entries of those jobs that have one; of most batches no job has."""
        try:
            known = await self._board.entered(len(self._open))
        except TransientError as error:
            _logger.warning("job_entries_unread", error=error.message)
            known = None
        await self._sweep_tolerantly(known)

    async def _publish_in_order(self) -> None:
        # What an earlier dispatcher left running takes the places first, so that going on lets nothing more through.
        order = sorted(self._open.values(), key=lambda found: found.claim is None)
        await for_each(order, self._publish, self._settings.publish_concurrency)

    async def _publish(self, found: OpenJob) -> None:
        await self._enter(found)
        attempt = 0
        while self._wanted(found):
            try:
                is_new = await self._board.publish(found.job)
            except TransientError as error:
                _logger.warning("job_publish_delayed", job_id=str(found.job.id), attempt=attempt, error=error.message)
                await asyncio.sleep(self._settings.backoff.delay(attempt))
                attempt += 1
                continue
            if not is_new:
                await self._look_patiently(found)
            elif not self._wanted(found):
                await self._board.purge(found.job)
            return

    async def _enter(self, found: OpenJob) -> None:
        if self._admission is None:
            return
        await self._admission.acquire()
        self._admitted.add(found.job.id)
        found.let_through()
        if found.job.id not in self._open:
            self._leave(found.job.id)

    def _leave(self, job_id: UUID) -> None:
        if self._admission is not None and job_id in self._admitted:
            self._admitted.discard(job_id)
            self._admission.release()

    def _wanted(self, found: OpenJob) -> bool:
        return found.job.id in self._open and found.cancelled_since is None

    async def _sweep_forever(self) -> None:
        while True:
            await pause(self._settings.sweep_interval_s)
            await self._tolerantly(self._heed_cancels)
            await self._sweep_tolerantly()

    async def _heed_cancels(self) -> None:
        """A run may have been cancelled before this call was known, and no worker be there to say so."""
        for run_id in {found.job.run_id for found in self._open.values() if found.cancelled_since is None}:
            if await self._board.is_cancelled(run_id):
                self._note_cancel(run_id)

    async def _sweep_tolerantly(self, known: frozenset[str] | None = None) -> None:
        read = [found for found in self._open.values() if known is None or str(found.job.id) in known]
        await self._tolerantly(lambda: for_each(read, self._look, self._settings.publish_concurrency))

    async def _tolerantly(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
            self._reached_at = time.monotonic()
        except TransientError as error:
            if time.monotonic() - self._reached_at > self._settings.unreachable_limit_s:
                raise
            _logger.warning("job_entries_unread", error=error.message)

    async def _look_patiently(self, found: OpenJob) -> None:
        await self._settings.backoff.call(lambda: self._look(found))

    async def _look(self, found: OpenJob) -> None:
        if found.job.id not in self._open:
            return
        entry, revision = await self._board.entry(found.job.id)
        if entry is not None and entry.result is not None:
            self.arrive(entry.result)
            return
        found.observe(entry)
        verdict = found.verdict(self._settings)
        if verdict is not None:
            await self._end(found, verdict, revision)

    async def _end(self, found: OpenJob, verdict: JobResult, revision: int) -> None:
        # Compare-and-set: from here on a worker that still holds the claim can't write a result.
        if not await self._board.finish(verdict, revision):
            return
        if found.claim is not None and found.cancelled_since is None:
            await self._board.cancel_job(found.job)
        await self._board.purge(found.job)
        self.arrive(verdict)
