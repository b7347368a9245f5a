"""What workers report of releases while they work, under the fencing token of their job."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from forge_api.database import logs, tokens
from forge_api.database.pool import Connection
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.identifiers import job_id as derived_job_id
from forge_sdk.identifiers import uuid7
from forge_sdk.models.api import AttemptUpdate, LedgerUpdate
from forge_sdk.models.statuses import AttemptState

_ATTEMPT = """
select a.run_id, p.name as project from release_attempts a join projects p on p.id = a.project_id
where a.id = $1 for update of a
"""
_ARTIFACT_NAMES = "select name from attempt_artifacts where attempt_id = $1"
# A target that was reached stays reached, whatever a later delivery of the job plans.
_UPSERT_PUBLICATION = """
insert into publish_records (id, attempt_id, artifact, publisher, file, digest, state, uri, error, token)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (attempt_id, artifact, publisher, file) do update
    set digest = excluded.digest, uri = excluded.uri, error = excluded.error, token = excluded.token, updated_at = now(),
        state = case when excluded.state = 'identical' and publish_records.state = 'published'
            and excluded.digest = publish_records.digest then publish_records.state else excluded.state end
    where not (publish_records.state in ('published', 'identical') and excluded.state = 'planned')
"""
_UPDATE_STATE = """
update release_attempts set state = $2, updated_at = now() where id = $1 and state not in ('failed', 'recorded')
"""
_ARTIFACT_LOG = "update attempt_artifacts set logs_key = $3, updated_at = now() where attempt_id = $1 and name = $2"
_RELEASE_LOG = "update release_attempts set logs_key = $2, updated_at = now() where id = $1"


async def apply_publications(connection: Connection, release_id: UUID, body: LedgerUpdate) -> None:
    """Write rows of the publish ledger; `not_found` for an attempt or artifact that does not exist."""
    await tokens.require_newest(connection, body.job_id, body.token)
    await _attempt(connection, release_id)
    names = await _artifact_names(connection, release_id)
    if unknown := sorted({row.artifact for row in body.rows} - names):
        raise _not_found(f"release attempt {release_id} has no artifact {unknown[0]}")
    await connection.executemany(
        _UPSERT_PUBLICATION, [(uuid7(), release_id, *_columns(row), body.token) for row in body.rows]
    )


async def apply_attempt(connection: Connection, release_id: UUID, body: AttemptUpdate) -> None:
    """Write how far an attempt has come, and where the job's log is. Only the platform itself says `recorded`."""
    if body.state is AttemptState.RECORDED:
        raise _conflict("an attempt is recorded by the platform when its release job has ended")
    await tokens.require_newest(connection, body.job_id, body.token)
    attempt = await _attempt(connection, release_id)
    await connection.execute(_UPDATE_STATE, release_id, body.state.value)
    if body.logs_key is not None:
        logs.require_of_run(body.logs_key, attempt["run_id"])
        await _store_log(connection, release_id, attempt, body.job_id, body.logs_key)


async def _store_log(connection: Connection, release_id: UUID, attempt: Any, job_id: UUID, logs_key: str) -> None:
    run_id, project = attempt["run_id"], attempt["project"]
    await logs.store_job_log(connection, job_id, run_id, logs_key)
    for name in await _artifact_names(connection, release_id):
        if derived_job_id(run_id, "artifact", project, name) == job_id:
            await connection.execute(_ARTIFACT_LOG, release_id, name, logs_key)
            return
    await connection.execute(_RELEASE_LOG, release_id, logs_key)


async def _attempt(connection: Connection, release_id: UUID) -> Any:
    row = await connection.fetchrow(_ATTEMPT, release_id)
    if row is None:
        raise _not_found(f"there is no release attempt {release_id}")
    return row


async def _artifact_names(connection: Connection, release_id: UUID) -> set[str]:
    return {row["name"] for row in await connection.fetch(_ARTIFACT_NAMES, release_id)}


def _columns(row: Any) -> Sequence[Any]:
    values = row.model_dump(mode="json")
    return [values[name] for name in ("artifact", "publisher", "file", "digest", "state", "uri", "error")]


def _conflict(message: str) -> PlatformError:
    return PlatformError(message, code=ErrorCode.CONFLICT, component="api")


def _not_found(message: str) -> PlatformError:
    return PlatformError(message, code=ErrorCode.NOT_FOUND, component="api")
