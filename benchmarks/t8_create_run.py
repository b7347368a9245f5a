"""T8: the API creates a run, with outbox, audit and notification; beside one `INSERT ... ON CONFLICT` statement."""

import json
import secrets
import statistics
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import asyncpg
from api_server import Api, api
from http_load import load_each, message
from measure import Row, alternating
from t7_api_read import free_port, register

ALONE = 150
TARGET = 4.0
INSERT = """
insert into bench_runs (id, repository_id, commit_sha, attempt, trigger_type, triggered_by)
values ($1, $2, $3, 1, 'push', 'bench') on conflict (repository_id, commit_sha, attempt) do nothing returning id
"""
TABLE = """
create table bench_runs (id uuid primary key, repository_id uuid not null, commit_sha text not null,
    attempt integer not null, trigger_type text not null, triggered_by text not null, created_at timestamptz default now(),
    unique (repository_id, commit_sha, attempt))
"""


async def rows() -> list[Row]:
    bare, created, found = await _measured(leads=False)
    floor = "floor: one INSERT ... ON CONFLICT"
    made, again = created / bare, found / bare
    target = f"<= {TARGET:g}"
    alone_bare, alone, _ = await _measured(leads=True)
    return [
        Row("T8.1", f"create a run, one at a time, p50; {floor}", "ms", bare, created, made, target, made <= TARGET),
        Row("T8.2", f"create a run that is there already; {floor}", "ms", bare, found, again, target, again <= TARGET),
        Row(
            "T8.3",
            f"create a run while the same process carries out all that were created before; {floor}",
            "ms",
            alone_bare,
            alone,
            alone / alone_bare,
            "-",
            None,
        ),
    ]


async def _measured(*, leads: bool) -> tuple[float, float, float]:
    """Medians in milliseconds of the floor, of a run that is created, and of one that is there already."""
    with tempfile.TemporaryDirectory() as folder:
        async with api(Path(folder), free_port(), leads=leads) as started:
            await register(started)
            await _created(started)
            connection = await asyncpg.connect(started.dsn)
            await connection.execute(TABLE)
            bare, created, found = await alternating(
                lambda: _floor(connection), lambda: _created(started), lambda: _found(started), repetitions=5
            )
            await connection.close()
    return bare, created, found


async def _floor(connection: Any) -> float:
    repository = uuid.uuid4()
    figures = []
    for _ in range(ALONE):
        sha = secrets.token_hex(20)
        started = time.perf_counter()
        await connection.fetchval(INSERT, uuid.uuid4(), repository, sha)
        figures.append((time.perf_counter() - started) * 1000)
    return statistics.median(figures)


async def _created(started: Api) -> float:
    return (await load_each(started.port, [_request(started, secrets.token_hex(20)) for _ in range(ALONE)])).p50


async def _found(started: Api) -> float:
    requests = [_request(started, secrets.token_hex(20))] * ALONE
    await load_each(started.port, requests[:2])
    return (await load_each(started.port, requests)).p50


def _request(started: Api, sha: str) -> bytes:
    # Each is a run of a branch of its own, so that none waits for another.
    body = {"repository": "acme/shop", "commit_sha": sha, "branch": sha, "trigger_type": "pull_request"}
    return message("POST", "/v1/runs", started.token, json.dumps(body).encode())
