"""Logs of steps, artifacts and jobs."""

from http import HTTPStatus
from uuid import UUID

from forge_api.database import logs
from forge_api.database.logs import StoredLog
from forge_api.following.follower import LogFollower, LogPlace
from forge_api.following.live import LiveLog, live_log
from forge_api.web.call import Answer, Call
from forge_api.web.streaming import Client, Stream
from forge_sdk.errors import ErrorCode, PlatformError, TransientError
from forge_sdk.models.base import ClosedModel

URL_LIFETIME_S = 300


class LogPath(ClosedModel):
    """Variables of a log's path: the id of a step, of an artifact in the making, or of a job that has one log."""

    step_id: UUID


class LogQuery(ClosedModel):
    """Whether the log is sent until it ends."""

    follow: bool = False


async def read(call: Call) -> Answer:
    """Redirect to a URL under which the log can be read for five minutes; with `follow` the log itself until it ends.

    Of a log that a lost worker left unfinished, what is stored is sent.
    """
    step_id = call.path_as(LogPath).step_id
    found = await _find(call, step_id)
    if call.query_as(LogQuery).follow:
        return Answer(stream=Stream(lambda client: _follow(call, found, client), "text/plain"))
    storage = call.services.storage
    keys = await storage.list(found.key)
    if found.key in keys:
        url = await storage.presigned_url(found.key, expires_s=URL_LIFETIME_S)
        return Answer(status=HTTPStatus.FOUND, headers={"Location": url})
    if found.ended and keys:
        # Its worker was lost: what it had stored until then is there.
        return Answer(stream=Stream(_follower(call, found, LiveLog()).send_stored, "text/plain"))
    raise PlatformError(
        f"the log of {step_id} is not there: its worker was lost before it had stored any of it, or it has expired"
        if found.ended
        else f"the log of {step_id} is not there yet: it is complete when the step has ended; read it with follow=1",
        code=ErrorCode.NOT_FOUND,
        component="api",
    )


async def _follow(call: Call, found: StoredLog, client: Client) -> None:
    async with live_log(call.services.connection, found.run_id, found.log_id) as live:
        await _follower(call, found, live).send(client)


def _follower(call: Call, found: StoredLog, live: LiveLog) -> LogFollower:
    async def has_ended() -> bool:
        if call.services.feeds.closed:
            # The reader must see that this is not the end of the log, and ask the next process.
            raise TransientError("the platform stops: ask again", component="api")
        return (await _find(call, call.path_as(LogPath).step_id)).ended

    return LogFollower(LogPlace(found.key, has_ended, found.may_restart), call.services.storage, live)


async def _find(call: Call, log_id: UUID) -> StoredLog:
    return await call.services.database.read(lambda connection: logs.find(connection, log_id))
