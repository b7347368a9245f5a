"""T7: the API reads one run by its id, one process; beside bare aiohttp, asyncpg and orjson that read its row."""

import asyncio
import json
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import ClientSession
from api_server import Api, api
from http_load import Load, load, message
from measure import Row, alternating
from round_trip.processes import running

CONNECTIONS, REQUESTS = 64, 1000
RATE, SLOWEST = 0.7, 1.5
END_S = 60


async def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        async with api(Path(folder), free_port()) as started:
            run_id = await finished_run(started)
            floor_port = free_port()
            async with running("api_floor.py", str(floor_port), started.dsn):
                request = message("GET", f"/v1/runs/{run_id}", started.token)
                rate = await _compared(floor_port, started.port, request, lambda found: found.per_second)
                slowest = await _compared(floor_port, started.port, request, lambda found: found.p99)
    (bare, measured), (bare_p99, p99) = rate, slowest
    what = f"read one run by id, {CONNECTIONS} connections; floor: bare aiohttp, asyncpg and orjson read its row"
    return [
        Row("T7.1", what, "requests/s", bare, measured, measured / bare, f">= {RATE:g}", measured / bare >= RATE),
        Row("T7.2", f"{what}, p99", "ms", bare_p99, p99, p99 / bare_p99, f"<= {SLOWEST:g}", p99 / bare_p99 <= SLOWEST),
    ]


async def _compared(floor_port: int, port: int, request: bytes, figure: Callable[[Load], float]) -> tuple[float, float]:
    async def measured(at: int) -> float:
        return figure(await load(at, request, connections=CONNECTIONS, requests=REQUESTS))

    bare, ours = await alternating(lambda: measured(floor_port), lambda: measured(port), repetitions=5)
    return bare, ours


async def finished_run(started: Api) -> str:
    """A run that has ended, so that nothing of it changes."""
    await register(started)
    async with asyncio.timeout(END_S), _session(started) as http:
        body = {"repository": "acme/shop", "commit_sha": "a" * 40, "branch": "main"}
        async with http.post("/v1/runs", json=body) as answer:
            run: dict[str, Any] = json.loads(await answer.read())
        async with http.delete(f"/v1/runs/{run['id']}") as answer:
            answer.raise_for_status()
        while run["status"] not in {"cancelled", "failed"}:
            async with http.get(f"/v1/runs/{run['id']}") as answer:
                answer.raise_for_status()
                run = json.loads(await answer.read())
    return str(run["id"])


async def register(started: Api) -> None:
    """Register the repository whose runs are measured."""
    repository = {"repository": "acme/shop", "clone_url": "https://example.com/acme/shop.git"}
    async with _session(started) as http, http.post("/v1/repositories", json=repository) as answer:
        answer.raise_for_status()


def _session(started: Api) -> ClientSession:
    return ClientSession(f"http://127.0.0.1:{started.port}", headers={"Authorization": f"Bearer {started.token}"})


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
