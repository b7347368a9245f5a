"""Release attempts: the making of a release, before there is one. The attempt's id is the release's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
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
_LOCK_PROJECT = "select id from projects where id = $1 for update"
# An attempt whose run has ended, or is gone, is nobody's any more.
_ABANDON = """
update release_attempts a set completed_at = now(), updated_at = now(),
    state = case when exists (select from releases r where r.id = a.id) then 'recorded' else 'failed' end
where a.project_id = $1 and a.commit_sha = $2 and a.state not in ('failed', 'recorded')
    and not exists (select from pipeline_runs r where r.id = a.run_id and r.status in ('pending', 'running'))
"""
# What a failed attempt has built and sealed is gone on from.
_REOPEN = """
update release_attempts set run_id = $3, state = 'planned', error = null, completed_at = null, updated_at = now()
where id = (select a.id from release_attempts a
            where a.project_id = $1 and a.commit_sha = $2 and a.state = 'failed' and a.reusable
                and not exists (select from releases r where r.id = a.id)
            order by a.id desc limit 1)
    and run_id is distinct from $3
    and not exists (select from release_attempts o
                    where o.project_id = $1 and o.commit_sha = $2 and o.state not in ('failed', 'recorded'))
"""
_TAKE_UP = """
update release_attempts set run_id = $2, state = 'publishing', completed_at = null, updated_at = now()
where id = $1 and (run_id = $2 or state = 'recorded') returning id
"""
_ADD_RUN = """
insert into release_attempt_runs (attempt_id, run_id) values ($1, $2) on conflict do nothing
"""
_SET_ASIDE = """
update release_attempts set reusable = false where project_id = $1 and commit_sha = $2 and state = 'failed'
"""
_OF_COMMIT = """
select a.run_id, a.project_id, a.commit_sha from release_attempts a
join projects p on p.id = a.project_id join repositories o on o.id = p.repository_id
where o.owner = split_part($1, '/', 1) and o.name = split_part($1, '/', 2) and p.name = $2
    and starts_with(a.commit_sha, $3) and a.run_id is not null
order by a.id desc limit 20
"""
_ADD_ARTIFACT = """
insert into attempt_artifacts (id, attempt_id, name, type) values ($1, $2, $3, $4)
on conflict (attempt_id, name) do nothing
"""
_RECORDS = "select record, run_id from attempt_artifacts where attempt_id = $1 and record is not null order by name"
_KEEP_RECORD = """
update attempt_artifacts f set record = $3, logs_key = coalesce($4, f.logs_key), updated_at = now(), run_id = a.run_id
from release_attempts a where a.id = f.attempt_id and f.attempt_id = $1 and f.name = $2
"""
# The worker has written these rows under its token; what its result says counts, should a write have been lost.
_KEEP_PUBLICATION = """
insert into publish_records (id, attempt_id, artifact, publisher, file, digest, state, uri, error, token)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0)
on conflict (attempt_id, artifact, publisher, file) do update
    set digest = excluded.digest, uri = excluded.uri, error = excluded.error, updated_at = now(),
        state = case when excluded.state = 'identical' and publish_records.state = 'published'
            and excluded.digest = publish_records.digest then publish_records.state else excluded.state end
"""
_MOVE = """
update release_attempts set state = $2, updated_at = now() where id = $1 and state not in ('failed', 'recorded')
"""
# A release that is there already stays recorded, whatever became of a try to complete it; one that awaits a signature
# goes on doing so.
_FAIL = """
update release_attempts a set updated_at = now(),
    completed_at = case when a.state = 'awaiting_signature' then null else now() end,
    state = case when exists (select from releases r where r.id = a.id) then 'recorded'
        when a.state = 'awaiting_signature' then a.state else 'failed' end,
    error = case when exists (select from releases r where r.id = a.id) then null else $2::jsonb end
where a.id = $1 and a.state not in ('failed', 'recorded')
"""
_FAIL_OF_RUN = """
update release_attempts a set updated_at = now(),
    completed_at = case when a.state = 'awaiting_signature' then null else now() end,
    state = case when exists (select from releases r where r.id = a.id) then 'recorded'
        when a.state = 'awaiting_signature' then a.state else 'failed' end,
    error = case when exists (select from releases r where r.id = a.id) then null else $2::jsonb end
where a.run_id = $1 and a.state not in ('failed', 'recorded')
"""
_AWAITING = """
select a.run_id from release_attempts a join pipeline_runs r on r.id = a.run_id
where a.state = 'awaiting_signature' and a.error is not null and r.status = 'failed'
    and a.updated_at < now() - $1::interval
        * least(120, power(2, (select count(*) from release_attempt_runs w where w.attempt_id = a.id) - 1))
order by a.updated_at limit $2
"""
_GIVE_UP = """
update publish_records set state = 'given-up', updated_at = now()
where attempt_id = $1 and state in ('planned', 'failed', 'conflict') returning id
"""
_UNFINISHED = """
select count(*) from publish_records where attempt_id = $1 and state in ('planned', 'failed', 'conflict')
"""


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt of a run; `release_id` is its own id."""

    release_id: UUID
    state: AttemptState
    error: ErrorDetail | None

    @property
    def has_failed(self) -> bool:
        """Whether the run's try has ended without a release, be it that a signature is awaited."""
        return self.state is AttemptState.FAILED or self.error is not None


@dataclass(frozen=True, slots=True)
class MadeArtifact:
    """An artifact that was made, and the run whose job did it."""

    record: ArtifactRecord
    run_id: UUID | None


@dataclass(frozen=True, slots=True)
class AttemptKey:
    """Which release an attempt makes, and the newest run that worked on it."""

    project_id: UUID
    commit_sha: str
    run_id: UUID


async def reserve(
    connection: Connection,
    run_id: UUID,
    project_id: UUID,
    commit_sha: str,
    artifacts: Sequence[ArtifactDefinition],
) -> Attempt | None:
    """The run's attempt for a project; nothing while another run makes this release.

    A failed attempt of an earlier run is taken over with what it has made, else a new one is begun.
    """
    await connection.execute(_LOCK_PROJECT, project_id)
    await connection.execute(_ABANDON, project_id, commit_sha)
    row = await connection.fetchrow(_OF_RUN, run_id, project_id)
    if row is None:
        await connection.execute(_REOPEN, project_id, commit_sha, run_id)
        await connection.execute(_RESERVE, uuid7(), run_id, project_id, commit_sha)
        row = await connection.fetchrow(_OF_RUN, run_id, project_id)
    if row is None:
        return None
    await connection.execute(_ADD_RUN, row["id"], run_id)
    rows = [(uuid7(), row["id"], artifact.name, artifact.type.value) for artifact in artifacts]
    await connection.executemany(_ADD_ARTIFACT, rows)
    error = ErrorDetail.model_validate(row["error"]) if row["error"] else None
    return Attempt(row["id"], AttemptState(row["state"]), error)


async def take_up(connection: Connection, run_id: UUID, release_id: UUID) -> bool:
    """Let a run complete a partial release; false while another one does."""
    if await connection.fetchval(_TAKE_UP, release_id, run_id) is None:
        return False
    await connection.execute(_ADD_RUN, release_id, run_id)
    return True


async def set_aside(connection: Connection, key: AttemptKey) -> None:
    """Nothing that failed attempts of a release have made is used again."""
    await connection.execute(_SET_ASIDE, key.project_id, key.commit_sha)


async def of_commit(connection: Connection, repository: str, project: str, prefix: str) -> list[AttemptKey]:
    """Attempts of a project whose commit begins with `prefix`, newest first, one for each commit."""
    rows = await connection.fetch(_OF_COMMIT, repository, project, prefix)
    keys = [AttemptKey(row["project_id"], row["commit_sha"], row["run_id"]) for row in rows]
    return list({key.commit_sha: key for key in reversed(keys)}.values())


async def awaiting_signature(connection: Connection, wait: timedelta, limit: int) -> list[UUID]:
    """Runs that failed since the signer was away, and whose turn it is again: after `wait`, then twice as long each time."""
    return [row["run_id"] for row in await connection.fetch(_AWAITING, wait, limit)]


async def give_up(connection: Connection, release_id: UUID) -> int:
    """Give up the unfinished rows of the ledger; how many there were."""
    return len(await connection.fetch(_GIVE_UP, release_id))


async def unfinished(connection: Connection, release_id: UUID) -> int:
    """How many rows of the ledger a retry would go on with."""
    count: int = await connection.fetchval(_UNFINISHED, release_id)
    return count


async def made(connection: Connection, release_id: UUID) -> list[MadeArtifact]:
    """The artifacts that were made, with the run that did it, by name."""
    rows = await connection.fetch(_RECORDS, release_id)
    return [MadeArtifact(ArtifactRecord.model_validate(row["record"]), row["run_id"]) for row in rows]


async def records(connection: Connection, release_id: UUID) -> list[ArtifactRecord]:
    """The artifacts that were made, by name."""
    return [found.record for found in await made(connection, release_id)]


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
