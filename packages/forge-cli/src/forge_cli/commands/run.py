"""`forge run`: run the pipeline of HEAD of this git repository and show it."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import click
from rich.console import Console

from forge_cli.errors import lines
from forge_cli.exits import Exit
from forge_cli.progress import progress
from forge_cli.repository import Checkout, checkout
from forge_cli.session import platform
from forge_cli.watch import follow
from forge_sdk.client import ApiClient
from forge_sdk.models.api import CreateRun, RegisterRepository, Run
from forge_sdk.models.statuses import RunStatus, TriggerType


@click.command("run")
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option("--retry", is_flag=True, help="Make a new attempt although this commit has run.")
@click.option("--no-wait", is_flag=True, help="Return as soon as the run is created.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON at its end instead of the progress.")
def command(folder: Path, retry: bool, no_wait: bool, as_json: bool) -> int:
    """Run the pipeline of HEAD of the git repository at FOLDER (default: here).

    Exit code: 0 the run succeeded, 1 it failed, 2 there is nothing to run, 3 no platform answers, 130 it was cancelled.
    """
    found = checkout(folder)
    if found.uncommitted:
        click.echo(
            f"warning: {found.uncommitted} uncommitted files are not part of this run: it runs {found.commit_sha[:12]}",
            err=True,
        )
    run = asyncio.run(_run(found, retry=retry, wait=not no_wait, console=Console(stderr=True, quiet=as_json)))
    if as_json:
        click.echo(run.model_dump_json(indent=2))
    return _report(run) if not no_wait else Exit.SUCCESS


async def _run(found: Checkout, *, retry: bool, wait: bool, console: Console) -> Run:
    async with platform() as client:
        await client.register_repository(
            RegisterRepository(repository=found.name, clone_url=found.clone_url, default_branch=found.branch or "main")
        )
        body = CreateRun(
            repository=found.name,
            commit_sha=found.commit_sha,
            branch=found.branch,
            tag=found.tag,
            trigger_type=TriggerType.MANUAL,
            retry=retry,
        )
        created = await client.create_run(body)
        if not wait:
            return await client.run(created.id)
        with _cancelling(client, created.id), progress(console) as show:
            return await follow(client, created.id, show)


@contextmanager
def _cancelling(client: ApiClient, run_id: UUID) -> Iterator[None]:
    """The first Ctrl-C asks the platform to cancel the run and goes on showing it; the second leaves at once."""
    loop = asyncio.get_running_loop()
    asked: list[asyncio.Task[object]] = []

    def interrupt() -> None:
        if asked:
            raise KeyboardInterrupt
        click.echo("cancelling; press Ctrl-C again to leave", err=True)
        asked.append(loop.create_task(client.cancel_run(run_id)))

    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _report(run: Run) -> int:
    for warning in run.warnings:
        click.echo(f"warning: {warning}", err=True)
    if run.error is not None:
        click.echo("\n".join(lines(run.error)), err=True)
    failed = [step for phase in run.phases for task in phase.tasks for step in task.steps if step.status == "failed"]
    if failed:
        click.echo(f"logs: forge logs {run.id} --failed", err=True)
    if run.status is RunStatus.CANCELLED:
        return Exit.CANCELLED
    return Exit.SUCCESS if run.status is RunStatus.SUCCESS else Exit.FAILED
