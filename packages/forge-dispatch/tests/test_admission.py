"""The share of a repository: what is above it is held back."""

import asyncio

import pytest

from forge_dispatch import Share


async def settled():
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_first_come_first_and_the_rest_wait():
    share, through = Share(lambda: 2), []

    async def job(name):
        await share.acquire()
        through.append(name)

    tasks = [asyncio.create_task(job(name)) for name in "abcd"]
    await settled()
    assert (through, share.taken) == (["a", "b"], 2)
    share.release()
    await settled()
    assert through == ["a", "b", "c"]
    share.release()
    share.release()
    await asyncio.gather(*tasks)
    assert through == ["a", "b", "c", "d"]


async def test_without_a_limit_nobody_waits():
    share = Share(lambda: None)
    async with asyncio.timeout(5):
        await asyncio.gather(*(share.acquire() for _ in range(100)))
    assert share.taken == 100


async def test_a_limit_that_grows_lets_more_through():
    limits = [1]
    share = Share(lambda: limits[0])
    await share.acquire()
    waiting = [asyncio.create_task(share.acquire()) for _ in range(2)]
    await settled()
    assert not any(task.done() for task in waiting)
    limits[0] = 3
    share.refresh()
    await asyncio.gather(*waiting)
    assert share.taken == 3


async def test_who_stops_waiting_takes_nothing():
    share = Share(lambda: 1)
    await share.acquire()
    waiting, next_one = asyncio.create_task(share.acquire()), asyncio.create_task(share.acquire())
    await settled()
    waiting.cancel()
    share.release()
    async with asyncio.timeout(5):
        await next_one
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert share.taken == 1
    share.release()
    assert not share.in_use
