"""Fencing: only the newest holder of a job may write for it."""

from uuid import UUID

from forge_api.database.pool import Connection
from forge_sdk.errors import ErrorCode, PlatformError

_RAISE = """
insert into job_tokens (job_id, token) values ($1, $2)
on conflict (job_id) do update set token = excluded.token, updated_at = now()
    where job_tokens.token <= excluded.token
returning token
"""


async def require_newest(connection: Connection, job_id: UUID, token: int) -> None:
    """Keep `token` as the highest seen of the job, locked until the caller's transaction ends.

    Raises `stale_token` where a higher one was seen: the job has another worker now.
    """
    if await connection.fetchval(_RAISE, job_id, token) is None:
        raise PlatformError(
            f"job {job_id} has been taken over by another worker: stop working on it",
            code=ErrorCode.STALE_TOKEN,
            component="api",
            context={"job_id": str(job_id), "token": token},
        )
