"""A log from its first byte to its last while it is written: segments from object storage, then what comes live.

No byte is sent twice and none is left out: the position in the log decides what of a segment or a live piece is new, and
where a live piece lies beyond it the segments are read again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from forge_api.following.live import LiveLog, Piece
from forge_api.web.streaming import Client
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.object_storage import ObjectStore
from forge_sdk.storage_keys import LOG_OWNER, log_segments_prefix

IDLE_S = 2.0
"""Object storage is looked at when nothing has come for this long."""
WHOLE_IDLE_S = 0.2
"""A whole log is the last one, unless its job was handed to another worker: the status tells soon."""
GAP_S = 0.3
GONE_AFTER_S = 15.0
"""A log that does not come although its step has ended was never written, or is lost."""
MAX_SEGMENT = 16 * 2**20
RESTARTED = b"\n[forge] the job was started again, its log begins anew\n"


@dataclass(frozen=True, slots=True)
class LogPlace:
    """One log: its key, and what is known of who writes it.

    `has_ended` says whether nobody does any more. Without `may_restart` a log that is whole is never begun anew.
    """

    key: str
    has_ended: Callable[[], Awaitable[bool]]
    may_restart: bool


class LogFollower:
    """Sends one log to one reader."""

    def __init__(self, place: LogPlace, storage: ObjectStore, live: LiveLog) -> None:
        self._place, self._storage, self._live = place, storage, live
        self._token = self._position = 0
        self._end: int | None = None

    async def send(self, client: Client) -> None:
        """Send the log until it ends, or the reader goes."""
        quiet_since = asyncio.get_running_loop().time()
        while not client.gone:
            before = self._position
            if not self._whole:
                await self.send_stored(client)
            await self._send_live(client, WHOLE_IDLE_S if self._whole else IDLE_S)
            if self._whole and not self._place.may_restart:
                return
            now, ended = asyncio.get_running_loop().time(), await self._place.has_ended()
            if ended and (self._whole or now - quiet_since > GONE_AFTER_S):
                return
            if self._position != before or not ended:
                quiet_since = now

    @property
    def _whole(self) -> bool:
        return self._position == self._end

    async def send_stored(self, client: Client) -> None:
        """Send what object storage has beyond the position: the whole log, or segments of it."""
        keys = await self._storage.list(self._place.key)
        if self._place.key in keys:
            await self._send_whole(client)
            return
        token, segments = self._segments(keys)
        if not await self._is_of(token, client):
            return
        for offset, key in segments:
            if offset > self._position or client.gone:
                return
            try:
                data = await self._storage.get(key, limit=MAX_SEGMENT)
            except PlatformError as error:
                if error.code is ErrorCode.NOT_FOUND:
                    # Joined in the meantime: the next look finds the whole log.
                    return
                raise
            await self._advance(client, Piece(token, offset, data))

    async def _send_whole(self, client: Client) -> None:
        owner = (await self._storage.metadata(self._place.key)).get(LOG_OWNER, "")
        token = int(owner) if owner.isdecimal() else self._token
        if not await self._is_of(token, client):
            return
        offset = 0
        async for chunk in self._storage.stream(self._place.key):
            await self._advance(client, Piece(token, offset, chunk))
            offset += len(chunk)
            if client.gone:
                return
        self._end = self._position = offset

    def _segments(self, keys: Sequence[str]) -> tuple[int, list[tuple[int, str]]]:
        """The newest writer's token, and offset and key of its segments from the one that holds the position on."""
        prefix = log_segments_prefix(self._place.key)
        found: dict[int, list[tuple[int, str]]] = {}
        for key in keys:
            token, _, offset = key.removeprefix(prefix).partition("/")
            if key.startswith(prefix) and token.isdecimal() and offset.isdecimal():
                found.setdefault(int(token), []).append((int(offset), key))
        newest = max(found, default=0)
        segments = sorted(found.get(newest, ()))
        position = self._position if newest == self._token else 0
        needed = [index for index, (offset, _) in enumerate(segments) if offset <= position]
        return newest, segments[needed[-1] :] if needed else segments

    async def _send_live(self, client: Client, idle_s: float) -> None:
        """Send what comes, until nothing does for a while, the log is whole, or something is missing in between."""
        while not client.gone:
            piece = await self._live.next(idle_s)
            if piece is None:
                return
            if not await self._is_of(piece.token, client):
                continue
            if piece.ends:
                self._end = piece.offset
                return
            if piece.offset > self._position:
                # The missing bytes are in a segment, or will be within two seconds.
                await asyncio.sleep(GAP_S)
                return
            await self._advance(client, piece)

    async def _is_of(self, token: int, client: Client) -> bool:
        """Whether what the writer with this token has written counts; with a higher one the log begins anew."""
        if token > self._token:
            has_begun = self._position > 0
            self._token, self._position, self._end = token, 0, None
            if has_begun:
                await client.write(RESTARTED)
        return token == self._token

    async def _advance(self, client: Client, piece: Piece) -> None:
        if piece.end > self._position:
            await client.write(piece.data[self._position - piece.offset :])
            self._position = piece.end
