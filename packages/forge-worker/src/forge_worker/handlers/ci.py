"""CI jobs: all steps of one project in one phase, wave after wave in one private worktree."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError
from forge_sdk.models.api import StepStatusUpdate, TaskStatusUpdate
from forge_sdk.models.payloads import CiOutput, CiPayload, StepOutcome, StepPlan
from forge_sdk.models.statuses import ExecutionStatus
from forge_worker.checkpoints import Checkpoint, run_checkpoints
from forge_worker.execution.environment import ExecutionFacts
from forge_worker.handlers.step import StepRun, Workplace, pending_outcome
from forge_worker.jobs import JobContext

COMPONENT = "ci"


@dataclass(slots=True)
class TaskRun:
    """The state of a task: outcomes by step, in the order of the plan."""

    context: JobContext
    payload: CiPayload
    stack: AsyncExitStack
    workplace: Workplace | None = None
    outcomes: dict[UUID, StepOutcome] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for wave in self.payload.waves:
            for step in wave:
                self.outcomes[step.id] = pending_outcome(step)

    def output(self) -> CiOutput:
        """What is known now; a step that never started is skipped."""
        return CiOutput(steps=tuple(self.outcomes.values()))

    def record(self, outcome: StepOutcome) -> None:
        """Keep a step's outcome and tell the API."""
        self.outcomes[outcome.step_id] = outcome
        self.context.partial = self.output()
        self.context.services.statuses.report(
            self.context.job.id,
            self.context.token,
            StepStatusUpdate(
                step_id=outcome.step_id,
                status=outcome.status,
                exit_code=outcome.exit_code,
                logs_key=outcome.logs_key,
                at=outcome.finished_at or outcome.started_at or datetime.now(UTC),
            ),
        )

    def failed(self) -> StepOutcome | None:
        """The step that failed first."""
        failed = [outcome for outcome in self.outcomes.values() if outcome.status is ExecutionStatus.FAILED]
        return min(failed, key=lambda outcome: outcome.finished_at or datetime.now(UTC), default=None)


class CiHandler:
    """Runs a task."""

    async def run(self, context: JobContext) -> CiOutput:
        """The outcome of every step; `task_failed` over `step_failed` where one failed, with the outcomes in `partial`."""
        payload = context.job.payload_as(CiPayload)
        async with AsyncExitStack() as stack:
            task = TaskRun(context, payload, stack)
            context.partial = task.output()
            _report_task(task, ExecutionStatus.RUNNING)
            try:
                await run_checkpoints(CHECKPOINTS, task, observer=context.services.observer, job_id=context.job.id)
            except asyncio.CancelledError:
                _finish(task, ExecutionStatus.CANCELLED)
                raise
            except Exception:
                _finish(task, ExecutionStatus.FAILED)
                raise
            _finish(task, ExecutionStatus.SUCCESS)
        return task.output()


async def _check_out(task: TaskRun) -> None:
    job, payload = task.context.job, task.payload
    commit = await task.stack.enter_async_context(task.context.commit())
    worktree = await task.stack.enter_async_context(task.context.worktree(commit))
    facts = ExecutionFacts(
        repository=job.repository,
        commit_sha=job.commit_sha,
        commit_time=commit.time,
        run_id=str(job.run_id),
        job_id=str(job.id),
        project=payload.project,
        project_path=payload.project_path,
        branch=job.git.branch,
        tag=job.git.tag,
        extra={"FORGE_PHASE": payload.phase},
    )
    environment = await task.stack.enter_async_context(task.context.services.environments.prepared(facts))
    task.workplace = Workplace(worktree, project_directory(worktree, payload.project_path), environment)


async def _run_waves(task: TaskRun) -> None:
    for wave in task.payload.waves:
        await _run_wave(task, wave)
        if (failed := task.failed()) is not None:
            raise task_failure(task.payload, failed)


async def _run_wave(task: TaskRun, wave: tuple[StepPlan, ...]) -> None:
    """Run the steps at once; when one fails, the others are cancelled."""
    if task.workplace is None:
        raise RuntimeError("the checkpoint ci.checkout comes first")
    running = {
        asyncio.create_task(StepRun(task.context, task.payload, step, task.workplace).run(task.record)) for step in wave
    }
    try:
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for finished in done:
                finished.result()
            if task.failed() is not None:
                break
    finally:
        for step in running:
            step.cancel()
        if running:
            await asyncio.wait(running)


CHECKPOINTS = (Checkpoint("ci.checkout", _check_out), Checkpoint("ci.run", _run_waves))


def project_directory(worktree: Path, project_path: str) -> Path:
    """The project's folder in the worktree; a `ConfigurationError` where it is none or lies outside."""
    worktree = worktree.resolve()
    path = (worktree / project_path).resolve()
    if not path.is_relative_to(worktree) or not path.is_dir():
        raise ConfigurationError(
            f"project path {project_path!r} is not a folder of the repository at this commit", component=COMPONENT
        )
    return path


def task_failure(payload: CiPayload, failed: StepOutcome) -> PlatformError:
    """The error of a task, with that of the step below it."""
    error = PlatformError(
        f"step {failed.name!r} of project {payload.project} failed in phase {payload.phase}",
        code=ErrorCode.TASK_FAILED,
        component=COMPONENT,
        context={"project": payload.project, "phase": payload.phase, "step": failed.name, "logs_key": failed.logs_key},
    )
    return error.wrap(PlatformError.from_detail(failed.error)) if failed.error is not None else error


def _finish(task: TaskRun, status: ExecutionStatus) -> None:
    """Steps that never started were skipped."""
    for outcome in task.outcomes.values():
        if outcome.status is ExecutionStatus.PENDING:
            task.record(outcome.model_copy(update={"status": ExecutionStatus.SKIPPED}))
    task.context.partial = task.output()
    _report_task(task, status)


def _report_task(task: TaskRun, status: ExecutionStatus) -> None:
    update = TaskStatusUpdate(task_id=task.payload.task_id, status=status, at=datetime.now(UTC))
    task.context.services.statuses.report(task.context.job.id, task.context.token, update)
