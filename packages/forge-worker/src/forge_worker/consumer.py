"""A pool's continuous pull: one inbox, and requests for as many messages as there are free slots.

nats-py's own `fetch` is not used: it costs a round trip for each job, and with more than one message at a time it can hold what was
delivered already until its time is over.
"""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from forge_sdk.logging import get_logger
from forge_sdk.messaging import Queue

EXPIRES_S = 30.0
SILENCE_S = EXPIRES_S + 5.0
"""A request that was neither served nor ended after this time got lost: the demand is stated anew."""
TICK_S = 1.0
ENDED_WITH_REST = {"404", "408", "409"}
PENDING_HEADER = "Nats-Pending-Messages"

logger = get_logger(__name__)


class PoolConsumer:
    """Takes messages of one queue, each handled by `handle` in a task of its own, at most `slots` at once."""

    def __init__(
        self, connection: Client, queue: Queue, slots: int, handle: Callable[[Msg], Coroutine[Any, Any, None]]
    ) -> None:
        self._connection, self._queue, self._slots, self._handle = connection, queue, slots, handle
        self._tasks: set[asyncio.Task[None]] = set()
        self._demand, self._heard = 0, 0.0
        self._stale, self._stopping = True, False
        self._wake = asyncio.Event()
        self._subscription: Subscription | None = None

    @property
    def name(self) -> str:
        """The pool's name."""
        return self._queue.pool

    @property
    def slots(self) -> int:
        """Jobs at once."""
        return self._slots

    @property
    def busy(self) -> int:
        """Slots in use."""
        return len(self._tasks)

    def reconnected(self) -> None:
        """The server forgot what was asked for: ask again, on a new inbox."""
        self._stale = True
        self._wake.set()

    def stop(self) -> None:
        """Take nothing more; what still arrives is given back at once."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Pull until `stop`, then until the running jobs have ended."""
        try:
            while not self._stopping:
                await self._ask()
                await self._woken()
            while self._tasks:
                await asyncio.wait(self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._unsubscribe()

    async def _ask(self) -> None:
        if self._demand and time.monotonic() - self._heard > SILENCE_S:
            self._stale = True
        if self._stale:
            await self._subscribe()
        free = self._slots - len(self._tasks)
        # What is asked for is enough until half of it came: with many slots free not each job takes a request of its own.
        is_low = self._demand * 2 <= free and self._demand < free
        if is_low and self._subscription is not None and self._connection.is_connected:
            await self._request(free - self._demand)

    async def _subscribe(self) -> None:
        await self._unsubscribe()
        with suppress(nats.errors.Error):
            self._subscription = await self._connection.subscribe(self._connection.new_inbox(), cb=self._arrived)
            self._demand, self._stale = 0, False

    async def _request(self, wanted: int) -> None:
        subscription = self._subscription
        body = json.dumps({"batch": wanted, "expires": int(EXPIRES_S * 1e9)}).encode()
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._queue.stream}.{self._queue.consumer}"
        self._demand += wanted
        self._heard = time.monotonic()
        try:
            await self._connection.publish(subject, body, reply=subscription.subject if subscription else "")
        except nats.errors.Error as error:
            logger.warning("pull_not_sent", pool=self._queue.pool, error=str(error) or type(error).__name__)
            self._stale = True

    async def _woken(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(TICK_S):
                await self._wake.wait()
        self._wake.clear()

    async def _arrived(self, message: Msg) -> None:
        self._heard = time.monotonic()
        status = (message.headers or {}).get("Status")
        if status is not None and not message.data:
            self._ended(status, message.headers or {})
            return
        self._demand = max(0, self._demand - 1)
        if self._stopping or len(self._tasks) >= self._slots:
            await message.nak()
            return
        task = asyncio.create_task(self._handle(message))
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _ended(self, status: str, headers: dict[str, str]) -> None:
        """A request ended: by time (408), or for a reason that says that nothing is waiting there any more."""
        pending = headers.get(PENDING_HEADER, "")
        if status in ENDED_WITH_REST and pending.isdigit():
            self._demand = max(0, self._demand - int(pending))
            self._wake.set()
            return
        if status == "100":
            return
        logger.info("pull_ended", pool=self._queue.pool, status=status, reason=headers.get("Description", ""))
        # Not woken: the next tick asks again, so that a server in trouble is not hammered.
        self._stale = True

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("delivery_failed", pool=self._queue.pool, exc_info=error)

    async def _unsubscribe(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None and not self._connection.is_closed:
            with suppress(nats.errors.Error):
                await subscription.unsubscribe()
