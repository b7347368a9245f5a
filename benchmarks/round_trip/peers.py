"""Throughput of other task queues with the same job on the same machine; those that are not installed are left out."""

import asyncio
import importlib
import importlib.util
import os
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from measure import SkippedError

from round_trip.jobs import make_jobs
from round_trip.processes import running

Throughput = Callable[[], Awaitable[float]]
RESULT_S = 60


@asynccontextmanager
async def redis() -> AsyncIterator[str]:
    """URL of a redis of our own, without persistence, as the peers' benchmarks use it."""
    if shutil.which("redis-server") is None:
        raise SkippedError("redis-server is not installed (Debian: apt-get install redis-server)")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            "redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await _answers(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            await process.wait()


async def _answers(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.close()
            return


def missing(*modules: str) -> list[str]:
    """Those of the modules that are not installed."""
    return [module for module in modules if importlib.util.find_spec(module) is None]


@asynccontextmanager
async def dramatiq(url: str, count: int) -> AsyncIterator[Throughput]:
    """Jobs per second of dramatiq with four processes of eight threads."""
    os.environ["BENCH_REDIS"] = url
    application = importlib.import_module("round_trip.dramatiq_application")

    def burst() -> float:
        import dramatiq as library

        jobs = [job.model_dump(mode="json") for job in make_jobs(count)]
        started = time.perf_counter()
        library.group([application.no_operation.message(job) for job in jobs]).run().wait(timeout=RESULT_S * 1000)
        return count / (time.perf_counter() - started)

    arguments = ("-m", "dramatiq", "round_trip.dramatiq_application", "--processes", "4", "--threads", "8")
    async with running(*arguments, ready=b"ready for action"):
        yield lambda: asyncio.to_thread(burst)


@asynccontextmanager
async def taskiq(url: str, count: int) -> AsyncIterator[Throughput]:
    """Jobs per second of taskiq with one process, 100 in flight."""
    os.environ["BENCH_REDIS"] = url
    application = importlib.import_module("round_trip.taskiq_application")
    slots = asyncio.Semaphore(100)

    async def one(job: dict[str, object]) -> None:
        async with slots:
            task = await application.no_operation.kiq(job)
            await task.wait_result(check_interval=0.05, timeout=RESULT_S)

    async def burst() -> float:
        jobs = [job.model_dump(mode="json") for job in make_jobs(count)]
        started = time.perf_counter()
        await asyncio.gather(*(one(job) for job in jobs))
        return count / (time.perf_counter() - started)

    arguments = (
        "-m",
        "taskiq",
        "worker",
        "round_trip.taskiq_application:broker",
        "--workers",
        "1",
        "--max-async-tasks",
        "100",
    )
    async with running(*arguments, ready=b"Listening started"):
        await application.broker.startup()
        yield burst
        await application.broker.shutdown()


PEERS = {"dramatiq": dramatiq, "taskiq": taskiq}
MODULES = {"dramatiq": ("dramatiq", "redis"), "taskiq": ("taskiq", "taskiq_redis")}
