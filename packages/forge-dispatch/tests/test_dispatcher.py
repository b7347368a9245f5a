import asyncio
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from forge_dispatch import Dispatcher, Share
from forge_dispatch.settings import DispatcherSettings
from forge_sdk.errors import PlatformError
from forge_sdk.messaging import CI, JOBS_BUCKET
from forge_sdk.models.jobs import JobEntry, JobEntryState, JobResult


async def test_a_job_comes_back_with_its_result(dispatcher, worker, job):
    [result] = await dispatcher.run([job("build")])
    assert result.succeeded
    assert result.output == {"name": "build"}


async def test_a_hundred_jobs_come_back_in_their_order(dispatcher, worker, job):
    names = [f"job-{number}" for number in range(100)]
    results = await dispatcher.run([job(name) for name in names])
    assert [result.output["name"] for result in results] == names
    assert sorted(worker.executed) == sorted(names)


async def test_no_jobs_give_no_results(dispatcher):
    assert await dispatcher.run([]) == []


async def test_on_result_is_awaited_once_for_each_result(dispatcher, worker, job):
    seen = []

    async def on_result(result):
        seen.append(result.job_id)

    jobs = [job("a"), job("b"), job("c")]
    await dispatcher.run(jobs, on_result=on_result)
    assert sorted(seen) == sorted(found.id for found in jobs)


async def test_an_error_of_on_result_reaches_the_caller(dispatcher, worker, job):
    async def on_result(result):
        raise ValueError("the database is away")

    with pytest.raises(ValueError, match="the database is away"):
        await dispatcher.run([job("a")], on_result=on_result)


async def test_calls_at_the_same_time_share_the_inbox(dispatcher, worker, job):
    first, second = await asyncio.gather(dispatcher.run([job("a")]), dispatcher.run([job("b")]))
    assert [first[0].output["name"], second[0].output["name"]] == ["a", "b"]


async def test_a_job_belongs_to_one_call(dispatcher, new_worker, job, eventually):
    first = asyncio.create_task(dispatcher.run([job("a")]))
    await asyncio.sleep(0)
    with pytest.raises(PlatformError, match="waited for already"):
        await dispatcher.run([job("a")])
    async with new_worker():
        assert (await first)[0].succeeded


async def test_a_result_without_reply_is_found_in_the_bucket(dispatcher, worker, job):
    [result] = await dispatcher.run([job("quiet", do="silent")])
    assert result.succeeded


async def test_a_second_call_finds_the_result_and_runs_nothing(dispatcher, worker, job):
    [first] = await dispatcher.run([job("once")])
    [second] = await dispatcher.run([job("once")])
    assert second == first
    assert worker.executed == ["once"]


async def test_a_new_dispatcher_goes_on_where_the_first_one_died(connection, settings, new_worker, job, eventually):
    jobs = [job(f"job-{number}") for number in range(10)]
    stream = connection.jetstream()
    async with Dispatcher(connection, settings) as first:
        lost = asyncio.create_task(first.run(jobs))

        async def queued():
            return (await stream.stream_info(CI.stream)).state.messages == len(jobs)

        await eventually(queued)
        lost.cancel()
        await asyncio.gather(lost, return_exceptions=True)
    async with Dispatcher(connection, settings) as second, new_worker() as worker:
        results = await second.run(jobs)
    assert all(result.succeeded for result in results)
    assert sorted(worker.executed) == sorted(str(found.payload["name"]) for found in jobs)


async def test_a_queued_job_is_not_queued_twice_after_the_duplicate_window(connection, dispatcher, new_worker, job):
    stream = connection.jetstream()
    found = job("long ago")
    # Without the message id JetStream's own window plays no part.
    await stream.publish(CI.subject_of(found.id), found.model_dump_json().encode())
    async with new_worker() as worker:
        [result] = await dispatcher.run([found])
        assert result.succeeded
    assert worker.executed == ["long ago"]
    assert (await stream.stream_info(CI.stream)).state.last_seq == 1


async def test_a_full_stream_is_waited_for(connection, dispatcher, new_worker, job, eventually):
    stream = connection.jetstream()
    config = (await stream.stream_info(CI.stream)).config
    await stream.update_stream(config.evolve(max_msgs=3))
    waiting = asyncio.create_task(dispatcher.run([job(f"job-{number}") for number in range(12)]))

    async def full():
        return (await stream.stream_info(CI.stream)).state.messages == 3

    await eventually(full)
    async with new_worker():
        results = await asyncio.wait_for(waiting, 20)
    assert [result.status for result in results] == ["success"] * 12


async def test_a_job_that_no_worker_takes_fails_and_says_so(connection, settings, job):
    impatient = DispatcherSettings(sweep_interval_s=0.1, waiting_limit_s=0.3)
    async with Dispatcher(connection, impatient) as dispatcher:
        [result] = await dispatcher.run([job("a")])
    assert result.error.code == "timeout"
    assert "start workers of pool ci" in result.error.message
    assert (await connection.jetstream().stream_info(CI.stream)).state.messages == 0


async def test_a_job_that_takes_too_long_fails_and_its_worker_is_told(connection, worker, job, eventually):
    strict = DispatcherSettings(sweep_interval_s=0.1, timeout_slack_s=0.2)
    async with Dispatcher(connection, strict) as dispatcher:
        [result] = await dispatcher.run([job("slow", do="wait", timeout_s=0.2)])
    assert (result.status, result.error.code) == ("failed", "timeout")
    assert "within its timeout of 0.2 s" in result.error.message
    await eventually(lambda: not worker.running)


async def test_a_claim_of_a_dead_worker_can_not_write_after_a_timeout(connection, job):
    entries = await connection.jetstream().key_value(JOBS_BUCKET)
    found = job("orphan", timeout_s=0.1)
    claim = JobEntry(state=JobEntryState.CLAIMED, worker="dead", claimed_at=datetime.now(UTC))
    revision = await entries.create(str(found.id), claim.model_dump_json().encode())
    async with Dispatcher(connection, DispatcherSettings(sweep_interval_s=0.1, timeout_slack_s=0.1)) as dispatcher:
        [result] = await dispatcher.run([found])
    assert result.error.code == "timeout"
    with pytest.raises(Exception, match="wrong last sequence"):
        await entries.update(str(found.id), b"{}", last=revision)


async def test_a_message_that_is_no_result_is_ignored(connection, dispatcher, worker, job):
    await connection.publish(dispatcher._inbox, b"not json")
    unknown = JobResult(
        job_id=job("unknown").id,
        status="success",
        started_at=datetime.now(UTC),
        finished_at=datetime.now(UTC),
        worker="test",
    )
    await connection.publish(dispatcher._inbox, unknown.model_dump_json().encode())
    [result] = await dispatcher.run([job("a")])
    assert result.succeeded


def test_importing_the_dispatcher_brings_no_boto3():
    code = "import sys; sys.modules['aiohttp'] = None; import forge_dispatch; sys.exit('boto3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_going_on_lets_no_more_jobs_through_than_before(connection, settings, worker, job, eventually):
    jobs = [job(f"job-{number}", do="wait") for number in range(6)]
    async with Dispatcher(connection, settings) as first:
        lost = asyncio.create_task(first.run(jobs, admission=Share(lambda: 2)))
        await eventually(lambda: len(worker.running) == 2)
        lost.cancel()
        await asyncio.gather(lost, return_exceptions=True)
    before = set(worker.running)
    async with Dispatcher(connection, settings) as second:
        share = Share(lambda: 2)
        going_on = asyncio.create_task(second.run(list(reversed(jobs)), admission=share))
        await eventually(lambda: share.taken == 2)
        await eventually(lambda: worker.running == before)
        assert sorted(worker.executed) == sorted(before)
        await second.cancel(jobs[0].run_id)
        await going_on
    assert sorted(worker.executed) == sorted(before)
