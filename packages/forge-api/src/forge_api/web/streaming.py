"""Answers that go on for a while."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from aiohttp import hdrs, web

from forge_api.web.context import CONTEXT, REQUEST_ID_HEADER
from forge_sdk.errors import PlatformError
from forge_sdk.logging import get_logger

_logger = get_logger("forge_api.web")


class Client:
    """Whoever reads a stream."""

    def __init__(self, http: web.Request, response: web.StreamResponse) -> None:
        self._http, self._response = http, response

    @property
    def gone(self) -> bool:
        """Whether nobody reads any more."""
        transport = self._http.transport
        return transport is None or transport.is_closing()

    async def write(self, data: bytes) -> None:
        """Send; waits while the reader is slow. Raises `ConnectionResetError` where nobody reads any more."""
        await self._response.write(data)


@dataclass(frozen=True, slots=True)
class Stream:
    """The body of an answer, written while it comes about; `write` ends with it."""

    write: Callable[[Client], Awaitable[None]]
    content_type: str
    headers: Mapping[str, str] = field(default_factory=dict)


async def send(http: web.Request, stream: Stream) -> web.StreamResponse:
    """Send a stream to its end. What fails on the way cuts it, so that the reader sees that it is not whole."""
    response = web.StreamResponse(status=HTTPStatus.OK, headers={**stream.headers, hdrs.CACHE_CONTROL: "no-store"})
    response.content_type = stream.content_type
    response.headers[REQUEST_ID_HEADER] = http[CONTEXT].request_id
    response.headers["X-Accel-Buffering"] = "no"
    await response.prepare(http)
    try:
        await stream.write(Client(http, response))
        await response.write_eof()
    except ConnectionError:
        return response
    except PlatformError as error:
        _logger.warning("stream_cut", error=error.message)
        if http.transport is not None:
            http.transport.abort()
    return response
