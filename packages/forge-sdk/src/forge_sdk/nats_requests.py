"""Requests on NATS whose answers come to one inbox (extra `nats`).

The client's own requests draw a random name and make a waiting task's worth of objects for each; of the few requests that a job
takes, that is a third of what the worker spends on it.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.errors import APIError

WRONG_LAST_SEQUENCE = 10071
"""Error code of JetStream for a compare-and-set over a revision that is not the last."""
NO_RESPONDERS = "503"


class Requests:
    """Sends requests on `client` and gives their answers, each within `timeout_s`."""

    def __init__(self, client: Client, timeout_s: float) -> None:
        self._client, self._timeout_s = client, timeout_s
        self._inbox = client.new_inbox()
        self._number = 0
        self._waiting: dict[str, asyncio.Future[Msg]] = {}
        self._subscription: Subscription | None = None
        self._subscribing = asyncio.Lock()

    async def send(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> Msg:
        """The answer. Raises `nats.errors.Error`, also where nobody answers in time or nobody is there to do it."""
        if self._subscription is None:
            await self._subscribe()
        self._number += 1
        reply = f"{self._inbox}.{self._number}"
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Msg] = loop.create_future()
        self._waiting[reply] = answer
        timer = loop.call_later(self._timeout_s, _expire, answer)
        try:
            await self._client.publish(subject, data, reply=reply, headers=dict(headers) if headers else None)
            message = await answer
        finally:
            timer.cancel()
            answer.cancel()
            del self._waiting[reply]
        if not message.data and (message.headers or {}).get("Status") == NO_RESPONDERS:
            raise nats.errors.NoRespondersError
        return message

    async def write(self, subject: str, data: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        """Send a message that a stream keeps; its acknowledgement: `stream`, `seq`, and `duplicate` where it had it before.

        Raises as `send` does, and `nats.js.errors.APIError` where JetStream refuses.
        """
        answer: dict[str, Any] = json.loads((await self.send(subject, data, headers)).data)
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
        answer = self._waiting.get(message.subject)
        if answer is not None and not answer.done():
            answer.set_result(message)


def _expire(answer: "asyncio.Future[Msg]") -> None:
    if not answer.done():
        answer.set_exception(nats.errors.TimeoutError())
