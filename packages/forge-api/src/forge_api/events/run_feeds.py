"""Runs as they change: read once for all who watch, when the database tells of a change."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from uuid import UUID

from forge_api.background import ended
from forge_api.database import run_view
from forge_api.database.notifications import RUNS, Notifications
from forge_api.database.pool import Database
from forge_sdk.cancellation import pause
from forge_sdk.errors import PlatformError, TransientError
from forge_sdk.logging import get_logger
from forge_sdk.models.api import Run

MAX_WATCHERS = 1000
GATHER_S = 0.1
"""Changes that come together within this are read at once."""
GATHER_READS = 10
"""Of large runs, whose reading takes long, so many times that: following them takes a tenth of a processor at most."""
LOOK_AGAIN_S = 30.0
"""A run that is watched is read again after this, should a notification have been lost."""
RETRY_S = 1.0
_logger = get_logger("forge_api.feeds")


class RunFeeds:
    """The feeds of all runs that somebody watches."""

    def __init__(self, database: Database, notifications: Notifications) -> None:
        self._database = database
        self._feeds: dict[UUID, _Feed] = {}
        self._closed = asyncio.Event()
        self._remove: Callable[[], None] = notifications.add(self._notified, self._lost)

    @property
    def closed(self) -> bool:
        """Whether the process stops."""
        return self._closed.is_set()

    def close(self) -> None:
        """The process stops: whoever watches is let go."""
        self._closed.set()
        self._remove()
        for feed in self._feeds.values():
            feed.tell()

    @asynccontextmanager
    async def watch(self, run_id: UUID) -> AsyncIterator["Watch"]:
        """The states of a run. Raises `not_found`, and a transient error where too many watch."""
        if sum(feed.watchers for feed in self._feeds.values()) >= MAX_WATCHERS:
            raise TransientError("too many runs are being watched: try again", component="api", retry_after=5)
        feed = self._feeds.get(run_id)
        if feed is None:
            feed = self._feeds[run_id] = _Feed(run_id, self._database)
        feed.watchers += 1
        try:
            if feed.run is None:
                await feed.read()
            feed.start()
            yield Watch(feed, self._closed)
        finally:
            feed.watchers -= 1
            if not feed.watchers and self._feeds.get(run_id) is feed:
                del self._feeds[run_id]
                await feed.stop()

    def _notified(self, channel: str, payload: str) -> None:
        if channel == RUNS and self._feeds and (feed := self._feeds.get(UUID(payload))):
            feed.changed.set()

    def _lost(self) -> None:
        for feed in self._feeds.values():
            feed.changed.set()


class Watch:
    """One watcher of a run; a slow one sees fewer states, the last one always."""

    def __init__(self, feed: "_Feed", closed: asyncio.Event) -> None:
        self._feed, self._closed, self._seen = feed, closed, -1

    async def next(self, seconds: float) -> Run | None:
        """The run after its next change; nothing where none comes in time, or the process stops."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._feed.version <= self._seen and not self._closed.is_set():
                    await self._feed.news.wait()
        if self._feed.version <= self._seen:
            return None
        self._seen = self._feed.version
        return self._feed.run


class _Feed:
    """The newest state of one run."""

    def __init__(self, run_id: UUID, database: Database) -> None:
        self.run_id, self._database = run_id, database
        self.run: Run | None = None
        self.version = -1
        self.watchers = 0
        self.changed, self.news = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._gather_s = GATHER_S

    def start(self) -> None:
        """Follow the run, where that has not begun."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Follow the run no longer."""
        if self._task is not None:
            await ended({self._task})

    def tell(self) -> None:
        """Wake up all watchers."""
        self.news.set()
        self.news = asyncio.Event()

    async def read(self) -> None:
        """Read the run, and tell where it has changed."""
        self.changed.clear()
        began = asyncio.get_running_loop().time()
        run = await run_view.read(self._database, self.run_id)
        self._gather_s = max(GATHER_S, GATHER_READS * (asyncio.get_running_loop().time() - began))
        if run != self.run:
            self.run = run
            self.version += 1
            self.tell()

    async def _follow(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self.changed.wait()
            await pause(self._gather_s)
            try:
                await self.read()
            except PlatformError as error:
                _logger.warning("run_not_read", run_id=str(self.run_id), error=error.message)
            except Exception:
                # Whoever watches would wait for ever.
                _logger.exception("run_not_read", run_id=str(self.run_id))
            else:
                continue
            await pause(RETRY_S)
            self.changed.set()
