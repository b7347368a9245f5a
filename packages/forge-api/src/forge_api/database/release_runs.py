"""Runs that have only the release stage of one project."""

from uuid import UUID

from forge_api.database import runs
from forge_api.database.origin import Origin
from forge_api.database.pool import Connection
from forge_api.pipeline.requests import ReleaseRequest
from forge_sdk.errors import TransientError
from forge_sdk.identifiers import uuid7
from forge_sdk.models.api import RunSummary

CREATE_TRIES = 5
_ACTIVE = """
select id from pipeline_runs
where repository_id = $1 and commit_sha = $2 and status in ('pending', 'running') and not cancel_requested
    and release_request ->> 'project' = $3
order by id desc limit 1
"""
# Branch and tag stay in the request: such a run takes no part in what runs of a branch do with each other.
_INSERT = """
insert into pipeline_runs (id, repository_id, commit_sha, trigger_type, triggered_by, trace, request_id,
                           release_request, attempt)
select $1, $2, $3, 'manual', $4, $5, $6, $7,
    1 + coalesce((select max(attempt) from pipeline_runs where repository_id = $2 and commit_sha = $3), 0)
on conflict on constraint pipeline_runs_commit_attempt_key do nothing returning id
"""


async def get_or_create(
    connection: Connection, repository_id: UUID, commit_sha: str, request: ReleaseRequest, origin: Origin
) -> tuple[RunSummary, bool]:
    """The active run that releases the project at the commit, else a new one; and whether it is new."""
    content = request.model_dump(mode="json")
    for _ in range(CREATE_TRIES):
        active = await connection.fetchval(_ACTIVE, repository_id, commit_sha, request.project)
        if active is not None:
            return await runs.summary(connection, active), False
        created = await connection.fetchval(
            _INSERT, uuid7(), repository_id, commit_sha, origin.actor, origin.trace, origin.request_id, content
        )
        if created is not None:
            return await runs.summary(connection, created), True
    raise TransientError("too many runs of this commit are being created: try again", component="api")
