"""Helpers of the tests: a git source, services over real servers, a platform of streams and buckets, a recording API."""

import asyncio
import os
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.js.api import ConsumerConfig, KeyValueConfig, StreamConfig
from pydantic import BaseModel

from forge_sdk.configuration import (
    Cache,
    ClientCredentials,
    GitOps,
    Nats,
    Registry,
    Signing,
    Storage,
    WorkerConfiguration,
)
from forge_sdk.messaging import CONTROL_BUCKET, JOBS_BUCKET, QUEUE_OF_TYPE, QUEUES, Queue
from forge_sdk.models.api import JobStatuses, StatusAnswer, StatusBatch
from forge_sdk.models.jobs import Job, JobEntry, JobResult, JobType
from forge_sdk.nats_requests import Requests
from forge_sdk.object_storage import S3ObjectStore
from forge_sdk.plugins.contracts import StepRequest, StepResult
from forge_sdk.plugins.manager import Plugins
from forge_worker.cancellation import CancellationWatch
from forge_worker.checkpoints import LoggingObserver
from forge_worker.claims import ClaimStore
from forge_worker.connection import REQUEST_TIMEOUT_S, bucket
from forge_worker.consumer import PoolConsumer
from forge_worker.delivery import DeliveryHandler
from forge_worker.execution import Environments
from forge_worker.git.cache import RepositoryCache
from forge_worker.git.worktrees import Worktrees
from forge_worker.jobs import Services
from forge_worker.runner import JobRunner
from forge_worker.secrets import SecretStore
from forge_worker.statuses import StatusReporter

ACK_WAIT_S = 1.0
GIT_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Test"), ("EMAIL", "test@example.org"), ("DATE", "2026-01-02T03:04:05+00:00"))
    },
}
COMMIT_TIME = 1767323045


async def eventually(condition: Callable[[], Any], what: str, timeout_s: float = 20.0) -> Any:
    """The first true value of `condition`, which may be asynchronous."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.02)


class Source:
    """A git repository that commits are made in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=self.path, env=GIT_ENVIRONMENT, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, files: dict[str, str | None]) -> str:
        for name, text in files.items():
            file = self.path / name
            if text is None:
                file.unlink()
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return Source(tmp_path / "source")


@pytest.fixture
def make_source(tmp_path: Path) -> Callable[[str], Source]:
    return lambda name: Source(tmp_path / name)


@dataclass
class RecordingApi:
    """Keeps what a worker reports."""

    jobs: list[JobStatuses] = field(default_factory=list)

    async def update_statuses(self, body: StatusBatch) -> StatusAnswer:
        self.jobs += body.jobs
        return StatusAnswer()

    def step_statuses(self, step_id: uuid.UUID) -> list[str]:
        return [step.status.value for job in self.jobs for step in job.steps if step.step_id == step_id]


class Recorder:
    """A live publisher that keeps messages, for tests without NATS."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes, dict[str, str]]] = []

    async def publish(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: dict[str, Any] | None = None
    ) -> None:
        self.messages.append((subject, payload, headers or {}))


class ScriptConfiguration(BaseModel):
    script: str


class ScriptAction:
    """A step action that runs a shell script in the project's folder."""

    name = "script"
    schema = "{script!: string}"
    configuration: type[BaseModel] = ScriptConfiguration
    settings: type[BaseModel] | None = None

    async def run(self, request: StepRequest, context: Any) -> StepResult:
        configuration = request.configuration
        assert isinstance(configuration, ScriptConfiguration)
        context.logger.info("starting %s", request.step)
        end = await context.execute(["sh", "-c", configuration.script], cwd=request.project_directory)
        return StepResult(end.exit_code, "")


class BrokenAction:
    """A step action with a defect."""

    name = "broken"
    schema = "{}"
    configuration: type[BaseModel] = BaseModel
    settings: type[BaseModel] | None = None

    async def run(self, request: StepRequest, context: Any) -> StepResult:
        raise LookupError("a defect")


class Vault:
    """A secret resolver over a dictionary."""

    name = "vault"
    schema = "{path!: string}"

    class configuration(BaseModel):  # noqa: N801 - the attribute's name is the contract's
        path: str

    settings: type[BaseModel] | None = None

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    async def resolve(self, reference: Any, context: Any) -> Any:
        from forge_sdk.secrets import Secret

        return Secret(self.values[reference.fields["path"]])


SECRETS = {
    "ci/acme/shop/token": "s3cr3t-value-of-the-token",
    "ci/other/repo/token": "other-value",
    "git/key": "git-user:git-password",
}


@pytest.fixture
def plugins() -> Plugins:
    return Plugins(
        step_actions={"script": ScriptAction(), "broken": BrokenAction()}, secret_resolvers={"vault": Vault(SECRETS)}
    )


@pytest.fixture
def storage_settings(s3_bucket: Any, tmp_path: Path) -> Storage:
    files = {}
    for name, value in (("access", s3_bucket.access_key), ("secret", s3_bucket.secret_key)):
        files[name] = tmp_path / f"s3-{name}"
        files[name].touch(mode=0o600)
        files[name].write_text(value)
    return Storage(
        endpoint_url=s3_bucket.endpoint_url,
        region=s3_bucket.region,
        bucket=s3_bucket.bucket,
        access_key_file=files["access"],
        secret_key_file=files["secret"],
    )


@pytest.fixture
def storage(storage_settings: Storage) -> S3ObjectStore:
    return S3ObjectStore(storage_settings)


@pytest.fixture
def configuration(tmp_path: Path) -> WorkerConfiguration:
    cache = tmp_path / "cache"
    return WorkerConfiguration(
        pools={"ci": 2},
        api_url="http://127.0.0.1:1",
        credentials=ClientCredentials(token_url="http://127.0.0.1:1", client_id="worker", client_secret_file=tmp_path),
        signing=Signing(private_key_file=tmp_path / "key"),
        gitops=GitOps(url="file:///nonexistent"),
        registry=Registry(host="127.0.0.1:1", plain_http=True),
        nats=Nats(),
        cache=Cache(repositories=cache / "repositories", workspace=cache / "workspace", tools=cache / "tools"),
        allow_local_repositories=True,
    )


@pytest.fixture
def make_services(configuration: WorkerConfiguration, plugins: Plugins) -> Callable[..., Services]:
    def make(storage: Any = None, live: Any = None, api: Any = None, **changed: Any) -> Services:
        fields: dict[str, Any] = {
            "configuration": configuration,
            "plugins": plugins,
            "api": api,
            "storage": storage,
            "registry": None,
            "signer": None,
            "project": None,
            "repositories": RepositoryCache(configuration.cache.repositories, 2**30, allow_local=True),
            "worktrees": Worktrees(configuration.cache.workspace),
            "environments": Environments(configuration),
            "secrets": SecretStore(configuration, plugins),
            "statuses": StatusReporter(api or RecordingApi()),
            "live": live or Recorder(),
            "observer": LoggingObserver(),
        }
        return Services(**{**fields, **changed})

    return make


async def define_streams(connection: Any, ack_wait_s: float = ACK_WAIT_S) -> None:
    """What the platform's API makes at its start."""
    jetstream = connection.jetstream()
    for queue in QUEUES:
        await jetstream.add_stream(
            StreamConfig(name=queue.stream, subjects=[f"{queue.subject}.>"], retention="workqueue", discard="new")
        )
        await jetstream.add_consumer(
            queue.stream,
            ConsumerConfig(durable_name=queue.consumer, ack_policy="explicit", ack_wait=ack_wait_s, max_deliver=20),
        )
    for name in (JOBS_BUCKET, CONTROL_BUCKET):
        await jetstream.create_key_value(KeyValueConfig(bucket=name))


async def connect(url: str, reconnected: Any = None) -> Any:
    return await nats.connect(
        url, reconnect_time_wait=0.05, max_reconnect_attempts=-1, error_cb=_ignore, reconnected_cb=reconnected
    )


async def _ignore(error: Exception) -> None:
    """Tests that stop the server expect errors of the connection."""


class Platform:
    """NATS as a dispatcher sees it."""

    def __init__(self, connection: Any, server: Any) -> None:
        self.connection, self.server, self.url = connection, server, server.url
        self.jetstream = connection.jetstream()
        self.inbox = connection.new_inbox()
        self.replies: list[JobResult] = []

    async def publish(self, job: Job) -> None:
        queue = QUEUE_OF_TYPE[job.type]
        await self.jetstream.publish(queue.subject_of(job.id), job.model_dump_json(by_alias=True).encode())

    async def entry(self, job_id: uuid.UUID) -> JobEntry | None:
        try:
            found = await bucket(self.connection, JOBS_BUCKET).get(str(job_id))
        except nats.js.errors.KeyNotFoundError:
            return None
        return JobEntry.model_validate_json(found.value)

    async def result(self, job_id: uuid.UUID, timeout_s: float = 20.0) -> JobResult:
        async def finished() -> JobResult | None:
            entry = await self.entry(job_id)
            return entry.result if entry else None

        result: JobResult = await eventually(finished, f"result of {job_id}", timeout_s)
        return result

    async def waiting(self, queue: Queue) -> int:
        """Messages that are still in the stream, delivered or not."""
        return int((await self.jetstream.stream_info(queue.stream)).state.messages)

    async def cancel(self, key: str) -> None:
        await bucket(self.connection, CONTROL_BUCKET).put(key, b"cancelled")

    def job(self, **fields: Any) -> Job:
        defaults: dict[str, Any] = {
            "id": uuid.uuid4(),
            "type": JobType.CI,
            "run_id": uuid.uuid4(),
            "repository": "acme/shop",
            "clone_url": "file:///nonexistent",
            "commit_sha": "0" * 40,
            "reply_to": self.inbox,
        }
        return Job(**{**defaults, **fields})


@asynccontextmanager
async def platform_on(connection: Any, server: Any) -> AsyncIterator[Platform]:
    """What a dispatcher and the API do on `connection`, which is closed at the end."""
    await define_streams(connection)
    platform = Platform(connection, server)

    async def arrived(message: Any) -> None:
        platform.replies.append(JobResult.model_validate_json(message.data))

    await connection.subscribe(platform.inbox, cb=arrived)
    yield platform
    await connection.close()


@pytest.fixture
async def platform(make_nats_server: Any) -> AsyncIterator[Platform]:
    server = make_nats_server()
    async with platform_on(await connect(server.url), server) as platform:
        yield platform


@dataclass
class Worker:
    """A worker's pools in this process, without API and start-up."""

    delivery: DeliveryHandler
    consumers: list[PoolConsumer]
    tasks: list[asyncio.Task[None]]

    async def drain(self, grace_s: float) -> None:
        for consumer in self.consumers:
            consumer.stop()
        _, pending = await asyncio.wait(self.tasks, timeout=grace_s)
        if pending:
            self.delivery.drain()
            await asyncio.wait(self.tasks, timeout=20)


@asynccontextmanager
async def run_worker(
    platform: Platform, services: Services, handlers: dict[JobType, Any], *, slots: int = 2, name: str = "worker"
) -> AsyncIterator[Worker]:
    """A worker on its own connection; at the end its connection is cut, as if it had died."""
    consumers: list[PoolConsumer] = []

    async def reconnected() -> None:
        for consumer in consumers:
            consumer.reconnected()

    connection = await connect(platform.url, reconnected)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(connection.close)
        await stack.enter_async_context(services.statuses.running())
        watch = CancellationWatch(connection, bucket(connection, CONTROL_BUCKET))
        await stack.enter_async_context(watch.running())
        runner = JobRunner(services, name, handlers)
        requests = Requests(connection, REQUEST_TIMEOUT_S)
        claims = ClaimStore(connection, requests, name)
        delivery = DeliveryHandler(connection, requests, claims, watch, runner, worker=name, ack_wait_s=ACK_WAIT_S)
        for queue in QUEUES:

            async def handle(message: Any, queue: Queue = queue) -> None:
                await delivery.handle(message, queue)

            consumers.append(PoolConsumer(connection, queue, slots, handle))
        tasks = [asyncio.create_task(consumer.run()) for consumer in consumers]
        try:
            yield Worker(delivery, consumers, tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


@pytest.fixture(name="platform_on")
def platform_on_fixture() -> Callable[..., Any]:
    return platform_on


@pytest.fixture(name="eventually")
def eventually_fixture() -> Callable[..., Any]:
    return eventually


@pytest.fixture(name="run_worker")
def run_worker_fixture() -> Callable[..., Any]:
    return run_worker


@pytest.fixture(name="alive")
def alive_fixture() -> Callable[[int], bool]:
    return alive


@pytest.fixture
def recording_api() -> RecordingApi:
    return RecordingApi()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()
