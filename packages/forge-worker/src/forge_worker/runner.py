"""Runs the handler of one job until it ends, is interrupted or runs out of time, and makes the result."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import BaseModel

from forge_sdk import telemetry
from forge_sdk.errors import ErrorCode, PlatformError, TransientError, as_platform_error
from forge_sdk.logging import get_logger
from forge_sdk.models.jobs import Job, JobResult, JobType
from forge_sdk.retry import RetryPolicy
from forge_worker.claims import Claim
from forge_worker.jobs import Handler, JobContext, Services
from forge_worker.results import fit, make_result, masked_detail

CLEAN_UP_S = 60.0
"""Seconds that an interrupted handler may take to end its processes and put things in order."""
STORE_RETRY = RetryPolicy(attempts=5, base_delay=1, max_delay=10)

logger = get_logger(__name__)


class Interruption(StrEnum):
    """Why nobody waits for a handler any more: it has ended, or was stopped from outside."""

    ENDED = "ended"

    CANCELLED = "cancelled"
    TIMEOUT = "timeout"
    DRAINED = "drained"
    CLAIM_LOST = "claim_lost"


@dataclass(slots=True)
class Execution:
    """A job that runs: `interrupt` stops it, also before its handler has started.

    Until `alone_until`, a time of the monotonic clock, no other worker can have the job, nor had one before.
    """

    job: Job
    claim: Claim
    alone_until: float = 0.0
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    interruption: "asyncio.Future[Interruption]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def interrupt(self, reason: Interruption) -> None:
        """Stop the handler; the first reason counts."""
        if not self.interruption.done():
            self.interruption.set_result(reason)


class JobRunner:
    """Runs jobs; `worker` is the name in their results."""

    def __init__(
        self,
        services: Services,
        worker: str,
        handlers: Mapping[JobType, Callable[[], Handler]],
    ) -> None:
        self._services, self._worker = services, worker
        self._factories = handlers
        self._handlers: dict[JobType, Handler] = {}

    async def run(self, execution: Execution) -> JobResult | None:
        """The job's result; `None` where it was stopped by a drain or by the loss of its claim, so that it has none."""
        job = execution.job
        facts = {"run_id": str(job.run_id), "job_id": str(job.id), "repository": job.repository}
        with telemetry.span(f"{job.type} job", kind="consumer", parent=job.trace, attributes=facts):
            result = await self._run(execution)
            if result is not None and result.error is not None:
                telemetry.failed(result.error.code)
        self._services.metrics.job_ended(job, result)
        return result

    def count_loss(self, job: Job) -> None:
        """Note that another worker had lost this job."""
        self._services.metrics.losses.labels(job.type.value).inc()

    async def _run(self, execution: Execution) -> JobResult | None:
        context = JobContext(execution.job, execution.claim.token, self._services, alone_until=execution.alone_until)
        if execution.interruption.done():
            cancelled = execution.interruption.result() is Interruption.CANCELLED
            return self._result(execution, context, Interruption.CANCELLED) if cancelled else None
        task = asyncio.create_task(self._handler(execution.job.type).run(context))
        try:
            reason = await _interrupted(task, execution)
        finally:
            await _stop(task, execution)
        ended = task.done() and not task.cancelled()
        if reason is Interruption.CLAIM_LOST or (reason is Interruption.DRAINED and not ended):
            return None
        if reason in {Interruption.CANCELLED, Interruption.TIMEOUT}:
            return await self._fitted(execution, self._result(execution, context, reason))
        return await self._fitted(execution, self._outcome(execution, context, task))

    def _handler(self, job_type: JobType) -> Handler:
        if job_type not in self._handlers:
            self._handlers[job_type] = self._factories[job_type]()
        return self._handlers[job_type]

    def _outcome(self, execution: Execution, context: JobContext, task: "asyncio.Task[BaseModel]") -> JobResult:
        job = execution.job
        if task.cancelled():
            error: BaseException | None = PlatformError("the handler was cancelled by itself", component=job.type)
        else:
            error = task.exception()
        if error is None:
            return make_result(
                job.id, "success", worker=self._worker, started_at=execution.started_at, output=task.result()
            )
        if not isinstance(error, PlatformError):
            logger.error("handler_failed", job_id=str(job.id), type=job.type, exc_info=error)
        return self._failed(execution, context, as_platform_error(error, component=job.type))

    def _result(self, execution: Execution, context: JobContext, reason: Interruption) -> JobResult:
        job = execution.job
        if reason is Interruption.TIMEOUT:
            message = f"the {job.type} job took longer than {job.timeout_s:.0f} s"
            return self._failed(execution, context, PlatformError(message, code=ErrorCode.TIMEOUT, component=job.type))
        error = PlatformError(f"the {job.type} job was cancelled", code=ErrorCode.CANCELLED, component=job.type)
        return make_result(
            job.id,
            "cancelled",
            worker=self._worker,
            started_at=execution.started_at,
            output=context.partial,
            error=error.to_detail(),
        )

    def _failed(self, execution: Execution, context: JobContext, error: PlatformError) -> JobResult:
        return make_result(
            execution.job.id,
            "failed",
            worker=self._worker,
            started_at=execution.started_at,
            output=context.partial,
            error=masked_detail(error, context.masker),
        )

    async def _fitted(self, execution: Execution, result: JobResult) -> JobResult:
        try:
            return await STORE_RETRY.call(lambda: fit(result, execution.job, self._services.storage))
        except PlatformError as error:
            failure = TransientError(
                "the job's output can't be stored", code=ErrorCode.STORAGE_FAILED, component="worker"
            ).wrap(error)
            return make_result(
                result.job_id,
                "failed",
                worker=self._worker,
                started_at=execution.started_at,
                error=failure.to_detail(),
            )


async def _interrupted(task: "asyncio.Task[BaseModel]", execution: Execution) -> Interruption:
    """Wait for the handler's end, or the reason to stop it."""
    task.add_done_callback(lambda _: execution.interrupt(Interruption.ENDED))
    timer = asyncio.get_running_loop().call_later(execution.job.timeout_s, execution.interrupt, Interruption.TIMEOUT)
    try:
        return await execution.interruption
    finally:
        timer.cancel()


async def _stop(task: "asyncio.Task[BaseModel]", execution: Execution) -> None:
    if task.done():
        return
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=CLEAN_UP_S)
    if not done:
        logger.error("handler_does_not_end", job_id=str(execution.job.id), type=execution.job.type)
