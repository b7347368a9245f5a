"""Pipeline runs: creation by the rule of attempts, lists, cancel requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import JsonValue

from forge_api.database import audit, outbox, rate_limits, repositories
from forge_api.database.origin import Origin
from forge_api.database.pool import Connection
from forge_api.database.rate_limits import Budget
from forge_sdk.errors import ErrorCode, PlatformError, TransientError
from forge_sdk.identifiers import uuid7
from forge_sdk.models.api import CreateRun, RunSummary
from forge_sdk.models.statuses import RunStatus

CREATE_TRIES = 5
_SELECT = """
select r.*, p.owner || '/' || p.name as repository
from pipeline_runs r join repositories p on p.id = r.repository_id
"""
# Rules of attempts, event, audit event and rate limit are in the function, so that a request takes one round trip.
_GET_OR_CREATE = """
select made.created, (made.run).id, (made.run).commit_sha, (made.run).branch, (made.run).tag, (made.run).attempt,
    (made.run).status, (made.run).trigger_type, (made.run).triggered_by, (made.run).created_at, (made.run).started_at,
    (made.run).completed_at, (made.run).based_on, (made.run).waiting_for, (made.run).superseded_by, (made.run).error
from create_run($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) made
"""
_USED_UP = "FG429"
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
_LOCK = _SELECT + "where r.id = $1 for update of r"
_ACTIVE_LATER = (
    _SELECT
    + """
where r.repository_id = $1 and r.commit_sha = $2 and r.attempt > $3 and r.status in ('pending', 'running')
    and r.branch is not distinct from $4 and r.tag is not distinct from $5 and not r.cancel_requested
    and r.release_request is not distinct from $6
order by r.attempt desc limit 1
"""
)
_RETRY = """
insert into pipeline_runs (id, repository_id, commit_sha, branch, tag, ref, trigger_type, triggered_by, github_context,
                           trace, request_id, release_request, based_on, attempt)
select $1, r.repository_id, r.commit_sha, r.branch, r.tag, r.ref, r.trigger_type, $3, r.github_context, $4, $6,
    r.release_request,
    case when $5 then r.id end,
    1 + (select max(attempt) from pipeline_runs n where n.repository_id = r.repository_id and n.commit_sha = r.commit_sha)
from pipeline_runs r where r.id = $2
on conflict on constraint pipeline_runs_commit_attempt_key do nothing returning id
"""
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
    connection: Connection, body: CreateRun, origin: Origin, budget: Budget
) -> tuple[RunSummary, bool]:
    """The run for what is asked, and whether it is new; a new one is told with an event and an audit event.

    The newest attempt of the same commit and event is returned, unless it failed, errored, was cancelled or is being
    cancelled, or `retry` is asked for. One statement, which needs no transaction around it. Raises `not_found` for a
    repository that is not registered, `rate_limited` where `budget` is used up.
    """
    try:
        row = await connection.fetchrow(_GET_OR_CREATE, *_arguments(body, origin, budget))
    except asyncpg.PostgresError as error:
        if error.sqlstate != _USED_UP:
            raise
        raise rate_limits.used_up(budget, float(error.detail)) from None
    if row is None:
        raise repositories.unknown(body.repository)
    if row["created"] is None:
        raise _too_many()
    return _summary({**row, "repository": body.repository}), row["created"]


async def retry(connection: Connection, run_id: UUID, origin: Origin, *, failed: bool) -> tuple[RunSummary, bool]:
    """A new attempt of a run with the same Git context, or the one that is active already; and whether it is new.

    With `failed` it reuses what succeeded. Raises `not_found`, and `conflict` for a run that has not ended, or that
    succeeded and has nothing to repeat.
    """
    for _ in range(CREATE_TRIES):
        found = await connection.fetchrow(_LOCK, run_id)
        if found is None:
            raise unknown(run_id)
        _require_retryable(found, failed=failed)
        event = [found[name] for name in ("repository_id", "commit_sha", "attempt", "branch", "tag", "release_request")]
        active = await connection.fetchrow(_ACTIVE_LATER, *event)
        if active is not None:
            return _summary(active), False
        created = await connection.fetchval(
            _RETRY, uuid7(), run_id, origin.actor, origin.trace, failed, origin.request_id
        )
        if created is not None:
            return await summary(connection, created), True
    raise _too_many()


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


async def tell_created(connection: Connection, origin: Origin, run: RunSummary, **more: JsonValue) -> None:
    """The event and the audit event of a new run, which says `more`; `get_or_create` has told its own already."""
    subject, data = f"run/{run.id}", run.model_dump(mode="json")
    await outbox.record(connection, "pipeline.run.created", subject, data, trace=origin.trace)
    await audit.record(connection, origin, "run.created", subject, after={**_audited(run), **more})


def _audited(run: RunSummary) -> dict[str, JsonValue]:
    """What an audit event says of a new run."""
    return {
        "repository": run.repository,
        "commit_sha": run.commit_sha,
        "branch": run.branch,
        "tag": run.tag,
        "attempt": run.attempt,
        "trigger_type": run.trigger_type.value,
        "based_on": str(run.based_on) if run.based_on else None,
    }


def _arguments(body: CreateRun, origin: Origin, budget: Budget) -> tuple[object, ...]:
    branch, tag = git_names(body)
    owner, _, name = body.repository.partition("/")
    # The database sets what is known only there: attempt, based_on, created_at.
    run = RunSummary(
        id=uuid7(),
        repository=body.repository,
        commit_sha=body.commit_sha,
        branch=branch,
        tag=tag,
        attempt=1,
        status=RunStatus.PENDING,
        trigger_type=body.trigger_type,
        triggered_by=origin.actor,
        created_at=datetime.now(UTC),
    )
    context: JsonValue = body.github_context.model_dump(mode="json") if body.github_context else None
    asked = (run.id, owner, name, body.commit_sha, branch, tag, body.ref, body.trigger_type.value)
    told = (uuid7(), run.model_dump(mode="json"), uuid7(), origin.request_id, origin.trace_id, _audited(run))
    limit = (budget.key, budget.cost(1), rate_limits.WINDOW)
    return (*asked, origin.actor, context, origin.trace, body.retry, *told, *limit)


def _too_many() -> TransientError:
    return TransientError("too many runs of this commit are being created: try again", component="api")


def _require_retryable(row: Mapping[str, Any], *, failed: bool) -> None:
    status = RunStatus(row["status"])
    if not status.finished:
        problem = f"is {status.value}: wait for its end, or cancel it first"
    elif failed and status is RunStatus.SUCCESS:
        problem = "succeeded, so nothing of it failed: retry it as a whole"
    else:
        return
    raise PlatformError(f"run {row['id']} {problem}", code=ErrorCode.CONFLICT, component="api")


def _summary(row: Mapping[str, Any]) -> RunSummary:
    return RunSummary.model_validate(dict(row))
