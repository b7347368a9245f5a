"""One step of a task: its action in the worktree, with its log, its secrets and its time."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from forge_sdk import telemetry
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.payloads import CiPayload, StepOutcome, StepPlan
from forge_sdk.models.statuses import ExecutionStatus
from forge_sdk.plugins.contracts import StepRequest, StepResult
from forge_worker.jobs import JobContext
from forge_worker.logs import StepLog
from forge_worker.plugin_contexts import CI_SECRETS, step_context
from forge_worker.results import masked_detail
from forge_worker.settings import validated

COMPONENT = "ci"
Record = Callable[[StepOutcome], None]


@dataclass(frozen=True, slots=True)
class Workplace:
    """Where the steps of a task run; all share it."""

    worktree: Path
    project_directory: Path
    environment: Mapping[str, str]


def pending_outcome(step: StepPlan) -> StepOutcome:
    """The outcome of a step that has not started."""
    return StepOutcome(step_id=step.id, name=step.name, status=ExecutionStatus.PENDING)


@dataclass(frozen=True, slots=True)
class StepRun:
    """One execution of a step."""

    context: JobContext
    payload: CiPayload
    step: StepPlan
    workplace: Workplace

    async def run(self, record: Record) -> None:
        """Run the step; `record` gets its outcome at the start and at the end, whatever happens."""
        log = self.context.log(self.payload.phase, self.payload.project, self.step.name, self.step.id)
        started = StepOutcome(
            step_id=self.step.id,
            name=self.step.name,
            status=ExecutionStatus.RUNNING,
            logs_key=log.key,
            started_at=datetime.now(UTC),
        )
        record(started)
        ended = started.model_copy(update={"status": ExecutionStatus.CANCELLED})
        begun = time.monotonic()
        try:
            with telemetry.span("step", attributes=self._facts()):
                async with log:
                    ended = await self._outcome(log, started)
                if ended.error is not None:
                    telemetry.failed(ended.error.code)
        finally:
            logs_key = log.key if log.stored else None
            record(ended.model_copy(update={"finished_at": datetime.now(UTC), "logs_key": logs_key}))
            durations = self.context.services.metrics.steps
            durations.labels(self.step.action, ended.status.value).observe(time.monotonic() - begun)

    def _facts(self) -> dict[str, str]:
        names = {"phase": self.payload.phase, "project": self.payload.project}
        return {**names, "step": self.step.name, "action": self.step.action}

    async def _outcome(self, log: StepLog, started: StepOutcome) -> StepOutcome:
        try:
            result = await self._timed(log)
        except asyncio.CancelledError:
            log.line("[step cancelled]")
            raise
        except PlatformError as error:
            log.line(f"[step failed: {error.message}]")
            return self._failed(started, log, error.message, cause=error)
        if result.exit_code == 0:
            return started.model_copy(update={"status": ExecutionStatus.SUCCESS, "exit_code": 0})
        words = f"exit code {result.exit_code}" + (f": {result.summary}" if result.summary else "")
        return self._failed(started, log, words, exit_code=result.exit_code)

    async def _timed(self, log: StepLog) -> StepResult:
        timeout = asyncio.timeout(self.step.timeout_s)
        try:
            async with timeout:
                return await self._fenced(log)
        except TimeoutError as error:
            if not timeout.expired():
                raise self._plugin_failure(error) from error
            raise PlatformError(
                f"the step took longer than {self.step.timeout_s:g} s", code=ErrorCode.TIMEOUT, component=COMPONENT
            ) from None

    async def _fenced(self, log: StepLog) -> StepResult:
        """Whatever a plugin does wrong fails its step, nothing else."""
        try:
            return await self._act(log)
        except (PlatformError, TimeoutError):
            raise
        except Exception as error:
            raise self._plugin_failure(error) from error

    async def _act(self, log: StepLog) -> StepResult:
        step, job = self.step, self.context.job
        action = self.context.services.plugins.step_action(step.action)
        request = StepRequest(
            step=step.name,
            phase=self.payload.phase,
            project=self.payload.project,
            repository=job.repository,
            commit_sha=job.commit_sha,
            worktree=self.workplace.worktree,
            project_directory=self.workplace.project_directory,
            configuration=validated(action.configuration, step.configuration, f"step {step.name!r}"),
        )
        environment = {**self.workplace.environment, "FORGE_STEP": step.name, **await self._secrets()}
        return await action.run(request, step_context(self.context, action, log, environment))

    async def _secrets(self) -> dict[str, str]:
        return {
            secret.env: (await self.context.secret(secret.reference, purpose=CI_SECRETS)).reveal()
            for secret in self.step.secrets
        }

    def _plugin_failure(self, error: Exception) -> PlatformError:
        return PlatformError(
            f"step action {self.step.action!r} failed: {type(error).__name__}: {error}",
            code=ErrorCode.PLUGIN_FAILED,
            component=COMPONENT,
        )

    def _failed(
        self,
        started: StepOutcome,
        log: StepLog,
        words: str,
        *,
        exit_code: int | None = None,
        cause: PlatformError | None = None,
    ) -> StepOutcome:
        tail = log.tail()
        message = f"step {self.step.name!r} failed: {words}" + (f"; its last lines:\n{tail}" if tail else "")
        error = PlatformError(
            message,
            code=ErrorCode.STEP_FAILED,
            component=COMPONENT,
            context={"step": self.step.name, "exit_code": exit_code, "logs_key": log.key},
            cause=cause,
        )
        detail = masked_detail(error, self.context.masker)
        return started.model_copy(update={"status": ExecutionStatus.FAILED, "exit_code": exit_code, "error": detail})
