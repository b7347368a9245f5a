"""Shows the logs of a run while they are written."""

import asyncio
import sys
from collections.abc import Callable
from uuid import UUID

from forge_cli.log_places import LogPlace, Wanted, places
from forge_cli.watch import states
from forge_sdk.client import ApiClient
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.api import Run
from forge_sdk.models.statuses import ExecutionStatus

Write = Callable[[bytes], None]


async def follow_logs(client: ApiClient, run_id: UUID, wanted: Wanted) -> Run:
    """Print the wanted logs from their beginning until the run has ended; lines of several logs get their names."""
    followed: dict[UUID, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as tasks:
        run: Run | None = None
        async for run in states(client, run_id):
            found = list(places(run, wanted))
            for place in found:
                if place.status != ExecutionStatus.PENDING and place.id not in followed:
                    write = _write if len(found) == 1 else named(place)
                    followed[place.id] = tasks.create_task(_follow(client, place, write))
    if run is None:
        raise RuntimeError("a run has at least one state")
    return run


async def _follow(client: ApiClient, place: LogPlace, write: Write) -> None:
    try:
        async with client.step_log(place.id, follow=True) as content:
            async for chunk in content.iter_any():
                write(chunk)
    except PlatformError as error:
        if error.code is not ErrorCode.NOT_FOUND:
            raise
    write(b"")


def named(place: LogPlace, write: Write | None = None) -> Write:
    """Writes whole lines, each behind the log's name; an empty chunk ends the last one."""
    out, kept = write or _write, bytearray()
    prefix = f"{place.name} | ".encode()

    def add(chunk: bytes) -> None:
        kept.extend(chunk)
        *lines, rest = bytes(kept).split(b"\n")
        if not chunk and rest:
            lines, rest = [*lines, rest], b""
        kept[:] = rest
        out(b"".join(prefix + line + b"\n" for line in lines))

    return add


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
