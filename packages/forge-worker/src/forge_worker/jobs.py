"""What a handler gets and gives: the services of the process, the context of one job, and the `Handler` protocol."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from uuid import UUID

from pydantic import BaseModel

from forge_oci.registry.client import RegistryClient
from forge_oci.registry.signing import Signer
from forge_project import ProjectComponent
from forge_sdk.client import ApiClient
from forge_sdk.configuration import WorkerConfiguration
from forge_sdk.models.jobs import Job
from forge_sdk.object_storage import ObjectStore
from forge_sdk.plugins.manager import Plugins
from forge_sdk.secrets import Masker, Secret, SecretReference
from forge_sdk.storage_keys import log_key
from forge_worker.checkpoints import CheckpointObserver
from forge_worker.execution.environment import Environments
from forge_worker.git.cache import CachedCommit, RepositoryCache
from forge_worker.git.worktrees import Worktrees
from forge_worker.log_store import LogStore
from forge_worker.logs import LivePublisher, StepLog
from forge_worker.metrics import Metrics
from forge_worker.secrets import SecretStore
from forge_worker.statuses import StatusReporter


@dataclass(frozen=True, slots=True)
class Services:
    """What all jobs of a worker share. `live` sends log data on core NATS; `observer` is told of every checkpoint."""

    configuration: WorkerConfiguration
    plugins: Plugins
    api: ApiClient
    storage: ObjectStore
    registry: RegistryClient
    signer: Signer
    project: ProjectComponent
    repositories: RepositoryCache
    worktrees: Worktrees
    environments: Environments
    secrets: SecretStore
    statuses: StatusReporter
    live: LivePublisher
    observer: CheckpointObserver
    metrics: Metrics = field(default_factory=Metrics)


@dataclass(slots=True)
class JobContext:
    """One execution of a job.

    `token` is the fencing token: the revision of the claim, which every internal write to the API carries. `masker` knows
    every secret that the job resolved. `partial` may be set by a handler to the output so far; it becomes the result's
    output where the job fails, is cancelled or runs out of time. `alone_until` as in `Execution`.
    """

    job: Job
    token: int
    services: Services
    masker: Masker = field(default_factory=Masker)
    partial: BaseModel | None = None
    alone_until: float = 0.0

    async def secret(self, reference: SecretReference, *, purpose: str) -> Secret:
        """The secret, resolved now and registered for masking.

        `purpose` is the namespace of the policy: `ci` for secrets of steps, `publishers` for those of publishers, `git`
        for clone credentials. Raises `AuthenticationError` where policy refuses, `PlatformError` where it is unresolved.
        """
        return await self.services.secrets.resolve(
            reference, masker=self.masker, repository=self.job.repository, purpose=purpose, job_id=self.job.id
        )

    @asynccontextmanager
    async def commit(self) -> AsyncIterator[CachedCommit]:
        """The job's commit in the cached bare repository, fetched where it is missing; in use until the context ends."""
        async with self.services.repositories.commit(
            self.job.clone_url, self.job.commit_sha, ref=self.job.git.ref, credentials=self._git_credentials
        ) as commit:
            yield commit

    @asynccontextmanager
    async def worktree(self, commit: CachedCommit) -> AsyncIterator[Path]:
        """A private writable checkout of `commit`."""
        async with self.services.worktrees.checkout(commit) as path:
            yield path

    def log(self, phase: str, project: str, step: str, step_id: UUID | None = None) -> StepLog:
        """A log, used as an asynchronous context manager; jobs without steps use their type as `phase`."""
        key = log_key(self.job.run_id, phase, project, step)
        return StepLog(
            store=LogStore(self.services.storage, key, self.token, alone_until=self.alone_until),
            run_id=self.job.run_id,
            step_id=step_id or self.job.id,
            live=self.services.live,
            masker=self.masker,
            limit=self.services.configuration.log_limit,
        )

    async def _git_credentials(self) -> Secret | None:
        reference = self.job.git_credentials
        return await self.secret(reference, purpose="git") if reference is not None else None


class Handler(Protocol):
    """Does the jobs of one type. One object serves many jobs at once: nothing of a job is kept on `self`."""

    async def run(self, context: JobContext) -> BaseModel:
        """Do the job and return its output model.

        May be repeated after a crash, so it must be idempotent. A failure is a `PlatformError`. Cancellation of the job
        and the end of its time arrive as `asyncio.CancelledError`: clean up and let it through.
        """
