"""Deployments: one pending at a time for each project and environment, further ones wait in order."""

from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from forge_api.database.origin import Origin
from forge_api.database.pool import Connection
from forge_api.pipeline.facts import Source, source
from forge_sdk.identifiers import uuid7
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.jobs import GitContext
from forge_sdk.models.statuses import DeploymentIntent, DeploymentStatus

_LOCK_PROJECT = "select id from projects where id = $1 for update"
_CURRENT = """
select id, release_id, status from deployments
where project_id = $1 and environment = $2 and status in ('active', 'pending', 'queued')
order by id desc
"""
_INSERT = """
insert into deployments (id, release_id, project_id, run_id, environment, status, deployed_by, automatic, intent,
                         request_id, trace)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
_PROJECT_OF = "select project_id from releases where id = $1"
_SUBJECT = """
select d.id, d.status, d.environment, d.run_id, d.deployed_by, d.created_at, d.project_id, d.automatic, d.intent,
    r.id as release_id,
    r.commit_sha, r.release_number, r.oci_digest, p.name as project, p.slug, o.owner || '/' || o.name as repository,
    o.clone_url, o.git_credentials, d.request_id, coalesce(d.trace, w.trace) as trace,
    (select a.alias from release_aliases a where a.release_id = r.id and a.alias_type = 'tag' order by a.id limit 1)
        as tag_alias,
    (select a.alias from release_aliases a where a.release_id = r.id and a.alias_type = 'branch' order by a.id limit 1)
        as branch_alias,
    (select h.commit_sha from deployments a join releases h on h.id = a.release_id
        where a.project_id = d.project_id and a.environment = d.environment and a.status = 'active') as active_commit
from deployments d
join releases r on r.id = d.release_id
join projects p on p.id = d.project_id
join repositories o on o.id = p.repository_id
left join pipeline_runs w on w.id = d.run_id
where d.id = $1
"""
_PENDING = "select id from deployments where status = 'pending' order by id"
_SUPERSEDE = """
update deployments set status = 'superseded', updated_at = now()
where project_id = $1 and environment = $2 and status = 'active'
"""
_ACTIVATE = """
update deployments set status = 'active', deployed_at = now(), gitops_commit_sha = $2, updated_at = now()
where id = $1 and status = 'pending'
"""
_END = "update deployments set status = $2, error = $3, updated_at = now() where id = $1 and status in ('pending', 'queued')"
_NEXT = """
select id from deployments where project_id = $1 and environment = $2 and status = 'queued' order by id limit 1
"""
_BEFORE = """
select p.release_id from deployments p
where p.project_id = $1 and p.environment = $2 and p.status = 'superseded'
    and not exists (select from deployments a where a.project_id = $1 and a.environment = $2 and a.status = 'active'
                    and a.release_id = p.release_id)
order by p.deployed_at desc, p.id desc limit 1
"""
_PROJECT = """
select p.id from projects p join repositories o on o.id = p.repository_id
where o.owner = split_part($1, '/', 1) and o.name = split_part($1, '/', 2) and p.name = $2
"""
_START = "update deployments set status = 'pending', updated_at = now() where id = $1 and status = 'queued'"


@dataclass(frozen=True, slots=True)
class Subject:
    """A deployment with what its job needs to know; `active_commit` is what the environment holds now."""

    id: UUID
    status: DeploymentStatus
    environment: str
    run_id: UUID | None
    project_id: UUID
    project: str
    slug: str
    release_id: UUID
    release_number: int
    oci_digest: str
    tag_alias: str | None
    branch_alias: str | None
    deployed_by: str
    created_at: datetime
    automatic: bool
    active_commit: str | None
    intent: DeploymentIntent | None
    request_id: str | None
    source: Source

    @property
    def origin(self) -> Origin:
        """Who asked for it."""
        return Origin(self.deployed_by, self.request_id, self.source.trace)


@dataclass(frozen=True, slots=True)
class NewDeployment:
    """A deployment that is asked for: `automatic` ones by a run, `intent` allows to go back or sideways."""

    release_id: UUID
    environment: str
    origin: Origin
    run_id: UUID | None = None
    automatic: bool = False
    intent: DeploymentIntent | None = None


async def lock_project(connection: Connection, release_id: UUID) -> UUID:
    """The id of a release's project, whose deployments nobody else changes until the transaction ends."""
    project_id: UUID = await connection.fetchval(_PROJECT_OF, release_id)
    await connection.execute(_LOCK_PROJECT, project_id)
    return project_id


async def get_or_create(connection: Connection, project_id: UUID, new: NewDeployment) -> tuple[UUID, bool]:
    """The deployment of a release, and whether it is new; the project is locked.

    One that is active, pending or queued is returned, unless a later request would change the environment again
    after it; a new one is pending, or queued behind the pending one.
    """
    current = await connection.fetch(_CURRENT, project_id, new.environment)
    waiting = [row for row in current if row["status"] != DeploymentStatus.ACTIVE.value]
    newest = next(iter(waiting or current), None)
    if newest is not None and newest["release_id"] == new.release_id:
        return newest["id"], False
    status = DeploymentStatus.QUEUED if waiting else DeploymentStatus.PENDING
    deployment_id = uuid7()
    await connection.execute(
        _INSERT,
        deployment_id,
        new.release_id,
        project_id,
        new.run_id,
        new.environment,
        status.value,
        new.origin.actor,
        new.automatic,
        new.intent,
        new.origin.request_id,
        new.origin.trace,
    )
    return deployment_id, True


async def release_before(connection: Connection, environment: str, repository: str, project: str) -> UUID | None:
    """The release that was active in the environment before the one that is now."""
    project_id = await connection.fetchval(_PROJECT, repository, project)
    found: UUID | None = await connection.fetchval(_BEFORE, project_id, environment)
    return found


async def subject(connection: Connection, deployment_id: UUID) -> Subject:
    """A deployment that exists, with release, project and repository."""
    row = await connection.fetchrow(_SUBJECT, deployment_id)
    names = [field.name for field in fields(Subject) if field.name not in {"status", "intent", "source"}]
    values = {name: row[name] for name in names}
    return Subject(
        **values,
        status=DeploymentStatus(row["status"]),
        intent=DeploymentIntent(row["intent"]) if row["intent"] else None,
        source=source(row, GitContext(), row["trace"]),
    )


async def pending(connection: Connection) -> list[UUID]:
    """Deployments whose job has not ended, oldest first."""
    return [row["id"] for row in await connection.fetch(_PENDING)]


async def activate(connection: Connection, found: Subject, gitops_commit_sha: str) -> None:
    """The deployment is what the environment holds now; the one before it is superseded."""
    await connection.execute(_LOCK_PROJECT, found.project_id)
    await connection.execute(_SUPERSEDE, found.project_id, found.environment)
    await connection.execute(_ACTIVATE, found.id, gitops_commit_sha)


async def end(connection: Connection, deployment_id: UUID, status: DeploymentStatus, error: ErrorDetail) -> None:
    """The deployment did not come about."""
    await connection.execute(_END, deployment_id, status.value, error.model_dump(mode="json"))


async def next_queued(connection: Connection, project_id: UUID, environment: str) -> UUID | None:
    """The deployment whose turn it is; the project's row is locked."""
    await connection.execute(_LOCK_PROJECT, project_id)
    found: UUID | None = await connection.fetchval(_NEXT, project_id, environment)
    return found


async def start(connection: Connection, deployment_id: UUID) -> None:
    """A queued deployment becomes the pending one."""
    await connection.execute(_START, deployment_id)
