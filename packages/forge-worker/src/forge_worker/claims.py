"""Claims and results of jobs: one entry of the KV bucket `forge-jobs` for each, changed by compare-and-set only."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from uuid import UUID

import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError, KeyNotFoundError
from pydantic import ValidationError

from forge_sdk.errors import PlatformError, TransientError
from forge_sdk.logging import get_logger
from forge_sdk.messaging import JOBS_BUCKET, MAX_LOSSES
from forge_sdk.models.jobs import JobEntry, JobEntryState, JobResult
from forge_sdk.nats_requests import Requests
from forge_sdk.retry import RetryPolicy
from forge_worker.connection import bucket

CLAIM_RETRY = RetryPolicy(attempts=5, base_delay=0.2, max_delay=2, jitter=0.1)
RESULT_RETRY = RetryPolicy(attempts=60, base_delay=0.2, max_delay=5, jitter=0.5)
"""Minutes of a messaging system that is away: a result is worth the wait, the heartbeat goes on meanwhile."""
MAX_RACES = 10

logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim that this worker holds; `token` is the entry's revision, `is_first` that nobody had claimed the job before."""

    job_id: UUID
    token: int
    losses: int
    claimed_at: datetime
    is_first: bool = False


class Refusal(StrEnum):
    """Why a delivery is not worked on, other than because its job has a result."""

    BUSY = "busy"
    """Another worker holds the claim and the message was not redelivered."""
    LOST_TOO_OFTEN = "lost_too_often"


@dataclass(frozen=True, slots=True)
class ClaimOutcome:
    """A claim, or a finished result, or why there is neither; with `LOST_TOO_OFTEN` the claim is there to write the result."""

    claim: Claim | None = None
    result: JobResult | None = None
    refusal: Refusal | None = None


class ClaimStore:
    """Entries of jobs as the worker `worker` sees and changes them."""

    def __init__(self, connection: Client, requests: Requests, worker: str) -> None:
        self._requests, self._worker = requests, worker
        self._bucket = bucket(connection, JOBS_BUCKET)

    async def claim(self, job_id: UUID, *, redelivered: bool) -> ClaimOutcome:
        """Claim the job: create the entry, or take over one that was handed back, or whose message was redelivered.

        A takeover of another worker's open claim counts a loss. Raises `TransientError` where the bucket can't be reached.
        """
        if not redelivered:
            # Nearly always nobody has claimed it: then reading first would be a round trip for nothing.
            outcome = await CLAIM_RETRY.call(lambda: self._create(job_id, 0))
            if outcome is not None:
                return outcome
        for _ in range(MAX_RACES):
            outcome = await CLAIM_RETRY.call(lambda: self._claim_once(job_id, redelivered=redelivered))
            if outcome is not None:
                return outcome
        raise TransientError(f"the claim of job {job_id} changes all the time", component="worker")

    async def holds(self, claim: Claim) -> bool:
        """Whether the claim is still this worker's."""
        entry, revision = await self._read(claim.job_id)
        return entry is not None and revision == claim.token

    async def finish(self, claim: Claim, result: JobResult) -> bool:
        """Write the result; `False` where the claim was lost to another worker meanwhile, whose result counts."""
        entry = self._entry(JobEntryState.FINISHED, claim.losses, claim.claimed_at, result)
        return await RESULT_RETRY.call(lambda: self._replace(claim, entry), on_retry=_tell)

    async def hand_back(self, claim: Claim) -> bool:
        """Say that the job was not lost but given back; `False` where the claim was lost before."""
        entry = self._entry(JobEntryState.HANDED_BACK, claim.losses, claim.claimed_at, None)
        return await CLAIM_RETRY.call(lambda: self._replace(claim, entry))

    async def _claim_once(self, job_id: UUID, *, redelivered: bool) -> ClaimOutcome | None:
        entry, revision = await self._read(job_id)
        if entry is None:
            return await self._create(job_id, revision)
        if entry.result is not None:
            return ClaimOutcome(result=entry.result)
        losses = entry.losses
        if entry.state is JobEntryState.CLAIMED and entry.worker != self._worker:
            if not redelivered:
                return ClaimOutcome(refusal=Refusal.BUSY)
            losses += 1
            logger.warning("worker_lost", job_id=str(job_id), lost_worker=entry.worker, losses=losses)
        claim = Claim(job_id, revision, losses, datetime.now(UTC))
        entry = self._entry(JobEntryState.CLAIMED, losses, claim.claimed_at, None)
        token = await self._write(job_id, entry, revision)
        if token is None:
            return None
        refusal = Refusal.LOST_TOO_OFTEN if losses >= MAX_LOSSES else None
        return ClaimOutcome(claim=replace(claim, token=token), refusal=refusal)

    async def _create(self, job_id: UUID, revision: int) -> ClaimOutcome | None:
        now = datetime.now(UTC)
        token = await self._write(job_id, self._entry(JobEntryState.CLAIMED, 0, now, None), revision)
        return ClaimOutcome(claim=Claim(job_id, token, 0, now, is_first=revision == 0)) if token is not None else None

    async def _replace(self, claim: Claim, entry: JobEntry) -> bool:
        if await self._write(claim.job_id, entry, claim.token) is not None:
            return True
        # The answer to an earlier try may have been lost on its way: then the entry is ours already.
        return (await self._read(claim.job_id))[0] == entry

    async def _write(self, job_id: UUID, entry: JobEntry, revision: int) -> int | None:
        data = entry.model_dump_json(by_alias=True).encode()
        try:
            return await self._requests.compare_and_set(JOBS_BUCKET, str(job_id), data, revision)
        except (nats.errors.Error, APIError, TimeoutError) as error:
            raise _unreachable(error) from error

    async def _read(self, job_id: UUID) -> tuple[JobEntry | None, int]:
        """The entry and its revision; none and 0 where there never was one, a deleted one leaves its revision."""
        try:
            found = await self._bucket.get(str(job_id))
        except KeyNotFoundError as error:
            return None, (error.entry.revision or 0) if error.entry else 0
        except (nats.errors.Error, APIError, TimeoutError) as error:
            raise _unreachable(error) from error
        try:
            return JobEntry.model_validate_json(found.value or b""), found.revision or 0
        except ValidationError as error:
            raise PlatformError(
                f"the entry of job {job_id} can't be read: upgrade the older of the workers", component="worker"
            ) from error

    def _entry(self, state: JobEntryState, losses: int, claimed_at: datetime, result: JobResult | None) -> JobEntry:
        return JobEntry(state=state, worker=self._worker, claimed_at=claimed_at, losses=losses, result=result)


def _tell(attempt: int, error: BaseException) -> None:
    logger.warning("result_not_recorded", attempt=attempt, error=str(error))


def _unreachable(error: Exception) -> TransientError:
    return TransientError(
        f"the bucket of jobs can't be reached: {str(error) or type(error).__name__}", component="worker"
    )
