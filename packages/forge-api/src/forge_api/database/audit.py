"""The audit log: append-only, each event holds the hash of the one before it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import orjson
from pydantic import JsonValue

from forge_api.database.origin import Origin
from forge_api.database.pool import Connection
from forge_sdk.identifiers import uuid7
from forge_sdk.models.api import AuditRecord

FIRST_HASH = "0" * 64
"""What the first event names as the hash before it."""
_PAGE = 1000

_APPEND = "select append_audit_event($1, $2, $3, $4, $5, $6, $7, $8)"
_FOLLOWING = "select * from audit_events where sequence > $1 order by sequence limit $2"


_PAGE_OF = """
select * from audit_events
where ($1::text is null or actor = $1) and ($2::text is null or action = $2) and ($3::text is null or subject = $3)
    and ($4::timestamptz is null or occurred_at >= $4) and ($5::timestamptz is null or occurred_at < $5)
    and ($6::bigint is null or sequence < $6)
order by sequence desc limit $7
"""


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which events a list holds; nothing means all."""

    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """What was done to what; `before` and `after` are summaries without secrets."""

    sequence: int
    id: UUID
    occurred_at: datetime
    actor: str
    action: str
    subject: str
    request_id: str | None
    trace_id: str | None
    before: Mapping[str, JsonValue] | None
    after: Mapping[str, JsonValue] | None
    previous_hash: str

    def digest(self) -> str:
        """SHA-256 over the canonical JSON (sorted keys, no spaces) of everything that the event holds.

        The database's `append_audit_event` makes the same one.
        """
        content = {
            "sequence": self.sequence,
            "id": str(self.id),
            "occurred_at": self.occurred_at.astimezone(UTC).isoformat(timespec="microseconds"),
            "actor": self.actor,
            "action": self.action,
            "subject": self.subject,
            "request_id": self.request_id,
            "trace_id": self.trace_id,
            "before": self.before,
            "after": self.after,
            "previous_hash": self.previous_hash,
        }
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def record(
    connection: Connection,
    origin: Origin,
    action: str,
    subject: str,
    *,
    before: Mapping[str, JsonValue] | None = None,
    after: Mapping[str, JsonValue] | None = None,
) -> None:
    """Append an event within the caller's transaction.

    `action` is like `run.created`, `subject` like `run/<id>`. Other writers wait until the caller's transaction ends:
    call it late.
    """
    what = (origin.actor, action, subject, origin.request_id, origin.trace_id, before, after)
    await connection.execute(_APPEND, uuid7(), *what)


async def verify(connection: Connection) -> int | None:
    """Sequence of the first event that does not fit the chain, or nothing where the whole log is intact.

    Events that are missing at the end can't be seen: compare the last hash with one that was kept elsewhere.
    """
    sequence, previous = 0, FIRST_HASH
    while rows := await connection.fetch(_FOLLOWING, sequence, _PAGE):
        for row in rows:
            event = _event(row)
            fits = event.sequence == sequence + 1 and event.previous_hash == previous
            if not fits or event.digest() != row["hash"]:
                return sequence + 1
            sequence, previous = event.sequence, row["hash"]
    return None


async def page(connection: Connection, found: AuditFilter, *, before: int | None, limit: int) -> list[AuditRecord]:
    """Events, newest first, those before `before`."""
    wanted = (found.actor, found.action, found.subject, found.since, found.until)
    rows = await connection.fetch(_PAGE_OF, *wanted, before, limit)
    return [AuditRecord.model_validate(dict(row)) for row in rows]


def _event(row: Mapping[str, object]) -> AuditEvent:
    values = {name: row[name] for name in AuditEvent.__dataclass_fields__}
    return AuditEvent(**values)  # type: ignore[arg-type]
