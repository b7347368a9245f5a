"""Pointers move to descendants only, unless somebody means to go back or sideways."""

import asyncio
import itertools
import secrets
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forge_api.database import holds, releases
from forge_api.database.releases import NewRelease
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.identifiers import uuid7
from forge_sdk.models.discovery import MatchedTrigger
from forge_sdk.models.payloads import ReleaseJobOutput
from forge_sdk.models.statuses import ReleaseStatus

OLD, NEW, SIDE = "1" * 40, "2" * 40, "3" * 40
LABEL = "deployment dev/api"


@pytest.fixture
def graph(platform, make_document, make_project):
    """NEW and SIDE descend from OLD, and every run releases api."""
    platform.worker.document = make_document(make_project("api", artifacts=("wheel",)))
    platform.worker.parents = {OLD: (), NEW: (OLD,), SIDE: (OLD,)}


async def standing_holds(platform):
    return await platform.database.read(lambda connection: holds.page(connection, None, offset=0, limit=10))


async def test_an_older_run_that_finishes_late_does_not_go_backwards(platform, graph):
    platform.worker.hold = {"release api"}
    old = await platform.start(sha=OLD, branch="old")
    await platform.running("release api")
    platform.worker.held_commits = {OLD}
    await platform.run(sha=NEW)
    platform.worker.hold = set()
    [late] = (await platform.finished(old)).deployments
    assert (late.status, late.error.code) == ("refused", "deployment_refused")
    assert NEW in late.error.message
    assert OLD in late.error.message
    assert platform.worker.pointers[LABEL] == [NEW]


async def test_going_back_without_intent_is_refused(platform, graph):
    await platform.run(sha=OLD)
    await platform.run(sha=NEW)
    late = await platform.deployed((await platform.request("dev", OLD)).id)
    assert (late.status, platform.worker.pointers[LABEL]) == ("refused", [OLD, NEW])


async def test_a_run_whose_deployment_is_refused_succeeds(platform, graph):
    await platform.run(sha=NEW)
    run = await platform.run(sha=SIDE)
    assert (run.status, run.deployments[0].status) == ("success", "refused")
    assert platform.worker.pointers[LABEL] == [NEW]


async def test_the_first_deployment_descends_from_nothing(platform, graph):
    await platform.run(sha=SIDE)
    assert platform.worker.jobs[LABEL].payload["must_descend_from"] is None


async def test_a_rollback_goes_to_the_release_before_and_holds(platform, graph):
    await platform.run(sha=OLD)
    await platform.run(sha=NEW)
    back = await platform.deployed((await platform.request("dev", rollback=True)).id)
    assert (back.status, back.commit_sha, back.intent) == ("active", OLD, "rollback")
    [hold] = await standing_holds(platform)
    assert (hold.environment, hold.project, hold.set_by, hold.reason) == ("dev", "api", "bob", "rollback to release 1")


async def test_a_rollback_twice_goes_back_to_where_it_came_from(platform, graph):
    await platform.run(sha=OLD)
    await platform.run(sha=NEW)
    for _ in range(2):
        await platform.deployed((await platform.request("dev", rollback=True)).id)
    assert platform.worker.pointers[LABEL] == [OLD, NEW, OLD, NEW]


async def test_nothing_to_go_back_to_is_said(platform, graph):
    await platform.run(sha=OLD)
    with pytest.raises(PlatformError, match=r"no other release .* was active in dev before") as caught:
        await platform.request("dev", rollback=True)
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_a_hold_refuses_automatic_deployments_until_it_is_lifted(platform, graph):
    await platform.run(sha=NEW)
    await platform.deployed((await platform.request("dev", NEW)).id)
    side = await platform.run(sha=SIDE)
    await platform.deployed((await platform.request("dev", "2", allow_divergent=True)).id)
    platform.worker.parents["4" * 40] = (SIDE,)
    held = await platform.run(sha="4" * 40)
    assert (side.deployments[0].status, held.deployments) == ("refused", ())
    async with platform.database.transaction() as connection:
        await holds.lift(connection, "dev", "acme/shop", "api")
    platform.worker.parents["5" * 40] = ("4" * 40,)
    free = await platform.run(sha="5" * 40)
    assert free.deployments[0].status == "active"


async def test_a_person_may_deploy_while_a_hold_stands(platform, graph):
    await platform.run(sha=OLD)
    await platform.run(sha=NEW)
    await platform.deployed((await platform.request("dev", rollback=True)).id)
    again = await platform.deployed((await platform.request("dev", NEW)).id)
    assert (again.status, len(await standing_holds(platform))) == ("active", 1)


async def test_a_queued_automatic_deployment_is_refused_when_a_hold_came_before_it(platform, graph):
    await platform.run(sha=OLD)
    await platform.run(sha=NEW)
    platform.worker.hold = {LABEL}
    back = await platform.request("dev", rollback=True)
    await platform.fetch("delete from holds")
    platform.worker.parents["4" * 40] = (NEW,)
    run_id = await platform.start(sha="4" * 40)
    run = await platform.finished(run_id)
    assert run.deployments[0].status == "queued"
    await platform.fetch(
        "insert into holds (id, project_id, environment, reason, set_by) "
        "select gen_random_uuid(), id, 'dev', 'incident', 'eve' from projects"
    )
    platform.worker.hold = set()
    await platform.deployed(back.id)
    refused = await platform.deployed(run.deployments[0].id)
    assert (refused.status, "incident" in refused.error.message) == ("refused", True)


@dataclass(frozen=True)
class Request:
    """Somebody asks for the release of commit number `commit`."""

    commit: int
    intent: str | None


@st.composite
def histories(draw):
    """The parents of each commit, and requests in the order in which they arrive."""
    size = draw(st.integers(2, 8))
    parents = [
        draw(st.lists(st.integers(0, number - 1), max_size=2, unique=True)) if number else [] for number in range(size)
    ]
    intents = st.sampled_from([None, None, None, "rollback", "allow_divergent"])
    requests = draw(st.lists(st.builds(Request, st.integers(0, size - 1), intents), min_size=2, max_size=8))
    return parents, requests


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories(), st.integers(1, 4))
async def test_a_pointer_never_goes_backwards_without_intent(platform, history, at_once):
    parents, requests = history
    shas = [secrets.token_hex(20) for _ in parents]
    worker = platform.worker
    worker.pointers, worker.parents = (
        {},
        {shas[number]: tuple(shas[parent] for parent in found) for number, found in enumerate(parents)},
    )
    await release_all(platform, shas)
    made = []
    for start in range(0, len(requests), at_once):
        asked = requests[start : start + at_once]
        made += await asyncio.gather(*[ask(platform, shas, request) for request in asked])
    done = [await platform.deployed(deployment.id) for deployment in made]
    meant = {found.commit_sha for found in done if found.intent is not None}
    moves = worker.pointers.get("deployment staging/api", [])
    for before, after in itertools.pairwise(moves):
        assert worker.descends(after, before) or after in meant
    active = await platform.fetch(
        "select r.commit_sha from deployments d join releases r on r.id = d.release_id where d.status = 'active'"
    )
    assert [row["commit_sha"] for row in active] == moves[-1:]


async def ask(platform, shas, request):
    intent = {request.intent: True} if request.intent else {}
    return await platform.request("staging", shas[request.commit], **intent)


async def release_all(platform, shas):
    """A fresh project api whose releases are these commits."""
    await platform.fetch("delete from holds")
    await platform.fetch("delete from deployments")
    await platform.fetch("delete from releases")
    await platform.fetch("delete from projects")
    [row] = await platform.fetch(
        "insert into projects (id, repository_id, name, path, slug) select $1, id, 'api', '.', 'shop-api' from repositories "
        "returning id, repository_id",
        uuid7(),
    )
    run_id = await platform.create_run(sha=secrets.token_hex(20))
    async with platform.database.transaction() as connection:
        for sha in shas:
            image = ReleaseJobOutput(oci_uri=f"acme/shop/api:{sha}", oci_digest="sha256:" + "a" * 64)
            new = NewRelease(
                uuid7(), row["repository_id"], row["id"], sha, run_id, ReleaseStatus.COMPLETE, image, "alice", ()
            )
            await releases.record(connection, new)
            trigger = MatchedTrigger(trigger_type="branch_push", branch="main")
            await releases.add_trigger(connection, new.id, trigger, "alice")
