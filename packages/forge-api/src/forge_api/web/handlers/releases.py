"""Releases of a project."""

from typing import Annotated

from pydantic import Field

from forge_api.database import release_view
from forge_api.database.pool import Connection
from forge_api.web.call import Answer, Call
from forge_api.web.pages import MAX_INTEGER, PageQuery, number_position, split
from forge_sdk.models.api import Page, ProjectName, Release
from forge_sdk.models.base import ClosedModel

PathPart = Annotated[str, Field(min_length=1, max_length=100)]


class ProjectPath(ClosedModel):
    """Variables of a project's path."""

    owner: PathPart
    name: PathPart
    project: ProjectName

    @property
    def repository(self) -> str:
        """`owner/name`."""
        return f"{self.owner}/{self.name}"


class ReleasePath(ProjectPath):
    """Variables of a release's path: an alias, a number, a SHA or a SHA prefix."""

    release: str = Field(min_length=1, max_length=255)


async def find(call: Call) -> Answer:
    """The release that the reference names."""
    path = call.path_as(ReleasePath)
    await call.services.limits.release_read(call.services.database, call.principal.subject)

    async def query(connection: Connection) -> Release:
        release = await release_view.find(connection, path.repository, path.project, path.release)
        return await release_view.with_ledger(connection, release)

    return Answer(await call.services.database.read(query))


async def page(call: Call) -> Answer:
    """Releases of a project, newest first."""
    path, query = call.path_as(ProjectPath), call.query_as(PageQuery)
    before = number_position(query, MAX_INTEGER)
    found = await call.services.database.read(
        lambda connection: release_view.page(
            connection, path.repository, path.project, before=before, limit=query.limit + 1
        )
    )
    items, cursor = split(found, query.limit, lambda release: release.release_number)
    return Answer(Page[Release](items=items, next_cursor=cursor))
