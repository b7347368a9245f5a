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

_FIND = "select id, release_number, run_id from releases where project_id = $1 and commit_sha = $2"
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
_RECORDED = """
update release_attempts set state = 'recorded', completed_at = now(), updated_at = now() where id = $1
"""
_ADD_ALIAS = """
insert into release_aliases (id, release_id, project_id, alias, alias_type) values ($1, $2, $3, $4, $5)
on conflict (project_id, alias) do nothing returning id
"""
_ALIAS_OWNER = "select release_id from release_aliases where project_id = $1 and alias = $2"
_ADD_TRIGGER = """
insert into release_triggers (id, release_id, trigger_type, branch, tag, triggered_by)
select $1, $2, $3, $4, $5, $6 where not exists (
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
    return ReleaseRow(row["id"], row["release_number"], row["run_id"]) if row is not None else None


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
    return ReleaseRow(release.id, number, release.run_id)


async def add_alias(
    connection: Connection, release_id: UUID, project_id: UUID, alias: str, alias_type: AliasType
) -> bool:
    """Give the release another name; false where another release of the project has it."""
    if await connection.fetchval(_ADD_ALIAS, uuid7(), release_id, project_id, alias, alias_type.value) is not None:
        return True
    return bool(await connection.fetchval(_ALIAS_OWNER, project_id, alias) == release_id)


async def add_trigger(connection: Connection, release_id: UUID, trigger: MatchedTrigger, triggered_by: str) -> bool:
    """Note why the release was made; false where that is noted already."""
    values = (trigger.trigger_type.value, trigger.branch, trigger.tag, triggered_by)
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
