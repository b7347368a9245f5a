"""Runs from discovery to their end."""

from forge_api.engine.port import RunPlan
from forge_sdk.errors import ErrorCode, chain

WHOLE_RUN = ["discovery", "ci check/api", "ci test/api", "artifact api/wheel", "release api", "deployment dev/api"]


async def test_a_run_goes_from_discovery_to_a_deployment(platform, make_document, make_project):
    platform.worker.document = make_document(make_project("api", "check", "test", artifacts=("wheel",)))
    run = await platform.run()
    assert platform.worker.executed == WHOLE_RUN
    assert run.status == "success"
    assert [(phase.name, phase.status) for phase in run.phases] == [
        ("check", "success"),
        ("scan", "success"),
        ("test", "success"),
    ]
    assert [(deployment.environment, deployment.status) for deployment in run.deployments] == [("dev", "active")]
    assert run.releases[0].canonical_id == f"acme/shop/api/{run.commit_sha}"


async def test_steps_have_status_times_and_log(platform, make_document, make_project):
    platform.worker.document = make_document(make_project("api", "check"))
    run = await platform.run()
    [task] = run.phases[0].tasks
    [step] = task.steps
    assert (step.name, step.status, step.exit_code, step.logs_available) == ("run", "success", 0, True)
    assert step.completed_at >= step.started_at
    assert task.status == "success"


async def test_a_commit_without_projects_succeeds(platform):
    run = await platform.run()
    assert (run.status, platform.worker.executed) == ("success", ["discovery"])


async def test_an_inline_discovery_document_is_kept_for_a_resume(platform, storage, make_document, make_project):
    platform.worker.document = make_document(make_project("api", "check"))
    platform.worker.inline_discovery = True
    run = await platform.run()
    [row] = await platform.fetch("select discovery_ref from pipeline_runs where id = $1", run.id)
    assert b'"api"' in await storage.get(row["discovery_ref"], limit=100_000)


async def test_warnings_of_the_configuration_are_shown(platform, make_document):
    platform.worker.document = make_document(warnings=({"message": "phase scan is unused", "file": "repo.cue"},))
    assert "phase scan is unused" in (await platform.run()).warnings[0]


async def test_a_configuration_error_fails_the_run_with_its_chain(platform, make_error):
    platform.worker.fail["discovery"] = make_error("3 problems in api", ErrorCode.CONFIGURATION_INVALID)
    run = await platform.run()
    assert run.status == "failed"
    assert [found.code for found in chain(run.error)] == ["run_failed", "configuration_invalid"]


async def test_a_failing_step_is_the_end_of_the_chain(platform, make_document, make_project, make_error):
    platform.worker.document = make_document(make_project("api", "check", "test", artifacts=("wheel",)))
    platform.worker.fail["ci check/api"] = make_error("exit code 1: 2 tests failed")
    run = await platform.run()
    codes = [found.code for found in chain(run.error)]
    assert codes == ["run_failed", "task_failed", "step_failed", "build_failed"]
    assert "step run failed with exit code 1" in chain(run.error)[2].message
    assert run.phases[0].tasks[0].steps[0].error.message == "exit code 1: 2 tests failed"


async def test_after_a_failure_later_groups_are_skipped(platform, make_document, make_project, make_error):
    platform.worker.document = make_document(make_project("api", "check", "test", artifacts=("wheel",)))
    platform.worker.fail["ci check/api"] = make_error("no")
    run = await platform.run()
    statuses = {phase.name: phase.status for phase in run.phases}
    assert statuses == {"check": "failed", "scan": "skipped", "test": "skipped"}
    assert run.phases[2].tasks[0].steps[0].status == "skipped"
    assert platform.worker.executed == ["discovery", "ci check/api"]
    assert run.attempts == ()


async def test_a_failure_cancels_the_tasks_beside_it(platform, make_document, make_project, make_error):
    worker = platform.worker
    worker.document = make_document(make_project("api", "test"), make_project("web", "scan"))
    worker.hold = {"ci scan/web", "ci test/api"}
    worker.fail["ci test/api"] = make_error("no")
    run_id = await platform.start()
    await platform.running("ci scan/web", "ci test/api")
    worker.hold.discard("ci test/api")
    run = await platform.finished(run_id)
    statuses = {phase.name: phase.tasks[0].status for phase in run.phases if phase.tasks}
    assert statuses == {"scan": "cancelled", "test": "failed"}
    assert run.status == "failed"


async def test_cancelling_ends_running_jobs_and_skips_the_rest(platform, make_document, make_project):
    worker = platform.worker
    worker.document = make_document(make_project("api", "check", "test", artifacts=("wheel",)))
    worker.hold = {"ci check/api"}
    run_id = await platform.start()
    await platform.running("ci check/api")
    await platform.engine.cancel(run_id)
    run = await platform.finished(run_id)
    assert (run.status, run.error.code) == ("cancelled", "cancelled")
    assert {phase.name: phase.status for phase in run.phases} == {
        "check": "cancelled",
        "scan": "skipped",
        "test": "skipped",
    }
    assert worker.executed == ["discovery", "ci check/api"]


async def test_cancelling_a_release_fails_its_attempt(platform, make_document, make_project):
    platform.worker.document = make_document(make_project("api", artifacts=("wheel",)))
    platform.worker.hold = {"artifact api/wheel"}
    run_id = await platform.start()
    await platform.running("artifact api/wheel")
    await platform.engine.cancel(run_id)
    run = await platform.finished(run_id)
    assert (run.status, run.attempts[0].state, run.attempts[0].error.code) == ("cancelled", "failed", "cancelled")


async def test_a_run_that_ended_stays_as_it_is(platform):
    run = await platform.run()
    await platform.engine.cancel(run.id)
    await platform.engine.submit(RunPlan(run.id))
    assert (await platform.finished(run.id)).status == "success"
    assert platform.worker.executed == ["discovery"]


async def test_submitting_twice_runs_once(platform, make_document, make_project):
    platform.worker.document = make_document(make_project("api", "check"))
    run_id = await platform.start()
    await platform.engine.submit(RunPlan(run_id))
    await platform.finished(run_id)
    assert platform.worker.executed == ["discovery", "ci check/api"]


async def test_a_pull_request_releases_nothing(platform, make_document, make_project):
    platform.worker.document = make_document(make_project("api", "check", artifacts=("wheel",)))
    run = await platform.run(trigger_type="pull_request")
    assert (run.status, run.attempts) == ("success", ())


async def test_the_end_of_a_run_is_told_and_audited(platform):
    run = await platform.run()
    [event] = await platform.fetch("select type, data from event_outbox where type = 'pipeline.run.completed'")
    assert event["data"]["status"] == "success"
    [entry] = await platform.fetch("select subject from audit_events where action = 'run.completed'")
    assert entry["subject"] == f"run/{run.id}"


async def test_an_output_of_another_job_errors_the_run(platform):
    original = platform.worker._result

    def foreign(job, status, output=None, **values):
        values["output_ref"] = "job-results/elsewhere.json"
        return original(job, status, output, **values)

    platform.worker._result = foreign
    run = await platform.run()
    assert (run.status, run.error.code) == ("errored", "validation_error")


async def test_the_link_of_a_run_is_its_address(platform):
    assert platform.engine.link("x") == "http://forge.test/v1/runs/x"
