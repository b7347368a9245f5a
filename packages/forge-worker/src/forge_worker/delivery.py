"""What happens to one message of a pool: claim, run, result, reply, acknowledgement."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg

from forge_sdk import telemetry
from forge_sdk.cancellation import pause
from forge_sdk.errors import PlatformError, TransientError
from forge_sdk.logging import get_logger
from forge_sdk.messaging import MAX_DELIVER, Queue
from forge_sdk.models.jobs import Job, JobResult
from forge_sdk.nats_requests import Requests
from forge_sdk.retry import RetryPolicy
from forge_worker.cancellation import CancellationWatch
from forge_worker.claims import Claim, ClaimStore
from forge_worker.envelopes import deliveries, envelope_identity, read_envelope
from forge_worker.results import encode_result, lost_error, make_result, undeliverable_error
from forge_worker.runner import Execution, Interruption, JobRunner

ACK_RETRY = RetryPolicy(attempts=3, base_delay=0.2, max_delay=1, jitter=0.1)

logger = get_logger(__name__)


@dataclass(slots=True)
class _Running:
    """A job that this process claims or runs, and the delivery that keeps it."""

    message: Msg
    execution: Execution | None = None
    cancelled: bool = False

    def cancel(self) -> None:
        """Stop the job, or never start it."""
        self.cancelled = True
        if self.execution is not None:
            self.execution.interrupt(Interruption.CANCELLED)


class DeliveryHandler:
    """Handles the messages of all pools of this process."""

    def __init__(
        self,
        connection: Client,
        requests: Requests,
        claims: ClaimStore,
        watch: CancellationWatch,
        runner: JobRunner,
        *,
        worker: str,
        ack_wait_s: float,
    ) -> None:
        self._connection, self._requests = connection, requests
        self._claims, self._watch, self._runner = claims, watch, runner
        self._worker, self._ack_wait_s = worker, ack_wait_s
        self._running: dict[UUID, _Running] = {}
        self._draining = False

    def drain(self) -> None:
        """Stop the jobs that still run, and those that are about to start; each is handed back."""
        self._draining = True
        for running in self._running.values():
            if running.execution is not None:
                running.execution.interrupt(Interruption.DRAINED)

    async def handle(self, message: Msg, queue: Queue) -> None:
        """Do all that the message asks for. Returns when it is acknowledged, given back or left to redelivery."""
        try:
            job = read_envelope(message.data, queue)
        except PlatformError as error:
            await self._reject(message, error)
            return
        known = self._running.get(job.id)
        if known is not None:
            await self._join(known, message)
            return
        running = self._running[job.id] = _Running(message)
        facts = {"job_id": str(job.id), "run_id": str(job.run_id), "job_type": job.type.value}
        facts |= {"trace_id": trace} if (trace := telemetry.trace_id(job.trace)) is not None else {}
        # For this task and those that it makes; each message has a task of its own.
        structlog.contextvars.bind_contextvars(**facts)
        try:
            await self._claimed(running, job)
        except TransientError as error:
            logger.warning("delivery_given_up", error=error.message)
            await self._give_back(running.message, self._ack_wait_s)
        finally:
            del self._running[job.id]

    async def _join(self, known: _Running, message: Msg) -> None:
        """A delivery of a job that is in hand here: the same message again since the heartbeat was late, or a duplicate."""
        if message.metadata.sequence.stream == known.message.metadata.sequence.stream:
            known.message = message
            await message.in_progress()
        else:
            await self._give_back(message, self._ack_wait_s)

    async def _claimed(self, running: _Running, job: Job) -> None:
        with self._watch.watching(job, running.cancel):
            message = running.message
            outcome = await self._claims.claim(job.id, redelivered=deliveries(message) > 1)
            if outcome.claim is not None and outcome.refusal is None:
                # A message is not given to anybody else before the wait for its acknowledgement is over.
                alone_until = time.monotonic() + self._ack_wait_s / 2 if outcome.claim.is_first else 0.0
                await self._execute(running, Execution(job, outcome.claim, alone_until))
                return
        if outcome.result is not None:
            logger.info("job_finished_before", status=outcome.result.status)
            await self._answer(message, job.reply_to, outcome.result)
        elif outcome.claim is None:
            await self._give_back(message, self._ack_wait_s)
        else:
            await self._fail(message, job, outcome.claim, lost_error(outcome.claim.losses))

    async def _execute(self, running: _Running, execution: Execution) -> None:
        running.execution = execution
        claim = execution.claim
        if claim.losses:
            self._runner.count_loss(execution.job)
        logger.info("job_started", token=claim.token, losses=claim.losses)
        async with self._heartbeat(running, execution):
            if running.cancelled or await self._watch.is_cancelled(execution.job):
                running.cancel()
            if self._draining:
                execution.interrupt(Interruption.DRAINED)
            result = await self._runner.run(execution)
            if result is not None and not await self._claims.finish(claim, result):
                logger.warning("claim_lost", reason="another worker took the job over; its result counts")
                return
        if result is None:
            await self._interrupted(running.message, execution)
            return
        logger.info("job_finished", status=result.status, error=result.error.code if result.error else None)
        await self._answer(running.message, execution.job.reply_to, result)

    async def _interrupted(self, message: Msg, execution: Execution) -> None:
        if execution.interruption.result() is Interruption.CLAIM_LOST:
            logger.warning("claim_lost", reason="another worker took the job over")
            return
        if deliveries(message) >= MAX_DELIVER:
            # Given back, it would stay in the stream and never be delivered again.
            await self._fail(message, execution.job, execution.claim, undeliverable_error(MAX_DELIVER))
        elif await self._claims.hand_back(execution.claim):
            logger.info("job_handed_back")
            await self._give_back(message, None)

    async def _fail(self, message: Msg, job: Job, claim: Claim, error: PlatformError) -> None:
        result = make_result(
            job.id, "failed", worker=self._worker, started_at=claim.claimed_at, error=error.to_detail()
        )
        if await self._claims.finish(claim, result):
            logger.error("job_lost", losses=claim.losses, deliveries=deliveries(message))
            await self._reply(job.reply_to, result)
            await message.term()

    async def _reject(self, message: Msg, error: PlatformError) -> None:
        """An envelope that nobody can work on: say so where that is possible, and never see it again."""
        job_id, reply_to = envelope_identity(message.data, message.subject)
        logger.error("envelope_invalid", job_id=str(job_id), code=error.code.value, error=error.message)
        if job_id is not None:
            result = make_result(
                job_id, "failed", worker=self._worker, started_at=datetime.now(UTC), error=error.to_detail()
            )
            outcome = await self._claims.claim(job_id, redelivered=True)
            if outcome.claim is not None and await self._claims.finish(outcome.claim, result):
                await self._reply(reply_to, result)
        await message.term()

    async def _answer(self, message: Msg, reply_to: str, result: JobResult) -> None:
        await self._reply(reply_to, result)
        try:
            await ACK_RETRY.call(lambda: self._acknowledge(message))
        except TransientError as error:
            logger.warning("ack_not_confirmed", error=error.message)

    async def _acknowledge(self, message: Msg) -> None:
        try:
            await self._requests.send(message.reply, Msg.Ack.Ack)
        except (nats.errors.TimeoutError, nats.errors.NoRespondersError, nats.errors.ConnectionClosedError) as error:
            raise TransientError(
                f"the acknowledgement was not confirmed: {type(error).__name__}", component="worker"
            ) from error

    async def _reply(self, reply_to: str, result: JobResult) -> None:
        """Wake the dispatcher up; where that fails it finds the result in the bucket."""
        if not reply_to:
            return
        try:
            await self._connection.publish(reply_to, encode_result(result))
        except (nats.errors.Error, ValueError) as error:
            logger.warning("reply_not_sent", error=str(error) or type(error).__name__)

    async def _give_back(self, message: Msg, delay: float | None) -> None:
        with suppress(nats.errors.Error):
            await message.nak(delay)

    @asynccontextmanager
    async def _heartbeat(self, running: _Running, execution: Execution) -> AsyncIterator[None]:
        tasks: list[asyncio.Task[None]] = []
        # Most jobs that do little end before the first beat is due: they need no task for it.
        timer = asyncio.get_running_loop().call_later(
            self._ack_wait_s / 3, lambda: tasks.append(asyncio.create_task(self._beat(running, execution)))
        )
        try:
            yield
        finally:
            timer.cancel()
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _beat(self, running: _Running, execution: Execution) -> None:
        """Keep the message ours, and stop the job where its claim is not."""
        while True:
            with suppress(nats.errors.Error):
                await running.message.in_progress()
            try:
                if not await self._claims.holds(execution.claim):
                    execution.interrupt(Interruption.CLAIM_LOST)
                    return
            except PlatformError as error:
                logger.warning("claim_not_checked", error=error.message)
            await pause(self._ack_wait_s / 3)
