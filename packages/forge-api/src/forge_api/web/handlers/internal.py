"""What workers report."""

from http import HTTPStatus
from uuid import UUID

from pydantic import Field

from forge_api.database import leases, plugins, reports, status_reports, tokens
from forge_api.web.call import Answer, Call
from forge_sdk.errors import PlatformError
from forge_sdk.models.api import (
    AttemptUpdate,
    JobStatuses,
    LeaseAnswer,
    LeaseRequest,
    LedgerUpdate,
    Plugins,
    RegisterPlugins,
    StatusAnswer,
    StatusBatch,
    StepStatus,
    StepStatusUpdate,
    TaskStatus,
    TaskStatusUpdate,
)
from forge_sdk.models.base import ClosedModel

DONE = Answer(status=HTTPStatus.NO_CONTENT)


class AttemptPath(ClosedModel):
    """Variables of the path of a release attempt: the id that the release has or will have."""

    release_id: UUID


class TaskPath(ClosedModel):
    """Variables of the path of a task."""

    task_id: UUID


class StepPath(ClosedModel):
    """Variables of the path of a step."""

    step_id: UUID


class ServicePath(ClosedModel):
    """Variables of the path of a service's plugins."""

    service: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)


async def statuses(call: Call) -> Answer:
    """Statuses of tasks and steps, under the fencing tokens of their jobs."""
    async with call.services.database.transaction() as connection:
        refused = await status_reports.apply(connection, call.body_as(StatusBatch))
    return Answer(StatusAnswer(refused=refused))


async def task_status(call: Call) -> Answer:
    """The status of one task, under the fencing token of its job."""
    body = call.body_as(TaskStatus)
    update = TaskStatusUpdate(task_id=call.path_as(TaskPath).task_id, status=body.status, at=body.at)
    return await _apply(call, JobStatuses(job_id=body.job_id, token=body.token, tasks=(update,)))


async def step_status(call: Call) -> Answer:
    """The status of one step, under the fencing token of its job."""
    body = call.body_as(StepStatus)
    facts = body.model_dump(exclude={"job_id", "token"})
    update = StepStatusUpdate(step_id=call.path_as(StepPath).step_id, **facts)
    return await _apply(call, JobStatuses(job_id=body.job_id, token=body.token, steps=(update,)))


async def _apply(call: Call, job: JobStatuses) -> Answer:
    async with call.services.database.transaction() as connection:
        refused = await status_reports.apply(connection, StatusBatch(jobs=(job,)))
    for found in refused:
        raise PlatformError(found.message, code=found.code, component="api")
    return DONE


async def lease(call: Call) -> Answer:
    """Let one job at a time write the referrers of an image, under its fencing token."""
    body = call.body_as(LeaseRequest)
    async with call.services.database.transaction() as connection:
        await tokens.require_newest(connection, body.job_id, body.token)
        if body.seconds == 0:
            await leases.give_back(connection, body.subject, body.job_id)
            return Answer(LeaseAnswer(held=False))
        return Answer(LeaseAnswer(held=await leases.take(connection, body.subject, body.job_id, body.seconds)))


async def publications(call: Call) -> Answer:
    """Rows of the publish ledger, under the fencing token of their job."""
    release_id = call.path_as(AttemptPath).release_id
    async with call.services.database.transaction() as connection:
        await reports.apply_publications(connection, release_id, call.body_as(LedgerUpdate))
    return DONE


async def attempt(call: Call) -> Answer:
    """How far the making of a release has come."""
    release_id = call.path_as(AttemptPath).release_id
    async with call.services.database.transaction() as connection:
        await reports.apply_attempt(connection, release_id, call.body_as(AttemptUpdate))
    return DONE


async def register_plugins(call: Call) -> Answer:
    """What a service has installed."""
    async with call.services.database.transaction() as connection:
        await plugins.store(connection, call.path_as(ServicePath).service, call.body_as(RegisterPlugins))
    return DONE


async def list_plugins(call: Call) -> Answer:
    """What every service has installed."""
    async with call.services.database.connection() as connection:
        return Answer(Plugins(sets=await plugins.sets(connection)))
