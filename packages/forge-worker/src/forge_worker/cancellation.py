"""Cancelling running jobs: keys in the KV bucket `forge-control`, kept in memory, seen live and read again, so that none is missed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from uuid import UUID

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import APIError, KeyNotFoundError
from nats.js.kv import KeyValue

from forge_sdk.cancellation import pause
from forge_sdk.logging import get_logger
from forge_sdk.messaging import CONTROL_BUCKET, cancel_key, job_cancel_key
from forge_sdk.models.jobs import Job
from forge_worker.connection import REQUEST_TIMEOUT_S

REREAD_S = 10.0
"""Seconds between two looks at the keys of running jobs, for what a lost message swallowed."""
LARGEST_LIST = 100_000
"""Subjects that the server names at once; a list of that length may lack some."""
_SUBJECT = f"$KV.{CONTROL_BUCKET}."
_REMOVED = {"DEL", "PURGE"}
_AWAY = (nats.errors.Error, APIError, TimeoutError)

logger = get_logger(__name__)


class CancellationWatch:
    """Knows the keys that are there and the jobs that run here, and stops a job as soon as it is cancelled.

    The list of keys is taken at the start and after each reconnect; from then on every write of a key is heard. While it is
    not known, a job's own keys are read.
    """

    def __init__(self, connection: Client, bucket: KeyValue) -> None:
        self._connection, self._bucket = connection, bucket
        self._jobs: dict[UUID, tuple[Job, Callable[[], None]]] = {}
        self._keys: set[str] = set()
        self._listed_in: int | None = None

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

    @contextmanager
    def watching(self, job: Job, stop: Callable[[], None]) -> Iterator[None]:
        """Call `stop` when the job or its run is cancelled from now on; `is_cancelled` tells whether that was before."""
        self._jobs[job.id] = (job, stop)
        try:
            yield
        finally:
            del self._jobs[job.id]

    async def is_cancelled(self, job: Job) -> bool:
        """Whether the job or its run was cancelled, also while this worker was away from NATS; asked after the claim."""
        if self._is_listed and self._keys.isdisjoint(_keys(job)):
            return False
        # A key in the list may have been removed since; that is rare, so it is worth a look.
        return any(await asyncio.gather(*(self._exists(key, job) for key in _keys(job))))

    async def reread(self) -> None:
        """Take the list where it is not known, and look at the keys of all running jobs; for instance after a reconnect."""
        if not self._is_listed:
            await self._list()
        for job, stop in list(self._jobs.values()):
            if any(await asyncio.gather(*(self._exists(key, job) for key in _keys(job)))):
                stop()

    @property
    def _is_listed(self) -> bool:
        """Whether the list is of the present connection: during an interruption nobody told what was written."""
        return self._listed_in == self._connection.stats["reconnects"]

    async def _list(self) -> None:
        connected = self._connection.stats["reconnects"]
        # What is heard while the answer is on its way is added to the new set, so that it is not lost with the old one.
        keys: set[str] = set()
        self._keys = keys
        try:
            jetstream = self._connection.jetstream(timeout=REQUEST_TIMEOUT_S)
            info = await jetstream.stream_info(f"KV_{CONTROL_BUCKET}", subjects_filter=f"{_SUBJECT}cancel.>")
        except _AWAY as error:
            logger.warning("cancel_keys_not_listed", error=str(error) or type(error).__name__)
            return
        found = info.state.subjects or {}
        keys.update(subject.removeprefix(_SUBJECT) for subject in found)
        if len(found) < LARGEST_LIST:
            self._listed_in = connected

    async def _reread_forever(self) -> None:
        await self._list()
        while True:
            await pause(REREAD_S)
            await self.reread()

    async def _changed(self, message: Msg) -> None:
        key = message.subject.removeprefix(_SUBJECT)
        if (message.headers or {}).get("KV-Operation") in _REMOVED:
            self._keys.discard(key)
            return
        self._keys.add(key)
        for job, stop in list(self._jobs.values()):
            if key in _keys(job):
                stop()

    async def _exists(self, key: str, job: Job) -> bool:
        try:
            await self._bucket.get(key)
        except KeyNotFoundError:
            return False
        except _AWAY as error:
            logger.warning("cancel_key_not_read", job_id=str(job.id), error=str(error) or type(error).__name__)
            return False
        return True


def _keys(job: Job) -> tuple[str, str]:
    return cancel_key(job.run_id), job_cancel_key(job.run_id, job.id)
