"""Pipeline runs: creation by the rule of attempts, lists, cancel requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import JsonValue

from forge_api.database import repositories
from forge_api.database.pool import Connection
from forge_sdk.errors import ErrorCode, PlatformError, TransientError
from forge_sdk.identifiers import uuid7
from forge_sdk.models.api import CreateRun, RunSummary
from forge_sdk.models.statuses import RunStatus

CREATE_TRIES = 5
_SELECT = """
select r.*, p.owner || '/' || p.name as repository
from pipeline_runs r join repositories p on p.id = r.repository_id
"""
# The newest attempt is looked for among those of the same event: a tag, or another branch, is an attempt of its own.
_GET_OR_CREATE = """
with repository as (select id, owner, name from repositories where owner = $1 and name = $2),
newest as (
    select r.* from pipeline_runs r join repository on r.repository_id = repository.id
    where r.commit_sha = $3
        and ($4::text is null and $5::text is null
             or r.branch is not distinct from $4 and r.tag is not distinct from $5)
    order by r.attempt desc limit 1
),
reusable as (
    select * from newest where not $6 and not cancel_requested and status in ('pending', 'running', 'success')
),
created as (
    insert into pipeline_runs (id, repository_id, commit_sha, branch, tag, ref, trigger_type, triggered_by,
                               github_context, trace, attempt)
    select $7, repository.id, $3, $4, $5, $8, $9, $10, $11, $12,
        1 + coalesce((select max(attempt) from pipeline_runs
                      where repository_id = repository.id and commit_sha = $3), 0)
    from repository where not exists (select from reusable)
    on conflict on constraint pipeline_runs_commit_attempt_key do nothing
    returning *
)
select found.*, p.owner || '/' || p.name as repository
from (select true as created, * from created union all select false, * from reusable) found
join repository p on p.id = found.repository_id
"""
_SUMMARY = _SELECT + "where r.id = $1"
_PAGE = (
    _SELECT
    + """
where ($1::text is null or (p.owner = split_part($1, '/', 1) and p.name = split_part($1, '/', 2)))
    and ($2::text is null or r.branch = $2)
    and ($3::text is null or r.commit_sha = $3)
    and ($4::text is null or r.status = $4)
    and ($5::uuid is null or r.id < $5)
order by r.id desc limit $6
"""
)
_REQUEST_CANCEL = """
update pipeline_runs set cancel_requested = true
where id = $1 and status in ('pending', 'running') and not cancel_requested returning id
"""


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs a list holds; nothing means all."""

    repository: str | None = None
    branch: str | None = None
    commit_sha: str | None = None
    status: RunStatus | None = None


async def get_or_create(
    connection: Connection, body: CreateRun, *, triggered_by: str, trace: str | None = None
) -> tuple[RunSummary, bool]:
    """The run for what is asked, and whether it is new.

    The newest attempt of the same commit and event is returned, unless it failed, errored, was cancelled or is being
    cancelled, or `retry` is asked for. Raises `not_found` for a repository that is not registered.
    """
    branch, tag = git_names(body)
    owner, _, name = body.repository.partition("/")
    context: JsonValue = body.github_context.model_dump(mode="json") if body.github_context else None
    # Two requests at once may choose one attempt number; the loser sees the winner's row the next time.
    for _ in range(CREATE_TRIES):
        row = await connection.fetchrow(
            _GET_OR_CREATE,
            owner,
            name,
            body.commit_sha,
            branch,
            tag,
            body.retry,
            uuid7(),
            body.ref,
            body.trigger_type.value,
            triggered_by,
            context,
            trace,
        )
        if row is not None:
            return _summary(row), row["created"]
        await repositories.find(connection, body.repository)
    raise TransientError("too many runs of this commit are being created: try again", component="api")


async def summary(connection: Connection, run_id: UUID) -> RunSummary:
    """A run without what is below it; `not_found` where there is none."""
    row = await connection.fetchrow(_SUMMARY, run_id)
    if row is None:
        raise unknown(run_id)
    return _summary(row)


async def page(connection: Connection, found: RunFilter, *, before: UUID | None, limit: int) -> list[RunSummary]:
    """Runs, newest first, those before `before`."""
    status = found.status.value if found.status else None
    rows = await connection.fetch(_PAGE, found.repository, found.branch, found.commit_sha, status, before, limit)
    return [_summary(row) for row in rows]


async def request_cancel(connection: Connection, run_id: UUID) -> bool:
    """Note that the run is to end; false where it has ended or was asked already."""
    return await connection.fetchval(_REQUEST_CANCEL, run_id) is not None


def git_names(body: CreateRun) -> tuple[str | None, str | None]:
    """Branch and tag of a request, taken from `ref` where they are not given themselves."""
    branch, tag = body.branch, body.tag
    if branch is None and tag is None and body.ref is not None:
        kind, _, name = body.ref.removeprefix("refs/").partition("/")
        branch = name if body.ref.startswith("refs/") and kind == "heads" and name else None
        tag = name if body.ref.startswith("refs/") and kind == "tags" and name else None
    return branch, tag


def unknown(run_id: UUID) -> PlatformError:
    """The error for a run that does not exist."""
    return PlatformError(f"run {run_id} does not exist", code=ErrorCode.NOT_FOUND, component="api")


def _summary(row: Mapping[str, Any]) -> RunSummary:
    return RunSummary.model_validate(dict(row))
