"""Starts the services in the order of their needs, restarts what dies, and stops everything in the opposite order."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from forge_cli.files import write_once, write_private
from forge_cli.layout import LOOPBACK, Layout, Ports, http_url
from forge_cli.supervision import ServiceState, lack_of_space
from forge_cli.up import services
from forge_sdk.cancellation import pause
from forge_sdk.errors import PlatformError, TransientError
from forge_sdk.logging import get_logger
from forge_servers import PostgresServer, Server, ServerError
from forge_servers.process import ChildProcess, Command

START_TIMEOUT_S = 45.0
STABLE_S = 60.0
FIRST_BACKOFF_S = 0.5
MAX_BACKOFF_S = 30.0
POLL_S = 0.05
DRAIN_S = 40.0
HEALTH_INTERVAL_S = 5.0
UNHEALTHY_CHECKS = 6
"""A server that can't be used this many times one after the other is started again: a busy machine is slow as well."""

logger = get_logger(__name__)


@dataclass
class Service:
    """One supervised service: how to start and stop it, how to wait for its end, and what keeps it from being used."""

    name: str
    address: str
    start: Callable[[], Awaitable[None]]
    stop: Callable[[], Awaitable[None]]
    wait: Callable[[], Awaitable[int]]
    pid: Callable[[], int | None]
    problem: Callable[[], Awaitable[str | None]] | None = None
    state: ServiceState = field(default_factory=lambda: ServiceState(status="stopped"))


class Supervisor:
    """The services of one data directory."""

    def __init__(self, layout: Layout, ports: Ports) -> None:
        self._layout, self._ports = layout, ports
        self._services: list[Service] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything runs and is kept running inside this context; at its end all is stopped."""
        try:
            async with self._issuer(), asyncio.TaskGroup() as keepers:
                await self._start_all()
                tasks = [keepers.create_task(self._keep(service)) for service in self._services]
                tasks += [keepers.create_task(self._watch(service)) for service in self._services]
                try:
                    yield
                finally:
                    for task in tasks:
                        task.cancel()
        finally:
            await self._stop_all()

    async def _start_all(self) -> None:
        postgres = services.postgres(self._layout, self._ports)
        nats = services.nats(self._layout, self._ports)
        storage = services.object_storage(self._layout, self._ports)
        registry = services.registry(self._layout, self._ports)
        write_once(self._layout.keys / "s3-access-key.secret", storage.access_key)
        servers = {"postgres": postgres, "nats": nats, "s3": storage, "registry": registry}
        api = services.api(self._layout, self._ports, storage)
        worker = services.worker(self._layout, self._ports, storage)
        async with asyncio.TaskGroup() as starting:
            for name, server in servers.items():
                service = _of_server(name, server, self._address(name))
                start = self._add_database(service, postgres) if name == "postgres" else self._add(service)
                starting.create_task(start)
            # API and worker import their libraries while the servers start, and wait for them by themselves.
            address = http_url(self._ports.api)
            starting.create_task(self._add(_of_program("api", api, address, ready=self._api_ready)))
            starting.create_task(self._add(_of_program("worker", worker, "")))

    async def _add_database(self, service: Service, postgres: PostgresServer) -> None:
        await self._add(service)
        await asyncio.to_thread(_ensure_database, postgres)

    def _address(self, name: str) -> str:
        return f"{LOOPBACK}:{getattr(self._ports, name)}"

    async def _add(self, service: Service) -> None:
        self._services.append(service)
        self._note(service, "starting")
        await service.start()
        self._note(service, "running")

    async def _keep(self, service: Service) -> None:
        backoff = FIRST_BACKOFF_S
        while True:
            began = time.monotonic()
            code = await service.wait()
            logger.warning("service.ended", name=service.name, exit_code=code)
            backoff = FIRST_BACKOFF_S if time.monotonic() - began > STABLE_S else min(backoff * 2, MAX_BACKOFF_S)
            self._note(service, "restarting", restarts=service.state.restarts + 1)
            await pause(backoff)
            try:
                await service.start()
            except (ServerError, PlatformError, OSError) as error:
                logger.error("service.start_failed", name=service.name, error=str(error))  # noqa: TRY400 - the message is what matters
                await service.stop()
            else:
                self._note(service, "running")

    async def _watch(self, service: Service) -> None:
        """Say what keeps a server from being used, and end it, so that it is started again.

        A full disk is such a thing: NATS refuses what it could not write once until it is started again.
        """
        failed = 0
        while service.problem is not None:
            await pause(HEALTH_INTERVAL_S)
            problem = await service.problem()
            if service.state.status not in {"running", "unhealthy"}:
                continue
            failed = failed + 1 if problem is not None else 0
            if problem != (service.state.problem or None):
                self._note(service, "unhealthy" if problem else "running", problem or "")
            if failed >= UNHEALTHY_CHECKS and not lack_of_space(self._layout):
                logger.warning("service.unhealthy", name=service.name, problem=problem)
                await service.stop()

    async def _stop_all(self) -> None:
        for service in reversed(self._services):
            await service.stop()
            self._note(service, "stopped")

    def _note(self, service: Service, status: str, problem: str = "", restarts: int | None = None) -> None:
        count = service.state.restarts if restarts is None else restarts
        service.state = ServiceState(
            status=status, problem=problem, pid=service.pid(), restarts=count, address=service.address
        )
        states = ",".join(f'"{known.name}":{known.state.model_dump_json()}' for known in self._services)
        try:
            write_private(self._layout.state_file, f"{{{states}}}")
        except OSError as error:
            # Services are kept all the same.
            logger.warning("service.state_not_written", error=error.strerror)
        logger.info("service.state", name=service.name, status=status, problem=problem, pid=service.state.pid)

    @asynccontextmanager
    async def _issuer(self) -> AsyncIterator[None]:
        runner = web.AppRunner(services.issuer(self._layout, self._ports).application(), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, LOOPBACK, self._ports.issuer).start()
            yield
        except OSError as error:
            raise PlatformError(
                f"port {self._ports.issuer} of the issuer can't be used: {error.strerror}; choose others with `forge up --new-ports`"
            ) from error
        finally:
            await runner.cleanup()

    async def _api_ready(self, child: ChildProcess) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            while child.poll() is None and time.monotonic() < deadline:
                try:
                    async with session.get(f"{http_url(self._ports.api)}/readyz") as response:
                        if response.status == web.HTTPOk.status_code:
                            return
                except (aiohttp.ClientError, TimeoutError):
                    pass
                await asyncio.sleep(POLL_S)
        raise TransientError(
            f"the API is not ready: {child.log_tail()[-1000:] or 'it wrote nothing'}; see {self._layout.logs / 'api.log'}"
        )


def _of_server(name: str, server: Server, address: str) -> Service:
    async def start() -> None:
        # A start after a death finds the process gone and the data as it was.
        if server.pid is None:
            await server.start()

    return Service(name, address, start, server.stop, server.wait, lambda: server.pid, server.problem)


def _of_program(
    name: str, command: Command, address: str, ready: Callable[[ChildProcess], Awaitable[None]] | None = None
) -> Service:
    child: list[ChildProcess] = []

    async def start() -> None:
        child[:] = [await asyncio.to_thread(ChildProcess, command)]
        if ready is not None:
            await ready(child[0])

    async def stop() -> None:
        if child:
            await asyncio.to_thread(child[0].stop, DRAIN_S)

    async def wait() -> int:
        return await _exit_code(child[0])

    return Service(
        name, address, start, stop, wait, lambda: child[0].pid if child and child[0].poll() is None else None
    )


async def _exit_code(child: ChildProcess) -> int:
    descriptor = child.descriptor()
    if descriptor is None:
        return child.poll() or 0
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return child.poll() or 0


def _ensure_database(postgres: PostgresServer) -> None:
    if not postgres.query(f"SELECT 1 FROM pg_database WHERE datname = '{services.DATABASE}'"):  # noqa: S608 - a constant
        postgres.create_database(services.DATABASE)
