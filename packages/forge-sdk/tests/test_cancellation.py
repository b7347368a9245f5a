"""A cancellation that something swallows is seen all the same."""

import asyncio

from forge_sdk.cancellation import is_cancelled


async def swallowing() -> None:
    """What `asyncio.wait_for` of Python 3.11 does with a cancellation that meets its result."""
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        return


async def test_a_loop_ends_although_its_cancellation_was_swallowed():
    async def loop() -> str:
        while not is_cancelled():
            await swallowing()
        return "ended"

    task = asyncio.create_task(loop())
    await asyncio.sleep(0)
    assert not is_cancelled()
    task.cancel()
    async with asyncio.timeout(10):
        assert await task == "ended"


async def test_a_time_out_that_was_handled_is_no_cancellation():
    try:
        async with asyncio.timeout(0):
            await asyncio.sleep(60)
    except TimeoutError:
        assert not is_cancelled()
