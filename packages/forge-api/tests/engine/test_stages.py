"""A run whose stages are carried out by dispatchers in processes of their own, while no engine leads."""

import pytest

from forge_sdk.errors import ErrorCode, PlatformError, chain
from forge_sdk.models.stages import Stage, StageQuery, StageResult, StageState


@pytest.fixture
async def stages(platform):
    async with platform.new_engine(leads=False) as engine:
        yield engine.stages


@pytest.fixture
def dispatch(platform, stages):
    """Carries out a stage as the command `forge-dispatch` does, and returns its end."""
    dispatcher = platform.engine._dispatcher._dispatcher

    async def dispatch(run_id, stage, **query):
        async def report(result):
            body = StageResult(stage=stage, result=result, **query)
            await stages.record(run_id, body)
            # A dispatcher that is started again reports what it finds.
            await stages.record(run_id, body)

        while True:
            plan = await stages.jobs(run_id, Stage(stage), StageQuery(**query))
            if plan.state is not StageState.OPEN:
                return plan
            if plan.withdraw:
                await dispatcher.withdraw(plan.jobs, on_result=report)
            else:
                await dispatcher.run(plan.jobs, fail_fast=plan.fail_fast, on_result=report)

    return dispatch


async def test_a_run_goes_through_all_its_stages(platform, dispatch, make_document, make_project):
    platform.worker.document = make_document(make_project("api", "check", "test", artifacts=("wheel",)))
    run_id = await platform.create_run()
    discovery = await dispatch(run_id, "discovery")
    assert discovery.outputs == {"groups": "[1,2]", "releases": '["api"]', "projects": "1"}
    for group in (1, 2):
        assert (await dispatch(run_id, "phase-group", group=group)).state is StageState.SUCCESS
    release = await dispatch(run_id, "release", project="api")
    assert release.state is StageState.SUCCESS
    run = await platform.view(run_id)
    assert release.outputs["release"] == str(run.releases[0].id)
    [deployment] = run.deployments
    end = await dispatch(run_id, "deployment", deployment=deployment.id)
    deployment = await platform.deployed(deployment.id)
    assert end.outputs == {"commit": deployment.gitops_commit_sha}
    assert {phase.status for phase in run.phases} == {"success"}
    assert platform.worker.executed.count("release api") == 1


async def test_a_failed_task_fails_the_run_with_its_chain_and_skips_what_is_later(
    platform, dispatch, make_document, make_project, make_error
):
    platform.worker.document = make_document(make_project("api", "check", "test"), make_project("web", "check"))
    platform.worker.fail["ci check/api"] = make_error("exit code 1")
    platform.worker.hold = {"ci check/web"}
    run_id = await platform.create_run()
    await dispatch(run_id, "discovery")
    end = await dispatch(run_id, "phase-group", group=1)
    assert end.state is StageState.FAILED
    assert [found.code for found in chain(end.error)] == ["run_failed", "task_failed", "step_failed", "build_failed"]
    assert (await dispatch(run_id, "phase-group", group=2)).state is StageState.SKIPPED
    run = await platform.view(run_id)
    assert (run.status, run.error) == ("failed", end.error)
    assert [task.status for task in run.phases[0].tasks] == ["failed", "cancelled"]


async def test_a_failure_that_the_worker_reported_first_gets_its_chain_from_the_result(
    platform, dispatch, stages, make_document, make_project, make_error
):
    platform.worker.document = make_document(make_project("api", "check"))
    platform.worker.fail["ci check/api"] = make_error("exit code 1")
    run_id = await platform.create_run()
    await dispatch(run_id, "discovery")
    plan = await stages.jobs(run_id, Stage.PHASE_GROUP, StageQuery(group=1))
    await platform.engine._dispatcher._dispatcher.run(plan.jobs)
    await platform.fetch(
        "update task_executions set status = 'failed', completed_at = now() where project_name = 'api'"
    )
    end = await dispatch(run_id, "phase-group", group=1)
    assert [found.code for found in chain(end.error)] == ["run_failed", "task_failed", "step_failed", "build_failed"]


async def test_a_reported_failure_stands_where_its_result_has_expired(platform, dispatch, make_document, make_project):
    platform.worker.document = make_document(make_project("api", "check"))
    run_id = await platform.create_run()
    await dispatch(run_id, "discovery")
    await platform.fetch(
        "update task_executions set status = 'failed', completed_at = now() where project_name = 'api'"
    )
    end = await dispatch(run_id, "phase-group", group=1)
    assert end.state is StageState.FAILED
    assert [task.status for task in (await platform.view(run_id)).phases[0].tasks] == ["failed"]


async def test_a_failed_discovery_is_the_end(platform, dispatch, make_error):
    platform.worker.fail["discovery"] = make_error("3 problems", ErrorCode.CONFIGURATION_INVALID)
    run_id = await platform.create_run()
    end = await dispatch(run_id, "discovery")
    assert (end.state, (await platform.view(run_id)).status) == (StageState.FAILED, "failed")


async def test_a_cancelled_run_has_nothing_to_do(platform, dispatch, stages):
    run_id = await platform.create_run()
    await platform.fetch("update pipeline_runs set cancel_requested = true where id = $1", run_id)
    end = await dispatch(run_id, "discovery")
    assert (end.state, end.error.code) == (StageState.CANCELLED, "cancelled")
    assert (await platform.view(run_id)).status == "cancelled"


async def test_a_result_of_a_foreign_job_is_not_found(platform, stages, dispatch, make_document, make_project):
    platform.worker.document = make_document(make_project("api", "check"))
    run_id, other = await platform.create_run(), await platform.create_run(sha="3" * 40, branch="other")
    await dispatch(run_id, "discovery")
    plan = await stages.jobs(other, Stage.DISCOVERY, StageQuery())
    [result] = await platform.engine._dispatcher._dispatcher.run(plan.jobs)
    with pytest.raises(PlatformError) as caught:
        await stages.record(run_id, StageResult(stage="phase-group", group=1, result=result))
    assert caught.value.code is ErrorCode.NOT_FOUND


async def test_a_project_that_is_not_released_is_skipped(platform, dispatch, make_document, make_project):
    platform.worker.document = make_document(make_project("api", "check"))
    run_id = await platform.create_run()
    await dispatch(run_id, "discovery")
    assert (await dispatch(run_id, "release", project="api")).state is StageState.SKIPPED


async def test_warnings_of_stages_are_kept_once(platform, dispatch, make_document, make_project, make_error):
    platform.worker.document = make_document(make_project("api", "check", artifacts=("wheel",)))
    platform.worker.publishers["artifact api/wheel"] = make_error("the index is down", ErrorCode.PUBLISH_FAILED)
    run_id = await platform.create_run()
    await dispatch(run_id, "discovery")
    await dispatch(run_id, "phase-group", group=1)
    for _ in range(2):
        assert (await dispatch(run_id, "release", project="api")).state is StageState.SUCCESS
    [partial] = [warning for warning in (await platform.view(run_id)).warnings if "the index is down" in warning]
    assert "forge release retry acme/shop/api" in partial


@pytest.fixture
async def retried(platform, dispatch, make_document, make_project, make_error):
    """A run that is there to complete release 1 of api, whose wheel could not be published."""
    platform.worker.document = make_document(make_project("api", "check", artifacts=("docs", "wheel")))
    platform.worker.publishers["artifact api/wheel"] = make_error("the index is down", ErrorCode.PUBLISH_FAILED)
    await platform.run()
    platform.worker.publishers.clear()
    platform.worker.executed.clear()
    platform.engine._leads = False
    run_id = await platform.request_release(retry=True)
    await dispatch(run_id, "discovery")
    return run_id


async def test_a_partial_release_is_completed_without_packing_it_again(platform, dispatch, retried):
    end = await dispatch(retried, "release", project="api")
    release = await platform.release("1")
    assert (end.state, end.outputs["release"], release.status) == (StageState.SUCCESS, str(release.id), "complete")
    assert platform.worker.executed == ["discovery", "artifact api/wheel"]
    assert (await dispatch(retried, "release", project="api")).state is StageState.SUCCESS
    assert platform.worker.executed == ["discovery", "artifact api/wheel"]


async def test_a_retry_whose_job_fails_is_the_end_of_its_run(platform, dispatch, retried, make_error):
    platform.worker.fail["artifact api/wheel"] = make_error("the sealed copy is gone")
    end = await dispatch(retried, "release", project="api")
    assert (end.state, (await platform.view(retried)).status) == (StageState.FAILED, "failed")
    assert [found.code for found in chain(end.error)][:2] == ["run_failed", "release_failed"]
    assert (await platform.release("1")).status == "partial"
