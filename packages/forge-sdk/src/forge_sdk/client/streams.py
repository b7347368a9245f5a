"""Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), as far as the platform uses them."""

from collections.abc import AsyncIterator

import aiohttp
from pydantic import ValidationError

from forge_sdk.errors import PlatformError
from forge_sdk.models.run_events import RunEvent, RunEventType

MAX_EVENT = 32 * 2**20
"""Bytes; a longer event is refused."""
_KNOWN = {kind.value for kind in RunEventType}


async def events(content: aiohttp.StreamReader) -> AsyncIterator[list[RunEvent]]:
    """The events of a stream, those together that arrive together; types that a newer platform added are left out.

    Raises `PlatformError` for what is no event.
    """
    kept, kind, data = bytearray(), "", bytearray()
    async for chunk in content.iter_any():
        kept += chunk
        *lines, rest = kept.split(b"\n")
        arrived: list[RunEvent] = []
        for line in lines:
            field = bytes(line).removesuffix(b"\r")
            name, _, value = field.partition(b":")
            if name == b"event":
                kind = value.strip().decode(errors="replace")
            elif name == b"data":
                data += value
            if not field and kind in _KNOWN:
                arrived.append(_event(kind, bytes(data)))
            if not field:
                kind, data = "", bytearray()
        kept = bytearray(rest)
        if len(kept) > MAX_EVENT:
            raise PlatformError(f"an event of the platform is larger than {MAX_EVENT} bytes", component="client")
        if arrived:
            yield arrived


def _event(kind: str, data: bytes) -> RunEvent:
    try:
        return RunEvent.model_validate_json(b'{"type":"' + kind.encode() + b'","data":' + data + b"}")
    except ValidationError as error:
        raise PlatformError(
            "an event of the platform can't be read: upgrade the older of client and platform", component="client"
        ) from error
