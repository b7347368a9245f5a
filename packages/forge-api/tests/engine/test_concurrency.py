"""Runs beside each other: newer ones of a branch, and the share of a repository."""

import asyncio

import pytest

from forge_api.database import plugins
from forge_api.engine.shares import Shares
from forge_sdk.errors import chain
from forge_sdk.models.api import RegisterPlugins

FIRST, SECOND = "1" * 40, "2" * 40


@pytest.fixture
def use(platform, make_document, make_project):
    """The worker finds one project with phase `check`, and this `concurrency`."""

    def use(concurrency, **values):
        found = make_document(make_project("api", "check", **values))
        repository = found.repository.model_copy(update={"concurrency": concurrency})
        platform.worker.document = found.model_copy(update={"repository": repository})
        platform.worker.hold = {"ci check/api"}

    return use


async def started(platform, sha, **values):
    run_id = await platform.start(sha=sha, **{"trigger_type": "push", **values})
    await platform.running("ci check/api")
    return run_id


async def test_a_newer_push_cancels_the_run_before(platform, use):
    use("cancel")
    first = await started(platform, FIRST)
    second = await platform.start(sha=SECOND, trigger_type="push")
    run = await platform.finished(first)
    assert (run.status, run.superseded_by) == ("cancelled", second)
    assert [found.code for found in chain(run.error)] == ["cancelled"]
    assert str(second) in run.error.message
    assert run.phases[0].tasks[0].status == "cancelled"
    platform.worker.hold.clear()
    assert (await platform.finished(second)).status == "success"


async def test_pull_requests_do_so_where_the_repository_does_not_say(platform, use):
    use(None)
    first = await started(platform, FIRST, trigger_type="pull_request")
    second = await platform.start(sha=SECOND, trigger_type="pull_request")
    assert (await platform.finished(first)).status == "cancelled"
    platform.worker.hold.clear()
    assert (await platform.finished(second)).status == "success"


async def test_a_run_that_releases_is_not_cancelled(platform, use):
    use("cancel", artifacts=("wheel",))
    first = await started(platform, FIRST)
    second = await platform.start(sha=SECOND, trigger_type="push")

    async def runs_too():
        return platform.worker.executed.count("ci check/api") == 2

    await platform.until(runs_too)
    platform.worker.hold.clear()
    assert [(await platform.finished(run)).status for run in (first, second)] == ["success", "success"]


async def test_another_branch_is_left_alone(platform, use):
    use("cancel")
    first = await started(platform, FIRST)
    other = await platform.start(sha=SECOND, branch="other", trigger_type="push")
    platform.worker.hold.clear()
    assert [(await platform.finished(run)).status for run in (first, other)] == ["success", "success"]


async def test_a_queued_run_waits_for_the_one_before_and_says_so(platform, use):
    use("queue")
    first = await started(platform, FIRST)
    second = await platform.start(sha=SECOND, trigger_type="push")

    async def waits():
        return (await platform.view(second)).waiting_for == first

    await platform.until(waits)
    assert platform.worker.executed.count("ci check/api") == 1
    platform.worker.hold.clear()
    assert (await platform.finished(first)).status == "success"
    assert (await platform.finished(second)).status == "success"


async def test_a_queued_run_can_be_cancelled(platform, use):
    use("queue")
    first = await started(platform, FIRST)
    second = await platform.start(sha=SECOND, trigger_type="push")
    await asyncio.sleep(0)
    await platform.engine.cancel(second)
    assert (await platform.finished(second)).status == "cancelled"
    platform.worker.hold.clear()
    assert (await platform.finished(first)).status == "success"


async def test_a_repository_gets_its_share_of_the_slots(platform, make_document, make_project):
    projects = [make_project(f"p{number}", "check") for number in range(6)]
    platform.worker.document = make_document(*projects)
    labels = {f"ci check/{project.name}" for project in projects}
    async with platform.database.transaction() as connection:
        await plugins.store(connection, "worker", RegisterPlugins(pools=("ci",), slots={"ci": 2}))
    async with platform.new_engine() as platform.engine:
        platform.worker.hold = set(labels)
        run_id = await platform.start()
        for held in (6, 4, 2):
            assert len(platform.worker.hold) == held
            # Both slots of the share are in use, and whatever else was published has reached a worker.
            await platform.until(lambda: len(platform.worker.running & platform.worker.hold) == 2)
            await platform.until(lambda: platform.nothing_waits("ci"))
            platform.worker.hold -= platform.worker.running
        assert (await platform.finished(run_id)).status == "success"
    assert platform.worker.most == 2


def test_a_share_is_a_fraction_and_at_least_one():
    shares = Shares(0.5)
    assert shares.limit("ci") is None
    shares.update({"ci": 7, "release": 1})
    assert (shares.limit("ci"), shares.limit("release"), shares.limit("artifact")) == (3, 1, None)
