"""The job envelope, results, and what the claim of a job looks like in the KV bucket."""

import builtins
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal, TypeVar
from uuid import UUID

from pydantic import BaseModel, Field, JsonValue, ValidationError

from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.base import VersionedModel, WireModel
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.statuses import TriggerType
from forge_sdk.secrets import SecretReference

Model = TypeVar("Model", bound=BaseModel)


class JobType(StrEnum):
    """Kind of a job; it decides stream, consumer and worker pool (`forge_sdk.messaging`)."""

    DISCOVERY = "discovery"
    CI = "ci"
    ARTIFACT = "artifact"
    RELEASE = "release"
    DEPLOYMENT = "deployment"


class GitContext(WireModel):
    """The Git side of the event that a run was made for."""

    ref: str | None = None
    branch: str | None = None
    tag: str | None = None
    event: TriggerType = TriggerType.MANUAL


class Job(VersionedModel):
    """A unit of work. `reply_to` is the dispatcher's inbox, `trace` a W3C traceparent, `timeout_s` counts from the start."""

    id: UUID
    type: JobType
    run_id: UUID
    repository: str
    clone_url: str
    git_credentials: SecretReference | None = None
    commit_sha: str
    git: GitContext = Field(default_factory=GitContext)
    payload: dict[str, JsonValue] = Field(default_factory=dict)
    reply_to: str = ""
    timeout_s: float = Field(default=1800.0, gt=0)
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))
    trace: str | None = None

    def payload_as(self, model: builtins.type[Model]) -> Model:
        """The payload as `model`; a `PlatformError` names what does not fit."""
        return _typed(self.payload, model, f"payload of {self.type} job {self.id}")


class JobResult(VersionedModel):
    """What became of a job: `output` inline, or in object storage under `output_ref`."""

    job_id: UUID
    status: Literal["success", "failed", "cancelled"]
    output: dict[str, JsonValue] | None = None
    output_ref: str | None = None
    error: ErrorDetail | None = None
    started_at: datetime
    finished_at: datetime
    worker: str

    @property
    def succeeded(self) -> bool:
        """Whether the job did what it was asked for."""
        return self.status == "success"

    def output_as(self, model: type[Model]) -> Model:
        """The inline output as `model`; a `PlatformError` names what does not fit."""
        return _typed(self.output or {}, model, f"result of job {self.job_id}")


class JobEntryState(StrEnum):
    """State of a job's entry in the bucket `forge-jobs`."""

    CLAIMED = "claimed"
    HANDED_BACK = "handed_back"
    FINISHED = "finished"


class JobEntry(VersionedModel):
    """Claim and result of a job, one entry of the bucket `forge-jobs`; its revision is the fencing token.

    `losses` counts the deliveries that found a claim without result or hand-back.
    """

    state: JobEntryState
    worker: str
    claimed_at: datetime
    losses: int = 0
    result: JobResult | None = None


def _typed(values: dict[str, JsonValue], model: type[Model], what: str) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems: list[JsonValue] = [f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors()]
        raise PlatformError(
            f"{what} does not fit {model.__name__}: {problems[0]}; upgrade the older of API and worker",
            code=ErrorCode.VALIDATION_ERROR,
            context={"problems": problems},
        ) from error
