"""Cancelling running jobs: keys in the KV bucket `forge-control`, seen live and read again, so that none is missed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import APIError, KeyNotFoundError
from nats.js.kv import KeyValue

from forge_sdk.logging import get_logger
from forge_sdk.messaging import CONTROL_BUCKET, cancel_key, job_cancel_key
from forge_sdk.models.jobs import Job

REREAD_S = 10.0
"""Seconds between two looks at the keys of running jobs, for what a lost connection swallowed."""
_SUBJECT = f"$KV.{CONTROL_BUCKET}."
_REMOVED = {"DEL", "PURGE"}

logger = get_logger(__name__)


class CancellationWatch:
    """Knows the jobs that run here and sets their event when they are cancelled."""

    def __init__(self, connection: Client, bucket: KeyValue) -> None:
        self._connection, self._bucket = connection, bucket
        self._events: dict[UUID, tuple[Job, asyncio.Event]] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator["CancellationWatch"]:
        """Watch until the context ends. A write of a key is a message on the bucket's subject, so no consumer is needed."""
        subscription = await self._connection.subscribe(f"{_SUBJECT}cancel.>", cb=self._changed)
        task = asyncio.create_task(self._reread_forever())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            if self._connection.is_connected:
                await subscription.unsubscribe()

    @asynccontextmanager
    async def watching(self, job: Job, event: asyncio.Event) -> AsyncIterator["asyncio.Task[None]"]:
        """Set `event` as soon as the job or its run is cancelled; the task has looked whether that was before."""
        self._events[job.id] = (job, event)
        looking = asyncio.create_task(self._read(job, event))
        try:
            yield looking
        finally:
            self._events.pop(job.id, None)
            looking.cancel()
            await asyncio.wait({looking})

    async def reread(self) -> None:
        """Look at the keys of all running jobs, for instance after a reconnect."""
        for job, event in list(self._events.values()):
            await self._read(job, event)

    async def _reread_forever(self) -> None:
        while True:
            await asyncio.sleep(REREAD_S)
            await self.reread()

    async def _changed(self, message: Msg) -> None:
        if (message.headers or {}).get("KV-Operation") in _REMOVED:
            return
        key = message.subject.removeprefix(_SUBJECT)
        for job, event in list(self._events.values()):
            if key in _keys(job):
                event.set()

    async def _read(self, job: Job, event: asyncio.Event) -> None:
        if any(await asyncio.gather(*(self._exists(key, job) for key in _keys(job)))):
            event.set()

    async def _exists(self, key: str, job: Job) -> bool:
        try:
            await self._bucket.get(key)
        except KeyNotFoundError:
            return False
        except (nats.errors.Error, APIError, TimeoutError) as error:
            logger.warning("cancel_key_not_read", job_id=str(job.id), error=str(error) or type(error).__name__)
            return False
        return True


def _keys(job: Job) -> tuple[str, str]:
    return cancel_key(job.run_id), job_cancel_key(job.run_id, job.id)
