"""`forge retry`: make a new attempt of a run."""

import asyncio
from uuid import UUID

import click
from rich.console import Console

from forge_cli.exits import Exit
from forge_cli.interrupts import cancelling
from forge_cli.outcome import report
from forge_cli.progress import progress
from forge_cli.session import platform
from forge_cli.watch import follow
from forge_sdk.models.api import Run


@click.command("retry")
@click.argument("run_id", type=click.UUID, metavar="RUN")
@click.option("--failed", is_flag=True, help="Repeat only what did not succeed.")
@click.option("--no-wait", is_flag=True, help="Return as soon as the attempt is created.")
@click.option("--json", "as_json", is_flag=True, help="Print the run as JSON at its end instead of the progress.")
def command(run_id: UUID, *, failed: bool, no_wait: bool, as_json: bool) -> int:
    """Make a new attempt of RUN, which has ended, and show it to its end.

    Exit code: 0 the attempt succeeded, 1 it failed, 3 no platform answers, 130 it was cancelled.
    """
    console = Console(stderr=True, quiet=as_json)
    run = asyncio.run(_retry(run_id, failed=failed, wait=not no_wait, console=console))
    if as_json:
        click.echo(run.model_dump_json(indent=2))
    if no_wait:
        click.echo(f"attempt {run.attempt}: forge run --watch {run.id}", err=True)
        return Exit.SUCCESS
    return report(run)


async def _retry(run_id: UUID, *, failed: bool, wait: bool, console: Console) -> Run:
    async with platform() as client:
        created = await client.retry_run(run_id, failed=failed)
        if not wait:
            return await client.run(created.id)
        with cancelling(client, created.id), progress(console) as show:
            return await follow(client, created.id, show)
