"""Releases: numbers, names, partial ones, failures."""

import asyncio

import pytest

from forge_api.engine.port import RunPlan
from forge_sdk.errors import ErrorCode, chain

OTHER_SHA = "f" * 40


@pytest.fixture
def released(platform, make_document, make_project):
    """The project api with the artifact wheel is released by every run."""
    platform.worker.document = make_document(make_project("api", artifacts=("wheel",)))


async def test_a_release_has_number_names_triggers_and_artifacts(platform, released):
    [release] = (await platform.run()).releases
    assert (release.release_number, release.status, release.created_by) == (1, "complete", "alice")
    assert {(alias.type, alias.alias) for alias in release.aliases} == {("numeric", "1"), ("branch", "main-1")}
    assert [(trigger.trigger_type, trigger.branch) for trigger in release.triggers] == [("branch_push", "main")]
    [artifact] = release.artifacts
    assert (artifact.name, artifact.primary_published_uri) == ("wheel", "https://index.test/wheel")


async def test_the_attempt_shows_the_ledger_and_is_recorded(platform, released):
    run = await platform.run()
    [attempt] = run.attempts
    assert (attempt.release_id, attempt.state) == (run.releases[0].id, "recorded")
    [publication] = attempt.artifacts[0].publications
    assert (publication.publisher, publication.file, publication.state) == ("index", "a.whl", "published")


async def test_the_release_job_gets_the_artifacts(platform, released):
    run = await platform.run()
    payload = platform.worker.jobs["release api"].payload
    assert payload["release_id"] == str(run.releases[0].id)
    assert [found["name"] for found in payload["artifacts"]] == ["wheel"]


async def test_two_releases_at_once_are_numbered_without_gap(platform, released):
    platform.worker.hold = {"release api"}
    runs = [await platform.start(), await platform.start(sha=OTHER_SHA)]
    await platform.running("release api")
    platform.worker.hold = set()
    done = await asyncio.gather(*[platform.finished(run_id) for run_id in runs])
    assert sorted(run.releases[0].release_number for run in done) == [1, 2]


async def test_a_release_that_fails_takes_no_number(platform, released, make_error):
    platform.worker.fail["release api"] = make_error("attribute web.uri can't be resolved", ErrorCode.RENDERING_FAILED)
    run = await platform.run()
    assert run.releases == ()
    assert [found.code for found in chain(run.error)] == ["run_failed", "release_failed", "rendering_failed"]
    assert (run.attempts[0].state, run.attempts[0].error.code) == ("failed", "release_failed")
    platform.worker.fail.clear()
    again = await platform.run(sha=OTHER_SHA)
    assert again.releases[0].release_number == 1


async def test_a_producers_failure_makes_no_release(platform, released, make_error):
    platform.worker.fail["artifact api/wheel"] = make_error("the build failed")
    run = await platform.run()
    assert (run.status, run.releases) == ("failed", ())
    assert "artifact wheel could not be made" in run.error.message
    assert "release api" not in platform.worker.executed


async def test_a_publishers_failure_makes_a_partial_release(platform, released, make_error):
    platform.worker.publishers["artifact api/wheel"] = make_error("index refused the token", ErrorCode.PUBLISH_FAILED)
    run = await platform.run()
    assert (run.status, run.releases[0].status) == ("success", "partial")
    [warning] = run.warnings
    assert "publisher index of artifact wheel of api failed: index refused the token" in warning
    assert "forge release retry" in warning


async def test_another_projects_release_that_has_started_goes_on(platform, make_document, make_project, make_error):
    platform.worker.document = make_document(
        make_project("api", artifacts=("wheel",)), make_project("web", artifacts=("site",))
    )
    platform.worker.fail["artifact api/wheel"] = make_error("no")
    platform.worker.hold = {"artifact web/site"}
    run_id = await platform.start()
    await platform.running("artifact web/site")
    platform.worker.hold = set()
    run = await platform.finished(run_id)
    assert run.status == "failed"
    assert [release.project for release in run.releases] == ["web"]


async def test_a_tag_of_a_released_commit_adds_names_and_builds_nothing(platform, make_document, make_project):
    platform.worker.document = make_document(make_project("api", artifacts=("wheel",)))
    await platform.run()
    tag_trigger = ({"trigger_type": "tag", "tag": "api/v1.2.3"},)
    platform.worker.document = make_document(make_project("api", artifacts=("wheel",), triggers=tag_trigger))
    platform.worker.executed.clear()
    await platform.run(branch=None, tag="api/v1.2.3", trigger_type="tag")
    assert platform.worker.executed == ["discovery"]
    rows = await platform.fetch("select alias from release_aliases order by alias")
    assert [row["alias"] for row in rows] == ["1", "main-1", "v1.2.3"]
    rows = await platform.fetch("select trigger_type from release_triggers order by trigger_type")
    assert [row["trigger_type"] for row in rows] == ["branch_push", "tag"]


async def test_two_runs_of_one_commit_make_one_release(platform, released):
    platform.worker.hold = {"artifact api/wheel"}
    first = await platform.start()
    await platform.running("artifact api/wheel")
    second = await platform.start(branch="release/1.2")
    assert second != first

    async def waits():
        return (await platform.view(second)).waiting_for == first

    await platform.until(waits)
    platform.worker.hold = set()
    await platform.finished(first)
    run = await platform.finished(second)
    assert run.status == "success"
    assert platform.worker.executed.count("artifact api/wheel") == 1
    rows = await platform.fetch("select alias from release_aliases order by alias")
    assert [row["alias"] for row in rows] == ["1", "main-1", "release-1.2-1"]


async def test_a_retry_after_a_failure_makes_the_release(platform, released, make_error):
    platform.worker.fail["artifact api/wheel"] = make_error("no")
    failed = await platform.run()
    platform.worker.fail.clear()
    retried = await platform.run()
    assert retried.id != failed.id
    assert retried.releases[0].release_number == 1


async def test_an_attempt_whose_run_has_ended_is_taken_over(platform, released):
    run_id = await platform.create_run()
    await platform.engine.submit(RunPlan(run_id))
    run = await platform.finished(run_id)
    await platform.fetch("delete from release_triggers")
    await platform.fetch("delete from deployments")
    await platform.fetch("delete from releases")
    await platform.fetch("update release_attempts set state = 'building'")
    again = await platform.run(branch="other")
    assert again.releases[0].id == run.releases[0].id


async def test_the_release_is_told_and_audited(platform, released):
    run = await platform.run()
    [event] = await platform.fetch("select data from event_outbox where type = 'release.created'")
    assert event["data"]["canonical_id"] == run.releases[0].canonical_id
    assert await platform.fetch("select from audit_events where action = 'release.created'")
