"""`forge run`: run the pipeline of HEAD of this git repository and show it."""

import asyncio
import re
from pathlib import Path
from uuid import UUID

import click
from rich.console import Console

from forge_cli.exits import Exit
from forge_cli.interrupts import cancelling, leaving
from forge_cli.outcome import report
from forge_cli.progress import progress
from forge_cli.repository import Checkout, checkout
from forge_cli.session import platform
from forge_cli.watch import follow
from forge_sdk.errors import ConfigurationError
from forge_sdk.models.api import CreateRun, RegisterRepository, Run
from forge_sdk.models.statuses import TriggerType

_RUN_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@click.command("run")
@click.argument("folder", type=click.Path(path_type=Path), default=".")
@click.option("--retry", is_flag=True, help="Make a new attempt although this commit has run.")
@click.option("--no-wait", is_flag=True, help="Return as soon as the run is created.")
@click.option("--watch", metavar="RUN", help="Show this run (its id or URL) instead of starting one.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON at its end instead of the progress.")
def command(folder: Path, *, retry: bool, no_wait: bool, watch: str | None, as_json: bool) -> int:
    """Run the pipeline of HEAD of the git repository at FOLDER (default: here), and show it to its end.

    Ctrl-C cancels the run; with --watch it only stops showing it.

    Exit code: 0 the run succeeded, 1 it failed, 2 there is nothing to run, 3 no platform answers, 130 it was cancelled.
    """
    console = Console(stderr=True, quiet=as_json)
    if watch is not None:
        run = asyncio.run(_watch(_run_id(watch), console))
    else:
        run = asyncio.run(_run(_checkout(folder), retry=retry, wait=not no_wait, console=console))
    if as_json:
        click.echo(run.model_dump_json(indent=2))
    if run.status.finished:
        return report(run)
    click.echo(f"run {run.id}, attempt {run.attempt}: forge run --watch {run.id}", err=True)
    return Exit.SUCCESS


def _run_id(text: str) -> UUID:
    found = _RUN_ID.findall(text)
    if not found:
        raise ConfigurationError(f"{text} names no run: give the id or URL that `forge runs` or a status shows")
    return UUID(found[-1])


def _checkout(folder: Path) -> Checkout:
    found = checkout(folder)
    if found.uncommitted:
        click.echo(
            f"warning: {found.uncommitted} uncommitted files are not part of this run: it runs {found.commit_sha[:12]}",
            err=True,
        )
    return found


async def _watch(run_id: UUID, console: Console) -> Run:
    async with platform() as client:
        with leaving(run_id), progress(console) as show:
            return await follow(client, run_id, show)


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
        if created.status.finished:
            console.print(f"this commit has run already; a new attempt: forge retry {created.id}", markup=False)
        if not wait:
            return await client.run(created.id)
        with cancelling(client, created.id), progress(console) as show:
            return await follow(client, created.id, show)
