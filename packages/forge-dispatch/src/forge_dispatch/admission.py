"""How many jobs may be with the workers at once: what is above is held back by the dispatcher."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol


class Admission(Protocol):
    """Lets jobs through to the workers."""

    async def acquire(self) -> None:
        """Wait until one more job may be published."""

    def release(self) -> None:
        """A job that was let through has ended."""


class Share:
    """An admission with a limit that may change; whoever waits longest is let through first.

    `limit` gives the number of jobs at once now, nothing means no limit. Several calls of a dispatcher may share one.
    """

    def __init__(self, limit: Callable[[], int | None]) -> None:
        self._limit = limit
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def taken(self) -> int:
        """Jobs that were let through and have not ended."""
        return self._taken

    @property
    def in_use(self) -> bool:
        """Whether jobs were let through or wait."""
        return self._taken > 0 or bool(self._waiting)

    async def acquire(self) -> None:
        """Wait until one more job may be published."""
        if not self._waiting and self._has_room():
            self._taken += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """A job that was let through has ended."""
        self._taken -= 1
        self.refresh()

    def refresh(self) -> None:
        """Let through what the limit of now allows; called also when it has grown."""
        while self._waiting and self._has_room():
            turn = self._waiting.popleft()
            if not turn.done():
                self._taken += 1
                turn.set_result(None)

    def _has_room(self) -> bool:
        limit = self._limit()
        return limit is None or self._taken < max(1, limit)
