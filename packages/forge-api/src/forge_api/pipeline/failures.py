"""The chains of errors that a run shows: run, task, step, and the worker's chain below."""

from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.error import ErrorDetail
from forge_sdk.models.payloads import CiOutput, StepOutcome
from forge_sdk.models.statuses import ExecutionStatus

COMPONENT = "pipeline"
_OF_CONFIGURATION = {
    ErrorCode.CONFIGURATION_INVALID,
    ErrorCode.CUE_LIMIT_EXCEEDED,
    ErrorCode.VALIDATION_ERROR,
    ErrorCode.VERSION_UNSUPPORTED,
}


class RunCancelled(Exception):  # noqa: N818 - an outcome that ends the walk, not an error of it
    """The run was cancelled; the walk ends."""


def run_failed(message: str, cause: ErrorDetail | None) -> PlatformError:
    """The outermost error of a run that failed."""
    return _above(PlatformError(message, code=ErrorCode.RUN_FAILED, component=COMPONENT), cause)


def discovery_failed(cause: ErrorDetail | None) -> PlatformError:
    """The error of a run whose discovery failed."""
    is_of_user = cause is not None and ErrorCode.of(cause.code) in _OF_CONFIGURATION
    advice = ": correct the configuration and push again" if is_of_user else ""
    return run_failed(f"discovery failed{advice}", cause)


def task_failed(phase: str, project: str, output: CiOutput | None, error: ErrorDetail | None) -> PlatformError:
    """The error of a failed task, with its first failed step below it."""
    if error is not None and error.code == ErrorCode.TASK_FAILED.value:
        return PlatformError.from_detail(error)
    outcomes = output.steps if output is not None else ()
    # Where the job as a whole took too long, these were running.
    ended = ", ".join(outcome.name for outcome in outcomes if outcome.status is ExecutionStatus.CANCELLED)
    failed = PlatformError(
        f"task {project} failed in phase {phase}" + (f" during {ended}" if ended else ""),
        code=ErrorCode.TASK_FAILED,
        component=COMPONENT,
        context={"phase": phase, "project": project},
    )
    step = next((outcome for outcome in outcomes if outcome.status is ExecutionStatus.FAILED), None)
    return _above(failed, _step_failed(step) if step is not None else error)


def release_failed(project: str, what: str, cause: ErrorDetail | None) -> PlatformError:
    """The error of a release that could not be made."""
    failed = PlatformError(
        f"release of {project} failed: {what}",
        code=ErrorCode.RELEASE_FAILED,
        component=COMPONENT,
        context={"project": project},
    )
    return _above(failed, cause)


def deployment_failed(environment: str, project: str, cause: ErrorDetail | None) -> PlatformError:
    """The error of a deployment whose job failed."""
    failed = PlatformError(
        f"deployment of {project} to {environment} failed: deploy the release again once the cause is gone",
        code=ErrorCode.DEPLOYMENT_FAILED,
        component="deployments",
        context={"environment": environment, "project": project},
    )
    return _above(failed, cause)


def _step_failed(step: StepOutcome) -> ErrorDetail:
    if step.error is not None and step.error.code == ErrorCode.STEP_FAILED.value:
        return step.error
    ending = f" with exit code {step.exit_code}" if step.exit_code is not None else ""
    failed = PlatformError(
        f"step {step.name} failed{ending}",
        code=ErrorCode.STEP_FAILED,
        component=COMPONENT,
        context={"step": step.name, "step_id": str(step.step_id), "exit_code": step.exit_code},
    )
    return _above(failed, step.error).to_detail()


def _above(error: PlatformError, cause: ErrorDetail | None) -> PlatformError:
    return error.wrap(PlatformError.from_detail(cause)) if cause is not None else error
