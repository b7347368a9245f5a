"""The audit log as auditors read it."""

import pytest

from forge_api.web.pages import cursor_after
from forge_sdk.errors import PlatformError


@pytest.fixture
async def events(client, create_run):
    first = await client.create_run(create_run())
    second = await client.create_run(create_run(retry=True))
    await client.cancel_run(second.id)
    return first, second


async def test_events_are_listed_newest_first_in_pages(client, events):
    page = await client.audit(limit=2)
    assert [record.action for record in page.items] == ["run.cancel_requested", "run.created"]
    rest = await client.audit(limit=10, cursor=page.next_cursor)
    assert [record.action for record in rest.items] == ["run.created", "repository.registered"]
    assert rest.next_cursor is None
    assert page.items[-1].previous_hash == rest.items[0].hash


async def test_they_are_found_by_actor_action_and_subject(client, events):
    first, second = events
    assert len((await client.audit(actor="alice")).items) == 4
    assert (await client.audit(actor="mallory")).items == ()
    assert {record.subject for record in (await client.audit(action="run.created")).items} == {
        f"run/{first.id}",
        f"run/{second.id}",
    }
    assert [record.action for record in (await client.audit(subject=f"run/{second.id}")).items] == [
        "run.cancel_requested",
        "run.created",
    ]


async def test_they_are_found_by_time(http, bearer, client, events):
    middle = (await client.audit()).items[1].occurred_at.isoformat()
    async with http.get("/v1/audit", params={"since": middle}, headers=bearer()) as answer:
        assert len((await answer.json())["items"]) == 2
    async with http.get("/v1/audit", params={"until": middle}, headers=bearer()) as answer:
        assert len((await answer.json())["items"]) == 2
    async with http.get("/v1/audit", params={"since": "yesterday"}, headers=bearer()) as answer:
        assert answer.status == 422


@pytest.mark.parametrize("text", ["alice", "-1", str(2**63), "9" * 300, "1\0"])
async def test_a_foreign_cursor_is_refused(client, text):
    for cursor in ("!!", cursor_after(text)):
        with pytest.raises(PlatformError, match="is not a cursor of this list"):
            await client.audit(cursor=cursor)


@pytest.mark.parametrize(
    ("path", "position"),
    [("/v1/repositories", "a\0"), ("/v1/holds", 2**31), ("/v1/releases/acme/shop/api", 2**31), ("/v1/runs", 5)],
)
async def test_a_cursor_that_no_list_gave_is_a_validation_error(http, bearer, project, path, position):
    async with http.get(path, params={"cursor": cursor_after(position)}, headers=bearer()) as answer:
        assert answer.status == 422
