"""Doing one thing to many, a bounded number at a time."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import TypeVar

from forge_sdk.errors import single

Item = TypeVar("Item")


async def for_each(items: Collection[Item], operation: Callable[[Item], Awaitable[None]], concurrency: int) -> None:
    """Awaits `operation(item)` for all items, started in their order; the first error ends the rest and is raised."""
    waiting = iter(items)
    if len(items) == 1:
        await _drain(waiting, operation)
        return
    failure: BaseException | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(concurrency, len(items))):
                tasks.create_task(_drain(waiting, operation))
    except BaseExceptionGroup as group:
        failure = single(group)
    # Outside the handler, so that the error's own chain of causes is left as it is.
    if failure is not None:
        raise failure


async def _drain(waiting: Iterator[Item], operation: Callable[[Item], Awaitable[None]]) -> None:
    for item in waiting:
        await operation(item)
