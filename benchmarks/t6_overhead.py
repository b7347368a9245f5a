"""T6: what the pipeline adds: a run of 100 projects in 3 phases of steps that do nothing, on the embedded platform."""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg
from measure import Row, SkippedError, timed

from forge_servers import PostgresServer

PROJECTS, PHASES, SLOTS = 100, ("lint", "test", "check"), 8
REPETITIONS = 5
TARGET = 3.0
ROWS = PROJECTS * len(PHASES) * 4
"""Task and step, each running and ended."""
RESULTS = Path(__file__).resolve().parent / "results" / "latest.json"
REPOSITORY = 'package repo\n\nforgeVersion: "v0.1.0"\ntagging: strategy: "monorepo"\nphases: {\n%s}\n'
PROJECT = 'package project\n\nname: "p%d"\nci: phases: {\n%s}\n'
STEP = '\t%s: nothing: {action: "command", command: ["true"]}\n'


async def rows() -> list[Row]:
    discovery_ms, jobs_per_second = _figure("T2.2"), _figure("T1.2")
    with tempfile.TemporaryDirectory() as folder:
        statuses_ms = await _status_rows(Path(folder) / "postgres")
        async with _platform(Path(folder)) as forge:
            figures = [await _overhead_ms(forge, Path(folder) / f"repository{number}") for number in range(REPETITIONS)]
    jobs_ms = PROJECTS * len(PHASES) / jobs_per_second * 1000
    floor, measured = jobs_ms + discovery_ms + statuses_ms, sorted(figures)[len(figures) // 2]
    what = (
        f"overhead of a run of {PROJECTS} projects in {len(PHASES)} phases; floor: the jobs at T1's rate, discovery as in T2,"
        " status rows by bare asyncpg"
    )
    ratio = measured / floor
    return [Row("T6.1", what, "ms", floor, measured, ratio, f"<= {TARGET:g}", ratio <= TARGET)]


def _figure(name: str) -> float:
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"rows": []}
    found = [row["measured"] for row in results["rows"] if row["id"] == name]
    if not found:
        raise SkippedError(f"its floor needs {name}: run {name.partition('.')[0]} before")
    return float(found[0])


async def _status_rows(folder: Path) -> float:
    """Writing as many rows in batches as the run's statuses are."""
    async with PostgresServer(folder) as server:
        connection = await asyncpg.connect(server.dsn("postgres"))
        await connection.execute(
            "CREATE TABLE statuses (id uuid PRIMARY KEY, status text, at timestamptz DEFAULT now())"
        )
        values = [(uuid.uuid4(), "running") for _ in range(ROWS)]
        statement = "INSERT INTO statuses (id, status) SELECT * FROM unnest($1::uuid[], $2::text[])"

        async def write() -> None:
            for start in range(0, ROWS, 500):
                batch = values[start : start + 500]
                await connection.execute(statement, [row[0] for row in batch], [row[1] for row in batch])

        taken = await timed(write)
        await connection.close()
    return taken


@asynccontextmanager
async def _platform(folder: Path) -> AsyncIterator[dict[str, str]]:
    """Environment in which `forge` drives a platform of its own."""
    home = folder / "data"
    (home / "config").mkdir(parents=True, mode=0o700)
    (home / "config" / "worker.yaml").write_text(
        f"pools: {{discovery: 1, ci: {SLOTS}, artifact: 1, release: 1}}\nlog: {{level: warning}}\n"
    )
    environment = {**os.environ, "FORGE_HOME": str(home)}
    await _forge(environment, "up")
    try:
        yield environment
    finally:
        await _forge(environment, "down", "--purge")


async def _overhead_ms(environment: dict[str, str], folder: Path) -> float:
    """From the run's making to its end, without the time that its steps took on all slots together."""
    _write(folder)
    run: dict[str, Any] = json.loads(await _forge(environment, "run", str(folder), "--json"))
    steps = [step for phase in run["phases"] for task in phase["tasks"] for step in task["steps"]]
    own = sum(_ms(step["started_at"], step["completed_at"]) for step in steps) / SLOTS
    return _ms(run["created_at"], run["completed_at"]) - own


def _ms(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() * 1000


def _write(folder: Path) -> None:
    phases = "".join(f"\t{name}: group: {number}\n" for number, name in enumerate(PHASES, start=1))
    steps = "".join(STEP % name for name in PHASES)
    files = {".forge/repo.cue": REPOSITORY % phases}
    files |= {f"p{number}/.forge/project.cue": PROJECT % (number, steps) for number in range(PROJECTS)}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    author = ("-c", "user.name=Bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false")
    for command in (("init", "-q", "-b", "main"), ("add", "-A"), ("commit", "-q", "-m", "all")):
        subprocess.run(["git", "-C", str(folder), *author, *command], check=True, capture_output=True)


async def _forge(environment: dict[str, str], *arguments: str) -> bytes:
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "forge"),
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 300)
    if process.returncode != 0:
        raise SkippedError(f"forge {arguments[0]} ended with {process.returncode}: {err.decode()[-400:]}")
    return out
