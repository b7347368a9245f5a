"""Work that goes on beside a block."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator["asyncio.Task[None]"]:
    """Do `work` while the block runs, and to its end also where the block fails; a cancelled block cancels it.

    An error of the block is raised, else one of the work.
    """
    task = asyncio.create_task(work)
    try:
        yield task
    except asyncio.CancelledError:
        task.cancel()
        raise
    finally:
        await asyncio.wait({task})
        failure = task.exception() if not task.cancelled() else None
    if failure is not None:
        raise failure
