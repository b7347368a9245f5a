"""Jobs from message to result: claims, redelivery, losses, drain, cancel, timeouts."""

import asyncio
import json
import uuid

import pytest
from pydantic import BaseModel
from structlog.testing import capture_logs

from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.messaging import CI, cancel_key, job_cancel_key
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.jobs import JobEntryState, JobType
from forge_sdk.secrets import Secret
from forge_worker import delivery, runner


class Output(BaseModel):
    text: str


class Handler:
    """Does what its function says, and counts."""

    def __init__(self, function=None):
        self.function = function
        self.started = asyncio.Queue()
        self.runs = 0

    async def run(self, context):
        self.runs += 1
        self.started.put_nowait(context)
        if self.function is not None:
            return await self.function(context)
        return Output(text="done")

    def __call__(self):
        return self


async def forever(context):
    await asyncio.Event().wait()


@pytest.fixture
def services(make_services):
    return make_services()


async def test_a_job_is_done_replied_and_acknowledged(platform, services, run_worker, eventually):
    handler, job = Handler(), platform.job()
    async with run_worker(platform, services, {JobType.CI: handler}):
        await platform.publish(job)
        result = await platform.result(job.id)
        assert (result.status, result.output) == ("success", {"text": "done"})
        await eventually(lambda: platform.replies, "a reply")
        assert platform.replies == [result]

        async def acknowledged():
            return await platform.waiting(CI) == 0

        await eventually(acknowledged, "acknowledgement")


async def test_the_fencing_token_is_the_revision_of_the_claim(platform, services, run_worker):
    handler, job = Handler(forever), platform.job()
    async with run_worker(platform, services, {JobType.CI: handler}):
        await platform.publish(job)
        context = await handler.started.get()
        entry = await platform.entry(job.id)
        assert entry.state is JobEntryState.CLAIMED
        found = await platform.jetstream.get_msg("KV_forge-jobs", subject=f"$KV.forge-jobs.{job.id}")
        assert found.seq == context.token


async def test_more_jobs_than_slots(platform, services, run_worker, eventually):
    running, most = 0, 0

    async def count(context):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return Output(text="x")

    jobs = [platform.job() for _ in range(40)]
    async with run_worker(platform, services, {JobType.CI: Handler(count)}, slots=3):
        await asyncio.gather(*(platform.publish(job) for job in jobs))
        await eventually(lambda: len(platform.replies) == 40, "all replies")
    assert most == 3
    assert {result.job_id for result in platform.replies} == {job.id for job in jobs}


async def test_a_duplicate_of_a_finished_job_is_answered_again_but_not_run(platform, services, run_worker, eventually):
    handler, job = Handler(), platform.job()
    async with run_worker(platform, services, {JobType.CI: handler}):
        for _ in range(2):
            await platform.publish(job)
        await eventually(lambda: len(platform.replies) == 2, "two replies")
    assert handler.runs == 1
    assert platform.replies[0] == platform.replies[1]


async def test_the_job_of_a_dead_worker_goes_to_another_and_counts_a_loss(platform, services, run_worker):
    dying, job = Handler(forever), platform.job()
    async with run_worker(platform, services, {JobType.CI: dying}, name="first"):
        await platform.publish(job)
        await dying.started.get()
    async with run_worker(platform, services, {JobType.CI: Handler()}, name="second"):
        result = await platform.result(job.id)
    assert (result.status, result.worker) == ("success", "second")
    assert (await platform.entry(job.id)).losses == 1


async def test_a_job_that_loses_its_worker_three_times_fails(platform, services, run_worker, eventually):
    handler, job = Handler(forever), platform.job()
    await platform.publish(job)
    for number in range(3):
        async with run_worker(platform, services, {JobType.CI: handler}, name=f"worker{number}"):
            await asyncio.wait_for(handler.started.get(), 10)
    async with run_worker(platform, services, {JobType.CI: handler}, name="last"):
        result = await platform.result(job.id)
        await eventually(lambda: platform.replies, "a reply")
    assert (result.status, result.error.code) == ("failed", ErrorCode.WORKER_LOST)
    assert handler.runs == 3
    assert await platform.waiting(CI) == 0


async def test_a_long_job_is_not_redelivered(platform, services, run_worker):
    async def long(context):
        await asyncio.sleep(3)
        return Output(text="long")

    handler, job = Handler(long), platform.job()
    async with (
        run_worker(platform, services, {JobType.CI: handler}, name="one"),
        run_worker(platform, services, {JobType.CI: handler}, name="two"),
    ):
        await platform.publish(job)
        await platform.result(job.id)
    assert handler.runs == 1
    assert (await platform.entry(job.id)).losses == 0


async def test_a_worker_whose_claim_was_taken_drops_its_result(platform, services, run_worker, eventually):
    release = asyncio.Event()

    async def wait(context):
        await release.wait()
        return Output(text="mine")

    handler, job = Handler(wait), platform.job()
    async with run_worker(platform, services, {JobType.CI: handler}, name="orphan"):
        await platform.publish(job)
        await handler.started.get()
        entry = await platform.entry(job.id)
        taken = entry.model_copy(update={"worker": "other"})
        bucket = await platform.jetstream.key_value("forge-jobs")
        await bucket.put(str(job.id), taken.model_dump_json(by_alias=True).encode())
        with capture_logs() as logs:
            release.set()
            await eventually(lambda: any(entry["event"] == "claim_lost" for entry in logs), "the loss")
        assert (await platform.entry(job.id)).worker == "other"
    assert platform.replies == []


async def test_an_orphan_is_stopped_by_its_heartbeat(platform, services, run_worker):
    stopped = asyncio.Event()

    async def wait(context):
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    handler, job = Handler(wait), platform.job()
    async with run_worker(platform, services, {JobType.CI: handler}, name="orphan"):
        await platform.publish(job)
        await handler.started.get()
        bucket = await platform.jetstream.key_value("forge-jobs")
        entry = await platform.entry(job.id)
        await bucket.put(str(job.id), entry.model_dump_json(by_alias=True).encode())
        await asyncio.wait_for(stopped.wait(), 10)


async def test_a_drain_lets_jobs_end_within_the_grace(platform, services, run_worker):
    release = asyncio.Event()

    async def wait(context):
        await release.wait()
        return Output(text="ended")

    handler, job = Handler(wait), platform.job()
    async with run_worker(platform, services, {JobType.CI: handler}) as worker:
        await platform.publish(job)
        await handler.started.get()
        drain = asyncio.create_task(worker.drain(20))
        release.set()
        await asyncio.wait_for(drain, 10)
    assert (await platform.entry(job.id)).result.status == "success"


async def test_a_drain_hands_back_what_does_not_end_and_counts_no_loss(platform, services, run_worker):
    handler, job = Handler(forever), platform.job()
    async with run_worker(platform, services, {JobType.CI: handler}, name="drained") as worker:
        await platform.publish(job)
        await handler.started.get()
        await worker.drain(0.1)
        assert (await platform.entry(job.id)).state is JobEntryState.HANDED_BACK
    async with run_worker(platform, services, {JobType.CI: Handler()}, name="next"):
        assert (await platform.result(job.id)).worker == "next"
    assert (await platform.entry(job.id)).losses == 0


async def test_the_last_delivery_is_not_given_back_but_fails(platform, services, run_worker, monkeypatch):
    monkeypatch.setattr(delivery, "MAX_DELIVER", 2)
    handler, job = Handler(forever), platform.job()
    await platform.publish(job)
    for number in range(2):
        async with run_worker(platform, services, {JobType.CI: handler}, name=f"worker{number}") as worker:
            await asyncio.wait_for(handler.started.get(), 10)
            await worker.drain(0.1)
    result = await platform.result(job.id)
    assert (result.status, result.error.code) == ("failed", ErrorCode.WORKER_LOST)
    assert "given back 2 times" in result.error.message
    assert await platform.waiting(CI) == 0


async def test_a_handler_that_does_not_end_is_handed_back_all_the_same(platform, services, run_worker, monkeypatch):
    monkeypatch.setattr(runner, "CLEAN_UP_S", 0.1)
    release = asyncio.Event()

    async def resist(context):
        try:
            await release.wait()
        except asyncio.CancelledError:
            await release.wait()
        return Output(text="late")

    handler, job = Handler(resist), platform.job()
    async with run_worker(platform, services, {JobType.CI: handler}) as worker:
        await platform.publish(job)
        await handler.started.get()
        await worker.drain(0.1)
        assert (await platform.entry(job.id)).state is JobEntryState.HANDED_BACK
        release.set()


@pytest.mark.parametrize("whole_run", [True, False])
async def test_cancelling_stops_a_running_job_and_keeps_what_it_had(platform, services, run_worker, whole_run):
    async def wait(context):
        context.partial = Output(text="half")
        await asyncio.Event().wait()

    handler, job = Handler(wait), platform.job()
    async with run_worker(platform, services, {JobType.CI: handler}):
        await platform.publish(job)
        await handler.started.get()
        await platform.cancel(cancel_key(job.run_id) if whole_run else job_cancel_key(job.run_id, job.id))
        result = await platform.result(job.id)
    assert (result.status, result.output, result.error.code) == ("cancelled", {"text": "half"}, ErrorCode.CANCELLED)


async def test_a_job_of_a_cancelled_run_never_starts(platform, services, run_worker):
    handler, job = Handler(), platform.job()
    await platform.cancel(cancel_key(job.run_id))
    async with run_worker(platform, services, {JobType.CI: handler}):
        await platform.publish(job)
        assert (await platform.result(job.id)).status == "cancelled"
    assert handler.runs == 0


async def test_a_siblings_cancellation_leaves_a_job_alone(platform, services, run_worker):
    run, release = uuid.uuid4(), asyncio.Event()

    async def wait(context):
        await release.wait()
        return Output(text="alive")

    handler, job, sibling = Handler(wait), platform.job(run_id=run), platform.job(run_id=run)
    async with run_worker(platform, services, {JobType.CI: handler}):
        for each in (job, sibling):
            await platform.publish(each)
            await handler.started.get()
        await platform.cancel(job_cancel_key(run, sibling.id))
        assert (await platform.result(sibling.id)).status == "cancelled"
        release.set()
        assert (await platform.result(job.id)).status == "success"


async def test_the_jobs_time_is_enforced(platform, services, run_worker):
    job = platform.job(timeout_s=0.2)
    async with run_worker(platform, services, {JobType.CI: Handler(forever)}):
        await platform.publish(job)
        result = await platform.result(job.id)
    assert (result.status, result.error.code) == ("failed", ErrorCode.TIMEOUT)


async def test_failures_arrive_with_their_chain_and_without_secrets(platform, services, run_worker):
    async def fail(context):
        context.masker.register(Secret("hunter2-hunter2"))
        raise PlatformError("no: hunter2-hunter2", code=ErrorCode.BUILD_FAILED) from LookupError("hunter2-hunter2")

    job = platform.job()
    async with run_worker(platform, services, {JobType.CI: Handler(fail)}):
        await platform.publish(job)
        result = await platform.result(job.id)
    assert (result.error.code, result.error.message) == (ErrorCode.BUILD_FAILED, "no: ***")
    assert isinstance(result.error.cause, ErrorDetail)
    assert "hunter2" not in result.model_dump_json()


async def test_a_defect_of_a_handler_is_a_failed_job(platform, services, run_worker):
    async def fail(context):
        raise LookupError("a defect")

    job = platform.job()
    async with run_worker(platform, services, {JobType.CI: Handler(fail)}):
        await platform.publish(job)
        result = await platform.result(job.id)
    assert (result.status, result.error.code) == ("failed", ErrorCode.INTERNAL_ERROR)


async def test_a_large_output_goes_to_object_storage(platform, make_services, storage, run_worker):
    async def large(context):
        return Output(text="x" * 1_200_000)

    job = platform.job()
    async with run_worker(platform, make_services(storage=storage), {JobType.CI: Handler(large)}):
        await platform.publish(job)
        result = await platform.result(job.id)
    assert result.output is None
    assert result.output_ref == f"job-results/{job.run_id}/{job.id}.json"
    assert json.loads(await storage.get(result.output_ref, limit=2_000_000)) == {"text": "x" * 1_200_000}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"schemaVersion": "9.0"}, ErrorCode.VERSION_UNSUPPORTED),
        ({"timeout_s": -1}, ErrorCode.VALIDATION_ERROR),
        ({"type": "release"}, ErrorCode.VALIDATION_ERROR),
        ({"type": "mystery"}, ErrorCode.VALIDATION_ERROR),
    ],
)
async def test_an_envelope_that_cannot_be_worked_on(platform, services, run_worker, eventually, change, code):
    job = platform.job()
    data = json.dumps({**json.loads(job.model_dump_json(by_alias=True)), **change}).encode()
    async with run_worker(platform, services, {JobType.CI: Handler()}):
        await platform.jetstream.publish(CI.subject_of(job.id), data)
        result = await platform.result(job.id)
        await eventually(lambda: platform.replies, "a reply")
        assert (result.status, result.error.code) == ("failed", code)
        assert await platform.waiting(CI) == 0


async def test_rubbish_is_removed_and_does_not_stop_the_pool(platform, services, run_worker):
    job = platform.job()
    async with run_worker(platform, services, {JobType.CI: Handler()}):
        await platform.jetstream.publish("pipeline.tasks.rubbish", b"\xff{")
        await platform.publish(job)
        assert (await platform.result(job.id)).status == "success"


async def test_a_restart_of_nats_costs_no_job(platform, services, run_worker):
    release = asyncio.Event()

    async def wait(context):
        await release.wait()
        return Output(text="survived")

    handler, running, later = Handler(wait), platform.job(), platform.job()
    async with run_worker(platform, services, {JobType.CI: handler}, slots=1):
        await platform.publish(running)
        await handler.started.get()
        await asyncio.to_thread(platform.server.stop_blocking)
        release.set()
        await asyncio.to_thread(platform.server.start_blocking)
        assert (await platform.result(running.id, 40)).status == "success"
        await platform.publish(later)
        assert (await platform.result(later.id, 40)).status == "success"
    assert handler.runs == 2


async def test_an_idle_worker_takes_jobs_after_a_restart_of_nats(platform, services, run_worker):
    first, later = platform.job(), platform.job()
    async with run_worker(platform, services, {JobType.CI: Handler()}):
        await platform.publish(first)
        await platform.result(first.id)
        await asyncio.to_thread(platform.server.stop_blocking)
        await asyncio.to_thread(platform.server.start_blocking)
        await platform.publish(later)
        assert (await platform.result(later.id)).status == "success"
