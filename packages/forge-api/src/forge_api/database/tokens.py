"""Fencing: only the newest holder of a job may write for it."""

from collections.abc import Mapping
from uuid import UUID

from forge_api.database.pool import Connection
from forge_sdk.errors import ErrorCode, PlatformError

_RAISE = """
insert into job_tokens (job_id, token)
select u.job_id, u.token from unnest($1::uuid[], $2::bigint[]) as u (job_id, token) order by u.job_id
on conflict (job_id) do update set token = excluded.token, updated_at = now()
    where job_tokens.token <= excluded.token
returning job_id
"""


async def newest(connection: Connection, tokens: Mapping[UUID, int]) -> set[UUID]:
    """Keep the tokens as the highest seen of their jobs, locked until the caller's transaction ends; the jobs of which they are.

    Of the others a higher one was seen: they have another worker now.
    """
    rows = await connection.fetch(_RAISE, list(tokens), list(tokens.values()))
    return {row["job_id"] for row in rows}


async def require_newest(connection: Connection, job_id: UUID, token: int) -> None:
    """As `newest` for one job; raises `stale_token` where another worker has it now."""
    if not await newest(connection, {job_id: token}):
        raise stale(job_id, token)


def stale(job_id: UUID, token: int) -> PlatformError:
    """The error of who lost its job."""
    return PlatformError(
        f"job {job_id} has been taken over by another worker: stop working on it",
        code=ErrorCode.STALE_TOKEN,
        component="api",
        context={"job_id": str(job_id), "token": token},
    )
