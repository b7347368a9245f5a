import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID, uuid4

import nats.errors
import nats.js.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.kv import KeyValue

from forge_dispatch import Dispatcher, DispatcherSettings
from forge_dispatch.connection import connect
from forge_dispatch.streams import apply_definitions
from forge_sdk.configuration import Nats
from forge_sdk.identifiers import job_id
from forge_sdk.messaging import CONTROL_BUCKET, JOBS_BUCKET, QUEUE_OF_TYPE, Queue, cancel_key, job_cancel_key
from forge_sdk.models.jobs import Job, JobEntry, JobEntryState, JobResult, JobType
from forge_sdk.retry import RetryPolicy

FAST = DispatcherSettings(
    sweep_interval_s=0.2,
    waiting_limit_s=20,
    cancel_grace_s=2,
    request_timeout_s=2,
    backoff=RetryPolicy(attempts=30, base_delay=0.05, max_delay=0.3, jitter=0.01),
)


async def until(condition: Callable[[], Any], timeout: float = 15) -> None:
    """Waits until `condition()` holds; a coroutine function may be given."""
    async with asyncio.timeout(timeout):
        while True:
            answer = condition()
            if asyncio.iscoroutine(answer):
                answer = await answer
            if answer:
                return
            await asyncio.sleep(0.02)


def make_job(run_id: UUID, name: str, **values: Any) -> Job:
    type_ = values.pop("type", JobType.CI)
    return Job(
        id=job_id(run_id, type_, name),
        type=type_,
        run_id=run_id,
        repository="acme/shop",
        clone_url="file:///srv/shop.git",
        commit_sha="a" * 40,
        payload={"name": name, **values.pop("payload", {})},
        **values,
    )


class Worker:
    """A small worker: `payload.do` is `succeed`, `fail`, `wait` (until cancelled) or `silent` (result without reply)."""

    def __init__(self, connection: Client, queue: Queue = QUEUE_OF_TYPE[JobType.CI], slots: int = 16) -> None:
        self.connection, self.queue, self.slots = connection, queue, slots
        self.executed: list[str] = []
        self.running: set[str] = set()
        self.stopping = False

    async def __aenter__(self) -> Self:
        self.jetstream = self.connection.jetstream(timeout=2)
        self.entries, self.control = self._bucket(JOBS_BUCKET), self._bucket(CONTROL_BUCKET)
        self.tasks = [asyncio.create_task(self._loop()) for _ in range(self.slots)]
        return self

    async def __aexit__(self, *_: object) -> None:
        # A pull that ends at the moment of the cancellation swallows it.
        self.stopping = True
        for task in self.tasks:
            task.cancel()
        outcomes = await asyncio.gather(*self.tasks, return_exceptions=True)
        failures = [found for found in outcomes if isinstance(found, Exception)]
        assert not failures, failures

    def _bucket(self, name: str) -> KeyValue:
        return KeyValue(name=name, stream=f"KV_{name}", pre=f"$KV.{name}.", js=self.jetstream, direct=False)

    async def _loop(self) -> None:
        subscription = await self.jetstream.pull_subscribe_bind(self.queue.consumer, self.queue.stream)
        while not self.stopping:
            with contextlib.suppress(nats.errors.Error, OSError):
                [message] = await subscription.fetch(1, timeout=1)
                await self._handle(message)

    async def _handle(self, message: Msg) -> None:
        job = Job.model_validate_json(message.data)
        now = datetime.now(UTC)
        claim = JobEntry(state=JobEntryState.CLAIMED, worker="test", claimed_at=now)
        found = None
        with contextlib.suppress(nats.js.errors.KeyNotFoundError):
            found = await self.entries.get(str(job.id))
        if found is not None and JobEntry.model_validate_json(found.value).result is not None:
            await message.ack()
            return
        last = found.revision if found else 0
        revision = await self.entries.update(str(job.id), claim.model_dump_json().encode(), last=last)
        result = await self._execute(job, message)
        done = claim.model_copy(update={"state": JobEntryState.FINISHED, "result": result})
        await self.entries.update(str(job.id), done.model_dump_json().encode(), last=revision)
        if job.payload.get("do") != "silent":
            await self.connection.publish(job.reply_to, result.model_dump_json().encode())
        await message.ack_sync()

    async def _execute(self, job: Job, message: Msg) -> JobResult:
        name = str(job.payload["name"])
        started = datetime.now(UTC)
        status = "failed" if job.payload.get("do") == "fail" else "success"
        if await self._cancelled(job):
            status = "cancelled"
        else:
            self.executed.append(name)
            self.running.add(name)
            if job.payload.get("do") == "wait":
                while not await self._cancelled(job):
                    await message.in_progress()
                    await asyncio.sleep(0.05)
                    # asyncio.wait_for of Python 3.11 may lose a cancellation that meets its result.
                    if self.stopping:
                        raise asyncio.CancelledError
                status = "cancelled"
            self.running.discard(name)
        return JobResult(
            job_id=job.id,
            status=status,
            output={"name": name},
            started_at=started,
            finished_at=datetime.now(UTC),
            worker="test",
        )

    async def _cancelled(self, job: Job) -> bool:
        for key in (cancel_key(job.run_id), job_cancel_key(job.run_id, job.id)):
            with contextlib.suppress(nats.js.errors.KeyNotFoundError):
                await self.control.get(key)
                return True
        return False


@pytest.fixture
def settings() -> DispatcherSettings:
    return FAST


@pytest.fixture
def run_id() -> UUID:
    return uuid4()


@pytest.fixture
def configuration(nats_url: str) -> Nats:
    return Nats(url=nats_url, ack_wait_s=1)


@pytest.fixture
async def connection(configuration: Nats) -> AsyncIterator[Client]:
    opened = await connect(configuration, "test")
    await apply_definitions(opened, configuration)
    yield opened
    # The client tries to flush what it has, also to a server that was killed.
    with contextlib.suppress(OSError):
        await opened.close()


@pytest.fixture
async def worker_connection(configuration: Nats, connection: Client) -> AsyncIterator[Client]:
    opened = await connect(configuration, "test-worker")
    yield opened
    await opened.close()


@pytest.fixture
async def worker(worker_connection: Client) -> AsyncIterator[Worker]:
    async with Worker(worker_connection) as started:
        yield started


@pytest.fixture
def new_worker(worker_connection: Client) -> Callable[[], Worker]:
    """Makes workers that the test starts itself, by `async with`."""
    return lambda **options: Worker(worker_connection, **options)


@pytest.fixture
def new_worker_on() -> Callable[[Client], Worker]:
    """Makes a worker on a connection of the test's own."""
    return Worker


@pytest.fixture
async def dispatcher(connection: Client, settings: DispatcherSettings) -> AsyncIterator[Dispatcher]:
    async with Dispatcher(connection, settings) as opened:
        yield opened


@pytest.fixture
def new_dispatcher(connection: Client, settings: DispatcherSettings) -> Callable[[], Dispatcher]:
    """Makes further dispatchers, to be entered by `async with`."""
    return lambda: Dispatcher(connection, settings)


@pytest.fixture
def job(run_id: UUID) -> Callable[..., Job]:
    """Makes a job of the run: `job(name, do="fail")`."""

    def make(name: str, do: str = "succeed", **values: Any) -> Job:
        return make_job(run_id, name, payload={"do": do}, **values)

    return make


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """`await eventually(condition)`."""
    return until


@pytest.fixture(autouse=True)
async def deadline() -> AsyncIterator[None]:
    """Names what every task waits for where a test takes longer than anything here may."""

    async def report() -> None:
        await asyncio.sleep(45)
        for task in asyncio.all_tasks():
            task.print_stack()

    watching = asyncio.create_task(report())
    yield
    watching.cancel()
