"""Registered repositories."""

from collections.abc import Mapping
from typing import Any

from forge_api.database.pool import Connection
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.identifiers import uuid7
from forge_sdk.models.api import RegisterRepository, Repository

_SELECT = """
select id, owner || '/' || name as repository, clone_url, default_branch, git_credentials, registered_by, created_at
from repositories
"""
_FIND = _SELECT + "where owner = $1 and name = $2"
_LOCK = _FIND + " for update"
_INSERT = """
insert into repositories (id, owner, name, clone_url, default_branch, git_credentials, registered_by)
values ($1, $2, $3, $4, $5, $6, $7) on conflict (owner, name) do nothing returning id
"""
_UPDATE = """
update repositories set clone_url = $2, default_branch = $3, git_credentials = $4, updated_at = now() where id = $1
"""
_PAGE = (
    _SELECT
    + """
where ($1::text is null or (owner, name) > (split_part($1, '/', 1), split_part($1, '/', 2)))
order by owner, name limit $2
"""
)
_FIELDS = ("clone_url", "default_branch", "git_credentials")


def summary(row: Mapping[str, Any]) -> dict[str, Any]:
    """What an audit event says of a repository."""
    return {name: row[name] for name in _FIELDS}


async def find(connection: Connection, repository: str) -> Mapping[str, Any]:
    """The row of `owner/name`, with `id`, `clone_url` and `git_credentials`; `not_found` where there is none."""
    row = await connection.fetchrow(_FIND, *_parts(repository))
    if row is None:
        raise unknown(repository)
    found: Mapping[str, Any] = row
    return found


async def register(
    connection: Connection, body: RegisterRepository, actor: str
) -> tuple[Mapping[str, Any], Mapping[str, Any] | None]:
    """The row after the registration, and the one before it where the repository was registered already."""
    values = body.model_dump(mode="json")
    fields = [values[name] for name in _FIELDS]
    owner, name = _parts(body.repository)
    created = await connection.fetchval(_INSERT, uuid7(), owner, name, *fields, actor)
    row: Mapping[str, Any] = await connection.fetchrow(_LOCK, owner, name)
    if created is not None:
        return row, None
    if summary(row) == summary(values):
        return row, row
    await connection.execute(_UPDATE, row["id"], *fields)
    return await find(connection, body.repository), row


async def page(connection: Connection, *, after: str | None, limit: int) -> list[Repository]:
    """Repositories by name, those after `after`."""
    return [model(row) for row in await connection.fetch(_PAGE, after, limit)]


def model(row: Mapping[str, Any]) -> Repository:
    """The row as the API shows it: without the reference of credentials."""
    return Repository.model_validate(dict(row))


def unknown(repository: str) -> PlatformError:
    """The error for a repository that is not registered."""
    return PlatformError(
        f"repository {repository} is not registered: an operator registers it with POST /v1/repositories",
        code=ErrorCode.NOT_FOUND,
        component="api",
        context={"repository": repository},
    )


def _parts(repository: str) -> tuple[str, str]:
    owner, _, name = repository.partition("/")
    return owner, name
