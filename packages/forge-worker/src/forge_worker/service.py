"""The worker service: builds what jobs need, runs the pools, drains on request."""

import asyncio
import os
import secrets
import socket
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

from nats.aio.client import Client
from nats.aio.msg import Msg

from forge_oci.registry.client import RegistryClient
from forge_oci.registry.credentials import Credentials
from forge_oci.registry.signing import KeySigner
from forge_project import Evaluator, ProjectComponent
from forge_sdk import nats_connection
from forge_sdk.client import ApiClient, ClientCredentialsTokens
from forge_sdk.configuration import Registry, WorkerConfiguration, read_secret_file
from forge_sdk.errors import PlatformError
from forge_sdk.logging import get_logger
from forge_sdk.messaging import CONTROL_BUCKET, QUEUE_OF_POOL
from forge_sdk.models.api import RegisterPlugins
from forge_sdk.nats_requests import Requests
from forge_sdk.object_storage import S3ObjectStore
from forge_sdk.plugins.manager import Plugins, load_plugins
from forge_sdk.retry import RetryPolicy
from forge_worker.cancellation import CancellationWatch
from forge_worker.checkpoints import CheckpointObserver, LoggingObserver
from forge_worker.claims import ClaimStore
from forge_worker.connection import PATIENCE_S, PAUSE_S, REQUEST_TIMEOUT_S, bucket, connect, wait_for_queue
from forge_worker.consumer import PoolConsumer
from forge_worker.delivery import DeliveryHandler
from forge_worker.execution.environment import Environments
from forge_worker.execution.process_tree import end_orphans
from forge_worker.git.cache import RepositoryCache
from forge_worker.git.worktrees import Worktrees
from forge_worker.handlers import HANDLERS
from forge_worker.jobs import Services
from forge_worker.metrics import serve_metrics
from forge_worker.runner import JobRunner
from forge_worker.secrets import SecretStore
from forge_worker.statuses import StatusReporter

HAND_BACK_S = 10.0
"""Seconds after the grace period in which jobs are ended and handed back."""
API_RETRY = RetryPolicy(attempts=20, base_delay=0.5, max_delay=5.0, jitter=0.5)
"""An API that is away for a minute and a half, as in an upgrade, fails no job that has something to record."""
logger = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Pools:
    consumers: tuple[PoolConsumer, ...]
    delivery: DeliveryHandler

    def reconnected(self) -> None:
        for consumer in self.consumers:
            consumer.reconnected()


class WorkerService:
    """One worker process. `plugins` and `observer` are found and made where they are not given."""

    def __init__(
        self,
        configuration: WorkerConfiguration,
        *,
        plugins: Plugins | None = None,
        observer: CheckpointObserver | None = None,
    ) -> None:
        self._configuration = configuration
        self._plugins = plugins if plugins is not None else load_plugins()
        self._observer = observer or LoggingObserver.from_environment()
        self._worker = f"{configuration.name}@{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._pools: _Pools | None = None
        self._watch: CancellationWatch | None = None

    @property
    def working(self) -> bool:
        """Whether the pools run, so that a stop has something to drain."""
        return self._pools is not None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then drain: jobs get `drain_grace_s` to end, the rest is handed back, or left where that fails.

        Raises `PlatformError` where something that the worker needs is not there within a minute.
        """
        for problem in self._plugins.problems:
            logger.error("plugin_unusable", problem=problem.message)
        async with AsyncExitStack() as stack:
            connection = await connect(self._configuration.nats, self._worker, self._reconnected)
            stack.push_async_callback(nats_connection.close, connection)
            services = await self._services(stack, connection)
            ack_waits = [await wait_for_queue(connection, QUEUE_OF_POOL[pool]) for pool in self._configuration.pools]
            await self._register(services.api)
            await self._sweep(services)
            watch = CancellationWatch(connection, bucket(connection, CONTROL_BUCKET))
            self._watch = await stack.enter_async_context(watch.running())
            self._pools = self._build(connection, services, min(ack_waits))
            self._show_metrics(stack, services, self._pools)
            await self._work(self._pools, stop)

    async def _work(self, pools: _Pools, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(consumer.run()) for consumer in pools.consumers]
            logger.info("worker_started", worker=self._worker, pools=dict(self._configuration.pools))
            await stop.wait()
            logger.info("worker_draining", running=sum(consumer.busy for consumer in pools.consumers))
            for consumer in pools.consumers:
                consumer.stop()
            _, pending = await asyncio.wait(running, timeout=self._configuration.drain_grace_s)
            if pending:
                pools.delivery.drain()
                _, pending = await asyncio.wait(pending, timeout=HAND_BACK_S)
            if pending:
                # NATS is away, for one: whoever comes next finds their claims and takes them over.
                logger.warning("jobs_not_handed_back", running=sum(consumer.busy for consumer in pools.consumers))
                for consuming in pending:
                    consuming.cancel()
        logger.info("worker_stopped", worker=self._worker)

    def _show_metrics(self, stack: AsyncExitStack, services: Services, pools: _Pools) -> None:
        services.metrics.watch_pools(pools.consumers)
        cache = services.repositories
        services.metrics.watch_git_cache(lambda: (cache.hits, cache.misses))
        if self._configuration.metrics is not None:
            stack.callback(serve_metrics(self._configuration.metrics, services.metrics))

    def _build(self, connection: Client, services: Services, ack_wait_s: float) -> _Pools:
        if self._watch is None:
            raise RuntimeError("the watch comes first")
        runner = JobRunner(services, self._worker, HANDLERS)
        requests = Requests(connection, REQUEST_TIMEOUT_S)
        claims = ClaimStore(connection, requests, self._worker)
        delivery = DeliveryHandler(
            connection, requests, claims, self._watch, runner, worker=self._worker, ack_wait_s=ack_wait_s
        )
        consumers = [
            self._consumer(connection, delivery, pool, slots) for pool, slots in self._configuration.pools.items()
        ]
        return _Pools(tuple(consumers), delivery)

    def _consumer(self, connection: Client, delivery: DeliveryHandler, pool: str, slots: int) -> PoolConsumer:
        queue = QUEUE_OF_POOL[pool]

        async def handle(message: Msg) -> None:
            await delivery.handle(message, queue)

        return PoolConsumer(connection, queue, slots, handle)

    async def _services(self, stack: AsyncExitStack, connection: Client) -> Services:
        configuration = self._configuration
        cache = configuration.cache
        for folder in (cache.repositories, cache.workspace, cache.tools):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        credentials = configuration.credentials
        tokens = ClientCredentialsTokens(
            credentials.token_url, credentials.client_id, lambda: read_secret_file(credentials.client_secret_file)
        )
        api = await stack.enter_async_context(ApiClient(configuration.api_url, tokens, retry=API_RETRY))
        evaluator = await stack.enter_async_context(Evaluator())
        return Services(
            configuration=configuration,
            plugins=self._plugins,
            api=api,
            storage=S3ObjectStore(configuration.storage),
            registry=await stack.enter_async_context(registry_client(configuration.registry)),
            signer=KeySigner(configuration.signing.private_key_file),
            project=ProjectComponent(self._plugins, evaluator),
            repositories=RepositoryCache(
                cache.repositories, cache.repositories_size, allow_local=configuration.allow_local_repositories
            ),
            worktrees=Worktrees(cache.workspace),
            environments=Environments(configuration),
            secrets=SecretStore(configuration, self._plugins),
            statuses=await stack.enter_async_context(StatusReporter(api).running()),
            live=connection,
            observer=self._observer,
        )

    async def _register(self, api: ApiClient) -> None:
        body = RegisterPlugins(
            slots={str(pool): slots for pool, slots in self._configuration.pools.items()},
            pools=tuple(self._configuration.pools),
            plugins=tuple(self._plugins.descriptions),
            problems=tuple(self._plugins.problems),
        )
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return await api.register_plugins(self._configuration.name, body)
            except PlatformError as error:
                if not error.transient or time.monotonic() >= deadline:
                    raise
                logger.info("waiting_for_api", error=error.message)
            await asyncio.sleep(PAUSE_S)

    async def _sweep(self, services: Services) -> None:
        cache = self._configuration.cache
        if orphans := await end_orphans():
            logger.warning("orphans_ended", count=orphans)
        await services.environments.sweep()
        await services.repositories.evict()
        await services.worktrees.sweep(cache.repositories)

    async def _reconnected(self) -> None:
        if self._pools is not None:
            self._pools.reconnected()
        if self._watch is not None:
            await self._watch.reread()


def registry_client(configuration: Registry) -> RegistryClient:
    """The client of the platform's registry."""
    credentials = None
    if configuration.username is not None and configuration.password_file is not None:
        credentials = Credentials(configuration.username, read_secret_file(configuration.password_file).reveal())
    return RegistryClient(
        configuration.host,
        plain_http=configuration.plain_http,
        ca_file=configuration.ca_file,
        credentials=credentials,
    )
