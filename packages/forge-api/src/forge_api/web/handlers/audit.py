"""The audit log."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from forge_api.database import audit
from forge_api.database.audit import AuditFilter
from forge_api.web.call import Answer, Call
from forge_api.web.pages import MAX_BIGINT, PageQuery, number_position, split
from forge_sdk.models.api import AuditRecord, Page

Text = Annotated[str, Field(min_length=1, max_length=255)]


class AuditQuery(PageQuery):
    """Which events a list holds; `since` is inclusive, `until` is not."""

    actor: Text | None = None
    action: Text | None = None
    subject: Text | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None


async def page(call: Call) -> Answer:
    """Events, newest first."""
    query = call.query_as(AuditQuery)
    since: datetime | None = query.since
    wanted = AuditFilter(query.actor, query.action, query.subject, since, query.until)
    before = number_position(query, MAX_BIGINT)
    async with call.services.database.connection() as connection:
        found = await audit.page(connection, wanted, before=before, limit=query.limit + 1)
    items, cursor = split(found, query.limit, lambda record: record.sequence)
    return Answer(Page[AuditRecord](items=items, next_cursor=cursor))
