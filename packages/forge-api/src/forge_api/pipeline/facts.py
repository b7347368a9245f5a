"""What the pipeline knows of a run and its tasks, read from the database."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from forge_api.database.origin import Origin
from forge_api.pipeline.requests import ReleaseRequest
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.jobs import GitContext
from forge_sdk.models.statuses import ExecutionStatus, RunStatus, TriggerType
from forge_sdk.secrets import SecretReference


@dataclass(frozen=True, slots=True)
class Source:
    """Where a commit comes from, as every job needs it."""

    repository: str
    clone_url: str
    git_credentials: SecretReference | None
    commit_sha: str
    git: GitContext = field(default_factory=GitContext)
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """A run, without what is below it."""

    id: UUID
    repository_id: UUID
    source: Source
    triggered_by: str
    status: RunStatus
    cancel_requested: bool
    discovery_ref: str | None
    created_at: datetime
    based_on: UUID | None = None
    release_request: ReleaseRequest | None = None
    request_id: str | None = None

    @property
    def origin(self) -> Origin:
        """Who is behind what the run does."""
        return Origin(self.triggered_by, self.request_id, self.source.trace)

    @property
    def retries(self) -> bool:
        """Whether the run is there to complete a partial release."""
        return self.release_request is not None and self.release_request.retry

    def traced(self, trace: str | None) -> "RunFacts":
        """The same run, whose jobs carry the trace on."""
        return replace(self, source=replace(self.source, trace=trace)) if trace else self


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task and the ids of its steps by name."""

    id: UUID
    phase: str
    group: int
    project: str
    project_path: str
    status: ExecutionStatus
    steps: Mapping[str, UUID]
    error: ErrorDetail | None = None

    @property
    def open(self) -> bool:
        """Whether the task has not ended."""
        return self.status in {ExecutionStatus.PENDING, ExecutionStatus.RUNNING}

    @property
    def unexplained(self) -> bool:
        """Whether the worker has reported the task's failure, but its result, which says why, is not recorded."""
        return self.status is ExecutionStatus.FAILED and self.error is None


def run_facts(row: Mapping[str, Any]) -> RunFacts:
    """The facts of a row of `pipeline_runs` joined with its repository."""
    request = ReleaseRequest.model_validate(row["release_request"]) if row["release_request"] else None
    branch, tag = (request.branch, request.tag) if request else (row["branch"], row["tag"])
    git = GitContext(ref=row["ref"], branch=branch, tag=tag, event=TriggerType(row["trigger_type"]))
    return RunFacts(
        id=row["id"],
        repository_id=row["repository_id"],
        source=source(row, git, row["trace"]),
        triggered_by=row["triggered_by"],
        status=RunStatus(row["status"]),
        cancel_requested=row["cancel_requested"],
        discovery_ref=row["discovery_ref"],
        created_at=row["created_at"],
        based_on=row["based_on"],
        release_request=request,
        request_id=row["request_id"],
    )


def source(row: Mapping[str, Any], git: GitContext, trace: str | None = None) -> Source:
    """The source of a row that has repository, clone URL, credentials and commit."""
    credentials = row["git_credentials"]
    return Source(
        repository=row["repository"],
        clone_url=row["clone_url"],
        git_credentials=SecretReference.model_validate(credentials) if credentials else None,
        commit_sha=row["commit_sha"],
        git=git,
        trace=trace,
    )
