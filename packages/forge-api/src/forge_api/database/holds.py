"""Holds: while one stands, nothing is deployed automatically to an environment for a project."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from forge_api.database.pool import Connection
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.identifiers import uuid7
from forge_sdk.models.api import Hold

# The first reason stays until the hold is lifted.
_SET = """
insert into holds (id, project_id, environment, reason, set_by, deployment_id) values ($1, $2, $3, $4, $5, $6)
on conflict (project_id, environment) do nothing
"""
_SELECT = """
select h.environment, o.owner || '/' || o.name as repository, p.name as project, h.reason, h.set_by, h.created_at,
    h.deployment_id
from holds h join projects p on p.id = h.project_id join repositories o on o.id = p.repository_id
"""
_FIND = _SELECT + "where h.project_id = $1 and h.environment = $2"
_PAGE = (
    _SELECT
    + """
where ($1::text is null or h.environment = $1)
order by h.environment, o.owner, o.name, p.name offset $2 limit $3
"""
)
_LIFT = """
delete from holds h using projects p, repositories o
where p.id = h.project_id and o.id = p.repository_id and h.environment = $1
    and o.owner = split_part($2, '/', 1) and o.name = split_part($2, '/', 2) and p.name = $3
returning h.environment, o.owner || '/' || o.name as repository, p.name as project, h.reason, h.set_by, h.created_at,
    h.deployment_id
"""


async def set_hold(
    connection: Connection, project_id: UUID, environment: str, *, reason: str, set_by: str, deployment_id: UUID
) -> None:
    """Hold automatic deployments; a hold that stands already stays as it is."""
    await connection.execute(_SET, uuid7(), project_id, environment, reason, set_by, deployment_id)


async def find(connection: Connection, project_id: UUID, environment: str) -> Hold | None:
    """The hold of a project in an environment, where there is one."""
    row = await connection.fetchrow(_FIND, project_id, environment)
    return _model(row) if row is not None else None


async def page(connection: Connection, environment: str | None, *, offset: int, limit: int) -> list[Hold]:
    """All holds, or those of one environment, by environment and project."""
    return [_model(row) for row in await connection.fetch(_PAGE, environment, offset, limit)]


async def lift(connection: Connection, environment: str, repository: str, project: str) -> Hold:
    """Remove a hold and return it; `not_found` where there is none."""
    row = await connection.fetchrow(_LIFT, environment, repository, project)
    if row is None:
        raise PlatformError(
            f"nothing holds automatic deployments of {repository}/{project} to {environment}",
            code=ErrorCode.NOT_FOUND,
            component="deployments",
        )
    return _model(row)


def _model(row: Mapping[str, Any]) -> Hold:
    return Hold.model_validate(dict(row))
