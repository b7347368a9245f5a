"""Server-sent events of a run."""

import asyncio

from forge_api.events.run_feeds import RunFeeds, Watch
from forge_api.web.call import Answer, Call
from forge_api.web.handlers.runs import RunPath
from forge_api.web.streaming import Client, Stream
from forge_sdk.models.api import Run
from forge_sdk.models.run_events import changes

CONTENT_TYPE = "text/event-stream"
HEARTBEAT_S = 15.0
LIFETIME_S = 3600.0
"""A stream ends after this, so that its reader comes back with a token of then."""


async def events(call: Call) -> Answer:
    """The run as it is, then every change of it, until it has ended. Each connection starts with the whole state."""
    feeds, run_id = call.services.feeds, call.path_as(RunPath).run_id
    async with feeds.watch(run_id):
        pass

    async def write(client: Client) -> None:
        async with feeds.watch(run_id) as watch:
            await _send(client, watch, feeds)

    return Answer(stream=Stream(write, CONTENT_TYPE))


async def _send(client: Client, watch: Watch, feeds: RunFeeds) -> None:
    ends_at = asyncio.get_running_loop().time() + LIFETIME_S
    shown: Run | None = None
    await client.write(b"retry: 1000\n\n")
    while not feeds.closed and asyncio.get_running_loop().time() < ends_at:
        run = await watch.next(HEARTBEAT_S)
        if run is None:
            await client.write(b": still there\n\n")
            continue
        await client.write(_encode(shown, run))
        shown = run
        if run.status.finished:
            return


def _encode(before: Run | None, after: Run) -> bytes:
    parts = []
    for event in changes(before, after):
        data = event.model_dump_json(include={"data"}).removeprefix('{"data":').removesuffix("}")
        parts.append(f"event: {event.type.value}\ndata: {data}\n\n")
    return "".join(parts).encode()
