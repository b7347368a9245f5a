"""A crash in the middle: a new engine goes on, and nothing that had finished runs twice."""

import pytest
from forge_sdk.errors import chain
from forge_sdk.storage_keys import result_key

LABELS = ["discovery", "ci check/api", "ci test/api", "artifact api/wheel", "release api", "deployment dev/api"]


@pytest.mark.parametrize("stopped_at", LABELS)
async def test_a_run_goes_on_after_a_crash_at_any_job(platform, make_document, make_project, stopped_at):
    worker = platform.worker
    worker.document = make_document(make_project("api", "check", "test", artifacts=("wheel",)))
    worker.hold = {stopped_at}
    async with platform.new_engine() as platform.engine:
        run_id = await platform.start()
        await platform.running(stopped_at)
    worker.hold = set()
    async with platform.new_engine() as platform.engine:
        await platform.engine.resume()
        run = await platform.finished(run_id)
        await platform.deployed(run.deployments[0].id)
    assert run.status == "success"
    assert worker.executed == LABELS


async def test_a_crash_between_result_and_record_loses_nothing(platform, make_document, make_project):
    worker = platform.worker
    worker.document = make_document(make_project("api", "check"), make_project("web", "check"))
    worker.hold = {"ci check/api"}
    async with platform.new_engine() as platform.engine:
        run_id = await platform.start()
        await platform.running("ci check/api")
    worker.hold = set()
    async with platform.new_engine() as platform.engine:
        await platform.engine.resume()
        run = await platform.finished(run_id)
    assert [task.status for task in run.phases[0].tasks] == ["success", "success"]
    assert sorted(worker.executed) == ["ci check/api", "ci check/web", "discovery"]


async def test_a_failure_before_the_crash_is_still_the_runs_error(platform, make_document, make_project, make_error):
    worker = platform.worker
    worker.document = make_document(make_project("api", "check"), make_project("web", "check"))
    run_id = await platform.start()
    await platform.finished(run_id)
    # As a worker's report leaves it when the process ends before the result is recorded.
    task = "task_executions where project_name = 'api'"
    await platform.fetch("update pipeline_runs set status = 'running', completed_at = null")
    await platform.fetch("update phase_executions set status = 'running' where phase_name = 'check'")
    await platform.fetch("update task_executions set status = 'pending' where project_name = 'web'")
    await platform.fetch(f"update task_executions set status = 'failed' where id = (select id from {task})")
    async with platform.new_engine() as platform.engine:
        await platform.engine.resume()
        run = await platform.finished(run_id)
    assert run.status == "failed"
    assert [found.code for found in chain(run.error)][:2] == ["run_failed", "task_failed"]
    assert sorted(worker.executed) == ["ci check/api", "ci check/web", "discovery"]


async def test_a_cancel_before_the_crash_is_carried_out_after_it(platform, make_document, make_project):
    worker = platform.worker
    worker.document = make_document(make_project("api", "check", "test"))
    worker.hold = {"ci check/api"}
    async with platform.new_engine() as platform.engine:
        run_id = await platform.start()
        await platform.running("ci check/api")
    await platform.fetch("update pipeline_runs set cancel_requested = true")
    async with platform.new_engine() as platform.engine:
        await platform.engine.resume()
        run = await platform.finished(run_id)
    assert run.status == "cancelled"
    assert worker.executed == ["discovery", "ci check/api"]


async def test_a_document_that_is_gone_errors_the_run(platform, storage, make_document, make_project):
    platform.worker.document = make_document(make_project("api", "check"))
    platform.worker.hold = {"ci check/api"}
    async with platform.new_engine() as platform.engine:
        run_id = await platform.start()
        await platform.running("ci check/api")
    await storage.delete([result_key(run_id, platform.worker.jobs["discovery"].id)])
    async with platform.new_engine() as platform.engine:
        await platform.engine.resume()
        run = await platform.finished(run_id)
    assert (run.status, run.error.code) == ("errored", "not_found")
