"""Follows a run to its end."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from uuid import UUID

from forge_cli.errors import UnreachableError
from forge_sdk.client import ApiClient
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.api import Run

POLL_S = 0.5
PATIENCE_S = 60.0
"""How long a platform that is being restarted is waited for."""


async def follow(client: ApiClient, run_id: UUID, show: Callable[[Run], None]) -> Run:
    """The finished run; `show` is given every state that was seen."""
    async with aclosing(states(client, run_id)) as seen:
        async for run in seen:
            show(run)
            if run.status.finished:
                return run
    raise RuntimeError("the states of a run end with its last one")


async def states(client: ApiClient, run_id: UUID) -> AsyncGenerator[Run, None]:
    """The states of a run as they come, the last one at its end.

    Changes are sent by the platform; where its stream ends or can't be had the run is asked for. Raises `PlatformError`
    where the run does not exist, or the platform stays away for a minute.
    """
    has_events, reached_at = True, time.monotonic()
    while True:
        wait_s = POLL_S
        try:
            if has_events:
                async for run in client.run_events(run_id):
                    reached_at = time.monotonic()
                    yield run
                    if run.status.finished:
                        return
        except PlatformError as error:
            # A platform of before has no events, one that many watch has none for more: asking for the run tells.
            has_events = error.code is not ErrorCode.NOT_FOUND
            if has_events and not error.transient:
                raise
            wait_s = error.retry_after or POLL_S
        if (asked := await _asked(client, run_id, reached_at)) is not None:
            reached_at = time.monotonic()
            yield asked
            if asked.status.finished:
                return
        await asyncio.sleep(wait_s)


async def _asked(client: ApiClient, run_id: UUID, reached_at: float) -> Run | None:
    """The run; nothing where the platform is away, but not for long yet."""
    try:
        return await client.run(run_id)
    except PlatformError as error:
        if not error.transient:
            raise
        if time.monotonic() - reached_at > PATIENCE_S:
            raise UnreachableError(
                f"the platform has been away for {PATIENCE_S:.0f} s, the run may go on: forge run --watch {run_id}"
            ) from error
        return None
