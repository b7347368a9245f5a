"""Load over HTTP/1.1 from one process, with as little work for each request as Python allows."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What a server did: requests a second, and the times of single requests in milliseconds."""

    per_second: float
    p50: float
    p99: float


async def load(port: int, request: bytes, *, connections: int, requests: int) -> Load:
    """Send `request` that many times over kept connections; an answer that is no success is an error."""
    times: list[float] = []
    left = iter(range(requests))

    async def work() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in left:
            started = time.perf_counter()
            writer.write(request)
            await _answer(reader)
            times.append((time.perf_counter() - started) * 1000)
        writer.close()

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(work())
    seconds = time.perf_counter() - started
    cuts = statistics.quantiles(times, n=100)
    return Load(requests / seconds, cuts[49], cuts[98])


async def load_each(port: int, requests: Sequence[bytes]) -> Load:
    """Send these requests one after the other over one connection."""
    times: list[float] = []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in requests:
        started = time.perf_counter()
        writer.write(request)
        await _answer(reader)
        times.append((time.perf_counter() - started) * 1000)
    writer.close()
    cuts = statistics.quantiles(times, n=100)
    return Load(len(times) / (sum(times) / 1000), cuts[49], cuts[98])


def message(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    """A request as bytes."""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 2"):
        raise RuntimeError(f"the server answered {head[:200].decode(errors='replace')}")
    start = head.lower().index(b"content-length:") + len(b"content-length:")
    return await reader.readexactly(int(head[start : head.index(b"\r\n", start)]))
