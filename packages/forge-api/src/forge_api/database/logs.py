"""Where logs are."""

from uuid import UUID

from forge_api.database.pool import Connection
from forge_sdk.errors import ErrorCode, PlatformError

_FIND = """
select logs_key from step_executions where id = $1 and logs_key is not null
union all
select logs_key from attempt_artifacts where id = $1 and logs_key is not null
union all
select logs_key from job_logs where job_id = $1
limit 1
"""
_STORE = """
insert into job_logs (job_id, run_id, logs_key) values ($1, $2, $3)
on conflict (job_id) do update set logs_key = excluded.logs_key
"""


async def key_of(connection: Connection, log_id: UUID) -> str:
    """Key in object storage of the log of a step, of an artifact, or of a job that has one log."""
    key: str | None = await connection.fetchval(_FIND, log_id)
    if key is None:
        raise PlatformError(
            f"there is no log of {log_id}: the step or job does not exist, or has not started",
            code=ErrorCode.NOT_FOUND,
            component="api",
        )
    return key


async def store_job_log(connection: Connection, job_id: UUID, run_id: UUID | None, logs_key: str) -> None:
    """Keep where the log of a job without steps is."""
    await connection.execute(_STORE, job_id, run_id, logs_key)
