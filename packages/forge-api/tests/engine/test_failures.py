"""What the errors of a run say."""

import pytest

from forge_api.pipeline.failures import discovery_failed, task_failed
from forge_sdk.errors import ErrorCode, PlatformError, TransientError, chain
from forge_sdk.identifiers import uuid7
from forge_sdk.models.payloads import CiOutput, StepOutcome
from forge_sdk.models.statuses import ExecutionStatus


def outcome(name, status):
    return StepOutcome(step_id=uuid7(), name=name, status=status)


def test_a_task_that_took_too_long_names_the_steps_that_ran():
    output = CiOutput(
        steps=(
            outcome("build", ExecutionStatus.SUCCESS),
            outcome("unit", ExecutionStatus.CANCELLED),
            outcome("report", ExecutionStatus.SKIPPED),
        )
    )
    late = PlatformError("the ci job took longer than 60 s", code=ErrorCode.TIMEOUT)
    error = task_failed("test", "api", output, late.to_detail())
    assert [found.message for found in chain(error.to_detail())] == [
        "task api failed in phase test during unit",
        "the ci job took longer than 60 s",
    ]


@pytest.mark.parametrize(
    ("cause", "advised"),
    [
        (PlatformError("2 problems", code=ErrorCode.CONFIGURATION_INVALID), True),
        (PlatformError("3 workers were lost", code=ErrorCode.WORKER_LOST), False),
        (TransientError("the repository can't be reached", code=ErrorCode.GIT_FAILED), False),
    ],
)
def test_who_has_to_correct_something_is_told_so_nobody_else(cause, advised):
    assert ("correct the configuration" in discovery_failed(cause.to_detail()).message) is advised
