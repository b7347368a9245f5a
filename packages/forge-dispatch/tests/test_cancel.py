import asyncio
from uuid import uuid4

from forge_dispatch import Dispatcher, DispatcherSettings
from forge_sdk.messaging import CI, CONTROL_BUCKET, cancel_key


async def test_the_first_failure_cancels_running_and_queued_siblings(dispatcher, new_worker, job, eventually):
    async with new_worker(slots=2) as worker:
        jobs = [job("slow", do="wait"), job("bad", do="fail"), *[job(f"queued-{n}", do="wait") for n in range(5)]]
        results = await asyncio.wait_for(dispatcher.run(jobs), 20)
    statuses = [result.status for result in results]
    assert statuses == ["cancelled", "failed", *["cancelled"] * 5]
    assert "queued-4" not in worker.executed


async def test_without_fail_fast_siblings_go_on(dispatcher, worker, job):
    results = await dispatcher.run([job("bad", do="fail"), job("good")], fail_fast=False)
    assert [result.status for result in results] == ["failed", "success"]


async def test_fail_fast_does_not_cancel_the_run(connection, dispatcher, worker, job, run_id):
    await dispatcher.run([job("bad", do="fail"), job("slow", do="wait")])
    control = await connection.jetstream().key_value(CONTROL_BUCKET)
    assert cancel_key(run_id) not in await control.keys()
    assert (await dispatcher.run([job("next")]))[0].succeeded


async def test_cancelling_a_run_ends_running_and_queued_jobs(connection, dispatcher, new_worker, job, eventually):
    async def nothing_is_left():
        return (await connection.jetstream().stream_info(CI.stream)).state.messages == 0

    async with new_worker(slots=1) as worker:
        waiting = asyncio.create_task(dispatcher.run([job("slow", do="wait"), job("queued", do="wait")]))
        await eventually(lambda: worker.running)
        await dispatcher.cancel(job("slow").run_id)
        results = await asyncio.wait_for(waiting, 10)
        assert len(worker.executed) == 1
        # The worker acknowledges its message after it has answered.
        await eventually(nothing_is_left)
    assert [result.status for result in results] == ["cancelled", "cancelled"]


async def test_cancelling_a_run_leaves_other_runs_alone(dispatcher, worker, job, eventually):
    waiting = asyncio.create_task(dispatcher.run([job("a", do="wait")]))
    await eventually(lambda: worker.running)
    await dispatcher.cancel(uuid4())
    assert not waiting.done()
    assert worker.running == {"a"}
    waiting.cancel()


async def test_queued_jobs_are_cancelled_without_any_worker(dispatcher, job, run_id, connection, eventually):
    waiting = asyncio.create_task(dispatcher.run([job("a"), job("b")]))

    async def queued():
        return (await connection.jetstream().stream_info(CI.stream)).state.messages == 2

    await eventually(queued)
    await dispatcher.cancel(run_id)
    assert [result.status for result in await asyncio.wait_for(waiting, 5)] == ["cancelled", "cancelled"]


async def test_jobs_of_a_run_that_was_cancelled_before_are_cancelled_without_any_worker(dispatcher, job, run_id):
    await dispatcher.cancel(run_id)
    results = await asyncio.wait_for(dispatcher.run([job("a"), job("b")]), 5)
    assert [result.status for result in results] == ["cancelled", "cancelled"]
    [result] = await asyncio.wait_for(dispatcher.run([job("c")]), 5)
    assert result.status == "cancelled"


async def test_a_cancelled_job_stays_cancelled_for_the_next_dispatcher(
    new_dispatcher, dispatcher, job, run_id, new_worker
):
    waiting = asyncio.create_task(dispatcher.run([job("a")]))
    await asyncio.sleep(0)
    await dispatcher.cancel(run_id)
    await waiting
    async with new_worker() as worker, new_dispatcher() as second:
        [result] = await second.run([job("a")])
    assert result.status == "cancelled"
    assert worker.executed == []


async def test_a_worker_that_ignores_the_cancel_is_given_up(connection, job, run_id, worker, eventually):
    impatient = DispatcherSettings(sweep_interval_s=0.1, cancel_grace_s=0.2)
    async with Dispatcher(connection, impatient) as dispatcher:

        async def deaf(_):
            return False

        worker._cancelled = deaf
        waiting = asyncio.create_task(dispatcher.run([job("a", do="wait")]))
        await eventually(lambda: worker.running)
        await dispatcher.cancel(run_id)
        [result] = await asyncio.wait_for(waiting, 5)
    assert (result.status, result.worker) == ("cancelled", "dispatcher")


async def test_withdrawing_ends_what_an_earlier_dispatcher_left(new_dispatcher, dispatcher, worker, job, eventually):
    jobs = [job("done"), job("slow", do="wait"), job("never published", do="wait")]
    async with new_dispatcher() as first:
        lost = asyncio.create_task(first.run(jobs[:2]))
        await eventually(lambda: worker.running == {"slow"})
        lost.cancel()
        await asyncio.gather(lost, return_exceptions=True)
    results = await asyncio.wait_for(dispatcher.withdraw(jobs), 15)
    assert [result.status for result in results] == ["success", "cancelled", "cancelled"]
    assert "never published" not in worker.executed
