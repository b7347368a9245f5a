"""The transactional outbox: events are written with the change that they tell of, and leave afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import JsonValue

from forge_api.database.pool import Connection
from forge_sdk.identifiers import uuid7

_INSERT = "insert into event_outbox (id, type, subject, data, trace) values ($1, $2, $3, $4, $5)"
_OLDEST = """
select sequence, id, type, subject, data, trace, occurred_at from event_outbox
order by sequence limit $1 for update skip locked
"""
_DELETE = "delete from event_outbox where sequence = any($1::bigint[])"


@dataclass(frozen=True, slots=True)
class OutboxEvent:
    """An event that waits; `type` is like `release.created`, `subject` names what it is about, `trace` a traceparent."""

    sequence: int
    id: UUID
    type: str
    subject: str
    data: dict[str, JsonValue]
    trace: str | None
    occurred_at: datetime


async def record(
    connection: Connection, type: str, subject: str, data: Mapping[str, JsonValue], *, trace: str | None = None
) -> UUID:
    """Write an event within the caller's transaction and return its id."""
    event_id = uuid7()
    await connection.execute(_INSERT, event_id, type, subject, dict(data), trace)
    return event_id


async def oldest(connection: Connection, limit: int) -> list[OutboxEvent]:
    """The oldest events that no other replica is sending, locked until the transaction ends."""
    return [OutboxEvent(**row) for row in await connection.fetch(_OLDEST, limit)]


async def delete(connection: Connection, events: Sequence[OutboxEvent]) -> None:
    """Forget events that have been delivered."""
    await connection.execute(_DELETE, [event.sequence for event in events])
