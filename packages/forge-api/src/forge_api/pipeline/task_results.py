"""From the result of a `ci` job to the record of its task."""

from collections.abc import Sequence

from forge_api.pipeline.facts import TaskRow
from forge_api.pipeline.failures import run_failed, task_failed
from forge_api.pipeline.outputs import Outputs
from forge_api.pipeline.recorder import Recorder
from forge_sdk.errors import PlatformError
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.jobs import Job, JobResult
from forge_sdk.models.payloads import CiOutput
from forge_sdk.models.statuses import ExecutionStatus


async def record_task(
    recorder: Recorder, outputs: Outputs, job: Job, task: TaskRow, result: JobResult
) -> ErrorDetail | None:
    """Record what became of a task; the chain of its error where it failed."""
    has_output = result.output is not None or result.output_ref is not None
    output = await outputs.read(job, result, CiOutput) if has_output else None
    error = None
    if result.status == "failed":
        error = task_failed(task.phase, task.project, output, result.error).to_detail()
    await recorder.end_task(task, result, output, error)
    return error


def first_failure(tasks: Sequence[TaskRow]) -> PlatformError:
    """The error of a run by the failed ones among `tasks`."""
    failed = [task for task in tasks if task.status is ExecutionStatus.FAILED]
    first = failed[0]
    more = f" and {len(failed) - 1} more" if len(failed) > 1 else ""
    cause = first.error or task_failed(first.phase, first.project, None, None).to_detail()
    return run_failed(f"phase {first.phase} failed in project {first.project}{more}", cause)
