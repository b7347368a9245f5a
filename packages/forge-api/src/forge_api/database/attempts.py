"""Release attempts: the making of a release, before there is one. The attempt's id is the release's."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import JsonValue

from forge_api.database.pool import Connection
from forge_sdk.identifiers import uuid7
from forge_sdk.models.artifacts import ArtifactRecord
from forge_sdk.models.discovery import ArtifactDefinition
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.statuses import AttemptState

_RESERVE = """
insert into release_attempts (id, run_id, project_id, commit_sha) values ($1, $2, $3, $4)
on conflict do nothing returning id
"""
_OF_RUN = "select id, state, error from release_attempts where run_id = $1 and project_id = $2"
# An attempt whose run has ended, or is gone, is nobody's any more.
_ABANDON = """
update release_attempts a set state = 'failed', completed_at = now(), updated_at = now()
where a.project_id = $1 and a.commit_sha = $2 and a.state not in ('failed', 'recorded')
    and not exists (select from pipeline_runs r where r.id = a.run_id and r.status in ('pending', 'running'))
"""
_ADD_ARTIFACT = """
insert into attempt_artifacts (id, attempt_id, name, type) values ($1, $2, $3, $4)
on conflict (attempt_id, name) do nothing
"""
_RECORDS = "select record from attempt_artifacts where attempt_id = $1 and record is not null order by name"
_KEEP_RECORD = """
update attempt_artifacts set record = $3, logs_key = coalesce($4, logs_key), updated_at = now()
where attempt_id = $1 and name = $2
"""
# The worker has written these rows under its token; what its result says counts, should a write have been lost.
_KEEP_PUBLICATION = """
insert into publish_records (id, attempt_id, artifact, publisher, file, digest, state, uri, error, token)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)
on conflict (attempt_id, artifact, publisher, file) do update
    set digest = excluded.digest, state = excluded.state, uri = excluded.uri, error = excluded.error, updated_at = now()
"""
_MOVE = """
update release_attempts set state = $2, updated_at = now() where id = $1 and state not in ('failed', 'recorded')
"""
_FAIL = """
update release_attempts set state = 'failed', error = $2, completed_at = now(), updated_at = now()
where id = $1 and state not in ('failed', 'recorded')
"""
_FAIL_OF_RUN = """
update release_attempts set state = 'failed', error = $2, completed_at = now(), updated_at = now()
where run_id = $1 and state not in ('failed', 'recorded')
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt of a run; `release_id` is its own id."""

    release_id: UUID
    state: AttemptState
    error: ErrorDetail | None


async def reserve(
    connection: Connection,
    run_id: UUID,
    project_id: UUID,
    commit_sha: str,
    artifacts: Sequence[ArtifactDefinition],
) -> Attempt | None:
    """The run's attempt for a project, made where there is none; nothing while another run makes this release."""
    await connection.execute(_ABANDON, project_id, commit_sha)
    await connection.execute(_RESERVE, uuid7(), run_id, project_id, commit_sha)
    row = await connection.fetchrow(_OF_RUN, run_id, project_id)
    if row is None:
        return None
    rows = [(uuid7(), row["id"], artifact.name, artifact.type.value) for artifact in artifacts]
    await connection.executemany(_ADD_ARTIFACT, rows)
    error = ErrorDetail.model_validate(row["error"]) if row["error"] else None
    return Attempt(row["id"], AttemptState(row["state"]), error)


async def records(connection: Connection, release_id: UUID) -> list[ArtifactRecord]:
    """The artifacts that were made, by name."""
    return [ArtifactRecord.model_validate(row["record"]) for row in await connection.fetch(_RECORDS, release_id)]


async def keep_record(connection: Connection, release_id: UUID, record: ArtifactRecord, logs_key: str | None) -> None:
    """Record an artifact that was made, with the final state of its rows of the ledger."""
    await connection.execute(_KEEP_RECORD, release_id, record.name, record.model_dump(mode="json"), logs_key)
    rows = [
        (uuid7(), release_id, record.name, result.publisher, *_publication(file.model_dump(mode="json")))
        for result in record.publishers
        for file in result.files
    ]
    await connection.executemany(_KEEP_PUBLICATION, rows)


async def move(connection: Connection, release_id: UUID, state: AttemptState) -> None:
    """Say how far the attempt has come."""
    await connection.execute(_MOVE, release_id, state.value)


async def fail(connection: Connection, release_id: UUID, error: ErrorDetail) -> None:
    """The attempt has failed."""
    await connection.execute(_FAIL, release_id, error.model_dump(mode="json"))


async def fail_open(connection: Connection, run_id: UUID, error: ErrorDetail) -> None:
    """All attempts of a run that have not ended have failed."""
    await connection.execute(_FAIL_OF_RUN, run_id, error.model_dump(mode="json"))


def _publication(file: dict[str, JsonValue]) -> tuple[Any, ...]:
    return tuple(file[name] for name in ("file", "digest", "state", "uri", "error"))
