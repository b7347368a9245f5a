"""Follows a run to its end."""

import asyncio
from collections.abc import Callable
from uuid import UUID

from forge_sdk.client import ApiClient
from forge_sdk.models.api import Run

POLL_S = 0.25


async def follow(client: ApiClient, run_id: UUID, show: Callable[[Run], None]) -> Run:
    """The finished run; `show` is given every state that was seen."""
    while True:
        run = await client.run(run_id)
        show(run)
        if run.status.finished:
            return run
        await asyncio.sleep(POLL_S)
