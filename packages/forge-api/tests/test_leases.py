"""One job at a time writes the referrers of an image."""

import asyncio
from uuid import uuid4

import pytest

from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.api import LeaseRequest

IMAGE = "acme/shop/api/wheel:sha-0123456789abcdef0123456789abcdef01234567"


def request(job, seconds=60, *, subject=IMAGE, token=1):
    return LeaseRequest(subject=subject, job_id=job, token=token, seconds=seconds)


async def test_one_of_many_jobs_gets_it_and_the_next_when_it_is_given_back(client):
    jobs = [uuid4() for _ in range(5)]
    held = await asyncio.gather(*(client.lease(request(job)) for job in jobs))
    assert sum(held) == 1
    holder = jobs[held.index(True)]
    others = [job for job in jobs if job != holder]
    assert await client.lease(request(holder))
    assert not await client.lease(request(others[0]))
    assert not await client.lease(request(holder, 0))
    assert await client.lease(request(others[0]))


async def test_a_job_gives_back_only_its_own(client):
    holder, other = uuid4(), uuid4()
    await client.lease(request(holder))
    await client.lease(request(other, 0))
    assert not await client.lease(request(other))


async def test_images_are_leased_one_by_one(client):
    assert await client.lease(request(uuid4()))
    assert await client.lease(request(uuid4(), subject="acme/shop/api:other"))


async def test_a_lease_that_has_run_out_is_free(client, database):
    await client.lease(request(uuid4()))
    async with database.transaction() as connection:
        await connection.execute("update leases set expires_at = now() - interval '1 second'")
    assert await client.lease(request(uuid4()))


async def test_an_orphan_gets_none(client):
    job = uuid4()
    await client.lease(request(job, 0, token=2))
    with pytest.raises(PlatformError) as refused:
        await client.lease(request(job, token=1))
    assert refused.value.code is ErrorCode.STALE_TOKEN
