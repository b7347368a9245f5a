"""Registration of repositories."""

from http import HTTPStatus

from forge_api.database import audit, repositories
from forge_api.web.call import Answer, Call
from forge_api.web.clone_urls import require_usable
from forge_api.web.pages import PageQuery, split, text_position
from forge_sdk.models.api import Page, RegisterRepository, Repository


async def register(call: Call) -> Answer:
    """Register a repository, or change what is known of it; repeating it changes nothing."""
    body = call.body_as(RegisterRepository)
    require_usable(body.clone_url, allow_local=call.services.configuration.allow_local_repositories)
    async with call.services.database.transaction() as connection:
        row, before = await repositories.register(connection, body, call.origin.actor)
        if before is not row:
            await audit.record(
                connection,
                call.origin,
                "repository.registered" if before is None else "repository.changed",
                f"repository/{body.repository}",
                before=repositories.summary(before) if before is not None else None,
                after=repositories.summary(row),
            )
    status = HTTPStatus.CREATED if before is None else HTTPStatus.OK
    return Answer(repositories.model(row), status)


async def page(call: Call) -> Answer:
    """Registered repositories by name."""
    query = call.query_as(PageQuery)
    after = text_position(query)
    async with call.services.database.connection() as connection:
        found = await repositories.page(connection, after=after, limit=query.limit + 1)
    items, cursor = split(found, query.limit, lambda repository: repository.repository)
    return Answer(Page[Repository](items=items, next_cursor=cursor))
