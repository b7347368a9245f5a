"""The process: opens what the API needs, serves, and stops in order."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiohttp import web

from forge_api.application import create_application
from forge_api.auth.verifier import TokenVerifier
from forge_api.background import Background, ended
from forge_api.database.migrate import migrate
from forge_api.database.notifications import Notifications
from forge_api.database.pool import wait_until_reachable
from forge_api.deployments.environments import Environments
from forge_api.engine.leadership import Leadership
from forge_api.engine.local import EngineSettings, LocalEngine
from forge_api.engine.resigning import Resigning
from forge_api.events.relay import EventRelay
from forge_api.events.run_feeds import RunFeeds
from forge_api.janitor import Janitor
from forge_api.metrics import Metrics
from forge_api.services import Services
from forge_api.web.limits import RateLimits
from forge_dispatch import Dispatcher
from forge_dispatch.connection import connect
from forge_dispatch.streams import apply_definitions
from forge_sdk import nats_connection
from forge_sdk.configuration import ApiConfiguration
from forge_sdk.errors import TransientError
from forge_sdk.logging import get_logger
from forge_sdk.object_storage import S3ObjectStore
from forge_sdk.retry import RetryPolicy

STARTUP_TIMEOUT_S = 60.0
"""How long the API waits for database, NATS and object storage at its start."""
SHUTDOWN_TIMEOUT_S = 20.0
"""How long requests may take to end after SIGTERM."""
STARTUP_RETRY = RetryPolicy(attempts=200, base_delay=0.1, max_delay=1.0, jitter=0.1)
_logger = get_logger("forge_api.server")


@asynccontextmanager
async def open_services(
    configuration: ApiConfiguration, *, apply_migrations: bool
) -> AsyncIterator[tuple[Services, Background]]:
    """Everything that requests need and what goes on beside them, closed at the end.

    Raises a transient error where a server stays away for a minute.
    """
    async with AsyncExitStack() as stack:
        async with _startup():
            database = await wait_until_reachable(configuration.database, timeout_s=STARTUP_TIMEOUT_S)
            stack.push_async_callback(database.close)
            if apply_migrations:
                for migration in await migrate(configuration.database):
                    _logger.info("migration_applied", version=migration.version, name=migration.name)
            connection = await STARTUP_RETRY.call(lambda: connect(configuration.nats, "forge-api"))
            stack.push_async_callback(nats_connection.close, connection)
            await STARTUP_RETRY.call(lambda: apply_definitions(connection, configuration.nats))
            storage = S3ObjectStore(configuration.storage)
            await STARTUP_RETRY.call(storage.ensure_bucket)
        verifier = TokenVerifier(configuration.identity)
        stack.push_async_callback(verifier.close)
        environments = Environments(configuration.environments_file)
        dispatcher = await stack.enter_async_context(Dispatcher(connection))
        metrics = Metrics()
        settings = EngineSettings(
            public_url=configuration.listen.public_url,
            observer=metrics,
            repository_share=configuration.limits.repository_share,
            leads=False,
        )
        engine = await stack.enter_async_context(LocalEngine(database, dispatcher, storage, environments, settings))
        notifications = Notifications(configuration.database)
        leadership = Leadership(configuration.database, engine, notifications)
        resigning, relay = Resigning(database, engine), EventRelay(database, connection, metrics)
        background = await stack.enter_async_context(Background())
        for work in (notifications.run(), leadership.run(), resigning.run(), relay.run(), Janitor(database).run()):
            background.start(work)
        services = Services(
            configuration=configuration,
            database=database,
            storage=storage,
            connection=connection,
            verifier=verifier,
            engine=engine,
            deployments=engine.deployments,
            stages=engine.stages,
            feeds=RunFeeds(database, notifications),
            limits=RateLimits(configuration.limits),
            metrics=metrics,
        )
        yield services, background


async def serve(configuration: ApiConfiguration, *, apply_migrations: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; then no request is accepted any more and those that run are finished."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    _logger.info("starting")
    async with AsyncExitStack() as stack:
        opening = asyncio.create_task(
            stack.enter_async_context(open_services(configuration, apply_migrations=apply_migrations))
        )
        if await _stopped_before(opening, stop):
            return
        services, background = opening.result()
        await stack.enter_async_context(_listening(services))
        # What was loaded stays: a collection that walks through all of it would hold requests up.
        gc.collect()
        gc.freeze()
        await _stopped_before(asyncio.create_task(background.failed()), stop)
        _logger.info("stopping")


async def _stopped_before(task: asyncio.Task[Any], stop: asyncio.Event) -> bool:
    """Wait for the first of both; true where the process is to stop, and then the task has been cancelled."""
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return False
        await ended({task})
        return True
    finally:
        await ended({stopping})


@asynccontextmanager
async def _startup() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(STARTUP_TIMEOUT_S):
            yield
    except TimeoutError as error:
        raise TransientError(
            f"database, NATS and object storage did not all answer within {STARTUP_TIMEOUT_S:g} s: check their "
            "sections of the configuration and that they run",
            component="api",
        ) from error


@asynccontextmanager
async def _listening(services: Services) -> AsyncIterator[None]:
    listen = services.configuration.listen
    runner = web.AppRunner(create_application(services), access_log=None, shutdown_timeout=SHUTDOWN_TIMEOUT_S)
    try:
        await runner.setup()
        await web.TCPSite(runner, listen.host, listen.port).start()
        _logger.info("listening", addresses=[f"{address[0]}:{address[1]}" for address in runner.addresses])
        yield
    finally:
        await runner.cleanup()
