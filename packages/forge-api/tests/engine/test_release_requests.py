"""Manual releases, and releases that are gone on with."""

import pytest

from forge_api.database import attempts, runs
from forge_api.database.origin import Origin
from forge_api.database.rate_limits import Budget
from forge_api.engine.port import RunPlan
from forge_sdk.errors import ErrorCode
from forge_sdk.models.api import CreateRun

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def released(platform, make_document, make_project):
    """The project api with the artifacts wheel and docs is released by every run."""
    platform.worker.document = make_document(make_project("api", "check", artifacts=("docs", "wheel")))


@pytest.fixture
async def partial(platform, released, make_error):
    """Release 1 of api, whose wheel could not be published."""
    platform.worker.publishers["artifact api/wheel"] = make_error("the index is down", ErrorCode.PUBLISH_FAILED)
    run = await platform.run()
    platform.worker.publishers.clear()
    platform.worker.executed.clear()
    platform.worker.published.clear()
    return run.releases[0]


async def go_on(platform, run_id):
    async with platform.database.transaction() as connection:
        run, _ = await runs.retry(connection, run_id, Origin("carol"), failed=True)
    await platform.engine.submit(RunPlan(run.id))
    return await platform.finished(run.id)


async def test_a_manual_release_is_a_run_with_only_the_release_stage(platform, released):
    run = await platform.finished(await platform.request_release(branch="main", aliases=("launch",)))
    assert (run.status, run.phases) == ("success", ())
    [release] = run.releases
    assert {(alias.type, alias.alias) for alias in release.aliases} == {
        ("numeric", "1"),
        ("branch", "main-1"),
        ("custom", "launch"),
    }
    assert [(trigger.trigger_type, trigger.branch) for trigger in release.triggers] == [("manual", "main")]
    assert "ci check/api" not in platform.worker.executed


async def test_a_run_of_the_commit_is_another_one_than_its_manual_release(platform, released):
    manual = await platform.finished(await platform.request_release())
    run = await platform.run()
    assert (run.id != manual.id, [phase.name for phase in run.phases][:1]) == (True, ["check"])
    assert run.releases[0].id == manual.releases[0].id


async def test_asking_twice_for_a_release_that_is_being_made_is_one_run(platform, released):
    platform.worker.hold = {"artifact api/wheel"}
    first = await platform.request_release()
    await platform.running("artifact api/wheel")
    assert await platform.request_release() == first
    platform.worker.hold = set()
    await platform.finished(first)


async def test_a_project_that_the_commit_does_not_have_fails_with_those_that_it_has(platform, released):
    run = await platform.finished(await platform.request_release(project="web"))
    assert run.status == "failed"
    assert "project web does not exist at commit" in run.error.message
    assert "there are: api" in run.error.message


async def test_a_retry_makes_a_partial_release_complete(platform, partial):
    run = await platform.finished(await platform.request_release(retry=True))
    release = await platform.release("1")
    assert (run.status, release.id, release.status) == ("success", partial.id, "complete")
    assert (release.oci_digest, release.triggers) == (partial.oci_digest, partial.triggers)
    assert {artifact.primary_published_uri for artifact in release.artifacts} == {
        "https://index.test/docs",
        "https://index.test/wheel",
    }
    assert [row.state for row in release.publications] == ["published", "published"]


async def test_a_retry_calls_unfinished_publishers_only_and_packs_nothing(platform, partial):
    await platform.finished(await platform.request_release(retry=True))
    assert platform.worker.published == ["wheel to index"]
    assert platform.worker.executed == ["discovery", "artifact api/wheel"]
    assert platform.worker.jobs["artifact api/wheel"].payload["release_id"] == str(partial.id)


async def test_a_rebuild_publishes_everything_anew(platform, partial):
    await platform.finished(await platform.request_release(retry=True, rebuild=True))
    assert sorted(platform.worker.published) == ["docs to index", "wheel to index"]
    assert platform.worker.jobs["artifact api/docs"].payload["rebuild"] is True


async def test_a_retry_that_fails_again_leaves_the_release_partial(platform, partial, make_error):
    platform.worker.publishers["artifact api/wheel"] = make_error("still down", ErrorCode.PUBLISH_FAILED)
    run = await platform.finished(await platform.request_release(retry=True))
    assert (run.status, (await platform.release("1")).status) == ("success", "partial")
    assert "still down" in run.warnings[0]
    assert run.attempts[0].state == "recorded"


async def test_a_retry_whose_job_fails_leaves_release_and_attempt_recorded(platform, partial, make_error):
    platform.worker.fail["artifact api/wheel"] = make_error("no worker")
    run = await platform.finished(await platform.request_release(retry=True))
    assert (run.status, (await platform.release("1")).status) == ("failed", "partial")
    assert run.attempts[0].state == "recorded"
    platform.worker.fail.clear()
    await platform.finished(await platform.request_release(retry=True))
    assert (await platform.release("1")).status == "complete"


async def test_the_runs_of_a_retry_all_show_the_attempt(platform, partial):
    second = await platform.finished(await platform.request_release(retry=True))
    first = await platform.view((await platform.fetch("select id from pipeline_runs order by id"))[0]["id"])
    assert first.attempts[0].release_id == second.attempts[0].release_id == partial.id


async def test_the_completion_is_told_and_audited(platform, partial):
    await platform.finished(await platform.request_release(retry=True))
    [event] = await platform.fetch("select data from event_outbox where type = 'release.completed'")
    assert event["data"]["status"] == "complete"
    assert await platform.fetch("select from audit_events where action = 'release.completed'")


async def test_a_complete_release_is_deployed_where_a_partial_one_was_refused(
    platform, released, make_error, environments_file
):
    environments_file.write_text("environments: {strict: {promotion_policy: {auto_deploy: true}}}")
    platform.worker.publishers["artifact api/wheel"] = make_error("down", ErrorCode.PUBLISH_FAILED)
    run = await platform.run()
    assert run.deployments == ()
    platform.worker.publishers.clear()
    again = await platform.finished(await platform.request_release(retry=True))
    assert [(found.environment, found.status) for found in again.deployments] == [("strict", "active")]


async def test_a_failed_attempt_goes_on_with_what_it_has_made(platform, released, make_error):
    platform.worker.publishers["artifact api/wheel"] = make_error("down", ErrorCode.PUBLISH_FAILED)
    platform.worker.fail["release api"] = make_error("wheel.uri can't be resolved", ErrorCode.RENDERING_FAILED)
    failed = await platform.run()
    assert failed.releases == ()
    platform.worker.publishers.clear()
    platform.worker.fail.clear()
    platform.worker.executed.clear()
    again = await go_on(platform, failed.id)
    [release] = again.releases
    assert (release.id, release.status) == (failed.attempts[0].release_id, "complete")
    assert "artifact api/docs" not in platform.worker.executed
    assert [(trigger.trigger_type, trigger.branch) for trigger in release.triggers] == [("branch_push", "main")]


async def test_what_was_set_aside_is_made_anew(platform, released, make_error):
    platform.worker.fail["release api"] = make_error("no", ErrorCode.RENDERING_FAILED)
    failed = await platform.run()
    platform.worker.fail.clear()
    async with platform.database.transaction() as connection:
        [key] = await attempts.of_commit(connection, "acme/shop", "api", SHA[:7])
        await attempts.set_aside(connection, key)
    again = await go_on(platform, failed.id)
    assert again.releases[0].id != failed.attempts[0].release_id


async def test_a_manual_release_does_not_count_as_the_newest_attempt(platform, released):
    run = await platform.run()
    await platform.finished(await platform.request_release())
    async with platform.database.transaction() as connection:
        body = CreateRun(repository="acme/shop", commit_sha=SHA)
        found, created = await runs.get_or_create(connection, body, Origin("alice"), Budget("runs", 1000, "runs"))
    assert (found.id, created) == (run.id, False)
