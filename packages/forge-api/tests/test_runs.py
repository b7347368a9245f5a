import asyncio
from uuid import uuid4

import pytest

from forge_api.engine.port import RunPlan
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.api import RunSummary
from forge_sdk.models.statuses import RunStatus

OTHER_SHA = "f" * 40


async def set_status(database, run, status):
    async with database.transaction() as connection:
        await connection.execute("update pipeline_runs set status = $2 where id = $1", run.id, status)


async def test_a_new_run_is_pending_and_goes_to_the_engine(client, create_run, services):
    run = await client.create_run(create_run(branch="main", trigger_type="push"))
    assert (run.status, run.attempt, run.triggered_by, run.branch) == (RunStatus.PENDING, 1, "alice", "main")
    assert services.engine.submitted == [RunPlan(run.id)]


async def test_what_is_told_of_a_new_run_is_the_run(client, create_run, database):
    first = await client.create_run(create_run(branch="main", trigger_type="push"))
    await set_status(database, first, "success")
    run = await client.create_run(create_run(tag="v1", trigger_type="tag"))
    assert (run.attempt, run.based_on) == (2, first.id)
    told = await database.fetch_value("select data from event_outbox order by sequence desc limit 1")
    assert told.keys() == run.model_dump(mode="json").keys()
    assert RunSummary.model_validate(told) == run
    audited = (await client.audit(subject=f"run/{run.id}")).items[0].after
    assert audited == {
        "repository": "acme/shop",
        "commit_sha": run.commit_sha,
        "branch": None,
        "tag": "v1",
        "attempt": 2,
        "trigger_type": "tag",
        "based_on": str(first.id),
    }


async def test_the_same_commit_gives_the_same_run_and_submits_nothing_again(http, bearer, create_run, services):
    body = create_run(branch="main").model_dump(mode="json")
    first = await http.post("/v1/runs", json=body, headers=bearer())
    second = await http.post("/v1/runs", json=body, headers=bearer())
    assert (first.status, second.status) == (201, 200)
    assert (await first.json())["id"] == (await second.json())["id"]
    assert len(services.engine.submitted) == 1


@pytest.mark.parametrize("status", ["failed", "errored", "cancelled"])
async def test_a_run_that_did_not_succeed_is_followed_by_another_attempt(client, create_run, database, status):
    first = await client.create_run(create_run())
    await set_status(database, first, status)
    assert (await client.create_run(create_run())).attempt == 2


async def test_a_successful_run_is_returned_unless_a_retry_is_asked_for(client, create_run, database):
    first = await client.create_run(create_run())
    await set_status(database, first, "success")
    assert (await client.create_run(create_run())).id == first.id
    assert (await client.create_run(create_run(retry=True))).attempt == 2


async def test_a_run_that_is_being_cancelled_is_not_returned(client, create_run):
    first = await client.create_run(create_run())
    await client.cancel_run(first.id)
    assert (await client.create_run(create_run())).attempt == 2


async def test_a_tag_and_another_branch_are_attempts_of_their_own(client, create_run):
    main = await client.create_run(create_run(branch="main", trigger_type="push"))
    tag = await client.create_run(create_run(ref="refs/tags/v1.0.0", trigger_type="tag"))
    side = await client.create_run(create_run(branch="side", trigger_type="push"))
    assert [run.attempt for run in (main, tag, side)] == [1, 2, 3]
    assert tag.tag == "v1.0.0"
    assert (await client.create_run(create_run(branch="main", trigger_type="push"))).id == main.id
    assert (await client.create_run(create_run())).id == side.id


async def test_simultaneous_requests_create_one_run(client, create_run, services):
    runs = await asyncio.gather(*(client.create_run(create_run(branch="main")) for _ in range(12)))
    assert len({run.id for run in runs}) == 1
    assert len(services.engine.submitted) == 1


async def test_a_repository_that_is_not_registered_is_not_found(client, create_run):
    with pytest.raises(PlatformError, match="not registered") as failure:
        await client.create_run(create_run(repository="acme/other"))
    assert failure.value.code is ErrorCode.NOT_FOUND


async def test_pages_hold_every_run_once_newest_first(client, create_run):
    created = [await client.create_run(create_run(commit_sha=f"{number:040x}")) for number in range(7)]
    seen, cursor = [], None
    while True:
        page = await client.runs(repository="acme/shop", cursor=cursor, limit=3)
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert [run.id for run in seen] == [run.id for run in reversed(created)]


async def test_lists_are_filtered(http, bearer, client, create_run):
    wanted = await client.create_run(create_run(branch="main"))
    await client.create_run(create_run(branch="side", commit_sha=OTHER_SHA))
    for query in ({"branch": "main"}, {"commit_sha": wanted.commit_sha}, {"branch": "main", "status": "pending"}):
        answer = await http.get("/v1/runs", params=query, headers=bearer())
        assert [run["id"] for run in (await answer.json())["items"]] == [str(wanted.id)]
    assert not (await client.runs(repository="acme/none")).items


async def test_a_foreign_cursor_is_refused(client):
    with pytest.raises(PlatformError) as failure:
        await client.runs(cursor="bm8tY3Vyc29y")
    assert failure.value.code is ErrorCode.VALIDATION_ERROR


async def test_cancelling_reaches_the_engine_and_is_idempotent(client, create_run, services, database):
    run = await client.create_run(create_run())
    assert (await client.cancel_run(run.id)).id == run.id
    await client.cancel_run(run.id)
    assert set(services.engine.cancelled) == {run.id}
    async with database.connection() as connection:
        assert await connection.fetchval("select count(*) from audit_events where action = 'run.cancel_requested'") == 1


async def test_cancelling_a_finished_run_changes_nothing(client, create_run, services, database):
    run = await client.create_run(create_run())
    await set_status(database, run, "success")
    assert (await client.cancel_run(run.id)).status is RunStatus.SUCCESS
    assert services.engine.cancelled == []


async def test_an_unknown_run_is_not_found(client):
    with pytest.raises(PlatformError) as failure:
        await client.run(uuid4())
    assert failure.value.code is ErrorCode.NOT_FOUND


async def test_a_run_that_has_not_changed_is_not_sent_again(http, bearer, client, create_run, database):
    run = await client.create_run(create_run())
    first = await http.get(f"/v1/runs/{run.id}", headers=bearer())
    again = await http.get(f"/v1/runs/{run.id}", headers={**bearer(), "If-None-Match": first.headers["ETag"]})
    assert (again.status, await again.read()) == (304, b"")
    await set_status(database, run, "running")
    changed = await http.get(f"/v1/runs/{run.id}", headers={**bearer(), "If-None-Match": first.headers["ETag"]})
    assert changed.status == 200
    assert changed.headers["ETag"] != first.headers["ETag"]


async def test_an_unchanged_list_is_not_sent_again(client, create_run, http, bearer):
    await client.create_run(create_run())
    first = await http.get("/v1/runs", headers=bearer())
    known = {**bearer(), "If-None-Match": first.headers["ETag"]}
    assert (await http.get("/v1/runs", headers=known)).status == 304
    await client.create_run(create_run(retry=True))
    assert (await http.get("/v1/runs", headers=known)).status == 200
