"""What is said at the end of a run: what happened, to what, after which tries, and how to go on."""

from collections.abc import Iterator

import click

from forge_cli.errors import lines
from forge_cli.exits import Exit
from forge_sdk.models.api import Run, Task
from forge_sdk.models.statuses import AttemptState, ExecutionStatus, RunStatus

MAX_FAILED = 10


def report(run: Run) -> int:
    """Print warnings and errors of a finished run to standard error, and return the exit code that belongs to it."""
    for warning in run.warnings:
        click.echo(f"warning: {warning}", err=True)
    if run.status is not RunStatus.SUCCESS:
        click.echo("\n".join(_explained(run)), err=True)
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
    for attempt in run.attempts:
        if attempt.state is AttemptState.FAILED:
            yield f"failed: release of {attempt.project}"
        if attempt.state is AttemptState.AWAITING_SIGNATURE:
            yield f"waiting: the release of {attempt.project} goes on by itself, without a rebuild, when the signer is back"
    if failed:
        yield f"logs: forge logs {run.id} --failed"
    yield f"go on: forge retry {run.id}" + (" --failed" if run.phases else "")


def _task(phase: str, task: Task) -> str:
    steps = [step for step in task.steps if step.status is ExecutionStatus.FAILED]
    named = ", ".join(step.name + (f" (exit code {step.exit_code})" if step.exit_code else "") for step in steps)
    seconds = ""
    if task.started_at is not None and task.completed_at is not None:
        seconds = f" after {(task.completed_at - task.started_at).total_seconds():.1f} s"
    return f"task {task.project} in phase {phase}" + (f", step {named}" if named else "") + seconds
