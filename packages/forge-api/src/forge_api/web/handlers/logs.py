"""Logs of steps, artifacts and jobs."""

from http import HTTPStatus
from uuid import UUID

from forge_api.database import logs
from forge_api.database.logs import StoredLog
from forge_api.following.follower import LogFollower, LogPlace
from forge_api.following.live import live_log
from forge_api.web.call import Answer, Call
from forge_api.web.streaming import Client, Stream
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.base import ClosedModel

URL_LIFETIME_S = 300


class LogPath(ClosedModel):
    """Variables of a log's path: the id of a step, of an artifact in the making, or of a job that has one log."""

    step_id: UUID


class LogQuery(ClosedModel):
    """Whether the log is sent until it ends."""

    follow: bool = False


async def read(call: Call) -> Answer:
    """Redirect to a URL under which the log can be read for five minutes; with `follow` the log itself until it ends."""
    step_id = call.path_as(LogPath).step_id
    found = await _find(call, step_id)
    if call.query_as(LogQuery).follow:
        return Answer(stream=Stream(lambda client: _follow(call, found, client), "text/plain"))
    storage = call.services.storage
    if found.key not in await storage.list(found.key):
        raise PlatformError(
            f"the log of {step_id} is not there yet: it is complete when the step has ended; read it with follow=1",
            code=ErrorCode.NOT_FOUND,
            component="api",
        )
    url = await storage.presigned_url(found.key, expires_s=URL_LIFETIME_S)
    return Answer(status=HTTPStatus.FOUND, headers={"Location": url})


async def _follow(call: Call, found: StoredLog, client: Client) -> None:
    async def has_ended() -> bool:
        return call.services.feeds.closed or (await _find(call, call.path_as(LogPath).step_id)).ended

    async with live_log(call.services.connection, found.run_id, found.log_id) as live:
        place = LogPlace(found.key, found.run_id, found.log_id)
        await LogFollower(place, call.services.storage, live, has_ended).send(client)


async def _find(call: Call, log_id: UUID) -> StoredLog:
    return await call.services.database.read(lambda connection: logs.find(connection, log_id))
