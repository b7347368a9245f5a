"""T1: a no-op job there and back: publish, claim, result recorded, reply, acknowledgement; beside bare NATS and other task queues."""

import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from measure import Row, SkippedError, alternating
from nats.aio.client import Client
from round_trip import peers
from round_trip.floor import FloorDispatcher
from round_trip.jobs import make_jobs
from round_trip.processes import running

from forge_dispatch import Dispatcher
from forge_dispatch.connection import connect
from forge_dispatch.streams import apply_definitions
from forge_sdk.configuration import Nats
from forge_servers import NatsServer

ALONE, BURST, IN_FLIGHT, PEER_BURST = 100, 1000, 500, 300
LATENCY, THROUGHPUT, PEER = 2.5, 0.4, 3.0


@dataclass(frozen=True)
class _Setup:
    url: str
    floor: FloorDispatcher
    dispatcher: Dispatcher


async def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        async with _setup(Path(folder)) as setup:
            latency = await _latency(setup)
            throughput, per_second = await _throughput(setup)
            return [latency, throughput, *await _peers(per_second)]


@asynccontextmanager
async def _setup(folder: Path) -> AsyncIterator[_Setup]:
    async with NatsServer(folder / "nats") as server:
        configuration = Nats(url=server.url)
        connections: list[Client] = [await connect(configuration, name) for name in ("floor", "platform")]
        try:
            await apply_definitions(connections[1], configuration)
            async with (
                FloorDispatcher(connections[0]) as floor,
                Dispatcher(connections[1]) as dispatcher,
                running("-m", "round_trip.floor", server.url),
                running("-m", "round_trip.platform_worker", server.url),
            ):
                yield _Setup(server.url, floor, dispatcher)
        finally:
            for connection in connections:
                await connection.close()


async def _latency(setup: _Setup) -> Row:
    async def floor() -> float:
        return await _p50(lambda: setup.floor.run(make_jobs(1), 1))

    async def ours() -> float:
        return await _p50(lambda: setup.dispatcher.run(make_jobs(1)))

    bare, measured = await alternating(floor, ours)
    ratio = measured / bare
    what = "no-op job there and back, one at a time, p50; floor: bare nats-py, nothing recorded"
    return Row("T1.1", what, "ms", bare, measured, ratio, f"<= {LATENCY:g}", ratio <= LATENCY)


async def _p50(once: Callable[[], Awaitable[object]]) -> float:
    figures = []
    for _ in range(ALONE):
        started = time.perf_counter()
        await once()
        figures.append((time.perf_counter() - started) * 1000)
    return statistics.median(figures)


async def _throughput(setup: _Setup) -> tuple[Row, Callable[[], Awaitable[float]]]:
    async def floor() -> float:
        jobs = make_jobs(BURST)
        return await _per_second(BURST, lambda: setup.floor.run(jobs, IN_FLIGHT))

    async def ours() -> float:
        jobs = make_jobs(BURST)
        return await _per_second(BURST, lambda: setup.dispatcher.run(jobs))

    bare, measured = await alternating(floor, ours)
    ratio = measured / bare
    what = f"{BURST:,} no-op jobs at once, claim and result recorded; floor: bare nats-py, nothing recorded"
    return Row("T1.2", what, "jobs/s", bare, measured, ratio, f">= {THROUGHPUT:g}", ratio >= THROUGHPUT), ours


async def _per_second(count: int, burst: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await burst()
    return count / (time.perf_counter() - started)


async def _peers(ours: Callable[[], Awaitable[float]]) -> list[Row]:
    found = []
    for number, (name, peer) in enumerate(peers.PEERS.items(), start=3):
        if lacking := peers.missing(*peers.MODULES[name]):
            print(f"  T1.{number} is left out: pip install {' '.join(lacking)}")
            continue
        try:
            async with peers.redis() as url, peer(url, PEER_BURST) as throughput:
                theirs, measured = await alternating(throughput, ours, repetitions=5)
        except SkippedError as reason:
            print(f"  T1.{number} is left out: {reason}")
            continue
        ratio = measured / theirs
        what = f"no-op jobs at once, beside {name} with redis"
        found.append(Row(f"T1.{number}", what, "jobs/s", theirs, measured, ratio, f">= {PEER:g}", ratio >= PEER))
    return found
