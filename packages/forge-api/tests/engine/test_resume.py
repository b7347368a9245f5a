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
    worker.fail["ci check/api"] = make_error("2 tests failed")
    run_id = await platform.start()
    await platform.finished(run_id)
    executed = list(worker.executed)
    # What is there when the process ends after the first result of a group was recorded.
    await platform.fetch("update pipeline_runs set status = 'running', error = null, completed_at = null")
    await platform.fetch("update phase_executions set status = 'running' where phase_name = 'check'")
    await platform.fetch("update task_executions set status = 'running' where project_name = 'web'")
    async with platform.new_engine() as platform.engine:
        await platform.engine.resume()
        run = await platform.finished(run_id)
    assert run.status == "failed"
    assert [found.code for found in chain(run.error)] == ["run_failed", "task_failed", "step_failed", "build_failed"]
    assert worker.executed == executed


async def test_a_failed_task_whose_result_has_expired_stays_failed(platform, make_document, make_project, make_error):
    worker = platform.worker
    worker.document = make_document(make_project("api", "check"))
    worker.fail["ci check/api"] = make_error("2 tests failed")
    run_id = await platform.start()
    await platform.finished(run_id)
    await worker.entries.purge(str(worker.jobs["ci check/api"].id))
    await platform.fetch("update pipeline_runs set status = 'running', error = null, completed_at = null")
    async with platform.new_engine() as platform.engine:
        await platform.engine.resume()
        run = await platform.finished(run_id)
    assert (run.status, run.phases[0].tasks[0].status) == ("failed", "failed")
    assert worker.executed.count("ci check/api") == 1


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


async def test_lost_connections_to_the_database_are_stood(platform, make_document, make_project):
    worker = platform.worker
    worker.document = make_document(make_project("api", "check", "test"))
    worker.hold = {"ci check/api"}
    run_id = await platform.start()
    await platform.running("ci check/api")
    others = "datname = current_database() and pid <> pg_backend_pid()"
    await platform.fetch(f"select pg_terminate_backend(pid) from pg_stat_activity where {others}")
    worker.hold = set()
    assert (await platform.finished(run_id)).status == "success"


async def test_a_record_that_can_not_be_kept_errors_the_run(platform, make_document, make_project):
    platform.worker.document = make_document(make_project("api", "check"))
    await platform.fetch("alter table task_executions add constraint no_success check (status <> 'success')")
    try:
        run = await platform.run()
    finally:
        await platform.fetch("alter table task_executions drop constraint no_success")
    assert (run.status, run.error.component) == ("errored", "database")
