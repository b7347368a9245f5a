"""Environments: their policies, what runs in them, and holds on automatic deployments."""

from http import HTTPStatus

from forge_api.database import audit, deployment_view, holds
from forge_api.web.call import Answer, Call
from forge_api.web.handlers.deployments import EnvironmentPath
from forge_api.web.pages import MAX_INTEGER, PageQuery, cursor_after, id_position, number_position, split
from forge_sdk.models.api import Deployment, Environment, EnvironmentName, Hold, Page, RepositoryName
from forge_sdk.models.base import ClosedModel


class OneEnvironmentPath(ClosedModel):
    """Variables of an environment's path."""

    environment: EnvironmentName


class ActiveQuery(PageQuery):
    """Of which repository what runs is shown; nothing means all."""

    repository: RepositoryName | None = None


class HoldQuery(PageQuery):
    """Of which environment holds are shown; nothing means all."""

    environment: EnvironmentName | None = None


async def environments(call: Call) -> Answer:
    """Environments with their promotion policies."""
    return Answer(Page[Environment](items=tuple(call.services.deployments.environments())))


async def active(call: Call) -> Answer:
    """What runs in an environment, newest first."""
    path, query = call.path_as(OneEnvironmentPath), call.query_as(ActiveQuery)
    before = id_position(query)
    async with call.services.database.connection() as connection:
        found = await deployment_view.active(
            connection, path.environment, query.repository, before=before, limit=query.limit + 1
        )
    items, cursor = split(found, query.limit, lambda deployment: deployment.id)
    return Answer(Page[Deployment](items=items, next_cursor=cursor))


async def held(call: Call) -> Answer:
    """Holds on automatic deployments, by environment and project."""
    query = call.query_as(HoldQuery)
    offset = number_position(query, MAX_INTEGER) or 0
    async with call.services.database.connection() as connection:
        found = await holds.page(connection, query.environment, offset=offset, limit=query.limit + 1)
    following = cursor_after(offset + query.limit) if len(found) > query.limit else None
    return Answer(Page[Hold](items=tuple(found[: query.limit]), next_cursor=following))


async def lift(call: Call) -> Answer:
    """Let automatic deployments of a project to an environment go on."""
    path = call.path_as(EnvironmentPath)
    async with call.services.database.transaction() as connection:
        hold = await holds.lift(connection, path.environment, path.repository, path.project)
        subject = f"hold/{hold.environment}/{hold.repository}/{hold.project}"
        before = hold.model_dump(mode="json", exclude={"schema_version"})
        await audit.record(connection, call.origin, "hold.lifted", subject, before=before)
    return Answer(status=HTTPStatus.NO_CONTENT)
