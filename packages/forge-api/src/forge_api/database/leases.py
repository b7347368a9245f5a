"""Leases on images: one job at a time writes the referrers of a subject."""

from uuid import UUID

from forge_api.database.pool import Connection

_TAKE = """
insert into leases (subject, job_id, expires_at) values ($1, $2, now() + make_interval(secs => $3))
on conflict (subject) do update set job_id = excluded.job_id, expires_at = excluded.expires_at
    where leases.job_id = excluded.job_id or leases.expires_at < now()
returning subject
"""
_GIVE_BACK = "delete from leases where subject = $1 and job_id = $2"


async def take(connection: Connection, subject: str, job_id: UUID, seconds: int) -> bool:
    """Take a lease, or prolong the job's own; false while another job holds it."""
    return await connection.fetchval(_TAKE, subject, job_id, seconds) is not None


async def give_back(connection: Connection, subject: str, job_id: UUID) -> None:
    """End the job's lease; nothing happens where it has none."""
    await connection.execute(_GIVE_BACK, subject, job_id)
