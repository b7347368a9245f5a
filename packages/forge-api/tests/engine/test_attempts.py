"""Further attempts of a commit: retries, and events that reuse what another one's run has done."""

import pytest

from forge_api.database import runs
from forge_api.database.origin import Origin
from forge_api.engine.port import RunPlan
from forge_sdk.errors import ErrorCode, PlatformError

TRIGGERS = ({"branch": "main"}, {"tag": True})


@pytest.fixture
def retry(platform):
    async def retry(run_id, *, failed=False):
        async with platform.database.transaction() as connection:
            run, _ = await runs.retry(connection, run_id, Origin("bob"), failed=failed)
        await platform.engine.submit(RunPlan(run.id))
        platform.worker.executed.clear()
        return await platform.finished(run.id)

    return retry


@pytest.fixture
async def failed(platform, make_document, make_project, make_error):
    """A run whose task `test/api` failed, after `check` of both projects and `test/web` had succeeded."""
    platform.worker.document = make_document(make_project("api", "check", "test"), make_project("web", "check"))
    platform.worker.fail["ci test/api"] = make_error("no")
    run = await platform.run()
    assert run.status == "failed"
    platform.worker.fail.clear()
    return run


async def test_a_retry_of_what_failed_repeats_only_that(platform, failed, retry):
    again = await retry(failed.id, failed=True)
    assert platform.worker.executed == ["ci test/api"]
    assert (again.status, again.attempt, again.based_on, again.triggered_by) == ("success", 2, failed.id, "bob")
    assert {task.status for phase in again.phases for task in phase.tasks} == {"success"}


async def test_what_is_reused_shows_its_times_and_its_log(failed, retry):
    again = await retry(failed.id, failed=True)
    before, now = failed.phases[0].tasks[0].steps[0], again.phases[0].tasks[0].steps[0]
    assert (now.started_at, now.completed_at, now.logs_available) == (before.started_at, before.completed_at, True)
    assert now.id != before.id


async def test_a_retry_as_a_whole_repeats_everything(platform, failed, retry):
    again = await retry(failed.id)
    assert sorted(platform.worker.executed) == ["ci check/api", "ci check/web", "ci test/api", "discovery"]
    assert (again.status, again.based_on) == ("success", None)


async def test_a_retry_that_fails_again_can_be_retried(platform, failed, retry, make_error):
    platform.worker.fail["ci test/api"] = make_error("still no")
    second = await retry(failed.id, failed=True)
    assert (second.status, second.attempt) == ("failed", 2)
    platform.worker.fail.clear()
    third = await retry(second.id, failed=True)
    assert (third.status, third.attempt, platform.worker.executed) == ("success", 3, ["ci test/api"])


async def test_a_failed_discovery_is_repeated(platform, retry, make_error):
    platform.worker.fail["discovery"] = make_error("no", ErrorCode.CONFIGURATION_INVALID)
    run = await platform.run()
    platform.worker.fail.clear()
    assert (await retry(run.id, failed=True)).status == "success"
    assert platform.worker.executed == ["discovery"]


async def test_what_succeeded_has_nothing_that_failed(platform, retry):
    run = await platform.run()
    with pytest.raises(PlatformError, match="nothing of it failed"):
        await retry(run.id, failed=True)


async def test_a_run_that_goes_on_is_not_retried(platform, retry):
    platform.worker.hold = {"discovery"}
    run_id = await platform.start()
    with pytest.raises(PlatformError, match="wait for its end, or cancel it first") as caught:
        await retry(run_id)
    assert caught.value.code is ErrorCode.CONFLICT
    platform.worker.hold.clear()
    await platform.finished(run_id)


async def test_two_retries_at_once_are_one(platform, failed):
    async with platform.database.transaction() as connection:
        first, created = await runs.retry(connection, failed.id, Origin("bob"), failed=True)
        second, again = await runs.retry(connection, failed.id, Origin("carol"), failed=True)
    assert (created, again, first.id) == (True, False, second.id)


async def test_a_tag_on_a_commit_that_ran_reuses_it_and_releases(platform, make_document, make_project):
    project = make_project("api", "check", artifacts=("wheel",), release_on=TRIGGERS)
    platform.worker.document = make_document(project)
    branch = await platform.run(trigger_type="push")
    platform.worker.executed.clear()
    tag = await platform.run(branch=None, tag="api/v1.2.0", trigger_type="tag")
    assert platform.worker.executed == []
    assert (tag.status, tag.attempt, tag.based_on) == ("success", 2, branch.id)
    [release] = tag.releases
    assert release.id == branch.releases[0].id
    assert {alias.alias for alias in release.aliases} == {"1", "main-1", "v1.2.0"}
    assert {trigger.trigger_type.value for trigger in release.triggers} == {"branch_push", "tag"}


async def test_a_tag_releases_a_commit_whose_branch_did_not(platform, make_document, make_project):
    project = make_project("api", "check", artifacts=("wheel",), triggers=(), release_on=({"tag": True},))
    document = make_document(project)
    platform.worker.document = document.model_copy(update={"release_projects": ()})
    branch = await platform.run(trigger_type="push")
    assert branch.releases == ()
    platform.worker.executed.clear()
    tag = await platform.run(branch=None, tag="api/v1.2.0", trigger_type="tag")
    assert platform.worker.executed[:2] == ["artifact api/wheel", "release api"]
    assert [trigger.tag for trigger in tag.releases[0].triggers] == ["api/v1.2.0"]


async def test_another_event_waits_for_the_run_that_it_is_based_on(platform, make_document, make_project):
    platform.worker.document = make_document(make_project("api", "check", release_on=TRIGGERS))
    platform.worker.hold = {"ci check/api"}
    base = await platform.start(trigger_type="push")
    await platform.running("ci check/api")
    other = await platform.start(branch="release/1", trigger_type="push")

    async def waits():
        return (await platform.view(other)).waiting_for == base

    await platform.until(waits)
    platform.worker.hold.clear()
    await platform.finished(base)
    run = await platform.finished(other)
    assert (run.status, run.waiting_for, run.branch) == ("success", None, "release/1")
    assert platform.worker.executed.count("ci check/api") == 1


async def test_a_document_of_an_older_version_is_discovered_again(platform, make_document, make_project):
    platform.worker.document = make_document(make_project("api", "check", release_on=None))
    await platform.run(trigger_type="push")
    platform.worker.executed.clear()
    await platform.run(branch=None, tag="api/v1", trigger_type="tag")
    assert platform.worker.executed == ["discovery"]
