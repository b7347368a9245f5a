"""What the pipeline knows of a run and its tasks, read from the database."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

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

    @property
    def open(self) -> bool:
        """Whether the task has not ended."""
        return self.status in {ExecutionStatus.PENDING, ExecutionStatus.RUNNING}


def run_facts(row: Mapping[str, Any]) -> RunFacts:
    """The facts of a row of `pipeline_runs` joined with its repository."""
    git = GitContext(ref=row["ref"], branch=row["branch"], tag=row["tag"], event=TriggerType(row["trigger_type"]))
    return RunFacts(
        id=row["id"],
        repository_id=row["repository_id"],
        source=source(row, git, row["trace"]),
        triggered_by=row["triggered_by"],
        status=RunStatus(row["status"]),
        cancel_requested=row["cancel_requested"],
        discovery_ref=row["discovery_ref"],
        created_at=row["created_at"],
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
