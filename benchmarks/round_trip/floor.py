"""The floor: bare nats-py, one process that publishes and one that pulls; a reply to the inbox, an acknowledgement, nothing recorded.

`python -m round_trip.floor URL` is the worker.
"""

import asyncio
import json
import sys
from types import TracebackType
from typing import Any, Self

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, RetentionPolicy, StreamConfig

from forge_sdk.models.jobs import Job

STREAM, SUBJECT, CONSUMER = "floor", "floor.jobs", "floor-consumer"
BATCH = 500


class FloorDispatcher:
    """Publishes with confirmation and waits on one inbox."""

    def __init__(self, connection: Client) -> None:
        self._connection, self._jetstream = connection, connection.jetstream()
        self._inbox = connection.new_inbox()
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def __aenter__(self) -> Self:
        await self._jetstream.add_stream(
            StreamConfig(name=STREAM, subjects=[f"{SUBJECT}.>"], retention=RetentionPolicy.WORK_QUEUE)
        )
        await self._jetstream.add_consumer(STREAM, ConsumerConfig(durable_name=CONSUMER, max_ack_pending=10_000))
        self._subscription = await self._connection.subscribe(self._inbox, cb=self._arrived)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._subscription.unsubscribe()

    async def run(self, jobs: list[Job], in_flight: int) -> None:
        """All jobs there and back."""
        slots = asyncio.Semaphore(in_flight)

        async def one(job: Job) -> None:
            async with slots:
                key = str(job.id)
                self._waiting[key] = asyncio.get_running_loop().create_future()
                values = {**job.model_dump(mode="json"), "reply_to": self._inbox}
                await self._jetstream.publish(f"{SUBJECT}.{key}", json.dumps(values).encode())
                await self._waiting[key]
                del self._waiting[key]

        await asyncio.gather(*(one(job) for job in jobs))

    async def _arrived(self, message: Msg) -> None:
        future = self._waiting.get(json.loads(message.data)["job_id"])
        if future is not None and not future.done():
            future.set_result(None)


async def work(url: str) -> None:
    """Pull for ever: one inbox, and new demand when half of the old is used up."""
    connection = await nats.connect(url)
    inbox, left = connection.new_inbox(), 0

    async def ask(count: int) -> None:
        body = json.dumps({"batch": count, "expires": int(30e9)}).encode()
        await connection.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{CONSUMER}", body, reply=inbox)

    async def arrived(message: Msg) -> None:
        nonlocal left
        if not message.data:
            left = BATCH
            await ask(BATCH)
            return
        left -= 1
        job: dict[str, Any] = json.loads(message.data)
        await connection.publish(job["reply_to"], json.dumps({"job_id": job["id"], "status": "success"}).encode())
        await message.ack()
        if left < BATCH // 2:
            left += BATCH // 2
            await ask(BATCH // 2)

    await connection.subscribe(inbox, cb=arrived)
    left = BATCH
    await ask(BATCH)
    print("ready", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    import uvloop

    uvloop.run(work(sys.argv[1]))
