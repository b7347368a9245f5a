"""Projects: known since a discovery first saw them."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from forge_api.database.pool import Connection
from forge_sdk.errors import TransientError
from forge_sdk.identifiers import slug, uuid7
from forge_sdk.models.discovery import DiscoveredProject

_KNOWN = "select id, name from projects where repository_id = $1"
_INSERT = """
insert into projects (id, repository_id, name, path, slug, last_seen_commit) values ($1, $2, $3, $4, $5, $6)
on conflict do nothing returning id
"""
_FIND_ID = "select id from projects where repository_id = $1 and name = $2"
_SEEN = """
update projects p set path = u.path, last_seen_commit = $2, updated_at = now()
from unnest($3::text[], $4::text[]) as u (name, path)
where p.repository_id = $1 and p.name = u.name
"""


async def see(
    connection: Connection, repository_id: UUID, repository: str, commit_sha: str, found: Iterable[DiscoveredProject]
) -> None:
    """Note the projects of a commit; a new one gets its slug, which it keeps for ever."""
    # Sorted, so that two runs at once lock the rows in one order.
    projects = sorted(found, key=lambda project: project.name)
    known = {row["name"] for row in await connection.fetch(_KNOWN, repository_id)}
    for project in projects:
        if project.name not in known:
            await _add(connection, repository_id, repository, commit_sha, project)
    names, paths = [project.name for project in projects], [project.path for project in projects]
    await connection.execute(_SEEN, repository_id, commit_sha, names, paths)


async def id_of(connection: Connection, repository_id: UUID, name: str) -> UUID:
    """Id of a project that a discovery has seen."""
    project_id: UUID = await connection.fetchval(_FIND_ID, repository_id, name)
    return project_id


async def find_id(connection: Connection, repository_id: UUID, name: str) -> UUID | None:
    """Id of a project, nothing where no discovery has seen it."""
    project_id: UUID | None = await connection.fetchval(_FIND_ID, repository_id, name)
    return project_id


async def _add(
    connection: Connection, repository_id: UUID, repository: str, commit_sha: str, project: DiscoveredProject
) -> None:
    for taken in (False, True):
        label = slug(repository, project.name, taken=taken)
        values: tuple[Any, ...] = (uuid7(), repository_id, project.name, project.path, label, commit_sha)
        if await connection.fetchval(_INSERT, *values) is not None:
            return
        if await connection.fetchval(_FIND_ID, repository_id, project.name) is not None:
            return
    raise TransientError(f"no free slug for project {project.name} of {repository}: try again", component="database")
