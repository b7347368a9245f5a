"""Payload and output of each type of job."""

from datetime import datetime
from uuid import UUID

from pydantic import Field, JsonValue

from forge_sdk.models.artifacts import ArtifactRecord, Digest, PublisherResult
from forge_sdk.models.base import WireModel
from forge_sdk.models.discovery import ArtifactDefinition, PublisherDefinition, StepSecret
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.releases import ReleasePointer
from forge_sdk.models.statuses import ExecutionStatus


class StepPlan(WireModel):
    """One step as a worker runs it; `timeout_s` in seconds."""

    id: UUID
    name: str
    action: str
    configuration: dict[str, JsonValue] = Field(default_factory=dict)
    timeout_s: float
    secrets: tuple[StepSecret, ...] = ()


class CiPayload(WireModel):
    """A task: all steps of one project in one phase, in waves."""

    task_id: UUID
    phase: str
    project: str
    project_path: str
    waves: tuple[tuple[StepPlan, ...], ...]


class StepOutcome(WireModel):
    """What became of a step; `logs_key` names its log in object storage."""

    step_id: UUID
    name: str
    status: ExecutionStatus
    exit_code: int | None = None
    logs_key: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: ErrorDetail | None = None


class CiOutput(WireModel):
    """The outcome of every step of a task, also of those that never started."""

    steps: tuple[StepOutcome, ...]


class ArtifactPayload(WireModel):
    """Build, seal and publish one artifact of the release that is being made.

    `published` are results of earlier tries that stand: these publishers are not called again. With `rebuild` a sealed
    copy is not used.
    """

    release_id: UUID
    project: str
    project_path: str
    artifact: ArtifactDefinition
    publishers: tuple[PublisherDefinition, ...] = ()
    published: tuple[PublisherResult, ...] = ()
    rebuild: bool = False


class ArtifactJobOutput(WireModel):
    """The sealed and published artifact."""

    artifact: ArtifactRecord
    logs_key: str | None = None
    warnings: tuple[str, ...] = ()


class ReleasePayload(WireModel):
    """Render, pack, push and sign the release of a project."""

    release_id: UUID
    project: str
    project_path: str
    artifacts: tuple[ArtifactRecord, ...] = ()


class ReleaseJobOutput(WireModel):
    """The release image, without host, and what it holds."""

    oci_uri: str
    oci_digest: Digest
    resources: tuple[str, ...] = ()


class DeploymentPayload(WireModel):
    """Commit the pointer of a release to the GitOps repository.

    The release's commit must be `must_descend_from`, or a descendant of it, where that is given; with
    `require_signature` the release image must be signed by the platform's key.
    """

    deployment_id: UUID
    environment: str
    slug: str
    pointer: ReleasePointer
    must_descend_from: str | None = None
    require_signature: bool = True


class DeploymentJobOutput(WireModel):
    """The commit that holds the pointer; `changed` is false where it was there already."""

    gitops_commit_sha: str
    changed: bool
