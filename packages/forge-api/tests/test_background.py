"""Tasks of the process: one that fails is noticed, all end."""

import asyncio
from contextlib import suppress

import pytest

from forge_api import background
from forge_api.background import Background, ended


async def test_the_error_of_a_task_is_raised_where_the_process_waits():
    async def fails():
        raise RuntimeError("the first to end")

    async with Background() as tasks:
        tasks.start(asyncio.Event().wait())
        tasks.start(fails())
        with pytest.raises(RuntimeError, match="the first to end"):
            await tasks.failed()


async def test_a_task_that_just_ends_is_a_failure_too():
    async with Background() as tasks:
        tasks.start(asyncio.sleep(0))
        with pytest.raises(RuntimeError, match="ended before the process"):
            await tasks.failed()


async def test_a_cancellation_that_gets_lost_is_repeated(monkeypatch):
    monkeypatch.setattr(background, "CANCEL_AGAIN_S", 0.01)
    started = asyncio.Event()

    async def loses_the_first():
        with suppress(asyncio.CancelledError):
            started.set()
            await asyncio.Event().wait()
        await asyncio.Event().wait()

    task = asyncio.create_task(loses_the_first())
    await started.wait()
    async with asyncio.timeout(10):
        await ended({task})
    assert task.cancelled()
