"""Deployments as the API shows them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from forge_api.database.pool import Connection
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.api import Deployment

_SELECT = """
select d.id, d.environment, o.owner || '/' || o.name as repository, p.name as project, p.slug, d.release_id,
    r.commit_sha, r.release_number, d.status, d.deployed_by, d.created_at, d.deployed_at, d.gitops_commit_sha,
    d.intent, d.error
from deployments d
join releases r on r.id = d.release_id
join projects p on p.id = d.project_id
join repositories o on o.id = p.repository_id
"""
_ONE = _SELECT + "where d.id = $1"
_OF_RELEASES = _SELECT + "where d.release_id = any($1::uuid[]) order by d.id desc"
_OF_RUN = _SELECT + "where d.run_id = $1 order by d.id"
_HISTORY = (
    _SELECT
    + """
where o.owner = split_part($1, '/', 1) and o.name = split_part($1, '/', 2) and p.name = $2 and d.environment = $3
    and ($4::uuid is null or d.id < $4)
order by d.id desc limit $5
"""
)
_ACTIVE = (
    _SELECT
    + """
where d.environment = $1 and d.status = 'active' and ($2::uuid is null or d.id < $2)
    and ($3::text is null or (o.owner = split_part($3, '/', 1) and o.name = split_part($3, '/', 2)))
order by d.id desc limit $4
"""
)


async def find(connection: Connection, deployment_id: UUID) -> Deployment:
    """A deployment by its id; `not_found` where there is none."""
    row = await connection.fetchrow(_ONE, deployment_id)
    if row is None:
        raise PlatformError(
            f"deployment {deployment_id} does not exist", code=ErrorCode.NOT_FOUND, component="deployments"
        )
    return Deployment.model_validate(dict(row))


async def of_releases(connection: Connection, release_ids: Iterable[UUID]) -> dict[UUID, tuple[Deployment, ...]]:
    """The deployments of each release, newest first."""
    found: dict[UUID, list[Deployment]] = defaultdict(list)
    for deployment in _models(await connection.fetch(_OF_RELEASES, list(release_ids))):
        found[deployment.release_id].append(deployment)
    return {release_id: tuple(deployments) for release_id, deployments in found.items()}


async def of_run(connection: Connection, run_id: UUID) -> tuple[Deployment, ...]:
    """The deployments that a run made."""
    return tuple(_models(await connection.fetch(_OF_RUN, run_id)))


async def history(
    connection: Connection,
    environment: str,
    repository: str,
    project: str,
    *,
    before: UUID | None = None,
    limit: int = 50,
) -> list[Deployment]:
    """The deployments of a project to an environment, newest first, those before `before`."""
    return _models(await connection.fetch(_HISTORY, repository, project, environment, before, limit))


async def active(
    connection: Connection, environment: str, repository: str | None, *, before: UUID | None, limit: int
) -> list[Deployment]:
    """What runs in an environment, newest first, of one repository where it is given."""
    return _models(await connection.fetch(_ACTIVE, environment, before, repository, limit))


def _models(rows: Sequence[object]) -> list[Deployment]:
    return [Deployment.model_validate(dict(row)) for row in rows]  # type: ignore[call-overload]
