"""Answers to dispatchers."""

from collections.abc import Sequence
from uuid import UUID

import orjson

from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.jobs import Job
from forge_sdk.models.stages import Stage, StageJobs, StageState


def opened(stage: Stage, jobs: Sequence[Job], *, withdraw: bool = False, fail_fast: bool = True) -> StageJobs:
    """There is something to do, or to wait for."""
    return StageJobs(stage=stage, state=StageState.OPEN, jobs=tuple(jobs), withdraw=withdraw, fail_fast=fail_fast)


def succeeded(stage: Stage, **outputs: object) -> StageJobs:
    """The stage has ended well; texts are given as they are, everything else as JSON."""
    texts = {name: value if isinstance(value, str) else orjson.dumps(value).decode() for name, value in outputs.items()}
    return StageJobs(stage=stage, state=StageState.SUCCESS, outputs=texts)


def failed(stage: Stage, error: ErrorDetail | None) -> StageJobs:
    """Something of the stage has failed."""
    return StageJobs(stage=stage, state=StageState.FAILED, error=error)


def cancelled(stage: Stage, error: ErrorDetail | None) -> StageJobs:
    """The run was cancelled."""
    return StageJobs(stage=stage, state=StageState.CANCELLED, error=error)


def skipped(stage: Stage) -> StageJobs:
    """There is nothing to do, or something before it has failed."""
    return StageJobs(stage=stage, state=StageState.SKIPPED)


def not_in_stage(job_id: UUID, stage: Stage) -> PlatformError:
    """The error for a result of a job that the stage does not have."""
    return PlatformError(
        f"job {job_id} is not part of stage {stage} of the run", code=ErrorCode.NOT_FOUND, component="pipeline"
    )
