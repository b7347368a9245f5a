"""Releases as the API shows them, and the rules by which a reference names one."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from forge_api.database import deployment_view
from forge_api.database.pool import Connection
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.identifiers import canonical_release
from forge_sdk.models.api import Publication, Release

MAX_CANDIDATES = 20
_NUMBER = re.compile(r"[0-9]{1,9}")
_SHA_PREFIX = re.compile(r"[0-9a-f]{7,40}")

_SELECT = """
select r.id, o.owner || '/' || o.name as repository, p.name as project, r.commit_sha, r.release_number, r.status,
    r.oci_uri, r.oci_digest, r.created_by, r.created_at,
    (select coalesce(jsonb_agg(jsonb_build_object('alias', a.alias, 'type', a.alias_type) order by a.id), '[]')
        from release_aliases a where a.release_id = r.id) as aliases,
    (select coalesce(jsonb_agg(jsonb_build_object(
            'trigger_type', t.trigger_type, 'branch', t.branch, 'tag', t.tag) order by t.id), '[]')
        from release_triggers t where t.release_id = r.id) as triggers,
    (select coalesce(jsonb_agg(jsonb_build_object(
            'name', f.artifact_name, 'type', f.artifact_type, 'tracking_oci_uri', f.tracking_oci_uri,
            'tracking_oci_digest', f.tracking_oci_digest, 'primary_published_uri', f.primary_published_uri,
            'publisher_results', f.publisher_results) order by f.artifact_name), '[]')
        from release_artifacts f where f.release_id = r.id) as artifacts
from releases r
join projects p on p.id = r.project_id
join repositories o on o.id = r.repository_id
"""
_PROJECT = " where o.owner = split_part($1, '/', 1) and o.name = split_part($1, '/', 2) and p.name = $2 "
_BY_ID = _SELECT + "where r.id = $1"
_BY_ALIAS = (
    _SELECT
    + _PROJECT
    + "and exists (select from release_aliases a where a.project_id = p.id and a.alias = $3 and a.release_id = r.id)"
)
_BY_NUMBER = _SELECT + _PROJECT + "and r.release_number = $3"
_BY_PREFIX = _SELECT + _PROJECT + "and starts_with(r.commit_sha, $3) order by r.release_number desc limit $4"
_PAGE = (
    _SELECT + _PROJECT + "and ($3::integer is null or r.release_number < $3) order by r.release_number desc limit $4"
)
_LEDGER = """
select artifact, publisher, file, digest, state, uri, error
from publish_records where attempt_id = $1 order by artifact, publisher, file
"""
_OF_RUN = """
select r.id from releases r where r.run_id = $1
union select t.release_id from release_triggers t where t.run_id = $1
union select r.id from release_attempt_runs w join releases r on r.id = w.attempt_id where w.run_id = $1
"""
_BY_IDS = _SELECT + "where r.id = any($1::uuid[]) order by r.id"


async def find(connection: Connection, repository: str, project: str, reference: str) -> Release:
    """The release that `reference` names: an alias, else a number, else a SHA or a prefix of 7 or more digits.

    Raises `not_found`, and `conflict` with the candidates where a prefix fits several.
    """
    rows = await connection.fetch(_BY_ALIAS, repository, project, reference)
    if not rows and _NUMBER.fullmatch(reference):
        rows = await connection.fetch(_BY_NUMBER, repository, project, int(reference))
    if not rows and _SHA_PREFIX.fullmatch(reference):
        rows = await connection.fetch(_BY_PREFIX, repository, project, reference, MAX_CANDIDATES)
    if not rows:
        raise PlatformError(
            f"project {project} of {repository} has no release {reference}: give an alias, a number, or 7 or more "
            "digits of the commit",
            code=ErrorCode.NOT_FOUND,
            component="releases",
        )
    if len(rows) > 1:
        raise _ambiguous(reference, rows)
    return (await _models(connection, rows))[0]


async def with_ledger(connection: Connection, release: Release) -> Release:
    """The release with the rows of its publish ledger: what reached the world, and what didn't."""
    rows = await connection.fetch(_LEDGER, release.id)
    return release.model_copy(update={"publications": tuple(Publication.model_validate(dict(row)) for row in rows)})


async def of_commit(connection: Connection, repository: str, project: str, commit_sha: str) -> Release | None:
    """The release of a project at a commit, where there is one."""
    rows = await connection.fetch(_BY_PREFIX, repository, project, commit_sha, 1)
    return (await _models(connection, rows))[0] if rows else None


async def by_id(connection: Connection, release_id: UUID) -> Release:
    """A release by its id; `not_found` where there is none."""
    rows = await connection.fetch(_BY_ID, release_id)
    if not rows:
        raise PlatformError(f"release {release_id} does not exist", code=ErrorCode.NOT_FOUND, component="releases")
    return (await _models(connection, rows))[0]


async def page(
    connection: Connection, repository: str, project: str, *, before: int | None, limit: int
) -> list[Release]:
    """Releases of a project, newest first, those with a number below `before`."""
    return await _models(connection, await connection.fetch(_PAGE, repository, project, before, limit))


async def of_run(connection: Connection, run_id: UUID) -> tuple[Release, ...]:
    """The releases that a run made, completed, or gave a trigger."""
    ids = [row["id"] for row in await connection.fetch(_OF_RUN, run_id)]
    return tuple(await _models(connection, await connection.fetch(_BY_IDS, ids)))


async def _models(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[Release]:
    deployments = await deployment_view.of_releases(connection, [row["id"] for row in rows]) if rows else {}
    return [_model(row, deployments.get(row["id"], ())) for row in rows]


def _model(row: Mapping[str, Any], deployments: Sequence[object]) -> Release:
    canonical = canonical_release(row["repository"], row["project"], row["commit_sha"])
    return Release.model_validate({**row, "canonical_id": canonical, "deployments": deployments})


def _ambiguous(reference: str, rows: Sequence[Mapping[str, Any]]) -> PlatformError:
    candidates = [row["commit_sha"] for row in rows]
    return PlatformError(
        f"{reference} is the beginning of several releases' commits: {', '.join(candidates)}; give more digits",
        code=ErrorCode.CONFLICT,
        component="releases",
        context={"candidates": candidates},
    )
