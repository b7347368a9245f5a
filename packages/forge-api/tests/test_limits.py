"""Rate limits that all replicas share."""

import asyncio

import pytest

from forge_api.database import idempotency, rate_limits
from forge_api.database.idempotency import IdempotentRequest
from forge_api.database.rate_limits import Budget
from forge_api.janitor import Janitor
from forge_api.web.limits import RateLimits
from forge_sdk.configuration import Limits
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.api import CreateRelease, RegisterRepository


async def take(database, budget, takes=1):
    async with database.transaction() as connection:
        return await rate_limits.take(connection, budget, takes)


async def test_a_budget_is_used_up_and_comes_back(database):
    budget = Budget("runs:acme/shop", 3, "runs")
    assert [await take(database, budget) for _ in range(3)] == [None] * 3
    wait = await take(database, budget)
    assert 0 < wait <= 20
    async with database.connection() as connection:
        await connection.execute("update rate_limits set full_at = full_at - interval '20 seconds'")
    assert await take(database, budget) is None
    assert await take(database, budget) is not None


async def test_replicas_share_a_budget(database):
    budget = Budget("runs:acme/shop", 10, "runs")
    found = await asyncio.gather(*(take(database, budget) for _ in range(25)))
    assert found.count(None) == 10


async def test_what_is_rolled_back_is_not_taken(database):
    budget = Budget("runs:acme/shop", 1, "runs")
    with pytest.raises(RuntimeError):
        async with database.transaction() as connection:
            assert await rate_limits.take(connection, budget) is None
            raise RuntimeError
    assert await take(database, budget) is None


@pytest.fixture
def limited(services, monkeypatch):
    """A process with small limits."""

    def limited(**values):
        object.__setattr__(services, "limits", RateLimits(Limits(**values)))

    return limited


async def test_too_many_runs_of_a_repository_are_refused_with_the_time_to_wait(
    http, bearer, client, create_run, repository, limited
):
    limited(runs_per_minute=2)
    other = await client.register_repository(
        RegisterRepository(repository="acme/other", clone_url="https://github.com/acme/other.git")
    )
    for _ in range(2):
        await client.create_run(create_run(retry=True))
    body = create_run(retry=True).model_dump(mode="json", exclude_none=True)
    async with http.post("/v1/runs", json=body, headers=bearer()) as answer:
        assert answer.status == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 31
        assert (await answer.json())["error"]["code"] == "rate_limited"
    await client.create_run(create_run(repository=other.repository))


async def test_getting_the_run_that_is_there_costs_nothing(client, create_run, limited):
    limited(runs_per_minute=1)
    first = await client.create_run(create_run())
    assert [(await client.create_run(create_run())).id for _ in range(3)] == [first.id] * 3


async def test_release_lookups_are_limited_for_each_caller(database):
    limits = RateLimits(Limits(release_reads_per_minute=30))
    for _ in range(30):
        await limits.release_read(database, "alice")
    with pytest.raises(PlatformError) as caught:
        await limits.release_read(database, "alice")
    assert caught.value.code is ErrorCode.RATE_LIMITED
    await limits.release_read(database, "bob")


async def test_deployments_are_limited_for_each_environment(database):
    limits = RateLimits(Limits(deployments_per_minute=1))
    await limits.deployment_created(database, "dev")
    with pytest.raises(PlatformError, match="deployments to dev"):
        await limits.deployment_created(database, "dev")
    await limits.deployment_created(database, "staging")


async def test_releases_on_request_are_runs_of_their_repository(client, project, limited):
    limited(runs_per_minute=1)
    await client.create_release(CreateRelease(repository="acme/shop", project="api", commit_sha="a" * 40))
    again = CreateRelease(repository="acme/shop", project="api", commit_sha="b" * 40)
    with pytest.raises(PlatformError, match="runs of acme/shop"):
        await client.create_release(again)
    assert [run.commit_sha for run in (await client.runs()).items] == ["a" * 40]


async def test_the_janitor_forgets_full_budgets_and_old_answers(database):
    await take(database, Budget("runs:acme/shop", 1, "runs"))
    await take(database, Budget("runs:acme/other", 1, "runs"))
    async with database.transaction() as connection:
        await connection.execute("update rate_limits set full_at = now() - interval '2 hours' where key like '%shop'")
        await idempotency.claim(connection, IdempotentRequest("alice", "old", "digest"))
        await idempotency.claim(connection, IdempotentRequest("alice", "new", "digest"))
        await connection.execute(
            "update idempotency_keys set created_at = now() - interval '25 hours' where key = 'old'"
        )
    await Janitor(database).once()
    async with database.connection() as connection:
        assert await connection.fetchval("select array_agg(key) from rate_limits") == ["runs:acme/other"]
        assert await connection.fetchval("select array_agg(key) from idempotency_keys") == ["new"]
