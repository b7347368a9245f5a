"""Bodies of the Platform API: requests are closed, answers may grow."""

import re
from datetime import datetime
from typing import Annotated, Generic, Literal, Self, TypeVar
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field, JsonValue, model_validator

from forge_sdk.identifiers import PROJECT_PATTERN, REPOSITORY_PATTERN, SHA_PATTERN
from forge_sdk.models.artifacts import PublisherResult
from forge_sdk.models.base import ClosedModel, VersionedModel, WireModel
from forge_sdk.models.discovery import MatchedTrigger
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.plugins import PluginDescription, PluginProblem
from forge_sdk.models.statuses import (
    AliasType,
    ArtifactType,
    AttemptState,
    DeploymentIntent,
    DeploymentStatus,
    ExecutionStatus,
    PublicationState,
    ReleaseStatus,
    RunStatus,
    TriggerType,
)
from forge_sdk.secrets import SecretReference

Item = TypeVar("Item")
RepositoryName = Annotated[str, Field(pattern=REPOSITORY_PATTERN)]
CommitSha = Annotated[str, Field(pattern=SHA_PATTERN)]
ProjectName = Annotated[str, Field(pattern=PROJECT_PATTERN)]
GitName = Annotated[str, Field(min_length=1, max_length=255)]
EnvironmentName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
_TAKEN_FORMS = re.compile(r"[0-9]+|[0-9a-f]{7,40}")


def _not_a_number_or_sha(alias: str) -> str:
    if _TAKEN_FORMS.fullmatch(alias):
        raise ValueError("must not look like a release number or the beginning of a SHA")
    return alias


CustomAlias = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=128), AfterValidator(_not_a_number_or_sha)
]


class RegisterRepository(ClosedModel):
    """Body of `POST /v1/repositories`; registering again with the same fields changes nothing."""

    repository: RepositoryName
    clone_url: str = Field(min_length=1, max_length=2048)
    default_branch: GitName = "main"
    git_credentials: SecretReference | None = None


class Repository(VersionedModel):
    """A registered repository."""

    id: UUID
    repository: str
    clone_url: str
    default_branch: str
    registered_by: str
    created_at: datetime


class GithubContext(ClosedModel):
    """Where on GitHub a run's status belongs."""

    pr_number: int | None = None
    run_id: int | None = None
    context: str | None = Field(default=None, max_length=255)
    check_run_id: int | None = None


class CreateRun(ClosedModel):
    """Body of `POST /v1/runs`; `retry` asks for a new attempt although the newest one did not fail."""

    repository: RepositoryName
    commit_sha: CommitSha
    branch: GitName | None = None
    tag: GitName | None = None
    ref: GitName | None = None
    trigger_type: TriggerType = TriggerType.MANUAL
    retry: bool = False
    github_context: GithubContext | None = None


class RetryRun(ClosedModel):
    """Body of `POST /v1/runs/{id}/retry`; with `failed` only what did not succeed is repeated."""

    failed: bool = False


class Step(WireModel):
    """A step of a task; `logs_available` says whether `GET /v1/steps/{id}/logs` has something."""

    id: UUID
    name: str
    action: str
    status: ExecutionStatus
    exit_code: int | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    logs_available: bool = False
    error: ErrorDetail | None = None


class Task(WireModel):
    """All steps of one project in one phase."""

    id: UUID
    project: str
    project_path: str
    status: ExecutionStatus
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: ErrorDetail | None = None
    steps: tuple[Step, ...] = ()


class Phase(WireModel):
    """A phase of a run with its tasks."""

    id: UUID
    name: str
    group: int
    status: ExecutionStatus
    started_at: datetime | None = None
    completed_at: datetime | None = None
    tasks: tuple[Task, ...] = ()


class RunSummary(VersionedModel):
    """A run without what is below it.

    `based_on` is the run whose successful work this attempt reuses, `waiting_for` the one that has to end first,
    `superseded_by` the newer one that cancelled this.
    """

    id: UUID
    repository: str
    commit_sha: str
    branch: str | None = None
    tag: str | None = None
    attempt: int
    status: RunStatus
    trigger_type: TriggerType
    triggered_by: str
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    based_on: UUID | None = None
    waiting_for: UUID | None = None
    superseded_by: UUID | None = None
    error: ErrorDetail | None = None


class JobLog(WireModel):
    """The log of a job that has no steps; `id` is the job's, under which `GET /v1/steps/{id}/logs` has it."""

    id: UUID
    phase: str
    project: str
    step: str


class ArtifactProgress(WireModel):
    """One artifact of a release that is being made, with its rows of the publish ledger."""

    name: str
    type: ArtifactType
    logs_available: bool = False
    publications: tuple["Publication", ...] = ()


class Publication(WireModel):
    """A row of the publish ledger."""

    artifact: str
    publisher: str
    file: str
    digest: str
    state: PublicationState
    uri: str = ""
    error: ErrorDetail | None = None


class ReleaseAttempt(WireModel):
    """The making of a release; `release_id` is the id that the release has or will have."""

    release_id: UUID
    project: str
    commit_sha: str
    state: AttemptState
    artifacts: tuple[ArtifactProgress, ...] = ()
    error: ErrorDetail | None = None


class Run(RunSummary):
    """A run with phases, tasks, steps, releases in the making, and deployments that it made."""

    phases: tuple[Phase, ...] = ()
    attempts: tuple[ReleaseAttempt, ...] = ()
    releases: tuple["Release", ...] = ()
    deployments: tuple["Deployment", ...] = ()
    logs: tuple[JobLog, ...] = ()
    warnings: tuple[str, ...] = ()


class ReleaseAlias(WireModel):
    """Another name of a release."""

    alias: str
    type: AliasType


class ReleaseArtifact(WireModel):
    """An artifact of a release."""

    name: str
    type: ArtifactType
    tracking_oci_uri: str
    tracking_oci_digest: str
    primary_published_uri: str | None = None
    publisher_results: tuple[PublisherResult, ...] = ()


class Release(VersionedModel):
    """A release; `canonical_id` is the triplet `repository/project/commit-sha`, OCI names are without host."""

    id: UUID
    canonical_id: str
    repository: str
    project: str
    commit_sha: str
    release_number: int
    status: ReleaseStatus
    oci_uri: str
    oci_digest: str
    created_by: str
    created_at: datetime
    aliases: tuple[ReleaseAlias, ...] = ()
    triggers: tuple[MatchedTrigger, ...] = ()
    artifacts: tuple[ReleaseArtifact, ...] = ()
    deployments: tuple["Deployment", ...] = ()
    publications: tuple[Publication, ...] = ()


class CreateRelease(ClosedModel):
    """Body of `POST /v1/releases`: a release of a project at a commit, with further names for it.

    A name can't look like a number or like the beginning of a SHA.
    """

    repository: RepositoryName
    project: ProjectName
    commit_sha: CommitSha
    branch: GitName | None = None
    tag: GitName | None = None
    aliases: tuple[CustomAlias, ...] = Field(default=(), max_length=20)


class RetryRelease(ClosedModel):
    """Body of `POST /v1/releases/.../retry`: unfinished publishers are called again, with the sealed copy of the artifact.

    With `rebuild` every artifact is built again and every publisher is called.
    """

    rebuild: bool = False


class RequestedRelease(VersionedModel):
    """A release that was asked for; `status` is `pending` while the run `run_id` makes it or goes on with it."""

    canonical_id: str
    status: Literal["pending", "complete", "partial"]
    run_id: UUID | None = None
    id: UUID | None = None
    release_number: int | None = None
    oci_uri: str | None = None
    oci_digest: str | None = None
    aliases: tuple[ReleaseAlias, ...] = ()
    deployments: tuple["Deployment", ...] = ()


class CreateDeployment(ClosedModel):
    """Body of `POST /v1/deployments`; `release` is an alias, a number, a SHA or a SHA prefix of 7 or more digits.

    `rollback` goes back to an earlier release (default: the one that was active before), `allow_divergent` to one whose
    commit doesn't descend from what is deployed; both hold automatic deployments there.
    """

    environment: EnvironmentName
    repository: RepositoryName
    project: ProjectName
    release: str | None = Field(default=None, min_length=1, max_length=255)
    rollback: bool = False
    allow_divergent: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.release is None and not self.rollback:
            raise ValueError("release is missing: only a rollback goes without")
        if self.rollback and self.allow_divergent:
            raise ValueError("rollback and allow_divergent exclude each other")
        return self


class Hold(VersionedModel):
    """While it stands, nothing is deployed automatically to this environment for this project."""

    environment: str
    repository: str
    project: str
    reason: str
    set_by: str
    created_at: datetime
    deployment_id: UUID | None = None


class Deployment(VersionedModel):
    """A deployment of a release to an environment; `intent` says that it was meant to go back or sideways."""

    id: UUID
    environment: str
    repository: str
    project: str
    slug: str
    release_id: UUID
    commit_sha: str
    release_number: int
    status: DeploymentStatus
    deployed_by: str
    created_at: datetime
    deployed_at: datetime | None = None
    gitops_commit_sha: str | None = None
    intent: DeploymentIntent | None = None
    error: ErrorDetail | None = None


class Page(VersionedModel, Generic[Item]):
    """One page of a list; `next_cursor` is absent on the last."""

    model_config = ConfigDict(serialize_by_alias=True)

    items: tuple[Item, ...]
    next_cursor: str | None = None


class StepStatusUpdate(ClosedModel):
    """What a worker says of a step while it runs."""

    step_id: UUID
    status: ExecutionStatus
    exit_code: int | None = None
    logs_key: str | None = None
    at: datetime


class TaskStatusUpdate(ClosedModel):
    """What a worker says of a task while it runs."""

    task_id: UUID
    status: ExecutionStatus
    at: datetime


class JobStatuses(ClosedModel):
    """Updates of one job, under its fencing token."""

    job_id: UUID
    token: int = Field(ge=0)
    tasks: tuple[TaskStatusUpdate, ...] = ()
    steps: tuple[StepStatusUpdate, ...] = ()


class StatusBatch(ClosedModel):
    """Body of `POST /v1/internal/statuses`: updates of several jobs, each of which is there once."""

    jobs: tuple[JobStatuses, ...] = Field(max_length=1000)

    @model_validator(mode="after")
    def _each_job_once(self) -> Self:
        if len({job.job_id for job in self.jobs}) < len(self.jobs):
            raise ValueError("a job may be there only once")
        return self


class TaskStatus(ClosedModel):
    """Body of `PUT /v1/tasks/{task id}/status`: one update under the fencing token of its job."""

    job_id: UUID
    token: int = Field(ge=0)
    status: ExecutionStatus
    at: datetime


class StepStatus(TaskStatus):
    """Body of `PUT /v1/steps/{step id}/status`."""

    exit_code: int | None = None
    logs_key: str | None = None


class RefusedStatuses(WireModel):
    """A job of which nothing was written, and why: `stale_token` where another worker has it now."""

    job_id: UUID
    code: str
    message: str


class StatusAnswer(WireModel):
    """The jobs of a `StatusBatch` that were refused; the others are written."""

    refused: tuple[RefusedStatuses, ...] = ()


class LeaseRequest(ClosedModel):
    """Body of `PUT /v1/internal/leases`: a job wants to write referrers of an image, `subject`, for so long; 0 gives the lease back."""

    subject: str = Field(min_length=1, max_length=500)
    job_id: UUID
    token: int = Field(ge=0)
    seconds: int = Field(ge=0, le=600)


class LeaseAnswer(WireModel):
    """Whether the job holds the lease now."""

    held: bool


class LedgerUpdate(ClosedModel):
    """Body of `PUT /v1/internal/attempts/{release id}/publications`: rows of the publish ledger under a fencing token."""

    job_id: UUID
    token: int = Field(ge=0)
    rows: tuple[Publication, ...] = Field(max_length=1000)


class AttemptUpdate(ClosedModel):
    """Body of `PUT /v1/internal/attempts/{release id}/state`."""

    job_id: UUID
    token: int = Field(ge=0)
    state: AttemptState
    logs_key: str | None = None


class PluginSet(WireModel):
    """What one service has installed."""

    service: str
    plugins: tuple[PluginDescription, ...] = ()
    problems: tuple[PluginProblem, ...] = ()


class RegisterPlugins(ClosedModel):
    """Body of `PUT /v1/internal/plugins/{service}`: what a worker found at its start, and the jobs that it runs at once."""

    pools: tuple[str, ...]
    slots: dict[str, Annotated[int, Field(ge=1, le=100_000)]] = Field(default_factory=dict)
    plugins: tuple[PluginDescription, ...] = ()
    problems: tuple[PluginProblem, ...] = ()


class Environment(VersionedModel):
    """An environment and its promotion policy, as configured."""

    name: str
    policy: dict[str, JsonValue]


class AuditRecord(VersionedModel):
    """An event of the audit log; `hash` covers everything in it, `previous_hash` is that of the event before it."""

    sequence: int
    id: UUID
    occurred_at: datetime
    actor: str
    action: str
    subject: str
    request_id: str | None = None
    trace_id: str | None = None
    before: dict[str, JsonValue] | None = None
    after: dict[str, JsonValue] | None = None
    previous_hash: str
    hash: str


class Plugins(VersionedModel):
    """Answer of `GET /v1/plugins`: the set of every service."""

    sets: tuple[PluginSet, ...]


ArtifactProgress.model_rebuild()
Run.model_rebuild()
Release.model_rebuild()
