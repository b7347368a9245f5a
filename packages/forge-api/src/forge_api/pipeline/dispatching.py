"""Jobs of a repository reach the workers within the repository's share of each pool."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from forge_dispatch import Admission, OnResult
from forge_sdk.messaging import QUEUE_OF_TYPE
from forge_sdk.models.jobs import Job, JobResult


class JobDispatcher(Protocol):
    """Runs jobs on the workers."""

    async def run(
        self, jobs: Sequence[Job], *, fail_fast: bool = True, on_result: OnResult | None = None
    ) -> list[JobResult]:
        """The results of jobs, in the same order; see `forge_dispatch.Dispatcher.run`."""

    async def withdraw(self, jobs: Sequence[Job], *, on_result: OnResult | None = None) -> list[JobResult]:
        """End jobs that may have been published, and return their results."""

    async def cancel(self, run_id: UUID) -> None:
        """End all jobs of a run."""


class AdmittingDispatcher(Protocol):
    """A dispatcher that holds jobs back until they are admitted (`forge_dispatch.Dispatcher` is one)."""

    async def run(
        self,
        jobs: Sequence[Job],
        *,
        fail_fast: bool = True,
        on_result: OnResult | None = None,
        admission: Admission | None = None,
    ) -> list[JobResult]:
        """The results of jobs, in the same order."""

    async def withdraw(self, jobs: Sequence[Job], *, on_result: OnResult | None = None) -> list[JobResult]:
        """End jobs that may have been published, and return their results."""

    async def cancel(self, run_id: UUID) -> None:
        """End all jobs of a run."""


class Admissions(Protocol):
    """Who may have how many jobs with the workers."""

    def of(self, repository: str, pool: str) -> Admission:
        """The admission that all jobs of a repository share in a pool."""


class FairDispatcher:
    """A dispatcher that holds back what is above a repository's share. The jobs of one call are of one type."""

    def __init__(self, dispatcher: AdmittingDispatcher, admissions: Admissions) -> None:
        self._dispatcher, self._admissions = dispatcher, admissions

    async def run(
        self, jobs: Sequence[Job], *, fail_fast: bool = True, on_result: OnResult | None = None
    ) -> list[JobResult]:
        """The results of jobs, in the same order."""
        admission = self._admissions.of(jobs[0].repository, QUEUE_OF_TYPE[jobs[0].type].pool) if jobs else None
        return await self._dispatcher.run(jobs, fail_fast=fail_fast, on_result=on_result, admission=admission)

    async def withdraw(self, jobs: Sequence[Job], *, on_result: OnResult | None = None) -> list[JobResult]:
        """End jobs that may have been published, and return their results."""
        return await self._dispatcher.withdraw(jobs, on_result=on_result)

    async def cancel(self, run_id: UUID) -> None:
        """End all jobs of a run."""
        await self._dispatcher.cancel(run_id)
