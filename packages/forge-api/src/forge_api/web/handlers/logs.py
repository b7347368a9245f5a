"""Logs of steps, artifacts and jobs."""

from http import HTTPStatus
from uuid import UUID

from forge_api.database import logs
from forge_api.web.call import Answer, Call
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.base import ClosedModel

URL_LIFETIME_S = 300


class LogPath(ClosedModel):
    """Variables of a log's path: the id of a step, of an artifact in the making, or of a job that has one log."""

    step_id: UUID


async def redirect(call: Call) -> Answer:
    """Redirect to a URL under which the log can be read for five minutes."""
    step_id = call.path_as(LogPath).step_id
    async with call.services.database.connection() as connection:
        key = await logs.key_of(connection, step_id)
    storage = call.services.storage
    if key not in await storage.list(key):
        raise PlatformError(
            f"the log of {step_id} is not there yet: it is complete when the step has ended",
            code=ErrorCode.NOT_FOUND,
            component="api",
        )
    url = await storage.presigned_url(key, expires_s=URL_LIFETIME_S)
    return Answer(status=HTTPStatus.FOUND, headers={"Location": url})
