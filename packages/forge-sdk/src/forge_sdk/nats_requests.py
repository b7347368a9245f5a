"""Requests on NATS whose answers come to one inbox (extra `nats`).

The client's own requests draw a random name and make a waiting task's worth of objects for each; of the few requests that a job
takes, that is a third of what the worker spends on it.
"""

import asyncio
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.errors import APIError
from pydantic_core import from_json

WRONG_LAST_SEQUENCE = 10071
"""Error code of JetStream for a compare-and-set over a revision that is not the last."""
NO_RESPONDERS = "503"


class Requests:
    """Sends requests on `client` and gives their answers, each within `timeout_s`."""

    def __init__(self, client: Client, timeout_s: float) -> None:
        self._client, self._timeout_s = client, timeout_s
        self._inbox = client.new_inbox()
        self._number = 0
        self._waiting: dict[str, tuple[asyncio.Future[Msg], float]] = {}
        """Answers by their subjects, with the times at which they are given up, the next one first."""
        self._timer: asyncio.TimerHandle | None = None
        self._subscription: Subscription | None = None
        self._subscribing = asyncio.Lock()

    async def send(self, subject: str, data: bytes, headers: dict[str, Any] | None = None) -> Msg:
        """The answer. Raises `nats.errors.Error`, also where nobody answers in time or nobody is there to do it."""
        if self._subscription is None:
            await self._subscribe()
        self._number += 1
        reply = f"{self._inbox}.{self._number}"
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Msg] = loop.create_future()
        self._waiting[reply] = (answer, loop.time() + self._timeout_s)
        if self._timer is None:
            self._timer = loop.call_later(self._timeout_s, self._expire)
        try:
            await self._client.publish(subject, data, reply=reply, headers=headers)
            message = await answer
        finally:
            answer.cancel()
            del self._waiting[reply]
        if not message.data and (message.headers or {}).get("Status") == NO_RESPONDERS:
            raise nats.errors.NoRespondersError
        return message

    async def write(self, subject: str, data: bytes, headers: dict[str, Any]) -> dict[str, Any]:
        """Send a message that a stream keeps; its acknowledgement: `stream`, `seq`, and `duplicate` where it had it before.

        Raises as `send` does, and `nats.js.errors.APIError` where JetStream refuses.
        """
        answer: dict[str, Any] = from_json((await self.send(subject, data, headers)).data)
        if "error" in answer:
            raise APIError.from_error(answer["error"])
        return answer

    async def compare_and_set(self, bucket: str, key: str, data: bytes, revision: int) -> int | None:
        """Write a KV entry over `revision` (0: there is none), and its new revision; `None` where another one is the last.

        Raises as `write` does.
        """
        headers = {"Nats-Expected-Last-Subject-Sequence": str(revision)}
        try:
            return int((await self.write(f"$KV.{bucket}.{key}", data, headers))["seq"])
        except APIError as error:
            if error.err_code == WRONG_LAST_SEQUENCE:
                return None
            raise

    async def _subscribe(self) -> None:
        async with self._subscribing:
            if self._subscription is None:
                self._subscription = await self._client.subscribe(f"{self._inbox}.*", cb=self._arrived)

    async def _arrived(self, message: Msg) -> None:
        answer, _ = self._waiting.get(message.subject, (None, 0.0))
        if answer is not None and not answer.done():
            answer.set_result(message)

    def _expire(self) -> None:
        """One timer serves all requests."""
        self._timer = None
        loop = asyncio.get_running_loop()
        for answer, deadline in self._waiting.values():
            if deadline > loop.time():
                self._timer = loop.call_at(deadline, self._expire)
                return
            if not answer.done():
                answer.set_exception(nats.errors.TimeoutError())
