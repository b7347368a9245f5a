"""Releases: recorded once, then only aliases and triggers are added."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from forge_api.database.pool import Connection
from forge_sdk.identifiers import uuid7
from forge_sdk.models.artifacts import ArtifactRecord
from forge_sdk.models.discovery import MatchedTrigger
from forge_sdk.models.payloads import ReleaseJobOutput
from forge_sdk.models.statuses import AliasType, ReleaseStatus

_FIND = "select id, release_number, run_id, status from releases where project_id = $1 and commit_sha = $2"
_NEXT_NUMBER = """
update projects set last_release_number = last_release_number + 1, updated_at = now() where id = $1
returning last_release_number
"""
_INSERT = """
insert into releases (id, repository_id, project_id, commit_sha, release_number, run_id, status, oci_uri, oci_digest,
                      created_by)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
_ADD_ARTIFACT = """
insert into release_artifacts (id, release_id, artifact_name, artifact_type, tracking_oci_uri, tracking_oci_digest,
                               primary_published_uri, publisher_results)
values ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_UPDATE_ARTIFACT = """
update release_artifacts set primary_published_uri = $3, publisher_results = $4 where release_id = $1 and artifact_name = $2
"""
_UPDATE_STATUS = """
update releases set status = $2, updated_at = now() where id = $1 and status is distinct from $2 returning id
"""
_RECORDED = """
update release_attempts set state = 'recorded', completed_at = now(), updated_at = now() where id = $1
"""
_ADD_ALIAS = """
insert into release_aliases (id, release_id, project_id, alias, alias_type) values ($1, $2, $3, $4, $5)
on conflict (project_id, alias) do nothing returning id
"""
_ALIAS_OWNER = "select release_id from release_aliases where project_id = $1 and alias = $2"
_ADD_TRIGGER = """
insert into release_triggers (id, release_id, trigger_type, branch, tag, triggered_by, run_id)
select $1, $2, $3, $4, $5, $6, $7 where not exists (
    select from release_triggers where release_id = $2 and trigger_type = $3 and branch is not distinct from $4
        and tag is not distinct from $5)
returning id
"""


@dataclass(frozen=True, slots=True)
class ReleaseRow:
    """A release that is recorded."""

    id: UUID
    number: int
    run_id: UUID | None
    status: ReleaseStatus = ReleaseStatus.COMPLETE


@dataclass(frozen=True, slots=True)
class NewRelease:
    """A release that is to be recorded."""

    id: UUID
    repository_id: UUID
    project_id: UUID
    commit_sha: str
    run_id: UUID
    status: ReleaseStatus
    image: ReleaseJobOutput
    created_by: str
    artifacts: Sequence[ArtifactRecord]


async def find(connection: Connection, project_id: UUID, commit_sha: str) -> ReleaseRow | None:
    """The release of a project at a commit, where there is one."""
    row = await connection.fetchrow(_FIND, project_id, commit_sha)
    if row is None:
        return None
    return ReleaseRow(row["id"], row["release_number"], row["run_id"], ReleaseStatus(row["status"]))


async def record(connection: Connection, release: NewRelease) -> ReleaseRow:
    """Record a release with the project's next number, within the caller's transaction.

    The project's row stays locked until the transaction ends: a rollback gives the number back, so there are no gaps.
    """
    number: int = await connection.fetchval(_NEXT_NUMBER, release.project_id)
    await connection.execute(
        _INSERT,
        release.id,
        release.repository_id,
        release.project_id,
        release.commit_sha,
        number,
        release.run_id,
        release.status.value,
        release.image.oci_uri,
        release.image.oci_digest,
        release.created_by,
    )
    await connection.executemany(_ADD_ARTIFACT, [_artifact(release.id, record) for record in release.artifacts])
    await connection.execute(_RECORDED, release.id)
    return ReleaseRow(release.id, number, release.run_id, release.status)


async def update(connection: Connection, release_id: UUID, artifacts: Sequence[ArtifactRecord]) -> bool:
    """Record what publishers have done since, within the caller's transaction; whether that made the release complete."""
    rows = [_artifact(release_id, record) for record in artifacts]
    await connection.executemany(_UPDATE_ARTIFACT, [(release_id, row[2], row[6], row[7]) for row in rows])
    await connection.execute(_RECORDED, release_id)
    status = status_of(artifacts)
    changed = await connection.fetchval(_UPDATE_STATUS, release_id, status.value) is not None
    return changed and status is ReleaseStatus.COMPLETE


def status_of(artifacts: Sequence[ArtifactRecord]) -> ReleaseStatus:
    """Complete where every publisher has done its work."""
    complete = all(result.succeeded for record in artifacts for result in record.publishers)
    return ReleaseStatus.COMPLETE if complete else ReleaseStatus.PARTIAL


async def add_alias(
    connection: Connection, release_id: UUID, project_id: UUID, alias: str, alias_type: AliasType
) -> bool:
    """Give the release another name; false where another release of the project has it."""
    if await connection.fetchval(_ADD_ALIAS, uuid7(), release_id, project_id, alias, alias_type.value) is not None:
        return True
    return bool(await connection.fetchval(_ALIAS_OWNER, project_id, alias) == release_id)


async def alias_owner(connection: Connection, project_id: UUID | None, alias: str) -> UUID | None:
    """The release of the project that has the alias."""
    found: UUID | None = await connection.fetchval(_ALIAS_OWNER, project_id, alias)
    return found


async def add_trigger(
    connection: Connection, release_id: UUID, trigger: MatchedTrigger, triggered_by: str, run_id: UUID | None = None
) -> bool:
    """Note why the release was made; false where that is noted already."""
    values = (trigger.trigger_type.value, trigger.branch, trigger.tag, triggered_by, run_id)
    return await connection.fetchval(_ADD_TRIGGER, uuid7(), release_id, *values) is not None


def _artifact(release_id: UUID, record: ArtifactRecord) -> tuple[Any, ...]:
    return (
        uuid7(),
        release_id,
        record.name,
        record.type.value,
        record.tracking_oci_uri,
        record.tracking_oci_digest,
        record.primary_uri,
        [result.model_dump(mode="json") for result in record.publishers],
    )
