"""What a dispatcher asks the API for and reports back: the jobs of one stage of a run, and their results."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from forge_sdk.models.base import ClosedModel, WireModel
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.jobs import Job, JobResult


class Stage(StrEnum):
    """A part of a run that one dispatcher carries out."""

    DISCOVERY = "discovery"
    PHASE_GROUP = "phase-group"
    RELEASE = "release"
    DEPLOYMENT = "deployment"


class StageState(StrEnum):
    """State of a stage: `open` has jobs to run, the others are ends."""

    OPEN = "open"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"

    @property
    def succeeded(self) -> bool:
        """Whether the workflow may go on."""
        return self in {StageState.SUCCESS, StageState.SKIPPED}


class StageQuery(ClosedModel):
    """Which group, project or deployment of the run is meant; discovery has none."""

    group: int | None = Field(default=None, ge=0)
    project: Annotated[str, Field(max_length=63)] | None = None
    deployment: UUID | None = None


class StageJobs(WireModel):
    """What is to do now in a stage.

    `jobs` have no recorded result yet; with `withdraw` they are only cancelled and collected. An open stage without jobs
    waits for another run: ask again at once. `at_once` is how many may be with the workers at a time. `outputs` is what the
    workflow reads at the end of the stage; `error` says why it failed or was cancelled.
    """

    stage: Stage
    state: StageState
    jobs: tuple[Job, ...] = ()
    fail_fast: bool = True
    withdraw: bool = False
    at_once: int | None = None
    error: ErrorDetail | None = None
    outputs: dict[str, str] = Field(default_factory=dict)


class StageResult(ClosedModel):
    """The result of one job of a stage; sending it again changes nothing."""

    stage: Stage
    group: int | None = Field(default=None, ge=0)
    project: Annotated[str, Field(max_length=63)] | None = None
    deployment: UUID | None = None
    result: JobResult
