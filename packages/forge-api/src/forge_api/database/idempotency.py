"""Answers of POST requests that carried an `Idempotency-Key`."""

from dataclasses import dataclass

from forge_api.database.pool import Connection
from forge_sdk.errors import ErrorCode, PlatformError, TransientError

RETENTION = "24 hours"
ABANDONED = "2 minutes"
"""A request that has not ended after this was lost with its process: the key may be used again."""

_EXPIRE = "delete from idempotency_keys where created_at < now() - $1::text::interval"
_CLAIM = """
insert into idempotency_keys (actor, key, request_digest) values ($1, $2, $3)
on conflict (actor, key) do update set created_at = now()
    where idempotency_keys.status is null and idempotency_keys.request_digest = excluded.request_digest
        and idempotency_keys.created_at < now() - $4::text::interval
returning key
"""
_FIND = "select request_digest, status, body from idempotency_keys where actor = $1 and key = $2"
_COMPLETE = "update idempotency_keys set status = $3, body = $4 where actor = $1 and key = $2"
_RELEASE = "delete from idempotency_keys where actor = $1 and key = $2 and status is null"


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request by its actor, the key that was sent, and a digest of method, path and body."""

    actor: str
    key: str
    digest: str


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What the first request with a key was answered."""

    status: int
    body: bytes


async def claim(connection: Connection, request: IdempotentRequest) -> StoredAnswer | None:
    """The answer that was given before, or nothing where the caller is to make it (and then `complete` or `release`).

    Raises `conflict` where the key belongs to another request, and a transient error where the first has not ended.
    """
    if await connection.fetchval(_CLAIM, request.actor, request.key, request.digest, ABANDONED) is not None:
        return None
    row = await connection.fetchrow(_FIND, request.actor, request.key)
    if row is not None and row["request_digest"] != request.digest:
        raise _conflict("this Idempotency-Key was used for another request: use a new one")
    # Without a row it has just failed: the next try makes the answer.
    if row is None or row["status"] is None:
        raise TransientError(
            "the first request with this Idempotency-Key has not ended: try again shortly",
            component="api",
            retry_after=0.5,
        )
    return StoredAnswer(row["status"], row["body"])


async def complete(connection: Connection, request: IdempotentRequest, answer: StoredAnswer) -> None:
    """Keep the answer for a day."""
    await connection.execute(_COMPLETE, request.actor, request.key, answer.status, answer.body)


async def expire(connection: Connection) -> None:
    """Forget answers that are older than a day."""
    await connection.execute(_EXPIRE, RETENTION)


async def release(connection: Connection, request: IdempotentRequest) -> None:
    """The request failed: the key may be used again."""
    await connection.execute(_RELEASE, request.actor, request.key)


def _conflict(message: str) -> PlatformError:
    return PlatformError(message, code=ErrorCode.CONFLICT, component="api")
