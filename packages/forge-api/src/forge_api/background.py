"""What goes on beside the requests for as long as the process lives."""

import asyncio
from collections.abc import Coroutine, Iterable
from types import TracebackType
from typing import Any, Self

CANCEL_AGAIN_S = 5.0


class Background:
    """Tasks of the process; use it as an async context manager, which ends them."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await ended(self._tasks)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Carry out `work`, which goes on until it is cancelled."""
        self._tasks.add(asyncio.create_task(work))

    async def failed(self) -> None:
        """Raises the error of the first task that ends: without it the process would only seem to work."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        raise RuntimeError("a task of the process ended before the process")


async def ended(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks and wait for their ends; again after a while, should a cancellation have been lost
    (`forge_sdk.cancellation`).
    """
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=CANCEL_AGAIN_S)
