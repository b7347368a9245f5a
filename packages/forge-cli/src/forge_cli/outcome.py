"""What is said at the end of a run: what happened, to what, after which tries, and how to go on."""

from collections import Counter
from collections.abc import Iterator

import click

from forge_cli.errors import lines
from forge_cli.exits import Exit
from forge_sdk.errors import ErrorCode, chain
from forge_sdk.models.api import Run, Task
from forge_sdk.models.statuses import AttemptState, DeploymentStatus, ExecutionStatus, RunStatus

MAX_FAILED = 10
_OF_CONFIGURATION = {ErrorCode.CONFIGURATION_INVALID, ErrorCode.CUE_LIMIT_EXCEEDED, ErrorCode.VERSION_UNSUPPORTED}
"""The same commit fails in the same way again."""


def report(run: Run) -> int:
    """Print warnings and errors of a finished run to standard error, and return the exit code that belongs to it."""
    for warning in run.warnings:
        click.echo(f"warning: {warning}", err=True)
    if run.status is not RunStatus.SUCCESS:
        click.echo("\n".join(_explained(run)), err=True)
    for line in _deployments(run):
        click.echo(line, err=True)
    if run.status is RunStatus.CANCELLED:
        return Exit.CANCELLED
    return Exit.SUCCESS if run.status is RunStatus.SUCCESS else Exit.FAILED


def _explained(run: Run) -> Iterator[str]:
    yield f"run {run.id} of {run.repository}@{run.commit_sha[:12]} {run.status} in attempt {run.attempt}"
    if run.error is not None:
        yield from lines(run.error)
    failed = [(phase.name, task) for phase in run.phases for task in phase.tasks if task.status == "failed"]
    for phase, task in failed[:MAX_FAILED]:
        yield f"failed: {_task(phase, task)}"
    if len(failed) > MAX_FAILED:
        yield f"failed: {len(failed) - MAX_FAILED} more tasks"
    yield from _not_done(run)
    yield from _attempts(run)
    if failed:
        yield f"logs: forge logs {run.id} --failed"
    elif not run.phases and run.logs:
        yield f"logs: forge logs {run.id} --phase {run.logs[0].phase}"
    yield from _way_on(run, has_failed=bool(failed))


def _not_done(run: Run) -> Iterator[str]:
    """How many tasks ended with the run, or with another that failed, and how many never began."""
    count = Counter(task.status for phase in run.phases for task in phase.tasks)
    if stopped := count[ExecutionStatus.CANCELLED]:
        yield f"cancelled: {stopped} {'task' if stopped == 1 else 'tasks'}"
    if left := count[ExecutionStatus.SKIPPED] + count[ExecutionStatus.PENDING]:
        yield f"never started: {left} {'task' if left == 1 else 'tasks'}"


def _attempts(run: Run) -> Iterator[str]:
    for attempt in run.attempts:
        if attempt.state is AttemptState.FAILED:
            why = f": {attempt.error.message}" if attempt.error is not None else ""
            yield f"failed: release of {attempt.project}{why}"
            for phase in sorted({log.phase for log in run.logs if log.project == attempt.project}):
                yield f"logs: forge logs {run.id} --phase {phase} --project {attempt.project}"
        if attempt.state is AttemptState.AWAITING_SIGNATURE:
            yield f"waiting: the release of {attempt.project} goes on by itself, without a rebuild, when the signer is back"


def _way_on(run: Run, *, has_failed: bool) -> Iterator[str]:
    """The command that goes on from here."""
    states = {attempt.state for attempt in run.attempts}
    if run.superseded_by is not None:
        yield f"go on: forge run --watch {run.superseded_by}"
    elif not has_failed and AttemptState.AWAITING_SIGNATURE in states and AttemptState.FAILED not in states:
        yield f"go on: forge runs --commit {run.commit_sha} shows the attempt that signs"
    elif run.error is not None and any(cause.code in _OF_CONFIGURATION for cause in chain(run.error)):
        yield "go on: correct the configuration, commit, and push or forge run"
    else:
        yield f"go on: forge retry {run.id}" + (" --failed" if run.phases else "")


def _deployments(run: Run) -> Iterator[str]:
    """What was not deployed automatically, which fails no run."""
    for deployment in run.deployments:
        if deployment.status in {DeploymentStatus.FAILED, DeploymentStatus.REFUSED}:
            why = f": {deployment.error.message}" if deployment.error is not None else ""
            yield f"{deployment.status}: deployment of {deployment.project} to {deployment.environment}{why}"
            place = f"{deployment.environment} {deployment.repository}/{deployment.project}"
            yield f"go on: forge deploy {place} {deployment.release_number}"


def _task(phase: str, task: Task) -> str:
    steps = [step for step in task.steps if step.status is ExecutionStatus.FAILED]
    named = ", ".join(step.name + (f" (exit code {step.exit_code})" if step.exit_code else "") for step in steps)
    seconds = ""
    if task.started_at is not None and task.completed_at is not None:
        seconds = f" after {(task.completed_at - task.started_at).total_seconds():.1f} s"
    return f"task {task.project} in phase {phase}" + (f", step {named}" if named else "") + seconds
