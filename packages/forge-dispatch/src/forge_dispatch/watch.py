"""What a dispatcher knows of one open job, and when it gives up on it."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from forge_dispatch.failures import COMPONENT
from forge_dispatch.settings import DispatcherSettings
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.messaging import QUEUE_OF_TYPE
from forge_sdk.models.jobs import Job, JobEntry, JobEntryState, JobResult

WORKER = "dispatcher"
"""Stands in results as the worker where the dispatcher ended the job."""


@dataclass(slots=True)
class OpenJob:
    """A job without result; times are of the monotonic clock, since a worker's clock may differ from ours."""

    job: Job
    unclaimed_since: float = field(default_factory=time.monotonic)
    claim: datetime | None = None
    claimed_since: float = 0.0
    cancelled_since: float | None = None
    held: bool = False

    def let_through(self) -> None:
        """Takes note that the job is no longer held back: from now on it waits for a worker."""
        self.held = False
        self.unclaimed_since = time.monotonic()

    def observe(self, entry: JobEntry | None) -> None:
        """Takes note of a claim that came, changed or went."""
        claim = entry.claimed_at if entry is not None and entry.state is JobEntryState.CLAIMED else None
        if claim == self.claim:
            return
        if claim is None:
            self.unclaimed_since = time.monotonic()
        else:
            self.claimed_since = time.monotonic()
        self.claim = claim

    def cancel(self) -> None:
        """Takes note that the job was cancelled."""
        if self.cancelled_since is None:
            self.cancelled_since = time.monotonic()

    def verdict(self, settings: DispatcherSettings) -> JobResult | None:
        """The result that the dispatcher gives the job itself, where nobody else will in time."""
        now = time.monotonic()
        if self.cancelled_since is not None:
            over = self.claim is None or now - self.cancelled_since > settings.cancel_grace_s
            return cancelled(self.job) if over else None
        if self.claim is None:
            waits_too_long = not self.held and now - self.unclaimed_since > settings.waiting_limit_s
            return self._not_taken(settings) if waits_too_long else None
        limit = self.job.timeout_s + settings.timeout_slack_s
        return self._too_long() if now - self.claimed_since > limit else None

    def _not_taken(self, settings: DispatcherSettings) -> JobResult:
        pool = QUEUE_OF_TYPE[self.job.type].pool
        return _failed(
            self.job,
            f"no worker took the {self.job.type} job within {settings.waiting_limit_s:g} s: "
            f"start workers of pool {pool}, then retry the run",
        )

    def _too_long(self) -> JobResult:
        return _failed(
            self.job,
            f"the {self.job.type} job did not end within its timeout of {self.job.timeout_s:g} s "
            "and its worker did not stop it: raise the timeout, or look at the worker's log",
        )


def cancelled(job: Job) -> JobResult:
    """The result of a job that was cancelled before a worker finished it."""
    error = PlatformError("the job was cancelled", code=ErrorCode.CANCELLED, component=COMPONENT)
    now = datetime.now(UTC)
    return JobResult(
        job_id=job.id, status="cancelled", error=error.to_detail(), started_at=now, finished_at=now, worker=WORKER
    )


def _failed(job: Job, message: str) -> JobResult:
    error = PlatformError(message, code=ErrorCode.TIMEOUT, component=COMPONENT, context={"job_id": str(job.id)})
    now = datetime.now(UTC)
    return JobResult(
        job_id=job.id, status="failed", error=error.to_detail(), started_at=now, finished_at=now, worker=WORKER
    )
