"""A cancellation that something swallows takes effect at the next pause."""

import asyncio

import pytest

from forge_sdk.cancellation import pause


async def swallowing() -> None:
    """What `asyncio.wait_for` of Python 3.11 does with a cancellation that meets its result."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return


async def test_a_loop_ends_although_its_cancellation_was_swallowed():
    async def loop() -> None:
        while True:
            await swallowing()
            await pause(60)

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    task.cancel()
    async with asyncio.timeout(10):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_time_out_that_was_handled_is_no_cancellation():
    try:
        async with asyncio.timeout(0):
            await asyncio.sleep(60)
    except TimeoutError:
        await pause(0)
