"""T11: the log path: a program that prints 200 MB, masked with ten secrets, live, in segments, stored; beside a bare pipe."""

import asyncio
import os
import tempfile
import uuid
from pathlib import Path

from measure import Memory, Row, alternating

from forge_sdk.configuration import Storage
from forge_sdk.object_storage import S3ObjectStore
from forge_sdk.secrets import Masker, Secret
from forge_servers import S3Server
from forge_worker.execution.process import run_process
from forge_worker.log_store import LogStore
from forge_worker.logs import StepLog

BYTES = 200 * 2**20
SECRETS = 10
TARGET, FLAT_MB = 0.3, 64
COMMAND = ["sh", "-c", f"yes a line of a log that a program prints as quickly as it can | head -c {BYTES}"]
CHUNK = 64 * 1024


class _Live:
    """Core NATS, as far as it does not wait for anybody."""

    async def publish(
        self, subject: str, payload: bytes = b"", reply: str = "", headers: dict[str, str] | None = None
    ) -> None:
        """Nobody listens."""


async def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        async with S3Server(Path(folder) / "s3") as server:
            storage = S3ObjectStore(_settings(server, Path(folder)))
            await storage.ensure_bucket()
            await _log(storage, Path(folder), 2**20)
            memory = Memory()
            bare, measured = await alternating(_pipe, lambda: _rate(storage, Path(folder)), repetitions=5)
            growth = memory.growth
    ratio = measured / bare
    what = "a step that prints 200 MB, ten secrets masked, stored as it goes; floor: the bytes through a pipe"
    return [
        Row("T11.1", what, "MB/s", bare, measured, ratio, f">= {TARGET:g}", ratio >= TARGET),
        Row(
            "T11.2", "memory that the worker's process needs more at its peak", "MiB", None, growth, None,
            f"<= {FLAT_MB}", growth <= FLAT_MB,
        ),
    ]  # fmt: skip


async def _pipe() -> float:
    """Megabytes per second of the program's output, read and dropped."""
    started = asyncio.get_running_loop().time()
    process = await asyncio.create_subprocess_exec(*COMMAND, stdout=asyncio.subprocess.PIPE, limit=CHUNK)
    if process.stdout is None:
        raise RuntimeError("the output is a pipe")
    while await process.stdout.read(CHUNK):
        pass
    await process.wait()
    return BYTES / 1e6 / (asyncio.get_running_loop().time() - started)


async def _rate(storage: S3ObjectStore, folder: Path) -> float:
    started = asyncio.get_running_loop().time()
    await _log(storage, folder, BYTES + 2**20)
    return BYTES / 1e6 / (asyncio.get_running_loop().time() - started)


async def _log(storage: S3ObjectStore, folder: Path, limit: int) -> None:
    masker = Masker()
    for number in range(SECRETS):
        masker.register(Secret(f"s3cret-value-number-{number}-of-the-step"))
    log = StepLog(
        store=LogStore(storage, f"pipeline-logs/{uuid.uuid4()}/test/api/unit.log", 1, alone_until=0.0),
        run_id=uuid.uuid4(),
        step_id=uuid.uuid4(),
        live=_Live(),
        masker=masker,
        limit=limit,
    )
    async with log:
        await run_process(COMMAND, cwd=folder, environment={"PATH": os.environ["PATH"]}, sink=log.write)
    if not log.stored:
        raise RuntimeError("the log was not stored")


def _settings(server: S3Server, folder: Path) -> Storage:
    files = {}
    for name, value in (("access", server.access_key), ("secret", server.secret_key)):
        files[name] = folder / name
        files[name].touch(mode=0o600)
        files[name].write_text(value)
    return Storage(
        endpoint_url=server.endpoint_url,
        region=server.region,
        bucket="bench",
        access_key_file=files["access"],
        secret_key_file=files["secret"],
    )
