"""Whether the process lives, whether it can work, and its metrics."""

import asyncio
from http import HTTPStatus

from forge_api.queues import queue_depths
from forge_api.web.call import Answer, Call
from forge_sdk.errors import PlatformError, TransientError

READY_TIMEOUT_S = 3.0


async def live(call: Call) -> Answer:  # noqa: ARG001 - every handler gets the call
    """The process answers."""
    return Answer(raw=b'{"status":"ok"}')


async def ready(call: Call) -> Answer:
    """Database and messaging can be reached; 503 names the one that can't."""
    try:
        async with asyncio.timeout(READY_TIMEOUT_S), call.services.database.connection() as connection:
            await connection.fetchval("select 1")
    except (PlatformError, TimeoutError) as error:
        raise TransientError("the database can't be reached", component="api") from error
    if not call.services.connection.is_connected:
        raise TransientError("NATS can't be reached", component="api")
    return Answer(raw=b'{"status":"ready"}', status=HTTPStatus.OK)


async def metrics(call: Call) -> Answer:
    """Metrics as Prometheus reads them."""
    exposed = call.services.metrics
    await queue_depths(call.services.connection, exposed)
    return Answer(raw=exposed.exposition(), content_type=exposed.content_type)
