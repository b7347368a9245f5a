"""Statuses go out in batches; what fails for a while is sent again."""

import asyncio
import uuid
from datetime import UTC, datetime

import structlog

from forge_sdk.errors import ErrorCode, PlatformError, TransientError
from forge_sdk.models.api import RefusedStatuses, StatusAnswer, StepStatusUpdate, TaskStatusUpdate
from forge_sdk.models.statuses import ExecutionStatus
from forge_worker import statuses
from forge_worker.statuses import StatusReporter


def update(number=0):
    return StepStatusUpdate(step_id=uuid.UUID(int=number), status=ExecutionStatus.RUNNING, at=datetime.now(UTC))


class Api:
    def __init__(self, *errors, refused=()):
        self.errors, self.refused, self.batches = list(errors), tuple(refused), []

    async def update_statuses(self, body):
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error
        self.batches.append(body)
        return StatusAnswer(refused=self.refused)


async def test_updates_of_a_moment_are_one_batch():
    api, job, other = Api(), uuid.UUID(int=1), uuid.UUID(int=2)
    async with StatusReporter(api).running() as reporter:
        for number in range(5):
            reporter.report(job, 7, update(number))
        reporter.report(other, 9, update())
        reporter.report(job, 7, TaskStatusUpdate(task_id=job, status=ExecutionStatus.RUNNING, at=datetime.now(UTC)))
    [batch] = api.batches
    assert [(found.job_id, found.token, len(found.steps), len(found.tasks)) for found in batch.jobs] == [
        (job, 7, 5, 1),
        (other, 9, 1, 0),
    ]
    assert [step.step_id.int for step in batch.jobs[0].steps] == list(range(5))


async def test_of_a_job_that_was_taken_twice_the_later_claim_counts():
    api, job = Api(), uuid.UUID(int=1)
    async with StatusReporter(api).running() as reporter:
        for number, token in enumerate((7, 8, 7)):
            reporter.report(job, token, update(number))
    [[found]] = [batch.jobs for batch in api.batches]
    assert (found.token, [step.step_id.int for step in found.steps]) == (8, [1])


async def test_many_updates_go_out_at_once_and_bounded():
    api = Api()
    async with StatusReporter(api).running() as reporter:
        for number in range(1200):
            reporter.report(uuid.UUID(int=1), 7, update(number))
    assert max(len(job.steps) for batch in api.batches for job in batch.jobs) == 500
    assert [step.step_id.int for batch in api.batches for job in batch.jobs for step in job.steps] == list(range(1200))


async def test_an_api_that_is_away_gets_them_later_in_order(monkeypatch, eventually):
    monkeypatch.setattr(statuses, "PAUSE_S", 0.01)
    api = Api(TransientError("away"), TransientError("away"))
    async with StatusReporter(api).running() as reporter:
        for job in (1, 2, 3):
            reporter.report(uuid.UUID(int=job), 7, update(job))
        await eventually(lambda: api.batches, "the batch")
    assert [job.job_id.int for batch in api.batches for job in batch.jobs] == [1, 2, 3]


async def test_what_the_api_can_not_read_is_dropped():
    api = Api(PlatformError("no", code=ErrorCode.VALIDATION_ERROR))
    async with StatusReporter(api).running() as reporter:
        reporter.report(uuid.UUID(int=1), 7, update())
        while api.errors:
            await asyncio.sleep(0)
        reporter.report(uuid.UUID(int=2), 7, update())
    assert [job.job_id.int for batch in api.batches for job in batch.jobs] == [2]


async def test_a_job_that_was_refused_is_named_in_the_log():
    stale = RefusedStatuses(job_id=uuid.UUID(int=1), code=ErrorCode.STALE_TOKEN, message="taken over")
    with structlog.testing.capture_logs() as events:
        async with StatusReporter(Api(refused=[stale])).running() as reporter:
            reporter.report(uuid.UUID(int=1), 7, update())
    assert [(event["event"], event["job_id"]) for event in events] == [("stale_worker", str(stale.job_id))]
