"""Shows the logs of a run while they are written."""

import asyncio
import sys
import time
from collections.abc import Callable
from uuid import UUID

import click

from forge_cli.log_places import LogPlace, Wanted, places
from forge_cli.watch import PATIENCE_S, states
from forge_sdk.client import ApiClient
from forge_sdk.errors import PlatformError, TransientError, single
from forge_sdk.models.api import Run
from forge_sdk.models.statuses import ExecutionStatus

Write = Callable[[bytes], None]
AT_ONCE = 64
"""Logs that are read at the same time; more wait for their turn, and are printed from their beginning then."""
TRY_AGAIN_S = 0.5
AGAIN = b"\n[forge] the platform was away, the log is shown again from its beginning\n"
_WITHOUT_LOG = {ExecutionStatus.PENDING, ExecutionStatus.SKIPPED}


async def follow_logs(client: ApiClient, run_id: UUID, wanted: Wanted) -> Run:
    """Print the wanted logs from their beginning until the run has ended; lines of several logs get their names.

    Raises `PlatformError` as `forge_cli.watch.states` does, `BrokenPipeError` where nobody reads any more.
    """
    try:
        return await _follow_run(client, run_id, wanted)
    except BaseExceptionGroup as group:
        raise single(group) from None


async def _follow_run(client: ApiClient, run_id: UUID, wanted: Wanted) -> Run:
    followed: set[UUID] = set()
    turn = asyncio.Semaphore(AT_ONCE)
    async with asyncio.TaskGroup() as tasks:
        run: Run | None = None
        async for run in states(client, run_id):
            found = list(places(run, wanted))
            for place in found:
                if place.status not in _WITHOUT_LOG and place.id not in followed:
                    followed.add(place.id)
                    write = _write if len(found) == 1 else named(place)
                    tasks.create_task(_follow(client, place, write, turn))
    if run is None:
        raise RuntimeError("a run has at least one state")
    return run


async def _follow(client: ApiClient, place: LogPlace, write: Write, turn: asyncio.Semaphore) -> None:
    async with turn:
        reached_at, shown = time.monotonic(), False
        while True:
            try:
                async with client.step_log(place.id, follow=True) as content:
                    reached_at = time.monotonic()
                    if shown:
                        write(AGAIN)
                    async for chunk in content.iter_any():
                        shown = True
                        write(chunk)
                        reached_at = time.monotonic()
            except TransientError as error:
                if time.monotonic() - reached_at > PATIENCE_S:
                    click.echo(f"the log of {place.name} could not be followed: {error.message}", err=True)
                    break
            except PlatformError as error:
                click.echo(f"no log of {place.name}: {error.message}", err=True)
                break
            else:
                break
            await asyncio.sleep(TRY_AGAIN_S)
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
