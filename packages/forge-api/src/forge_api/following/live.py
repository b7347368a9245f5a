"""What a worker sends of a log while it writes it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from uuid import UUID

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from forge_sdk.errors import TransientError
from forge_sdk.messaging import LOG_END_HEADER, LOG_OFFSET_HEADER, LOG_TOKEN_HEADER, log_subject

MAX_WAITING = 4 * 2**20
"""Bytes; what comes above is dropped, and read from the segments later."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a log from `offset` on, by the writer with the fencing token `token`; the last piece is empty and `ends`."""

    token: int
    offset: int
    data: bytes
    ends: bool = False

    @property
    def end(self) -> int:
        """The byte after the piece."""
        return self.offset + len(self.data)


class LiveLog:
    """The pieces of one log in the order in which they come."""

    def __init__(self) -> None:
        self._pieces: deque[Piece] = deque()
        self._waiting = 0
        self._arrived = asyncio.Event()

    async def next(self, seconds: float) -> Piece | None:
        """The next piece; nothing where none comes in time."""
        try:
            async with asyncio.timeout(seconds):
                while not self._pieces:
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            return None
        piece = self._pieces.popleft()
        self._waiting -= len(piece.data)
        return piece

    async def take(self, message: Msg) -> None:
        """A message has come."""
        headers = message.headers or {}
        token, offset = headers.get(LOG_TOKEN_HEADER, ""), headers.get(LOG_OFFSET_HEADER, "")
        if not (token.isdecimal() and offset.isdecimal()) or self._waiting + len(message.data) > MAX_WAITING:
            return
        self._pieces.append(Piece(int(token), int(offset), message.data, LOG_END_HEADER in headers))
        self._waiting += len(message.data)
        self._arrived.set()


@asynccontextmanager
async def live_log(connection: Client, run_id: UUID, log_id: UUID) -> AsyncIterator[LiveLog]:
    """What is sent from now on. Raises `TransientError` where NATS can't be reached."""
    log = LiveLog()
    with _translated():
        subscription = await connection.subscribe(log_subject(run_id, log_id), cb=log.take)
    try:
        with _translated():
            # nats-py takes a cancelled flush for an error of the connection.
            await asyncio.shield(asyncio.ensure_future(connection.flush()))
        yield log
    finally:
        if not connection.is_closed:
            await subscription.unsubscribe()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (nats.errors.Error, OSError) as error:
        raise TransientError("NATS can't be reached", component="api") from error
