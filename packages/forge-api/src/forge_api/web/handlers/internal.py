"""What workers report."""

from http import HTTPStatus
from uuid import UUID

from pydantic import Field

from forge_api.database import leases, plugins, reports, status_reports, tokens
from forge_api.web.call import Answer, Call
from forge_sdk.models.api import (
    AttemptUpdate,
    LeaseAnswer,
    LeaseRequest,
    LedgerUpdate,
    Plugins,
    RegisterPlugins,
    StatusAnswer,
    StatusBatch,
)
from forge_sdk.models.base import ClosedModel

DONE = Answer(status=HTTPStatus.NO_CONTENT)


class AttemptPath(ClosedModel):
    """Variables of the path of a release attempt: the id that the release has or will have."""

    release_id: UUID


class ServicePath(ClosedModel):
    """Variables of the path of a service's plugins."""

    service: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)


async def statuses(call: Call) -> Answer:
    """Statuses of tasks and steps, under the fencing tokens of their jobs."""
    async with call.services.database.transaction() as connection:
        refused = await status_reports.apply(connection, call.body_as(StatusBatch))
    return Answer(StatusAnswer(refused=refused))


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
