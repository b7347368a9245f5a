"""A log from its first byte to its last while it is written: segments from object storage, then what comes live.

No byte is sent twice and none is left out: the position in the log decides what of a segment or a live piece is new, and
where a live piece lies beyond it the segments are read again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from forge_api.following.live import LiveLog, Piece
from forge_api.web.streaming import Client
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.object_storage import ObjectStore
from forge_sdk.storage_keys import log_segments_prefix

IDLE_S = 2.0
"""Object storage is looked at when nothing has come for this long."""
GAP_S = 0.3
GONE_AFTER_S = 15.0
"""A log that does not come although its step has ended was never written, or is lost."""
MAX_SEGMENT = 16 * 2**20
RESTARTED = b"\n[forge] the job was started again, its log begins anew\n"


@dataclass(frozen=True, slots=True)
class LogPlace:
    """Where a log is or will be: its key, and under which ids it is sent live."""

    key: str
    run_id: UUID
    log_id: UUID


class LogFollower:
    """Sends one log to one reader."""

    def __init__(
        self, place: LogPlace, storage: ObjectStore, live: LiveLog, has_ended: Callable[[], Awaitable[bool]]
    ) -> None:
        self._place, self._storage, self._live, self._has_ended = place, storage, live, has_ended
        self._position = 0
        self._token = 0
        self._heard_to = 0
        self._end: int | None = None

    async def send(self, client: Client) -> None:
        """Send the log until it ends, or the reader goes."""
        quiet_since = asyncio.get_running_loop().time()
        while not client.gone:
            before = self._position
            if await self._send_stored(client) or self._position == self._end:
                return
            await self._send_live(client)
            if self._position == self._end:
                return
            now = asyncio.get_running_loop().time()
            if self._position != before or not await self._has_ended():
                quiet_since = now
            elif now - quiet_since > GONE_AFTER_S:
                return

    async def _send_stored(self, client: Client) -> bool:
        """Send what object storage has beyond the position; true where that was the whole log."""
        keys = await self._storage.list(self._place.key)
        if self._place.key in keys:
            await self._send_whole(client)
            return True
        for offset, key in self._segments(keys):
            if offset > self._position or client.gone:
                return False
            try:
                data = await self._storage.get(key, limit=MAX_SEGMENT)
            except PlatformError as error:
                if error.code is ErrorCode.NOT_FOUND:
                    # Joined in the meantime: the next look finds the whole log.
                    return False
                raise
            await self._advance(client, Piece(offset, data))
        return False

    async def _send_whole(self, client: Client) -> None:
        offset = 0
        async for chunk in self._storage.stream(self._place.key):
            await self._advance(client, Piece(offset, chunk))
            offset += len(chunk)
            if client.gone:
                return

    def _segments(self, keys: Sequence[str]) -> list[tuple[int, str]]:
        """Offset and key of the newest writer's segments from the one that holds the position on."""
        prefix = log_segments_prefix(self._place.key)
        found: dict[int, list[tuple[int, str]]] = {}
        for key in keys:
            token, _, offset = key.removeprefix(prefix).partition("/")
            if key.startswith(prefix) and token.isdecimal() and offset.isdecimal():
                found.setdefault(int(token), []).append((int(offset), key))
        newest = max(found, default=0)
        if newest < self._token:
            return []
        if newest > self._token and self._token and self._position:
            self._position, self._end = 0, None
        self._token = newest
        segments = sorted(found.get(newest, ()))
        needed = [index for index, (offset, _) in enumerate(segments) if offset <= self._position]
        return segments[needed[-1] :] if needed else segments

    async def _send_live(self, client: Client) -> None:
        """Send what comes, until nothing does for a while, or something is missing in between."""
        while not client.gone:
            piece = await self._live.next(IDLE_S)
            if piece is None:
                return
            if piece.offset < self._heard_to:
                await self._begin_anew(client)
            self._heard_to = piece.end
            if piece.ends:
                self._end = piece.offset
                return
            if piece.offset > self._position:
                # The missing bytes are in a segment, or will be within two seconds.
                await asyncio.sleep(GAP_S)
                return
            await self._advance(client, piece)

    async def _begin_anew(self, client: Client) -> None:
        """Another worker writes the log from its beginning; its token is higher than that of the one before."""
        self._position, self._end = 0, None
        self._token += 1
        await client.write(RESTARTED)

    async def _advance(self, client: Client, piece: Piece) -> None:
        if piece.end > self._position:
            await client.write(piece.data[self._position - piece.offset :])
            self._position = piece.end
