"""Deployments of a project to an environment."""

from http import HTTPStatus

from forge_api.database import deployment_view
from forge_api.web.call import Answer, Call
from forge_api.web.handlers.releases import ProjectPath
from forge_api.web.pages import PageQuery, id_position, split
from forge_sdk.models.api import CreateDeployment, Deployment, EnvironmentName, Page
from forge_sdk.models.statuses import DeploymentStatus

UNFINISHED = {DeploymentStatus.QUEUED, DeploymentStatus.PENDING}


class EnvironmentPath(ProjectPath):
    """Variables of the path of a project in an environment."""

    environment: EnvironmentName


async def create(call: Call) -> Answer:
    """Deploy a release to an environment; where it is active already, that deployment is returned."""
    body = call.body_as(CreateDeployment)
    await call.services.limits.deployment_created(call.services.database, body.environment)
    deployment = await call.services.deployments.request(body, call.origin)
    status = HTTPStatus.CREATED if deployment.status in UNFINISHED else HTTPStatus.OK
    return Answer(deployment, status)


async def history(call: Call) -> Answer:
    """Deployments of a project to an environment, newest first."""
    path, query = call.path_as(EnvironmentPath), call.query_as(PageQuery)
    before = id_position(query)
    async with call.services.database.connection() as connection:
        found = await deployment_view.history(
            connection, path.environment, path.repository, path.project, before=before, limit=query.limit + 1
        )
    items, cursor = split(found, query.limit, lambda deployment: deployment.id)
    return Answer(Page[Deployment](items=items, next_cursor=cursor))
