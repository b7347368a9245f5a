"""Statuses go out in batches; what fails for a while is sent again."""

import uuid
from datetime import UTC, datetime

import pytest

from forge_sdk.errors import ErrorCode, PlatformError, TransientError
from forge_sdk.models.api import StepStatusUpdate, TaskStatusUpdate
from forge_sdk.models.statuses import ExecutionStatus
from forge_worker import statuses
from forge_worker.statuses import StatusReporter


def update(number=0):
    return StepStatusUpdate(step_id=uuid.UUID(int=number), status=ExecutionStatus.RUNNING, at=datetime.now(UTC))


class Api:
    def __init__(self, *errors):
        self.errors, self.batches = list(errors), []

    async def update_statuses(self, body):
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error
        self.batches.append(body)


async def test_updates_of_a_moment_are_one_batch_for_each_job():
    api, job, other = Api(), uuid.UUID(int=1), uuid.UUID(int=2)
    async with StatusReporter(api).running() as reporter:
        for number in range(5):
            reporter.report(job, 7, update(number))
        reporter.report(job, 7, TaskStatusUpdate(task_id=job, status=ExecutionStatus.RUNNING, at=datetime.now(UTC)))
        reporter.report(other, 9, update())
    assert [(batch.job_id, batch.token, len(batch.steps), len(batch.tasks)) for batch in api.batches] == [
        (job, 7, 5, 1),
        (other, 9, 1, 0),
    ]
    assert [step.step_id.int for step in api.batches[0].steps] == list(range(5))


async def test_many_updates_go_out_at_once_and_bounded():
    api = Api()
    async with StatusReporter(api).running() as reporter:
        for number in range(1200):
            reporter.report(uuid.UUID(int=1), 7, update(number))
    assert max(len(batch.steps) for batch in api.batches) == 500
    assert [step.step_id.int for batch in api.batches for step in batch.steps] == list(range(1200))


async def test_an_api_that_is_away_gets_them_later_in_order(monkeypatch, eventually):
    monkeypatch.setattr(statuses, "PAUSE_S", 0.01)
    api = Api(TransientError("away"), None, TransientError("away"))
    async with StatusReporter(api).running() as reporter:
        for job in (1, 2, 3):
            reporter.report(uuid.UUID(int=job), 7, update(job))
        await eventually(lambda: len(api.batches) == 3, "all batches")
    assert sorted(batch.job_id.int for batch in api.batches) == [1, 2, 3]


@pytest.mark.parametrize("code", [ErrorCode.STALE_TOKEN, ErrorCode.VALIDATION_ERROR])
async def test_what_the_api_refuses_is_dropped(code):
    api = Api(PlatformError("no", code=code))
    async with StatusReporter(api).running() as reporter:
        reporter.report(uuid.UUID(int=1), 7, update())
        reporter.report(uuid.UUID(int=2), 7, update())
    assert [batch.job_id.int for batch in api.batches] == [2]
